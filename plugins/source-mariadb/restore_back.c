/* The way back from an exchange of databases, wherever it was broken off. */
#include "restore_switch.h"

#include <stdlib.h>
#include <string.h>

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
            my_add_move(&sql, s->target, s->fresh, name);
    }
    old = my_without_marks(old);
    for (size_t i = 0; i < json_array_size(old); i++)
        my_add_move(&sql, s->old, s->target, json_string_value(json_array_get(old, i)));
    my_add_move(&sql, s->old, s->fresh, MY_MARK);
    if (rc == BAKE_OK)
        rc = sql.failed ? my_nomem(c->ctx)
                        : my_query(c, NULL, "cannot exchange the tables back", sql.text);
    json_decref(there);
    json_decref(old);
    free(sql.text);
    return rc;
}

/* The target does not have the mark in its name: another restore may have made it. */
char *my_ours(const struct my_swap *s)
{
    const char *mark = strrchr(s->fresh, '_');
    return my_text(MY_OURS " (%.6s)", mark ? mark + 1 : "");
}

/* Does the target still say that this restore made it? */
static int is_ours(struct my_conn *c, const struct my_swap *s, bool *ret)
{
    char *literal = my_literal(c, s->target), *comment = NULL, *ours = my_ours(s);
    char *sql = literal && ours
                    ? my_text("SELECT schema_comment FROM information_schema.schemata WHERE "
                              "schema_name = %s",
                              literal)
                    : NULL;
    int rc = sql ? my_value(c, &comment, "cannot ask whose a database is", sql) : my_nomem(c->ctx);
    *ret = rc == BAKE_OK && strcmp(comment, ours) == 0;
    free(literal);
    free(ours);
    free(sql);
    free(comment);
    return rc;
}

static int unmake_target(struct my_conn *c, const struct my_swap *s)
{
    bool ours = false;
    int rc = is_ours(c, s, &ours);
    return rc == BAKE_OK && ours
               ? my_about(c, "cannot remove a database", s->target, "DROP DATABASE IF EXISTS", "")
               : rc;
}

/* Not before it is done: a database that is taken back is known by it. */
static int forget_comment(struct my_conn *c, const struct my_swap *s)
{
    bool ours = false;
    int rc = s->made ? is_ours(c, s, &ours) : BAKE_OK;
    return rc == BAKE_OK && ours
               ? my_about(c, "cannot finish a database", s->target, "ALTER DATABASE", "COMMENT ''")
               : rc;
}

static int run_kept(struct my_restore *r, struct my_conn *c, const struct my_swap *s,
                    const char *what)
{
    char *text = NULL;
    size_t n = 0;
    struct my_piece piece = {.line = 1};
    int rc = my_kept(c, s->old, what, &text, &n);
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
        rc = my_kept(c, s->old, "charset", &charset, &n);
    if (rc == BAKE_OK && charset && *charset && !parts)
        rc = my_about(c, "cannot set the database's characters", s->target, "ALTER DATABASE",
                      charset);
    free(charset);
    if (rc == BAKE_OK)
        rc = run_kept(r, c, s, "extras");
    if (rc == BAKE_OK && !parts)
        rc = my_rights_give(c, s);
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
        rc = my_kept(c, s->old, "names", &names_text, &n);
    if (rc == BAKE_OK && kept)
        rc = my_kept(c, s->old, "parts", &parts, &n);
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
        rc = my_drop_database(c, s->fresh);
    return rc == BAKE_OK ? my_drop_database(c, s->old) : rc;
}

/* The server goes on with a statement whose client was killed, and keeps its locks as long: until
 * then what it does is not known, and nothing may be taken back. */
int my_swap_lock(struct my_restore *r, struct my_conn *c)
{
    char *name = r->n ? my_literal(c, r->dbs[0].swap.fresh) : NULL, *got = NULL, *sql = NULL;
    if (r->n == 0)
        return BAKE_OK;
    if (name)
        sql = my_text("SELECT GET_LOCK(%s, %llu)", name,
                      (unsigned long long)(r->cfg->lock_timeout / 1000 + 1));
    int rc = sql ? my_value(c, &got, "cannot lock the exchange", sql) : my_nomem(c->ctx);
    if (rc == BAKE_OK && strcmp(got, "1") != 0)
        rc = bake_fail(c->ctx, BAKE_E_TIMEOUT,
                       "the server still works on what was begun in database '%s'",
                       r->dbs[0].swap.target);
    free(name);
    free(got);
    free(sql);
    return rc;
}

int my_swap_back(struct my_restore *r, struct my_conn *c, enum my_phase phase)
{
    int first = my_queryf(c, NULL, "cannot prepare the way back",
                          "SET SESSION foreign_key_checks = 0, lock_wait_timeout = %llu",
                          (unsigned long long)(r->cfg->lock_timeout / 1000 + 1));
    if (first == BAKE_OK)
        first = my_swap_lock(r, c);
    if (first != BAKE_OK)
        return first;
    for (size_t i = 0; first == BAKE_OK && i < r->n; i++) {
        const struct my_swap *s = &r->dbs[i].swap;
        int rc = phase == MY_SWITCHING ? back_one(r, c, s) : my_drop_database(c, s->fresh);
        if (rc == BAKE_OK && phase != MY_SWITCHING)
            rc = my_drop_database(c, s->old);
        if (rc == BAKE_OK && phase == MY_DONE)
            rc = forget_comment(c, s);
        first = first == BAKE_OK ? rc : first;
    }
    for (size_t i = 0; phase != MY_DONE && i < json_array_size(r->accounts); i++) {
        int rc = my_query(c, NULL, "cannot remove an account",
                          json_string_value(json_array_get(r->accounts, i)));
        first = first == BAKE_OK ? rc : first;
    }
    return first;
}
