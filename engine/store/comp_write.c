/* Writing components: handed to the store's format. */
#include "store/bundle.h"
#include "store/format.h"

const struct bk_format *bk_format_of(const struct bk_store *store)
{
    return store->format == BK_FORMAT_REPOSITORY ? &bk_format_repository : &bk_format_archive;
}

int bk_backup_begin(struct bk_store *store, const struct bk_manifest *head, struct bk_err *err)
{
    const struct bk_format *f = bk_format_of(store);
    int rc = f->begin ? f->begin(store, err) : BAKE_OK;

    return rc < 0 ? rc : bk_bundles_begin(store, head, err);
}

bool bk_comp_in_turn(const struct bk_store *store) { return bk_bundles_wanted(store); }

int bk_backup_group_end(struct bk_store *store, const char *group, struct bk_err *err)
{
    return bk_bundles_group_end(store, group, err);
}

void bk_backup_undo(struct bk_store *store) { bk_bundles_undo(store); }

int bk_backup_seal(struct bk_store *store, struct bk_manifest *m, struct bk_err *err)
{
    int rc = bk_bundles_seal(store, m, err);

    return rc < 0 ? rc : bk_format_of(store)->seal(store, m, err);
}

void bk_backup_end(struct bk_store *store)
{
    const struct bk_format *f = bk_format_of(store);

    if (f->end)
        f->end(store);
    bk_bundles_end(store);
}

uint64_t bk_backup_memory(const struct bk_store *store)
{
    const struct bk_format *f = bk_format_of(store);

    return f->shared_memory ? f->shared_memory(store) : 0;
}

char *bk_comp_object_name(const struct bk_store *store, const char *component, uint32_t kind)
{
    return bk_format_of(store)->object_name(store, component, kind);
}

uint64_t bk_comp_memory(const struct bk_store *store, uint32_t kind)
{
    return bk_format_of(store)->memory(store, kind);
}

int bk_compw_open(struct bk_store *store, const char *id, struct bk_cancel *parent,
                  const char *name, uint32_t kind, struct bk_compw **ret, struct bk_err *err)
{
    return bk_format_of(store)->open_writer(store, id, parent, name, kind, ret, err);
}

int bk_compw_open_in(struct bk_store *store, const char *group, const char *id,
                     struct bk_cancel *parent, const char *name, uint32_t kind,
                     struct bk_compw **ret, struct bk_err *err)
{
    if (group && bk_bundles_wanted(store))
        return bk_bundles_open_writer(store, group, parent, name, kind, ret, err);
    return bk_compw_open(store, id, parent, name, kind, ret, err);
}

struct bk_cancel *bk_compw_cancel(struct bk_compw *w) { return bk_flow_cancel(w->flow); }

int bk_compw_build_on(struct bk_compw *w, const struct bk_manifest *m, const struct bk_mcomp *c,
                      struct bk_err *err)
{
    return w->ops->build_on ? w->ops->build_on(w, m, c, err) : BAKE_OK;
}

int bk_compw_reuse(struct bk_compw *w, uint64_t *ret_bytes, uint64_t *ret_entries,
                   struct bk_err *err)
{
    return w->ops->reuse ? w->ops->reuse(w, ret_bytes, ret_entries, err) : BAKE_END;
}

int bk_compw_unchanged(struct bk_compw *w, const struct bake_entry *e, uint64_t *ret_bytes,
                       struct bk_err *err)
{
    return w->ops->unchanged ? w->ops->unchanged(w, e, ret_bytes, err) : BAKE_END;
}

int bk_compw_entry(struct bk_compw *w, const struct bake_entry *e, struct bk_err *err)
{
    return w->ops->entry(w, e, err);
}

int bk_compw_data(struct bk_compw *w, const void *data, size_t n, struct bk_err *err)
{
    return w->ops->data(w, data, n, err);
}

int bk_compw_entry_end(struct bk_compw *w, bool sure, struct bk_err *err)
{
    return w->ops->entry_end(w, sure, err);
}

int bk_compw_finish(struct bk_compw *w, struct bk_mcomp *ret, struct bk_err *err)
{
    struct bk_err first = {0};
    int rc = w->ops->finish(w, ret, err);

    if (rc >= 0)
        return rc;
    bk_compw_abort(w, err, &first); /* a stage's reason rather than "cancelled" */
    if (err && first.rc)
        *err = first;
    return first.rc < 0 ? first.rc : rc;
}

void bk_compw_abort(struct bk_compw *w, const struct bk_err *why, struct bk_err *ret)
{
    struct bk_err first = {0};
    int rc;

    if (why && why->rc)
        bk_flow_fail(w->flow, why);
    else
        bk_cancel_fire(bk_flow_cancel(w->flow));
    rc = bk_flow_wait(w->flow, &first);
    if (ret && rc < 0)
        *ret = first;
    if (w->ops->removed)
        w->ops->removed(w);
}

void bk_compw_free(struct bk_compw *w)
{
    if (w)
        w->ops->free(w);
}
