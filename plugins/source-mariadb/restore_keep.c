/* What is kept of a database before another takes its place: all that is no table, as statements in
 * a table of its own on the server, so that any process can put it together again. */
#include "restore_switch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- text ------------------------------------------------------------------------------------ */

void my_sql(struct my_sql *s, const char *fmt, ...)
{
    char *more = NULL, *all = NULL;
    va_list ap;
    va_start(ap, fmt);
    int n = vasprintf(&more, fmt, ap);
    va_end(ap);
    if (n < 0) {
        s->failed = true;
        return;
    }
    if (s->n + (size_t)n + 1 > s->cap) {
        size_t cap = (s->n + (size_t)n + 1) * 2;
        all = realloc(s->text, cap);
        s->failed |= !all;
        if (all) {
            s->text = all;
            s->cap = cap;
        }
    }
    if (!s->failed) {
        memcpy(s->text + s->n, more, (size_t)n + 1);
        s->n += (size_t)n;
    }
    free(more);
}

/* ", `a`.`x` TO `b`.`x`" */
void my_add_move(struct my_sql *s, const char *from, const char *to, const char *table)
{
    char *a = my_quoted(from), *b = my_quoted(to), *t = my_quoted(table);
    if (a && b && t)
        my_sql(s, "%s%s.%s TO %s.%s", s->n ? ", " : "RENAME TABLE ", a, t, b, t);
    else
        s->failed = true;
    free(a);
    free(b);
    free(t);
}

/* Statements about one database, "%s" being its name in backticks. */
int my_about(struct my_conn *c, const char *what, const char *database, const char *before,
             const char *after)
{
    char *name = my_quoted(database);
    int rc = name ? my_queryf(c, NULL, what, "%s %s %s", before, name, after) : my_nomem(c->ctx);
    free(name);
    return rc;
}

static bool is_word(const char *text)
{
    return text && *text &&
           !text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")];
}

char *my_charset_of(const json_t *facts)
{
    const char *charset = json_string_value(json_object_get(facts, "charset")),
               *collation = json_string_value(json_object_get(facts, "collation"));
    return is_word(charset) && is_word(collation)
               ? my_text("CHARACTER SET %s COLLATE %s", charset, collation)
               : strdup("");
}

/* ---- making ---------------------------------------------------------------------------------- */

int my_make_database(struct my_conn *c, const char *name, const json_t *facts, const char *why)
{
    char *charset = my_charset_of(facts), *after = NULL;
    if (charset)
        after = my_text("%s COMMENT '%s'", charset, why);
    int rc = after ? my_about(c, "cannot make a database", name, "CREATE DATABASE", after)
                   : my_nomem(c->ctx);
    free(charset);
    free(after);
    return rc;
}

int my_fresh_make(struct my_restore *r, struct my_conn *c, const struct my_rdb *db)
{
    (void)r;
    return my_make_database(c, db->swap.fresh, db->facts, MY_OURS);
}

int my_drop_database(struct my_conn *c, const char *name)
{
    if (!strstr(name, "_bakengine_"))
        return bake_fail(c->ctx, BAKE_E_INTERNAL, "'%s' is no database of a restore", name);
    return my_about(c, "cannot remove a database", name, "DROP DATABASE IF EXISTS", "");
}

/* ---- keeping --------------------------------------------------------------------------------- */

int my_keep_value(struct my_conn *c, const char *old, const char *what, const char *data, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    char *hex = malloc(2 * n + 1), *name = my_quoted(old);
    for (size_t i = 0; hex && i < n; i++) {
        hex[2 * i] = digits[(unsigned char)data[i] >> 4];
        hex[2 * i + 1] = digits[(unsigned char)data[i] & 15];
    }
    if (hex)
        hex[2 * n] = '\0';
    int rc = hex && name
                 ? my_queryf(c, NULL, "cannot keep what is replaced",
                             "INSERT INTO %s." MY_KEEP " VALUES ('%s', x'%s')", name, what, hex)
                 : my_nomem(c->ctx);
    free(hex);
    free(name);
    return rc;
}

/* *ret: NULL when it was not kept; else to be freed, NUL behind it. */
int my_kept(struct my_conn *c, const char *old, const char *what, char **ret, size_t *n)
{
    MYSQL_RES *res = NULL;
    char *name = my_quoted(old);
    *ret = NULL;
    int rc = name ? my_queryf(c, &res, "cannot read what was kept",
                              "SELECT value FROM %s." MY_KEEP " WHERE what = '%s'", name, what)
                  : my_nomem(c->ctx);
    free(name);
    MYSQL_ROW row = rc == BAKE_OK ? mysql_fetch_row(res) : NULL;
    if (row && row[0]) {
        *n = mysql_fetch_lengths(res)[0];
        *ret = calloc(1, *n + 1);
        if (*ret)
            memcpy(*ret, row[0], *n);
        else
            rc = my_nomem(c->ctx);
    }
    mysql_free_result(res);
    return rc;
}

