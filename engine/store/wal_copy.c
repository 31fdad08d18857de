/* Copying a log from one sink to another. */
#include "store/wal.h"

#include "base/str.h"

struct copy {
    struct bk_sink *to;
    const char *object;
    struct bk_ctx ctx;
    void *put; /* under way, or NULL */
};

static void give_up(struct copy *c)
{
    if (c->put)
        c->to->ops->put_abort(c->put);
    c->put = NULL;
}

static int take(void *arg, const void *data, size_t n, bool first, struct bk_err *err)
{
    struct copy *c = arg;
    struct bake_in in = {data, n, 0};
    int rc = BAKE_OK;

    if (first) {
        give_up(c);
        bk_sink_ctx(c->to, NULL, &c->ctx);
        rc = c->to->ops->put_begin(c->to->self, &c->ctx.base, c->object, 0, BAKE_PUT_IF_ABSENT,
                                   &c->put);
        if (rc < 0)
            c->put = NULL;
    }
    if (rc >= 0 && n > 0)
        rc = c->to->ops->put_write(c->put, &in);
    if (rc >= 0 && in.pos != n)
        rc = bake_fail(&c->ctx.base, BAKE_E_INTERNAL,
                       "took only a part of '%s': a bug in the plugin", c->object);
    return rc < 0 ? bk_ctx_fail(&c->ctx, rc, err) : BAKE_OK;
}

int bk_wal_copy(struct bk_store *s, struct bk_sink *from, struct bk_sink *to, const char *object,
                struct bk_err *err)
{
    struct copy c = {.to = to, .object = object};
    const struct bk_wal_taker taker = {.arg = &c, .raw = take};
    int rc = bk_wal_read(s, from, object, &taker, err);

    if (rc >= 0) {
        void *put = c.put;

        c.put = NULL;
        rc = to->ops->put_end(put);
        if (rc < 0)
            rc = bk_ctx_fail(&c.ctx, rc, err);
    }
    give_up(&c);
    return rc == BAKE_E_EXISTS ? BAKE_OK : rc;
}
