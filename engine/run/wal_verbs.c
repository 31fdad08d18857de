/* wal-push, wal-fetch and wal-receive. */
#include "run/wal.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/path.h"
#include "run/lock.h"
#include "run/wal_name.h"
#include "store/wal.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

struct one { /* a log, as it is called in the archive */
    char stream[128];
    char name[BK_WAL_NAME_CAP];
};

int bk_wal_fetch_code(int rc)
{
    int code = bk_exit_code(rc);

    if (rc == BAKE_E_NOTFOUND)
        return 1;
    return code == 0 || code > 125 ? code : 200 + code;
}

static void summary(struct bk_session *s, const char *verb, const struct one *log, int rc, int code,
                    uint64_t start_ms)
{
    json_t *e = bk_event("summary");

    bk_json_set_str(e, "verb", verb);
    bk_json_set_str(e, "status", rc >= 0 ? "ok" : rc == BAKE_E_NOTFOUND ? "absent" : "failed");
    bk_json_set_str(e, "stream", log && log->stream[0] ? log->stream : NULL);
    bk_json_set_str(e, "name", log && log->name[0] ? log->name : NULL);
    bk_json_set_real(e, "duration", (double)(bk_monotonic_ms() - start_ms) / 1000.0);
    bk_json_set_u64(e, "exit_code", (uint64_t)code);
    bk_event_send(s->reporter, e);
}

static bool has_logs(const struct bk_part *source)
{
    const struct bake_source_ops *ops = &source->plugin->source;

    return (ops->traits & BAKE_HAS_LOGS) || ops->logs_pull || ops->logs_follow;
}

/* --source of push and fetch says no more than which server is meant: whose the logs are they say
 * themselves. A wrong name is a mistake all the same. */
static int check_source(const struct bk_session *s, const char *name, struct bk_err *err)
{
    for (size_t i = 0; name && i < s->pipeline->n_sources; i++)
        if (bk_streq(s->pipeline->sources[i].name, name))
            return has_logs(&s->pipeline->sources[i])
                       ? BAKE_OK
                       : bk_fail(err, BK_E_USAGE, "source '%s' has no logs", name);
    return name ? bk_fail(err, BK_E_USAGE, "this pipeline has no source '%s'", name) : BAKE_OK;
}

/* ---- push ------------------------------------------------------------------------------------ */

static int name_file(const char *path, struct one *ret, struct bk_err *err)
{
    const char *base = bk_path_base(path);
    struct bk_pg_name n;
    char name[BK_PG_NAME_CAP];
    uint64_t system;
    int rc;

    if (!bk_pg_name_parse(base, &n))
        return bk_fail(err, BK_E_USAGE,
                       "'%s' is not called as PostgreSQL calls its WAL\n"
                       "HINT: archive_command = 'bakengine wal-push PIPELINE %%p'",
                       path);
    rc = bk_pg_check(path, &n, &system, err);
    if (rc >= 0 && system == 0)
        rc = bk_pg_system(path, &system, err);
    if (rc < 0)
        return rc;
    bk_pg_archived_name(&n, base, name);
    (void)snprintf(ret->stream, sizeof(ret->stream), "%llu", (unsigned long long)system);
    (void)snprintf(ret->name, sizeof(ret->name), "%s", name);
    return BAKE_OK;
}

static int push(struct bk_session *s, const char *path, const struct bk_wal_opts *opts,
                struct one *log, struct bk_err *err)
{
    int rc;

    if (s->by_address)
        return bk_fail(err, BK_E_USAGE,
                       "logs are stored through a pipeline's transforms: name its file, not the "
                       "store's address");
    if ((rc = check_source(s, opts->source, err)) < 0 || (rc = name_file(path, log, err)) < 0 ||
        (rc = bk_session_open_store(s, BK_STORE_WRITE, NULL, err)) < 0)
        return rc;
    return bk_wal_put(s->store, log->stream, log->name, path, err);
}

int bk_wal_push(struct bk_session *s, const char *path, const struct bk_wal_opts *opts,
                struct bk_err *err)
{
    uint64_t start = bk_monotonic_ms();
    struct one log = {.stream = ""};
    int rc = push(s, path, opts, &log, err);