struct script_of {
    struct my_split *split;
};

static int no_out(void *arg, const void *data, size_t n)
{
    (void)arg;
    (void)data;
    (void)n;
    return BAKE_OK;
}

static int to_split(void *arg, const void *data, size_t n)
{
    return my_split_feed(((struct script_of *)arg)->split, data, n);
}

static bool in_names(void *arg, const char *table) { return my_in_list(arg, table); }

static int dump_extras(struct my_restore *r, const struct my_rdb *db, json_t *names, bool force,
                       struct script_of *s)
{
    const char *const arguments[] = {
        "--no-data", "--routines", "--events", "--triggers", force ? "--force" : NULL, NULL};
    my_split_free(s->split);
    s->split = NULL;
    if (my_split_new(r->parts ? in_names : NULL, no_out, names, &s->split) != BAKE_OK)
        return my_nomem(r->ctx);
    return my_redump(r, NULL, db->swap.target, arguments, to_split, s);
}

/* What the old database has beside its tables, as statements. A view that is broken keeps others
 * from being read: they are gone for the way back then, which is said. */
static int keep_extras(struct my_restore *r, struct my_conn *c, const struct my_rdb *db,
                       json_t *names)
{
    struct script_of s = {NULL};
    int rc = dump_extras(r, db, names, false, &s);
    if (rc == BAKE_E_CHILD) {
        bake_report(r->ctx, BAKE_WARNING, db->swap.target,
                    "not all of what is replaced can be read: if the restore fails, views that "
                    "are broken now do not come back");
        rc = dump_extras(r, db, names, true, &s);
        rc = rc == BAKE_E_CHILD ? BAKE_OK : rc;
    } else if (rc == BAKE_OK && my_split_end(s.split) != BAKE_OK) {
        rc = bake_fail(r->ctx, BAKE_E_CHILD, "what '%s' holds cannot be read whole",
                       db->swap.target);
    }
    for (int i = 0; i < 2 && rc == BAKE_OK; i++) {
        const struct my_script *t = i ? my_split_events(s.split) : my_split_extras(s.split);
        rc = my_keep_value(c, db->swap.old, i ? "events" : "extras", t->data ? t->data : "", t->n);
    }
    my_split_free(s.split);
    return rc;
}

static int keep_charset(struct my_conn *c, const struct my_swap *s)
{
    char *literal = my_literal(c, s->target), *text = NULL;
    char *sql = literal ? my_text("SELECT CONCAT('CHARACTER SET ', default_character_set_name, "
                                  "' COLLATE ', default_collation_name) FROM "
                                  "information_schema.schemata WHERE schema_name = %s",
                                  literal)
                        : NULL;
    int rc = sql ? my_value(c, &text, "cannot ask for the database's characters", sql)
                 : my_nomem(c->ctx);
    if (rc == BAKE_OK)
        rc = my_keep_value(c, s->old, "charset", text, strlen(text));
    free(literal);
    free(sql);
    free(text);
    return rc;
}

json_t *my_without_marks(json_t *names)
{
    for (size_t i = json_array_size(names); i-- > 0;) {
        const char *name = json_string_value(json_array_get(names, i));
        if (strcmp(name, MY_MARK) == 0 || strcmp(name, MY_KEEP) == 0)
            (void)json_array_remove(names, i);
    }
    return names;
}

int my_keep(struct my_restore *r, struct my_conn *c, const struct my_rdb *db)
{
    json_t *names = NULL;
    char *text = NULL;
    int rc = my_make_database(c, db->swap.old, NULL, MY_OURS);
    if (rc == BAKE_OK)
        rc = my_about(c, "cannot keep what is replaced", db->swap.old, "CREATE TABLE",
                      "." MY_KEEP " (what VARCHAR(20) PRIMARY KEY, value LONGBLOB) ENGINE=InnoDB");
    if (rc == BAKE_OK)
        rc = my_about(c, "cannot prepare the exchange", db->swap.fresh, "CREATE TABLE",
                      "." MY_MARK " (i INT) ENGINE=InnoDB");
    if (rc == BAKE_OK)
        rc = my_tables_of(c, db->swap.fresh, &names);
    if (rc == BAKE_OK) {
        text = json_dumps(my_without_marks(names), JSON_COMPACT);
        rc = text ? my_keep_value(c, db->swap.old, "names", text, strlen(text)) : my_nomem(c->ctx);
    }
    if (rc == BAKE_OK && r->parts)
        rc = my_keep_value(c, db->swap.old, "parts", "1", 1);
    if (rc == BAKE_OK && !db->swap.made)
        rc = keep_charset(c, &db->swap);
    if (rc == BAKE_OK && !db->swap.made)
        rc = keep_extras(r, c, db, names);
    if (rc == BAKE_OK && !db->swap.made && !r->parts)
        rc = my_rights_keep(c, &db->swap);
    json_decref(names);
    free(text);
    return rc;
}
