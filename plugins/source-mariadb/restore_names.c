/* What there is in a database, asked of the server. */
#include "restore.h"

#include "match/wild.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

char *my_text(const char *fmt, ...)
{
    char *text = NULL;
    va_list ap;
    va_start(ap, fmt);
    if (vasprintf(&text, fmt, ap) < 0)
        text = NULL;
    va_end(ap);
    return text;
}

int64_t my_now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

bool my_in_list(const json_t *list, const char *text)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *item = json_string_value(json_array_get(list, i));
        if (item && strcmp(item, text) == 0)
            return true;
    }
    return false;
}

bool my_part_wanted(char *const *parts, const char *database, const char *table)
{
    if (!parts)
        return true;
    char *full = my_text("%s.%s", database, table);
    bool wanted = false;
    for (; full && *parts && !wanted; parts++)
        wanted = bkc_wild(*parts, table, strlen(table), BKC_STARS_ANYWHERE) ||
                 bkc_wild(*parts, full, strlen(full), BKC_STARS_ANYWHERE);
    free(full);
    return wanted;
}

int my_tables_of(struct my_conn *c, const char *database, json_t **ret)
{
    MYSQL_RES *r = NULL;
    char *literal = my_literal(c, database);
    json_t *list = json_array();
    *ret = NULL;
    int rc = literal && list
                 ? my_queryf(c, &r, "cannot list the tables",
                             "SELECT table_name FROM information_schema.tables WHERE table_schema "
                             "= %s AND table_type IN ('BASE TABLE', 'SYSTEM VERSIONED', "
                             "'SEQUENCE') ORDER BY 1",
                             literal)
                 : my_nomem(c->ctx);
    for (MYSQL_ROW row; rc == BAKE_OK && (row = mysql_fetch_row(r));)
        if (json_array_append_new(list, json_string(row[0])) != 0)
            rc = my_nomem(c->ctx);
    mysql_free_result(r);
    free(literal);
    if (rc == BAKE_OK)
        *ret = list;
    else
        json_decref(list);
    return rc;
}

/* ---- what is not a table --------------------------------------------------------------------- */

/* rows: the kind and the name of each, and (of a trigger) its table */
static int drop_each(struct my_conn *c, const char *database, const json_t *tables, MYSQL_RES *r)
{
    char *in = my_quoted(database);
    int rc = in ? BAKE_OK : my_nomem(c->ctx);
    for (MYSQL_ROW row; rc == BAKE_OK && (row = mysql_fetch_row(r));) {
        if (tables && !my_in_list(tables, row[2]))
            continue;
        char *name = my_quoted(row[1]);
        rc = name ? my_queryf(c, NULL, "cannot remove what is replaced", "DROP %s IF EXISTS %s.%s",
                              row[0], in, name)
                  : my_nomem(c->ctx);
        free(name);
    }
    free(in);
    return rc;
}

int my_drop_extras(struct my_conn *c, const char *database, const json_t *tables)
{
    static const char *const kinds[] = {
        "SELECT 'EVENT', event_name, '' FROM information_schema.events WHERE event_schema = %s",
        "SELECT 'VIEW', table_name, '' FROM information_schema.tables WHERE table_schema = %s AND "
        "table_type = 'VIEW'",
        "SELECT routine_type, routine_name, '' FROM information_schema.routines WHERE "
        "routine_schema = %s ORDER BY routine_type DESC",
        "SELECT 'TRIGGER', trigger_name, event_object_table FROM information_schema.triggers "
        "WHERE trigger_schema = %s"};
    char *literal = my_literal(c, database);
    int rc = literal ? BAKE_OK : my_nomem(c->ctx);
    if (rc == BAKE_OK) /* else it knows no packages */
        rc = my_query(c, NULL, "cannot prepare the removal", "SET SESSION sql_mode = 'ORACLE'");
    for (size_t i = tables ? 3 : 0; i < 4 && rc == BAKE_OK; i++) {
        MYSQL_RES *r = NULL;
        char *head = strdup(kinds[i]), *at = head ? strstr(head, "%s") : NULL;
        if (!at)
            rc = my_nomem(c->ctx);
        else {
            *at = '\0';
            rc = my_queryf(c, &r, "cannot list what is replaced", "%s%s%s", head, literal, at + 2);
        }
        if (rc == BAKE_OK)
            rc = drop_each(c, database, tables, r);
        mysql_free_result(r);
        free(head);
    }
    free(literal);
    if (rc == BAKE_OK)
        rc = my_query(c, NULL, "cannot go on after the removal", "SET SESSION sql_mode = ''");
    return rc;
}

/* ---- is it there? ---------------------------------------------------------------------------- */

static int is_there(struct my_conn *c, const char *fmt, const char *a, const char *b, bool *ret)
{
    MYSQL_RES *r = NULL;
    char *x = my_literal(c, a), *y = b ? my_literal(c, b) : strdup("");
    int rc = x && y ? my_queryf(c, &r, "cannot ask what there is", "%s%s%s%s", fmt, x,
                                b ? " AND table_name = " : "", y)
                    : my_nomem(c->ctx);
    *ret = rc == BAKE_OK && mysql_fetch_row(r) != NULL;
    mysql_free_result(r);
    free(x);
    free(y);
    return rc;
}

int my_has_database(struct my_conn *c, const char *database, bool *ret)
{
    return is_there(c, "SELECT 1 FROM information_schema.schemata WHERE schema_name = ", database,
                    NULL, ret);
}

int my_has_table(struct my_conn *c, const char *database, const char *table, bool *ret)
{
    return is_there(c, "SELECT 1 FROM information_schema.tables WHERE table_schema = ", database,
                    table, ret);
}
