/* New databases take the place of old ones. MariaDB cannot rename a database: the tables of all of
 * them are exchanged by one RENAME TABLE, which happens wholly or not at all and moves a mark with
 * it; what is no table is made anew, from the dump or, on the way back, from what was kept. */
#include "restore_switch.h"

#include "tools.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OURS "bakengine: made by a restore"

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
static void add_move(struct my_sql *s, const char *from, const char *to, const char *table)
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
static int about(struct my_conn *c, const char *what, const char *database, const char *before,
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

static char *charset_of(const json_t *facts)
{
    const char *charset = json_string_value(json_object_get(facts, "charset")),
               *collation = json_string_value(json_object_get(facts, "collation"));
    return is_word(charset) && is_word(collation)
               ? my_text("CHARACTER SET %s COLLATE %s", charset, collation)
               : strdup("");
}

/* ---- making ---------------------------------------------------------------------------------- */

static int make_database(struct my_conn *c, const char *name, const json_t *facts, const char *why)
{
    char *charset = charset_of(facts), *after = NULL;
    if (charset)
        after = my_text("%s COMMENT '%s'", charset, why);
    int rc = after ? about(c, "cannot make a database", name, "CREATE DATABASE", after)
                   : my_nomem(c->ctx);
    free(charset);
    free(after);
    return rc;
}

int my_fresh_make(struct my_restore *r, struct my_conn *c, const struct my_rdb *db)
{
    (void)r;
    return make_database(c, db->swap.fresh, db->facts, OURS);
}

static int drop_database(struct my_conn *c, const char *name)
{
    if (!strstr(name, "_bakengine_"))
        return bake_fail(c->ctx, BAKE_E_INTERNAL, "'%s' is no database of a restore", name);
    return about(c, "cannot remove a database", name, "DROP DATABASE IF EXISTS", "");
}

/* ---- keeping --------------------------------------------------------------------------------- */

static int keep_value(struct my_conn *c, const char *old, const char *what, const char *data,
                      size_t n)
{
    static const char digits[] = "0123456789abcdef";
    char *hex = malloc(2 * n + 1), *name = my_quoted(old);
    for (size_t i = 0; hex && i < n; i++) {
        hex[2 * i] = digits[(unsigned char)data[i] >> 4];
        hex[2 * i + 1] = digits[(unsigned char)data[i] & 15];
    }
    if (hex)
        hex[2 * n] = '\0';
    int rc = hex && name ? my_queryf(c, NULL, "cannot keep what is replaced",
                                     "INSERT INTO %s." MY_KEEP " VALUES ('%s', x'%s')", name, what,
                                     hex)
                         : my_nomem(c->ctx);
    free(hex);
    free(name);
    return rc;
}

/* *ret: NULL when it was not kept; else to be freed, NUL behind it. */
static int kept_value(struct my_conn *c, const char *old, const char *what, char **ret, size_t *n)
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
    const char *const arguments[] = {"--no-data",  "--routines",               "--events",
                                     "--triggers", force ? "--force" : NULL, NULL};
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
        rc = keep_value(c, db->swap.old, i ? "events" : "extras", t->data ? t->data : "", t->n);
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
        rc = keep_value(c, s->old, "charset", text, strlen(text));
    free(literal);
    free(sql);
    free(text);
    return rc;
}

static json_t *without_marks(json_t *names)
{
    for (size_t i = json_array_size(names); i-- > 0;) {
        const char *name = json_string_value(json_array_get(names, i));
        if (strcmp(name, MY_MARK) == 0 || strcmp(name, MY_KEEP) == 0)
            (void)json_array_remove(names, i);
    }
    return names;
}

static int keep_one(struct my_restore *r, struct my_conn *c, const struct my_rdb *db)
{
    json_t *names = NULL;
    char *text = NULL;
    int rc = make_database(c, db->swap.old, NULL, OURS);
    if (rc == BAKE_OK)
        rc = about(c, "cannot keep what is replaced", db->swap.old, "CREATE TABLE",
                   "." MY_KEEP " (what VARCHAR(20) PRIMARY KEY, value LONGBLOB) ENGINE=InnoDB");
    if (rc == BAKE_OK)
        rc = about(c, "cannot prepare the exchange", db->swap.fresh, "CREATE TABLE",
                   "." MY_MARK " (i INT) ENGINE=InnoDB");
    if (rc == BAKE_OK)
        rc = my_tables_of(c, db->swap.fresh, &names);
    if (rc == BAKE_OK) {
        text = json_dumps(without_marks(names), JSON_COMPACT);
        rc = text ? keep_value(c, db->swap.old, "names", text, strlen(text)) : my_nomem(c->ctx);
    }
    if (rc == BAKE_OK && r->parts)
        rc = keep_value(c, db->swap.old, "parts", "1", 1);
    if (rc == BAKE_OK && !db->swap.made)
        rc = keep_charset(c, &db->swap);
    if (rc == BAKE_OK && !db->swap.made)
        rc = keep_extras(r, c, db, names);
    json_decref(names);
    free(text);
    return rc;
}

