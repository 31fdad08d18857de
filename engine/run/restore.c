/* The restore verb. */
#include "run/restore.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/num.h"
#include "base/path.h"
#include "match/gitignore.h"
#include "run/hands.h"
#include "run/lanes.h"
#include "run/restore_component.h"

#include <string.h>
#include <sys/statvfs.h>

struct restore {
    struct bk_session *session;
    const struct bk_restore_opts *opts;
    const struct bk_manifest *manifest;
    const struct bk_mcomp **chosen;
    size_t n_chosen;
    struct bk_restored *results; /* one per chosen */
    size_t hands;                /* for each component */
};

static bool wanted_by(const char *glob, const char *name)
{
    char *other BK_FREE = NULL;

    if (bkc_glob_beneath(glob, name))
        return true;
    /* The seeds' words: "config" for a stack's <stack>/config, "volume:NAME" for volumes/NAME. */
    if (bk_streq(glob, "config"))
        return bkc_glob_beneath("**/config", name);
    if (!bk_starts(glob, "volume:"))
        return false;
    other = bk_asprintf("**/volumes/%s", glob + strlen("volume:"));
    return other && (bkc_glob_beneath(other, name) || bkc_glob_beneath(other + 3, name));
}

bool bk_component_wanted(const struct bk_strv *globs, const char *name)
{
    for (size_t i = 0; i < globs->n; i++)
        if (wanted_by(globs->items[i], name))
            return true;
    return globs->n == 0;
}

bool bk_path_wanted(const struct bk_strv *globs, const char *path)
{
    for (size_t i = 0; i < globs->n; i++) {
        const char *glob = globs->items[i];

        if (bkc_glob_beneath(glob + strspn(glob, "/"), path))
            return true;
    }
    return globs->n == 0;
}

