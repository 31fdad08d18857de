/* The restore verb. */
#include "run/restore.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/num.h"
#include "run/hands.h"
#include "run/lanes.h"
#include "run/restore_group.h"
#include "run/wal_keep.h"

#include <string.h>
#include <sys/statvfs.h>

struct restore {
    struct bk_session *session;
    const struct bk_restore_opts *opts;
    const struct bk_manifest *manifest;
    const struct bk_mcomp **chosen; /* first those that are restored each by itself */
    size_t n_chosen, n_alone;
    struct bk_restored *results; /* one per chosen */
    struct bk_rgroup *groups;
    size_t n_groups;
    size_t lanes; /* components side by side, in each group */
    struct bk_restore_env env;
};

static bool of_stack(const char *stack, const char *name)
{
    size_t n = stack ? strlen(stack) : 0;

    return !stack || (bk_starts(name, stack) && name[n] == '/');
}

static int nothing_chosen(const struct restore *r, struct bk_err *err)
{
    const char *id = r->manifest->id, *stack = r->opts->stack;
    const char *glob = r->opts->components.n ? r->opts->components.items[0] : NULL;

    if (stack)
        bk_fail(err, BK_E_NOSTORE, "backup '%s' has no component of '%s'%s%s%s", id, stack,
                glob ? " that matches '" : "", glob ? glob : "", glob ? "'" : "");
    else
        bk_fail(err, BK_E_NOSTORE, "backup '%s' has no component '%s'", id, glob ? glob : "at all");
    bk_hint(err, "'bakengine ls' shows them");
    return BK_E_NOSTORE;
}

static int choose(struct restore *r, struct bk_err *err)
{
    int rc;

    r->chosen = calloc(r->manifest->n_comps + 1, sizeof(struct bk_mcomp *));
    r->results = calloc(r->manifest->n_comps + 1, sizeof(*r->results));
    if (!r->chosen || !r->results)
        return bk_nomem(err);
    for (size_t i = 0; i < r->manifest->n_comps; i++) {
        const struct bk_mcomp *c = &r->manifest->comps[i];

        if (of_stack(r->opts->stack, c->name) && bk_component_wanted(&r->opts->components, c->name))
            r->chosen[r->n_chosen++] = c;
    }
    r->n_alone = r->n_chosen;
    if (r->n_chosen == 0)
        return nothing_chosen(r, err);
    if (r->opts->target)
        return BAKE_OK;
    rc = bk_rgroups_make(r->session->pipeline, r->chosen, r->results, r->n_chosen, &r->groups,
                         &r->n_groups, &r->n_alone, err);
    return rc < 0 ? rc : bk_rgroups_check(r->opts, r->groups, r->n_groups, r->n_alone, err);
}

/* Early, so that hours of writing do not end in a full disk. */
static int check_space(const struct restore *r, struct bk_err *err)
{
    char need[24], have[24];
    uint64_t bytes = 0, room;
    struct statvfs fs;

    if (!r->opts->target || r->opts->paths.n > 0 || statvfs(r->opts->target, &fs) < 0)
        return BAKE_OK;
    for (size_t i = 0; i < r->n_chosen; i++)
        bytes += r->chosen[i]->bytes_in;
    room = (uint64_t)fs.f_bavail * fs.f_frsize;
    if (bytes <= room)
        return BAKE_OK;
    return bk_fail(err, BAKE_E_NOSPACE,
                   "'%s' has %s free, the restore needs %s\n"
                   "HINT: choose another --target, or less with --component or --path",
                   r->opts->target, bk_format_size(have, sizeof(have), room),
                   bk_format_size(need, sizeof(need), bytes));
}

static int work(void *arg, size_t i, struct bk_err *err)
{
    struct restore *r = arg;
    int rc = bk_restore_component(&r->env, r->chosen[i], &r->results[i], err);

    if (rc >= 0)
        bk_restored_event(r->session->reporter, r->chosen[i], &r->results[i]);
    return rc;
}

