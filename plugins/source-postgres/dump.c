/* Dumps: the tool's output is read, looked at as it goes by, and judged at its end. */
#include "dump.h"

#include "globals.h"
#include "ops.h"
#include "scan.h"
#include "tools.h"
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

struct dump {
    struct pg_reader ops; /* first */
    struct bake_ctx *ctx;
    const struct pg_database *database; /* NULL: the globals */
    const char *tool, *subject;
    char *version; /* the tool's */
    json_t *facts;
    struct bkc_child *child;
    struct pg_scan *scan;
    struct pg_lines lines;
    char *text; /* the facts at the end */
};

static int nomem(struct bake_ctx *ctx) { return bake_fail(ctx, BAKE_E_NOMEM, "out of memory"); }

/* ---- reading --------------------------------------------------------------------------------- */

static int dump_read(void *reader, struct bake_out *out)
{
    struct dump *d = reader;
    size_t from = out->pos;
    int rc = bkc_child_read(d->child, out);
    if (out->pos > from && pg_scan_feed(d->scan, (char *)out->data + from, out->pos - from) != 0)
        return nomem(d->ctx);
    return rc;
}

static int judge(struct dump *d)
{
    const char *why = "";
    int status = 0, rc = bkc_child_wait(d->child, &status);
    if (rc != BAKE_OK)
        return rc;
    if (status != 0)
        return pg_lines_fail(&d->lines, d->ctx, d->tool, d->subject, status);
    rc = pg_scan_end(d->scan, &why);
    if (rc == BAKE_E_CORRUPT)
        return bake_fail(d->ctx, BAKE_E_CHILD,
                         "'%s' of '%s' ended as if all were well, but its dump is not whole: %s",
                         d->tool, d->subject, why);
    if (rc != BAKE_OK)
        return nomem(d->ctx);
    if (!pg_scan_counted(d->scan))
        bake_report(d->ctx, BAKE_WARNING, d->subject,
                    "'%s' is newer than this engine knows: that its dump is whole is known by its "
                    "exit status alone, and rows are not counted",
                    d->tool);
    pg_lines_report(&d->lines, d->ctx, d->tool, d->subject);
    if (!pg_scan_counted(d->scan))
        bake_report(d->ctx, BAKE_NOTICE, d->subject,
                    "rows are not counted: the format of '%s' %s is not known", d->tool,
                    d->version);
    return BAKE_OK;
}

