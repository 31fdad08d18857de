/* Little-endian numbers, varints (LEB128) and byte strings into a buffer and out of one that
 * anybody may have written. */
#ifndef BK_CODEC_H
#define BK_CODEC_H

#include "base/buf.h"

#include <stdbool.h>
#include <string.h>

/* Writing: a failed append is remembered in the buffer. */
void bk_put_u32(struct bk_buf *b, uint32_t v);
void bk_put_u64(struct bk_buf *b, uint64_t v);
void bk_put_varint(struct bk_buf *b, uint64_t v);
void bk_put_zigzag(struct bk_buf *b, int64_t v);
void bk_put_bytes(struct bk_buf *b, const void *data, size_t n); /* varint length, bytes */
void bk_put_string(struct bk_buf *b, const char *s); /* with its NUL; NULL is length 0 */

/* Reading: never beyond the end; once something did not fit, `bad` stays set and all yields 0. */
struct bk_reader {
    const unsigned char *p, *end;
    bool bad;
};
/* data may be NULL where n is 0. */
static inline struct bk_reader bk_reader_of(const void *data, size_t n)
{
    const unsigned char *p = data ? data : "";

    return (struct bk_reader){p, p + n, false};
}
uint32_t bk_get_u32(struct bk_reader *r);
uint64_t bk_get_u64(struct bk_reader *r);
uint64_t bk_get_varint(struct bk_reader *r); /* in its shortest form alone */
uint32_t bk_get_varint32(struct bk_reader *r);
int64_t bk_get_zigzag(struct bk_reader *r);
const void *bk_get_raw(struct bk_reader *r, size_t n); /* NULL when there is less */
const void *bk_get_bytes(struct bk_reader *r, size_t *ret_n);
const char *bk_get_string(struct bk_reader *r); /* NULL for length 0; else checked to end in NUL */

static inline uint32_t bk_le32(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}
static inline uint64_t bk_le64(const unsigned char *p)
{
    return (uint64_t)bk_le32(p) | (uint64_t)bk_le32(p + 4) << 32;
}
/* For ordering: the first eight bytes of a digest as a number. */
static inline uint64_t bk_be64(const unsigned char *p)
{
    uint64_t v = 0;

    for (int i = 0; i < 8; i++)
        v = v << 8 | p[i];
    return v;
}

#endif
