/* Verification. quick: all that a backup needs is there with its size. read: every byte is fetched
 * and checked (verify_read.c). restore: what a source can try out is restored (drill.c). */
#include "run/verify_private.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "run/wal_keep.h"

struct work { /* what the backups of one verification have in common */
    struct bk_session *session;
    const struct bk_verify_opts *opts;
    struct bk_rsources *sources; /* NULL: nobody inspects */
    uint64_t damaged, checked, untried;
    int why; /* the first that could not be tried: its failure */
};

void bk_check_damage(struct bk_check *k, const struct bk_mcomp *c, const struct bk_err *why)
{
    pthread_mutex_lock(&k->lock);
    k->damaged++;
    if (c)
        k->broken[c - k->manifest->comps] = true;
    pthread_mutex_unlock(&k->lock);
    bk_event_backup_error(k->session->reporter, k->manifest->id, c ? c->name : NULL, why);
}

bool bk_check_ends(int rc) { return rc == BAKE_E_CANCELLED || rc == BAKE_E_NOMEM; }

bool bk_check_is_damage(int rc)
{
    return rc == BAKE_E_CORRUPT || rc == BAKE_E_NOTFOUND || rc == BAKE_E_IO;
}

/* ---- one backup ------------------------------------------------------------------------------ */

static void looked_damaged(void *arg, const struct bk_mcomp *c, const struct bk_err *why)
{
    bk_check_damage(arg, c, why);
}

/* So that the next run does not build on what is damaged. */
static void distrust(struct bk_check *k)
{
    struct bk_err why = {0};
    uint64_t marked;

    if (bk_backup_distrust(k->session->store, k->sink, k->session->host, &marked, &why) < 0)
        bk_event_note(k->session->reporter, BAKE_WARNING, NULL, k->sink->label, why.text);
}

/* What a drill restores it reads as well. */
static int read_components(struct bk_check *k, struct bk_err *err)
{
    const struct bk_manifest *m = k->manifest;
    int rc = BAKE_OK;

    for (size_t i = 0; i < m->n_comps && rc >= 0; i++) {
        k->comp = &m->comps[i];
        if (!k->broken[i] && k->comp->status != BK_STATUS_FAILED && !bk_drill_wanted(k, k->comp))
            rc = bk_check_read(k, err);
    }
    k->comp = NULL;
    return rc;
}

static int check_components(struct bk_check *k, struct bk_err *err)
{
    struct bk_look look = {.damage = looked_damaged, .arg = k};
    int rc = bk_backup_look(k->session->store, k->sink, k->manifest, &look, err);

    k->objects = look.objects;
    if (rc >= 0 && k->level >= BK_VERIFY_READ)
        rc = read_components(k, err);
    if (rc >= 0 && k->level == BK_VERIFY_RESTORE)
        rc = bk_drill(k, err);
    if (rc >= 0 && k->damaged > 0 && k->level >= BK_VERIFY_READ)
        distrust(k);
    return rc;
}

static const char *level_name(enum bk_verify_level level)
{
    static const char *const names[] = {"none", "quick", "read", "restore"};

    return names[level];
}

static void put_record(struct bk_check *k, const char *kind, json_t *facts, uint64_t ms)
{
    struct bk_err why = {0};

    bk_json_set_real(facts, "duration", (double)ms / 1000.0);
    bk_json_set_str(facts, "host", k->session->host);
    if (bk_record_put(k->sink, k->manifest->id, kind, facts, &why) < 0)
        bk_log(BAKE_LOG_WARN, "cannot record the result beside the backup: %s", why.text);
}

/* What was found, beside the backup. A store that cannot be written to can still be verified. */
static void put_records(struct bk_check *k, uint64_t ms)
{
    json_t *facts BK_JSON = json_object(), *drill BK_JSON = NULL;

    bk_json_set_str(facts, "level", level_name(k->level));
    bk_json_set_str(facts, "result", k->damaged ? "damaged" : "ok");
    bk_json_set_u64(facts, "damaged", k->damaged);
    bk_json_set_u64(facts, "objects", k->objects);
    bk_json_set_u64(facts, "bytes", k->bytes);
    if (k->inspected > 0)
        bk_json_set_u64(facts, "inspected", k->inspected);
    put_record(k, "verify", facts, ms);
    if (!k->groups)
        return;
    drill = bk_drill_record(k);
    put_record(k, "drill", drill, ms);
}