static int dump_finish(void *reader, struct bake_result *ret)
{
    struct dump *d = reader;
    int rc = judge(d);
    if (rc != BAKE_OK)
        return rc;
    bool good = json_object_set_new(d->facts, "client_version", json_string(d->version)) == 0;
    if (d->database)
        good &= pg_scan_facts(d->scan, d->facts) == BAKE_OK;
    d->text = good ? json_dumps(d->facts, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    ret->facts = d->text;
    return d->text ? BAKE_OK : nomem(d->ctx);
}

static void dump_close(void *reader)
{
    struct dump *d = reader;
    bkc_child_free(d->child);
    pg_scan_free(d->scan);
    pg_lines_free(&d->lines);
    json_decref(d->facts);
    free(d->version);
    free(d->text);
    free(d);
}

/* ---- starting -------------------------------------------------------------------------------- */

static void add_list(struct pg_call *call, const char *option, const char *const *list)
{
    for (; list && *list; list++)
        pg_call_argf(call, "--%s=%s", option, *list);
}

static void args_of_database(struct pg_call *call, const struct pg_config *cfg)
{
    pg_call_arg(call, cfg->format == PG_CUSTOM ? "--format=custom" : "--format=plain");
    pg_call_arg(call, "--compress=0");
    pg_call_arg(call, "--no-password");
    if (cfg->lock_timeout > 0)
        pg_call_argf(call, "--lock-wait-timeout=%llu", (unsigned long long)cfg->lock_timeout);
    add_list(call, "schema", cfg->schemas);
    add_list(call, "exclude-schema", cfg->exclude_schemas);
    add_list(call, "table", cfg->tables);
    add_list(call, "exclude-table", cfg->exclude_tables);
    add_list(call, "exclude-table-data", cfg->exclude_table_data);
}

static int start(struct dump *d, const struct pg_config *cfg, struct pg_call *call)
{
    struct bkc_child_spec spec = {
        .out = true, .said = pg_lines_add, .arg = &d->lines, .silence_ms = cfg->timeout};
    int rc = pg_call_spec(d->ctx, call, &spec);
    return rc == BAKE_OK ? bkc_child_start(d->ctx, &spec, &d->child) : rc;
}

static int start_database(struct dump *d, const struct pg_config *cfg, const char *path)
{
    struct pg_call call;
    pg_call_begin(&call, cfg, NULL, path, d->database->name);
    args_of_database(&call, cfg);
    int rc = start(d, cfg, &call);
    pg_call_release(&call);
    return rc;
}

static int start_globals(struct dump *d, const struct pg_config *cfg, const char *path)
{
    struct pg_call call;
    bool secrets = false;
    int rc = pg_globals_secrets(d->ctx, cfg, &secrets);
    if (rc != BAKE_OK)
        return rc;
    if (json_object_set_new(d->facts, "role_passwords", json_boolean(secrets)) != 0)
        return nomem(d->ctx);
    pg_call_begin(&call, cfg, NULL, path, cfg->database);
    pg_globals_args(&call, cfg, secrets);
    rc = start(d, cfg, &call);
    pg_call_release(&call);
    return rc;
}

static int check_database(struct bake_ctx *ctx, const struct pg_database *db)
{
    if (!db->exists)
        return bake_fail(ctx, BAKE_E_NOTFOUND, "there is no database '%s', which 'databases' names",
                         db->name);
    if (!db->allows)
        return bake_fail(ctx, BAKE_E_UNSUPPORTED,
                         "database '%s', which 'databases' names, allows no connections", db->name);
    return BAKE_OK;
}

static int prepare(struct dump *d, const struct pg_source *src)
{
    const struct pg_list *l = src->list;
    const char *facts = d->database ? d->database->facts : l->globals_facts;
    char *path = NULL;
    int rc = d->database ? check_database(d->ctx, d->database) : BAKE_OK;
    if (rc != BAKE_OK)
        return rc;
    d->facts = facts ? json_loads(facts, 0, NULL) : json_object();
    if (!d->facts || pg_scan_new(d->database ? src->cfg->format : PG_PLAIN, &d->scan) != BAKE_OK)
        return nomem(d->ctx);
    rc = pg_tool(d->ctx, src->cfg, d->tool, l->version_num, &path, &d->version);
    if (rc == BAKE_OK)
        rc = d->database ? start_database(d, src->cfg, path) : start_globals(d, src->cfg, path);
    free(path);
    return rc;
}

int pg_dump_open(struct pg_source *src, struct bake_ctx *ctx, const struct bake_component *c,
                 struct pg_reader **ret)
{
    bool globals = strcmp(c->name, PG_GLOBALS) == 0;
    const struct pg_database *db = globals ? NULL : pg_list_find(src->list, c->name);
    if (!src->list || (!globals && !db))
        return bake_fail(ctx, BAKE_E_INTERNAL, "component '%s' was never planned", c->name);
    struct dump *d = calloc(1, sizeof(*d));
    if (!d)
        return nomem(ctx);
    d->ops = (struct pg_reader){.read = dump_read, .finish = dump_finish, .close = dump_close};
    d->ctx = ctx;
    d->database = db;
    d->tool = globals ? "pg_dumpall" : "pg_dump";
    d->subject = globals ? "globals" : db->name;
    int rc = prepare(d, src);
    if (rc != BAKE_OK) {
        dump_close(d);
        return rc;
    }
    *ret = &d->ops;
    return BAKE_OK;
}
