/* Writing a component in the repository format: contents are cut into chunks, a tree's records too;
 * only chunks that are not stored yet go into packs. */
#include "store/format.h"

#include "base/cleanup.h"
#include "store/filesum.h"
#include "store/repo.h"
#include "store/streamr.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

/* How far an unchanged file's ctime must lie before the parent's start: clocks and time stamps are
 * coarser than they look (design 12.8). */
#define QUIET_NS (2ll * 1000000000)

/* How much of the parent's metadata is announced before it is read. */
#define PARENT_AHEAD (4u << 20)

struct repo_writer {
    struct bk_compw base;
    struct bk_store *store;
    struct bk_repo *repo;
    uint32_t kind;
    struct bk_streamw *data, *records; /* records NULL for a blob */
    const struct bake_entry *entry;    /* between entry and entry_end */
    struct bk_refs content, stream;
    struct bk_buf record;
    uint64_t new_bytes;
    /* the parent */
    const struct bk_mcomp *parent;
    int64_t parent_start_ns;
    struct bk_records *before;
    struct bk_stored_entry old; /* the one to be compared next */
    bool has_old, reused;
};

static int put_chunk(void *arg, enum bk_pack_kind kind, const bk_id *id, const void *data, size_t n,
                     struct bk_err *err)
{
    struct repo_writer *w = arg;
    bool fresh;
    int rc = bk_cancelled(bk_flow_cancel(w->base.flow))
                 ? bk_fail(err, BAKE_E_CANCELLED, "cancelled")
                 : BAKE_OK;

    if (rc >= 0)
        rc = bk_repo_put(w->repo, kind, id, data, n, &fresh, err);
    if (rc >= 0 && fresh)
        w->new_bytes += n;
    return rc < 0 ? rc : BAKE_OK;
}

/* ---- the parent ------------------------------------------------------------------------------ */

/* Without the parent everything is read: no failure, but for what ends all. */
static int lose_parent(struct repo_writer *w, int rc)
{
    bk_records_free(w->before);
    w->before = NULL;
    w->has_old = false;
    return rc == BAKE_E_CANCELLED || rc == BAKE_E_NOMEM ? rc : BAKE_OK;
}

static int next_old(struct repo_writer *w, struct bk_err *err)
{
    int rc = bk_records_next(w->before, &w->old, err);

    w->has_old = rc == BAKE_OK;
    if (rc < 0)
        return lose_parent(w, rc);
    return BAKE_OK;
}

static int build_on(struct bk_compw *base, const struct bk_manifest *m, const struct bk_mcomp *c,
                    struct bk_err *err)
{
    struct repo_writer *w = (struct repo_writer *)base;
    int rc;

    if (c->kind != w->kind || !c->has_stream || c->status == BK_STATUS_FAILED)
        return BAKE_OK;
    w->parent = c;
    w->parent_start_ns = m->start_ns;
    if (w->kind != BAKE_TREE)
        return BAKE_OK;
    rc = bk_records_new(w->repo->write->fetch, &c->stream, PARENT_AHEAD, &w->before, err);
    return rc < 0 ? lose_parent(w, rc) : next_old(w, err);
}

static int has_chunk(void *arg, const struct bk_ref *ref, uint32_t level, struct bk_err *err)
{
    struct repo_writer *w = arg;
    int rc = bk_index_has(w->repo->write->index, &ref->id, err);

    (void)level;
    return rc == BAKE_END ? bk_fail(err, BAKE_E_NOTFOUND, "a chunk is not stored any more") : rc;
}

/* OK: every chunk of it is stored (and marked as used). END: not so. */
static int all_stored(struct repo_writer *w, const struct bk_refs *refs, struct bk_err *err)
{
    struct bk_err why = {0};
    int rc = BAKE_OK;

    if (refs->levels == 0)
        for (size_t i = 0; i < refs->n && rc == BAKE_OK; i++)
            rc = bk_index_has(w->repo->write->index, &refs->refs[i].id, &why);
    else
        rc = bk_refs_each(w->repo->write->fetch, refs, has_chunk, w, &why);
    if (rc == BAKE_E_CANCELLED || rc == BAKE_E_NOMEM) {
        *err = why;
        return rc;
    }
    return rc == BAKE_OK ? BAKE_OK : BAKE_END;
}

