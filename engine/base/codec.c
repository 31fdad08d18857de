/* Numbers and strings in bytes. */
#include "base/codec.h"

void bk_put_u32(struct bk_buf *b, uint32_t v)
{
    unsigned char raw[4] = {(unsigned char)v, (unsigned char)(v >> 8), (unsigned char)(v >> 16),
                            (unsigned char)(v >> 24)};

    bk_buf_add(b, raw, sizeof(raw));
}

void bk_put_u64(struct bk_buf *b, uint64_t v)
{
    bk_put_u32(b, (uint32_t)v);
    bk_put_u32(b, (uint32_t)(v >> 32));
}

void bk_put_varint(struct bk_buf *b, uint64_t v)
{
    unsigned char raw[10];
    size_t n = 0;

    while (v >= 0x80) {
        raw[n++] = (unsigned char)(v | 0x80);
        v >>= 7;
    }
    raw[n++] = (unsigned char)v;
    bk_buf_add(b, raw, n);
}

void bk_put_zigzag(struct bk_buf *b, int64_t v)
{
    bk_put_varint(b, (uint64_t)v << 1 ^ (v < 0 ? UINT64_MAX : 0));
}

void bk_put_bytes(struct bk_buf *b, const void *data, size_t n)
{
    bk_put_varint(b, n);
    bk_buf_add(b, data, n);
}

void bk_put_string(struct bk_buf *b, const char *s) { bk_put_bytes(b, s, s ? strlen(s) + 1 : 0); }

const void *bk_get_raw(struct bk_reader *r, size_t n)
{
    const void *at = r->p;

    if (r->bad || (size_t)(r->end - r->p) < n) {
        r->bad = true;
        return NULL;
    }
    r->p += n;
    return at;
}

uint32_t bk_get_u32(struct bk_reader *r)
{
    const unsigned char *p = bk_get_raw(r, 4);

    return p ? bk_le32(p) : 0;
}

uint64_t bk_get_u64(struct bk_reader *r)
{
    const unsigned char *p = bk_get_raw(r, 8);

    return p ? bk_le64(p) : 0;
}

uint64_t bk_get_varint(struct bk_reader *r)
{
    uint64_t v = 0;

    for (unsigned shift = 0; shift < 64; shift += 7) {
        const unsigned char *p = bk_get_raw(r, 1);

        if (!p)
            return 0;
        /* More than 64 bits; or a form longer than need be, which nothing of ours writes: a value
         * has one form alone. */
        if ((shift == 63 && *p > 1) || (shift > 0 && *p == 0))
            break;
        v |= (uint64_t)(*p & 0x7f) << shift;
        if (!(*p & 0x80))
            return v;
    }
    r->bad = true;
    return 0;
}

uint32_t bk_get_varint32(struct bk_reader *r)
{
    uint64_t v = bk_get_varint(r);

    if (v <= UINT32_MAX)
        return (uint32_t)v;
    r->bad = true;
    return 0;
}

int64_t bk_get_zigzag(struct bk_reader *r)
{
    uint64_t v = bk_get_varint(r);

    return (int64_t)(v >> 1 ^ (v & 1 ? UINT64_MAX : 0));
}

const void *bk_get_bytes(struct bk_reader *r, size_t *ret_n)
{
    uint64_t n = bk_get_varint(r);

    *ret_n = 0;
    if (n > (uint64_t)(r->end - r->p))
        r->bad = true;
    if (r->bad)
        return NULL;
    *ret_n = (size_t)n;
    return bk_get_raw(r, (size_t)n);
}

const char *bk_get_string(struct bk_reader *r)
{
    size_t n;
    const char *s = bk_get_bytes(r, &n);

    if (!s || n == 0)
        return NULL;
    if (s[n - 1] || memchr(s, 0, n - 1)) {
        r->bad = true;
        return NULL;
    }
    return s;
}