    /* A file that is not there was not stored: nothing else is meant by that. */
    summary(s, "wal-push", &log, rc == BAKE_E_NOTFOUND ? BAKE_E_IO : rc, bk_exit_code(rc), start);
    return rc;
}

/* ---- fetch ----------------------------------------------------------------------------------- */

static int name_wanted(const char *name, const char *path, const struct bk_wal_opts *opts,
                       struct one *ret, struct bk_err *err)
{
    struct bk_pg_name n;
    char archived[BK_PG_NAME_CAP];
    uint64_t system;
    int rc;

    if (bk_pg_name_parse(name, &n)) {
        bk_pg_archived_name(&n, name, archived);
        name = archived;
    } else if (!opts->stream) {
        return bk_fail(err, BK_E_USAGE,
                       "'%s' is not a name of PostgreSQL's WAL\n"
                       "HINT: restore_command = 'bakengine wal-fetch PIPELINE %%f \"%%p\"'; of "
                       "other logs say whose with --stream",
                       name);
    }
    if (strlen(name) >= sizeof(ret->name) ||
        (opts->stream && strlen(opts->stream) >= sizeof(ret->stream)))
        return bk_fail(err, BK_E_USAGE, "the name of the log or its stream is too long");
    (void)snprintf(ret->name, sizeof(ret->name), "%s", name);
    if (opts->stream) {
        (void)snprintf(ret->stream, sizeof(ret->stream), "%s", opts->stream);
        return BAKE_OK;
    }
    rc = bk_pg_system(path, &system, err);
    if (rc < 0) {
        bk_hint(err, "PostgreSQL calls this in its data directory; elsewhere say whose logs are "
                     "meant with --stream");
        return rc;
    }
    (void)snprintf(ret->stream, sizeof(ret->stream), "%llu", (unsigned long long)system);
    return BAKE_OK;
}

static int fetch(struct bk_session *s, const char *name, const char *path,
                 const struct bk_wal_opts *opts, struct one *log, struct bk_err *err)
{
    int rc;

    if ((rc = check_source(s, opts->source, err)) < 0 ||
        (rc = name_wanted(name, path, opts, log, err)) < 0 ||
        (rc = bk_session_open_store(s, BK_STORE_READ, opts->from, err)) < 0) {
        if (rc == BAKE_E_NOTFOUND) /* not of the log */
            rc = err->rc = BAKE_E_IO;
        return rc;
    }
    return bk_wal_get(s->store, log->stream, log->name, path, err);
}

int bk_wal_fetch(struct bk_session *s, const char *name, const char *path,
                 const struct bk_wal_opts *opts, struct bk_err *err)
{
    uint64_t start = bk_monotonic_ms();
    struct one log = {.stream = ""};
    int rc = fetch(s, name, path, opts, &log, err);

    if (rc == BAKE_E_NOTFOUND)
        bk_log(BAKE_LOG_INFO, "%s", err->text);
    summary(s, "wal-fetch", &log, rc, bk_wal_fetch_code(rc), start);
    return rc;
}

/* ---- receive --------------------------------------------------------------------------------- */

static int find_receiver(const struct bk_session *s, const char *name, const struct bk_part **ret,
                         struct bk_err *err)
{
    size_t n = 0;

    for (size_t i = 0; i < s->pipeline->n_sources; i++) {
        const struct bk_part *part = &s->pipeline->sources[i];

        if (!part->plugin->source.logs_follow || (name && !bk_streq(part->name, name)))
            continue;
        *ret = part;
        n++;
    }
    if (n == 1)
        return BAKE_OK;
    if (name)
        return bk_fail(err, BK_E_USAGE,
                       "this pipeline has no source '%s' whose logs can be received", name);
    return bk_fail(err, BK_E_USAGE,
                   n == 0 ? "this pipeline has no source whose logs can be received"
                          : "the logs of more than one source can be received\n"
                            "HINT: say which with --source");
}

/* A source's name as a folder's. */
static char *safe(const char *name)
{
    struct bk_buf b = BK_BUF_INIT;

    for (; *name; name++) {
        if (*name == '/' || *name == '%' || (*name == '.' && b.len == 0))
            bk_buf_printf(&b, "%%%02X", (unsigned char)*name);
        else
            bk_buf_char(&b, *name);
    }
    return bk_buf_take(&b);
}

