/* The clear parts of packs and the chunk table, as bytes. */
#include "store/pack.h"

#include "base/codec.h"

#include <openssl/evp.h>
#include <stdlib.h>

#define HEAD_MAGIC "BAKEPACK"
#define FOOT_MAGIC "BAKEPEND"
#define VERSION    1u

bool bk_id_eq(const bk_id *a, const bk_id *b) { return memcmp(a, b, sizeof(*a)) == 0; }

int bk_id_of(const void *data, size_t n, bk_id *ret, struct bk_err *err)
{
    unsigned int len = sizeof(ret->b);

    if (EVP_Digest(data, n, ret->b, &len, EVP_sha256(), NULL) != 1)
        return bk_fail(err, BAKE_E_NOMEM, "cannot compute a SHA-256");
    return BAKE_OK;
}

void bk_pack_name(const bk_id *pack, char ret[BK_PACK_NAME_CAP])
{
    char hex[2 * sizeof(bk_id) + 1];

    bk_hex(pack->b, sizeof(pack->b), hex);
    (void)snprintf(ret, BK_PACK_NAME_CAP, "packs/%.2s/%s", hex, hex);
}

bool bk_pack_name_parse(const char *name, bk_id *ret)
{
    char again[BK_PACK_NAME_CAP];

    if (!bk_starts(name, "packs/") || strlen(name) != 9 + 64 ||
        !bk_unhex(name + 9, ret->b, sizeof(ret->b)))
        return false;
    bk_pack_name(ret, again);
    return bk_streq(again, name);
}

void bk_pack_table_release(struct bk_pack_table *t)
{
    free(t->ids);
    free(t->lengths);
    memset(t, 0, sizeof(*t));
}

int bk_pack_table_add(struct bk_pack_table *t, const bk_id *id, uint32_t length)
{
    if (t->n_chunks == t->cap) {
        size_t cap = t->cap ? t->cap * 2 : 256;
        bk_id *ids = realloc(t->ids, cap * sizeof(*ids));
        uint32_t *lengths;

        if (!ids)
            return BAKE_E_NOMEM;
        t->ids = ids;
        lengths = realloc(t->lengths, cap * sizeof(*lengths));
        if (!lengths)
            return BAKE_E_NOMEM;
        t->lengths = lengths;
        t->cap = cap;
    }
    t->ids[t->n_chunks] = *id;
    t->lengths[t->n_chunks++] = length;
    return BAKE_OK;
}

void bk_pack_table_write(const struct bk_pack_table *t, struct bk_buf *out)
{
    bk_put_varint(out, t->n_segments);
    for (size_t i = 0; i < t->n_segments; i++) {
        bk_put_varint(out, t->segments[i].stored);
        bk_put_varint(out, t->segments[i].plain);
        bk_put_varint(out, t->segments[i].chunks);
        bk_put_varint(out, t->segments[i].flags);
    }
    for (size_t i = 0; i < t->n_chunks; i++)
        bk_put_varint(out, t->lengths[i]);
    bk_buf_add(out, t->ids, t->n_chunks * sizeof(*t->ids));
}

static int bad_table(struct bk_pack_table *t, struct bk_err *err)
{
    bk_pack_table_release(t);
    return bk_fail(err, BAKE_E_CORRUPT, "the pack's chunk table is damaged");
}

static bool parse_segments(struct bk_reader *r, struct bk_pack_table *t, uint64_t *ret_chunks)
{
    uint64_t n = bk_get_varint(r);

    *ret_chunks = 0;
    if (n > BK_MAX_SEGMENTS)
        return false;
    for (t->n_segments = 0; t->n_segments < n; t->n_segments++) {
        struct bk_segment *s = &t->segments[t->n_segments];
        uint64_t stored = bk_get_varint(r), plain = bk_get_varint(r), chunks = bk_get_varint(r);
        uint64_t flags = bk_get_varint(r);

        if (r->bad || stored > BK_PACK_LIMIT || plain > BK_SEGMENT_PLAIN || chunks > plain ||
            flags > BK_SEGMENT_RAW)
            return false;
        s->stored = (uint32_t)stored;
        s->plain = (uint32_t)plain;
        s->chunks = (uint32_t)chunks;
        s->flags = (uint32_t)flags;
        *ret_chunks += chunks;
    }
    return true;
}

static bool parse_lengths(struct bk_reader *r, struct bk_pack_table *t)
{
    size_t at = 0;

    for (size_t i = 0; i < t->n_segments; i++) {
        uint64_t sum = 0;

        for (uint32_t k = 0; k < t->segments[i].chunks; k++, at++) {
            uint64_t length = bk_get_varint(r);

            if (r->bad || length == 0 || length > BK_SEGMENT_PLAIN)
                return false;
            t->lengths[at] = (uint32_t)length;
            sum += length;
        }
        if (sum != t->segments[i].plain)
            return false;
    }
    return true;
}

