/* The header in plain C99, used as a plugin author uses it; the host is a fake one. */
#include <bakengine/plugin.h>
#include <stdio.h>
#include <string.h>

struct config {
    int flag;
    int64_t number;
    const char *text;
    const char *const *list;
    const struct bake_path *paths;
};

static const struct bake_option options[] = {
    {"flag", BAKE_T_BOOL, 0, BAKE_MEMBER(struct config, flag, int), "false", 0, 0, NULL, "A flag."},
    {"number", BAKE_T_INT, BAKE_OPT_HAS_RANGE, BAKE_MEMBER(struct config, number, int64_t), "1", 0,
     9, NULL, "A number."},
    {"text", BAKE_T_STRING, BAKE_OPT_REQUIRED, BAKE_MEMBER(struct config, text, const char *), NULL,
     0, 0, NULL, "A text."},
    {"list", BAKE_T_STRLIST, 0, BAKE_MEMBER(struct config, list, const char *const *), NULL, 0, 0,
     NULL, "A list."},
    {"paths", BAKE_T_PATHLIST, 0, BAKE_MEMBER(struct config, paths, const struct bake_path *), NULL,
     0, 0, NULL, "Paths."},
    {NULL, 0, 0, 0, NULL, 0, 0, NULL, NULL},
};

static const struct bake_plugin plugin = {
    BAKE_PLUGIN_HEAD,
    "c99",
    "1",
    "for a test",
    options,
    sizeof(struct config),
    NULL,
    NULL,
    NULL,
    NULL,
    NULL,
};
BAKE_PLUGIN(plugin)

static char said[100];

static BAKE_PRINTF(3, 0) void host_vlog(struct bake_ctx *ctx, int level, const char *fmt,
                                        va_list ap)
{
    (void)ctx;
    (void)level;
    vsnprintf(said, sizeof(said), fmt, ap);
}

static BAKE_PRINTF(4, 0) void host_vreport(struct bake_ctx *ctx, int severity, const char *subject,
                                           const char *fmt, va_list ap)
{
    (void)subject;
    host_vlog(ctx, severity, fmt, ap);
}

static BAKE_PRINTF(3, 0) int host_vfail(struct bake_ctx *ctx, int rc, const char *fmt, va_list ap)
{
    host_vlog(ctx, 0, fmt, ap);
    return rc;
}

int main(void)
{
    struct bake_host host;
    struct bake_ctx ctx;
    memset(&host, 0, sizeof(host));
    host.struct_size = sizeof(host);
    host.vlog = host_vlog;
    host.vreport = host_vreport;
    host.vfail = host_vfail;
    ctx.host = &host;
    if (bake_fail(&ctx, BAKE_E_IO, "cannot read '%s'", "x") != BAKE_E_IO ||
        strcmp(said, "cannot read 'x'") != 0)
        return 1;
    bake_report(&ctx, BAKE_WARNING, "x", "changed %d times", 3);
    if (strcmp(said, "changed 3 times") != 0)
        return 1;
    bake_log(&ctx, BAKE_LOG_INFO, "%s", "done");
    return strcmp(said, "done") != 0 || bake_plugin_v1() != &plugin;
}