/* <state>/wal/<pipeline>/<source>: what has been received and is not stored yet. */
static int make_spool(const struct bk_session *s, const struct bk_part *part, char **ret,
                      int *ret_lock, struct bk_err *err)
{
    char *state BK_FREE = NULL, *name BK_FREE = safe(part->name), *spool BK_FREE = NULL;
    int rc = name ? bk_state_dir(&state, err) : bk_nomem(err);

    if (rc < 0)
        return rc;
    spool = bk_asprintf("%s/wal/%s/%s", state, s->pipeline->name, name);
    if (!spool)
        return bk_nomem(err);
    rc = bk_mkdir_p(spool, 0700, err);
    if (rc >= 0)
        rc = bk_lock_spool(spool, part->name, ret_lock, err);
    if (rc >= 0)
        *ret = BK_STEAL(spool);
    return rc;
}

struct receiver {
    struct bk_session *session;
    const struct bake_source_ops *ops;
    void *self;
    struct bk_ctx ctx;
    struct bk_cancel_sub sub;
};

static void interrupt(void *arg)
{
    struct receiver *r = arg;

    r->ops->interrupt(r->self);
}

static void on_report(void *arg, int severity, const char *subject, const char *text)
{
    struct receiver *r = arg;

    bk_event_note(r->session->reporter, severity, NULL, subject, text);
}

static int follow(struct bk_session *s, const struct bk_part *part, const char *spool,
                  struct bk_err *err)
{
    struct receiver r = {.session = s, .ops = &part->plugin->source};
    int rc;

    bk_ctx_init(&r.ctx, s->cancel, "source '%s'", part->name);
    r.ctx.report = on_report;
    r.ctx.report_arg = &r;
    bk_wal_attach(s, &r.ctx);
    rc = r.ops->open(&r.ctx.base, part->cfg, &r.self);
    if (rc < 0)
        return bk_ctx_fail(&r.ctx, rc, err);
    r.sub.wake = interrupt;
    r.sub.arg = &r;
    if (r.ops->interrupt)
        bk_cancel_subscribe(s->cancel, &r.sub);
    rc = r.ops->logs_follow(r.self, &r.ctx.base, spool);
    if (rc < 0)
        rc = bk_ctx_fail(&r.ctx, rc, err);
    if (r.ops->interrupt)
        bk_cancel_unsubscribe(s->cancel, &r.sub);
    r.ops->close(r.self);
    if (rc >= 0 && !bk_cancelled(s->cancel))
        rc = bk_fail(err, BAKE_E_UNAVAILABLE, "source '%s': the server ended the logs", part->name);
    return rc;
}

/* The store must be one, before anything is taken from the server. */
static int check_store(struct bk_session *s, struct bk_err *err)
{
    int rc = bk_session_open_store(s, BK_STORE_WRITE, NULL, err);

    bk_store_close(s->store);
    s->store = NULL;
    return rc;
}

static int receive(struct bk_session *s, const struct bk_wal_opts *opts, struct bk_err *err)
{
    const struct bk_part *part = NULL;
    char *spool BK_FREE = NULL;
    int lock BK_CLOSE = -1;
    int rc;

    if ((rc = find_receiver(s, opts->source, &part, err)) < 0 ||
        (rc = make_spool(s, part, &spool, &lock, err)) < 0 || (rc = check_store(s, err)) < 0)
        return rc;
    bk_log(BAKE_LOG_INFO, "receiving the logs of source '%s'", part->name);
    return follow(s, part, spool, err);
}

int bk_wal_receive(struct bk_session *s, const struct bk_wal_opts *opts, struct bk_err *err)
{
    uint64_t start = bk_monotonic_ms();
    int rc = receive(s, opts, err);

    if (rc == BAKE_E_CANCELLED || (rc < 0 && bk_cancelled(s->cancel) && rc != BK_E_LOCKED)) {
        bk_err_clear(err);
        rc = BAKE_OK;
    }
    summary(s, "wal-receive", NULL, rc, bk_exit_code(rc), start);
    return rc;
}