static int work_group(void *arg, size_t i, struct bk_err *err)
{
    struct restore *r = arg;
    int rc;

    if (bk_cancelled(r->session->cancel))
        return bk_fail(err, BAKE_E_CANCELLED, "cancelled");
    rc = bk_restore_group(&r->env, r->lanes, &r->groups[i], err);
    bk_rgroup_events(r->session->reporter, &r->groups[i]);
    return rc;
}

/* ---- what came of it ------------------------------------------------------------------------- */

struct sums {
    uint64_t entries, bytes, kept; /* restored; what was undone does not count */
    uint64_t failed, lacking, committed;
    uint64_t undone, broken; /* groups */
};

static struct sums sum_up(const struct restore *r)
{
    struct sums sum = {0};

    for (size_t i = 0; i < r->n_chosen; i++) {
        const struct bk_restored *res = &r->results[i];

        if (res->undone)
            continue;
        sum.entries += res->entries;
        sum.bytes += res->bytes;
        sum.kept += res->kept;
        sum.failed += res->failed + (res->fatal ? 1 : 0);
        sum.lacking += res->lacking;
        sum.committed += res->committed;
    }
    for (size_t i = 0; i < r->n_groups && !r->opts->dry_run; i++) {
        sum.undone += r->groups[i].status == BK_RGROUP_UNDONE;
        sum.broken += r->groups[i].status == BK_RGROUP_FAILED;
        /* What the source reported of the group as a whole. */
        sum.lacking += r->groups[i].status == BK_RGROUP_PARTIAL;
    }
    return sum;
}

static int judge_groups(const struct sums *sum, struct bk_err *err)
{
    if (sum->broken > 0)
        return bk_fail(err, BAKE_E_IO,
                       "%llu group%s could not be put back as %s before, as named above\n"
                       "HINT: 'bakengine doctor --redeem' tries again",
                       (unsigned long long)sum->broken, sum->broken == 1 ? "" : "s",
                       sum->broken == 1 ? "it was" : "they were");
    return bk_fail(err, sum->committed > 0 ? BK_E_PARTIAL : BAKE_E_IO,
                   "%llu group%s could not be restored and %s as before, for the reasons above",
                   (unsigned long long)sum->undone, sum->undone == 1 ? "" : "s",
                   sum->undone == 1 ? "is" : "are");
}

static int judge(const struct restore *r, struct bk_err *err)
{
    struct sums sum = sum_up(r);

    if (sum.broken + sum.undone > 0)
        return judge_groups(&sum, err);
    if (sum.failed > 0)
        return bk_fail(err, sum.entries > 0 ? BK_E_PARTIAL : BAKE_E_CORRUPT,
                       "%llu thing%s could not be restored, as named above",
                       (unsigned long long)sum.failed, sum.failed == 1 ? "" : "s");
    if (sum.lacking > 0)
        return bk_fail(err, BK_E_PARTIAL, "not all could be restored as it was, as named above");
    if (sum.kept > 0)
        return bk_fail(err, BK_E_PARTIAL,
                       "%llu existing file%s from the backup and %s kept\n"
                       "HINT: use --force to replace what differs",
                       (unsigned long long)sum.kept, sum.kept == 1 ? " differs" : "s differ",
                       sum.kept == 1 ? "was" : "were");
    if (sum.entries == 0 && r->opts->paths.n > 0)
        return bk_fail(err, BK_E_NOSTORE, "nothing in backup '%s' matches --path '%s'",
                       r->manifest->id, r->opts->paths.items[0]);
    return BAKE_OK;
}

/* ---- the verb -------------------------------------------------------------------------------- */

static int plan_component(struct restore *r, const struct bk_mcomp *c, json_t *list,
                          struct bk_err *err)
{
    uint64_t entries = c->entries, bytes = c->bytes_in;
    json_t *j = json_object();
    int rc = BAKE_OK;

