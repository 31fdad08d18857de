/* Whether a restore of dumps can be done as things are: the server, our rights, the tools, what is
 * there already. Changes nothing. */
#include "restore.h"

#include "text.h"
#include "tools.h"
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* ---- the server ------------------------------------------------------------------------------ */

struct server {
    bool standby, super, creates;
};

static int ask(struct pg_restore *r, struct pg_conn *c, struct server *s)
{
    PGresult *res = NULL;
    int rc = pg_query(c, &res, "cannot ask the server what it is",
                      "SELECT pg_catalog.pg_is_in_recovery(), rolsuper, rolcreatedb, rolname,"
                      " (SELECT system_identifier FROM pg_catalog.pg_control_system())"
                      " FROM pg_catalog.pg_roles WHERE rolname = current_user",
                      0, NULL);
    if (rc == BAKE_OK && PQntuples(res) == 1) {
        s->standby = PQgetvalue(res, 0, 0)[0] == 't';
        s->super = PQgetvalue(res, 0, 1)[0] == 't';
        s->creates = PQgetvalue(res, 0, 2)[0] == 't';
        r->self = strdup(PQgetvalue(res, 0, 3));
        r->system_id = strdup(PQgetvalue(res, 0, 4));
        r->version = c->version;
    }
    PQclear(res);
    if (rc == BAKE_OK && (!r->self || !r->system_id))
        rc = bake_fail(c->ctx, BAKE_E_NOMEM, "out of memory");
    return rc;
}

static int judge(const struct pg_restore *r, struct bake_ctx *ctx, const struct server *s)
{
    if (s->standby)
        return bake_fail(ctx, BAKE_E_UNSUPPORTED,
                         "the server is a standby, which can only be read from\n"
                         "HINT: restore into its primary, e.g. by --set SOURCE.host=...");
    if (r->dumped / 10000 > r->version / 10000)
        return bake_fail(ctx, BAKE_E_UNSUPPORTED,
                         "a dump of PostgreSQL %d cannot be restored into a server of version "
                         "%d\nHINT: restore into a server of version %d or later",
                         r->dumped / 10000, r->version / 10000, r->dumped / 10000);
    if (!s->super && !s->creates && r->n > 0)
        return bake_fail(ctx, BAKE_E_AUTH,
                         "user '%s' may not create databases\nHINT: ALTER ROLE ... CREATEDB, or "
                         "restore as a superuser",
                         r->self);
    return BAKE_OK;
}

/* ---- the tools ------------------------------------------------------------------------------- */

/* pg_restore must know the format that the dumping pg_dump has written. */
static int version_for(const struct pg_restore *r, bool custom)
{
    int most = r->version;
    for (size_t i = 0; custom && i < r->n; i++) {
        const char *client = pg_fact(&r->targets[i], "client_version");
        int major = 0;
        for (const char *p = client ? client : ""; *p >= '0' && *p <= '9' && major < 1000; p++)
            major = major * 10 + (*p - '0');
        if (major * 10000 > most)
            most = major * 10000;
    }
    return most;
}

static int find_tools(struct pg_restore *r, struct bake_ctx *ctx)
{
    bool plain = r->parts != NULL, custom = false;
    for (size_t i = 0; i < r->n; i++) {
        custom |= r->targets[i].format == PG_CUSTOM;
        plain |= r->targets[i].format == PG_PLAIN;
    }
    int rc = BAKE_OK;
    if (plain)
        rc = pg_tool(ctx, r->cfg, "psql", r->version, &r->psql, NULL);
    if (rc == BAKE_OK && custom)
        rc = pg_tool(ctx, r->cfg, "pg_restore", version_for(r, true), &r->pg_restore, NULL);
    if (rc == BAKE_OK && r->parts)
        rc = pg_tool(ctx, r->cfg, "pg_dump", r->version, &r->pg_dump, NULL);
    return rc;
}

/* ---- what is there already ------------------------------------------------------------------- */

#define OF_USERS "oid >= 16384"

int pg_database_empty(const struct pg_restore *r, struct bake_ctx *ctx, const char *name, bool *ret)
{
    struct pg_conn c = {0};
    char *any = NULL;
    int rc = pg_restore_conn(r, ctx, name, &c);
    if (rc != BAKE_OK)
        return rc;
    rc = pg_value(&c, &any, "cannot look into a database",
                  "SELECT EXISTS (SELECT FROM pg_catalog.pg_class WHERE " OF_USERS
                  " AND relpersistence <> 't')"
                  " OR EXISTS (SELECT FROM pg_catalog.pg_proc WHERE " OF_USERS ")"
                  " OR EXISTS (SELECT FROM pg_catalog.pg_type WHERE " OF_USERS
                  " AND typtype IN ('d', 'e', 'r'))"
                  " OR EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE " OF_USERS
                  " AND nspname !~ '^pg_')"
                  " OR EXISTS (SELECT FROM pg_catalog.pg_extension WHERE " OF_USERS ")"
                  " OR EXISTS (SELECT FROM pg_catalog.pg_event_trigger)"
                  " OR EXISTS (SELECT FROM pg_catalog.pg_publication)"
                  " OR EXISTS (SELECT FROM pg_catalog.pg_foreign_data_wrapper)"
                  " OR EXISTS (SELECT FROM pg_catalog.pg_largeobject_metadata)",
                  0, NULL);
    pg_conn_close(&c);
    if (rc == BAKE_OK)
        *ret = any[0] != 't';
    free(any);
    return rc;
}