/* ---- forth ----------------------------------------------------------------------------------- */

/* What the exchange does with one database. */
static int add_moves(struct my_restore *r, struct my_conn *c, const struct my_swap *s,
                     struct my_sql *sql)
{
    json_t *there = NULL, *names = NULL;
    int rc = my_tables_of(c, s->target, &there);
    if (rc == BAKE_OK)
        rc = my_tables_of(c, s->fresh, &names);
    names = without_marks(names);
    for (size_t i = 0; i < json_array_size(there); i++) {
        const char *name = json_string_value(json_array_get(there, i));
        if (!r->parts || my_in_list(names, name))
            add_move(sql, s->target, s->old, name);
    }
    for (size_t i = 0; i < json_array_size(names); i++)
        add_move(sql, s->fresh, s->target, json_string_value(json_array_get(names, i)));
    add_move(sql, s->fresh, s->old, MY_MARK);
    json_decref(there);
    json_decref(names);
    return rc;
}

static int exchange(struct my_restore *r, struct my_conn *c)
{
    struct my_sql sql = {0};
    int rc = BAKE_OK;
    for (size_t i = 0; i < r->n && rc == BAKE_OK; i++)
        rc = add_moves(r, c, &r->dbs[i].swap, &sql);
    if (rc == BAKE_OK)
        rc = sql.failed ? my_nomem(c->ctx)
                        : my_query(c, NULL, "cannot exchange the tables", sql.text);
    free(sql.text);
    return rc;
}

static int clear_target(struct my_restore *r, struct my_conn *c, const struct my_rdb *db)
{
    json_t *names = NULL;
    if (db->swap.made)
        return make_database(c, db->swap.target, db->facts, OURS);
    int rc = r->parts ? my_tables_of(c, db->swap.fresh, &names) : BAKE_OK;
    if (rc == BAKE_OK)
        rc = my_drop_extras(c, db->swap.target, names);
    json_decref(names);
    return rc;
}

static int finish_target(struct my_restore *r, struct my_conn *c, const struct my_rdb *db)
{
    char *charset = r->parts ? strdup("") : charset_of(db->facts);
    int rc = charset ? BAKE_OK : my_nomem(c->ctx);
    if (rc == BAKE_OK && *charset)
        rc = about(c, "cannot set the database's characters", db->swap.target, "ALTER DATABASE",
                   charset);
    free(charset);
    if (rc == BAKE_OK)
        rc = my_script_run(r, NULL, db->swap.target, &db->extras,
                           "views, routines or triggers");
    return rc;
}

static int forth(struct my_restore *r, struct my_conn *c)
{
    int rc = BAKE_OK;
    for (size_t i = 0; i < r->n && rc == BAKE_OK; i++)
        rc = clear_target(r, c, &r->dbs[i]);
    if (rc == BAKE_OK)
        rc = exchange(r, c);
    for (size_t i = 0; i < r->n && rc == BAKE_OK; i++)
        rc = finish_target(r, c, &r->dbs[i]);
    if (rc == BAKE_OK)
        rc = my_users_grant_all(r, c);
    for (size_t i = 0; i < r->n && rc == BAKE_OK; i++)
        if (r->dbs[i].swap.made)
            rc = about(c, "cannot finish a database", r->dbs[i].swap.target, "ALTER DATABASE",
                       "COMMENT ''");
    /* from here on they run */
    for (size_t i = 0; i < r->n && rc == BAKE_OK; i++)
        rc = my_script_run(r, NULL, r->dbs[i].swap.target, &r->dbs[i].events, "events");
    return rc;
}

/* ---- back ------------------------------------------------------------------------------------ */

