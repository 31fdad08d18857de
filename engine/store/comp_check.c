/* Checking backups: handed to the store's format; and how the archive format does it. */
#include "base/cleanup.h"
#include "store/format.h"

int bk_backup_look(struct bk_store *store, struct bk_sink *sink, const struct bk_manifest *m,
                   struct bk_look *look, struct bk_err *err)
{
    return bk_format_of(store)->look(store, sink, m, look, err);
}

int bk_backup_distrust(struct bk_store *store, struct bk_sink *sink, const char *host,
                       uint64_t *ret, struct bk_err *err)
{
    const struct bk_format *f = bk_format_of(store);

    *ret = 0;
    return f->distrust ? f->distrust(store, sink, host, ret, err) : BAKE_OK;
}

/* ---- the archive format ---------------------------------------------------------------------- */

/* Failures that say nothing about the store. */
static bool is_ours(int rc) { return rc == BAKE_E_CANCELLED || rc == BAKE_E_NOMEM; }

static int look_at(struct bk_sink *sink, const struct bk_manifest *m, const struct bk_mcomp *c,
                   const struct bk_object *o, struct bk_look *look, struct bk_err *err)
{
    char *name BK_FREE = bk_backup_object(m->id, o->name);
    struct bk_err why = {0};
    uint64_t size;
    int64_t mtime_ns;
    int rc;

    if (!name)
        return bk_nomem(err);
    rc = bk_sink_stat(sink, name, &size, &mtime_ns, &why);
    if (is_ours(rc)) {
        *err = why;
        return rc;
    }
    look->objects++;
    if (rc == BAKE_E_NOTFOUND)
        bk_fail(&why, BAKE_E_CORRUPT, "%s: object '%s' is missing", sink->label, name);
    else if (rc >= 0 && size != o->size)
        bk_fail(&why, BAKE_E_CORRUPT, "%s: object '%s' has %llu bytes, the manifest says %llu",
                sink->label, name, (unsigned long long)size, (unsigned long long)o->size);
    if (why.rc)
        look->damage(look->arg, c, &why);
    return BAKE_OK;
}

int bk_archive_look(struct bk_store *store, struct bk_sink *sink, const struct bk_manifest *m,
                    struct bk_look *look, struct bk_err *err)
{
    int rc = BAKE_OK;

    (void)store;
    for (size_t i = 0; i < m->n_comps && rc >= 0; i++)
        for (size_t k = 0; k < m->comps[i].n_objects && rc >= 0; k++)
            rc = look_at(sink, m, &m->comps[i], &m->comps[i].objects[k], look, err);
    return rc;
}
