/* Checking the options, without the daemon and with it. */
#include "ops.h"

#include "api.h"
#include "match/gitignore.h"
#include "match/wild.h"
#include <string.h>

static int check_host(struct bake_ctx *ctx, const char *host)
{
    static const char *const schemes[] = {"unix:///", "tcp://", "http://", "https://", NULL};
    for (const char *const *s = schemes; host && *s; s++)
        if (strncmp(host, *s, strlen(*s)) == 0 && host[strlen(*s)] != '\0')
            return BAKE_OK;
    return !host ? BAKE_OK
                 : bake_fail(ctx, BAKE_E_CONFIG,
                             "'host': '%s' is no address of a Docker daemon\n"
                             "HINT: unix:///var/run/docker.sock, tcp://host:2375 or "
                             "https://host:2376",
                             host);
}

static int check_globs(struct bake_ctx *ctx, const char *option, const char *const *globs,
                       bool paths)
{
    for (; globs && *globs; globs++) {
        if (!**globs || !bkc_wild_sound(*globs))
            return bake_fail(ctx, BAKE_E_CONFIG,
                             "'%s': '%s' can never match\nHINT: close every '['", option, *globs);
        if (paths && **globs != '/' && **globs != '*')
            return bake_fail(ctx, BAKE_E_CONFIG,
                             "'%s': '%s' can never match, paths within containers start with '/'",
                             option, *globs);
    }
    return BAKE_OK;
}

static int check_exclude(struct bake_ctx *ctx, const struct dk_config *cfg)
{
    struct bkc_ignore *ignore = NULL;
    size_t bad = 0;
    if (!cfg->exclude || bkc_ignore_new(cfg->exclude, &ignore, &bad) == 0) {
        bkc_ignore_free(ignore);
        return BAKE_OK;
    }
    if (bad == BKC_IGNORE_NOMEM)
        return dk_nomem(ctx);
    return bake_fail(ctx, BAKE_E_CONFIG,
                     "'exclude': '%s' can never match\n"
                     "HINT: close every '[', end no pattern in '\\', name something before '/'",
                     cfg->exclude[bad]);
}

int dk_validate(struct bake_ctx *ctx, const void *config)
{
    const struct dk_config *cfg = config;
    int rc = check_host(ctx, cfg->host);
    if (rc == BAKE_OK && !cfg->cert != !cfg->key)
        rc = bake_fail(ctx, BAKE_E_CONFIG, "'cert' and 'key' go together: one of them is missing");
    if (rc == BAKE_OK)
        rc = check_globs(ctx, "projects", cfg->projects, false);
    if (rc == BAKE_OK)
        rc = check_globs(ctx, "exclude_projects", cfg->exclude_projects, false);
    if (rc == BAKE_OK)
        rc = check_globs(ctx, "paths", cfg->paths, true);
    if (rc == BAKE_OK)
        rc = check_globs(ctx, "exclude_paths", cfg->exclude_paths, true);
    if (rc == BAKE_OK)
        rc = check_globs(ctx, "volumes", cfg->volumes, false);
    return rc == BAKE_OK ? check_exclude(ctx, cfg) : rc;
}

/* Connecting says all that may be wrong: no socket, no permission, too old. A list shows that we
 * may ask for more than the version, as behind a proxy that filters calls. */
int dk_probe(struct bake_ctx *ctx, const void *config)
{
    struct dk_source *s = NULL;
    json_t *list = NULL;
    int rc = dk_source_new(ctx, config, NULL, &s);
    if (rc == BAKE_OK)
        rc = dk_get(s->api, ctx, "/containers/json?limit=1", &list);
    json_decref(list);
    dk_source_free(s);
    return rc;
}
