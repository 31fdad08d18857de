/* The run verb. */
#include "run/backup_private.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "run/lock.h"
#include "run/prune.h"
#include "run/retention.h"
#include "run/verify.h"
#include "run/wal.h"

#include <string.h>

static int fill_head(struct bk_run_job *r, struct bk_err *err)
{
    struct bk_pipeline *p = r->session->pipeline;
    struct bk_manifest *m = r->manifest;
    char id[BK_ID_CAP];
    int rc;

    m->start_ns = bk_now_ns();
    if (r->opts->id)
        (void)snprintf(id, sizeof(id), "%s", r->opts->id);
    else if ((rc = bk_make_id(p->name, m->start_ns, id, err)) < 0)
        return rc;
    m->id = bk_strdup(id);
    m->pipeline = bk_strdup(p->name);
    m->type = bk_strdup(r->parent.type);
    if (r->parent.manifest && !(m->parent = bk_strdup(r->parent.manifest->id)))
        return bk_nomem(err);
    m->host = bk_strdup(r->session->host);
    m->engine = bk_strdup("bakengine " BAKE_VERSION);
    for (size_t i = 0; i < r->opts->tags.n; i++)
        if (bk_strv_add(&m->tags, r->opts->tags.items[i]) < 0)
            return bk_nomem(err);
    m->pipeline_file = json_incref(p->shown);
    m->comps = calloc(r->plan.n_items + 1, sizeof(*m->comps));
    return m->id && m->pipeline && m->type && m->host && m->engine && m->comps ? BAKE_OK
                                                                               : bk_nomem(err);
}

static void add_plugin(json_t *plugins, const struct bk_plugin *plugin)
{
    bk_json_set_str(plugins, plugin->full_name, plugin->desc.version);
}

static void fill_plugins(struct bk_run_job *r)
{
    const struct bk_pipeline *p = r->session->pipeline;
    struct bk_manifest *m = r->manifest;

    m->plugins = json_object();
    for (size_t i = 0; i < p->n_sources; i++)
        add_plugin(m->plugins, p->sources[i].plugin);
    for (size_t i = 0; i < p->n_sinks; i++)
        add_plugin(m->plugins, p->sinks[i].plugin);
    for (size_t i = 0; i < p->n_transforms; i++) {
        const struct bk_part *t = &p->transforms[i];
        const json_t *level = json_object_get(t->shown, "level");

        add_plugin(m->plugins, t->plugin);
        if (t->plugin->transform.traits & BAKE_ENCRYPTS)
            m->encrypted = 1;
        if ((t->plugin->transform.traits & BAKE_COMPRESSES) && json_is_integer(level)) {
            m->has_level = 1;
            m->compression_level = json_integer_value(level);
        }
    }
}

/* What was put for a backup that will not be. */
static void remove_objects(struct bk_run_job *r)
{
    for (size_t i = 0; i < r->manifest->n_comps; i++) {
        const struct bk_mcomp *c = &r->manifest->comps[i];

        for (size_t k = 0; k < c->n_objects; k++) {
            char *name BK_FREE = bk_backup_object(r->manifest->id, c->objects[k].name);
            struct bk_err ignored;

            if (name)
                (void)bk_store_remove(r->session->store, name, &ignored);
        }
    }
}

/* Between the check and the put a prune may have taken this run for dead, in some sink: there the
 * manifest must not stay. */
static int check_again(struct bk_run_job *r, const char *manifest, struct bk_err *err)
{
    struct bk_store *s = r->session->store;
    bool *had BK_FREE = calloc(s->n_sinks + 1, sizeof(*had));
    int rc;

    if (!had)
        return bk_nomem(err);
    for (size_t i = 0; i < s->n_sinks; i++)
        had[i] = bk_store_sink_ok(s, i);
    rc = bk_intent_check(r->intent, err);
    for (size_t i = 0; i < s->n_sinks; i++)
        if (had[i] && (rc < 0 || !bk_store_sink_ok(s, i)))
            (void)bk_sink_remove(&s->sinks[i], manifest, NULL);
    return rc;
}

