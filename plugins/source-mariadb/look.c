/* See look.h. */
#include "look.h"

#include "catalog.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static uint64_t number(const char *text)
{
    uint64_t n = 0;
    for (; text && *text >= '0' && *text <= '9'; text++)
        n = n * 10 + (uint64_t)(*text - '0');
    return n;
}

static int append(struct bake_ctx *ctx, json_t *list, const char *text)
{
    return json_array_append_new(list, json_string(text)) == 0 ? BAKE_OK : my_nomem(ctx);
}

static int left_out(struct my_conn *c, struct my_look *l, const char *database, const char *table)
{
    json_t *full = json_sprintf("%s.%s", database, table);
    return json_array_append_new(l->ignored, full) == 0 ? BAKE_OK : my_nomem(c->ctx);
}

/* Engines that show what stands elsewhere: mariadb-dump passes over their rows. */
static bool is_remote(const char *engine)
{
    static const char *const list[] = {"MRG_MyISAM", "MRG_ISAM", "CONNECT",  "OQGRAPH",
                                       "SPIDER",     "VP",       "FEDERATED"};
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
        if (strcasecmp(engine, list[i]) == 0)
            return true;
    return false;
}

/* row: name, kind, engine, whether that has transactions */
static int one_table(struct my_conn *c, const struct my_config *cfg, const char *database,
                     struct my_look *l, MYSQL_ROW row)
{
    if (my_excluded(cfg, database, row[0]))
        return left_out(c, l, database, row[0]);
    const char *kind = row[1] ? row[1] : "", *engine = row[2] ? row[2] : "unknown";
    bool versioned = strcmp(kind, "SYSTEM VERSIONED") == 0;
    l->views += strcmp(kind, "VIEW") == 0;
    if (!versioned && strcmp(kind, "BASE TABLE") != 0)
        return BAKE_OK;
    json_int_t n = json_integer_value(json_object_get(l->engines, engine)) + 1;
    int rc =
        json_object_set_new(l->engines, engine, json_integer(n)) == 0 ? BAKE_OK : my_nomem(c->ctx);
    if (rc == BAKE_OK)
        rc = append(c->ctx, l->tables, row[0]);
    if (rc == BAKE_OK && versioned)
        rc = append(c->ctx, l->versioned, row[0]);
    if (rc == BAKE_OK && is_remote(engine))
        return append(c->ctx, l->remote, row[0]);
    if (rc == BAKE_OK && !(row[3] && strcmp(row[3], "YES") == 0))
        rc = append(c->ctx, l->unsafe, row[0]);
    return rc;
}

static int tables(struct my_conn *c, const struct my_config *cfg, const char *database,
                  const char *literal, struct my_look *l)
{
    MYSQL_RES *r = NULL;
    int rc = my_queryf(c, &r, "cannot list the tables",
                       "SELECT t.table_name, t.table_type, t.engine, e.transactions "
                       "FROM information_schema.tables t LEFT JOIN information_schema.engines e "
                       "ON e.engine = t.engine WHERE t.table_schema = %s",
                       literal);
    for (MYSQL_ROW row; rc == BAKE_OK && (row = mysql_fetch_row(r));)
        rc = one_table(c, cfg, database, l, row);
    mysql_free_result(r);
    return rc;
}

static int triggers(struct my_conn *c, const struct my_config *cfg, const char *database,
                    const char *literal, struct my_look *l)
{
    MYSQL_RES *r = NULL;
    int rc = my_queryf(c, &r, "cannot count the triggers",
                       "SELECT event_object_table, COUNT(DISTINCT trigger_name) "
                       "FROM information_schema.triggers WHERE trigger_schema = %s GROUP BY 1",
                       literal);
    for (MYSQL_ROW row; rc == BAKE_OK && (row = mysql_fetch_row(r));)
        if (!my_excluded(cfg, database, row[0]))
            l->triggers += number(row[1]);
    mysql_free_result(r);
    return rc;
}

static int counts(struct my_conn *c, const char *literal, struct my_look *l)
{
    MYSQL_RES *r = NULL;
    int rc = my_queryf(c, &r, "cannot count routines and events",
                       "SELECT (SELECT COUNT(*) FROM information_schema.routines "
                       "WHERE routine_schema = %s), (SELECT COUNT(*) "
                       "FROM information_schema.events WHERE event_schema = %s)",
                       literal, literal);
    MYSQL_ROW row = rc == BAKE_OK ? mysql_fetch_row(r) : NULL;
    if (row) {
        l->routines = number(row[0]);
        l->events = number(row[1]);
    }
    mysql_free_result(r);
    return rc;
}

