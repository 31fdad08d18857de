/* The host table: what a plugin may ask of the engine, and what becomes of what it says. */
#include "plugin/ctx.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/str.h"
#include <errno.h>
#include <string.h>
#include <time.h>

#define TEXT_CAP 2000 /* longer texts of a plugin are cut */

static struct bk_ctx *ctx_of(struct bake_ctx *c) { return (struct bk_ctx *)(void *)c; }

/* Formats, masks secrets and makes it printable: one line. Plugins pass on names of files and
 * what servers say, so anything may be in there. */
static void clean_text(char *out, size_t cap, const char *text)
{
    char *masked BK_FREE = bk_mask(text);
    /* Without memory for the mask nothing of it may be shown. */
    const char *s = masked ? masked : "(out of memory)";
    size_t n = strlen(s);
    while (n > 0 && (s[n - 1] == '\n' || s[n - 1] == ' '))
        n--;
    bk_printable(out, cap, s, n);
}

static BAKE_PRINTF(3, 0) void clean_vformat(char *out, size_t cap, const char *fmt, va_list ap)
{
    struct bk_buf b = BK_BUF_INIT;
    if (bk_buf_vprintf(&b, fmt, ap) < 0)
        (void)snprintf(out, cap, "(out of memory)");
    else
        clean_text(out, cap, b.data ? b.data : "");
    bk_buf_wipe(&b); /* there may have been a secret in it */
}

#define HINT "\nHINT: "

/* As clean_vformat(); what to do about it stays a line of its own, if the plugin has meant one. */
static BAKE_PRINTF(3, 0) void clean_vreport(char *out, size_t cap, const char *fmt, va_list ap)
{
    struct bk_buf b = BK_BUF_INIT;
    char *hint = NULL;
    if (bk_buf_vprintf(&b, fmt, ap) < 0) {
        (void)snprintf(out, cap, "(out of memory)");
        return;
    }
    for (char *p = b.data; strstr(fmt, HINT) && p && (p = strstr(p, HINT)); p++)
        hint = p;
    if (hint)
        *hint = '\0';
    clean_text(out, cap, b.data ? b.data : "");
    size_t n = strlen(out);
    if (hint && cap - n > sizeof(HINT)) {
        memcpy(out + n, HINT, sizeof(HINT));
        n += sizeof(HINT) - 1;
        clean_text(out + n, cap - n, hint + sizeof(HINT) - 1);
    }
    bk_buf_wipe(&b);
}

static BAKE_PRINTF(3, 0) void host_vlog(struct bake_ctx *c, int level, const char *fmt, va_list ap)
{
    char text[TEXT_CAP];
    clean_vformat(text, sizeof(text), fmt, ap);
    if (level < BAKE_LOG_ERROR || level > BAKE_LOG_DEBUG)
        level = BAKE_LOG_DEBUG; /* a level of a newer minor is of less weight */
    bk_log(level, "%s: %s", ctx_of(c)->label, text);
}

static int host_cancelled(struct bake_ctx *c)
{
    const struct bk_ctx *ctx = ctx_of(c);
    return ctx->cancel && bk_cancelled(ctx->cancel);
}

static int host_cancel_fd(struct bake_ctx *c)
{
    const struct bk_ctx *ctx = ctx_of(c);
    return ctx->cancel ? bk_cancel_fd(ctx->cancel) : -1; /* poll() ignores -1 */
}

static void log_report(const struct bk_ctx *ctx, int severity, const char *subject,
                       const char *text)
{
    int level = severity == BAKE_NOTICE ? BAKE_LOG_INFO : BAKE_LOG_WARN;
    if (*subject)
        bk_log(level, "%s: '%s': %s", ctx->label, subject, text);
    else
        bk_log(level, "%s: %s", ctx->label, text);
}

static BAKE_PRINTF(4, 0) void host_vreport(struct bake_ctx *c, int severity, const char *subject,
                                           const char *fmt, va_list ap)
{
    struct bk_ctx *ctx = ctx_of(c);
    char text[TEXT_CAP], about[TEXT_CAP] = "";
    clean_vreport(text, sizeof(text), fmt, ap);
    if (subject)
        clean_text(about, sizeof(about), subject);
    /* What we do not know may be worse than what we do. */
    if (severity < BAKE_NOTICE || severity > BAKE_PARTIAL)
        severity = BAKE_PARTIAL;
    if (ctx->report)
        ctx->report(ctx->report_arg, severity, about, text);
    else
        log_report(ctx, severity, about, text);
}

static BAKE_PRINTF(3, 0) int host_vfail(struct bake_ctx *c, int rc, const char *fmt, va_list ap)
{
    return bk_vfail(&ctx_of(c)->err, rc, fmt, ap);
}

static int plain_sleep(uint32_t ms)
{
    struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    while (nanosleep(&left, &left) < 0 && errno == EINTR)
        continue;
    return BAKE_OK;
}

static int host_sleep_ms(struct bake_ctx *c, uint32_t ms)
{
    const struct bk_ctx *ctx = ctx_of(c);
    return ctx->cancel ? bk_cancel_sleep(ctx->cancel, ms) : plain_sleep(ms);
}

