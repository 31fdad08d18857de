/* Cutting a stream into chunks, and lists of references into lists of lists. */
#include "store/ahead.h"
#include "store/stream.h"

#include <stdlib.h>
#include <string.h>

struct bk_streamw {
    const struct bk_chunker *chunker;
    struct bk_sha256 *sha; /* kept: looking the algorithm up takes longer than a small chunk */
    struct bk_chunk_sink sink;
    enum bk_pack_kind kind;
    unsigned char *pending; /* bytes that are not yet cut: a block of BK_BLOCK_BYTES */
    size_t n_pending;
    struct bk_ahead *ahead;                    /* NULL until a stream is long */
    bool is_ahead;                             /* this one is */
    struct bk_refs levels[BK_REFS_LEVELS + 1]; /* [0]: the stream's chunks not yet in a list */
    bool listed[BK_REFS_LEVELS + 1];           /* a chunk of references was made from that level */
    struct bk_buf list;
};

int bk_streamw_new(const struct bk_chunker *chunker, struct bk_chunk_sink sink,
                   enum bk_pack_kind kind, struct bk_streamw **ret, struct bk_err *err)
{
    struct bk_streamw *w = calloc(1, sizeof(*w));

    if (!w || !(w->pending = malloc(BK_BLOCK_BYTES)) || bk_sha256_new(&w->sha, err) < 0) {
        bk_streamw_free(w);
        return bk_nomem(err);
    }
    w->chunker = chunker;
    w->sink = sink;
    w->kind = kind;
    *ret = w;
    return BAKE_OK;
}

void bk_streamw_free(struct bk_streamw *w)
{
    if (!w)
        return;
    bk_ahead_free(w->ahead);
    for (size_t i = 0; i <= BK_REFS_LEVELS; i++)
        bk_refs_release(&w->levels[i]);
    bk_buf_free(&w->list);
    bk_sha256_free(w->sha);
    free(w->pending);
    free(w);
}

static void id_of(struct bk_streamw *w, const void *data, size_t n, bk_id *ret)
{
    bk_sha256_add(w->sha, data, n);
    bk_sha256_end(w->sha, ret->b);
}

static int add_ref(struct bk_streamw *w, uint32_t level, const bk_id *id, uint64_t length,
                   struct bk_err *err);

/* The references of a level become a chunk, to which the level above refers. */
static int make_list(struct bk_streamw *w, uint32_t level, struct bk_err *err)
{
    struct bk_refs *refs = &w->levels[level];
    uint64_t length = refs->length;
    bk_id id;
    int rc;

    bk_buf_clear(&w->list);
    for (size_t i = 0; i < refs->n; i++)
        bk_ref_write(&refs->refs[i], &w->list);
    if (w->list.failed)
        return bk_nomem(err);
    bk_refs_clear(refs);
    w->listed[level] = true;
    id_of(w, w->list.data, w->list.len, &id);
    rc = w->sink.put(w->sink.arg, BK_PACK_META, &id, w->list.data, w->list.len, err);
    return rc < 0 ? rc : add_ref(w, level + 1, &id, length, err);
}

/* A list ends where an id says so (one in 1024, by content), or when it is full. */
static int add_ref(struct bk_streamw *w, uint32_t level, const bk_id *id, uint64_t length,
                   struct bk_err *err)
{
    struct bk_refs *refs = &w->levels[level];
    bool cut = !(bk_le32(id->b) & 1023) && refs->n >= BK_REFS_INLINE;

    if (level == BK_REFS_LEVELS)
        return bk_fail(err, BAKE_E_UNSUPPORTED, "a stream is too long");
    if (bk_refs_add(refs, id, length) < 0)
        return bk_nomem(err);
    return cut || refs->n == BK_REFS_CHUNK ? make_list(w, level, err) : BAKE_OK;
}

static int put_chunk(struct bk_streamw *w, const unsigned char *data, size_t n, struct bk_err *err)
{
    bk_id id;
    int rc;

    id_of(w, data, n, &id);
    rc = w->sink.put(w->sink.arg, w->kind, &id, data, n, err);
    return rc < 0 ? rc : add_ref(w, 0, &id, n, err);
}

static int put_part(void *arg, const unsigned char *data, size_t n, struct bk_err *err)
{
    return put_chunk(arg, data, n, err);
}

/* Cuts as long as there is a whole chunk. */
static void cut(const struct bk_streamw *w, bool last, struct bk_parts *ret)
{
    size_t at = 0, n;

    ret->n = 0;
    while (at < w->n_pending &&
           (n = bk_chunker_cut(w->chunker, w->pending + at, w->n_pending - at, last)) > 0)
        ret->ends[ret->n++] = (uint32_t)(at += n);
}

