/* The statements of the option `check`. */
#include "checks.h"

#include "said.h"
#include "text.h"
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

bool pg_check_parts(const char *text, char **ret_database, const char **ret_statement)
{
    const char *colon = strstr(text, ": "); /* as pg_validate() has it: names may have a ':' */
    if (!colon || colon == text)
        return false;
    const char *statement = colon + 2 + strspn(colon + 2, " \t\r\n");
    if (!*statement)
        return false;
    char *database = strndup(text, (size_t)(colon - text));
    if (!database)
        return false;
    *ret_database = database;
    *ret_statement = statement;
    return true;
}

/* The first value must be something, and not what stands for no. NULL: it holds. */
static const char *judge(const PGresult *r)
{
    if (PQntuples(r) < 1 || PQnfields(r) < 1)
        return "it yields no rows";
    if (PQgetisnull(r, 0, 0))
        return "it yields NULL";
    const char *value = PQgetvalue(r, 0, 0);
    bool no = strcmp(value, "f") == 0 || strcasecmp(value, "false") == 0 || strcmp(value, "0") == 0;
    return no ? "it yields false" : NULL;
}

static int ask(struct pg_conn *conn, const char *statement, char **ret_why)
{
    PGresult *r = NULL;
    char *sql =
        pg_text("RESET search_path; %s", statement); /* names mean what users mean by them */
    if (!sql)
        return bake_fail(conn->ctx, BAKE_E_NOMEM, "out of memory");
    int rc = pg_query(conn, &r, "run a check", sql, 0, NULL);
    free(sql);
    if (rc == BAKE_E_CANCELLED || rc == BAKE_E_NOMEM)
        return rc;
    char said[PG_SAID_MAX];
    const char *why = rc == BAKE_OK ? judge(r) : said;
    if (rc != BAKE_OK)
        pg_said_line(PQerrorMessage(conn->pg), said, sizeof(said));
    PQclear(r);
    *ret_why = why ? strdup(why) : NULL;
    return why && !*ret_why ? bake_fail(conn->ctx, BAKE_E_NOMEM, "out of memory") : BAKE_OK;
}

/* *ret_why: why it does not hold, to be freed; NULL: it does. */
static int run_one(struct bake_ctx *ctx, const struct pg_config *cfg, const struct pg_place *place,
                   const char *text, char **ret_why)
{
    char *database = NULL;
    const char *statement = NULL;
    struct pg_conn conn = {0};
    *ret_why = NULL;
    if (!pg_check_parts(text, &database, &statement))
        return bake_fail(ctx, BAKE_E_CONFIG,
                         "'check': '%s' is not of the form 'DATABASE: SELECT "
                         "...'",
                         text);
    int rc = pg_conn_open(ctx, cfg, place, database, &conn);
    free(database);
    if (rc == BAKE_E_NOTFOUND) {
        *ret_why = strdup("there is no such database");
        return *ret_why ? BAKE_OK : bake_fail(ctx, BAKE_E_NOMEM, "out of memory");
    }
    if (rc != BAKE_OK)
        return rc;
    rc = ask(&conn, statement, ret_why);
    pg_conn_close(&conn);
    return rc;
}

static int note(struct bake_ctx *ctx, json_t *list, const char *statement, const char *why)
{
    json_t *one =
        json_pack("{s:s, s:b, s:s*}", "statement", statement, "ok", why == NULL, "error", why);
    return json_array_append_new(list, one) == 0 ? BAKE_OK
                                                 : bake_fail(ctx, BAKE_E_NOMEM, "out of memory");
}

int pg_checks_run(struct bake_ctx *ctx, const struct pg_config *cfg, const struct pg_place *place,
                  void *list)
{
    const char *first = NULL;
    char *first_why = NULL;
    size_t failed = 0;
    int rc = BAKE_OK;
    for (const char *const *p = cfg->check; rc == BAKE_OK && p && *p; p++) {
        char *why = NULL;
        rc = run_one(ctx, cfg, place, *p, &why);
        if (rc == BAKE_OK)
            rc = note(ctx, list, *p, why);
        failed += why != NULL;
        if (why && !first) {
            first = *p;
            first_why = why;
        } else {
            free(why);
        }
    }
    if (rc == BAKE_OK && failed > 0)
        rc = bake_fail(ctx, BAKE_E_CORRUPT, "a check does not hold: '%s': %s%s", first, first_why,
                       failed > 1 ? "; and others" : "");
    free(first_why);
    return rc;
}