static int commit(struct bk_run_job *r, struct bk_err *err)
{
    struct bk_buf text BK_CLEANUP(bk_buf_free) = BK_BUF_INIT;
    char *name BK_FREE = bk_backup_object(r->manifest->id, BK_MANIFEST_NAME);
    size_t ok = 0;
    int rc;

    for (size_t i = 0; i < r->manifest->n_comps; i++)
        ok += r->manifest->comps[i].status != BK_STATUS_FAILED;
    if (ok == 0)
        return bk_fail(err, BAKE_E_IO, "nothing could be backed up: every component failed");
    if ((rc = bk_backup_seal(r->session->store, r->manifest, err)) < 0 ||
        (rc = bk_intent_check(r->intent, err)) < 0)
        return rc;
    r->manifest->end_ns = bk_now_ns();
    rc = name ? bk_manifest_write(r->manifest, &text, err) : bk_nomem(err);
    if (rc >= 0)
        rc = bk_store_put(r->session->store, name, text.data, text.len, BAKE_PUT_IF_ABSENT, err);
    if (rc == BAKE_E_EXISTS)
        return bk_fail(err, rc, "there is already a backup '%s'; nothing of it was changed",
                       r->manifest->id);
    if (rc >= 0)
        rc = check_again(r, name, err);
    r->committed = rc >= 0;
    return rc;
}

/* Sinks that dropped out: is the backup still where `require` wants it? */
static int check_sinks(struct bk_run_job *r, struct bk_err *err)
{
    struct bk_store *s = r->session->store;
    size_t ok = bk_store_sinks_ok(s), all = s->n_sinks;
    size_t need = r->session->pipeline->require == BK_REQUIRE_ALL
                      ? all
                      : (size_t)r->session->pipeline->require;

    for (size_t i = 0; i < all; i++)
        if (!bk_store_sink_ok(s, i))
            bk_event_error(r->session->reporter, NULL, &s->failed[i]);
    if (ok < need)
        return bk_fail(err, BAKE_E_UNAVAILABLE,
                       "backup '%s' is in %zu of %zu sinks, 'require' asks for %zu",
                       r->manifest->id, ok, all, need);
    if (ok < all)
        return bk_fail(err, BK_E_PARTIAL, "backup '%s' is in %zu of %zu sinks", r->manifest->id, ok,
                       all);
    return BAKE_OK;
}

/* "2 components failed, 1 source failed" */
static void add_count(struct bk_buf *out, size_t n, const char *of, const char *what)
{
    if (n > 0)
        bk_buf_printf(out, "%s%zu %s%s %s", out->len ? ", " : "", n, of, n == 1 ? "" : "s", what);
}

static int check_components(struct bk_run_job *r, struct bk_err *err)
{
    struct bk_buf what BK_CLEANUP(bk_buf_free) = BK_BUF_INIT;
    size_t failed = 0, partial = 0;

    for (size_t i = 0; i < r->manifest->n_comps; i++) {
        failed += r->manifest->comps[i].status == BK_STATUS_FAILED;
        partial += r->manifest->comps[i].status == BK_STATUS_PARTIAL;
    }
    if (failed + r->plan.n_failed + partial + r->n_unreleased + r->plan.n_lacking +
            r->n_logs_failed ==
        0)
        return BAKE_OK;
    add_count(&what, failed, "component", "failed");
    add_count(&what, partial, "component", "not whole");
    add_count(&what, r->plan.n_failed, "source", "failed");
    add_count(&what, r->plan.n_lacking, "thing", "left out");
    add_count(&what, r->n_unreleased, "group", "not put back as it was");
    add_count(&what, r->n_logs_failed, "thing", "of the logs not stored");
    return bk_fail(err, BK_E_PARTIAL, "backup '%s' is partial: %s, as named above", r->manifest->id,
                   what.data ? what.data : "");
}

/* What the good backup before had and this one has not. */
static int name_missing(struct bk_run_job *r, bool *ret_good, struct bk_err *err)
{
    struct bk_catalog *catalog;
    const struct bk_backup *b;
    int rc = bk_session_catalog(r->session, r->session->host, 0, &catalog, err);

    if (rc < 0)
        return rc;
    rc = bk_catalog_find(catalog, r->manifest->id, 0, &b, err);
    if (rc >= 0) {
        *ret_good = b->good;
        for (size_t i = 0; i < b->missing.n; i++)
            bk_event_note(r->session->reporter, BAKE_WARNING, b->missing.items[i], NULL,
                          "was in the last good backup and is missing in this one");
    }
    bk_catalog_free(catalog);
    return rc;
}

