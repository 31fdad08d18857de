/* Whether all that a backup needs is there: the server, the rights, the tools. */
#include "ops.h"

#include "tools.h"
#include <stdlib.h>
#include <string.h>

#define OLDEST_PHYSICAL 150000

struct rights {
    bool super, reads_all, replicates, sees_stats;
    char *user;
};

static int ask_rights(struct pg_conn *c, struct rights *ret)
{
    PGresult *res = NULL;
    const char *sql =
        c->version >= 140000
            ? "SELECT rolsuper, pg_catalog.pg_has_role('pg_read_all_data', 'USAGE'),"
              " rolreplication, pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE'), rolname"
              " FROM pg_catalog.pg_roles WHERE rolname = current_user"
            : "SELECT rolsuper, rolsuper, rolreplication,"
              " pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE'), rolname"
              " FROM pg_catalog.pg_roles WHERE rolname = current_user";
    int rc = pg_query(c, &res, "cannot ask for our rights", sql, 0, NULL);
    if (rc == BAKE_OK && PQntuples(res) == 1) {
        ret->super = PQgetvalue(res, 0, 0)[0] == 't';
        ret->reads_all = PQgetvalue(res, 0, 1)[0] == 't';
        ret->replicates = PQgetvalue(res, 0, 2)[0] == 't';
        ret->sees_stats = PQgetvalue(res, 0, 3)[0] == 't';
        ret->user = strdup(PQgetvalue(res, 0, 4));
    }
    PQclear(res);
    if (rc == BAKE_OK && !ret->user)
        rc = bake_fail(c->ctx, BAKE_E_NOMEM, "out of memory");
    return rc;
}

static int probe_logical(struct pg_conn *c, const struct pg_config *cfg, const struct rights *r)
{
    static const char *const tools[] = {"pg_dump", "pg_dumpall", "psql", "pg_restore", NULL};
    for (const char *const *t = tools; *t; t++) {
        char *path = NULL;
        int rc = pg_tool(c->ctx, cfg, *t, c->version, &path, NULL);
        free(path);
        if (rc != BAKE_OK)
            return rc;
    }
    if (!r->super && !r->reads_all)
        bake_report(c->ctx, BAKE_WARNING, r->user,
                    "this user is no superuser and does not have pg_read_all_data: a table that it "
                    "may not read makes its database's dump fail");
    if (!r->super && !r->sees_stats)
        bake_report(c->ctx, BAKE_NOTICE, r->user,
                    "this user does not have pg_read_all_stats: while anybody else is connected to "
                    "a database it is dumped, even if it is unchanged");
    return BAKE_OK;
}

static int probe_physical(struct bake_ctx *ctx, const struct pg_config *cfg, int version,
                          const struct rights *r)
{
    if (version < OLDEST_PHYSICAL)
        return bake_fail(ctx, BAKE_E_UNSUPPORTED,
                         "'mode: physical' needs a server of version 15 or later, and this is "
                         "version %d.%d\nHINT: use 'mode: logical'",
                         version / 10000, version % 10000);
    if (!r->super && !r->replicates)
        return bake_fail(ctx, BAKE_E_AUTH,
                         "user '%s' may not make base backups\nHINT: ALTER ROLE ... REPLICATION",
                         r->user);
    struct pg_conn c = {0};
    int rc = pg_conn_open_replication(ctx, cfg, &c);
    if (rc != BAKE_OK)
        return rc;
    rc = pg_exec(&c, "cannot replicate from the server", "IDENTIFY_SYSTEM");
    pg_conn_close(&c);
    return rc;
}

int pg_probe(struct bake_ctx *ctx, const void *config)
{
    const struct pg_config *cfg = config;
    struct pg_conn c = {0};
    struct rights r = {0};
    int rc = pg_conn_open(ctx, cfg, NULL, NULL, &c);
    if (rc != BAKE_OK)
        return rc;
    rc = ask_rights(&c, &r);
    if (rc == BAKE_OK)
        rc = cfg->mode == PG_PHYSICAL ? probe_physical(ctx, cfg, c.version, &r)
                                      : probe_logical(&c, cfg, &r);
    pg_conn_close(&c);
    free(r.user);
    return rc;
}
