/* What a backup's manifest says of its bundles, and taking them back. */
#include "store/bundle_private.h"

#include "base/cleanup.h"

#include <string.h>

static void drop_component(struct bk_store *store, const char *id, struct bk_mcomp *c)
{
    for (size_t i = 0; i < c->n_objects; i++) { /* its listing */
        char *name BK_FREE = bk_backup_object(id, c->objects[i].name);
        struct bk_err ignored;

        if (name)
            (void)bk_store_remove(store, name, &ignored);
        free(c->objects[i].name);
        free(c->objects[i].role);
    }
    c->n_objects = 0;
    c->bytes_stored = 0;
    bk_part_of_release(&c->in);
}

static int fail_component(struct bk_bundlew *b, const struct bk_manifest *m, struct bk_mcomp *c,
                          struct bk_err *err)
{
    drop_component(b->all->store, m->id, c);
    c->sha256[0] = '\0';
    if (c->status == BK_STATUS_FAILED)
        return BAKE_OK;
    c->status = BK_STATUS_FAILED;
    free(c->error);
    c->error = bk_strdup(b->failed.text);
    return c->error ? BAKE_OK : bk_nomem(err);
}

static int tell_one(struct bk_bundlew *b, struct bk_manifest *m, struct bk_err *err)
{
    struct bk_bundle *to = &m->bundles[m->n_bundles];
    const struct bk_store *store = b->all->store;
    int rc = BAKE_OK;

    for (size_t i = 0; b->failed.rc < 0 && b->name && i < m->n_comps && rc >= 0; i++)
        if (bk_streq(m->comps[i].in.bundle, b->name))
            rc = fail_component(b, m, &m->comps[i], err);
    if (rc < 0 || b->failed.rc < 0 || !b->stored)
        return rc;
    m->n_bundles++;
    to->name = bk_strdup(b->name);
    to->size = b->result.stored_size;
    memcpy(to->sha256, b->result.stored_sha256, sizeof(to->sha256));
    memcpy(to->plain_sha256, b->result.plain_sha256, sizeof(to->plain_sha256));
    for (size_t i = 0; i < store->n_transforms; i++)
        if (bk_strv_add(&to->transforms, store->transforms[i].plugin->desc.name) < 0)
            return bk_nomem(err);
    return to->name ? BAKE_OK : bk_nomem(err);
}

static bool all_failed(const struct bk_manifest *m)
{
    for (size_t i = 0; i < m->n_comps; i++)
        if (m->comps[i].status != BK_STATUS_FAILED)
            return false;
    return m->n_comps > 0;
}

int bk_bundles_seal(struct bk_store *store, struct bk_manifest *m, struct bk_err *err)
{
    struct bk_bundles *all = store->bundles;
    struct bk_err why = {0};
    size_t n = 0;
    int rc = BAKE_OK;

    if (!all)
        return BAKE_OK;
    for (struct bk_bundlew *b = all->first; b; b = b->next, n++) {
        rc = bk_bundle_end(b, &why);
        if (rc == BAKE_E_CANCELLED || rc == BAKE_E_NOMEM) {
            if (err)
                *err = why;
            return rc;
        }
    }
    m->bundles = calloc(n + 1, sizeof(*m->bundles));
    if (!m->bundles)
        return bk_nomem(err);
    rc = BAKE_OK;
    for (struct bk_bundlew *b = all->first; b && rc >= 0; b = b->next)
        rc = tell_one(b, m, err);
    if (rc >= 0 && all_failed(m)) {
        if (why.rc < 0 && err)
            *err = why;
        rc = why.rc < 0 ? why.rc : bk_fail(err, BAKE_E_IO, "every component failed");
    }
    return rc;
}

void bk_bundles_undo(struct bk_store *store)
{
    for (struct bk_bundlew *b = store->bundles ? store->bundles->first : NULL; b; b = b->next) {
        struct bk_err why = {BAKE_E_CANCELLED, "the run has failed", ""};

        if (!b->ended)
            bk_bundle_note(b, &why); /* so that it is not put after all */
        (void)bk_bundle_end(b, &why);
        bk_bundle_remove(b);
    }
}
