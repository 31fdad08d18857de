/* A context that is never cancelled and hands on everything else: for what, once begun, must come
 * to its end. */
#include "restore.h"

#include <poll.h>
#include <stdio.h>

static struct bake_ctx *behind(struct bake_ctx *ctx) { return ((struct my_calm *)(void *)ctx)->to; }

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
    return behind(ctx)->host->vfail(behind(ctx), rc, fmt, ap);
}

static int calm_sleep_ms(struct bake_ctx *ctx, uint32_t ms)
{
    (void)ctx;
    (void)poll(NULL, 0, (int)ms);
    return BAKE_OK;
}

static int calm_oblige(struct bake_ctx *ctx, const char *what, uint64_t *id)
{
    return behind(ctx)->host->oblige(behind(ctx), what, id);
}

static int calm_redeemed(struct bake_ctx *ctx, uint64_t id)
{
    return behind(ctx)->host->redeemed(behind(ctx), id);
}

static const struct bake_host calm_host = {
    .struct_size = offsetof(struct bake_host, log_put),
    .abi_major = BAKE_ABI_MAJOR,
    .abi_minor = 1,
    .vlog = calm_vlog,
    .cancelled = calm_cancelled,
    .cancel_fd = calm_cancel_fd,
    .vreport = calm_vreport,
    .vfail = calm_vfail,
    .sleep_ms = calm_sleep_ms,
    .oblige = calm_oblige,
    .redeemed = calm_redeemed,
};

void my_calm(struct my_calm *c, struct bake_ctx *to)
{
    c->ctx.host = &calm_host;
    c->to = to;
}

/* ---- the same, with failures kept apart ------------------------------------------------------ */

static BAKE_PRINTF(3, 0) int hush_vfail(struct bake_ctx *ctx, int rc, const char *fmt, va_list ap)
{
    struct my_hush *h = (struct my_hush *)(void *)ctx;
    if (!h->text[0])
        (void)vsnprintf(h->text, sizeof(h->text), fmt, ap);
    return rc;
}

static const struct bake_host hush_host = {
    .struct_size = offsetof(struct bake_host, log_put),
    .abi_major = BAKE_ABI_MAJOR,
    .abi_minor = 1,
    .vlog = calm_vlog,
    .cancelled = calm_cancelled,
    .cancel_fd = calm_cancel_fd,
    .vreport = calm_vreport,
    .vfail = hush_vfail,
    .sleep_ms = calm_sleep_ms,
    .oblige = calm_oblige,
    .redeemed = calm_redeemed,
};

void my_hush(struct my_hush *h, struct bake_ctx *to)
{
    h->ctx.host = &hush_host;
    h->to = to;
    h->text[0] = '\0';
}
