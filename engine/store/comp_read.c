/* Reading components: handed to the store's format. */
#include "store/format.h"

int bk_compr_open(struct bk_store *store, struct bk_sink *sink, const struct bk_manifest *m,
                  const struct bk_mcomp *c, unsigned flags, struct bk_cancel *parent,
                  struct bk_compr **ret, struct bk_err *err)
{
    /* A bundle is an archive's, whatever else stands in the store. */
    if (!c->in.bundle)
        return bk_format_of(store)->open_reader(store, sink, m, c, flags, parent, ret, err);
    if (c->kind == BAKE_TREE && (flags & BK_COMPR_RAW))
        return bk_bundle_open_cat(store, sink, m, c, flags, parent, ret, err);
    return bk_archive_open_reader(store, sink, m, c, flags, parent, ret, err);
}

int bk_compr_next(struct bk_compr *r, struct bake_entry *ret, struct bk_err *err)
{
    return r->ops->next(r, ret, err);
}

const char *bk_compr_identity(struct bk_compr *r) { return r->ops->identity(r); }

int bk_compr_read(struct bk_compr *r, struct bake_out *out, struct bk_err *err)
{
    return r->ops->read(r, out, err);
}

bool bk_compr_bad_entry(const struct bk_compr *r) { return r->ops->bad_entry(r); }

int bk_compr_finish(struct bk_compr *r, struct bk_err *err) { return r->ops->finish(r, err); }

void bk_compr_lost(struct bk_compr *r, void (*each)(void *arg, const char *path), void *arg)
{
    r->ops->lost(r, each, arg);
}

void bk_compr_free(struct bk_compr *r)
{
    if (r)
        r->ops->free(r);
}

int bk_compr_detach(struct bk_compr *r, struct bk_content **ret, struct bk_err *err)
{
    return r->ops->detach ? r->ops->detach(r, ret, err) : BAKE_END;
}

int bk_content_read(struct bk_content *c, struct bake_out *out, struct bk_err *err)
{
    return c->ops->content_read(c, out, err);
}

int bk_content_check(struct bk_content *c, uint64_t *ret_bytes, struct bk_err *err)
{
    return c->ops->content_check(c, ret_bytes, err);
}

void bk_content_free(struct bk_content *c)
{
    if (c)
        c->ops->content_free(c);
}
