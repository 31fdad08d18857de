/* The proof of a base backup: a throw-away server that starts on it, and is asked. */
#include "base_feed.h"
#include "base_files.h"
#include "base_way.h"
#include "checks.h"
#include "text.h"
#include "tools.h"
#include "wait.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PORT    5432 /* only a name here: it listens on a socket in its own directory */
#define PACE_MS 100
#define ARGS    128

struct drill {
    struct pg_way *w;
    char *postgres, *waldump, *version;
    struct pg_feed *feed; /* or NULL: without the store's log */
    struct pg_place place;
    json_t *facts;
};

struct args {
    const char *list[ARGS];
    char *owned[ARGS];
    size_t n, n_owned;
    bool failed;
};

static int no_memory(struct pg_way *w) { return bake_fail(w->ctx, BAKE_E_NOMEM, "out of memory"); }

/* ---- tools ----------------------------------------------------------------------------------- */

/* A server of another major does not start on these files. */
static int find_server(struct drill *d)
{
    struct pg_way *w = d->w;
    int rc = pg_tool(w->ctx, w->cfg, "postgres", w->known.version, &d->postgres, &d->version);
    if (rc != BAKE_OK)
        return rc;
    int major = w->known.version / 10000;
    char wanted[16];
    (void)snprintf(wanted, sizeof(wanted), "%d", major);
    size_t n = strlen(wanted);
    if (strncmp(d->version, wanted, n) == 0 && !(d->version[n] >= '0' && d->version[n] <= '9'))
        return BAKE_OK;
    return bake_fail(w->ctx, BAKE_E_UNSUPPORTED,
                     "a drill of this base backup needs a server of PostgreSQL %d; here is "
                     "%s\nHINT: install postgresql-%d, or name its directory by 'bin'",
                     major, d->version, major);
}

/* PostgreSQL's own check, the log included. We have compared all files with the manifest already,
 * so that it may be missing. */
static int verify(struct drill *d)
{
    struct pg_way *w = d->w;
    char *path = NULL;
    int rc = pg_tool(w->ctx, w->cfg, "pg_verifybackup", w->known.version, &path, NULL);
    if (rc == BAKE_E_NOTFOUND) {
        bake_report(w->ctx, BAKE_NOTICE, "base", "there is no pg_verifybackup, going on without");
        return BAKE_OK;
    }
    if (rc != BAKE_OK)
        return rc;
    const char *argv[] = {path, "--quiet", w->stages[0].stage, NULL};
    struct bkc_child_spec spec = {.argv = argv, .user = w->as_user ? w->cfg->owner : NULL};
    rc = bkc_child_run(w->ctx, &spec, NULL, 0, NULL);
    free(path);
    if (rc == BAKE_OK && json_object_set_new(d->facts, "pg_verifybackup", json_true()) != 0)
        rc = no_memory(w);
    return rc;
}

/* The log that the backup itself holds is replayed in any case. */
static int look_into_log(struct drill *d)
{
    struct pg_way *w = d->w;
    char *wal = pg_text("%s/pg_wal", w->stages[0].stage);
    char *timeline = pg_text("%u", w->known.timeline);
    bool bad = false;
    int rc = wal && timeline
                 ? pg_tool(w->ctx, w->cfg, "pg_waldump", w->known.version, &d->waldump, NULL)
                 : no_memory(w);
    const char *const files[] = {"--path",           wal,     "--timeline",     timeline, "--start",
                                 w->known.start_lsn, "--end", w->known.end_lsn, NULL};
    if (rc == BAKE_OK)
        rc = pg_log_reaches_out(w, d->waldump, files, &bad);
    free(wal);
    free(timeline);
    if (rc == BAKE_OK && bad)
        rc = bake_fail(w->ctx, BAKE_E_UNSUPPORTED,
                       "a tablespace was made while this backup was: a drill would write to where "
                       "it is in use\nHINT: make another backup");
    return rc;
}

/* ---- configuration --------------------------------------------------------------------------- */

static int put_file(struct drill *d, const char *name, const char *text)
{
    struct pg_way *w = d->w;
    char *path = pg_text("%s/%s", bkc_scratch_path(w->scratch), name);
    int rc = path ? pg_write_file(w->ctx, path, text, strlen(text), w->as_user, w->uid, w->gid)
                  : no_memory(w);
    free(path);
    return rc;
}

