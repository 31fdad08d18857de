/* See globals.h. */
#include "globals.h"

#include <stdlib.h>
#include <string.h>

int pg_globals_secrets(struct bake_ctx *ctx, const struct pg_config *cfg, bool *ret)
{
    struct pg_conn c = {0};
    char *may = NULL;
    int rc = pg_conn_open(ctx, cfg, NULL, NULL, &c);
    if (rc != BAKE_OK)
        return rc;
    rc = pg_value(&c, &may, "cannot ask for our rights",
                  "SELECT pg_catalog.has_table_privilege('pg_catalog.pg_authid', 'SELECT')", 0,
                  NULL);
    pg_conn_close(&c);
    if (rc != BAKE_OK)
        return rc;
    *ret = may[0] == 't';
    free(may);
    if (!*ret)
        bake_report(ctx, BAKE_NOTICE, "globals",
                    "roles are dumped without their passwords: this user may not read pg_authid");
    return BAKE_OK;
}

/* pg_dumpall takes a name of this kind for a connection string. */
static bool like_conninfo(const char *name)
{
    return strchr(name, '=') || strncmp(name, "postgres://", 11) == 0 ||
           strncmp(name, "postgresql://", 13) == 0;
}

void pg_globals_args(struct pg_call *call, const struct pg_config *cfg, bool secrets)
{
    pg_call_arg(call, "--globals-only");
    pg_call_arg(call, "--no-password");
    if (!secrets)
        pg_call_arg(call, "--no-role-passwords");
    if (!like_conninfo(cfg->database)) /* else it tries postgres and template1 */
        pg_call_argf(call, "--database=%s", cfg->database);
}