/* Verification and retention, once the backup stands. */
static int after_commit(struct bk_run_job *r, struct bk_err *err)
{
    const struct bk_pipeline *p = r->session->pipeline;
    bool good = false;
    int rc = check_sinks(r, err), next;
    struct bk_err why = {0};

    next = check_components(r, rc < 0 ? &why : err);
    rc = rc < 0 ? rc : next;
    next = name_missing(r, &good, &why);
    if (next < 0 && rc >= 0)
        *err = why;
    rc = bk_worse(rc, next);
    if (p->verify_after_run != BK_VERIFY_NONE && !r->opts->no_verify) {
        next = bk_verify_after_run(r->session, r->duty, r->manifest->id, p->verify_after_run, &why);
        if (next < 0)
            *err = why; /* said last: it is what must be read */
        rc = bk_worse(rc, next);
    }
    /* Retention runs only after a good run (design, section 6). */
    if (rc >= 0 && good && !bk_retention_empty(&p->retention)) {
        rc = bk_prune_after_run(r->session, &r->pruned, err);
        if (rc == BK_E_LOCKED) { /* another host prunes: that will do */
            bk_log(BAKE_LOG_INFO, "retention is left to another prune that is running");
            rc = BAKE_OK;
        }
    }
    return rc;
}

static int check_opts(const struct bk_session *s, const struct bk_run_opts *opts,
                      struct bk_err *err)
{
    if (opts->id && !bk_id_ok(opts->id))
        return bk_fail(err, BK_E_USAGE,
                       "'%s' cannot be a backup's id\n"
                       "HINT: letters, digits, '-', '_' and '.', at most %d",
                       opts->id, BK_ID_CAP - 1);
    return bk_parent_check(s, opts, err);
}

/* Bytes that the newest backup had: what the progress bar measures against. */
static void expect_total(struct bk_run_job *r)
{
    struct bk_catalog *catalog;
    const struct bk_backup *b;
    uint64_t in, stored, entries, warnings;

    if (bk_session_catalog(r->session, r->session->host, 0, &catalog, NULL) < 0)
        return;
    if (bk_catalog_find(catalog, "latest", 0, &b, NULL) == BAKE_OK) {
        bk_manifest_totals(b->manifest, &in, &stored, &entries, &warnings);
        atomic_store(&r->session->reporter->progress.total, in);
    }
    bk_catalog_free(catalog);
}

static int taken(void *arg, const char *name, uint64_t size, int64_t mtime_ns)
{
    (void)arg;
    (void)name;
    (void)size;
    (void)mtime_ns;
    return 1;
}

/* An id that was given may be another backup's: nothing of that may be touched. */
static int check_id(struct bk_run_job *r, struct bk_err *err)
{
    struct bk_store *s = r->session->store;
    char *prefix BK_FREE = bk_backup_object(r->manifest->id, "");

    if (!prefix)
        return bk_nomem(err);
    for (size_t i = 0; r->opts->id && i < s->n_sinks; i++) {
        int rc = bk_store_sink_ok(s, i) ? bk_sink_list(&s->sinks[i], prefix, taken, NULL, err) : 0;

        if (rc > 0)
            return bk_fail(err, BAKE_E_EXISTS,
                           "%s: the id '%s' is taken, by a backup or by what is left of a run",
                           s->sinks[i].label, r->manifest->id);
        if (rc < 0)
            return rc;
    }
    return BAKE_OK;
}

static int write_backup(struct bk_run_job *r, struct bk_err *err)
{
    struct bk_session *s = r->session;
    char name[BK_ID_CAP + sizeof(BK_WRITERS)];
    int rc;

    if ((rc = bk_parent_choose(s, r->opts, &r->parent, err)) < 0 || (rc = fill_head(r, err)) < 0 ||
        (rc = check_id(r, err)) < 0)
        return rc;
    fill_plugins(r);
    (void)snprintf(name, sizeof(name), BK_WRITERS "%s", r->manifest->id);
    rc = bk_intent_start(s->store, name, s->host, BAKE_PUT_IF_ABSENT, &r->intent, err);
    if (rc == BAKE_E_EXISTS)
        return bk_fail(err, rc,
                       "another run is making a backup '%s', or was killed while it did\n"
                       "HINT: choose another --id, or run 'bakengine prune' after half an hour",
                       r->manifest->id);
    if (rc < 0)
        return rc;
    expect_total(r);
    r->manifest->n_comps = r->plan.n_items;
    rc = bk_backup_begin(s->store, r->manifest, err);
    if (rc >= 0)
        rc = bk_run_components(r, err);
    if (rc >= 0)
        rc = commit(r, err);
    if (rc < 0 && rc != BAKE_E_EXISTS)
        remove_objects(r);
    if (rc < 0)
        bk_backup_undo(s->store);
    bk_backup_end(s->store);
    bk_intent_stop(r->intent);
    return rc;
}

