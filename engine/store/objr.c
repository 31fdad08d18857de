/* The reading side of one object. */
#include "store/objr.h"

#include "base/str.h"

#include <string.h>

struct bk_objr {
    struct bk_sink *sink;
    struct bk_flow *flow;
    const struct bk_objr_spec *spec;
    char *name;
    struct bk_ring *stored, *plain;
    struct bk_chain *chain;
    struct bk_sha256 *stored_sha, *plain_sha;
    uint64_t stored_size;
    size_t lent;
    pthread_mutex_t lock;
    struct bk_err damage;
};

/* The first damage is kept: what follows is its consequence. */
static void set_damage(struct bk_objr *r, const struct bk_err *err)
{
    pthread_mutex_lock(&r->lock);
    if (r->damage.rc == 0)
        r->damage = *err;
    pthread_mutex_unlock(&r->lock);
}

static void check_stored(struct bk_objr *r)
{
    const struct bk_object *o = r->spec->object;
    char sha[BK_SHA256_HEX];
    struct bk_err err = {0};

    bk_sha256_end_hex(r->stored_sha, sha);
    if (r->stored_size != o->size)
        bk_fail(&err, BAKE_E_CORRUPT,
                "%s: object '%s' is damaged: it has %llu bytes, the manifest says %llu",
                r->sink->label, r->name, (unsigned long long)r->stored_size,
                (unsigned long long)o->size);
    else if (o->sha256[0] && !bk_streq(sha, o->sha256))
        bk_fail(&err, BAKE_E_CORRUPT,
                "%s: object '%s' is damaged: its SHA-256 differs from the manifest's",
                r->sink->label, r->name);
    if (err.rc)
        set_damage(r, &err);
}

/* Reads the object into the ring; 0 at its end. */
static int fetch(struct bk_objr *r, void *get, struct bk_ctx *ctx, char *buffer, size_t cap,
                 struct bk_err *err)
{
    int idle = 0;

    for (;;) {
        struct bake_out out = {buffer, cap, 0};
        int rc = r->sink->ops->get_read(get, &out);

        rc = bk_sink_progress(ctx, out.pos, rc, &idle);
        if (rc < 0)
            return bk_ctx_fail(ctx, rc, err);
        bk_sha256_add(r->stored_sha, buffer, out.pos);
        r->stored_size += out.pos;
        if (bk_ring_write(r->stored, buffer, out.pos) < 0)
            return bk_fail(err, BAKE_E_CANCELLED, "cancelled");
        if (rc == BAKE_END)
            return BAKE_OK;
        if (r->stored_size > r->spec->object->size)
            return BAKE_OK; /* too long: check_stored() says so, no need to read on */
    }
}

static int get_stage(void *arg, struct bk_err *err)
{
    struct bk_objr *r = arg;
    size_t cap = 256u << 10;
    char *buffer = malloc(cap);
    struct bk_ctx ctx;
    void *get;
    int rc;

    if (!buffer)
        return bk_nomem(err);
    bk_sink_ctx(r->sink, bk_flow_cancel(r->flow), &ctx);
    rc = r->sink->ops->get_begin(r->sink->self, &ctx.base, r->name, 0, 0, &get);
    if (rc < 0) {
        rc = bk_ctx_fail(&ctx, rc, err);
    } else {
        rc = fetch(r, get, &ctx, buffer, cap, err);
        r->sink->ops->get_close(get);
    }
    free(buffer);
    if (rc == BAKE_E_CANCELLED || rc == BAKE_E_NOMEM)
        return rc;
    if (rc < 0)
        set_damage(r, err);
    else
        check_stored(r);
    bk_ring_finish(r->stored);
    return BAKE_OK;
}

static int to_plain(void *arg, const void *data, size_t n, struct bk_err *err)
{
    struct bk_objr *r = arg;

    bk_sha256_add(r->plain_sha, data, n);
    if (bk_ring_write(r->plain, data, n) < 0)
        return bk_fail(err, BAKE_E_CANCELLED, "cancelled");
    return BAKE_OK;
}

