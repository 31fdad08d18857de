/* conform_transform: running bytes through an instance. */
#include "transform.h"

#include <stdlib.h>
#include <string.h>

#define ROOM (256u << 10)

void bytes_free(struct bytes *b)
{
    free(b->data);
    memset(b, 0, sizeof(*b));
}

static bool reserve(struct bytes *b, size_t more)
{
    unsigned char *data;
    size_t cap = b->cap * 2 > b->n + more ? b->cap * 2 : b->n + more;

    if (b->cap - b->n >= more)
        return true;
    data = realloc(b->data, cap);
    if (!data)
        return false;
    b->data = data;
    b->cap = cap;
    return true;
}

void transform_case(struct transform *t, const char *name, void (*fn)(struct transform *))
{
    unsigned fds = cf_open_fds(), threads = cf_threads();

    cf_begin(t->r, name);
    fn(t);
    cf_check(t->r, cf_open_fds() <= fds, "%u descriptors are left open", cf_open_fds() - fds);
    cf_check(t->r, cf_threads_back_to(threads), "threads are left running");
    cf_end(t->r);
}

int transform_open(struct transform *t, struct cf_ctx *ctx, int dir, void **ret_self)
{
    int rc;

    cf_ctx_init(ctx);
    rc = t->ops->open(&ctx->base, t->subject.config.cfg, dir, t->flags, ret_self);
    cf_want(t->r, ctx, rc, BAKE_OK, "open");
    return rc;
}

struct feeding {
    struct transform *t;
    void *self;
    const struct cutting *cut;
    struct bytes *ret;
    uint64_t state;
};

static size_t piece(struct feeding *f, size_t max, size_t otherwise)
{
    return max ? 1 + (size_t)(cf_random(&f->state) % max) : otherwise;
}

/* One op until it is through with its input (CONTINUE) or says END. */
static int drive(struct feeding *f, const void *data, size_t n, int op)
{
    struct bake_in in = {data, n, 0};
    int idle = 0, rc = BAKE_OK;

    while (in.pos < in.size || op != BAKE_CONTINUE) {
        size_t room = piece(f, f->cut->max_out, ROOM), before = in.pos;
        struct bake_out out = {NULL, room, 0};

        if (!reserve(f->ret, room))
            return BAKE_E_NOMEM;
        out.data = f->ret->data + f->ret->n;
        rc = f->t->ops->process(f->self, &in, &out, op);
        if (rc < 0)
            return rc;
        if (!cf_check(f->t->r, out.pos <= out.size && in.pos <= in.size && in.pos >= before,
                      "a position lies outside of its buffer") ||
            !cf_check(f->t->r, rc == BAKE_OK || rc == BAKE_END, "process() returned %d", rc) ||
            !cf_check(f->t->r, rc != BAKE_END || op != BAKE_CONTINUE, "CONTINUE returned END"))
            return BAKE_E_INTERNAL;
        f->ret->n += out.pos;
        idle = in.pos == before && out.pos == 0 && rc == BAKE_OK ? idle + 1 : 0;
        if (!cf_check(f->t->r, idle < 2, "process() makes no progress (op %d)", op))
            return BAKE_E_INTERNAL;
        if (rc == BAKE_END)
            return cf_check(f->t->r, in.pos == in.size, "END with %zu bytes of input left",
                            in.size - in.pos)
                       ? BAKE_OK
                       : BAKE_E_INTERNAL;
    }
    return BAKE_OK;
}

int transform_feed(struct transform *t, void *self, const void *data, size_t n,
                   const struct cutting *cut, struct bytes *ret)
{
    struct feeding f = {t, self, cut, ret, cut->seed * 2 + 1};
    const char *p = data;
    unsigned pieces = 0;
    int rc = BAKE_OK;

    for (size_t at = 0; at < n && rc == BAKE_OK;) {
        size_t len = piece(&f, cut->max_in, n);

        len = len < n - at ? len : n - at;
        /* the last piece may come together with FINISH, or before it */
        if (at + len == n && cut->seed % 2)
            return drive(&f, p + at, len, BAKE_FINISH);
        rc = drive(&f, p + at, len, BAKE_CONTINUE);
        at += len;
        if (rc == BAKE_OK && cut->flush && ++pieces % cut->flush == 0)
            rc = drive(&f, NULL, 0, BAKE_FLUSH);
    }
    return rc == BAKE_OK ? drive(&f, NULL, 0, BAKE_FINISH) : rc;
}

int transform_run(struct transform *t, int dir, const void *data, size_t n,
                  const struct cutting *cut, struct bytes *ret)
{
    struct cf_ctx ctx;
    void *self = NULL;
    int rc = transform_open(t, &ctx, dir, &self);

    if (rc == BAKE_OK) {
        rc = transform_feed(t, self, data, n, cut, ret);
        t->ops->close(self);
        if (rc != BAKE_E_INTERNAL || ctx.fails)
            cf_check_words(t->r, &ctx, rc);
    }
    memcpy(t->text, ctx.text, sizeof(t->text));
    cf_ctx_free(&ctx);
    return rc;
}

void transform_both(struct transform *t, const void *data, size_t n, const struct cutting *out,
                    const struct cutting *back)
{
    struct bytes stored = {0}, plain = {0};
    int rc = transform_run(t, BAKE_FORWARD, data, n, out, &stored);

    if (cf_check(t->r, rc == BAKE_OK, "forward of %zu bytes: %s: %s", n, cf_rc_name(rc), t->text)) {
        rc = transform_run(t, BAKE_REVERSE, stored.data, stored.n, back, &plain);
        if (cf_check(t->r, rc == BAKE_OK, "back from %zu bytes: %s: %s", n, cf_rc_name(rc),
                     t->text))
            cf_check(t->r, plain.n == n && (n == 0 || memcmp(plain.data, data, n) == 0),
                     "%zu bytes became %zu other ones", n, plain.n);
    }
    bytes_free(&stored);
    bytes_free(&plain);
}
