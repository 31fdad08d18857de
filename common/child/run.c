/* A program from its start to its end. */
#include "child/impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct run {
    struct bkc_child *c;
    const char *input;
    size_t left;
    char *out;
    size_t n, cap, limit;
};

static int give(struct run *r)
{
    ssize_t put = r->left > 0 ? bkc_give(r->c, r->input, r->left) : 0;

    if (put > 0) {
        r->input += put;
        r->left -= (size_t)put;
    } else if (put < 0 && errno != EAGAIN && errno != EPIPE) {
        return bake_fail(r->c->ctx, BAKE_E_IO, "cannot write to %s: %s", r->c->name,
                         strerror(errno));
    } else if (put < 0 && errno == EPIPE) {
        r->left = 0; /* it needs no more: how it ends says whether that is right */
    }
    if (r->left == 0)
        bkc_shut(&r->c->in);
    return BAKE_OK;
}

static int take(struct run *r)
{
    ssize_t n;

    if (r->n == r->cap) { /* one byte more than may come, to see that it does */
        size_t cap = r->cap ? r->cap * 2 : 4096;
        char *more;

        if (cap > r->limit + 1)
            cap = r->limit + 1;
        more = realloc(r->out, cap + 1);
        if (!more)
            return bake_fail(r->c->ctx, BAKE_E_NOMEM, "out of memory");
        r->out = more;
        r->cap = cap;
    }
    n = bkc_take(r->c, r->out + r->n, r->cap - r->n);
    if (n == 0)
        bkc_shut(&r->c->out);
    else if (n < 0 && errno != EAGAIN)
        return bake_fail(r->c->ctx, BAKE_E_IO, "cannot read what %s writes: %s", r->c->name,
                         strerror(errno));
    if (n > 0)
        r->n += (size_t)n;
    if (r->n > r->limit)
        return bake_fail(r->c->ctx, BAKE_E_CHILD, "%s writes more than %zu bytes", r->c->name,
                         r->limit);
    return BAKE_OK;
}

static int pump(struct run *r)
{
    int rc = BAKE_OK;

    while (rc == BAKE_OK && (r->c->in >= 0 || r->c->out >= 0)) {
        unsigned can = 0;

        rc = bkc_await(r->c, BKC_CAN_IN | BKC_CAN_OUT, &can);
        if (rc == BAKE_OK && can & BKC_CAN_IN)
            rc = give(r);
        if (rc == BAKE_OK && can & BKC_CAN_OUT)
            rc = take(r);
    }
    return rc == BAKE_OK ? bkc_child_wait(r->c, NULL) : rc;
}

int bkc_child_run(struct bake_ctx *ctx, const struct bkc_child_spec *spec, const char *input,
                  size_t limit, char **ret_out)
{
    struct bkc_child_spec own = *spec;
    struct run r = {.input = input, .left = input ? strlen(input) : 0, .limit = limit};
    int rc;

    own.in = r.left > 0;
    own.out = ret_out != NULL;
    if (ret_out)
        *ret_out = NULL;
    rc = bkc_child_start(ctx, &own, &r.c);
    if (rc == BAKE_OK)
        rc = pump(&r);
    bkc_child_free(r.c);
    if (rc == BAKE_OK && ret_out) {
        if (!r.out && !(r.out = malloc(1)))
            return bake_fail(ctx, BAKE_E_NOMEM, "out of memory");
        r.out[r.n] = '\0';
        *ret_out = r.out;
        return BAKE_OK;
    }
    free(r.out);
    return rc;
}
