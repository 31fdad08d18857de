/* The proof of dumps: a server that is made for it, in a directory of its own, and thrown away. */
#include "restore.h"

#include "checks.h"
#include "text.h"
#include "tools.h"
#include "wait.h"
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PORT     5432 /* only a name: it listens on a socket in its own directory */
#define PACE_MS  50
#define START_MS 120000
#define STOP_MS  10000
#define ARGS     128

static int nomem(struct bake_ctx *ctx) { return bake_fail(ctx, BAKE_E_NOMEM, "out of memory"); }

struct begin { /* while it is being started */
    struct pg_restore *r;
    struct bake_ctx *ctx;
    char *initdb, *postgres, *version, *data;
    const char *preload; /* what the old server had loaded, or NULL */
};

/* ---- tools ----------------------------------------------------------------------------------- */

/* Of the very major: what a later one takes may differ. */
static int find_server(struct begin *b)
{
    struct pg_restore *r = b->r;
    int rc = pg_tool(b->ctx, r->cfg, "postgres", r->dumped, &b->postgres, &b->version);
    if (rc == BAKE_OK)
        rc = pg_tool(b->ctx, r->cfg, "initdb", r->dumped, &b->initdb, NULL);
    if (rc != BAKE_OK)
        return rc;
    int major = 0, wanted = r->dumped / 10000;
    for (const char *p = b->version; *p >= '0' && *p <= '9' && major < 1000; p++)
        major = major * 10 + (*p - '0');
    if (wanted == 0 || major == wanted)
        return BAKE_OK;
    return bake_fail(b->ctx, BAKE_E_UNSUPPORTED,
                     "a drill of these dumps needs a server of PostgreSQL %d; here is %s\n"
                     "HINT: install postgresql-%d, or name its directory by 'bin'",
                     wanted, b->version, wanted);
}

static const char *first_fact(const struct pg_restore *r, const char *key)
{
    for (size_t i = 0; i < r->n; i++) {
        const char *text = pg_fact(&r->targets[i], key);
        if (text && *text)
            return text;
    }
    return NULL;
}

/* ---- making it ------------------------------------------------------------------------------- */

static int make_directory(struct begin *b, uint64_t bytes)
{
    struct pg_restore *r = b->r;
    struct bkc_scratch_spec spec = {.above = r->cfg->scratch,
                                    .what = "drill",
                                    .user = r->cfg->owner,
                                    .needs = bytes * 5 / 2 + (64 << 20)};
    int rc = bkc_scratch_new(b->ctx, &spec, &r->scratch);
    if (rc != BAKE_OK)
        return rc;
    b->data = pg_text("%s/data", bkc_scratch_path(r->scratch));
    return b->data ? BAKE_OK : nomem(b->ctx);
}

/* Every database brings its own encoding and locale, this is only where it begins. */
static int init(struct begin *b)
{
    struct pg_restore *r = b->r;
    const char *argv[] = {b->initdb,
                          "-D",
                          b->data,
                          "-U",
                          r->own.user,
                          "--auth=trust",
                          "--encoding=UTF8",
                          "--locale=C",
                          "--no-sync",
                          r->dumped >= 140000 ? "--no-instructions" : NULL,
                          NULL};
    struct bkc_child_spec spec = {.argv = argv, .user = r->cfg->owner};
    return bkc_child_run(b->ctx, &spec, NULL, 0, NULL);
}

/* Small, and without anything by which it could reach out or go to work by itself. */
static const char *const quiet[] = {"listen_addresses=",
                                    "port=5432",
                                    "unix_socket_permissions=0700",
                                    "fsync=off",
                                    "full_page_writes=off",
                                    "synchronous_commit=off",
                                    "wal_level=minimal",
                                    "max_wal_senders=0",
                                    "max_wal_size=1GB",
                                    "checkpoint_timeout=1h",
                                    "archive_mode=off",
                                    "max_logical_replication_workers=0",
                                    "max_worker_processes=0",
                                    "max_prepared_transactions=0",
                                    "max_connections=50",
                                    "max_locks_per_transaction=1024",
                                    "autovacuum=off",
                                    "shared_buffers=64MB",
                                    "maintenance_work_mem=64MB",
                                    "huge_pages=off",
                                    "logging_collector=off",
                                    "log_destination=stderr",
                                    "log_statement=none",
                                    "log_min_error_statement=panic",
                                    NULL};

static int serve(struct begin *b, const char *preload)
{
    struct pg_restore *r = b->r;
    const char *argv[ARGS];
    size_t n = 0;
    char *socket = pg_text("unix_socket_directories=%s", bkc_scratch_path(r->scratch));
    char *libraries = pg_text("shared_preload_libraries=%s", preload ? preload : "");
    int rc = socket && libraries ? BAKE_OK : nomem(b->ctx);
    argv[n++] = b->postgres;
    argv[n++] = "-D";
    argv[n++] = b->data;
    for (const char *const *q = quiet; *q; q++) {
        argv[n++] = "-c";
        argv[n++] = *q;
    }
    argv[n++] = "-c";
    argv[n++] = socket;
    argv[n++] = "-c";
    argv[n++] = libraries;
    if (r->dumped >= 110000) { /* before, it is a word that the server does not know */
        argv[n++] = "-c";
        argv[n++] = "jit=off";
    }
    argv[n] = NULL;
    if (rc == BAKE_OK)
        rc = bkc_scratch_serve(r->scratch, b->ctx, argv, NULL);
    free(socket);
    free(libraries);
    return rc;
}

/* ---- waiting --------------------------------------------------------------------------------- */