/* What would make it impossible to rename or drop it. */
static int check_bonds(struct pg_conn *c, const struct pg_target *t, const char *oid)
{
    const char *params[] = {oid, t->name};
    PGresult *res = NULL;
    int rc = pg_query(c, &res, "cannot look at a database",
                      "SELECT (SELECT pg_catalog.count(*) FROM pg_catalog.pg_subscription"
                      "  WHERE subdbid = $1::oid),"
                      " (SELECT pg_catalog.count(*) FROM pg_catalog.pg_prepared_xacts"
                      "  WHERE database = $2)",
                      2, params);
    if (rc == BAKE_OK && PQgetvalue(res, 0, 0)[0] != '0')
        rc = bake_fail(c->ctx, BAKE_E_EXISTS,
                       "database '%s' cannot be replaced: it has subscriptions\nHINT: drop them "
                       "first (DROP SUBSCRIPTION)",
                       t->name);
    else if (rc == BAKE_OK && PQgetvalue(res, 0, 1)[0] != '0')
        rc = bake_fail(c->ctx, BAKE_E_EXISTS,
                       "database '%s' cannot be replaced: it has prepared transactions\nHINT: "
                       "commit or roll them back first (ROLLBACK PREPARED)",
                       t->name);
    PQclear(res);
    return rc;
}

static int check_place(const struct pg_restore *r, struct pg_conn *c, const struct pg_target *t)
{
    const char *params[] = {t->name};
    char *allows = NULL;
    bool empty = false;
    if (r->force)
        return BAKE_OK;
    int rc =
        pg_value(c, &allows, "cannot look at a database",
                 "SELECT datallowconn FROM pg_catalog.pg_database WHERE datname = $1", 1, params);
    if (rc == BAKE_OK && allows[0] == 't')
        rc = pg_database_empty(r, c->ctx, t->name, &empty);
    free(allows);
    if (rc == BAKE_OK && !empty)
        rc = bake_fail(c->ctx, BAKE_E_EXISTS,
                       "database '%s' is there and not empty\nHINT: --force replaces it, once the "
                       "new one is whole; --as-database NAME restores it beside",
                       t->name);
    return rc;
}

static int check_target(const struct pg_restore *r, struct pg_conn *c, struct pg_target *t)
{
    char *oid = NULL;
    int rc = pg_database_oid(c, t->name, &oid);
    if (rc != BAKE_OK)
        return rc;
    t->exists = oid != NULL;
    if (r->parts && !oid)
        rc = bake_fail(c->ctx, BAKE_E_NOTFOUND,
                       "there is no database '%s' to restore tables into\nHINT: restore all of it, "
                       "or create it first",
                       t->name);
    else if (r->parts)
        rc = pg_parts_check(r, c->ctx, t);
    else if (oid)
        rc = check_bonds(c, t, oid);
    if (rc == BAKE_OK && oid && !r->parts)
        rc = check_place(r, c, t);
    free(oid);
    return rc;
}

/* What is undone later is dropped by these names: nothing of anybody else's may have them. */
static int check_names(struct pg_conn *c, const struct pg_target *t)
{
    const char *params[] = {t->fresh, t->aside};
    char *other = NULL;
    int rc =
        pg_value(c, &other, "cannot look for a database",
                 "SELECT datname FROM pg_catalog.pg_database WHERE datname IN ($1, $2)", 2, params);
    if (rc == BAKE_OK && *other)
        rc = bake_fail(c->ctx, BAKE_E_EXISTS,
                       "there is a database '%s' already, by a chance of one in millions\nHINT: "
                       "try again",
                       other);
    free(other);
    return rc;
}

/* Roles that the globals would bring are not looked for. */
static int check_owner(const struct pg_restore *r, struct pg_conn *c, const struct pg_target *t)
{
    const char *owner = pg_fact(t, "owner"), *params[] = {owner};
    char *there = NULL;
    if (!owner || r->globals)
        return BAKE_OK;
    int rc = pg_value(c, &there, "cannot look for a role",
                      "SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = $1", 1, params);
    if (rc == BAKE_OK && !*there)
        rc = bake_fail(c->ctx, BAKE_E_NOTFOUND,
                       "there is no role '%s', which database '%s' belongs to\nHINT: restore '%s' "
                       "as well, or create the role first",
                       owner, t->subject, PG_GLOBALS);
    free(there);
    return rc;
}

/* Two components that would go to one name. */
static int check_twice(const struct pg_restore *r, struct bake_ctx *ctx)
{
    for (size_t i = 0; i < r->n; i++)
        for (size_t k = 0; k < i; k++)
            if (strcmp(r->targets[i].name, r->targets[k].name) == 0)
                return bake_fail(ctx, BAKE_E_CONFIG,
                                 "'%s' and '%s' are both of database '%s'\nHINT: choose one by "
                                 "--component",
                                 r->targets[k].component, r->targets[i].component,
                                 r->targets[i].name);
    return BAKE_OK;
}

int pg_restore_check(struct pg_restore *r, struct bake_ctx *ctx)
{
    struct pg_conn c = {0};
    struct server s = {0};
    int rc = check_twice(r, ctx);
    if (rc == BAKE_OK)
        rc = pg_restore_home(r, ctx, NULL, &c);
    if (rc != BAKE_OK)
        return rc;
    rc = ask(r, &c, &s);
    if (rc == BAKE_OK)
        rc = judge(r, ctx, &s);
    for (size_t i = 0; i < r->n && rc == BAKE_OK && !r->drill; i++) {
        rc = check_names(&c, &r->targets[i]);
        if (rc == BAKE_OK)
            rc = check_target(r, &c, &r->targets[i]);
        if (rc == BAKE_OK)
            rc = check_owner(r, &c, &r->targets[i]);
    }
    pg_conn_close(&c);
    return rc == BAKE_OK ? find_tools(r, ctx) : rc;
}