static int exchange_back(struct my_conn *c, const struct my_swap *s, const json_t *names,
                         bool parts)
{
    struct my_sql sql = {0};
    json_t *there = NULL, *old = NULL;
    int rc = my_drop_extras(c, s->target, parts ? names : NULL);
    if (rc == BAKE_OK)
        rc = my_tables_of(c, s->target, &there);
    if (rc == BAKE_OK)
        rc = my_tables_of(c, s->old, &old);
    for (size_t i = 0; i < json_array_size(names); i++) {
        const char *name = json_string_value(json_array_get(names, i));
        if (name && my_in_list(there, name))
            add_move(&sql, s->target, s->fresh, name);
    }
    old = without_marks(old);
    for (size_t i = 0; i < json_array_size(old); i++)
        add_move(&sql, s->old, s->target, json_string_value(json_array_get(old, i)));
    add_move(&sql, s->old, s->fresh, MY_MARK);
    if (rc == BAKE_OK)
        rc = sql.failed ? my_nomem(c->ctx)
                        : my_query(c, NULL, "cannot exchange the tables back", sql.text);
    json_decref(there);
    json_decref(old);
    free(sql.text);
    return rc;
}

/* A database that we made goes again, if it still says that we did. */
static int unmake_target(struct my_conn *c, const struct my_swap *s)
{
    char *literal = my_literal(c, s->target), *comment = NULL;
    char *sql = literal ? my_text("SELECT schema_comment FROM information_schema.schemata WHERE "
                                  "schema_name = %s",
                                  literal)
                        : NULL;
    int rc = sql ? my_value(c, &comment, "cannot ask whose a database is", sql) : my_nomem(c->ctx);
    if (rc == BAKE_OK && strcmp(comment, OURS) == 0)
        rc = about(c, "cannot remove a database", s->target, "DROP DATABASE IF EXISTS", "");
    free(literal);
    free(sql);
    free(comment);
    return rc;
}

static int run_kept(struct my_restore *r, struct my_conn *c, const struct my_swap *s,
                    const char *what)
{
    char *text = NULL;
    size_t n = 0;
    struct my_piece piece = {.line = 1};
    int rc = kept_value(c, s->old, what, &text, &n);
    struct my_script script = {.data = text, .n = n, .pieces = &piece, .n_pieces = 1};
    for (size_t i = 0; text && i < n; i++)
        piece.lines += text[i] == '\n';
    if (rc == BAKE_OK && text)
        rc = my_script_run(r, NULL, s->target, &script, "what was kept");
    free(text);
    return rc;
}

static int put_back(struct my_restore *r, struct my_conn *c, const struct my_swap *s,
                    const json_t *names, bool parts)
{
    char *charset = NULL;
    size_t n = 0;
    int rc = my_drop_extras(c, s->target, parts ? names : NULL);
    if (rc == BAKE_OK)
        rc = kept_value(c, s->old, "charset", &charset, &n);
    if (rc == BAKE_OK && charset && *charset && !parts)
        rc = about(c, "cannot set the database's characters", s->target, "ALTER DATABASE", charset);
    free(charset);
    if (rc == BAKE_OK)
        rc = run_kept(r, c, s, "extras");
    return rc == BAKE_OK ? run_kept(r, c, s, "events") : rc;
}

/* However far it got: the old database is whole again, what we made is gone. */
static int back_one(struct my_restore *r, struct my_conn *c, const struct my_swap *s)
{
    bool marked = false, kept = false;
    char *names_text = NULL, *parts = NULL;
    json_t *names = NULL;
    size_t n = 0;
    int rc = my_has_table(c, s->old, MY_KEEP, &kept);
    if (rc == BAKE_OK)
        rc = my_has_table(c, s->old, MY_MARK, &marked);
    if (rc == BAKE_OK && kept)
        rc = kept_value(c, s->old, "names", &names_text, &n);
    if (rc == BAKE_OK && kept)
        rc = kept_value(c, s->old, "parts", &parts, &n);
    if (rc == BAKE_OK && names_text && !(names = json_loads(names_text, 0, NULL)))
        rc = my_nomem(c->ctx);
    if (rc == BAKE_OK && marked)
        rc = exchange_back(c, s, names, parts != NULL);
    if (rc == BAKE_OK && s->made)
        rc = unmake_target(c, s);
    else if (rc == BAKE_OK && kept)
        rc = put_back(r, c, s, names, parts != NULL);
    json_decref(names);
    free(names_text);
    free(parts);
    if (rc == BAKE_OK)
        rc = drop_database(c, s->fresh);
    return rc == BAKE_OK ? drop_database(c, s->old) : rc;
}