/* The last line that says why, else the last line. */
static int ended(struct begin *b, const char *what, bool *ret_library)
{
    char *log = bkc_scratch_log(b->r->scratch), *line = log, *why = NULL, *last = NULL;
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
    *ret_library = why && strstr(why, "could not access file");
    int rc = bake_fail(b->ctx, BAKE_E_CHILD, "%s: %s", what,
                       why    ? why
                       : last ? last
                              : "it said nothing");
    free(log);
    return rc;
}

static bool accepts(const struct pg_restore *r)
{
    return pg_conn_answers(r->cfg, &r->own, "template1");
}

static int await(struct begin *b, bool *ret_library)
{
    int64_t end = pg_now_ms() + START_MS;
    *ret_library = false;
    for (;;) {
        int rc = b->ctx->host->sleep_ms(b->ctx, PACE_MS);
        if (rc != BAKE_OK)
            return rc;
        if (!bkc_scratch_alive(b->r->scratch))
            return ended(b, "the throw-away server did not start", ret_library);
        if (accepts(b->r))
            return BAKE_OK;
        if (pg_now_ms() > end)
            return ended(b, "the throw-away server took too long to start", ret_library);
    }
}

/* Libraries that are not installed here may not be needed: then it tells a failing statement. */
static int start(struct begin *b)
{
    bool library = false;
    struct pg_hush h;
    struct begin first = *b;
    pg_hush(&h, b->ctx);
    first.ctx = &h.ctx;
    int rc = serve(b, b->preload);
    if (rc != BAKE_OK)
        return rc;
    rc = await(&first, &library);
    if (rc == BAKE_OK || rc == BAKE_E_CANCELLED)
        return rc;
    if (!library || !b->preload)
        return bake_fail(b->ctx, rc, "%s", h.text);
    bake_report(b->ctx, BAKE_NOTICE, b->preload,
                "these libraries of the old server's 'shared_preload_libraries' are not all "
                "installed here, going on without them");
    rc = serve(b, NULL);
    return rc == BAKE_OK ? await(b, &library) : rc;
}

/* Where to be while others are made; the usual ones may be in the backup themselves. */
static int make_home(struct begin *b)
{
    struct pg_restore *r = b->r;
    struct pg_conn c = {0};
    char *home = pg_text("bakengine_%s", r->mark);
    int rc = home ? pg_restore_conn(r, b->ctx, "template1", &c) : nomem(b->ctx);
    if (rc == BAKE_OK) {
        rc = pg_run(&c, "cannot make a database", "CREATE DATABASE %I TEMPLATE template0", home);
        pg_conn_close(&c);
    }
    if (rc == BAKE_OK)
        r->home = home;
    else
        free(home);
    return rc;
}

int pg_drill_begin(struct pg_restore *r, struct bake_ctx *ctx, uint64_t bytes)
{
    struct begin b = {.r = r, .ctx = ctx, .preload = first_fact(r, "shared_preload_libraries")};
    const char *superuser = first_fact(r, "superuser");
    int rc = find_server(&b);
    if (rc == BAKE_OK)
        rc = make_directory(&b, bytes);
    if (rc == BAKE_OK) {
        r->own = (struct pg_place){.host = bkc_scratch_path(r->scratch),
                                   .port = PORT,
                                   .user = superuser ? superuser : "postgres"};
        rc = init(&b);
    }
    if (rc == BAKE_OK)
        rc = start(&b);
    if (rc == BAKE_OK)
        rc = make_home(&b);
    free(b.initdb);
    free(b.postgres);
    free(b.version);
    free(b.data);
    return rc;
}

/* ---- the proof ------------------------------------------------------------------------------- */

static int ask_version(struct pg_restore *r, struct bake_ctx *ctx, char **ret)
{
    struct pg_conn c = {0};
    int rc = pg_restore_home(r, ctx, NULL, &c);
    if (rc != BAKE_OK)
        return rc;
    rc = pg_value(&c, ret, "cannot ask the server what it is",
                  "SELECT pg_catalog.current_setting('server_version')", 0, NULL);
    pg_conn_close(&c);
    return rc;
}

int pg_drill_prove(struct pg_restore *r, struct bake_ctx *ctx)
{
    json_t *checks = json_array();
    char *version = NULL;
    uint64_t tables = 0, rows = 0;
    int rc = checks ? ask_version(r, ctx, &version) : nomem(ctx);
    if (rc == BAKE_OK)
        rc = pg_checks_run(ctx, r->cfg, pg_restore_place(r), checks);
    for (size_t i = 0; i < r->n; i++) {
        tables += r->targets[i].tables;
        rows += r->targets[i].rows;
    }
    json_t *facts =
        version && checks
            ? json_pack("{s:s, s:i, s:I, s:I, s:O, s:f}", "server", version, "databases", (int)r->n,
                        "tables", (json_int_t)tables, "rows", (json_int_t)rows, "checks", checks,
                        "seconds", (double)(pg_now_ms() - r->began_ms) / 1000.0)
            : NULL;
    r->facts = facts ? json_dumps(facts, JSON_COMPACT | JSON_REAL_PRECISION(6)) : NULL;
    if (rc == BAKE_OK && !r->facts)
        rc = nomem(ctx);
    json_decref(facts);
    json_decref(checks);
    free(version);
    return rc;
}

int pg_drill_end(struct pg_restore *r, struct bake_ctx *ctx)
{
    struct bkc_scratch *s = r->scratch;
    r->scratch = NULL;
    return bkc_scratch_end(s, ctx, SIGQUIT, STOP_MS);
}