int bk_pack_table_parse(const void *data, size_t n, struct bk_pack_table *ret, struct bk_err *err)
{
    struct bk_reader r = bk_reader_of(data, n);
    const void *ids;
    uint64_t chunks;

    memset(ret, 0, sizeof(*ret));
    /* A chunk takes 33 bytes at least: what is said is not believed beyond that. */
    if (!parse_segments(&r, ret, &chunks) || chunks > n / (1 + sizeof(bk_id)))
        return bad_table(ret, err);
    ret->ids = malloc((size_t)chunks * sizeof(*ret->ids) + 1);
    ret->lengths = malloc((size_t)chunks * sizeof(*ret->lengths) + 1);
    if (!ret->ids || !ret->lengths) {
        bk_pack_table_release(ret);
        return bk_nomem(err);
    }
    ret->n_chunks = ret->cap = (size_t)chunks;
    if (!parse_lengths(&r, ret) || !(ids = bk_get_raw(&r, ret->n_chunks * sizeof(*ret->ids))) ||
        r.p != r.end)
        return bad_table(ret, err);
    memcpy(ret->ids, ids, ret->n_chunks * sizeof(*ret->ids));
    return BAKE_OK;
}

uint64_t bk_pack_table_end(const struct bk_pack_table *t, uint64_t head)
{
    for (size_t i = 0; i < t->n_segments; i++)
        head += t->segments[i].stored;
    return head;
}

void bk_pack_head_write(enum bk_pack_kind kind, const unsigned char nonce[BK_PACK_NONCE],
                        const struct bk_strv *transforms, struct bk_buf *out)
{
    struct bk_buf names = BK_BUF_INIT;

    for (size_t i = 0; i < transforms->n; i++)
        bk_put_string(&names, transforms->items[i]);
    bk_buf_add(out, HEAD_MAGIC, 8);
    bk_put_u32(out, VERSION);
    bk_put_u32(out, (uint32_t)(BK_PACK_HEAD_MIN + names.len));
    bk_put_u32(out, (uint32_t)kind);
    bk_buf_add(out, nonce, BK_PACK_NONCE);
    bk_put_u32(out, (uint32_t)transforms->n);
    bk_buf_add(out, names.data, names.len);
    out->failed |= names.failed;
    bk_buf_free(&names);
}

int bk_pack_head_parse(const void *data, size_t n, struct bk_pack_head *ret, struct bk_err *err)
{
    struct bk_reader r = bk_reader_of(data, n);
    const void *magic = bk_get_raw(&r, 8);
    uint32_t version = bk_get_u32(&r), size = bk_get_u32(&r), kind = bk_get_u32(&r);
    const void *nonce = bk_get_raw(&r, BK_PACK_NONCE);
    uint32_t transforms = bk_get_u32(&r);

    memset(ret, 0, sizeof(*ret));
    if (!magic || memcmp(magic, HEAD_MAGIC, 8) != 0)
        return bk_fail(err, BAKE_E_CORRUPT, "this is not a pack");
    if (!r.bad && version != VERSION)
        return bk_fail(err, BAKE_E_UNSUPPORTED, "the pack has version %u; this bakengine reads %u",
                       version, VERSION);
    for (uint32_t i = 0; i < transforms && !r.bad; i++) {
        const char *name = bk_get_string(&r);

        if (name && bk_strv_add(&ret->transforms, name) < 0) {
            bk_strv_free(&ret->transforms);
            return bk_nomem(err);
        }
        r.bad |= !name;
    }
    if (nonce)
        memcpy(ret->nonce, nonce, BK_PACK_NONCE);
    ret->kind = (enum bk_pack_kind)kind;
    ret->size = size;
    if (!r.bad && (kind == BK_PACK_DATA || kind == BK_PACK_META) &&
        (size_t)(r.p - (const unsigned char *)data) == size)
        return BAKE_OK;
    bk_strv_free(&ret->transforms);
    return bk_fail(err, BAKE_E_CORRUPT, "the pack's header is damaged");
}

void bk_pack_foot_write(const struct bk_pack_foot *f, struct bk_buf *out)
{
    bk_put_u64(out, f->table_offset);
    bk_put_u32(out, f->table_stored);
    bk_put_u32(out, f->table_plain);
    bk_put_u64(out, 0);
    bk_buf_add(out, FOOT_MAGIC, 8);
}

int bk_pack_foot_parse(const unsigned char data[BK_PACK_FOOTER], uint64_t pack_size,
                       struct bk_pack_foot *ret, struct bk_err *err)
{
    ret->table_offset = bk_le64(data);
    ret->table_stored = bk_le32(data + 8);
    ret->table_plain = bk_le32(data + 12);
    if (memcmp(data + 24, FOOT_MAGIC, 8) == 0 && bk_le64(data + 16) == 0 &&
        ret->table_plain <= BK_PACK_LIMIT && ret->table_stored <= BK_PACK_LIMIT &&
        ret->table_offset <= pack_size &&
        ret->table_offset + ret->table_stored + BK_PACK_FOOTER == pack_size)
        return BAKE_OK;
    return bk_fail(err, BAKE_E_CORRUPT, "the pack's footer is damaged");
}