    if (r->opts->paths.n > 0 && c->kind == BAKE_TREE)
        rc = bk_restore_count(&r->env, c, &entries, &bytes, err);
    bk_json_set_str(j, "name", c->name);
    bk_json_set_str(j, "kind", c->kind == BAKE_TREE ? "tree" : "blob");
    bk_json_set_str(j, "source", c->source);
    bk_json_set_str(j, "group", c->group);
    bk_json_set_u64(j, "entries", entries);
    bk_json_set_u64(j, "bytes", bytes);
    json_array_append_new(list, j);
    return rc;
}

static void add_strings(json_t *e, const char *key, const struct bk_strv *v)
{
    json_t *list = v->n > 0 ? json_array() : NULL;

    for (size_t i = 0; list && i < v->n; i++)
        json_array_append_new(list, json_string(v->items[i]));
    if (list)
        json_object_set_new(e, key, list);
}

/* How it is to be done, as it was asked for. */
static void plan_choices(const struct restore *r, json_t *e)
{
    bk_json_set_str(e, "target", r->opts->target);
    bk_json_set_str(e, "as_database", r->opts->as_name);
    if (r->opts->at_ns > 0)
        bk_json_set_time(e, "at", r->opts->at_ns);
    add_strings(e, "paths", &r->opts->paths);
    add_strings(e, "set", &r->session->pipeline->set);
}

static int plan_event(struct restore *r, struct bk_err *err)
{
    json_t *e = bk_event("plan"), *list = json_array(), *groups = json_array();
    size_t bad = 0;
    int rc = BAKE_OK;

    bk_json_set_str(e, "id", r->manifest->id);
    plan_choices(r, e);
    json_object_set_new(e, "components", list);
    json_object_set_new(e, "groups", groups);
    for (size_t i = 0; i < r->n_chosen && rc >= 0; i++)
        rc = plan_component(r, r->chosen[i], list, err);
    for (size_t i = 0; i < r->n_groups && rc >= 0; i++)
        rc = bk_rgroup_plan(&r->env, &r->groups[i], groups, &bad, err);
    if (rc < 0) {
        json_decref(e);
        return rc;
    }
    bk_event_send(r->session->reporter, e);
    if (bad > 0)
        return bk_fail(err, BK_E_PARTIAL, "%zu group%s could not be restored as things are", bad,
                       bad == 1 ? "" : "s");
    return BAKE_OK;
}

static int restore_all(struct restore *r, struct bk_err *err)
{
    const struct bk_pipeline *p = r->session->pipeline;
    size_t parallel = (size_t)p->parallel, side = (size_t)p->parallel_groups;
    int rc;

    r->env.hands = bk_hands_share(r->n_chosen < parallel ? r->n_chosen : parallel);
    rc = bk_lanes_run(r->n_alone, parallel, work, r, err);
    if (rc < 0)
        return rc;
    side = r->n_groups < side ? r->n_groups : side;
    r->lanes = side > 0 && parallel / side > 0 ? parallel / side : 1;
    return bk_lanes_run(r->n_groups, side, work_group, r, err);
}

static int restore_chosen(struct restore *r, struct bk_err *err)
{
    struct bk_progress *progress = &r->session->reporter->progress;
    int rc = choose(r, err);

    if (rc < 0)
        return rc;
    if (r->opts->dry_run)
        return plan_event(r, err);
    rc = check_space(r, err);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < r->n_chosen; i++)
        atomic_fetch_add(&progress->total, r->opts->paths.n ? 0 : r->chosen[i]->bytes_in);
    rc = bk_reporter_start(r->session->reporter, err);
    if (rc >= 0)
        rc = restore_all(r, err);
    bk_reporter_stop(r->session->reporter);
    return rc < 0 ? rc : judge(r, err);
}

