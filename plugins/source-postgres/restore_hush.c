/* A context that keeps failures to itself and hands on everything else. */
#include "restore.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

static struct pg_hush *hush_of(struct bake_ctx *ctx) { return (struct pg_hush *)(void *)ctx; }

static BAKE_PRINTF(3, 0) void hush_vlog(struct bake_ctx *ctx, int level, const char *fmt,
                                        va_list ap)
{
    struct bake_ctx *to = hush_of(ctx)->to;
    to->host->vlog(to, level, fmt, ap);
}

static int hush_cancelled(struct bake_ctx *ctx)
{
    struct bake_ctx *to = hush_of(ctx)->to;
    return hush_of(ctx)->calm ? 0 : to->host->cancelled(to);
}

static int hush_cancel_fd(struct bake_ctx *ctx)
{
    struct bake_ctx *to = hush_of(ctx)->to;
    return hush_of(ctx)->calm ? -1 : to->host->cancel_fd(to);
}

static BAKE_PRINTF(4, 0) void hush_vreport(struct bake_ctx *ctx, int severity, const char *subject,
                                           const char *fmt, va_list ap)
{
    struct bake_ctx *to = hush_of(ctx)->to;
    to->host->vreport(to, severity, subject, fmt, ap);
}

static BAKE_PRINTF(3, 0) int hush_vfail(struct bake_ctx *ctx, int rc, const char *fmt, va_list ap)
{
    struct pg_hush *h = hush_of(ctx);
    h->rc = rc;
    (void)vsnprintf(h->text, sizeof(h->text), fmt, ap);
    return rc;
}

static int hush_sleep_ms(struct bake_ctx *ctx, uint32_t ms)
{
    struct bake_ctx *to = hush_of(ctx)->to;
    if (!hush_of(ctx)->calm)
        return to->host->sleep_ms(to, ms);
    (void)poll(NULL, 0, (int)ms);
    return BAKE_OK;
}

static int hush_oblige(struct bake_ctx *ctx, const char *what, uint64_t *id)
{
    struct bake_ctx *to = hush_of(ctx)->to;
    return to->host->abi_minor >= 1
               ? to->host->oblige(to, what, id)
               : bake_fail(ctx, BAKE_E_UNSUPPORTED, "this engine keeps no obligations");
}

static int hush_redeemed(struct bake_ctx *ctx, uint64_t id)
{
    struct bake_ctx *to = hush_of(ctx)->to;
    return to->host->abi_minor >= 1 ? to->host->redeemed(to, id) : BAKE_OK;
}

static const struct bake_host hush_host = {
    .struct_size = sizeof(hush_host),
    .abi_major = BAKE_ABI_MAJOR,
    .abi_minor = BAKE_ABI_MINOR,
    .vlog = hush_vlog,
    .cancelled = hush_cancelled,
    .cancel_fd = hush_cancel_fd,
    .vreport = hush_vreport,
    .vfail = hush_vfail,
    .sleep_ms = hush_sleep_ms,
    .oblige = hush_oblige,
    .redeemed = hush_redeemed,
};

void pg_hush(struct pg_hush *h, struct bake_ctx *to)
{
    memset(h, 0, sizeof(*h));
    h->ctx.host = &hush_host;
    h->to = to;
}

void pg_calm(struct pg_hush *h, struct bake_ctx *to)
{
    pg_hush(h, to);
    h->calm = true;
}