static int signal_file(struct drill *d, const char *name, bool wanted)
{
    struct pg_way *w = d->w;
    char *path = pg_text("%s/%s", w->stages[0].stage, name);
    int rc = path ? BAKE_OK : no_memory(w);
    if (rc == BAKE_OK && wanted)
        rc = pg_write_file(w->ctx, path, "", 0, w->as_user, w->uid, w->gid);
    else if (rc == BAKE_OK && unlink(path) != 0 && errno != ENOENT)
        rc = bake_fail(w->ctx, BAKE_E_IO, "cannot remove '%s': %s", path, strerror(errno));
    free(path);
    return rc;
}

/* Where the server's configuration lies elsewhere than with its data: what its files need. */
static int put_settings(struct drill *d)
{
    static const char *const needed[] = {"max_connections", "max_prepared_transactions",
                                         "max_locks_per_transaction", "shared_preload_libraries",
                                         NULL};
    char *text = strdup("");
    for (size_t i = 0; text && needed[i]; i++) {
        const char *value =
            json_string_value(json_object_get((const json_t *)d->w->known.settings, needed[i]));
        if (!value || strpbrk(value, "'\\\n"))
            continue;
        char *more = pg_text("%s%s = '%s'\n", text, needed[i], value);
        free(text);
        text = more;
    }
    int rc = text ? put_file(d, "drill.conf", text) : no_memory(d->w);
    free(text);
    return rc;
}

static void arg(struct args *a, const char *text)
{
    if (a->n + 1 < ARGS)
        a->list[a->n++] = text;
    else
        a->failed = true;
}

/* Takes text over. */
static void setting(struct args *a, char *text)
{
    if (!text || a->n_owned == ARGS) {
        free(text);
        a->failed = true;
        return;
    }
    a->owned[a->n_owned++] = text;
    arg(a, "-c");
    arg(a, text);
}

/* Nothing of the old server's configuration may let this one reach out of its directory: no port,
 * no archive, no replication, no workers of extensions; and it is small. */
static const char *const quiet[] = {"listen_addresses=",
                                    "port=5432",
                                    "unix_socket_group=",
                                    "unix_socket_permissions=0700",
                                    "external_pid_file=",
                                    "archive_mode=off",
                                    "archive_command=",
                                    "archive_library=",
                                    "archive_cleanup_command=",
                                    "recovery_end_command=",
                                    "primary_conninfo=",
                                    "primary_slot_name=",
                                    "recovery_target=",
                                    "recovery_target_lsn=",
                                    "recovery_target_name=",
                                    "recovery_target_time=",
                                    "recovery_target_xid=",
                                    "recovery_target_timeline=latest",
                                    "recovery_target_action=promote",
                                    "recovery_min_apply_delay=0",
                                    "hot_standby=off",
                                    "synchronous_standby_names=",
                                    "max_logical_replication_workers=0",
                                    "max_worker_processes=0",
                                    "max_wal_senders=0",
                                    "autovacuum=off",
                                    "logging_collector=off",
                                    "log_destination=stderr",
                                    "log_statement=none",
                                    "ssl=off",
                                    "fsync=off",
                                    "jit=off",
                                    "huge_pages=off",
                                    "shared_buffers=32MB",
                                    "allow_in_place_tablespaces=on",
                                    NULL};

static void server_args(struct drill *d, struct args *a)
{
    struct pg_way *w = d->w;
    const char *home = bkc_scratch_path(w->scratch), *data = w->stages[0].stage;
    char *conf = pg_text("%s/postgresql.conf", data);
    arg(a, d->postgres);
    arg(a, "-D");
    arg(a, data);
    for (const char *const *p = quiet; *p; p++) {
        arg(a, "-c");
        arg(a, *p);
    }
    setting(a, pg_text("data_directory=%s", data));
    setting(a, pg_text("unix_socket_directories=%s", home));
    setting(a, pg_text("hba_file=%s/hba.conf", home));
    setting(a, pg_text("ident_file=%s/ident.conf", home));
    setting(a, pg_text("restore_command=%s", d->feed ? pg_feed_command(d->feed) : ""));
    if (!conf || access(conf, F_OK) != 0)
        setting(a, pg_text("config_file=%s/drill.conf", home));
    free(conf);
}