static void summary(struct restore *r, int rc, uint64_t start_ms)
{
    struct sums sum = sum_up(r);
    json_t *e = bk_event("summary");

    bk_json_set_str(e, "verb", "restore");
    bk_json_set_bool(e, "dry_run", r->opts->dry_run);
    if (r->opts->undo)
        bk_json_set_bool(e, "undo", true);
    bk_json_set_str(e, "status", rc >= 0 ? "ok" : rc == BK_E_PARTIAL ? "partial" : "failed");
    bk_json_set_str(e, "id", r->manifest ? r->manifest->id : NULL);
    bk_json_set_str(e, "target", r->opts->target);
    bk_json_set_u64(e, "components", r->n_chosen);
    bk_json_set_u64(e, "groups", r->n_groups);
    bk_json_set_u64(e, "undone", sum.undone + sum.broken);
    bk_json_set_u64(e, "entries", sum.entries);
    bk_json_set_u64(e, "bytes", sum.bytes);
    bk_json_set_u64(e, "kept", sum.kept);
    bk_json_set_u64(e, "failed", sum.failed);
    bk_json_set_real(e, "duration", (double)(bk_monotonic_ms() - start_ms) / 1000.0);
    bk_json_set_u64(e, "exit_code", (uint64_t)bk_exit_code(rc));
    bk_event_send(r->session->reporter, e);
}

/* The latest is the newest whose manifest can be read: that it is not the newest of all is said. */
static void warn_of_newer(const struct restore *r, const struct bk_catalog *catalog)
{
    if (!bk_streq(r->opts->id, "latest") || r->opts->at_ns > 0)
        return;
    for (size_t i = catalog->n; i-- > 0 && !catalog->backups[i].manifest;)
        bk_event_note(r->session->reporter, BAKE_WARNING, NULL, catalog->backups[i].id,
                      "this newer backup cannot be used, as its manifest is damaged");
}

static int find_backup(struct restore *r, const struct bk_catalog *catalog, struct bk_err *err)
{
    const struct bk_restore_opts *opts = r->opts;
    struct bk_store *store = r->session->store;
    const struct bk_backup *b;
    int rc;

    warn_of_newer(r, catalog);
    rc = bk_wal_find(catalog, opts, &b, err);
    if (rc == BAKE_END && opts->stack && bk_streq(opts->id, "latest"))
        rc = bk_catalog_latest_with(catalog, opts->stack, opts->at_ns, &b, err);
    else if (rc == BAKE_END)
        rc = bk_catalog_find(catalog, opts->id, opts->at_ns, &b, err);
    if (rc < 0)
        return rc;
    return bk_backup_manifest(store, bk_store_base(store), b, &r->manifest, err);
}

static int find_and_restore(struct restore *r, struct bk_catalog **catalog, struct bk_err *err)
{
    int rc = bk_session_open_store(r->session, BK_STORE_READ, r->opts->from, err);

    if (rc >= 0)
        rc = bk_session_catalog(r->session, r->opts->host, BK_CATALOG_FOREIGN, catalog, err);
    if (rc >= 0)
        rc = find_backup(r, *catalog, err);
    r->env.manifest = r->manifest;
    return rc < 0 ? rc : restore_chosen(r, err);
}

int bk_restore(struct bk_session *s, const struct bk_restore_opts *opts, struct bk_err *err)
{
    struct restore r = {.session = s, .opts = opts};
    struct bk_rsources *sources = NULL;
    struct bk_catalog *catalog = NULL;
    uint64_t start_ms = bk_monotonic_ms();
    int rc = BAKE_OK;

    if (opts->target || opts->dry_run)
        bk_duty_warn();
    if (!opts->target)
        rc = bk_rsources_new(s, !opts->dry_run, &sources, err);
    r.env.session = s;
    r.env.opts = opts;
    r.env.sources = sources;
    r.env.cancel = s->cancel;
    if (rc >= 0)
        rc = opts->undo ? bk_restore_undo(&r.env, err) : find_and_restore(&r, &catalog, err);
    summary(&r, rc, start_ms);
    bk_rgroups_free(r.groups, r.n_groups);
    bk_rsources_free(sources);
    free(r.chosen);
    free(r.results);
    bk_catalog_free(catalog);
    return rc;
}
