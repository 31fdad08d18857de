/* The writing side of one object. */
#include "store/objw.h"

#include "base/str.h"
#include "store/lag.h"

#include <string.h>

struct put {
    void *handle; /* NULL: not begun, ended or given up */
    struct bk_ctx ctx;
};

struct bk_objw {
    struct bk_store *store;
    struct bk_flow *flow;
    char *name;
    uint32_t flags;
    struct bk_ring *plain, *stored; /* stored: NULL for a small object */
    struct bk_chain *chain;
    struct bk_sha256 *plain_sha, *stored_sha;
    struct put *puts; /* one per sink */
    bool begun;       /* puts were begun wherever they could be */
    bool stored_any;  /* a put of ours has ended well: the object is ours to remove */
    size_t only;      /* a group is held: the only sink that is fed; SIZE_MAX: all are */
    struct bk_objw_result result;
};

/* Of the sinks that it went to none is left: those that were not fed do not help. */
static bool is_nowhere(const struct bk_objw *w)
{
    for (size_t i = 0; i < w->store->n_sinks; i++)
        if (w->puts[i].handle)
            return false;
    return !w->stored_any;
}

static int give_up(struct bk_objw *w, size_t i, int rc, struct bk_err *err)
{
    struct bk_err why = {0};

    bk_ctx_fail(&w->puts[i].ctx, rc, &why);
    w->puts[i].handle = NULL;
    if (rc == BAKE_E_CANCELLED) {
        if (err)
            *err = why;
        return rc;
    }
    bk_store_sink_failed(w->store, i, &why);
    if (bk_store_sinks_ok(w->store) > 0 && !(w->begun && is_nowhere(w)))
        return BAKE_OK;
    if (err)
        *err = why;
    return rc;
}

static int begin_puts(struct bk_objw *w, struct bk_err *err)
{
    struct bk_store *s = w->store;
    bool only_one = s->n_sinks > 1 && bk_store_held(s), any = false;

    for (size_t i = 0; i < s->n_sinks && !(any && only_one); i++) {
        int rc;

        if (!bk_store_sink_ok(s, i))
            continue;
        bk_sink_ctx(&s->sinks[i], bk_flow_cancel(w->flow), &w->puts[i].ctx);
        rc = s->sinks[i].ops->put_begin(s->sinks[i].self, &w->puts[i].ctx.base, w->name, 0,
                                        BAKE_PUT_IF_ABSENT, &w->puts[i].handle);
        any |= rc >= 0;
        if (rc >= 0 && only_one)
            w->only = i;
        if (rc < 0 && (rc = give_up(w, i, rc, err)) < 0)
            return rc;
    }
    w->begun = true;
    /* Every sink had failed before: an object that is put nowhere is no success. */
    return any ? BAKE_OK : bk_store_none_usable(s, err);
}

static int to_sinks(void *arg, const void *data, size_t n, struct bk_err *err)
{
    struct bk_objw *w = arg;

    bk_sha256_add(w->stored_sha, data, n);
    w->result.stored_size += n;
    for (size_t i = 0; i < w->store->n_sinks; i++) {
        const struct bake_sink_ops *ops = w->store->sinks[i].ops;
        struct bake_in in = {data, n, 0};
        int rc;

        if (!w->puts[i].handle)
            continue;
        rc = ops->put_write(w->puts[i].handle, &in);
        if (rc >= 0 && in.pos != n)
            rc = bake_fail(&w->puts[i].ctx.base, BAKE_E_INTERNAL,
                           "took only a part of '%s': a bug in the plugin", w->name);
        if (rc < 0) {
            ops->put_abort(w->puts[i].handle);
            rc = give_up(w, i, rc, err);
            if (rc < 0)
                return rc;
        }
    }
    return BAKE_OK;
}

static int end_puts(struct bk_objw *w, struct bk_err *err)
{
    for (size_t i = 0; i < w->store->n_sinks; i++) {
        void *handle = w->puts[i].handle;
        int rc;

        if (!handle)
            continue;
        w->puts[i].handle = NULL;
        rc = w->store->sinks[i].ops->put_end(handle);
        w->stored_any |= rc >= 0;
        if (rc < 0 && (rc = give_up(w, i, rc, err)) < 0)
            return rc;
    }
    bk_sha256_end_hex(w->stored_sha, w->result.stored_sha256);
    if (w->only == SIZE_MAX)
        return BAKE_OK;
    return bk_lag_add(w->store, w->name, w->only, w->result.stored_sha256, true, err);
}

static int to_ring(void *arg, const void *data, size_t n, struct bk_err *err)
{
    struct bk_objw *w = arg;
    int rc = bk_ring_write(w->stored, data, n);

    return rc < 0 ? bk_fail(err, rc, "cancelled") : BAKE_OK;
}

