/* A moment behind a backup: binary logs applied to a server that is thrown away later, so that no
 * statement in them, whatever database it names, reaches one that is in use. */
#include "at_logs.h"
#include "drill.h"

#include "calls.h"
#include "tools.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BUFFER ((size_t)256 << 10)

struct pipe {
    struct my_restore *r;
    struct bkc_child *from, *to;
    char error[600]; /* what `to` said first */
};

static void hear(void *arg, const char *line)
{
    struct pipe *p = arg;
    if (!p->error[0] && strncmp(line, "ERROR ", 6) == 0)
        (void)snprintf(p->error, sizeof(p->error), "%s", line);
}

/* Its own time zone decides what it takes the moment for. */
static int start_reader(struct pipe *p, const char *tool, const struct my_chain *chain,
                        json_int_t position, const char *database)
{
    static const char *const env[] = {"TZ=UTC", NULL};
    size_t n = chain->n + 8, k = 0;
    const char **argv = calloc(n, sizeof(char *));
    char at[32], *from = my_text("--start-position=%lld", (long long)position), *stop = NULL,
                 *only = database ? my_text("--database=%s", database) : strdup("");
    time_t t = (time_t)(p->r->at_ns / 1000000000);
    struct tm tm;
    if (gmtime_r(&t, &tm) && strftime(at, sizeof(at), "%Y-%m-%d %H:%M:%S", &tm) > 0)
        stop = my_text("--stop-datetime=%s", at);
    int rc = argv && from && stop && only ? BAKE_OK : my_nomem(p->r->ctx);
    if (rc == BAKE_OK) {
        argv[k++] = tool;
        argv[k++] = "--no-defaults";
        argv[k++] = from;
        argv[k++] = stop;
        if (database)
            argv[k++] = only;
        argv[k++] = "--";
        for (size_t i = 0; i < chain->n; i++)
            argv[k++] = chain->paths[i];
        struct bkc_child_spec spec = {
            .argv = argv, .env = env, .out = true, .silence_ms = p->r->cfg->timeout};
        rc = bkc_child_start(p->r->ctx, &spec, &p->from);
    }
    free(argv);
    free(from);
    free(stop);
    free(only);
    return rc;
}

static int start_client(struct pipe *p)
{
    struct my_call call;
    struct bkc_child_spec spec = {
        .in = true, .said = hear, .arg = p, .silence_ms = p->r->cfg->timeout};
    my_call_begin(&call, p->r->cfg, &p->r->server->place, p->r->tool);
    my_call_arg(&call, "--batch");
    my_call_arg(&call, "--binary-mode");
    my_call_arg(&call, "--skip-reconnect");
    my_call_arg(&call, "--max-allowed-packet=1G");
    int rc = my_call_spec(p->r->ctx, &call, &spec);
    if (rc == BAKE_OK)
        rc = bkc_child_start(p->r->ctx, &spec, &p->to);
    my_call_release(&call);
    return rc;
}

static int pump(struct pipe *p)
{
    char *buffer = malloc(BUFFER);
    int rc = buffer ? BAKE_OK : my_nomem(p->r->ctx);
    while (rc == BAKE_OK) {
        struct bake_out o = {.data = buffer, .size = BUFFER};
        rc = bkc_child_read(p->from, &o);
        if (rc >= 0 && o.pos > 0) {
            int written = bkc_child_write(p->to, buffer, o.pos);
            rc = written == BAKE_OK ? rc : written;
        }
    }
    free(buffer);
    if (rc == BAKE_END)
        rc = bkc_child_wait(p->from, NULL);
    return rc;
}

static int apply(struct pipe *p, const char *tool, const struct my_chain *chain,
                 json_int_t position, const char *database)
{
    int status = 0, rc = start_reader(p, tool, chain, position, database);
    if (rc == BAKE_OK)
        rc = start_client(p);
    if (rc == BAKE_OK)
        rc = pump(p);
    if ((rc == BAKE_OK || rc == BAKE_E_CHILD) && p->to) {
        int waited = bkc_child_wait(p->to, &status);
        rc = rc == BAKE_OK ? waited : rc;
    }
    if ((rc == BAKE_OK && status != 0) || (rc == BAKE_E_CHILD && p->error[0])) {
        const char *why = strstr(p->error, ": ");
        rc = bake_fail(p->r->ctx, BAKE_E_CHILD, "the binary logs cannot be applied%s%s%s: %s",
                       database ? " to '" : "", database ? database : "", database ? "'" : "",
                       why ? why + 2 : bkc_child_said(p->to));
    }
    bkc_child_free(p->from);
    bkc_child_free(p->to);
    return rc;
}