/* Rule 12.8. What ctime covers (mode, owner, attributes) need not be compared. */
static bool same_file(const struct repo_writer *w, const struct bake_entry *e)
{
    const uint32_t need = BAKE_HAS_MTIME | BAKE_HAS_CTIME | BAKE_HAS_INODE;
    const struct bake_entry *old = &w->old.e;

    if (e->type != BAKE_FILE || old->type != BAKE_FILE || w->old.flags & BK_ENTRY_UNSURE)
        return false;
    if (e->fingerprint || old->fingerprint)
        return e->fingerprint && old->fingerprint && bk_streq(e->fingerprint, old->fingerprint) &&
               e->size == old->size;
    return (e->valid & need) == need && (old->valid & need) == need && e->size == old->size &&
           e->mtime_ns == old->mtime_ns && e->ctime_ns == old->ctime_ns && e->inode == old->inode &&
           e->ctime_ns < w->parent_start_ns - QUIET_NS;
}

static int put_record(struct repo_writer *w, const char *path, const void *record, size_t n,
                      struct bk_err *err)
{
    return bk_streamw_record(w->records, record, n, XXH64(path, strlen(path), 0), err);
}

static int unchanged(struct bk_compw *base, const struct bake_entry *e, uint64_t *ret_bytes,
                     struct bk_err *err)
{
    struct repo_writer *w = (struct repo_writer *)base;
    int rc = BAKE_OK, order = -1;

    while (w->has_old && rc >= 0 && (order = bk_path_order(w->old.e.path, e->path)) < 0)
        rc = next_old(w, err);
    if (rc < 0 || !w->has_old || order != 0 || !same_file(w, e))
        return rc < 0 ? rc : BAKE_END;
    rc = all_stored(w, &w->old.content, err);
    if (rc != BAKE_OK)
        return rc;
    *ret_bytes = w->old.content.length;
    bk_buf_clear(&w->record);
    bk_put_bytes(&w->record, w->old.record, w->old.n_record);
    if (w->record.failed)
        return bk_nomem(err);
    return put_record(w, e->path, w->record.data, w->record.len, err);
}

/* OK: every chunk of every entry of the parent's tree is stored. END: not so. */
static int contents_stored(struct repo_writer *w, struct bk_err *err)
{
    struct bk_stored_entry e = {.flags = 0};
    struct bk_records *r;
    bool all = true;
    int rc = bk_records_new(w->repo->write->fetch, &w->parent->stream, PARENT_AHEAD, &r, err);

    while (rc >= 0 && all && (rc = bk_records_next(r, &e, err)) == BAKE_OK) {
        rc = all_stored(w, &e.content, err);
        all = rc == BAKE_OK;
    }
    bk_stored_entry_release(&e);
    bk_records_free(r);
    if (rc == BAKE_E_CANCELLED || rc == BAKE_E_NOMEM)
        return rc;
    bk_err_clear(err);
    return rc >= 0 && all ? BAKE_OK : BAKE_END;
}

static int reuse(struct bk_compw *base, uint64_t *ret_bytes, uint64_t *ret_entries,
                 struct bk_err *err)
{
    struct repo_writer *w = (struct repo_writer *)base;
    int rc;

    if (!w->parent || w->parent->status != BK_STATUS_OK)
        return BAKE_END;
    rc = all_stored(w, &w->parent->stream, err);
    if (rc == BAKE_OK && w->kind == BAKE_TREE)
        rc = contents_stored(w, err);
    if (rc != BAKE_OK)
        return rc;
    w->reused = true;
    *ret_bytes = w->parent->bytes_in;
    *ret_entries = w->parent->entries;
    return BAKE_OK;
}

/* ---- entries and bytes ----------------------------------------------------------------------- */

static int put_entry(struct bk_compw *base, const struct bake_entry *e, struct bk_err *err)
{
    struct repo_writer *w = (struct repo_writer *)base;

    (void)err;
    w->entry = e;
    bk_refs_clear(&w->content);
    return BAKE_OK;
}

static int put_data(struct bk_compw *base, const void *data, size_t n, struct bk_err *err)
{
    return bk_streamw_write(((struct repo_writer *)base)->data, data, n, err);
}

