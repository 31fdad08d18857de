/* Which chunks are live: every backup's metadata are walked, chunks that were walked before are not
 * walked again, so that thirty backups of one tree cost little more than one. */
#include "base/cleanup.h"
#include "run/sweep_private.h"
#include "store/index_table.h"
#include "store/streamr.h"

#include <string.h>

#define CACHE (16u << 20)

struct bk_walk {
    struct bk_store *store;
    struct bk_index *index;
    struct bk_fetch *fetch;
    struct bk_table lists;   /* chunks of references whose streams are marked; loc.offset: levels */
    struct bk_table records; /* chunks of whole records whose entries are marked */
    struct bk_buf carry;     /* the beginning of a record that goes on in the next chunk */
    struct bk_stored_entry entry;
    bool fatal; /* what failed is not this backup's alone */
};

int bk_walk_new(struct bk_store *store, struct bk_sink *sink, struct bk_index *index,
                struct bk_walk **ret, struct bk_err *err)
{
    struct bk_walk *w = calloc(1, sizeof(*w));
    int rc;

    if (!w)
        return bk_nomem(err);
    w->store = store;
    w->index = index;
    rc = bk_fetch_new(store, sink, index, store->cancel, CACHE, &w->fetch, err);
    if (rc < 0) {
        free(w);
        return rc;
    }
    *ret = w;
    return BAKE_OK;
}

void bk_walk_free(struct bk_walk *w)
{
    if (!w)
        return;
    bk_fetch_free(w->fetch);
    bk_table_release(&w->lists);
    bk_table_release(&w->records);
    bk_buf_free(&w->carry);
    bk_stored_entry_release(&w->entry);
    free(w);
}

static int out_of_memory(struct bk_walk *w, struct bk_err *err)
{
    w->fatal = true;
    return bk_nomem(err);
}

static int mark(struct bk_walk *w, const bk_id *id, struct bk_err *err)
{
    int rc = bk_index_mark(w->index, id, NULL, err);

    w->fatal |= rc < 0 && rc != BAKE_E_NOTFOUND;
    return rc;
}

/* BAKE_END: what lies below this list, read at this level, is marked already. */
static int mark_list(struct bk_walk *w, const bk_id *id, uint32_t level, struct bk_err *err)
{
    struct bk_located fresh = {*id, {0, 0, 0, 1}};
    struct bk_located *seen = bk_table_find(&w->lists, id);
    int rc;

    if (seen && seen->loc.offset & 1u << level)
        return BAKE_END;
    if ((rc = mark(w, id, err)) < 0)
        return rc;
    fresh.loc.offset = (seen ? seen->loc.offset : 0) | 1u << level;
    return bk_table_put(&w->lists, &fresh) < 0 ? out_of_memory(w, err) : BAKE_OK;
}

static int on_content(void *arg, const struct bk_ref *ref, uint32_t level, struct bk_err *err)
{
    return level > 0 ? mark_list(arg, &ref->id, level, err) : mark(arg, &ref->id, err);
}

/* If it fails half way, the lists that were seen may not be marked whole: the backup is not walked,
 * and what it shares with others must be walked again for these. */
static int walk_content(struct bk_walk *w, const struct bk_refs *refs, struct bk_err *err)
{
    int rc = BAKE_OK;

    if (refs->levels > 0) {
        rc = bk_refs_each(w->fetch, refs, on_content, w, err);
        if (rc < 0)
            bk_table_release(&w->lists);
        return rc < 0 ? rc : BAKE_OK;
    }
    for (size_t i = 0; i < refs->n && rc >= 0; i++)
        rc = mark(w, &refs->refs[i].id, err);
    return rc;
}

/* ---- trees ----------------------------------------------------------------------------------- */

static int walk_record(struct bk_walk *w, const void *record, size_t n, struct bk_err *err)
{
    int rc = bk_entry_parse(record, n, &w->entry, err);

    if (rc >= 0 && w->entry.e.type == BAKE_FILE)
        rc = walk_content(w, &w->entry.content, err);
    return rc;
}

/* Every record that is whole in data[0..n); *ret_used bytes of it. */
static int walk_records(struct bk_walk *w, const unsigned char *data, size_t n, size_t *ret_used,
                        struct bk_err *err)
{
    size_t used = 0;
    int rc = BAKE_OK;

