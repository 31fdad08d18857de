/* New databases take the places of old ones: by new names, in one transaction, so that under each
 * name there is at every moment either the old or the new. Only the database that we are connected
 * to ourselves needs a transaction of its own, from another one. */
#include "restore.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- beforehand ------------------------------------------------------------------------------ */

/* It may have changed since the restore began. */
static int look_again(const struct pg_restore *r, struct pg_conn *c, struct pg_target *t)
{
    char *old = NULL;
    bool empty = true;
    int rc = pg_database_oid(c, t->name, &old);
    if (rc != BAKE_OK)
        return rc;
    if (old && !t->exists)
        rc = bake_fail(c->ctx, BAKE_E_EXISTS, "database '%s' has been created meanwhile", t->name);
    else if (old && !r->force)
        rc = pg_database_empty(r, c->ctx, t->name, &empty);
    if (rc == BAKE_OK && !empty)
        rc = bake_fail(c->ctx, BAKE_E_EXISTS, "database '%s' has been filled meanwhile", t->name);
    free(t->old_oid);
    t->old_oid = old;
    return rc;
}

static int learn(const struct pg_restore *r, struct pg_conn *c, struct pg_target *t)
{
    const char *params[] = {t->name};
    char *allows = NULL;
    int rc = look_again(r, c, t);
    if (rc == BAKE_OK) {
        free(t->new_oid);
        t->new_oid = NULL;
        rc = pg_database_oid(c, t->fresh, &t->new_oid);
    }
    if (rc == BAKE_OK && !t->new_oid)
        rc = bake_fail(c->ctx, BAKE_E_NOTFOUND, "the new database '%s' is not there any more",
                       t->fresh);
    if (rc == BAKE_OK)
        rc = pg_value(c, &allows, "cannot look at a database",
                      "SELECT datallowconn FROM pg_catalog.pg_database WHERE datname = $1", 1,
                      params);
    if (rc == BAKE_OK)
        t->allowed = allows[0] == 't';
    free(allows);
    return rc;
}

/* ---- one database ---------------------------------------------------------------------------- */

static int shut(struct pg_conn *c, const struct pg_target *t)
{
    int rc = BAKE_OK;
    if (t->old_oid)
        rc = pg_run(c, "cannot close the old database",
                    "ALTER DATABASE %I WITH ALLOW_CONNECTIONS false", t->name);
    if (rc == BAKE_OK && t->old_oid)
        rc = pg_clear_out(c, t->old_oid, t->name);
    return rc == BAKE_OK ? pg_clear_out(c, t->new_oid, t->fresh) : rc;
}

static int rename_both(struct pg_conn *c, const struct pg_target *t)
{
    static const char what[] = "cannot rename a database";
    json_int_t limit = -1;
    const json_t *recorded = json_object_get(t->facts, "connection_limit");
    char sql[64];
    if (json_is_integer(recorded))
        limit = json_integer_value(recorded);
    (void)snprintf(sql, sizeof(sql), "ALTER DATABASE %%I CONNECTION LIMIT %lld", (long long)limit);
    int rc = BAKE_OK;
    if (t->old_oid) /* its comment stays as it is: all of this may be taken back */
        rc = pg_run(c, what, "ALTER DATABASE %I RENAME TO %I", t->name, t->aside);
    if (rc == BAKE_OK)
        rc = pg_run(c, what, "ALTER DATABASE %I RENAME TO %I; COMMENT ON DATABASE %I IS %L",
                    t->fresh, t->name, t->name, pg_fact(t, "comment"));
    if (rc == BAKE_OK && limit >= 0)
        rc = pg_run(c, "cannot limit connections", sql, t->name);
    if (rc == BAKE_OK && json_is_true(json_object_get(t->facts, "is_template")))
        rc = pg_run(c, "cannot make it a template", "ALTER DATABASE %I IS_TEMPLATE true", t->name);
    return rc;
}

/* ---- all of them ----------------------------------------------------------------------------- */

/* Those whose name is not, or is, that of the database that the connection is to. */
static int swap_those(struct pg_restore *r, struct pg_conn *c, const char *home, bool it)
{
    size_t any = 0;
    int rc = BAKE_OK;
    for (size_t i = 0; i < r->n && rc == BAKE_OK; i++) {
        if ((strcmp(r->targets[i].name, home) == 0) != it)
            continue;
        any++;
        rc = shut(c, &r->targets[i]);
    }
    if (rc != BAKE_OK || any == 0)
        return rc;
    rc = pg_exec(c, "cannot begin", "BEGIN");
    for (size_t i = 0; i < r->n && rc == BAKE_OK; i++)
        if ((strcmp(r->targets[i].name, home) == 0) == it)
            rc = rename_both(c, &r->targets[i]);
    return rc == BAKE_OK ? pg_exec(c, "cannot change the names of databases", "COMMIT") : rc;
}