static int decode(struct bk_objr *r, struct bk_err *err)
{
    for (;;) {
        const void *data;
        size_t n;
        int rc = bk_ring_peek(r->stored, &data, &n);

        if (rc == BAKE_END)
            return bk_chain_finish(r->chain, err);
        if (rc < 0)
            return bk_fail(err, rc, "cancelled");
        rc = bk_chain_push(r->chain, data, n, err);
        bk_ring_consume(r->stored, n);
        if (rc < 0)
            return rc;
    }
}

/* Lets the get stage run to its end, so that its digest check is had too. */
static int drain(struct bk_ring *ring)
{
    const void *data;
    size_t n;
    int rc;

    while ((rc = bk_ring_peek(ring, &data, &n)) == BAKE_OK)
        bk_ring_consume(ring, n);
    return rc;
}

static int decode_stage(void *arg, struct bk_err *err)
{
    struct bk_objr *r = arg;
    char sha[BK_SHA256_HEX];
    int rc = decode(r, err);

    if (rc == BAKE_E_CANCELLED || rc == BAKE_E_NOMEM)
        return rc;
    if (drain(r->stored) < 0)
        return bk_fail(err, BAKE_E_CANCELLED, "cancelled");
    if (rc < 0) {
        bk_prefix(err, "%s: object '%s' does not decode", r->sink->label, r->name);
        set_damage(r, err);
    }
    bk_sha256_end_hex(r->plain_sha, sha);
    if (rc >= 0 && r->spec->plain_sha256 && !bk_streq(sha, r->spec->plain_sha256)) {
        bk_fail(err, BAKE_E_CORRUPT,
                "%s: object '%s' decodes to other bytes than were backed up (SHA-256)",
                r->sink->label, r->name);
        set_damage(r, err);
    }
    bk_ring_finish(r->plain);
    return BAKE_OK;
}

static int start(struct bk_objr *r, struct bk_err *err)
{
    const struct bk_objr_spec *spec = r->spec;
    int rc;

    if ((rc = bk_sha256_new(&r->plain_sha, err)) < 0 ||
        (rc = bk_sha256_new(&r->stored_sha, err)) < 0 ||
        (rc = bk_flow_ring(r->flow, BK_RING_BYTES, &r->stored, err)) < 0 ||
        (rc = bk_flow_ring(r->flow, BK_RING_BYTES, &r->plain, err)) < 0 ||
        (rc = bk_chain_new(spec->transforms, spec->n_transforms, BAKE_REVERSE, spec->flags,
                           bk_flow_cancel(r->flow), to_plain, r, &r->chain, err)) < 0 ||
        (rc = bk_flow_start(r->flow, "get", get_stage, r, err)) < 0)
        return rc;
    return bk_flow_start(r->flow, "decode", decode_stage, r, err);
}

int bk_objr_open(struct bk_flow *flow, struct bk_sink *sink, const struct bk_objr_spec *spec,
                 struct bk_objr **ret, struct bk_err *err)
{
    struct bk_objr *r = calloc(1, sizeof(*r));

    if (!r)
        return bk_nomem(err);
    *ret = r;
    pthread_mutex_init(&r->lock, NULL);
    r->flow = flow;
    r->sink = sink;
    r->spec = spec;
    r->name =
        spec->id ? bk_backup_object(spec->id, spec->object->name) : bk_strdup(spec->object->name);
    return r->name ? start(r, err) : bk_nomem(err);
}

int bk_objr_pull(struct bk_objr *r, const void **ret_data, size_t *ret_n)
{
    int rc;

    if (r->lent)
        bk_ring_consume(r->plain, r->lent);
    r->lent = 0;
    rc = bk_ring_peek(r->plain, ret_data, ret_n);
    if (rc == BAKE_OK)
        r->lent = *ret_n;
    else if (rc == BAKE_END)
        *ret_n = 0;
    return rc < 0 ? rc : BAKE_OK;
}

int bk_objr_damage(struct bk_objr *r, struct bk_err *err)
{
    int rc;

    pthread_mutex_lock(&r->lock);
    rc = r->damage.rc;
    if (rc < 0 && err)
        *err = r->damage;
    pthread_mutex_unlock(&r->lock);
    return rc;
}

void bk_objr_free(struct bk_objr *r)
{
    if (!r)
        return;
    bk_chain_free(r->chain);
    bk_sha256_free(r->plain_sha);
    bk_sha256_free(r->stored_sha);
    pthread_mutex_destroy(&r->lock);
    free(r->name);
    free(r);
}
