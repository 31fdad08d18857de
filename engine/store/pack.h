/* Packs: many chunks in one immutable object, named by the SHA-256 of its bytes. docs/format.md has
 * the layout: a clear header, segments (at most 2 MiB of chunks each, put through the transforms by
 * themselves), the chunk table put through the transforms, and a clear footer. */
#ifndef BK_PACK_H
#define BK_PACK_H

#include "base/buf.h"
#include "base/digest.h"
#include "base/str.h"
#include "store/chunker.h"

#define BK_PACK_PLAIN    (16u << 20) /* plain bytes that close a pack */
#define BK_PACK_CHUNKS   (16u << 10) /* so many close it as well: its table is small */
#define BK_SEGMENT_PLAIN (2u << 20)
#define BK_PACK_LIMIT    (64u << 20) /* of what is read: nothing we write comes near */
#define BK_PACK_FOOTER   32u
#define BK_PACK_NONCE    16u
#define BK_PACK_HEAD_MIN 40u /* a header without transforms */
#define BK_SEGMENT_RAW   1u  /* stored without the compressing transforms: they gained nothing */
#define BK_MAX_SEGMENTS  64u

enum bk_pack_kind { BK_PACK_DATA = 1, BK_PACK_META = 2 };

typedef struct bk_id {
    unsigned char b[BK_SHA256_LEN];
} bk_id;

struct bk_segment {
    uint32_t stored, plain; /* bytes */
    uint32_t chunks;        /* of the table that follow each other in it */
    uint32_t flags;         /* BK_SEGMENT_RAW */
};

struct bk_pack_table { /* the chunks of a pack, in order */
    struct bk_segment segments[BK_MAX_SEGMENTS];
    size_t n_segments;
    bk_id *ids;
    uint32_t *lengths;
    size_t n_chunks, cap;
};

void bk_pack_table_release(struct bk_pack_table *t);
int bk_pack_table_add(struct bk_pack_table *t, const bk_id *id, uint32_t length);
void bk_pack_table_write(const struct bk_pack_table *t, struct bk_buf *out);
/* Checks every number against the others; BAKE_E_CORRUPT. */
int bk_pack_table_parse(const void *data, size_t n, struct bk_pack_table *ret, struct bk_err *err);

/* Where the last segment ends, if the first begins at `head`. */
uint64_t bk_pack_table_end(const struct bk_pack_table *t, uint64_t head);

struct bk_pack_head {
    enum bk_pack_kind kind;
    unsigned char nonce[BK_PACK_NONCE];
    size_t size; /* of the header: where the first segment begins */
    struct bk_strv transforms;
};
/* nonce: random bytes, so that no two packs ever made have the same name. */
void bk_pack_head_write(enum bk_pack_kind kind, const unsigned char nonce[BK_PACK_NONCE],
                        const struct bk_strv *transforms, struct bk_buf *out);
int bk_pack_head_parse(const void *data, size_t n, struct bk_pack_head *ret, struct bk_err *err);
#define BK_PACK_HEAD_MAX 4096u

struct bk_pack_foot {
    uint64_t table_offset;
    uint32_t table_stored, table_plain;
};
void bk_pack_foot_write(const struct bk_pack_foot *f, struct bk_buf *out);
int bk_pack_foot_parse(const unsigned char data[BK_PACK_FOOTER], uint64_t pack_size,
                       struct bk_pack_foot *ret, struct bk_err *err);

/* "packs/ab/abcd..." */
#define BK_PACK_NAME_CAP 80
void bk_pack_name(const bk_id *pack, char ret[BK_PACK_NAME_CAP]);
/* From an object's name; false if it is not a pack's. */
bool bk_pack_name_parse(const char *name, bk_id *ret);

int bk_id_of(const void *data, size_t n, bk_id *ret, struct bk_err *err); /* SHA-256 */
bool bk_id_eq(const bk_id *a, const bk_id *b);

#endif
