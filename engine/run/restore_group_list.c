/* The groups that a restore consists of, and what is said of them. */
#include "run/restore_group.h"

#include "base/cleanup.h"

#include <string.h>

/* ---- forming groups -------------------------------------------------------------------------- */

static bool same_group(const struct bk_pipeline *p, const struct bk_mcomp *a,
                       const struct bk_mcomp *b)
{
    return bk_streq(a->group, b->group) && bk_restore_part(p, a) == bk_restore_part(p, b);
}

static bool is_grouped(const struct bk_pipeline *p, const struct bk_mcomp *c)
{
    return p->n_sources > 0 && bk_restore_grouped(p, c);
}

/* Moves those that `like` belongs with (NULL: those of no group) from old to *next. */
static size_t gather(const struct bk_pipeline *p, const struct bk_mcomp **old, size_t n,
                     const struct bk_mcomp *like, const struct bk_mcomp **next)
{
    size_t moved = 0;

    for (size_t i = 0; i < n; i++) {
        if (!old[i] || is_grouped(p, old[i]) != (like != NULL) ||
            (like && !same_group(p, old[i], like)))
            continue;
        next[moved++] = old[i];
        old[i] = NULL;
    }
    return moved;
}

int bk_rgroups_make(const struct bk_pipeline *p, const struct bk_mcomp **comps,
                    struct bk_restored *results, size_t n, struct bk_rgroup **ret, size_t *ret_n,
                    size_t *ret_alone, struct bk_err *err)
{
    const struct bk_mcomp **old BK_FREE = calloc(n + 1, sizeof(struct bk_mcomp *));
    struct bk_rgroup *groups = calloc(n + 1, sizeof(*groups));
    size_t done, n_groups = 0;

    if (!old || !groups) {
        free(groups);
        return bk_nomem(err);
    }
    memcpy(old, comps, n * sizeof(struct bk_mcomp *));
    done = *ret_alone = gather(p, old, n, NULL, comps);
    for (size_t i = 0; i < n; i++) {
        const struct bk_mcomp *like = old[i];
        struct bk_rgroup *g = &groups[n_groups];

        if (!like)
            continue;
        g->name = like->group;
        g->part = bk_restore_part(p, like);
        g->comps = &comps[done];
        g->results = &results[done];
        g->status = BK_RGROUP_UNDONE; /* until it is done */
        g->n = gather(p, old, n, like, &comps[done]);
        done += g->n;
        n_groups++;
    }
    *ret = groups;
    *ret_n = n_groups;
    return BAKE_OK;
}

void bk_rgroups_free(struct bk_rgroup *groups, size_t n)
{
    for (size_t i = 0; groups && i < n; i++)
        json_decref(groups[i].facts);
    free(groups);
}

/* ---- choices ----------------------------------------------------------------------------------
 */

/* One group, and nothing beside it. */
static int check_one(const char *flag, const struct bk_rgroup *groups, size_t n, size_t alone,
                     struct bk_err *err)
{
    if (n > 1)
        return bk_fail(err, BK_E_USAGE,
                       "'--%s' takes one group, and these are of '%s' and '%s'\n"
                       "HINT: choose one with --stack or --component",
                       flag, groups[0].name, groups[1].name);
    if (alone > 0)
        return bk_fail(err, BK_E_USAGE,
                       "'--%s' takes one group and nothing beside it\n"
                       "HINT: choose one with --stack or --component",
                       flag);
    return BAKE_OK;
}

/* Names below their source's are the source's to give; others stand for something of their own. */
static int check_as_name(const struct bk_rgroup *g, struct bk_err *err)
{
    if (g->part->plugin->source.traits & BAKE_NAMES_BELOW)
        return BAKE_OK;
    return bk_fail(err, BK_E_USAGE, "'--as-database' is not for what source '%s' (%s) restores",
                   g->part->name, g->part->plugin->desc.name);
}

static int check_paths(const struct bk_rgroup *g, struct bk_err *err)
{
    bool parts = g->part->plugin->source.traits & BAKE_HAS_PARTS;

    for (size_t i = 0; i < g->n; i++)
        if (!parts || g->comps[i]->kind != BAKE_BLOB)
            return bk_fail(err, BK_E_USAGE,
                           "'--path' cannot be used with component '%s', since group '%s' is "
                           "restored as a whole\n"
                           "HINT: restore to a directory with --target",
                           g->comps[i]->name, g->name);
    return BAKE_OK;
}

int bk_rgroups_check(const struct bk_restore_opts *opts, const struct bk_rgroup *groups, size_t n,
                     size_t alone, struct bk_err *err)
{
    const char *flag = opts->as_project   ? "as-project"
                       : opts->as_name    ? "as-database"
                       : opts->skip_stop  ? "skip-stop"
                       : opts->skip_start ? "skip-start"
                                          : NULL;
    int rc = BAKE_OK;

    if (n == 0 && flag)
        return bk_fail(err, BK_E_USAGE,
                       "'--%s' is for components that are restored as a group, and none of these "
                       "is",
                       flag);
    if (opts->as_project || opts->as_name)
        rc = check_one(flag, groups, n, alone, err);
    if (rc >= 0 && opts->as_name)
        rc = check_as_name(&groups[0], err);
    for (size_t i = 0; rc >= 0 && i < n && opts->paths.n > 0; i++)
        rc = check_paths(&groups[i], err);
    return rc;
}

/* ---- events ---------------------------------------------------------------------------------- */

const char *bk_rgroup_status_name(enum bk_rgroup_status status)
{
    static const char *const names[] = {"ok", "partial", "undone", "failed"};

    return names[status];
}

void bk_rgroup_events(struct bk_reporter *reporter, const struct bk_rgroup *g)
{
    json_t *e = bk_event("group");

    for (size_t i = 0; i < g->n; i++)
        bk_restored_event(reporter, g->comps[i], &g->results[i]);
    bk_json_set_str(e, "name", g->name);
    bk_json_set_str(e, "source", g->part->name);
    bk_json_set_str(e, "status", bk_rgroup_status_name(g->status));
    bk_json_set_u64(e, "components", g->n);
    if (g->facts)
        json_object_set(e, "facts", g->facts);
    bk_event_send(reporter, e);
}

int bk_rgroup_plan(const struct bk_restore_env *env, struct bk_rgroup *g, json_t *list,
                   size_t *ret_bad, struct bk_err *err)
{
    uint32_t *stage BK_FREE = calloc(g->n + 1, sizeof(*stage));
    json_t *j = json_object(), *comps = json_array();
    struct bk_err why = {0};
    int rc = stage ? bk_restore_group_stages(env, g, stage, &why) : bk_nomem(&why);

    bk_json_set_str(j, "name", g->name);
    bk_json_set_str(j, "source", g->part->name);
    json_object_set_new(j, "components", comps);
    for (size_t i = 0; i < g->n; i++) {
        json_t *c = json_object();

        bk_json_set_str(c, "name", g->comps[i]->name);
        if (rc >= 0 && !g->results[i].fatal)
            bk_json_set_u64(c, "stage", stage[i]);
        json_array_append_new(comps, c);
    }
    if (rc < 0)
        bk_json_set_str(j, "error", why.text);
    json_array_append_new(list, j);
    if (rc == BAKE_E_CANCELLED || rc == BAKE_E_NOMEM) {
        *err = why;
        return rc;
    }
    *ret_bad += rc < 0;
    return BAKE_OK;
}
