/* Follows a tar as it passes by: the daemon may end one in the middle and call it good, so a copy
 * counts only when every entry and the end mark were seen. Headers that come first can be kept. */
#include "place_impl.h"

#include <stdlib.h>
#include <string.h>

#define PAX_MAX   (1u << 20)
#define FIRST_MAX (4u << 20)

void dk_scan_start(struct dk_scan *s, bool keep_first)
{
    memset(s, 0, sizeof(*s));
    s->pax_size = UINT64_MAX;
    s->keep_first = keep_first;
}

void dk_scan_release(struct dk_scan *s)
{
    free(s->pax);
    free(s->first);
    s->pax = s->first = NULL;
}

/* Octal text, or binary when its first bit is set. */
static bool size_field(const unsigned char *f, size_t n, uint64_t *ret)
{
    uint64_t v = 0;
    size_t i = 0;

    if (f[0] & 0x80) {
        if (f[0] != 0x80)
            return false; /* negative, or more than any file */
        for (i = 1; i < n; i++) {
            if (v >> 55)
                return false;
            v = v << 8 | f[i];
        }
        *ret = v;
        return true;
    }
    while (i < n && f[i] == ' ')
        i++;
    for (; i < n && f[i] >= '0' && f[i] <= '7'; i++)
        v = v << 3 | (uint64_t)(f[i] - '0');
    *ret = v;
    return i == n || f[i] == ' ' || f[i] == '\0';
}

static bool checksum_fits(const unsigned char *b)
{
    uint64_t said, sum = 0;

    for (size_t i = 0; i < 512; i++)
        sum += i >= 148 && i < 156 ? ' ' : b[i];
    return size_field(b + 148, 8, &said) && said == sum;
}

/* Looks for "size" in the records of a pax header: "LENGTH KEY=VALUE\n". */
static bool pax_size(struct dk_scan *s)
{
    size_t at = 0;

    while (at < s->pax_n) {
        size_t n = 0, digits = 0;
        const char *p = (const char *)s->pax + at;

        for (; at + digits < s->pax_n && p[digits] >= '0' && p[digits] <= '9'; digits++) {
            n = n * 10 + (size_t)(p[digits] - '0');
            if (n > s->pax_n - at)
                return false;
        }
        if (n < digits + 3 || p[digits] != ' ' || p[n - 1] != '\n')
            return false;
        if (n > digits + 6 && memcmp(p + digits + 1, "size=", 5) == 0) {
            uint64_t v = 0;

            for (size_t i = digits + 6; i < n - 1; i++) {
                if (p[i] < '0' || p[i] > '9' || v > (UINT64_MAX >> 2) / 10)
                    return false;
                v = v * 10 + (uint64_t)(p[i] - '0');
            }
            s->pax_size = v;
        }
        at += n;
    }
    return true;
}

static bool keep(struct dk_scan *s)
{
    if (!s->keep_first || s->first_done)
        return true;
    if (s->first_n + 512 > s->first_cap) {
        size_t cap = s->first_cap ? s->first_cap * 2 : 4096;
        unsigned char *more = cap <= FIRST_MAX ? realloc(s->first, cap) : NULL;

        if (!more)
            return false;
        s->first = more;
        s->first_cap = cap;
    }
    memcpy(s->first + s->first_n, s->block, 512);
    s->first_n += 512;
    return true;
}

static bool zero(const unsigned char *b) { return b[0] == 0 && memcmp(b, b + 1, 511) == 0; }

static bool gather(struct dk_scan *s, uint64_t size)
{
    if (size > PAX_MAX)
        return false;
    free(s->pax);
    s->pax = malloc((size_t)size + 1);
    s->pax_n = 0;
    s->pax_want = (size_t)size;
    return s->pax != NULL;
}

/* Is there content behind a header of this type? */
static bool has_content(unsigned char type) { return type < '1' || type > '6'; }

static bool header(struct dk_scan *s)
{
    const unsigned char *b = s->block;
    uint64_t size;

    if (zero(b)) {
        s->zeros++;
        return true;
    }
    if (s->zeros > 0 || !checksum_fits(b) || !size_field(b + 124, 12, &size) || !keep(s))
        return false;
    if (b[156] == 'x' || b[156] == 'g' || b[156] == 'L' || b[156] == 'K') {
        if (b[156] == 'x' && !gather(s, size))
            return false;
    } else {
        if (s->pax_size != UINT64_MAX)
            size = s->pax_size;
        s->pax_size = UINT64_MAX;
        s->first_done = true;
        if (!has_content(b[156]))
            size = 0;
    }
    if (size > UINT64_MAX >> 1)
        return false;
    s->skip = (size + 511) & ~(uint64_t)511;
    return true;
}

/* A block of content: of a pax header it is read, and kept if the header is. */
static bool content(struct dk_scan *s)
{
    size_t n = s->pax_want - s->pax_n < 512 ? s->pax_want - s->pax_n : 512;

    s->skip -= 512;
    if (!keep(s))
        return false;
    if (n == 0)
        return true;
    memcpy(s->pax + s->pax_n, s->block, n);
    s->pax_n += n;
    return s->pax_n < s->pax_want || pax_size(s);
}

int dk_scan_feed(struct dk_scan *s, const void *data, size_t n)
{
    const unsigned char *p = data;

    while (n > 0 && !s->bad) {
        size_t step = 512 - s->have;
        bool plain = s->skip >= 512 && s->have == 0 && s->pax_n == s->pax_want &&
                     (!s->keep_first || s->first_done);

        if (plain && n >= 512) { /* whole blocks of a file's content */
            uint64_t pass = n & ~(size_t)511;

            pass = pass < s->skip ? pass : s->skip;
            s->skip -= pass;
            p += pass;
            n -= (size_t)pass;
            continue;
        }
        step = step < n ? step : n;
        memcpy(s->block + s->have, p, step);
        s->have += step;
        p += step;
        n -= step;
        if (s->have == 512) {
            s->have = 0;
            s->bad = s->skip > 0 ? !content(s) : !header(s);
        }
    }
    return s->bad ? -1 : 0;
}

bool dk_scan_whole(const struct dk_scan *s)
{
    return !s->bad && s->first_done && s->have == 0 && s->skip == 0 && s->zeros >= 2;
}