static int choose(struct restore *r, struct bk_err *err)
{
    r->chosen = calloc(r->manifest->n_comps + 1, sizeof(struct bk_mcomp *));
    r->results = calloc(r->manifest->n_comps + 1, sizeof(*r->results));
    if (!r->chosen || !r->results)
        return bk_nomem(err);
    for (size_t i = 0; i < r->manifest->n_comps; i++) {
        const struct bk_mcomp *c = &r->manifest->comps[i];

        if (bk_component_wanted(&r->opts->components, c->name))
            r->chosen[r->n_chosen++] = c;
    }
    if (r->n_chosen == 0)
        return bk_fail(
            err, BK_E_NOSTORE, "backup '%s' has no component '%s'\nHINT: 'bakengine ls' shows them",
            r->manifest->id, r->opts->components.n ? r->opts->components.items[0] : "at all");
    return BAKE_OK;
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

static void component_event(struct restore *r, const struct bk_mcomp *c,
                            const struct bk_restored *res)
{
    json_t *e = bk_event("component");

    bk_json_set_str(e, "name", c->name);
    bk_json_set_str(e, "status", res->failed || res->fatal ? "partial" : "ok");
    bk_json_set_u64(e, "entries", res->entries);
    bk_json_set_u64(e, "bytes", res->bytes);
    bk_json_set_u64(e, "kept", res->kept);
    bk_json_set_u64(e, "failed", res->failed);
    bk_event_send(r->session->reporter, e);
}

static int work(void *arg, size_t i, struct bk_err *err)
{
    struct restore *r = arg;
    int rc = bk_restore_component(r->session, r->opts, r->manifest, r->chosen[i], r->hands,
                                  &r->results[i], err);

    if (rc >= 0)
        component_event(r, r->chosen[i], &r->results[i]);
    return rc;
}

static int judge(const struct restore *r, struct bk_err *err)
{
    uint64_t failed = 0, kept = 0, entries = 0;

    for (size_t i = 0; i < r->n_chosen; i++) {
        failed += r->results[i].failed + (r->results[i].fatal ? 1 : 0);
        kept += r->results[i].kept;
        entries += r->results[i].entries;
    }
    if (failed > 0)
        return bk_fail(err, entries > 0 ? BK_E_PARTIAL : BAKE_E_CORRUPT,
                       "%llu thing%s could not be restored, as named above",
                       (unsigned long long)failed, failed == 1 ? "" : "s");
    if (kept > 0)
        return bk_fail(err, BK_E_PARTIAL,
                       "%llu existing file%s from the backup and %s kept\n"
                       "HINT: use --force to replace what differs",
                       (unsigned long long)kept, kept == 1 ? " differs" : "s differ",
                       kept == 1 ? "was" : "were");
    if (entries == 0 && r->opts->paths.n > 0)
        return bk_fail(err, BK_E_NOSTORE, "nothing in backup '%s' matches --path '%s'",
                       r->manifest->id, r->opts->paths.items[0]);
    return BAKE_OK;
}

static int plan_event(struct restore *r, struct bk_err *err)
{
    json_t *e = bk_event("plan"), *list = json_array();
    int rc = BAKE_OK;

    bk_json_set_str(e, "id", r->manifest->id);
    bk_json_set_str(e, "target", r->opts->target);
    json_object_set_new(e, "components", list);
    for (size_t i = 0; i < r->n_chosen && rc >= 0; i++) {
        const struct bk_mcomp *c = r->chosen[i];
        json_t *j = json_object();
        uint64_t entries = c->entries, bytes = c->bytes_in;

        if (r->opts->paths.n > 0)
            rc = bk_restore_count(r->session, r->opts, r->manifest, c, &entries, &bytes, err);
        bk_json_set_str(j, "name", c->name);
        bk_json_set_str(j, "kind", c->kind == BAKE_TREE ? "tree" : "blob");
        bk_json_set_str(j, "source", c->source);
        bk_json_set_u64(j, "entries", entries);
        bk_json_set_u64(j, "bytes", bytes);
        json_array_append_new(list, j);
    }
    if (rc < 0)
        json_decref(e);
    else
        bk_event_send(r->session->reporter, e);
    return rc;
}

static int restore_chosen(struct restore *r, struct bk_err *err)
{
    struct bk_progress *progress = &r->session->reporter->progress;
    size_t parallel = (size_t)r->session->pipeline->parallel;
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
    r->hands = bk_hands_share(r->n_chosen < parallel ? r->n_chosen : parallel);
    rc = bk_reporter_start(r->session->reporter, err);
    if (rc >= 0)
        rc = bk_lanes_run(r->n_chosen, parallel, work, r, err);
    bk_reporter_stop(r->session->reporter);
    return rc < 0 ? rc : judge(r, err);
}

static void summary(struct restore *r, int rc, uint64_t start_ms)
{
    uint64_t entries = 0, bytes = 0, kept = 0, failed = 0;
    json_t *e = bk_event("summary");

    for (size_t i = 0; i < r->n_chosen; i++) {
        entries += r->results[i].entries;
        bytes += r->results[i].bytes;
        kept += r->results[i].kept;
        failed += r->results[i].failed + (r->results[i].fatal ? 1 : 0);
    }
    bk_json_set_str(e, "verb", "restore");
    bk_json_set_bool(e, "dry_run", r->opts->dry_run);
    bk_json_set_str(e, "status", rc >= 0 ? "ok" : rc == BK_E_PARTIAL ? "partial" : "failed");
    bk_json_set_str(e, "id", r->manifest ? r->manifest->id : NULL);
    bk_json_set_str(e, "target", r->opts->target);
    bk_json_set_u64(e, "components", r->n_chosen);
    bk_json_set_u64(e, "entries", entries);
    bk_json_set_u64(e, "bytes", bytes);
    bk_json_set_u64(e, "kept", kept);
    bk_json_set_u64(e, "failed", failed);
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

static int find_and_restore(struct restore *r, struct bk_catalog **catalog, struct bk_err *err)
{
    const struct bk_backup *b;
    int rc = bk_session_open_store(r->session, BK_STORE_READ, r->opts->from, err);

    if (rc >= 0)
        rc = bk_session_catalog(r->session, r->opts->host, 0, catalog, err);
    if (rc >= 0) {
        warn_of_newer(r, *catalog);
        rc = bk_catalog_find(*catalog, r->opts->id, r->opts->at_ns, &b, err);
    }
    if (rc < 0)
        return rc;
    r->manifest = b->manifest;
    return restore_chosen(r, err);
}

int bk_restore(struct bk_session *s, const struct bk_restore_opts *opts, struct bk_err *err)
{
    struct restore r = {.session = s, .opts = opts};
    struct bk_catalog *catalog = NULL;
    uint64_t start_ms = bk_monotonic_ms();
    int rc = find_and_restore(&r, &catalog, err);

    summary(&r, rc, start_ms);
    free(r.chosen);
    free(r.results);
    bk_catalog_free(catalog);
    return rc;
}