/* The tool goes by the database that a statement was run from. */
static int warn_of_strays(struct my_restore *r, const struct my_chain *chain, json_int_t position,
                          const char *database)
{
    uint64_t n = 0, where = 0;
    const char *log = "";
    int rc = BAKE_OK;
    for (size_t i = 0; i < chain->n && rc == BAKE_OK; i++) {
        uint64_t before = n;
        rc = my_binlog_strays(r->ctx, chain->paths[i], database, i ? 0 : (uint64_t)position,
                              r->at_ns / 1000000000, &n, &where);
        if (before == 0 && n > 0)
            log = strrchr(chain->paths[i], '/') + 1;
    }
    if (rc == BAKE_OK && n > 0)
        bake_report(r->ctx, BAKE_WARNING, database,
                    "%llu statements that name it were run from another database, or none, and are "
                    "not applied: the first stands in binary log '%s' at %llu; 'mode: physical' "
                    "restores moments with all statements",
                    (unsigned long long)n, log, (unsigned long long)where);
    return rc;
}

int my_at_apply(struct my_restore *r, const json_t *facts, const char *database)
{
    const json_t *binlog = json_object_get(facts, "binlog");
    const char *stream =
                   json_string_value(json_object_get(json_object_get(facts, "wal"), "stream")),
               *file = json_string_value(json_object_get(binlog, "file"));
    json_int_t position = json_integer_value(json_object_get(binlog, "position"));
    struct my_chain chain = {0};
    struct pipe p = {.r = r};
    char *tool = NULL, *version = NULL;
    if (!stream || !file || position < 4)
        return bake_fail(r->ctx, BAKE_E_CORRUPT,
                         "where the binary log stood is not recorded as it should be");
    int rc = my_tool(r->ctx, r->cfg, "mariadb-binlog", 0, &tool, &version);
    if (rc == BAKE_OK)
        rc = my_chain_fetch(r, stream, file, &chain);
    if (rc == BAKE_OK && database)
        rc = warn_of_strays(r, &chain, position, database);
    if (rc == BAKE_OK)
        rc = apply(&p, tool, &chain, position, database);
    int rc2 = my_chain_release(&chain, r->ctx);
    free(tool);
    free(version);
    return rc == BAKE_OK ? rc2 : rc;
}

/* ---- dumps ----------------------------------------------------------------------------------- */

static int to_load(void *arg, const void *data, size_t n) { return my_load_feed(arg, data, n); }

/* From the throw-away server into the new database, compared by counts. */
static int move_over(struct my_restore *r, struct my_conn *there, struct my_rdb *db)
{
    static const char *const arguments[] = {"--routines", "--events", "--triggers", NULL};
    struct my_load *load = NULL;
    struct my_conn here = {0};
    json_t *counts = NULL;
    uint64_t tables = 0, rows = 0;
    int rc = my_load_start(r, r->ctx, NULL, db->swap.fresh, db, &load);
    if (rc == BAKE_OK)
        rc = my_redump(r, &r->server->place, db->name, arguments, to_load, load);
    if (rc == BAKE_OK)
        rc = my_load_end(load, db);
    my_load_free(load);
    if (rc == BAKE_OK)
        rc = my_counts_of(there, db->name, &counts);
    if (rc == BAKE_OK)
        rc = my_conn_open(r->ctx, r->cfg, NULL, NULL, &here);
    if (rc == BAKE_OK)
        rc = my_count(r, &here, db->swap.fresh, db, counts, &tables, &rows);
    my_conn_close(&here);
    json_decref(counts);
    return rc;
}

int my_at_end(struct my_restore *r)
{
    struct my_conn c = {0};
    const struct my_place *place = &r->server->place;
    int rc = my_conn_open(r->ctx, r->cfg, place, NULL, &c);
    for (size_t i = 0; i < r->n && rc == BAKE_OK; i++)
        rc = my_script_run(r, place, r->dbs[i].name, &r->dbs[i].extras,
                           "views, routines or triggers");
    for (size_t i = 0; i < r->n && rc == BAKE_OK; i++)
        rc = my_script_run(r, place, r->dbs[i].name, &r->dbs[i].events, "events");
    for (size_t i = 0; i < r->n && rc == BAKE_OK; i++)
        rc = my_at_apply(r, r->dbs[i].facts, r->dbs[i].name);
    if (rc == BAKE_OK && r->n > 0)
        bake_report(r->ctx, BAKE_NOTICE, r->dbs[0].name,
                    "rows were not compared with those recorded: the logs have changed them");
    for (size_t i = 0; i < r->n && rc == BAKE_OK; i++)
        rc = move_over(r, &c, &r->dbs[i]);
    my_conn_close(&c);
    return rc;
}
