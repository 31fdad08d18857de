/* Dumping a database by mariadb-dump: read, looked into as it goes by, judged at its end. */
#include "calls.h"
#include "look.h"
#include "ops.h"
#include "rights.h"
#include "tools.h"
#include "users.h"
#include "watch.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

struct dump {
    struct my_reader reader; /* first */
    struct my_source *src;
    struct bake_ctx *ctx;
    const struct my_database *db;
    struct my_conn conn; /* for questions before and after */
    struct my_look before;
    struct my_scan *scan;
    struct bkc_child *child;
    struct my_watch *watch;
    char *client, *facts;
    bool added;
};

/* ---- starting -------------------------------------------------------------------------------- */

static const char *flag(bool on, const char *yes, const char *no) { return on ? yes : no; }

static void arguments(struct my_call *call, const struct dump *d)
{
    const struct my_config *cfg = d->src->cfg;
    /* without a date the same data give the same bytes */
    static const char *const always[] = {"--single-transaction",
                                         "--quick",
                                         "--hex-blob",
                                         "--no-tablespaces",
                                         "--skip-dump-date",
                                         "--max-allowed-packet=1G",
                                         "--default-character-set=utf8mb4",
                                         NULL};
    for (const char *const *a = always; *a; a++)
        my_call_arg(call, *a);
    my_call_arg(call, flag(cfg->routines, "--routines", "--skip-routines"));
    my_call_arg(call, flag(cfg->events, "--events", "--skip-events"));
    my_call_arg(call, flag(cfg->triggers, "--triggers", "--skip-triggers"));
    if (d->src->list->binlogs) {
        my_call_arg(call, "--master-data=2");
        my_call_arg(call, "--gtid");
    }
    size_t i;
    json_t *item;
    json_array_foreach(d->before.ignored, i, item)
    {
        my_call_option(call, "ignore-table", json_string_value(item));
    }
    my_call_arg(call, "--");
    my_call_arg(call, d->db->name);
}

static int start(struct dump *d)
{
    struct my_call call;
    struct bkc_child_spec spec = {.out = true, .silence_ms = d->src->cfg->timeout};
    char *path = NULL;
    int rc = my_tool(d->ctx, d->src->cfg, "mariadb-dump", d->conn.version, &path, &d->client);
    if (rc != BAKE_OK)
        return rc;
    my_call_begin(&call, d->src->cfg, NULL, path);
    arguments(&call, d);
    rc = my_call_spec(d->ctx, &call, &spec);
    if (rc == BAKE_OK)
        rc = bkc_child_start(d->ctx, &spec, &d->child);
    my_call_release(&call);
    free(path);
    if (rc == BAKE_OK && my_calls_add(d->src->calls, d->child) != BAKE_OK)
        rc = my_nomem(d->ctx);
    else if (rc == BAKE_OK)
        d->added = true;
    return rc;
}

static void warn(const struct dump *d)
{
    const char *name = d->db->name;
    size_t remote = json_array_size(d->before.remote), unsafe = json_array_size(d->before.unsafe),
           versioned = json_array_size(d->before.versioned);
    if (unsafe)
        bake_report(d->ctx, BAKE_WARNING, name,
                    "%zu of its tables are not transactional ('%s'%s): they may be of another "
                    "moment than the rest",
                    unsafe, json_string_value(json_array_get(d->before.unsafe, 0)),
                    unsafe > 1 ? " and others" : "");
    if (remote)
        bake_report(d->ctx, BAKE_NOTICE, name,
                    "the rows of %zu of its tables stand elsewhere ('%s'%s) and are not dumped",
                    remote, json_string_value(json_array_get(d->before.remote, 0)),
                    remote > 1 ? " and others" : "");
    if (versioned)
        bake_report(d->ctx, BAKE_WARNING, name,
                    "%zu of its tables are system-versioned ('%s'%s): a dump has their rows of "
                    "now, not their history, which 'mode: physical' keeps",
                    versioned, json_string_value(json_array_get(d->before.versioned, 0)),
                    versioned > 1 ? " and others" : "");
}

static int prepare(struct dump *d)
{
    const struct my_config *cfg = d->src->cfg;
    int rc = my_conn_open(d->ctx, cfg, NULL, d->db->name, &d->conn);
    if (rc == BAKE_OK) /* it is idle while the dump is read */
        rc = my_query(&d->conn, NULL, "cannot prepare the dump",
                      "SET SESSION wait_timeout = 2147483, time_zone = '+00:00'");
    if (rc == BAKE_OK)
        rc = my_rights_check(&d->conn, cfg, d->db->name);
    if (rc == BAKE_OK)
        rc = my_look_make(&d->conn, cfg, d->db->name, &d->before);
    if (rc == BAKE_OK && my_scan_new(&d->scan) != BAKE_OK)
        rc = my_nomem(d->ctx);
    if (rc != BAKE_OK)
        return rc;
    warn(d);
    rc = start(d);
    return rc == BAKE_OK ? my_watch_start(d->ctx, cfg, d->db->name, d->child, &d->watch) : rc;
}

/* ---- reading --------------------------------------------------------------------------------- */

