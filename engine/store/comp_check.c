/* Checking backups: handed to the store's format; and how the archive format does it. */
#include "base/cleanup.h"
#include "store/format.h"

int bk_backup_look(struct bk_store *store, struct bk_sink *sink, const struct bk_manifest *m,
                   struct bk_look *look, struct bk_err *err)
{
    return m->n_bundles ? bk_archive_look(store, sink, m, look, err)
                        : bk_format_of(store)->look(store, sink, m, look, err);
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

/* c: NULL: the object is the whole backup's. */
static int look_at(struct bk_sink *sink, const struct bk_mcomp *c, const char *name, uint64_t want,
                   struct bk_look *look, struct bk_err *err)
{
    struct bk_err why = {0};
    uint64_t size;
    int64_t mtime_ns;
    int rc;

    rc = bk_sink_stat(sink, name, &size, &mtime_ns, &why);
    if (is_ours(rc)) {
        *err = why;
        return rc;
    }
    look->objects++;
    if (rc == BAKE_E_NOTFOUND)
        bk_fail(&why, BAKE_E_CORRUPT, "%s: object '%s' is missing", sink->label, name);
    else if (rc >= 0 && size != want)
        bk_fail(&why, BAKE_E_CORRUPT, "%s: object '%s' has %llu bytes, the manifest says %llu",
                sink->label, name, (unsigned long long)size, (unsigned long long)want);
    if (why.rc)
        look->damage(look->arg, c, &why);
    return BAKE_OK;
}

static int look_at_own(struct bk_sink *sink, const struct bk_manifest *m, const struct bk_mcomp *c,
                       const struct bk_object *o, struct bk_look *look, struct bk_err *err)
{
    char *name BK_FREE = bk_backup_object(m->id, o->name);

    return name ? look_at(sink, c, name, o->size, look, err) : bk_nomem(err);
}

/* What is wrong with a bundle is wrong with each component that stands in it. */
struct shared {
    const struct bk_manifest *m;
    const char *bundle;
    struct bk_look *look;
};

static void of_all(void *arg, const struct bk_mcomp *c, const struct bk_err *why)
{
    const struct shared *s = arg;

    (void)c;
    for (size_t i = 0; i < s->m->n_comps; i++)
        if (bk_streq(s->m->comps[i].in.bundle, s->bundle) &&
            s->m->comps[i].status != BK_STATUS_FAILED)
            s->look->damage(s->look->arg, &s->m->comps[i], why);
}

static int look_at_bundle(struct bk_sink *sink, const struct bk_manifest *m,
                          const struct bk_bundle *b, struct bk_look *look, struct bk_err *err)
{
    struct shared s = {m, b->name, look};
    struct bk_look one = {.damage = of_all, .arg = &s};
    int rc = look_at(sink, NULL, b->name, b->size, &one, err);

    look->objects += one.objects;
    return rc;
}

int bk_archive_look(struct bk_store *store, struct bk_sink *sink, const struct bk_manifest *m,
                    struct bk_look *look, struct bk_err *err)
{
    int rc = BAKE_OK;

    (void)store;
    for (size_t i = 0; i < m->n_bundles && rc >= 0; i++)
        rc = look_at_bundle(sink, m, &m->bundles[i], look, err);
    for (size_t i = 0; i < m->n_comps && rc >= 0; i++)
        for (size_t k = 0; k < m->comps[i].n_objects && rc >= 0; k++)
            rc = look_at_own(sink, m, &m->comps[i], &m->comps[i].objects[k], look, err);
    return rc;
}
