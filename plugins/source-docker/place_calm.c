/* A context for removing what was made: never cancelled, and a failure is a warning in the log, so
 * that it does not take the place of the one that made the removal necessary. */
#include "place_impl.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

static struct bake_ctx *behind(struct bake_ctx *ctx) { return ((struct dk_calm *)(void *)ctx)->to; }

static BAKE_PRINTF(3, 0) void calm_vlog(struct bake_ctx *ctx, int level, const char *fmt,
                                        va_list ap)
{
    behind(ctx)->host->vlog(behind(ctx), level, fmt, ap);
}

static int calm_cancelled(struct bake_ctx *ctx)
{
    (void)ctx;
    return 0;
}

static int calm_cancel_fd(struct bake_ctx *ctx)
{
    (void)ctx;
    return -1;
}

static BAKE_PRINTF(4, 0) void calm_vreport(struct bake_ctx *ctx, int severity, const char *subject,
                                           const char *fmt, va_list ap)
{
    behind(ctx)->host->vreport(behind(ctx), severity, subject, fmt, ap);
}

static BAKE_PRINTF(3, 0) int calm_vfail(struct bake_ctx *ctx, int rc, const char *fmt, va_list ap)
{
    if (rc != BAKE_E_NOTFOUND) /* what is gone need not be removed */
        behind(ctx)->host->vlog(behind(ctx), BAKE_LOG_WARN, fmt, ap);
    return rc;
}

static int calm_sleep_ms(struct bake_ctx *ctx, uint32_t ms)
{
    (void)ctx;
    (void)poll(NULL, 0, (int)ms);
    return BAKE_OK;
}

static const struct bake_host calm_host = {
    .struct_size = offsetof(struct bake_host, oblige),
    .abi_major = BAKE_ABI_MAJOR,
    .abi_minor = 0, /* nothing is promised here */
    .vlog = calm_vlog,
    .cancelled = calm_cancelled,
    .cancel_fd = calm_cancel_fd,
    .vreport = calm_vreport,
    .vfail = calm_vfail,
    .sleep_ms = calm_sleep_ms,
};

void dk_calm(struct dk_calm *c, struct bake_ctx *to)
{
    c->ctx.host = &calm_host;
    c->to = to;
}
