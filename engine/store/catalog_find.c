/* Finding a backup by what was asked for. */
#include "store/catalog.h"

#include <string.h>

/* What a host that goes by another name now, or a new container of a sidecar, is looking for. */
static int none_here(const struct bk_catalog *c, struct bk_err *err)
{
    return bk_fail(err, BK_E_NOSTORE,
                   "there is no backup of this host, but %zu of others, the newest of '%s'\n"
                   "HINT: --host '%s', or --host '*' for all",
                   c->n_elsewhere, c->elsewhere, c->elsewhere);
}

static int none_found(const struct bk_catalog *c, int64_t before_ns, struct bk_err *err)
{
    if (before_ns > 0 && c->n + c->n_foreign > 0)
        return bk_fail(err, BK_E_NOSTORE,
                       "there is no backup from then or before\n"
                       "HINT: 'bakengine list' shows which there are");
    if (c->n_elsewhere > 0)
        return none_here(c, err);
    return bk_fail(err, BK_E_NOSTORE, "there is no backup yet\nHINT: 'bakengine run' makes one");
}

static bool is_before(const struct bk_backup *b, int64_t before_ns)
{
    return before_ns <= 0 || bk_backup_time(b) <= before_ns;
}

static int find_newest(const struct bk_catalog *c, int64_t before_ns, const struct bk_backup **ret,
                       struct bk_err *err)
{
    for (size_t i = c->n; i-- > 0;) {
        if (c->backups[i].manifest && is_before(&c->backups[i], before_ns)) {
            *ret = &c->backups[i];
            return BAKE_OK;
        }
    }
    for (size_t i = c->n > 0 ? 0 : c->n_foreign; i-- > 0;) {
        if (is_before(&c->foreign[i], before_ns)) {
            *ret = &c->foreign[i];
            return BAKE_OK;
        }
    }
    return none_found(c, before_ns, err);
}

static bool holds_stack(const struct bk_backup *b, const char *stack)
{
    size_t n = strlen(stack);

    if (b->foreign)
        return bk_streq(b->foreign->stack, stack);
    for (size_t i = 0; b->manifest && i < b->manifest->n_comps; i++) {
        const struct bk_mcomp *c = &b->manifest->comps[i];

        if (c->status != BK_STATUS_FAILED && strncmp(c->name, stack, n) == 0 && c->name[n] == '/')
            return true;
    }
    return false;
}

static const struct bk_backup *newest_with(const struct bk_backup *all, size_t n, const char *stack,
                                           int64_t before_ns)
{
    while (n-- > 0)
        if (is_before(&all[n], before_ns) && holds_stack(&all[n], stack))
            return &all[n];
    return NULL;
}

int bk_catalog_latest_with(const struct bk_catalog *c, const char *stack, int64_t before_ns,
                           const struct bk_backup **ret, struct bk_err *err)
{
    const struct bk_backup *own = newest_with(c->backups, c->n, stack, before_ns);
    const struct bk_backup *foreign = newest_with(c->foreign, c->n_foreign, stack, before_ns);

    if (!own && !foreign && c->n == 0 && c->n_elsewhere > 0)
        return none_here(c, err);
    if (!own && !foreign)
        return bk_fail(err, BK_E_NOSTORE,
                       "there is no backup of the stack '%s'%s\n"
                       "HINT: 'bakengine list' shows which backups there are",
                       stack, before_ns > 0 ? " from then or before" : "");
    *ret = !foreign || (own && bk_backup_time(own) >= bk_backup_time(foreign)) ? own : foreign;
    return BAKE_OK;
}

struct match {
    const struct bk_backup *found;
    size_t n;
    bool exact;
};

static void match_all(const struct bk_backup *all, size_t n, const char *id, struct match *m)
{
    for (size_t i = 0; i < n && !m->exact; i++) {
        const struct bk_backup *b = &all[i];

        m->exact = bk_streq(b->id, id) || (b->foreign && bk_streq(b->foreign->object, id));
        if (!m->exact && !bk_starts(b->id, id))
            continue;
        m->found = b; /* if exact, as it is, though it begins others too */
        m->n = m->exact ? 1 : m->n + 1;
    }
}

int bk_catalog_find(const struct bk_catalog *c, const char *id, int64_t before_ns,
                    const struct bk_backup **ret, struct bk_err *err)
{
    struct match m = {0};

    if (bk_streq(id, "latest"))
        return find_newest(c, before_ns, ret, err);
    match_all(c->backups, c->n, id, &m);
    match_all(c->foreign, c->n_foreign, id, &m);
    if (m.n > 1)
        return bk_fail(err, BK_E_USAGE, "'%s' is the beginning of more than one backup's id", id);
    if (!m.found)
        return bk_fail(err, BK_E_NOSTORE,
                       "there is no backup '%s'\nHINT: 'bakengine list' shows which there are", id);
    if (!m.found->manifest && !m.found->foreign) {
        if (err)
            *err = m.found->damage;
        return m.found->damage.rc;
    }
    *ret = m.found;
    return BAKE_OK;
}
