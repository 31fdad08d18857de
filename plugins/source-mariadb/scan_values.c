/* Counting tuples, 64 bytes at a time: masks of what matters, without a branch per string. */
#include "scan_impl.h"

#include <string.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

struct masks {
    uint64_t quote, escape, open, end;
};

#if defined(__SSE2__)
static uint64_t equal(const __m128i *in, char c)
{
    const __m128i want = _mm_set1_epi8(c);
    uint64_t mask = 0;
    for (int i = 0; i < 4; i++)
        mask |= (uint64_t)(uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(in[i], want)) << (16 * i);
    return mask;
}

static struct masks look(const char *data)
{
    __m128i in[4];
    for (int i = 0; i < 4; i++)
        in[i] = _mm_loadu_si128((const __m128i *)(const void *)(data + (ptrdiff_t)16 * i));
    return (struct masks){equal(in, '\''), equal(in, '\\'), equal(in, '('), equal(in, ';')};
}
#else
static struct masks look(const char *data)
{
    struct masks m = {0};
    for (unsigned i = 0; i < 64; i++) {
        m.quote |= (uint64_t)(data[i] == '\'') << i;
        m.escape |= (uint64_t)(data[i] == '\\') << i;
        m.open |= (uint64_t)(data[i] == '(') << i;
        m.end |= (uint64_t)(data[i] == ';') << i;
    }
    return m;
}
#endif

/* Which bytes stand behind a backslash that counts. */
static uint64_t escaped_by(uint64_t escape, bool *carry)
{
    uint64_t out = *carry ? 1 : 0;
    escape &= ~out;
    *carry = escape >> 63 != 0;
    while (escape) {
        uint64_t lowest = escape & (~escape + 1), next = lowest << 1;
        out |= next;
        *carry = lowest >> 63 != 0;
        escape &= ~(lowest | next);
    }
    return out;
}

/* Bit i: an odd number of bits of x up to and with i. */
static uint64_t parity_up_to(uint64_t x)
{
    for (unsigned by = 1; by < 64; by <<= 1)
        x ^= x << by;
    return x;
}

/* One block, of which `used` bytes count. Returns those taken. */
static size_t block(struct my_scan_values *v, const char *data, size_t used, uint64_t *rows,
                    bool *ended)
{
    struct masks m = look(data);
    bool carry = v->escaped;
    uint64_t hidden = m.escape || carry ? escaped_by(m.escape, &carry) : 0;
    uint64_t inside = parity_up_to(m.quote & ~hidden) ^ (v->in_string ? ~(uint64_t)0 : 0);
    uint64_t end = m.end & ~inside;
    if (used < 64) {
        end &= ((uint64_t)1 << used) - 1;
        carry = hidden >> used & 1;
    }
    if (end) {
        uint64_t before = (end & (~end + 1)) - 1;
        *rows += (uint64_t)__builtin_popcountll(m.open & ~inside & before);
        *ended = true;
        v->in_string = v->escaped = false;
        return (size_t)__builtin_ctzll(end) + 1;
    }
    uint64_t count = used < 64 ? ((uint64_t)1 << used) - 1 : ~(uint64_t)0;
    *rows += (uint64_t)__builtin_popcountll(m.open & ~inside & count);
    v->in_string = inside >> (used - 1) & 1;
    v->escaped = carry;
    return used;
}

size_t my_scan_values(struct my_scan_values *v, const char *data, size_t n, uint64_t *rows,
                      bool *ended)
{
    size_t at = 0;
    *ended = false;
    while (n - at >= 64 && !*ended)
        at += block(v, data + at, 64, rows, ended);
    if (*ended || at == n)
        return at;
    char rest[64] = {0};
    memcpy(rest, data + at, n - at);
    return at + block(v, rest, n - at, rows, ended);
}
