/* Pushes bytes through transforms; each link has one output buffer. */
#include "flow/chain.h"

#include <stdlib.h>

#define LINK_BUFFER (128u << 10)

struct link {
    const struct bake_transform_ops *ops;
    const void *cfg;
    int dir;
    uint32_t flags;
    void *self;
    struct bk_ctx ctx;
    struct bk_cancel_sub sub; /* a cancel interrupts what blocks in the plugin */
    char *buffer;
};

struct bk_chain {
    struct link *links;
    size_t n; /* links that are open */
    int (*emit)(void *arg, const void *data, size_t n, struct bk_err *err);
    void *arg;
};

static void interrupt(void *arg)
{
    struct link *l = arg;

    l->ops->interrupt(l->self);
}

static int open_link(struct bk_chain *c, const struct bk_transform *t, int dir, uint32_t flags,
                     struct bk_cancel *cancel, struct bk_err *err)
{
    struct link *l = &c->links[c->n];
    int rc;

    l->ops = &t->plugin->transform;
    l->cfg = t->cfg;
    l->dir = dir;
    l->flags = flags;
    bk_ctx_init(&l->ctx, cancel, "transform '%s'", t->plugin->desc.name);
    l->buffer = malloc(LINK_BUFFER);
    if (!l->buffer)
        return bk_nomem(err);
    rc = l->ops->open(&l->ctx.base, t->cfg, dir, flags, &l->self);
    if (rc < 0) {
        free(l->buffer);
        return bk_ctx_fail(&l->ctx, rc, err);
    }
    l->sub.wake = interrupt;
    l->sub.arg = l;
    if (l->ops->interrupt)
        bk_cancel_subscribe(cancel, &l->sub);
    c->n++;
    return BAKE_OK;
}

int bk_chain_new(const struct bk_transform *transforms, size_t n, int dir, uint32_t flags,
                 struct bk_cancel *cancel,
                 int (*emit)(void *arg, const void *data, size_t n, struct bk_err *err), void *arg,
                 struct bk_chain **ret, struct bk_err *err)
{
    struct bk_chain *c = calloc(1, sizeof(*c));

    if (!c || !(c->links = calloc(n + 1, sizeof(*c->links)))) {
        free(c);
        return bk_nomem(err);
    }
    c->emit = emit;
    c->arg = arg;
    for (size_t i = 0; i < n; i++) {
        const struct bk_transform *t = &transforms[dir == BAKE_FORWARD ? i : n - 1 - i];
        int rc = open_link(c, t, dir, flags, cancel, err);

        if (rc < 0) {
            bk_chain_free(c);
            return rc;
        }
    }
    *ret = c;
    return BAKE_OK;
}

static int reset_link(struct link *l, struct bk_err *err)
{
    void *fresh;
    int rc;

    if (l->ops->reset) {
        rc = l->ops->reset(l->self);
        return rc < 0 ? bk_ctx_fail(&l->ctx, rc, err) : BAKE_OK;
    }
    rc = l->ops->open(&l->ctx.base, l->cfg, l->dir, l->flags, &fresh);
    if (rc < 0)
        return bk_ctx_fail(&l->ctx, rc, err);
    if (l->ops->interrupt)
        bk_cancel_unsubscribe(l->ctx.cancel, &l->sub);
    l->ops->close(l->self);
    l->self = fresh;
    if (l->ops->interrupt)
        bk_cancel_subscribe(l->ctx.cancel, &l->sub);
    return BAKE_OK;
}

int bk_chain_reset(struct bk_chain *c, struct bk_err *err)
{
    int rc = BAKE_OK;

    for (size_t i = 0; i < c->n && rc >= 0; i++)
        rc = reset_link(&c->links[i], err);
    return rc;
}

void bk_chain_free(struct bk_chain *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->n; i++) {
        struct link *l = &c->links[i];

        if (l->ops->interrupt)
            bk_cancel_unsubscribe(l->ctx.cancel, &l->sub);
        l->ops->close(l->self);
        free(l->buffer);
    }
    free(c->links);
    free(c);
}

/* One call of process() and the handing on of what came out of it. Recursion is as deep as the
 * chain is long. */
static int run_link(struct bk_chain *c, size_t i, const void *data, size_t n, int op,
                    struct bk_err *err)
{
    struct bake_in in = {data, n, 0};
    struct link *l;
    int idle = 0;

    if (i == c->n)
        return n > 0 ? c->emit(c->arg, data, n, err) : BAKE_OK;
    l = &c->links[i];
    while (in.pos < in.size || op != BAKE_CONTINUE) {
        struct bake_out out = {l->buffer, LINK_BUFFER, 0};
        size_t before = in.pos;
        int rc = l->ops->process(l->self, &in, &out, op);
        int next;

        /* What came out before a failure is handed on: a restore wants all that can be had. */
        if (rc < 0 && out.pos > 0 &&
            (next = run_link(c, i + 1, l->buffer, out.pos, BAKE_CONTINUE, err)) < 0)
            return next;
        if (rc < 0)
            return bk_ctx_fail(&l->ctx, rc, err);
        idle = in.pos == before && out.pos == 0 && rc != BAKE_END ? idle + 1 : 0;
        if (idle == 2)
            return bk_fail(err, BAKE_E_INTERNAL, "%s makes no progress: a bug in the plugin",
                           l->ctx.label);
        next = run_link(c, i + 1, l->buffer, out.pos, BAKE_CONTINUE, err);
        if (next < 0)
            return next;
        if (rc == BAKE_END && in.pos < in.size)
            return bk_fail(err, BAKE_E_INTERNAL,
                           "%s ended before its input did: a bug in the plugin", l->ctx.label);
        if (rc == BAKE_END)
            break;
    }
    return op == BAKE_CONTINUE ? BAKE_OK : run_link(c, i + 1, NULL, 0, op, err);
}

int bk_chain_push(struct bk_chain *c, const void *data, size_t n, struct bk_err *err)
{
    return run_link(c, 0, data, n, BAKE_CONTINUE, err);
}

int bk_chain_finish(struct bk_chain *c, struct bk_err *err)
{
    return run_link(c, 0, NULL, 0, BAKE_FINISH, err);
}

uint64_t bk_chain_memory(const struct bk_transform *transforms, size_t n, int dir, uint32_t flags)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < n; i++) {
        const struct bake_transform_ops *ops = &transforms[i].plugin->transform;

        sum += LINK_BUFFER + (ops->memory ? ops->memory(transforms[i].cfg, dir, flags) : 0);
    }
    return sum;
}