/* Plain bytes through the transforms. */
static int transform_stage(void *arg, struct bk_err *err)
{
    struct bk_objw *w = arg;
    int rc;

    if (!w->stored && (rc = begin_puts(w, err)) < 0)
        return rc;
    for (;;) {
        const void *data;
        size_t n;

        rc = bk_ring_peek(w->plain, &data, &n);
        if (rc == BAKE_END)
            break;
        if (rc < 0)
            return bk_fail(err, rc, "cancelled");
        bk_sha256_add(w->plain_sha, data, n);
        w->result.plain_size += n;
        rc = bk_chain_push(w->chain, data, n, err);
        if (rc < 0)
            return rc;
        bk_ring_consume(w->plain, n);
    }
    bk_sha256_end_hex(w->plain_sha, w->result.plain_sha256);
    rc = bk_chain_finish(w->chain, err);
    if (rc < 0)
        return rc;
    if (!w->stored)
        return end_puts(w, err);
    bk_ring_finish(w->stored);
    return BAKE_OK;
}

static int put_stage(void *arg, struct bk_err *err)
{
    struct bk_objw *w = arg;
    int rc = begin_puts(w, err);

    while (rc >= 0) {
        const void *data;
        size_t n;

        rc = bk_ring_peek(w->stored, &data, &n);
        if (rc == BAKE_END)
            return end_puts(w, err);
        if (rc < 0)
            return bk_fail(err, rc, "cancelled");
        rc = to_sinks(w, data, n, err);
        bk_ring_consume(w->stored, n);
    }
    return rc;
}

static int start(struct bk_objw *w, struct bk_err *err)
{
    bool small = w->flags & BAKE_SMALL_OBJECT;
    struct bk_cancel *cancel = bk_flow_cancel(w->flow);
    int rc;

    if ((rc = bk_sha256_new(&w->plain_sha, err)) < 0 ||
        (rc = bk_sha256_new(&w->stored_sha, err)) < 0 ||
        (rc = bk_flow_ring(w->flow, small ? BK_RING_BYTES / 4 : BK_RING_BYTES, &w->plain, err)) < 0)
        return rc;
    if (!small && (rc = bk_flow_ring(w->flow, BK_RING_BYTES, &w->stored, err)) < 0)
        return rc;
    rc = bk_chain_new(w->store->transforms, w->store->n_transforms, BAKE_FORWARD, w->flags, cancel,
                      small ? to_sinks : to_ring, w, &w->chain, err);
    if (rc < 0)
        return rc;
    rc = bk_flow_start(w->flow, small ? "listing" : "transform", transform_stage, w, err);
    if (rc >= 0 && !small)
        rc = bk_flow_start(w->flow, "put", put_stage, w, err);
    return rc;
}

int bk_objw_open(struct bk_flow *flow, struct bk_store *store, const char *name, uint32_t flags,
                 struct bk_objw **ret, struct bk_err *err)
{
    struct bk_objw *w = calloc(1, sizeof(*w));

    if (!w)
        return bk_nomem(err);
    *ret = w; /* also on failure: stages that were started refer to it until they are joined */
    w->store = store;
    w->flow = flow;
    w->flags = flags;
    w->only = SIZE_MAX;
    w->name = bk_strdup(name);
    w->puts = calloc(store->n_sinks + 1, sizeof(*w->puts));
    if (!w->name || !w->puts)
        return bk_nomem(err);
    return start(w, err);
}

int bk_objw_write(struct bk_objw *w, const void *data, size_t n)
{
    return bk_ring_write(w->plain, data, n);
}

void bk_objw_end(struct bk_objw *w) { bk_ring_finish(w->plain); }

void bk_objw_result(const struct bk_objw *w, struct bk_objw_result *ret) { *ret = w->result; }

bool bk_objw_stored(const struct bk_objw *w) { return w->stored_any; }

void bk_objw_free(struct bk_objw *w)
{
    if (!w)
        return;
    for (size_t i = 0; w->puts && i < w->store->n_sinks; i++)
        if (w->puts[i].handle)
            w->store->sinks[i].ops->put_abort(w->puts[i].handle);
    bk_chain_free(w->chain);
    bk_sha256_free(w->plain_sha);
    bk_sha256_free(w->stored_sha);
    free(w->puts);
    free(w->name);
    free(w);
}

uint64_t bk_objw_memory(const struct bk_store *store, uint32_t flags)
{
    uint64_t sum = flags & BAKE_SMALL_OBJECT ? BK_RING_BYTES / 4 : 2 * BK_RING_BYTES;

    sum += bk_chain_memory(store->transforms, store->n_transforms, BAKE_FORWARD, flags);
    /* Of the pipeline's sinks: a dry run has opened none. */
    for (size_t i = 0; i < store->pipeline->n_sinks; i++) {
        const struct bk_part *part = &store->pipeline->sinks[i];

        if (part->plugin->sink.memory)
            sum += part->plugin->sink.memory(part->cfg, BAKE_FORWARD);
    }
    return sum;
}