static int serve(struct drill *d)
{
    struct pg_way *w = d->w;
    struct args a = {0};
    int rc = put_file(d, "hba.conf", "local all all trust\n");
    if (rc == BAKE_OK)
        rc = put_file(d, "ident.conf", "");
    if (rc == BAKE_OK)
        rc = put_settings(d);
    if (rc == BAKE_OK)
        rc = signal_file(d, "standby.signal", false);
    if (rc == BAKE_OK)
        rc = signal_file(d, "recovery.signal", d->feed != NULL);
    if (rc == BAKE_OK)
        server_args(d, &a);
    if (rc == BAKE_OK && a.failed)
        rc = no_memory(w);
    if (rc == BAKE_OK)
        rc = bkc_scratch_serve(w->scratch, w->ctx, a.list, NULL);
    for (size_t i = 0; i < a.n_owned; i++)
        free(a.owned[i]);
    return rc;
}

/* ---- waiting --------------------------------------------------------------------------------- */

/* The last line that says why, else the last line. */
static int ended(struct drill *d, const char *what)
{
    char *log = bkc_scratch_log(d->w->scratch), *line = log, *why = NULL, *last = NULL;
    while (line && *line) {
        size_t n = strcspn(line, "\n");
        bool more = line[n];
        line[n] = '\0';
        if (n > 0)
            last = line;
        if (strstr(line, "FATAL:") || strstr(line, "PANIC:"))
            why = line;
        line += n + more;
    }
    int rc = bake_fail(d->w->ctx, BAKE_E_CHILD, "%s: %s", what,
                       why    ? why
                       : last ? last
                              : "it said nothing");
    free(log);
    return rc;
}

static bool accepts(const struct drill *d)
{
    return pg_conn_answers(d->w->cfg, &d->place, "postgres");
}

static int await(struct drill *d)
{
    struct pg_way *w = d->w;
    int64_t since = pg_now_ms(), limit = (int64_t)w->cfg->timeout;
    for (;;) {
        uint64_t before = d->feed ? pg_feed_count(d->feed) : 0;
        int rc = d->feed ? pg_feed_wait(d->feed, PACE_MS) : w->ctx->host->sleep_ms(w->ctx, PACE_MS);
        if (rc != BAKE_OK)
            return rc;
        if (w->ctx->host->cancelled(w->ctx))
            return bake_fail(w->ctx, BAKE_E_CANCELLED, "cancelled");
        if (!bkc_scratch_alive(w->scratch))
            return ended(d, "the throw-away server did not start");
        if (accepts(d))
            return BAKE_OK;
        if (d->feed && pg_feed_count(d->feed) != before)
            since = pg_now_ms();
        if (limit > 0 && pg_now_ms() - since > limit)
            return ended(d, "the throw-away server took too long to start");
    }
}

/* ---- asking ---------------------------------------------------------------------------------- */

static int keep(struct drill *d, const char *key, json_t *value)
{
    return json_object_set_new(d->facts, key, value) == 0 ? BAKE_OK : no_memory(d->w);
}

/* How far the log was replayed. */
static int ask_position(struct drill *d, struct pg_conn *conn)
{
    PGresult *r = NULL;
    int rc = pg_query(conn, &r, "ask how far it was recovered",
                      "select pg_last_wal_replay_lsn(), to_char(pg_last_xact_replay_timestamp() at "
                      "time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), "
                      "current_setting('server_version')",
                      0, NULL);
    if (rc != BAKE_OK)
        return rc;
    if (!PQgetisnull(r, 0, 0))
        rc = keep(d, "replayed_to", json_string(PQgetvalue(r, 0, 0)));
    if (rc == BAKE_OK && d->feed && !PQgetisnull(r, 0, 1))
        rc = keep(d, "recovered_to", json_string(PQgetvalue(r, 0, 1)));
    if (rc == BAKE_OK)
        rc = keep(d, "server", json_string(PQgetvalue(r, 0, 2)));
    PQclear(r);
    return rc;
}