static void verified_event(const struct bk_check *k)
{
    json_t *e = bk_event("verified");

    bk_json_set_str(e, "id", k->manifest->id);
    bk_json_set_str(e, "sink", k->sink->part->name);
    bk_json_set_str(e, "level", level_name(k->level));
    bk_json_set_str(e, "result", k->damaged ? "damaged" : "ok");
    bk_json_set_u64(e, "damaged", k->damaged);
    bk_json_set_u64(e, "objects", k->objects);
    bk_json_set_u64(e, "bytes", k->bytes);
    bk_json_set_u64(e, "inspected", k->inspected);
    bk_event_send(k->session->reporter, e);
}

static void release(struct bk_check *k)
{
    free(k->broken);
    free(k->drilled);
    json_decref(k->groups);
}

static int check_it(struct bk_check *k, bool foreign, struct bk_err *err)
{
    uint64_t start = bk_monotonic_ms();
    int rc;

    k->broken = calloc(k->manifest->n_comps + 1, sizeof(*k->broken));
    k->drilled = calloc(k->manifest->n_comps + 1, sizeof(*k->drilled));
    if (!k->broken || !k->drilled)
        return bk_nomem(err);
    pthread_mutex_init(&k->lock, NULL);
    rc = check_components(k, err);
    pthread_mutex_destroy(&k->lock);
    if (rc < 0)
        return rc;
    if (!foreign) /* nothing is ever put beside what is not ours */
        put_records(k, bk_monotonic_ms() - start);
    verified_event(k);
    return BAKE_OK;
}

static int check_backup(struct work *w, struct bk_sink *sink, const struct bk_backup *b,
                        struct bk_err *err)
{
    struct bk_session *s = w->session;
    struct bk_check k = {
        .session = s, .sink = sink, .level = w->opts->level, .sources = w->sources};
    struct bk_err why = {0};
    int rc = bk_backup_manifest(s->store, sink, b, &k.manifest, &why);

    if (rc < 0 && (bk_check_ends(rc) || (b->foreign && !bk_check_is_damage(rc)))) {
        *err = why;
        return rc;
    }
    if (rc < 0) { /* a manifest that cannot be read is damage too */
        w->damaged++;
        bk_event_backup_error(s->reporter, b->id, NULL, &why);
        return BAKE_OK;
    }
    rc = check_it(&k, b->foreign != NULL, err);
    w->damaged += k.damaged;
    if (k.untried > 0 && w->untried == 0)
        w->why = k.failed.rc ? k.failed.rc : BAKE_E_INTERNAL;
    w->untried += k.untried;
    release(&k);
    return rc;
}

/* The latest is the newest whose manifest can be read: damaged ones after it are said as well. */
static int check_newer(struct work *w, struct bk_sink *sink, const struct bk_catalog *catalog,
                       struct bk_err *err)
{
    int rc = BAKE_OK;

    if (w->opts->id && bk_streq(w->opts->id, "latest"))
        for (size_t i = catalog->n; rc >= 0 && i-- > 0 && !catalog->backups[i].manifest;)
            rc = check_backup(w, sink, &catalog->backups[i], err);
    return rc;
}

/* Databases' logs, from the oldest backup that needs them on. one: the backup that is verified. */
static int check_logs(struct work *w, struct bk_sink *sink, const struct bk_catalog *catalog,
                      const struct bk_backup *one, struct bk_err *err)
{
    return bk_wal_verify(w->session, sink, catalog, one, w->opts->level >= BK_VERIFY_READ,
                         &w->damaged, err);
}

static int check_one(struct work *w, struct bk_sink *sink, const struct bk_catalog *catalog,
                     struct bk_err *err)
{
    const struct bk_backup *one = NULL;
    int rc = bk_catalog_find(catalog, w->opts->id, 0, &one, err);

    if (rc >= 0) {
        w->checked++;
        rc = check_backup(w, sink, one, err);
        return rc < 0 ? rc : check_logs(w, sink, catalog, one, err);
    }
    if (rc == BK_E_NOSTORE || rc == BK_E_USAGE || bk_check_ends(rc))
        return rc;
    w->damaged++; /* its manifest cannot be read */
    bk_event_error(w->session->reporter, NULL, err);
    return BAKE_OK;
}

