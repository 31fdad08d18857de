/* A host for plugins without an engine. */
#include "host.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static BAKE_PRINTF(3, 0) void host_vlog(struct bake_ctx *ctx, int level, const char *fmt,
                                        va_list ap)
{
    char line[2048];

    (void)ctx;
    (void)vsnprintf(line, sizeof(line), fmt, ap);
    if (level <= BAKE_LOG_WARN)
        (void)fprintf(stderr, "# log: %s\n", line);
}

static int host_cancelled(struct bake_ctx *ctx)
{
    return atomic_load(&((struct cf_ctx *)ctx)->cancelled);
}

static int host_cancel_fd(struct bake_ctx *ctx) { return ((struct cf_ctx *)ctx)->event; }

static BAKE_PRINTF(4, 0) void host_vreport(struct bake_ctx *ctx, int severity, const char *subject,
                                           const char *fmt, va_list ap)
{
    struct cf_ctx *c = (struct cf_ctx *)ctx;
    char line[2048];

    (void)vsnprintf(line, sizeof(line), fmt, ap);
    (void)fprintf(stderr, "# report %d: '%s': %s\n", severity, subject ? subject : "", line);
    if (severity >= BAKE_NOTICE && severity <= BAKE_PARTIAL)
        c->reports[severity]++;
}

static BAKE_PRINTF(3, 0) int host_vfail(struct bake_ctx *ctx, int rc, const char *fmt, va_list ap)
{
    struct cf_ctx *c = (struct cf_ctx *)ctx;

    (void)vsnprintf(c->text, sizeof(c->text), fmt, ap);
    c->rc = rc;
    c->fails++;
    return rc;
}

static int host_sleep_ms(struct bake_ctx *ctx, uint32_t ms)
{
    struct pollfd p = {.fd = host_cancel_fd(ctx), .events = POLLIN};

    return poll(&p, 1, (int)ms) > 0 ? BAKE_E_CANCELLED : BAKE_OK;
}

static const struct bake_host host = {
    .struct_size = sizeof(host),
    .abi_major = BAKE_ABI_MAJOR,
    .abi_minor = BAKE_ABI_MINOR,
    .vlog = host_vlog,
    .cancelled = host_cancelled,
    .cancel_fd = host_cancel_fd,
    .vreport = host_vreport,
    .vfail = host_vfail,
    .sleep_ms = host_sleep_ms,
};

void cf_ctx_init(struct cf_ctx *c)
{
    memset(c, 0, sizeof(*c));
    c->base.host = &host;
    c->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

void cf_ctx_free(struct cf_ctx *c)
{
    if (c->event >= 0)
        (void)close(c->event);
    c->event = -1;
}

void cf_ctx_cancel(struct cf_ctx *c)
{
    const uint64_t one = 1;

    atomic_store(&c->cancelled, 1);
    if (write(c->event, &one, sizeof(one)) < 0)
        perror("# eventfd");
}
