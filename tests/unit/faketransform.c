/* The test's transform. */
#include "faketransform.h"

#include "bytewise.h"

#include <stdlib.h>

struct ft {
    struct bake_ctx *ctx;
    const struct ft_cfg *cfg;
    int dir;
    uint64_t taken, calls;
    unsigned char sum, held[2]; /* held: what did not fit into the last output */
    size_t n_held;
    char tag; /* reverse: 'd' or 'e' was read, its byte comes next */
    bool trailer_out, ended;
    unsigned late;
};

static int open_fake(struct bake_ctx *ctx, const void *cfg, int dir, uint32_t flags,
                     void **ret_self)
{
    const struct ft_cfg *c = cfg;
    struct ft *t;

    (void)flags;
    if (c->open_rc)
        return bake_fail(ctx, c->open_rc, "does not open");
    t = calloc(1, sizeof(*t));
    if (!t)
        return bake_fail(ctx, BAKE_E_NOMEM, "out of memory");
    t->ctx = ctx;
    t->cfg = c;
    t->dir = dir;
    if (c->open)
        atomic_fetch_add(c->open, 1);
    *ret_self = t;
    return BAKE_OK;
}

BYTEWISE static bool put_out(struct ft *t, struct bake_out *out, size_t limit)
{
    while (t->n_held > 0 && out->pos < limit) {
        ((unsigned char *)out->data)[out->pos++] = t->held[0];
        t->held[0] = t->held[1];
        t->n_held--;
    }
    return t->n_held == 0;
}

BYTEWISE static void hold(struct ft *t, unsigned char a, unsigned char b)
{
    t->held[0] = a;
    t->held[1] = b;
    t->n_held = 2;
}

BYTEWISE static int take_reverse(struct ft *t, unsigned char b)
{
    if (t->ended)
        return bake_fail(t->ctx, BAKE_E_CORRUPT, "bytes after the end");
    if (!t->tag) {
        if (b != 'd' && b != 'e')
            return bake_fail(t->ctx, BAKE_E_CORRUPT, "tag %u is not known", b);
        t->tag = (char)b;
        return BAKE_OK;
    }
    if (t->tag == 'e') {
        if (b != t->sum)
            return bake_fail(t->ctx, BAKE_E_CORRUPT, "the check byte is wrong");
        t->ended = true;
    } else {
        t->held[0] = b ^ t->cfg->key;
        t->sum = (unsigned char)(t->sum + t->held[0]);
        t->n_held = 1;
    }
    t->tag = 0;
    return BAKE_OK;
}

BYTEWISE static int take(struct ft *t, unsigned char b)
{
    t->taken++;
    if (t->dir == BAKE_REVERSE)
        return take_reverse(t, b);
    t->sum = (unsigned char)(t->sum + b);
    hold(t, 'd', b ^ t->cfg->key);
    return BAKE_OK;
}

static int finish(struct ft *t, struct bake_out *out, size_t limit)
{
    if (t->dir == BAKE_FORWARD && !t->trailer_out) {
        t->trailer_out = true;
        hold(t, 'e', t->sum);
    }
    if (!put_out(t, out, limit))
        return BAKE_OK;
    if (t->dir == BAKE_REVERSE && !t->ended)
        return bake_fail(t->ctx, BAKE_E_CORRUPT, "the stream is cut");
    if (t->late < t->cfg->late) {
        t->late++;
        return BAKE_OK;
    }
    return BAKE_END;
}

/* OK: all of it was taken, or there is no room. */
BYTEWISE static int take_all(struct ft *t, struct bake_in *in, struct bake_out *out, size_t limit)
{
    while (put_out(t, out, limit) && in->pos < in->size) {
        int rc;

        if (t->taken >= t->cfg->fail_at)
            return t->cfg->silent ? t->cfg->fail_rc
                                  : bake_fail(t->ctx, t->cfg->fail_rc, "fails as it was told to");
        if (t->taken >= t->cfg->stuck_at)
            return BAKE_OK;
        if (t->taken >= t->cfg->end_at)
            return BAKE_END;
        rc = take(t, ((const unsigned char *)in->data)[in->pos]);
        if (rc < 0)
            return rc;
        in->pos++;
    }
    return BAKE_OK;
}

static int process(void *self, struct bake_in *in, struct bake_out *out, int op)
{
    struct ft *t = self;
    size_t limit = out->size;
    int rc;

    t->calls++; /* one at a time: this one ThreadSanitizer sees */
    if (t->cfg->step && out->size - out->pos > t->cfg->step)
        limit = out->pos + t->cfg->step;
    rc = take_all(t, in, out, limit);
    if (rc != BAKE_OK)
        return rc;
    if (op == BAKE_CONTINUE || in->pos < in->size || t->n_held > 0)
        return BAKE_OK;
    if (t->cfg->stuck_at == 0)
        return BAKE_OK;
    return finish(t, out, limit);
}

/* Asks its context, as a plugin may: it must still be there. */
static void close_fake(void *self)
{
    struct ft *t = self;

    (void)t->ctx->host->cancelled(t->ctx);
    if (t->cfg->open)
        atomic_fetch_sub(t->cfg->open, 1);
    free(t);
}

static uint64_t memory(const void *cfg, int dir, uint32_t flags)
{
    (void)cfg;
    return 1000 + (uint64_t)dir * 100 + flags;
}

const struct bk_plugin *ft_plugin(void)
{
    static const struct bk_plugin plugin = {
        .desc = {.name = "fake", .version = "1", .config_size = sizeof(struct ft_cfg)},
        .transform = {.struct_size = sizeof(struct bake_transform_ops),
                      .suffix = ".fk",
                      .memory = memory,
                      .open = open_fake,
                      .process = process,
                      .close = close_fake},
        .kind = BK_TRANSFORM,
    };

    return &plugin;
}
