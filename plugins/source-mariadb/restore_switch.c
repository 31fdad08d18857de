/* New databases take the place of old ones. MariaDB cannot rename a database: the tables of all of
 * them are exchanged by one RENAME TABLE, which happens wholly or not at all and moves a mark with
 * it; what is no table is made anew, from the dump or, on the way back, from what was kept. */
#include "restore_switch.h"

#include <stdlib.h>
#include <string.h>

/* ---- forth ----------------------------------------------------------------------------------- */

/* What the exchange does with one database. */
static int add_moves(struct my_restore *r, struct my_conn *c, const struct my_swap *s,
                     struct my_sql *sql)
{
    json_t *there = NULL, *names = NULL;
    int rc = my_tables_of(c, s->target, &there);
    if (rc == BAKE_OK)
        rc = my_tables_of(c, s->fresh, &names);
    names = my_without_marks(names);
    for (size_t i = 0; i < json_array_size(there); i++) {
        const char *name = json_string_value(json_array_get(there, i));
        if (!r->parts || my_in_list(names, name))
            my_add_move(sql, s->target, s->old, name);
    }
    for (size_t i = 0; i < json_array_size(names); i++)
        my_add_move(sql, s->fresh, s->target, json_string_value(json_array_get(names, i)));
    my_add_move(sql, s->fresh, s->old, MY_MARK);
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
        rc = sql.failed  ? my_nomem(c->ctx)
             : !sql.text ? BAKE_OK /* accounts only */
                         : my_query(c, NULL, "cannot exchange the tables", sql.text);
    free(sql.text);
    return rc;
}

static int clear_target(struct my_restore *r, struct my_conn *c, const struct my_rdb *db)
{
    json_t *names = NULL;
    if (db->swap.made) {
        char *ours = my_ours(&db->swap);
        int made = ours ? my_make_database(c, db->swap.target, db->facts, ours) : my_nomem(c->ctx);
        free(ours);
        return made;
    }
    int rc = r->parts ? my_tables_of(c, db->swap.fresh, &names) : BAKE_OK;
    if (rc == BAKE_OK)
        rc = my_drop_extras(c, db->swap.target, names);
    json_decref(names);
    return rc;
}

static int finish_target(struct my_restore *r, struct my_conn *c, const struct my_rdb *db)
{
    char *charset = r->parts ? strdup("") : my_charset_of(db->facts);
    int rc = charset ? BAKE_OK : my_nomem(c->ctx);
    if (rc == BAKE_OK && *charset)
        rc = my_about(c, "cannot set the database's characters", db->swap.target, "ALTER DATABASE",
                      charset);
    free(charset);
    if (rc == BAKE_OK)
        rc = my_script_run(r, NULL, db->swap.target, &db->extras, "views, routines or triggers");
    return rc == BAKE_OK && !db->swap.made && !r->parts ? my_rights_give(c, &db->swap) : rc;
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
    /* from here on they run */
    for (size_t i = 0; i < r->n && rc == BAKE_OK; i++)
        rc = my_script_run(r, NULL, r->dbs[i].swap.target, &r->dbs[i].events, "events");
    return rc;
}

/* ---- all of it ------------------------------------------------------------------------------- */

/* Whoever holds a table would hold up the way back as well: better known before anything changes.
 */
static int try_locks(struct my_restore *r, struct my_conn *c)
{
    struct my_sql sql = {0};
    int rc = BAKE_OK;
    for (size_t i = 0; i < r->n && rc == BAKE_OK; i++) {
        json_t *tables = NULL;
        rc = my_tables_of(c, r->dbs[i].swap.target, &tables);
        for (size_t k = 0; k < json_array_size(tables); k++) {
            const char *name = json_string_value(json_array_get(tables, k));
            char *db = my_quoted(r->dbs[i].swap.target), *table = my_quoted(name);
            if (db && table && my_part_wanted(r->parts, r->dbs[i].name, name))
                my_sql(&sql, "%s%s.%s WRITE", sql.n ? ", " : "LOCK TABLES ", db, table);
            free(db);
            free(table);
        }
        json_decref(tables);
    }
    if (rc == BAKE_OK && sql.failed)
        rc = my_nomem(c->ctx);
    if (rc == BAKE_OK && sql.text && my_try(c, NULL, sql.text) == BAKE_E_TIMEOUT)
        rc = bake_fail(c->ctx, BAKE_E_TIMEOUT,
                       "a table that is replaced is in use by others for more than %llu seconds\n"
                       "HINT: stop what uses the database, or see 'lock_timeout'",
                       (unsigned long long)(r->cfg->lock_timeout / 1000));
    (void)my_try(c, NULL, "UNLOCK TABLES");
    free(sql.text);
    return rc;
}

static int prepare(struct my_restore *r, struct my_conn *c)
{
    int rc = my_queryf(c, NULL, "cannot prepare the exchange",
                       "SET SESSION foreign_key_checks = 0, lock_wait_timeout = %llu",
                       (unsigned long long)(r->cfg->lock_timeout / 1000 + 1));
    for (size_t i = 0; i < r->n && rc == BAKE_OK; i++)
        rc = my_keep(r, c, &r->dbs[i]);
    return rc == BAKE_OK ? try_locks(r, c) : rc;
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
        rc = my_swap_lock(r, &c);
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