static const char *status_of(int rc)
{
    if (rc >= 0)
        return "ok";
    return rc == BK_E_PARTIAL ? "partial" : rc == BK_E_VERIFY ? "damaged" : "failed";
}

static void summary(struct bk_run_job *r, int rc, uint64_t start_ms)
{
    struct bk_manifest *m = r->manifest;
    uint64_t in = 0, stored = 0, entries = 0, warnings = 0;
    json_t *e = bk_event("summary");

    bk_manifest_totals(m, &in, &stored, &entries, &warnings);
    bk_json_set_str(e, "verb", "run");
    bk_json_set_bool(e, "dry_run", r->opts->dry_run);
    bk_json_set_str(e, "status", status_of(rc));
    bk_json_set_str(e, "id", r->committed ? m->id : NULL);
    bk_json_set_str(e, "type", r->committed ? m->type : NULL);
    bk_json_set_str(e, "parent", r->committed ? m->parent : NULL);
    bk_json_set_u64(e, "components", m->n_comps);
    bk_json_set_u64(e, "bytes_in", in);
    bk_json_set_u64(e, "bytes_stored", stored);
    bk_json_set_u64(e, "entries", entries);
    bk_json_set_u64(e, "warnings", warnings);
    bk_json_set_u64(e, "pruned", r->pruned);
    bk_json_set_real(e, "duration", (double)(bk_monotonic_ms() - start_ms) / 1000.0);
    bk_json_set_u64(e, "exit_code", (uint64_t)bk_exit_code(rc));
    bk_event_send(r->session->reporter, e);
}

static int run_plan(struct bk_run_job *r, struct bk_err *err)
{
    struct bk_plan_opts opts = {&r->opts->only, !r->opts->dry_run, r->duty};
    int rc = bk_plan_make(r->session, &opts, &r->plan, err);

    if (rc < 0)
        return rc;
    if (r->opts->dry_run)
        return bk_run_plan_event(r->session, &r->plan, err);
    if (r->plan.n_items == 0)
        return bk_fail(err, BAKE_E_NOTFOUND, "there is nothing to back up: %s",
                       r->plan.n_failed ? "every source failed" : "no source found anything");
    rc = write_backup(r, err);
    /* What the backup holds stands, whatever becomes of the logs since. */
    if (rc >= 0)
        rc = bk_wal_pull(r->session, &r->plan, r->duty, &r->n_logs_failed, err);
    if (rc >= 0)
        rc = bk_wal_fill(r->session, err);
    return rc < 0 ? rc : after_commit(r, err);
}

static int act(struct bk_run_job *r, struct bk_err *err)
{
    struct bk_session *s = r->session;
    int lock BK_CLOSE = -1;
    int rc = bk_lock_pipeline(s->pipeline->name, &lock, err);

    if (rc < 0)
        return rc;
    rc = bk_duty_begin(s, &r->duty, err); /* before there are threads: it forks */
    if (rc >= 0)
        rc = bk_session_open_store(s, BK_STORE_WRITE, NULL, err);
    if (rc >= 0)
        rc = run_plan(r, err);
    bk_plan_release(&r->plan);
    bk_duty_end(r->duty);
    return rc;
}

static int rehearse(struct bk_run_job *r, struct bk_err *err)
{
    struct bk_session *s = r->session;
    int rc;

    bk_duty_warn();
    rc = bk_store_open_nothing(s->pipeline, s->registry, s->cancel, &s->store, err);

    if (rc >= 0)
        rc = run_plan(r, err);
    bk_plan_release(&r->plan);
    return rc;
}

int bk_run(struct bk_session *s, const struct bk_run_opts *opts, struct bk_err *err)
{
    struct bk_run_job r = {.session = s, .opts = opts};
    uint64_t start_ms = bk_monotonic_ms();
    int rc;

    r.manifest = calloc(1, sizeof(*r.manifest));
    if (!r.manifest)
        return bk_nomem(err);
    rc = check_opts(s, opts, err);
    if (rc >= 0)
        rc = opts->dry_run ? rehearse(&r, err) : act(&r, err);
    summary(&r, rc, start_ms);
    bk_manifest_free(r.manifest);
    bk_parent_release(&r.parent);
    return rc;
}