static int host_oblige(struct bake_ctx *c, const char *what, uint64_t *id)
{
    struct bk_ctx *ctx = ctx_of(c);
    if (!ctx->duty)
        return bk_fail(&ctx->err, BAKE_E_UNSUPPORTED,
                       "nothing can be held here, as nobody would put it back");
    return ctx->duty->oblige(ctx->duty->arg, what, id, &ctx->err);
}

static int host_redeemed(struct bake_ctx *c, uint64_t id)
{
    struct bk_ctx *ctx = ctx_of(c);
    if (!ctx->duty)
        return bk_fail(&ctx->err, BAKE_E_UNSUPPORTED, "no obligation %llu is known here",
                       (unsigned long long)id);
    return ctx->duty->redeemed(ctx->duty->arg, id, &ctx->err);
}

static int no_logs(struct bk_ctx *ctx)
{
    return bk_fail(&ctx->err, BAKE_E_UNSUPPORTED, "there is no log archive here");
}

static int host_log_put(struct bake_ctx *c, const char *stream, const char *name, const char *path)
{
    struct bk_ctx *ctx = ctx_of(c);
    if (!ctx->logs)
        return no_logs(ctx);
    return ctx->logs->put(ctx->logs->arg, stream, name, path, &ctx->err);
}

static int host_log_get(struct bake_ctx *c, const char *stream, const char *name, const char *path)
{
    struct bk_ctx *ctx = ctx_of(c);
    if (!ctx->logs)
        return no_logs(ctx);
    return ctx->logs->get(ctx->logs->arg, stream, name, path, &ctx->err);
}

static int host_log_list(struct bake_ctx *c, const char *stream,
                         int (*each)(void *arg, const char *name, uint64_t size), void *arg)
{
    struct bk_ctx *ctx = ctx_of(c);
    if (!ctx->logs)
        return no_logs(ctx);
    return ctx->logs->list(ctx->logs->arg, stream, each, arg, &ctx->err);
}

static const struct bake_host host = {
    .struct_size = sizeof(struct bake_host),
    .abi_major = BAKE_ABI_MAJOR,
    .abi_minor = BAKE_ABI_MINOR,
    .vlog = host_vlog,
    .cancelled = host_cancelled,
    .cancel_fd = host_cancel_fd,
    .vreport = host_vreport,
    .vfail = host_vfail,
    .sleep_ms = host_sleep_ms,
    .oblige = host_oblige,
    .redeemed = host_redeemed,
    .log_put = host_log_put,
    .log_get = host_log_get,
    .log_list = host_log_list,
};

void bk_ctx_init(struct bk_ctx *ctx, struct bk_cancel *cancel, const char *label_fmt, ...)
{
    memset(ctx, 0, sizeof(*ctx));
    ctx->base.host = &host;
    ctx->cancel = cancel;
    va_list ap;
    va_start(ap, label_fmt);
    (void)vsnprintf(ctx->label, sizeof(ctx->label), label_fmt, ap);
    va_end(ap);
}

static bool is_result(int rc) { return rc < 0 && rc >= BAKE_E_KEY; }

int bk_ctx_fail(struct bk_ctx *ctx, int rc, struct bk_err *err)
{
    char text[sizeof(ctx->err.text)], hint[sizeof(ctx->err.hint)];
    bool given = ctx->err.rc == rc && ctx->err.text[0];
    clean_text(text, sizeof(text), ctx->err.text);
    clean_text(hint, sizeof(hint), ctx->err.hint);
    bk_err_clear(&ctx->err);

    if (!is_result(rc))
        return bk_fail(err, BAKE_E_INTERNAL,
                       "%s: returned %d, which is not a result here; this is a bug of the plugin",
                       ctx->label, rc);
    if (rc == BAKE_E_CANCELLED)
        return bk_fail(err, rc, "%s: cancelled", ctx->label);
    if (!given)
        return bk_fail(err, rc,
                       "%s: %s, and the plugin does not say more, which is a bug of the plugin",
                       ctx->label, bk_rc_text(rc));
    (void)bk_fail(err, rc, "%s: %s", ctx->label, text);
    if (hint[0])
        bk_hint(err, "%s", hint);
    return rc;
}

const char *bk_rc_text(int rc)
{
    switch (rc) {
    case BAKE_OK:
        return "done";
    case BAKE_END:
        return "at the end";
    case BAKE_E_CANCELLED:
        return "cancelled";
    case BAKE_E_CONFIG:
        return "invalid configuration";
    case BAKE_E_AUTH:
        return "not authorised";
    case BAKE_E_NOTFOUND:
        return "not found";
    case BAKE_E_EXISTS:
        return "exists already";
    case BAKE_E_UNAVAILABLE:
        return "not available now";
    case BAKE_E_TIMEOUT:
        return "timed out";
    case BAKE_E_NOSPACE:
        return "no space left";
    case BAKE_E_IO:
        return "input or output error";
    case BAKE_E_CORRUPT:
        return "data are corrupt";
    case BAKE_E_CHILD:
        return "a helper program failed";
    case BAKE_E_NOMEM:
        return "out of memory";
    case BAKE_E_UNSUPPORTED:
        return "not supported";
    case BAKE_E_INTERNAL:
        return "internal error";
    case BAKE_E_KEY:
        return "no key opens it";
    default:
        return "unknown result";
    }
}