/* Every database opens, and its catalog can be read. */
static int ask_databases(struct drill *d, struct pg_conn *conn)
{
    struct pg_way *w = d->w;
    PGresult *all = NULL;
    json_int_t relations = 0;
    int rc = pg_query(conn, &all, "list the databases",
                      "select datname from pg_database where datallowconn order by 1", 0, NULL);
    for (int i = 0; rc == BAKE_OK && i < PQntuples(all); i++) {
        struct pg_conn one = {0};
        char *count = NULL;
        rc = pg_conn_open(w->ctx, w->cfg, &d->place, PQgetvalue(all, i, 0), &one);
        if (rc != BAKE_OK)
            break;
        rc =
            pg_value(&one, &count, "count the relations", "select count(*) from pg_class", 0, NULL);
        relations += rc == BAKE_OK ? (json_int_t)pg_number(count) : 0;
        free(count);
        pg_conn_close(&one);
    }
    if (rc == BAKE_OK)
        rc = keep(d, "databases", json_integer(PQntuples(all)));
    if (rc == BAKE_OK)
        rc = keep(d, "relations", json_integer(relations));
    PQclear(all);
    return rc;
}

static int ask(struct drill *d)
{
    struct pg_way *w = d->w;
    struct pg_conn conn = {0};
    int rc = pg_conn_open(w->ctx, w->cfg, &d->place, NULL, &conn);
    if (rc != BAKE_OK)
        return rc;
    rc = ask_position(d, &conn);
    if (rc == BAKE_OK)
        rc = ask_databases(d, &conn);
    pg_conn_close(&conn);
    json_t *checks = rc == BAKE_OK ? json_array() : NULL;
    if (rc != BAKE_OK || keep(d, "checks", checks) != BAKE_OK)
        return rc == BAKE_OK ? no_memory(w) : rc;
    return pg_checks_run(w->ctx, w->cfg, &d->place, checks);
}

/* ---- all of it ------------------------------------------------------------------------------- */

static int feed(struct drill *d)
{
    int rc = pg_feed_new(d->w, d->waldump, &d->feed);
    return rc == BAKE_END ? BAKE_OK : rc;
}

static int keep_feed(struct drill *d)
{
    if (!d->feed)
        return BAKE_OK;
    const char *stopped = pg_feed_stopped(d->feed);
    int rc = keep(d, "logs", json_integer((json_int_t)pg_feed_count(d->feed)));
    if (rc != BAKE_OK || !stopped)
        return rc;
    bake_report(d->w->ctx, BAKE_NOTICE, stopped,
                "makes a tablespace, so the drill replayed the log up to there only");
    return keep(d, "logs_stopped", json_string(stopped));
}

static int keep_rest(struct drill *d)
{
    struct pg_way *w = d->w;
    int rc = keep_feed(d);
    if (rc == BAKE_OK)
        rc = keep(d, "seconds", json_real((double)(pg_now_ms() - w->began_ms) / 1000.0));
    free(w->facts);
    w->facts = rc == BAKE_OK ? json_dumps(d->facts, JSON_COMPACT | JSON_REAL_PRECISION(6)) : NULL;
    return w->facts ? BAKE_OK : no_memory(w);
}

int pg_way_can_drill(struct pg_way *w)
{
    struct drill d = {.w = w};
    int rc = find_server(&d);
    if (rc == BAKE_OK)
        rc = pg_tool(w->ctx, w->cfg, "pg_waldump", w->known.version, &d.waldump, NULL);
    free(d.postgres);
    free(d.version);
    free(d.waldump);
    return rc;
}

int pg_way_drill(struct pg_way *w)
{
    struct drill d = {.w = w, .facts = json_object()};
    d.place = (struct pg_place){.host = bkc_scratch_path(w->scratch),
                                .port = PORT,
                                .user = w->known.superuser ? w->known.superuser : "postgres"};
    int rc = d.facts ? find_server(&d) : no_memory(w);
    if (rc == BAKE_OK)
        rc = verify(&d);
    if (rc == BAKE_OK)
        rc = look_into_log(&d);
    if (rc == BAKE_OK)
        rc = feed(&d);
    if (rc == BAKE_OK)
        rc = serve(&d);
    if (rc == BAKE_OK)
        rc = await(&d);
    if (rc == BAKE_OK)
        rc = ask(&d);
    if (rc == BAKE_OK)
        rc = keep_rest(&d);
    pg_feed_free(d.feed);
    json_decref(d.facts);
    free(d.postgres);
    free(d.waldump);
    free(d.version);
    return rc;
}