static int entry_end(struct bk_compw *base, bool sure, struct bk_err *err)
{
    struct repo_writer *w = (struct repo_writer *)base;
    const struct bake_entry *e = w->entry;
    int rc = e->type == BAKE_FILE ? bk_streamw_end(w->data, &w->content, err) : BAKE_OK;

    if (rc < 0)
        return rc;
    if (e->type == BAKE_FILE && w->content.length != bk_entry_data_size(e))
        return bk_fail(err, BAKE_E_INTERNAL, "'%s' has another length than was said", e->path);
    bk_buf_clear(&w->record);
    if (bk_entry_write(e, sure ? 0 : BK_ENTRY_UNSURE, &w->content, &w->record) < 0)
        return bk_nomem(err);
    if (w->record.len > BK_ENTRY_LIMIT)
        return bk_fail(err, BAKE_E_UNSUPPORTED, "'%s' has more metadata than can be stored",
                       e->path);
    w->entry = NULL;
    return put_record(w, e->path, w->record.data, w->record.len, err);
}

static int finish(struct bk_compw *base, struct bk_mcomp *ret, struct bk_err *err)
{
    struct repo_writer *w = (struct repo_writer *)base;
    const struct bk_refs *stream = w->reused ? &w->parent->stream : &w->stream;
    int rc = BAKE_OK;

    if (!w->reused)
        rc = bk_streamw_end(w->records ? w->records : w->data, &w->stream, err);
    for (size_t i = 0; i < stream->n && rc >= 0; i++)
        if (bk_refs_add(&ret->stream, &stream->refs[i].id, stream->refs[i].length) < 0)
            rc = bk_nomem(err);
    if (rc < 0)
        return rc;
    ret->has_stream = true;
    ret->stream.levels = stream->levels;
    ret->bytes_new = w->new_bytes;
    for (size_t i = 0; i < w->store->n_transforms; i++)
        if (bk_strv_add(&ret->transforms, w->store->transforms[i].plugin->desc.name) < 0)
            return bk_nomem(err);
    return bk_refs_digest(&ret->stream, ret->sha256, err);
}

static void writer_free(struct bk_compw *base)
{
    struct repo_writer *w = (struct repo_writer *)base;

    bk_records_free(w->before);
    bk_stored_entry_release(&w->old);
    bk_streamw_free(w->data);
    bk_streamw_free(w->records);
    bk_refs_release(&w->content);
    bk_refs_release(&w->stream);
    bk_buf_free(&w->record);
    bk_flow_free(w->base.flow);
    free(w);
}

static const struct bk_compw_ops ops = {.build_on = build_on,
                                        .reuse = reuse,
                                        .unchanged = unchanged,
                                        .entry = put_entry,
                                        .data = put_data,
                                        .entry_end = entry_end,
                                        .finish = finish,
                                        .free = writer_free};

static int open_writer(struct bk_store *store, const char *id, struct bk_cancel *parent,
                       const char *name, uint32_t kind, struct bk_compw **ret, struct bk_err *err)
{
    struct repo_writer *w = calloc(1, sizeof(*w));
    struct bk_chunk_sink sink = {w, put_chunk};
    int rc;

    (void)id;
    (void)name;
    if (!w)
        return bk_nomem(err);
    w->base.ops = &ops;
    w->store = store;
    w->repo = store->repo;
    w->kind = kind;
    rc = bk_flow_new(parent, &w->base.flow, err);
    if (rc >= 0)
        rc = bk_streamw_new(&w->repo->chunker, sink, BK_PACK_DATA, &w->data, err);
    if (rc >= 0 && kind == BAKE_TREE)
        rc = bk_streamw_new(&w->repo->chunker, sink, BK_PACK_META, &w->records, err);
    if (rc < 0) {
        writer_free(&w->base);
        return rc;
    }
    *ret = &w->base;
    return BAKE_OK;
}

/* Components share packs: only their names must differ. */
static char *object_name(const struct bk_store *store, const char *component, uint32_t kind)
{
    (void)store;
    (void)kind;
    return bk_object_safe(component);
}

/* Two streams' blocks (one of them with those on their way), lists on every level, a record, and
 * the parent's records. */
static uint64_t memory(const struct bk_store *store, uint32_t kind)
{
    (void)store;
    return kind == BAKE_TREE ? 8u << 20 : 6u << 20;
}

const struct bk_format bk_format_repository = {.begin = bk_repo_begin,
                                               .seal = bk_repo_seal,
                                               .end = bk_repo_end,
                                               .shared_memory = bk_repo_shared_memory,
                                               .memory = memory,
                                               .object_name = object_name,
                                               .open_writer = open_writer,
                                               .open_reader = bk_repo_open_reader,
                                               .look = bk_repo_look,
                                               .distrust = bk_repo_distrust};