    while (used < n && rc >= 0) {
        struct bk_reader r = bk_reader_of(data + used, n - used), head = r;
        uint64_t length = bk_get_varint(&head);
        const void *record;
        size_t size;

        if (!head.bad && length > BK_ENTRY_LIMIT)
            return bk_fail(err, BAKE_E_CORRUPT, "an entry's record is damaged");
        record = bk_get_bytes(&r, &size);
        if (r.bad) /* it goes on in the next chunk */
            break;
        rc = walk_record(w, record, size, err);
        used = (size_t)(r.p - data);
    }
    *ret_used = used;
    return rc;
}

static int walk_carried(struct bk_walk *w, const struct bk_held *h, bool *ret_whole,
                        struct bk_err *err)
{
    bool begins = w->carry.len == 0;
    size_t used = 0;
    int rc;

    if (bk_buf_add(&w->carry, h->data, h->n) < 0)
        return out_of_memory(w, err);
    rc = walk_records(w, (const unsigned char *)w->carry.data, w->carry.len, &used, err);
    if (rc < 0)
        return rc;
    if (w->carry.len - used > BK_ENTRY_LIMIT + 16)
        return bk_fail(err, BAKE_E_CORRUPT, "an entry's record is damaged");
    memmove(w->carry.data, w->carry.data + used, w->carry.len - used);
    w->carry.len -= used;
    *ret_whole = begins && w->carry.len == 0;
    return BAKE_OK;
}

static int walk_chunk(struct bk_walk *w, const struct bk_ref *ref, struct bk_err *err)
{
    struct bk_located fresh = {ref->id, {0, 0, 0, 1}};
    struct bk_held h = {.segment = NULL};
    bool whole = false;
    int rc;

    if (w->carry.len == 0 && bk_table_find(&w->records, &ref->id))
        return BAKE_OK;
    rc = bk_fetch_hold(w->fetch, &ref->id, ref->length, &h, err);
    if (rc < 0) {
        w->fatal |= !bk_fetch_is_damage(rc);
        return rc;
    }
    rc = walk_carried(w, &h, &whole, err);
    bk_fetch_release(w->fetch, &h);
    if (rc >= 0 && whole && bk_table_put(&w->records, &fresh) < 0)
        rc = out_of_memory(w, err);
    return rc;
}

static int on_tree(void *arg, const struct bk_ref *ref, uint32_t level, struct bk_err *err)
{
    struct bk_walk *w = arg;
    int rc = mark(w, &ref->id, err);

    if (rc >= 0 && bk_cancelled(w->store->cancel)) {
        w->fatal = true;
        return bk_fail(err, BAKE_E_CANCELLED, "cancelled");
    }
    return rc < 0 || level > 0 ? rc : walk_chunk(w, ref, err);
}

static int walk_tree(struct bk_walk *w, const struct bk_refs *tree, struct bk_err *err)
{
    int rc;

    w->carry.len = 0;
    rc = bk_refs_each(w->fetch, tree, on_tree, w, err);
    if (rc >= 0 && w->carry.len > 0)
        rc = bk_fail(err, BAKE_E_CORRUPT, "the last entry's record is cut");
    return rc < 0 ? rc : BAKE_OK;
}

static int walk_component(struct bk_walk *w, const struct bk_mcomp *c, struct bk_err *err)
{
    int rc;

    if (!c->has_stream && c->status == BK_STATUS_FAILED)
        return BAKE_OK;
    if (!c->has_stream)
        return bk_fail(err, BAKE_E_CORRUPT, "component '%s' has no stream", c->name);
    rc = c->kind == BAKE_TREE ? walk_tree(w, &c->stream, err) : walk_content(w, &c->stream, err);
    /* bk_refs_each() fetches lists itself */
    w->fatal |= rc < 0 && !bk_fetch_is_damage(rc);
    return rc < 0 ? bk_prefix(err, "component '%s'", c->name) : BAKE_OK;
}

int bk_walk_backup(struct bk_walk *w, const struct bk_manifest *b, bool *ret_fatal,
                   struct bk_err *err)
{
    int rc = BAKE_OK;

    for (size_t i = 0; i < b->n_comps && rc >= 0; i++)
        rc = walk_component(w, &b->comps[i], err);
    *ret_fatal = w->fatal;
    return rc;
}