/* The block goes to the other thread; what is not cut yet begins a new one. */
static int hand_over(struct bk_streamw *w, const struct bk_parts *parts, struct bk_err *err)
{
    size_t at = parts->n ? parts->ends[parts->n - 1] : 0, rest = w->n_pending - at;
    unsigned char *next;
    int rc = w->ahead ? BAKE_OK : bk_ahead_new(put_part, w, &w->ahead, err);

    if (rc >= 0)
        rc = bk_ahead_block(w->ahead, &next, err);
    if (rc < 0)
        return rc;
    w->is_ahead = true;
    memcpy(next, w->pending + at, rest);
    bk_ahead_push(w->ahead, w->pending, parts);
    w->pending = next;
    w->n_pending = rest;
    return BAKE_OK;
}

static int put_here(struct bk_streamw *w, const struct bk_parts *parts, struct bk_err *err)
{
    size_t at = 0;
    int rc = BAKE_OK;

    for (size_t i = 0; i < parts->n && rc >= 0; at = parts->ends[i++])
        rc = put_chunk(w, w->pending + at, parts->ends[i] - at, err);
    w->n_pending = 0;
    return rc;
}

/* The end of a stream: a short one is put at once. */
static int cut_last(struct bk_streamw *w, struct bk_err *err)
{
    struct bk_parts parts;
    int rc;

    cut(w, true, &parts);
    if (!w->is_ahead)
        return put_here(w, &parts, err);
    rc = hand_over(w, &parts, err);
    w->is_ahead = false;
    return rc < 0 ? rc : bk_ahead_wait(w->ahead, err);
}

int bk_streamw_write(struct bk_streamw *w, const void *data, size_t n, struct bk_err *err)
{
    const unsigned char *from = data;

    while (n > 0) {
        size_t room = BK_BLOCK_BYTES - w->n_pending;

        if (room > n)
            room = n;
        memcpy(w->pending + w->n_pending, from, room);
        w->n_pending += room;
        from += room;
        n -= room;
        if (w->n_pending == BK_BLOCK_BYTES) {
            struct bk_parts parts;
            int rc;

            cut(w, false, &parts);
            rc = hand_over(w, &parts, err);
            if (rc < 0)
                return rc;
        }
    }
    return BAKE_OK;
}

static int put_pending(struct bk_streamw *w, struct bk_err *err)
{
    size_t n = w->n_pending;

    w->n_pending = 0;
    return n > 0 ? put_chunk(w, w->pending, n, err) : BAKE_OK;
}

/* A record has some 130 bytes: every 512th makes chunks of about 64 KiB. */
#define RECORD_CUT 511u

int bk_streamw_record(struct bk_streamw *w, const void *record, size_t n, uint64_t hash,
                      struct bk_err *err)
{
    int rc = w->n_pending + n > BK_CHUNK_MAX ? put_pending(w, err) : BAKE_OK;

    if (rc >= 0 && n > BK_CHUNK_MAX) {
        rc = bk_streamw_write(w, record, n, err);
        return rc < 0 ? rc : cut_last(w, err);
    }
    if (rc < 0)
        return rc;
    memcpy(w->pending + w->n_pending, record, n);
    w->n_pending += n;
    return w->n_pending >= BK_CHUNK_MIN && !(hash & RECORD_CUT) ? put_pending(w, err) : BAKE_OK;
}

/* The level at which the whole stream fits in place; lists below it are closed. */
static int close_levels(struct bk_streamw *w, uint32_t *ret_level, struct bk_err *err)
{
    uint32_t level = 0;

    while (w->listed[level] || w->levels[level].n > BK_REFS_INLINE) {
        int rc = w->levels[level].n > 0 ? make_list(w, level, err) : BAKE_OK;

        if (rc < 0)
            return rc;
        w->listed[level++] = false;
    }
    *ret_level = level;
    return BAKE_OK;
}

int bk_streamw_end(struct bk_streamw *w, struct bk_refs *ret, struct bk_err *err)
{
    uint32_t level;
    int rc = cut_last(w, err);

    if (rc < 0 || (rc = close_levels(w, &level, err)) < 0)
        return rc;
    bk_refs_clear(ret);
    ret->levels = level;
    for (size_t i = 0; i < w->levels[level].n && rc >= 0; i++)
        rc = bk_refs_add(ret, &w->levels[level].refs[i].id, w->levels[level].refs[i].length);
    bk_refs_clear(&w->levels[level]);
    return rc < 0 ? bk_nomem(err) : BAKE_OK;
}