static int check_sink(struct work *w, struct bk_sink *sink, struct bk_err *err)
{
    const struct bk_session *s = w->session;
    struct bk_catalog *catalog;
    int rc = bk_catalog_load(sink, s->by_address ? NULL : s->pipeline->name, w->opts->host,
                             w->opts->id ? BK_CATALOG_FOREIGN : 0, &catalog, err);

    if (rc < 0)
        return rc;
    rc = check_newer(w, sink, catalog, err);
    if (w->opts->id && rc >= 0)
        rc = check_one(w, sink, catalog, err);
    for (size_t i = 0; !w->opts->id && i < catalog->n && rc >= 0; i++) {
        rc = check_backup(w, sink, &catalog->backups[i], err);
        w->checked++;
    }
    if (!w->opts->id && rc >= 0)
        rc = check_logs(w, sink, catalog, NULL, err);
    bk_catalog_free(catalog);
    return rc;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static int check_sinks(struct work *w, struct bk_err *err)
{
    struct bk_store *store = w->session->store;
    int worst = BAKE_OK;

    for (size_t i = 0; i < store->n_sinks; i++) {
        struct bk_err why = {0};
        int rc;

        if (!bk_store_sink_ok(store, i))
            continue;
        rc = check_sink(w, &store->sinks[i], &why);
        if (rc < 0) {
            *err = why;
            if (bk_check_ends(rc))
                return rc;
            worst = bk_worse(worst, rc);
        }
    }
    if (w->damaged > 0)
        return bk_fail(err, BK_E_VERIFY,
                       "verification failed: %llu problem%s found, as named above",
                       (unsigned long long)w->damaged, w->damaged == 1 ? "" : "s");
    if (worst >= 0 && w->untried > 0)
        return bk_fail(err, w->why,
                       "%llu drill%s could not begin, as named above: nothing was found to be "
                       "damaged, and nothing was proven",
                       (unsigned long long)w->untried, w->untried == 1 ? "" : "s");
    if (worst >= 0 && w->checked == 0)
        return bk_fail(err, BK_E_NOSTORE, "there is no backup to verify");
    return worst;
}

static bool any_has(const struct bk_pipeline *p, uint32_t trait)
{
    for (size_t i = 0; i < p->n_sources; i++)
        if (p->sources[i].plugin->source.traits & trait)
            return true;
    return false;
}

/* within: a run that this is a part of, with its duty. */
static int open_sources(struct work *w, bool within, struct bk_duty *duty, struct bk_err *err)
{
    const struct bk_pipeline *p = w->session->pipeline;
    bool drill = w->opts->level == BK_VERIFY_RESTORE && any_has(p, BAKE_DRILLS);

    if (!drill && (w->opts->level < BK_VERIFY_READ || !any_has(p, BAKE_INSPECTS)))
        return BAKE_OK;
    if (drill && within)
        return bk_rsources_within(w->session, duty, &w->sources, err);
    return bk_rsources_new(w->session, drill, &w->sources, err);
}

int bk_verify(struct bk_session *s, const struct bk_verify_opts *opts, struct bk_err *err)
{
    struct work w = {.session = s, .opts = opts};
    uint64_t start = bk_monotonic_ms();
    json_t *e = bk_event("summary");
    int rc = open_sources(&w, false, NULL, err);

    if (rc >= 0)
        rc = bk_session_open_store(s, BK_STORE_READ, NULL, err);
    if (rc >= 0)
        rc = bk_reporter_start(s->reporter, err);
    if (rc >= 0)
        rc = check_sinks(&w, err);
    bk_reporter_stop(s->reporter);
    bk_rsources_free(w.sources);
    bk_json_set_str(e, "verb", "verify");
    bk_json_set_str(e, "status", rc >= 0 ? "ok" : rc == BK_E_VERIFY ? "damaged" : "failed");
    bk_json_set_str(e, "level", level_name(opts->level));
    bk_json_set_u64(e, "backups", w.checked);
    bk_json_set_u64(e, "bytes", atomic_load(&s->reporter->progress.bytes));
    bk_json_set_real(e, "duration", (double)(bk_monotonic_ms() - start) / 1000.0);
    bk_json_set_u64(e, "exit_code", (uint64_t)bk_exit_code(rc));
    bk_event_send(s->reporter, e);
    return rc;
}

int bk_verify_after_run(struct bk_session *s, struct bk_duty *duty, const char *id,
                        enum bk_verify_level level, struct bk_err *err)
{
    struct bk_verify_opts opts = {.id = id, .level = level, .host = NULL};
    struct work w = {.session = s, .opts = &opts};
    int rc = open_sources(&w, true, duty, err);

    if (rc >= 0)
        rc = check_sinks(&w, err);
    bk_rsources_free(w.sources);
    return rc;
}
