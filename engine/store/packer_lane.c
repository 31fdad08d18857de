/* A lane: segments through the transforms, then the pack's end. */
#include "store/packer_lane.h"

#include "base/cleanup.h"
#include "store/lag.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct lane {
    struct bk_packer *packer;
    struct bk_chain *all, *no_compression; /* made when first needed */
    struct bk_buf *out;                    /* where the chain's output goes */
    struct bk_buf scratch;
};

static int take(void *arg, const void *data, size_t n, struct bk_err *err)
{
    struct lane *l = arg;

    return bk_buf_add(l->out, data, n) < 0 ? bk_nomem(err) : BAKE_OK;
}

/* The transforms without those that compress. */
static int make_raw_chain(struct lane *l, struct bk_err *err)
{
    struct bk_store *s = l->packer->store;
    struct bk_transform *t BK_FREE = calloc(s->n_transforms + 1, sizeof(*t));
    size_t n = 0;

    if (!t)
        return bk_nomem(err);
    for (size_t i = 0; i < s->n_transforms; i++)
        if (!(s->transforms[i].plugin->transform.traits & BAKE_COMPRESSES))
            t[n++] = s->transforms[i];
    return bk_chain_new(t, n, BAKE_FORWARD, BAKE_ONE_THREAD, l->packer->cancel, take, l,
                        &l->no_compression, err);
}

static int encode(struct lane *l, bool raw, const void *data, size_t n, struct bk_buf *out,
                  struct bk_err *err)
{
    struct bk_chain **chain = raw ? &l->no_compression : &l->all;
    int rc = BAKE_OK;

    l->out = out;
    if (*chain)
        rc = bk_chain_reset(*chain, err);
    else if (raw)
        rc = make_raw_chain(l, err);
    else
        rc = bk_chain_new(l->packer->store->transforms, l->packer->store->n_transforms,
                          BAKE_FORWARD, BAKE_ONE_THREAD, l->packer->cancel, take, l, chain, err);
    if (rc >= 0)
        rc = bk_chain_push(*chain, data, n, err);
    if (rc >= 0)
        rc = bk_chain_finish(*chain, err);
    l->out = NULL; /* the caller's buffer */
    return rc;
}

/* Bits per byte of a sample: what is as good as random is not compressed in vain. Text and code
 * have at most 6, what is compressed or encrypted has over 7.9. */
static bool incompressible(const unsigned char *data, size_t n)
{
    size_t count[256] = {0}, step = n / 64, total = 0;
    double bits = 0;

    if (n < (64u << 10))
        return false;
    for (size_t at = 0; at + 512 <= n; at += step) /* 64 places of 512 bytes */
        for (size_t i = 0; i < 512; i++, total++)
            count[data[at + i]]++;
    for (int i = 0; i < 256; i++)
        if (count[i])
            bits -= (double)count[i] * log2((double)count[i] / (double)total);
    return bits / (double)total > 7.97;
}

/* Of just the size it has: many of them are held until their pack is whole. */
static int keep(struct bk_buf *to, const struct bk_buf *from, struct bk_err *err)
{
    to->data = malloc(from->len + 1);
    if (!to->data)
        return bk_nomem(err);
    if (from->len)
        memcpy(to->data, from->data, from->len);
    to->data[from->len] = '\0';
    to->len = from->len;
    to->cap = from->len + 1;
    return BAKE_OK;
}

static int do_segment(struct lane *l, struct bk_filling *f, struct bk_err *err)
{
    struct bk_building *b = f->pack;
    struct bk_segment *s = &b->table.segments[f->index];
    bool raw = incompressible(f->data, f->n);
    int rc;

    bk_buf_clear(&l->scratch);
    rc = encode(l, raw, f->data, f->n, &l->scratch, err);
    if (rc < 0)
        return rc;
    if (l->scratch.len > BK_PACK_LIMIT)
        return bk_fail(err, BAKE_E_INTERNAL, "a segment grew beyond all bounds");
    s->stored = (uint32_t)l->scratch.len;
    s->flags = raw ? BK_SEGMENT_RAW : 0;
    return keep(&b->stored[f->index], &l->scratch, err);
}

/* The pack in the order of its bytes. */
struct parts {
    struct bk_buf *part[BK_MAX_SEGMENTS + 3];
    size_t n;
    uint64_t size;
};

static void add_part(struct parts *p, struct bk_buf *b)
{
    p->part[p->n++] = b;
    p->size += b->len;
}

static int name_of(const struct parts *parts, bk_id *ret, struct bk_err *err)
{
    struct bk_sha256 *sha;
    int rc = bk_sha256_new(&sha, err);

    if (rc < 0)
        return rc;
    for (size_t i = 0; i < parts->n; i++)
        bk_sha256_add(sha, parts->part[i]->data, parts->part[i]->len);
    bk_sha256_end(sha, ret->b);
    bk_sha256_free(sha);
    return BAKE_OK;
}

/* A pack is held whole, so a transient failure is met by putting it again. Its parts go as it
 * comes to be, so that it is not held twice. */
static int put_parts(struct bk_packer *p, const struct parts *parts, const char *name,
                     struct bk_err *err)
{
    char *whole = malloc((size_t)parts->size + 1);
    size_t at = 0, sink;
    int rc;

