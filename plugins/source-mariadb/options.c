/* The options: what YAML may say, checked without and with the server. */
#include "ops.h"

#include "match/wild.h"
#include "tools.h"
#include <stdlib.h>
#include <string.h>

int my_nomem(struct bake_ctx *ctx) { return bake_fail(ctx, BAKE_E_NOMEM, "out of memory"); }

static int check_globs(struct bake_ctx *ctx, const char *option, const char *const *globs)
{
    for (; globs && *globs; globs++)
        if (!**globs || !bkc_wild_sound(*globs))
            return bake_fail(ctx, BAKE_E_CONFIG,
                             "'%s': '%s' can never match\nHINT: close every '['", option, *globs);
    return BAKE_OK;
}

static int check_statements(struct bake_ctx *ctx, const char *const *list)
{
    for (; list && *list; list++) {
        const char *colon = strstr(*list, ": ");
        if (!colon || colon == *list || !colon[2 + strspn(colon + 2, " ")])
            return bake_fail(ctx, BAKE_E_CONFIG,
                             "'check': '%s' does not say in which database\n"
                             "HINT: DATABASE: SELECT ...",
                             *list);
    }
    return BAKE_OK;
}

static int check_place(struct bake_ctx *ctx, const struct my_config *cfg)
{
    bool files = cfg->ca || cfg->cert || cfg->key;
    if (cfg->socket && (cfg->host || cfg->port))
        return bake_fail(ctx, BAKE_E_CONFIG, "'socket' goes with neither 'host' nor 'port'");
    if (cfg->socket && cfg->socket[0] != '/')
        return bake_fail(ctx, BAKE_E_CONFIG, "'socket': '%s' is no absolute path", cfg->socket);
    if (!cfg->cert != !cfg->key)
        return bake_fail(ctx, BAKE_E_CONFIG, "'cert' and 'key' go together: one is missing");
    if (cfg->tls == MY_TLS_OFF && files)
        return bake_fail(ctx, BAKE_E_CONFIG, "'tls: off' goes with none of 'ca', 'cert', 'key'");
    return BAKE_OK;
}

int my_validate(struct bake_ctx *ctx, const void *config)
{
    const struct my_config *cfg = config;
    int rc = check_place(ctx, cfg);
    if (rc == BAKE_OK)
        rc = check_globs(ctx, "databases", cfg->databases);
    if (rc == BAKE_OK)
        rc = check_globs(ctx, "exclude_databases", cfg->exclude_databases);
    if (rc == BAKE_OK)
        rc = check_globs(ctx, "exclude_tables", cfg->exclude_tables);
    if (rc == BAKE_OK && cfg->mode == MY_PHYSICAL &&
        ((cfg->databases && cfg->databases[0]) ||
         (cfg->exclude_databases && cfg->exclude_databases[0]) ||
         (cfg->exclude_tables && cfg->exclude_tables[0])))
        rc = bake_fail(ctx, BAKE_E_CONFIG,
                       "'mode: physical' copies the whole server: 'databases', "
                       "'exclude_databases' and 'exclude_tables' go with 'mode: logical' only");
    return rc == BAKE_OK ? check_statements(ctx, cfg->check) : rc;
}

/* One tool of those that this mode needs. */
static int probe_tool(struct bake_ctx *ctx, const struct my_config *cfg, const char *name,
                      unsigned long version)
{
    char *path = NULL;
    int rc = my_tool(ctx, cfg, name, version, &path, NULL);
    free(path);
    return rc;
}

int my_probe(struct bake_ctx *ctx, const void *config)
{
    const struct my_config *cfg = config;
    struct my_conn c = {0};
    int rc = my_conn_open(ctx, cfg, NULL, NULL, &c);
    unsigned long version = c.version;
    my_conn_close(&c);
    if (rc == BAKE_OK)
        rc = probe_tool(ctx, cfg, cfg->mode == MY_PHYSICAL ? "mariadb-backup" : "mariadb-dump",
                        version);
    if (rc == BAKE_OK && cfg->binlogs == MY_BINLOGS_TRUE)
        rc = probe_tool(ctx, cfg, "mariadb-binlog", 0);
    return rc;
}