static int dump_read(void *reader, struct bake_out *out)
{
    struct dump *d = reader;
    size_t from = out->pos;
    my_watch_reading(d->watch, true);
    int rc = bkc_child_read(d->child, out);
    my_watch_reading(d->watch, false);
    if (rc < 0 && *my_watch_said(d->watch))
        return bake_fail(d->ctx, BAKE_E_TIMEOUT,
                         "the dump of '%s' waits for a lock for more than %llu seconds: %s\n"
                         "HINT: see 'lock_timeout'",
                         d->db->name, (unsigned long long)(d->src->cfg->lock_timeout / 1000),
                         my_watch_said(d->watch));
    if (out->pos > from &&
        my_scan_feed(d->scan, (const char *)out->data + from, out->pos - from) != BAKE_OK)
        return my_nomem(d->ctx);
    return rc;
}

/* ---- judging --------------------------------------------------------------------------------- */

static bool set(json_t *o, const char *key, json_t *value)
{
    return json_object_set_new(o, key, value) == 0;
}

static bool binlog_facts(struct dump *d, json_t *o, const char *now)
{
    uint64_t position = 0;
    const char *file = my_scan_binlog(d->scan, &position);
    if (!*file)
        return true;
    return set(o, "binlog",
               json_pack("{s:s, s:I, s:s}", "file", file, "position", (json_int_t)position, "gtid",
                         my_scan_gtid(d->scan))) &&
           set(o, "wal",
               json_pack("{s:s, s:s, s:s}", "stream", d->src->list->stream, "from", file, "end",
                         now));
}

static int make_facts(struct dump *d, const char *now)
{
    const struct my_look *b = &d->before;
    const struct my_list *l = d->src->list;
    struct my_scan_made made;
    my_scan_made(d->scan, &made);
    json_t *o =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:I, s:I, s:I, s:I, s:O, s:O}", "database",
                  d->db->name, "server_version", l->server_version, "client_version", d->client,
                  "charset", d->db->charset, "collation", d->db->collation, "format", "sql",
                  "sandbox_line", my_scan_sandboxed(d->scan), "routines", (json_int_t)made.routines,
                  "events", (json_int_t)made.events, "triggers", (json_int_t)made.triggers, "views",
                  (json_int_t)b->views, "engines", b->engines, "definers", b->definers);
    bool good = o && my_scan_facts(d->scan, o) == BAKE_OK && binlog_facts(d, o, now);
    if (good && json_array_size(b->ignored))
        good = json_object_set(o, "excluded_tables", b->ignored) == 0;
    d->facts = good ? json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    json_decref(o);
    return d->facts ? BAKE_OK : my_nomem(d->ctx);
}

static int judge(struct dump *d)
{
    const char *why = NULL;
    int rc = bkc_child_wait(d->child, NULL);
    if (rc != BAKE_OK)
        return rc;
    if (my_scan_end(d->scan, &why) != BAKE_OK) {
        const char *said = bkc_child_said(d->child);
        return bake_fail(d->ctx, BAKE_E_CHILD,
                         "mariadb-dump ended well, but the dump of '%s' is not whole: %s%s%s",
                         d->db->name, why, *said ? "; it said: " : "", said);
    }
    uint64_t position;
    if (d->src->list->binlogs && !*my_scan_binlog(d->scan, &position))
        return bake_fail(d->ctx, BAKE_E_CHILD,
                         "the dump of '%s' does not say where the binary log stood", d->db->name);
    if (*bkc_child_said(d->child))
        bake_report(d->ctx, BAKE_WARNING, d->db->name, "mariadb-dump says: %s",
                    bkc_child_said(d->child));
    return BAKE_OK;
}

static int dump_finish(void *reader, struct bake_result *ret)
{
    struct dump *d = reader;
    struct my_look after = {0};
    char *now = NULL;
    int rc = judge(d);
    if (rc == BAKE_OK)
        rc = my_look_make(&d->conn, d->src->cfg, d->db->name, &after);
    if (rc == BAKE_OK)
        rc = my_look_compare(d->ctx, d->db->name, &d->before, &after, d->scan);
    if (rc == BAKE_OK)
        rc = my_value(&d->conn, &now, "cannot ask for the time", MY_NOW_SQL);
    if (rc == BAKE_OK)
        rc = make_facts(d, now);
    my_look_release(&after);
    free(now);
    ret->facts = d->facts;
    return rc;
}

static void dump_close(void *reader)
{
    struct dump *d = reader;
    my_watch_stop(d->watch);
    if (d->added)
        my_calls_drop(d->src->calls, d->child);
    bkc_child_free(d->child);
    my_scan_free(d->scan);
    my_look_release(&d->before);
    my_conn_close(&d->conn);
    free(d->client);
    free(d->facts);
    free(d);
}

int my_dump_open(struct my_source *src, struct bake_ctx *ctx, const struct bake_component *c,
                 struct my_reader **ret)
{
    if (strcmp(c->name, MY_USERS) == 0)
        return my_users_open(src, ctx, ret);
    const struct my_database *db = my_list_find(src->list, c->name);
    if (!db)
        return bake_fail(ctx, BAKE_E_INTERNAL, "component '%s' was never planned", c->name);
    struct dump *d = calloc(1, sizeof(*d));
    if (!d)
        return my_nomem(ctx);
    d->reader = (struct my_reader){.read = dump_read, .finish = dump_finish, .close = dump_close};
    d->src = src;
    d->ctx = ctx;
    d->db = db;
    int rc = prepare(d);
    if (rc == BAKE_OK)
        *ret = &d->reader;
    else
        dump_close(d);
    return rc;
}
