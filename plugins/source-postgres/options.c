/* Checking the options, without the server. */
#include "ops.h"

#include "match/wild.h"
#include <string.h>

#define NAME_MAX_BYTES 63 /* of any name in PostgreSQL (NAMEDATALEN - 1) */

/* ---- where the server is --------------------------------------------------------------------- */

static int check_server(struct bake_ctx *ctx, const struct pg_config *cfg)
{
    if (cfg->service && (cfg->host || cfg->port || cfg->user || cfg->sslmode || cfg->sslrootcert ||
                         cfg->sslcert || cfg->sslkey))
        return bake_fail(ctx, BAKE_E_CONFIG,
                         "'service' goes without 'host', 'port', 'user' and 'ssl...'\n"
                         "HINT: they stand in the service's file");
    if (cfg->password && strpbrk(cfg->password, "\r\n"))
        return bake_fail(ctx, BAKE_E_CONFIG,
                         "'password': a password with a line end cannot be handed to PostgreSQL's "
                         "tools\nHINT: a file with the password may have one line only");
    if (cfg->database && (!*cfg->database || strlen(cfg->database) > NAME_MAX_BYTES))
        return bake_fail(ctx, BAKE_E_CONFIG, "'database': '%s' is no name of a database",
                         cfg->database);
    return BAKE_OK;
}

static int check_tls(struct bake_ctx *ctx, const struct pg_config *cfg)
{
    static const char *const modes[] = {"disable",   "allow",       "prefer", "require",
                                        "verify-ca", "verify-full", NULL};
    const char *const *m = modes;
    while (cfg->sslmode && *m && strcmp(cfg->sslmode, *m) != 0)
        m++;
    if (cfg->sslmode && !*m)
        return bake_fail(ctx, BAKE_E_CONFIG,
                         "'sslmode': '%s' is not one of disable, allow, prefer, require, "
                         "verify-ca, verify-full",
                         cfg->sslmode);
    if (!cfg->sslcert != !cfg->sslkey)
        return bake_fail(ctx, BAKE_E_CONFIG,
                         "'sslcert' and 'sslkey' go together: one of them is missing");
    if (cfg->sslmode && strcmp(cfg->sslmode, "disable") == 0 && (cfg->sslrootcert || cfg->sslcert))
        return bake_fail(ctx, BAKE_E_CONFIG,
                         "'sslrootcert' and 'sslcert' have no use with 'sslmode: disable'");
    return BAKE_OK;
}

/* ---- what is backed up ----------------------------------------------------------------------- */

static int check_globs(struct bake_ctx *ctx, const char *option, const char *const *globs)
{
    for (; globs && *globs; globs++)
        if (!**globs || !bkc_wild_sound(*globs))
            return bake_fail(ctx, BAKE_E_CONFIG,
                             "'%s': '%s' can never match\nHINT: close every '['", option, *globs);
    return BAKE_OK;
}

static int check_patterns(struct bake_ctx *ctx, const char *option, const char *const *list)
{
    for (; list && *list; list++)
        if (!**list || strpbrk(*list, "\r\n"))
            return bake_fail(ctx, BAKE_E_CONFIG, "'%s': an empty name, or one with a line end",
                             option);
    return BAKE_OK;
}

static bool any(const char *const *list) { return list && *list; }

static const char *logical_only(const struct pg_config *cfg)
{
    return any(cfg->databases)            ? "databases"
           : any(cfg->exclude_databases)  ? "exclude_databases"
           : any(cfg->schemas)            ? "schemas"
           : any(cfg->exclude_schemas)    ? "exclude_schemas"
           : any(cfg->tables)             ? "tables"
           : any(cfg->exclude_tables)     ? "exclude_tables"
           : any(cfg->exclude_table_data) ? "exclude_table_data"
           : cfg->format != PG_PLAIN      ? "format"
                                          : NULL;
}

static int check_mode(struct bake_ctx *ctx, const struct pg_config *cfg)
{
    const char *wrong = cfg->mode == PG_PHYSICAL ? logical_only(cfg) : NULL;
    if (wrong)
        return bake_fail(ctx, BAKE_E_CONFIG,
                         "'%s' is for 'mode: logical': a physical backup holds the whole server",
                         wrong);
    if (cfg->mode == PG_LOGICAL && cfg->slot)
        return bake_fail(ctx, BAKE_E_CONFIG,
                         "'slot' is for 'mode: physical': dumps have no use for WAL");
    if (any(cfg->tables) && (any(cfg->schemas) || any(cfg->exclude_schemas)))
        return bake_fail(ctx, BAKE_E_CONFIG,
                         "'tables' goes without 'schemas' and 'exclude_schemas': pg_dump ignores "
                         "these once tables are named\nHINT: write tables as \"schema.table\"");
    return BAKE_OK;
}

static int check_slot(struct bake_ctx *ctx, const struct pg_config *cfg)
{
    const char *s = cfg->slot;
    if (!s)
        return BAKE_OK;
    size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_");
    if (n == 0 || s[n] || n > NAME_MAX_BYTES)
        return bake_fail(ctx, BAKE_E_CONFIG,
                         "'slot': '%s' is no name of a replication slot: lower case letters, "
                         "digits and '_', at most %d",
                         s, NAME_MAX_BYTES);
    return BAKE_OK;
}

/* ---- the way back ---------------------------------------------------------------------------- */

static int check_checks(struct bake_ctx *ctx, const char *const *list)
{
    for (; list && *list; list++) {
        const char *colon = strstr(*list, ": ");
        const char *sql = colon ? colon + 2 + strspn(colon + 2, " \t\r\n") : "";
        if (!colon || colon == *list || !*sql)
            return bake_fail(ctx, BAKE_E_CONFIG,
                             "'check': '%s' is not of the form \"DATABASE: SELECT ...\"", *list);
    }
    return BAKE_OK;
}

static int check_tablespaces(struct bake_ctx *ctx, const char *const *list)
{
    for (; list && *list; list++) {
        const char *equals = strchr(*list, '=');
        if (!equals || **list != '/' || equals[1] != '/' || strchr(equals + 1, '='))
            return bake_fail(ctx, BAKE_E_CONFIG,
                             "'tablespaces': '%s' is not of the form \"/OLD=/NEW\", both absolute",
                             *list);
    }
    return BAKE_OK;
}

int pg_validate(struct bake_ctx *ctx, const void *config)
{
    const struct pg_config *cfg = config;
    const struct {
        const char *name;
        const char *const *list;
    } patterns[] = {
        {"schemas", cfg->schemas},
        {"exclude_schemas", cfg->exclude_schemas},
        {"tables", cfg->tables},
        {"exclude_tables", cfg->exclude_tables},
        {"exclude_table_data", cfg->exclude_table_data},
    };
    int rc = check_server(ctx, cfg);
    if (rc == BAKE_OK)
        rc = check_tls(ctx, cfg);
    if (rc == BAKE_OK)
        rc = check_globs(ctx, "databases", cfg->databases);
    if (rc == BAKE_OK)
        rc = check_globs(ctx, "exclude_databases", cfg->exclude_databases);
    for (size_t i = 0; rc == BAKE_OK && i < sizeof(patterns) / sizeof(patterns[0]); i++)
        rc = check_patterns(ctx, patterns[i].name, patterns[i].list);
    if (rc == BAKE_OK)
        rc = check_mode(ctx, cfg);
    if (rc == BAKE_OK)
        rc = check_slot(ctx, cfg);
    if (rc == BAKE_OK)
        rc = check_checks(ctx, cfg->check);
    return rc == BAKE_OK ? check_tablespaces(ctx, cfg->tablespaces) : rc;
}
