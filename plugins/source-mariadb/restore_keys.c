/* Foreign keys that name tables of another database. The server keeps a key pointing to the same
 * table when that table is renamed: so before tables are exchanged, those of the new databases are
 * made to name what will stand in the place they mean. */
#include "restore.h"

#include <stdlib.h>
#include <string.h>

struct key {
    char *table, *name, *schema, *parent, *columns, *parents, *rules;
};

static void release(struct key *k)
{
    free(k->table);
    free(k->name);
    free(k->schema);
    free(k->parent);
    free(k->columns);
    free(k->parents);
    free(k->rules);
    *k = (struct key){0};
}

/* Where the named table is now that will be in that place; NULL: no memory. */
static char *future_of(struct my_restore *r, const struct my_rdb *own, const struct key *k)
{
    const char *schema = k->schema, *place = NULL;
    /* of one of several tables: what is not restored stands in the target */
    if (strcmp(schema, own->swap.fresh) == 0)
        place = own->swap.target;
    for (size_t i = 0; i < r->n && !place; i++)
        if (strcmp(schema, r->dbs[i].swap.target) == 0)
            place = r->parts && !my_part_wanted(r->parts, r->dbs[i].name, k->parent)
                        ? r->dbs[i].swap.target
                        : r->dbs[i].swap.fresh;
    return strdup(place ? place : schema);
}

static int repoint(struct my_conn *c, const char *fresh, const struct key *k, const char *to)
{
    char *db = my_quoted(fresh), *table = my_quoted(k->table), *name = my_quoted(k->name),
         *schema = my_quoted(to), *parent = my_quoted(k->parent);
    int rc = db && table && name && schema && parent ? BAKE_OK : my_nomem(c->ctx);
    if (rc == BAKE_OK)
        rc = my_queryf(c, NULL, "cannot change a foreign key",
                       "ALTER TABLE %s.%s DROP FOREIGN KEY %s", db, table, name);
    if (rc == BAKE_OK)
        rc = my_queryf(c, NULL, "cannot change a foreign key",
                       "ALTER TABLE %s.%s ADD CONSTRAINT %s FOREIGN KEY (%s) REFERENCES %s.%s (%s) "
                       "%s",
                       db, table, name, k->columns, schema, parent, k->parents, k->rules);
    free(db);
    free(table);
    free(name);
    free(schema);
    free(parent);
    return rc;
}

static char *copy(const char *text) { return strdup(text ? text : ""); }

static int one(struct my_restore *r, struct my_conn *c, const struct my_rdb *db, MYSQL_ROW row)
{
    struct key k = {copy(row[0]), copy(row[1]), copy(row[2]), copy(row[3]),
                    copy(row[4]), copy(row[5]), copy(row[6])};
    char *to = k.table && k.name && k.schema && k.parent && k.columns && k.parents && k.rules
                   ? future_of(r, db, &k)
                   : NULL;
    bool here = strcmp(row[2] ? row[2] : "", db->swap.fresh) == 0, same = false;
    int rc = to ? BAKE_OK : my_nomem(c->ctx);
    if (rc == BAKE_OK && here) /* both tables move together */
        rc = my_has_table(c, db->swap.fresh, k.parent, &same);
    if (rc == BAKE_OK && !same && strcmp(to, k.schema) != 0)
        rc = repoint(c, db->swap.fresh, &k, to);
    free(to);
    release(&k);
    return rc;
}

static int keys_of(struct my_restore *r, struct my_conn *c, const struct my_rdb *db)
{
    MYSQL_RES *res = NULL;
    char *literal = my_literal(c, db->swap.fresh);
    int rc =
        literal
            ? my_queryf(
                  c, &res, "cannot list the foreign keys",
                  "SELECT k.table_name, k.constraint_name, k.referenced_table_schema, "
                  "k.referenced_table_name, GROUP_CONCAT(CONCAT('`', REPLACE(k.column_name, '`', "
                  "'``'), '`') ORDER BY k.ordinal_position), GROUP_CONCAT(CONCAT('`', "
                  "REPLACE(k.referenced_column_name, '`', '``'), '`') ORDER BY "
                  "k.ordinal_position), CONCAT('ON DELETE ', MAX(r.delete_rule), ' ON UPDATE ', "
                  "MAX(r.update_rule)) FROM information_schema.key_column_usage k JOIN "
                  "information_schema.referential_constraints r ON r.constraint_schema = "
                  "k.constraint_schema AND r.constraint_name = k.constraint_name AND r.table_name "
                  "= k.table_name WHERE k.table_schema = %s AND k.referenced_table_schema IS NOT "
                  "NULL GROUP BY 1, 2, 3, 4",
                  literal)
            : my_nomem(c->ctx);
    for (MYSQL_ROW row; rc == BAKE_OK && (row = mysql_fetch_row(res));)
        rc = one(r, c, db, row);
    mysql_free_result(res);
    free(literal);
    return rc;
}

int my_keys_point(struct my_restore *r, struct my_conn *c)
{
    int rc = my_query(c, NULL, "cannot prepare the foreign keys",
                      "SET SESSION foreign_key_checks = 0, group_concat_max_len = 1000000");
    for (size_t i = 0; i < r->n && rc == BAKE_OK; i++)
        rc = keys_of(r, c, &r->dbs[i]);
    return rc;
}
