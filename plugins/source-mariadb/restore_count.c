/* Rows of every table, counted exactly, against what was recorded when they were dumped. */
#include "restore.h"

#include <stdlib.h>
#include <string.h>

static json_int_t number(const char *text)
{
    json_int_t v = 0;
    for (; text && *text >= '0' && *text <= '9'; text++)
        v = v * 10 + (*text - '0');
    return v;
}

static int rows_of(struct my_conn *c, const char *database, const char *table, json_int_t *ret)
{
    char *db = my_quoted(database), *name = my_quoted(table), *value = NULL;
    char *sql = db && name ? my_text("SELECT COUNT(*) FROM %s.%s", db, name) : NULL;
    int rc = sql ? my_value(c, &value, "cannot count the rows", sql) : my_nomem(c->ctx);
    *ret = rc == BAKE_OK ? number(value) : 0;
    free(db);
    free(name);
    free(sql);
    free(value);
    return rc;
}

int my_counts_of(struct my_conn *c, const char *database, json_t **ret)
{
    MYSQL_RES *r = NULL;
    char *literal = my_literal(c, database);
    json_t *counts = json_object();
    int rc = literal && counts
                 ? my_queryf(c, &r, "cannot list the tables",
                             "SELECT table_name FROM information_schema.tables WHERE table_schema "
                             "= %s AND table_type IN ('BASE TABLE', 'SYSTEM VERSIONED')",
                             literal)
                 : my_nomem(c->ctx);
    for (MYSQL_ROW row; rc == BAKE_OK && (row = mysql_fetch_row(r));) {
        json_int_t rows = 0;
        if (strcmp(row[0], MY_MARK) == 0 || strcmp(row[0], MY_KEEP) == 0)
            continue;
        rc = rows_of(c, database, row[0], &rows);
        if (rc == BAKE_OK && json_object_set_new(counts, row[0], json_integer(rows)) != 0)
            rc = my_nomem(c->ctx);
    }
    mysql_free_result(r);
    free(literal);
    *ret = rc == BAKE_OK ? counts : NULL;
    if (rc != BAKE_OK)
        json_decref(counts);
    return rc;
}

static int differs(struct my_restore *r, const struct my_rdb *db, const char *table,
                   const char *what, json_int_t is, json_int_t was)
{
    return bake_fail(r->ctx, BAKE_E_CORRUPT,
                     "database '%s'%s%s%s has %lld %s when restored, recorded were %lld", db->name,
                     *table ? ", table '" : "", table, *table ? "'" : "", (long long)is, what,
                     (long long)was);
}

/* More tables than are named one by one were recorded. */
static int compare_sums(struct my_restore *r, const struct my_rdb *db, json_int_t n,
                        json_int_t rows)
{
    const json_t *total = json_object_get(db->facts, "tables_total"),
                 *all = json_object_get(db->facts, "rows");
    if (r->parts)
        return BAKE_OK;
    if (total && json_integer_value(total) != n)
        return differs(r, db, "", "tables", n, json_integer_value(total));
    if (all && json_integer_value(all) != rows)
        return differs(r, db, "", "rows", rows, json_integer_value(all));
    return BAKE_OK;
}

static int compare_tables(struct my_restore *r, const struct my_rdb *db, const json_t *seen,
                          const json_t *recorded)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)recorded, name, value)
    {
        const json_t *is = json_object_get(seen, name);
        if (!my_part_wanted(r->parts, db->name, name))
            continue;
        if (!is)
            return bake_fail(r->ctx, BAKE_E_CORRUPT, "database '%s' lacks table '%s' when restored",
                             db->name, name);
        if (json_integer_value(is) != json_integer_value(value))
            return differs(r, db, name, "rows", json_integer_value(is), json_integer_value(value));
    }
    json_object_foreach((json_t *)(uintptr_t)seen, name, value)
    {
        if (!json_object_get(recorded, name))
            return bake_fail(r->ctx, BAKE_E_CORRUPT,
                             "database '%s' has a table '%s' when restored that was not recorded",
                             db->name, name);
    }
    return BAKE_OK;
}

int my_count(struct my_restore *r, struct my_conn *c, const char *database, const struct my_rdb *db,
             const json_t *counts, uint64_t *tables, uint64_t *rows)
{
    json_t *seen = NULL;
    const char *name;
    json_t *value;
    json_int_t sum = 0;
    const json_t *recorded = counts ? counts : json_object_get(db->facts, "tables");
    int rc = my_counts_of(c, database, &seen);
    if (rc != BAKE_OK)
        return rc;
    json_object_foreach(seen, name, value) { sum += json_integer_value(value); }
    *tables += json_object_size(seen);
    *rows += (uint64_t)sum;
    if (recorded)
        rc = compare_tables(r, db, seen, recorded);
    else
        rc = compare_sums(r, db, (json_int_t)json_object_size(seen), sum);
    if (rc == BAKE_OK && r->parts && json_object_size(seen) == 0)
        rc = bake_fail(r->ctx, BAKE_E_NOTFOUND, "no table of '%s' matches '%s'", db->name,
                       r->parts[0]);
    json_decref(seen);
    return rc;
}
