/* Rights on single routines: the server takes them back when a routine is dropped, whoever makes it
 * anew. They are kept with what is replaced, and given again to the routines that take its place.
 */
#include "restore_switch.h"

#include <mysqld_error.h>
#include <stdlib.h>
#include <string.h>

#define WHAT "rights"

/* "GRANT Execute,Alter Routine ON PROCEDURE `d`.`p` TO `u`@`h` WITH GRANT OPTION" */
#define NAME(column) "'`', REPLACE(" column ", '`', '``'), '`'"
#define STATEMENTS                                                                                 \
    "SELECT CONCAT('GRANT ', IFNULL(NULLIF(TRIM(BOTH ',' FROM REPLACE(CONCAT(',', proc_priv, "     \
    "','), ',Grant,', ',')), ''), 'USAGE'), ' ON ', routine_type, ' ', " NAME(                     \
        "db") ", '.', " NAME("routine_name") ", ' TO ', " NAME("user") ", IF(host = '', '', "      \
                                                                       "CONCAT('@', " NAME(        \
                                                                           "host") ")), "          \
                                                                                   "IF(FIND_IN_"   \
                                                                                   "SET('Grant', " \
                                                                                   "proc_priv), "  \
                                                                                   "' WITH GRANT " \
                                                                                   "OPTION', "     \
                                                                                   "'')) "         \
                                                                                   "FROM "         \
                                                                                   "mysql.procs_"  \
                                                                                   "priv WHERE "   \
                                                                                   "db = %s"

/* Who may not read them can say nothing of them: worth a word only where there are routines. */
static int unreadable(struct my_conn *c, const char *target, const char *literal)
{
    char *why = strdup(mysql_error(c->my)), *n = NULL, *sql = NULL;
    if (why)
        sql = my_text("SELECT COUNT(*) FROM information_schema.routines WHERE routine_schema = %s",
                      literal);
    int rc = sql ? my_value(c, &n, "cannot count the routines", sql) : my_nomem(c->ctx);
    if (rc == BAKE_OK && strcmp(n, "0") != 0)
        bake_report(c->ctx, BAKE_WARNING, target,
                    "rights on its single routines cannot be read, and end with them: %s", why);
    free(why);
    free(n);
    free(sql);
    return rc;
}

static int statements_of(struct my_conn *c, const char *target, json_t *ret)
{
    MYSQL_RES *res = NULL;
    char *literal = my_literal(c, target), *sql = literal ? my_text(STATEMENTS, literal) : NULL;
    int rc = sql ? my_try(c, &res, sql) : my_nomem(c->ctx);
    if (sql && rc != BAKE_OK)
        rc = c->broken
                 ? bake_fail(c->ctx, c->broken, "reading the rights on routines was broken off")
                 : unreadable(c, target, literal);
    for (MYSQL_ROW row; rc == BAKE_OK && res && (row = mysql_fetch_row(res));)
        if (row[0] && json_array_append_new(ret, json_string(row[0])) != 0)
            rc = my_nomem(c->ctx);
    mysql_free_result(res);
    free(literal);
    free(sql);
    return rc;
}

int my_rights_keep(struct my_conn *c, const struct my_swap *s)
{
    json_t *list = json_array();
    int rc = list ? statements_of(c, s->target, list) : my_nomem(c->ctx);
    char *text = rc == BAKE_OK ? json_dumps(list, JSON_COMPACT) : NULL;
    if (rc == BAKE_OK)
        rc = text ? my_keep_value(c, s->old, WHAT, text, strlen(text)) : my_nomem(c->ctx);
    json_decref(list);
    free(text);
    return rc;
}

/* A routine or an account that is no more has no rights either. */
static bool is_gone(unsigned error)
{
    return error == ER_SP_DOES_NOT_EXIST || error == ER_NONEXISTING_GRANT ||
           error == ER_PASSWORD_NO_MATCH || error == ER_CANT_CREATE_USER_WITH_GRANT ||
           error == ER_INVALID_ROLE;
}

static int give(struct my_conn *c, const struct my_swap *s, const json_t *list)
{
    size_t refused = 0;
    char *why = NULL;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *sql = json_string_value(json_array_get(list, i));
        if (!sql || strncmp(sql, "GRANT ", 6) != 0 || my_try(c, NULL, sql) == BAKE_OK)
            continue;
        if (c->broken)
            break;
        if (!is_gone(mysql_errno(c->my)) && ++refused == 1)
            why = strdup(mysql_error(c->my));
    }
    if (refused)
        bake_report(c->ctx, BAKE_WARNING, s->target,
                    "%zu rights on single routines could not be given again: %s", refused,
                    why ? why : "");
    free(why);
    return c->broken ? bake_fail(c->ctx, c->broken, "giving rights on routines was broken off")
                     : BAKE_OK;
}

int my_rights_give(struct my_conn *c, const struct my_swap *s)
{
    char *text = NULL;
    size_t n = 0;
    int rc = my_kept(c, s->old, WHAT, &text, &n);
    json_t *list = text ? json_loads(text, 0, NULL) : NULL;
    if (rc == BAKE_OK && text && !list)
        rc = my_nomem(c->ctx);
    if (rc == BAKE_OK)
        rc = give(c, s, list);
    json_decref(list);
    free(text);
    return rc;
}
