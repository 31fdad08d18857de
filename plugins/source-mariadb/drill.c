/* The proof of a backup: all of it in a throw-away server, counted and asked. */
#include "drill.h"

#include <stdlib.h>
#include <string.h>

/* ---- checks ---------------------------------------------------------------------------------- */

static const char *judge(MYSQL_RES *r)
{
    MYSQL_ROW row = r ? mysql_fetch_row(r) : NULL;
    if (!row)
        return "it yields no rows";
    if (!row[0])
        return "it yields NULL";
    return strcmp(row[0], "0") == 0 || strcasecmp(row[0], "false") == 0 ? "it yields 0" : NULL;
}

/* *ret_why: why it does not hold, to be freed; NULL: it does. */
static int run_one(struct my_restore *r, const struct my_place *place, const char *text,
                   char **ret_why)
{
    struct my_conn c = {0};
    MYSQL_RES *res = NULL;
    const char *colon = strstr(text, ": ");
    char *database = colon ? strndup(text, (size_t)(colon - text)) : NULL;
    *ret_why = NULL;
    if (!database)
        return bake_fail(r->ctx, BAKE_E_CONFIG, "'check': '%s' does not say in which database",
                         text);
    int rc = my_conn_open(r->ctx, r->cfg, place, database, &c);
    free(database);
    if (rc == BAKE_E_NOTFOUND) {
        *ret_why = strdup("there is no such database");
        return *ret_why ? BAKE_OK : my_nomem(r->ctx);
    }
    if (rc != BAKE_OK)
        return rc;
    const char *why = my_try(&c, &res, colon + 2) == BAKE_OK ? judge(res) : mysql_error(c.my);
    if (c.broken)
        rc = bake_fail(r->ctx, c.broken, "a check was broken off: '%s'", text);
    else if (why && !(*ret_why = strdup(why)))
        rc = my_nomem(r->ctx);
    mysql_free_result(res);
    my_conn_close(&c);
    return rc;
}

int my_checks_run(struct my_restore *r, const struct my_place *place, json_t *list)
{
    const char *first = NULL;
    char *first_why = NULL;
    size_t failed = 0;
    int rc = BAKE_OK;
    for (const char *const *p = r->cfg->check; rc == BAKE_OK && p && *p; p++) {
        char *why = NULL;
        rc = run_one(r, place, *p, &why);
        if (rc == BAKE_OK &&
            json_array_append_new(list, json_pack("{s:s, s:b, s:s*}", "statement", *p, "ok",
                                                  why == NULL, "error", why)) != 0)
            rc = my_nomem(r->ctx);
        failed += why != NULL;
        if (why && !first) {
            first = *p;
            first_why = why;
        } else {
            free(why);
        }
    }
    if (rc == BAKE_OK && failed > 0)
        rc = bake_fail(r->ctx, BAKE_E_CORRUPT, "a check does not hold: '%s': %s%s", first,
                       first_why, failed > 1 ? "; and others" : "");
    free(first_why);
    return rc;
}

/* ---- facts ----------------------------------------------------------------------------------- */

int my_drill_facts(struct my_restore *r, uint64_t tables, uint64_t rows, json_t *checks)
{
    json_t *o = json_pack("{s:s, s:I, s:I, s:O, s:f}", "server", r->server->version, "tables",
                          (json_int_t)tables, "rows", (json_int_t)rows, "checks", checks, "seconds",
                          (double)(my_now_ms() - r->began_ms) / 1000.0);
    free(r->facts);
    r->facts = o ? json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(6)) : NULL;
    json_decref(o);
    return r->facts ? BAKE_OK : my_nomem(r->ctx);
}

/* ---- dumps ----------------------------------------------------------------------------------- */

static int put_together(struct my_restore *r, struct my_conn *c)
{
    const struct my_place *place = &r->server->place;
    int rc = my_users_make(r, c);
    for (size_t i = 0; i < r->n && rc == BAKE_OK; i++)
        rc = my_script_run(r, place, r->dbs[i].name, &r->dbs[i].extras,
                           "views, routines or triggers");
    for (size_t i = 0; i < r->n && rc == BAKE_OK; i++)
        rc = my_script_run(r, place, r->dbs[i].name, &r->dbs[i].events, "events");
    if (rc == BAKE_OK)
        rc = my_users_grant_all(r, c);
    return rc;
}

/* The user's statements; the facts say of each how it went, also if one failed. */
static int check(struct my_restore *r, uint64_t tables, uint64_t rows, json_t *checks)
{
    int rc = my_checks_run(r, &r->server->place, checks);
    int rc2 = my_drill_facts(r, tables, rows, checks);
    return rc == BAKE_OK ? rc2 : rc;
}

int my_drill_end(struct my_restore *r)
{
    struct my_conn c = {0};
    uint64_t tables = 0, rows = 0;
    json_t *checks = json_array();
    int rc = checks ? my_conn_open(r->ctx, r->cfg, &r->server->place, NULL, &c) : my_nomem(r->ctx);
    if (rc == BAKE_OK)
        rc = put_together(r, &c);
    for (size_t i = 0; i < r->n && rc == BAKE_OK && r->at_ns; i++)
        rc = my_at_apply(r, r->dbs[i].facts, r->dbs[i].name);
    for (size_t i = 0; i < r->n && rc == BAKE_OK; i++) {
        json_t *now = NULL; /* what logs were applied to has other rows than recorded */
        if (r->at_ns)
            rc = my_counts_of(&c, r->dbs[i].name, &now);
        if (rc == BAKE_OK)
            rc = my_count(r, &c, r->dbs[i].name, &r->dbs[i], now, &tables, &rows);
        json_decref(now);
    }
    if (rc == BAKE_OK)
        rc = check(r, tables, rows, checks);
    my_conn_close(&c);
    json_decref(checks);
    return rc;
}

/* ---- copies ---------------------------------------------------------------------------------- */

/* Every table opens, and its rows can be read. */
static int ask_all(struct my_restore *r, uint64_t *tables, uint64_t *rows)
{
    struct my_conn c = {0};
    MYSQL_RES *res = NULL;
    int rc = my_conn_open(r->ctx, r->cfg, &r->server->place, NULL, &c);
    if (rc != BAKE_OK)
        return rc;
    rc = my_query(&c, &res, "cannot list the databases",
                  "SELECT schema_name FROM information_schema.schemata WHERE schema_name NOT IN "
                  "('information_schema', 'performance_schema', 'sys')");
    for (MYSQL_ROW row; rc == BAKE_OK && (row = mysql_fetch_row(res));) {
        json_t *counts = NULL, *value;
        const char *name;
        rc = my_counts_of(&c, row[0], &counts);
        if (rc == BAKE_OK && strcmp(row[0], "mysql") != 0) {
            *tables += json_object_size(counts);
            json_object_foreach(counts, name, value)
            {
                *rows += (uint64_t)json_integer_value(value);
            }
        }
        json_decref(counts);
    }
    mysql_free_result(res);
    my_conn_close(&c);
    return rc;
}

int my_base_drill(struct my_restore *r, const char *data)
{
    uint64_t tables = 0, rows = 0;
    json_t *checks = json_array();
    int rc = checks ? my_server_start(r, r->server, data) : my_nomem(r->ctx);
    if (rc == BAKE_OK)
        rc = ask_all(r, &tables, &rows);
    if (rc == BAKE_OK)
        rc = check(r, tables, rows, checks);
    json_decref(checks);
    return rc;
}
