/* Sink calls with retries. */
#include "store/sink.h"

#include "base/cleanup.h"
#include "base/str.h"

#include <stdio.h>
#include <string.h>

#define ATTEMPTS      5
#define FIRST_WAIT_MS 500u

static void interrupt(void *arg)
{
    struct bk_sink *s = arg;

    s->ops->interrupt(s->self);
}

int bk_sink_open(const struct bk_part *part, struct bk_cancel *cancel, struct bk_sink *ret,
                 struct bk_err *err)
{
    int rc;

    memset(ret, 0, sizeof(*ret));
    ret->part = part;
    ret->ops = &part->plugin->sink;
    ret->cancel = cancel;
    (void)snprintf(ret->label, sizeof(ret->label), "sink '%s'", part->name);
    bk_ctx_init(&ret->ctx, cancel, "%s", ret->label);
    rc = ret->ops->open(&ret->ctx.base, part->cfg, &ret->self);
    if (rc < 0) {
        ret->self = NULL;
        return bk_ctx_fail(&ret->ctx, rc, err);
    }
    ret->sub.wake = interrupt;
    ret->sub.arg = ret;
    if (ret->ops->interrupt)
        bk_cancel_subscribe(cancel, &ret->sub);
    return BAKE_OK;
}

void bk_sink_close(struct bk_sink *s)
{
    if (s->self && s->ops->interrupt)
        bk_cancel_unsubscribe(s->cancel, &s->sub);
    if (s->self)
        s->ops->close(s->self);
    s->self = NULL;
}

int bk_sink_progress(struct bk_ctx *ctx, size_t got, int rc, int *idle)
{
    *idle = got == 0 && rc == BAKE_OK ? *idle + 1 : 0;
    if (*idle < 2)
        return rc;
    return bake_fail(&ctx->base, BAKE_E_INTERNAL, "reading makes no progress: a bug in the plugin");
}

void bk_sink_ctx(const struct bk_sink *s, struct bk_cancel *cancel, struct bk_ctx *ret)
{
    bk_ctx_init(ret, cancel ? cancel : s->cancel, "%s", s->label);
}

static int put_once(struct bk_sink *s, struct bk_ctx *ctx, const char *name, const void *data,
                    size_t n, uint32_t flags)
{
    struct bake_in in = {data, n, 0};
    void *put;
    int rc = s->ops->put_begin(s->self, &ctx->base, name, n, flags, &put);

    if (rc < 0)
        return rc;
    rc = n > 0 ? s->ops->put_write(put, &in) : BAKE_OK;
    if (rc >= 0 && in.pos != n)
        rc = bake_fail(&ctx->base, BAKE_E_INTERNAL, "took only a part of '%s': a bug in the plugin",
                       name);
    if (rc < 0) {
        s->ops->put_abort(put);
        return rc;
    }
    return s->ops->put_end(put);
}

/* After a failure: is it worth another try? Sleeps before saying yes. */
static bool again(const struct bk_sink *s, int rc, int attempt)
{
    if (rc != BAKE_E_UNAVAILABLE && rc != BAKE_E_TIMEOUT)
        return false;
    return attempt + 1 < ATTEMPTS && bk_cancel_sleep(s->cancel, FIRST_WAIT_MS << attempt) == 0;
}

/* The last word of a call. One that a cancel kept from trying again was cancelled: the sink is not
 * to blame. */
static int end_call(const struct bk_sink *s, struct bk_ctx *ctx, int rc, struct bk_err *err)
{
    if ((rc == BAKE_E_UNAVAILABLE || rc == BAKE_E_TIMEOUT) && bk_cancelled(s->cancel))
        rc = BAKE_E_CANCELLED;
    return bk_ctx_fail(ctx, rc, err);
}

/* Put-if-absent said EXISTS: ours from an attempt whose answer was lost, or another's? */
static bool same_bytes(struct bk_sink *s, const char *name, const void *data, size_t n)
{
    struct bk_buf there BK_CLEANUP(bk_buf_free) = BK_BUF_INIT;

    return bk_sink_get(s, name, n, &there, NULL) == BAKE_OK && there.len == n &&
           (n == 0 || memcmp(there.data, data, n) == 0);
}