static int definers(struct my_conn *c, const char *literal, struct my_look *l)
{
    MYSQL_RES *r = NULL;
    int rc = my_queryf(
        c, &r, "cannot list the definers",
        "SELECT definer FROM information_schema.views WHERE table_schema = %s "
        "UNION SELECT definer FROM information_schema.routines WHERE routine_schema = %s "
        "UNION SELECT definer FROM information_schema.triggers WHERE trigger_schema = %s "
        "UNION SELECT definer FROM information_schema.events WHERE event_schema = %s ORDER BY 1",
        literal, literal, literal, literal);
    for (MYSQL_ROW row; rc == BAKE_OK && (row = mysql_fetch_row(r));)
        if (row[0] && *row[0])
            rc = append(c->ctx, l->definers, row[0]);
    mysql_free_result(r);
    return rc;
}

int my_look_make(struct my_conn *c, const struct my_config *cfg, const char *database,
                 struct my_look *ret)
{
    *ret = (struct my_look){.tables = json_array(),
                            .ignored = json_array(),
                            .engines = json_object(),
                            .unsafe = json_array(),
                            .remote = json_array(),
                            .versioned = json_array(),
                            .definers = json_array()};
    char *literal = my_literal(c, database);
    bool good = literal && ret->tables && ret->ignored && ret->engines && ret->unsafe &&
                ret->remote && ret->versioned && ret->definers;
    int rc = good ? tables(c, cfg, database, literal, ret) : my_nomem(c->ctx);
    if (rc == BAKE_OK && cfg->triggers)
        rc = triggers(c, cfg, database, literal, ret);
    if (rc == BAKE_OK)
        rc = counts(c, literal, ret);
    if (rc == BAKE_OK)
        rc = definers(c, literal, ret);
    if (!cfg->routines)
        ret->routines = 0;
    if (!cfg->events)
        ret->events = 0;
    free(literal);
    return rc;
}

void my_look_release(struct my_look *l)
{
    json_decref(l->tables);
    json_decref(l->ignored);
    json_decref(l->engines);
    json_decref(l->unsafe);
    json_decref(l->remote);
    json_decref(l->versioned);
    json_decref(l->definers);
    *l = (struct my_look){0};
}

/* ---- comparing ------------------------------------------------------------------------------- */

static int by_name(const void *key, const void *item)
{
    return strcmp(key, ((const struct my_scan_table *)item)->name);
}

static const struct my_scan_table *in_dump(const struct my_scan_table *tables, size_t n,
                                           const char *name)
{
    return n > 0 ? bsearch(name, tables, n, sizeof(*tables), by_name) : NULL;
}

static bool in_list(const json_t *list, const char *name)
{
    size_t i;
    json_t *item;
    json_array_foreach((json_t *)(uintptr_t)list, i, item)
    {
        if (strcmp(json_string_value(item), name) == 0)
            return true;
    }
    return false;
}

/* Of something the dump has fewer than there were all the time. */
static int too_few(struct bake_ctx *ctx, const char *database, const char *what, uint64_t before,
                   uint64_t after, uint64_t dumped)
{
    uint64_t least = before < after ? before : after;
    if (dumped >= least)
        return BAKE_OK;
    return bake_fail(ctx, BAKE_E_CORRUPT, "the dump of '%s' holds %llu %s of %llu", database,
                     (unsigned long long)dumped, what, (unsigned long long)least);
}

int my_look_compare(struct bake_ctx *ctx, const char *database, const struct my_look *before,
                    const struct my_look *after, const struct my_scan *dump)
{
    const struct my_scan_table *tables;
    struct my_scan_made made;
    size_t n = my_scan_tables(dump, &tables), i;
    json_t *item;
    my_scan_made(dump, &made);
    int rc = too_few(ctx, database, "routines", before->routines, after->routines, made.routines);
    if (rc == BAKE_OK)
        rc = too_few(ctx, database, "events", before->events, after->events, made.events);
    if (rc == BAKE_OK)
        rc = too_few(ctx, database, "triggers", before->triggers, after->triggers, made.triggers);
    if (rc != BAKE_OK || n == MY_SCAN_TABLES)
        return rc;
    json_array_foreach(before->tables, i, item)
    {
        const char *name = json_string_value(item);
        const struct my_scan_table *t = in_dump(tables, n, name);
        /* without the right to read it a table has no columns, and so no rows: no error */
        bool whole = t && (t->data || in_list(before->remote, name));
        if (!whole && in_list(after->tables, name))
            return bake_fail(ctx, BAKE_E_CORRUPT,
                             "the dump of '%s' lacks %s table '%s'\n"
                             "HINT: has the user the right to SELECT?",
                             database, t ? "the rows of" : "its", name);
    }
    return BAKE_OK;
}