int my_swap_back(struct my_restore *r, struct my_conn *c, enum my_phase phase)
{
    int first = my_query(c, NULL, "cannot prepare the way back",
                         "SET SESSION foreign_key_checks = 0");
    for (size_t i = 0; first == BAKE_OK && i < r->n; i++) {
        const struct my_swap *s = &r->dbs[i].swap;
        int rc = phase == MY_SWITCHING ? back_one(r, c, s) : drop_database(c, s->fresh);
        if (rc == BAKE_OK && phase != MY_SWITCHING)
            rc = drop_database(c, s->old);
        first = first == BAKE_OK ? rc : first;
    }
    for (size_t i = 0; phase != MY_DONE && i < json_array_size(r->accounts); i++) {
        int rc = my_query(c, NULL, "cannot remove an account",
                          json_string_value(json_array_get(r->accounts, i)));
        first = first == BAKE_OK ? rc : first;
    }
    return first;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static int prepare(struct my_restore *r, struct my_conn *c)
{
    int rc = my_queryf(c, NULL, "cannot prepare the exchange",
                       "SET SESSION foreign_key_checks = 0, lock_wait_timeout = %llu",
                       (unsigned long long)(r->cfg->lock_timeout / 1000 + 1));
    for (size_t i = 0; i < r->n && rc == BAKE_OK; i++)
        rc = keep_one(r, c, &r->dbs[i]);
    return rc;
}

static int redeemed(struct my_restore *r)
{
    if (r->duty == 0)
        return BAKE_OK;
    int rc = r->ctx->host->redeemed(r->ctx, r->duty);
    r->duty = 0;
    return rc;
}

/* On another connection: the one at hand may be why it failed. */
static int go_back(struct my_restore *r, enum my_phase phase)
{
    struct my_conn c = {0};
    int rc = my_conn_open(r->ctx, r->cfg, NULL, NULL, &c);
    if (rc == BAKE_OK) {
        rc = my_swap_back(r, &c, phase);
        my_conn_close(&c);
    }
    return rc == BAKE_OK ? redeemed(r) : rc;
}

static int done(struct my_restore *r, struct my_conn *c)
{
    int rc = my_oblige(r, r->ctx, MY_DONE);
    if (rc != BAKE_OK)
        return rc;
    if (my_swap_back(r, c, MY_DONE) == BAKE_OK)
        return redeemed(r);
    bake_report(r->ctx, BAKE_WARNING, r->n ? r->dbs[0].swap.old : MY_USERS,
                "what was replaced could not be removed; it is tried again later");
    r->duty = 0; /* it stands */
    return BAKE_OK;
}

int my_switch(struct my_restore *r, struct bake_ctx *ctx)
{
    struct my_calm calm;
    struct my_conn c = {0};
    enum my_phase phase = MY_STAGING;
    my_calm(&calm, ctx);
    r->ctx = &calm.ctx;
    int rc = my_conn_open(r->ctx, r->cfg, NULL, NULL, &c);
    if (rc == BAKE_OK)
        rc = my_users_make(r, &c);
    if (rc == BAKE_OK)
        rc = my_keys_point(r, &c);
    if (rc == BAKE_OK)
        rc = prepare(r, &c);
    if (rc == BAKE_OK)
        rc = my_oblige(r, r->ctx, phase = MY_SWITCHING);
    if (rc == BAKE_OK)
        rc = forth(r, &c);
    if (rc == BAKE_OK)
        rc = done(r, &c);
    my_conn_close(&c);
    if (rc != BAKE_OK) {
        struct my_hush hush;
        my_hush(&hush, ctx); /* the first failure is the one that counts */
        r->ctx = &hush.ctx;
        if (go_back(r, phase) != BAKE_OK)
            bake_report(ctx, BAKE_PARTIAL, r->n ? r->dbs[0].swap.target : MY_USERS,
                        "it could not be put back as it was, and is tried again later: %s",
                        hush.text);
    }
    r->ctx = ctx;
    return rc;
}

int my_unstage(struct my_restore *r, struct bake_ctx *ctx)
{
    struct my_calm calm;
    if (r->duty == 0)
        return BAKE_OK;
    my_calm(&calm, ctx);
    r->ctx = &calm.ctx;
    int rc = go_back(r, MY_STAGING);
    r->ctx = ctx;
    return rc;
}