int bk_sink_put(struct bk_sink *s, const char *name, const void *data, size_t n, uint32_t flags,
                struct bk_err *err)
{
    for (int attempt = 0;; attempt++) {
        struct bk_ctx ctx;
        int rc;

        bk_sink_ctx(s, NULL, &ctx);
        rc = put_once(s, &ctx, name, data, n, flags);
        if (rc >= 0 || (rc == BAKE_E_EXISTS && same_bytes(s, name, data, n)))
            return BAKE_OK;
        if (!again(s, rc, attempt))
            return end_call(s, &ctx, rc, err);
    }
}

static int get_once(struct bk_sink *s, struct bk_ctx *ctx, const char *name, size_t limit,
                    struct bk_buf *b)
{
    void *get;
    size_t before = b->len;
    int rc = s->ops->get_begin(s->self, &ctx->base, name, 0, 0, &get), idle = 0;

    if (rc < 0)
        return rc;
    for (;;) {
        struct bake_out out = {0};

        rc = bk_buf_reserve(b, 64u << 10);
        if (rc < 0)
            break;
        out.data = b->data + b->len;
        out.size = b->cap - b->len - 1;
        rc = s->ops->get_read(get, &out);
        rc = bk_sink_progress(ctx, out.pos, rc, &idle);
        if (rc < 0)
            break;
        b->len += out.pos;
        b->data[b->len] = '\0';
        if (b->len - before > limit) {
            rc = bake_fail(&ctx->base, BAKE_E_CORRUPT, "'%s' is larger than the %zu bytes allowed",
                           name, limit);
            break;
        }
        if (rc == BAKE_END)
            break;
    }
    s->ops->get_close(get);
    return rc < 0 ? rc : BAKE_OK;
}

int bk_sink_get(struct bk_sink *s, const char *name, size_t limit, struct bk_buf *b,
                struct bk_err *err)
{
    size_t before = b->len;

    for (int attempt = 0;; attempt++) {
        struct bk_ctx ctx;
        int rc;

        b->len = before;
        bk_sink_ctx(s, NULL, &ctx);
        rc = get_once(s, &ctx, name, limit, b);
        if (rc >= 0)
            return BAKE_OK;
        if (!again(s, rc, attempt))
            return end_call(s, &ctx, rc, err);
    }
}

int bk_sink_stat(struct bk_sink *s, const char *name, uint64_t *ret_size, int64_t *ret_mtime_ns,
                 struct bk_err *err)
{
    for (int attempt = 0;; attempt++) {
        struct bk_ctx ctx;
        int rc;

        bk_sink_ctx(s, NULL, &ctx);
        rc = s->ops->stat(s->self, &ctx.base, name, ret_size, ret_mtime_ns);
        if (rc >= 0)
            return BAKE_OK;
        if (!again(s, rc, attempt))
            return end_call(s, &ctx, rc, err);
    }
}

int bk_sink_list(struct bk_sink *s, const char *prefix,
                 int (*each)(void *arg, const char *name, uint64_t size, int64_t mtime_ns),
                 void *arg, struct bk_err *err)
{
    struct bk_ctx ctx;
    int rc;

    bk_sink_ctx(s, NULL, &ctx);
    rc = s->ops->list(s->self, &ctx.base, prefix, each, arg);
    return rc < 0 ? bk_ctx_fail(&ctx, rc, err) : rc;
}

int bk_sink_remove(struct bk_sink *s, const char *name, struct bk_err *err)
{
    for (int attempt = 0;; attempt++) {
        struct bk_ctx ctx;
        int rc;

        bk_sink_ctx(s, NULL, &ctx);
        rc = s->ops->remove(s->self, &ctx.base, name);
        /* Not there the second time: the answer of the first was lost. */
        if (rc >= 0 || (rc == BAKE_E_NOTFOUND && attempt > 0))
            return BAKE_OK;
        if (!again(s, rc, attempt))
            return end_call(s, &ctx, rc, err);
    }
}
