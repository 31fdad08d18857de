/* What has no meaning any more, once packs are gone. */
#include "base/cleanup.h"
#include "base/log.h"
#include "run/prune.h"
#include "run/sweep_private.h"

#include <string.h>

static int remove_one(struct bk_sweep *s, const char *name, struct bk_err *err)
{
    int rc = bk_sweep_check(s, err);

    if (rc >= 0)
        rc = bk_sink_remove(s->sink, name, err);
    return rc == BAKE_E_NOTFOUND ? BAKE_OK : rc;
}

/* ---- moved/ ---------------------------------------------------------------------------------- */

/* Its backups are gone, or none of its packs is left that could be needed by another. */
static bool means_something(const struct bk_sweep *s, const struct bk_moved *m)
{
    for (size_t i = 0; i < s->n_backups; i++)
        if (bk_moved_names(m, s->backups[i]))
            return true;
    for (size_t i = 0; i < m->n_moves; i++) {
        const struct bk_sweep_pack *p = bk_sweep_pack_of(s, &m->moves[i].from);

        if (p && !p->gone)
            return true;
    }
    return false;
}

static int clean_moved(struct bk_sweep *s, struct bk_err *err)
{
    int rc = BAKE_OK;

    for (size_t i = 0; i < s->moves.n && rc >= 0; i++)
        if (!means_something(s, &s->moves.items[i]))
            rc = remove_one(s, s->moves.items[i].name, err);
    return rc;
}

/* ---- bad/, gc/ ------------------------------------------------------------------------------- */

struct names {
    struct bk_strv all, old; /* old: over the grace time */
    int64_t now_ns;
};

static int on_name(void *arg, const char *name, uint64_t size, int64_t mtime_ns)
{
    struct names *n = arg;

    (void)size;
    if (n->now_ns - mtime_ns >= (int64_t)BK_GARBAGE_GRACE_MS * 1000000 &&
        bk_strv_add(&n->old, name) < 0)
        return BAKE_E_NOMEM;
    return bk_strv_add(&n->all, name);
}

static int list(struct bk_sweep *s, const char *prefix, struct names *ret, struct bk_err *err)
{
    int rc;

    memset(ret, 0, sizeof(*ret));
    ret->now_ns = s->now_ns;
    rc = bk_sink_list(s->sink, prefix, on_name, ret, err);
    if (rc == BAKE_E_NOMEM)
        rc = bk_nomem(err);
    return rc < 0 ? rc : BAKE_OK;
}

static void names_release(struct names *n)
{
    bk_strv_free(&n->all);
    bk_strv_free(&n->old);
}

/* The pack may be younger than the listing, so the sink is asked. */
static int clean_bad_one(struct bk_sweep *s, const char *name, struct bk_err *err)
{
    char pack[BK_PACK_NAME_CAP];
    const struct bk_sweep_pack *p;
    uint64_t size;
    int64_t mtime;
    bk_id id;
    int rc;

    if (!bk_unhex(name + strlen(BK_BAD), id.b, sizeof(id.b)))
        return BAKE_OK;
    p = bk_sweep_pack_of(s, &id);
    if (p && !p->gone)
        return BAKE_OK;
    bk_pack_name(&id, pack);
    rc = bk_sink_stat(s->sink, pack, &size, &mtime, err);
    return rc == BAKE_E_NOTFOUND ? remove_one(s, name, err) : rc;
}

static int clean_bad(struct bk_sweep *s, struct bk_err *err)
{
    struct names n;
    int rc = list(s, BK_BAD, &n, err);

    for (size_t i = 0; i < n.all.n && rc >= 0; i++)
        rc = clean_bad_one(s, n.all.items[i], err);
    names_release(&n);
    return rc;
}

/* What prunes left that were killed. */
static int clean_gc(struct bk_sweep *s, struct bk_err *err)
{
    struct names n;
    int rc = list(s, BK_GC "clock-", &n, err);

    for (size_t i = 0; i < n.old.n && rc >= 0; i++)
        rc = remove_one(s, n.old.items[i], err);
    for (size_t i = 0; i < s->condemned.loose.n && rc >= 0; i++)
        rc = remove_one(s, s->condemned.loose.items[i], err);
    names_release(&n);
    return rc;
}

/* ---- indexes/ -------------------------------------------------------------------------------- */

static int confirm(void *arg, struct bk_err *err) { return bk_sweep_check(arg, err); }

static int replace_index(struct bk_sweep *s, bool thorough, struct bk_err *err)
{
    struct bk_index_keep keep = {.confirm = confirm, .arg = s};
    struct bk_index *x;
    int rc = bk_index_open(s->store, s->sink, 0, &x, err);

    if (rc < 0)
        return rc;
    if ((thorough && s->counts.removed > 0) || bk_index_scattered(x))
        rc = bk_index_replace(x, &keep, err);
    if (rc >= 0)
        rc = bk_index_save(x, err);
    bk_index_free(x);
    return rc;
}

static int clean_index(struct bk_sweep *s, bool thorough, struct bk_err *err)
{
    struct names n;
    int rc = list(s, "indexes/", &n, err);
    bool look = (thorough && s->counts.removed > 0) || n.all.n > BK_SWEEP_OBJECTS;

    names_release(&n);
    return rc < 0 || !look ? rc : replace_index(s, thorough, err);
}

int bk_sweep_clean(struct bk_sweep *s, bool thorough, struct bk_err *err)
{
    int rc;

    if (!s->lease)
        return BAKE_OK;
    if ((rc = clean_moved(s, err)) < 0 || (rc = clean_bad(s, err)) < 0 ||
        (rc = clean_gc(s, err)) < 0)
        return rc;
    return clean_index(s, thorough, err);
}