/* Marked first, so that it is known for ours even if it cannot be dropped and the obligation is
 * lost. */
static int drop_one(struct pg_conn *c, const char *name)
{
    char *comment = pg_our_comment(true);
    int rc = comment ? pg_run(c, "cannot mark the old database", "COMMENT ON DATABASE %I IS %L",
                              name, comment)
                     : bake_fail(c->ctx, BAKE_E_NOMEM, "out of memory");
    free(comment);
    return rc == BAKE_OK ? pg_drop_database(c, name) : rc;
}

static int drop_old(struct pg_restore *r, struct bake_ctx *ctx)
{
    int rc = BAKE_OK;
    for (size_t i = 0; i < r->n; i++) {
        const struct pg_target *t = &r->targets[i];
        struct pg_hush h;
        struct pg_conn c = {0};
        if (!t->old_oid)
            continue;
        pg_calm(&h, ctx);
        int one = pg_restore_home(r, &h.ctx, NULL, &c);
        if (one == BAKE_OK) {
            one = drop_one(&c, t->aside);
            pg_conn_close(&c);
        }
        if (one != BAKE_OK) {
            bake_report(ctx, BAKE_WARNING, t->name,
                        "the new database is in use, but the old one, now '%s', could not be "
                        "dropped yet: %s",
                        t->aside, h.text);
            rc = one;
        }
    }
    return rc;
}

/* In one go: names that have changed already are not looked for by whoever cancels. */
static int swap_all(struct pg_restore *r, struct pg_conn *c)
{
    struct pg_conn other = {0};
    char *home = strdup(PQdb(c->pg));
    bool itself = false;
    int rc =
        home ? swap_those(r, c, home, false) : bake_fail(c->ctx, BAKE_E_NOMEM, "out of memory");
    for (size_t i = 0; i < r->n && rc == BAKE_OK; i++)
        itself = itself || strcmp(r->targets[i].name, home) == 0;
    if (itself) {
        struct bake_ctx *ctx = c->ctx;
        pg_conn_close(c);
        rc = pg_restore_home(r, ctx, home, &other);
    }
    if (itself && rc == BAKE_OK) {
        rc = swap_those(r, &other, home, true);
        pg_conn_close(&other);
    }
    free(home);
    return rc;
}

/* Files may have been made with holes that the disk has no room for: better to know before than
 * after. Who may not ask for it goes without. */
static int settle(struct pg_conn *c)
{
    struct pg_hush h;
    struct pg_conn quiet = *c;
    pg_hush(&h, c->ctx);
    quiet.ctx = &h.ctx;
    int rc = pg_exec(&quiet, "cannot write the new databases to the server's disk", "CHECKPOINT");
    if (rc == BAKE_OK || rc == BAKE_E_AUTH)
        return BAKE_OK;
    return bake_fail(c->ctx, rc, "%s", h.text);
}

/* The connection may have been lost when the server had heard the last word already. */
static bool switched(const struct pg_restore *r, struct bake_ctx *ctx)
{
    struct pg_hush h;
    bool all = false;
    pg_calm(&h, ctx);
    return pg_restore_switched(r, &h.ctx, &all) == BAKE_OK && all;
}

int pg_restore_swap(struct pg_restore *r, struct bake_ctx *ctx)
{
    struct pg_conn c = {0};
    struct pg_hush h;
    int rc = pg_restore_home(r, ctx, NULL, &c);
    if (rc != BAKE_OK)
        return rc;
    rc = settle(&c);
    for (size_t i = 0; i < r->n && rc == BAKE_OK; i++)
        rc = learn(r, &c, &r->targets[i]);
    if (rc == BAKE_OK) {
        r->switching = true;
        rc = pg_restore_oblige(r, ctx);
    }
    if (rc == BAKE_OK) {
        pg_calm(&h, ctx);
        c.ctx = &h.ctx;
        rc = swap_all(r, &c);
        if (rc != BAKE_OK && !switched(r, ctx))
            rc = bake_fail(ctx, rc, "%s", h.text);
        else
            rc = BAKE_OK;
    }
    pg_conn_close(&c);
    if (rc == BAKE_OK && drop_old(r, ctx) == BAKE_OK &&
        ctx->host->redeemed(ctx, r->duty) == BAKE_OK)
        r->duty = 0;
    return rc;
}