    if (!whole)
        return bk_nomem(err);
    for (size_t i = 0; i < parts->n; i++) {
        memcpy(whole + at, parts->part[i]->data, parts->part[i]->len);
        at += parts->part[i]->len;
        bk_buf_free(parts->part[i]);
    }
    /* What mirrors lack is found by listing them (mirror.h). */
    rc = bk_store_feed(p->store, name, whole, at, BAKE_PUT_IF_ABSENT, &sink, err);
    free(whole);
    return rc;
}

static int transform_names(const struct bk_store *s, struct bk_strv *ret, struct bk_err *err)
{
    for (size_t i = 0; i < s->n_transforms; i++)
        if (bk_strv_add(ret, s->transforms[i].plugin->desc.name) < 0)
            return bk_nomem(err);
    return BAKE_OK;
}

static int finish_pack(struct lane *l, struct bk_building *b, struct bk_err *err)
{
    struct bk_buf head BK_CLEANUP(bk_buf_free) = BK_BUF_INIT;
    struct bk_buf table BK_CLEANUP(bk_buf_free) = BK_BUF_INIT;
    struct bk_buf tail BK_CLEANUP(bk_buf_free) = BK_BUF_INIT;
    struct bk_strv names BK_CLEANUP(bk_strv_free) = {0};
    struct bk_pack_foot foot = {0};
    char name[BK_PACK_NAME_CAP];
    unsigned char nonce[BK_PACK_NONCE];
    struct parts parts = {.n = 0};
    uint32_t head_size;
    bk_id id;
    int rc = transform_names(l->packer->store, &names, err);

    if (rc < 0 || (rc = bk_random(nonce, sizeof(nonce), err)) < 0)
        return rc;
    bk_pack_head_write(b->kind, nonce, &names, &head);
    head_size = (uint32_t)head.len; /* its bytes go while the pack is put */
    add_part(&parts, &head);
    for (size_t i = 0; i < b->table.n_segments; i++)
        add_part(&parts, &b->stored[i]);
    bk_pack_table_write(&b->table, &table);
    foot.table_offset = parts.size;
    foot.table_plain = (uint32_t)table.len;
    if (head.failed || table.failed)
        return bk_nomem(err);
    rc = encode(l, false, table.data, table.len, &tail, err);
    foot.table_stored = (uint32_t)tail.len;
    bk_pack_foot_write(&foot, &tail);
    add_part(&parts, &tail);
    if (rc < 0 || (rc = name_of(&parts, &id, err)) < 0)
        return rc;
    bk_pack_name(&id, name);
    rc = tail.failed ? bk_nomem(err) : put_parts(l->packer, &parts, name, err);
    if (rc < 0)
        return rc;
    pthread_mutex_lock(&l->packer->lock);
    l->packer->stored_bytes += parts.size;
    pthread_mutex_unlock(&l->packer->lock);
    pthread_mutex_lock(&l->packer->storing);
    rc = l->packer->opts.stored(l->packer->opts.arg, &id, parts.size, head_size, &b->table, err);
    pthread_mutex_unlock(&l->packer->storing);
    return rc;
}

/* The next segment; NULL: the packer ends or has failed. */
static struct bk_filling *next_segment(struct bk_packer *p)
{
    struct bk_filling *f = NULL;

    pthread_mutex_lock(&p->lock);
    while (!p->queue && !p->ending && !bk_cancelled(p->cancel))
        pthread_cond_wait(&p->work, &p->lock);
    if (p->queue && !p->ending && !bk_cancelled(p->cancel) && p->failed.rc == 0) {
        f = p->queue;
        p->queue = f->next;
        if (!p->queue)
            p->queue_end = &p->queue;
    }
    pthread_mutex_unlock(&p->lock);
    return f;
}

/* Under the lock. The first failure is kept: what follows is its consequence. */
static void record_failure(struct bk_packer *p, int rc, const struct bk_err *err)
{
    if (p->failed.rc)
        return;
    p->failed = *err;
    if (p->failed.rc == 0)
        (void)bk_fail(&p->failed, rc, "a pack could not be made");
}

/* True: it was the last segment of a pack that is closed, and all of its segments are good. In one
 * go under the lock, so that no other lane finishes a pack of which this one's segment lacks. */
static bool segment_done(struct bk_packer *p, struct bk_building *b, int rc,
                         const struct bk_err *err)
{
    bool last;

    pthread_mutex_lock(&p->lock);
    p->n_segments--;
    if (rc < 0)
        record_failure(p, rc, err);
    last = --b->pending == 0 && b->closed;
    if (last && p->failed.rc) {
        bk_packer_drop(p, b);
        last = false;
    }
    pthread_cond_broadcast(&p->room);
    pthread_mutex_unlock(&p->lock);
    return last;
}

static void work(struct lane *l, struct bk_filling *f)
{
    struct bk_packer *p = l->packer;
    struct bk_building *b = f->pack;
    struct bk_err err = {0};
    int rc = do_segment(l, f, &err);

    free(f);
    if (!segment_done(p, b, rc, &err))
        return;
    rc = finish_pack(l, b, &err);
    pthread_mutex_lock(&p->lock);
    if (rc < 0)
        record_failure(p, rc, &err);
    bk_packer_drop(p, b);
    pthread_mutex_unlock(&p->lock);
}

void *bk_packer_lane(void *packer)
{
    struct lane l = {.packer = packer};
    struct bk_filling *f;

    while ((f = next_segment(packer)))
        work(&l, f);
    bk_chain_free(l.all);
    bk_chain_free(l.no_compression);
    bk_buf_free(&l.scratch);
    return NULL;
}
