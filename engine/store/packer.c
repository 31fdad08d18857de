/* Open packs, the queue of segments, and the lanes. */
#include "store/packer.h"

#include "store/packer_lane.h"

#include <stdlib.h>
#include <string.h>

/* Segments that exist at once, being filled, waiting or in a lane: by this and BK_PACKS_MAX memory
 * is bounded. */
#define SEGMENTS_MAX(lanes) ((lanes) + 4)

/* Beside a pack's segments: its table (BK_PACK_CHUNKS of 36 bytes, thrice) and what does not
 * compress. A lane's own: a segment's output, which grows by doubling. */
#define PACK_BESIDES (3u << 20)
#define LANE_SCRATCH (2 * BK_SEGMENT_PLAIN)

static void pack_free(struct bk_building *b)
{
    if (!b)
        return;
    for (size_t i = 0; i < b->table.n_segments; i++)
        bk_buf_free(&b->stored[i]);
    bk_pack_table_release(&b->table);
    free(b);
}

void bk_packer_drop(struct bk_packer *p, struct bk_building *b)
{
    for (size_t i = 0; i < BK_PACKS_MAX; i++)
        if (p->unfinished[i] == b->serial)
            p->unfinished[i] = 0;
    p->n_packs--;
    pthread_cond_broadcast(&p->room);
    pack_free(b);
}

/* Under the lock: why nothing more is taken, or OK. */
static int state_of(struct bk_packer *p, struct bk_err *err)
{
    if (p->failed.rc) {
        if (err)
            *err = p->failed;
        return p->failed.rc;
    }
    return bk_cancelled(p->cancel) ? bk_fail(err, BAKE_E_CANCELLED, "cancelled") : BAKE_OK;
}

/* Under the lock: hands the segment that is being filled to the lanes. */
static void submit(struct bk_packer *p, struct bk_building *b)
{
    struct bk_filling *f = b->filling;

    b->filling = NULL;
    if (!f)
        return;
    f->next = NULL;
    *p->queue_end = f;
    p->queue_end = &f->next;
    b->pending++;
    pthread_cond_signal(&p->work);
}

/* Under the lock: no more chunks will come into it. An open pack always has a segment that is being
 * filled, so a lane comes to its end and finishes it. */
static void close_pack(struct bk_packer *p, enum bk_pack_kind kind)
{
    struct bk_building *b = p->open[kind];

    if (!b)
        return;
    b->closed = true;
    submit(p, b);
    p->open[kind] = NULL;
}

/* The next segment of the open pack; the one before it goes to the lanes. */
static int begin_segment(struct bk_packer *p, struct bk_building *b, struct bk_err *err)
{
    struct bk_filling *f = malloc(sizeof(*f) + BK_SEGMENT_PLAIN);

    if (!f)
        return bk_nomem(err);
    submit(p, b);
    f->pack = b;
    f->index = b->table.n_segments++;
    f->n = 0;
    b->table.segments[f->index] = (struct bk_segment){0};
    b->filling = f;
    p->n_segments++;
    return BAKE_OK;
}

static int begin_pack(struct bk_packer *p, enum bk_pack_kind kind, struct bk_err *err)
{
    struct bk_building *b = calloc(1, sizeof(*b));
    size_t slot = 0;
    int rc = b ? begin_segment(p, b, err) : bk_nomem(err);

    if (rc < 0) {
        pack_free(b);
        return rc;
    }
    while (p->unfinished[slot])
        slot++;
    b->kind = kind;
    b->serial = p->unfinished[slot] = ++p->begun;
    p->open[kind] = b;
    p->n_packs++;
    return BAKE_OK;
}

static bool pack_full(const struct bk_building *b, size_t n)
{
    return b->plain + n > BK_PACK_PLAIN || b->table.n_chunks >= BK_PACK_CHUNKS ||
           (b->filling->n + n > BK_SEGMENT_PLAIN && b->table.n_segments == BK_MAX_SEGMENTS);
}

/* Under the lock: a pack and a segment with room for n bytes. Waiting lets go of the lock, so
 * everything is looked at again afterwards. */
static int make_room(struct bk_packer *p, enum bk_pack_kind kind, size_t n, struct bk_err *err)
{
    for (;;) {
        struct bk_building *b = p->open[kind];
        int rc = state_of(p, err);

        if (rc < 0)
            return rc;
        if (b && pack_full(b, n))
            close_pack(p, kind);
        else if (b && b->filling->n + n <= BK_SEGMENT_PLAIN)
            return BAKE_OK;
        else if (p->n_segments >= SEGMENTS_MAX(p->n_lanes) || (!b && p->n_packs >= BK_PACKS_MAX))
            pthread_cond_wait(&p->room, &p->lock);
        else if ((rc = b ? begin_segment(p, b, err) : begin_pack(p, kind, err)) < 0)
            return rc;
    }
}

int bk_packer_add(struct bk_packer *p, enum bk_pack_kind kind, const bk_id *id, const void *data,
                  size_t n, struct bk_err *err)
{
    struct bk_building *b;
    int rc;

    if (n == 0 || n > BK_SEGMENT_PLAIN)
        return bk_fail(err, BAKE_E_INTERNAL, "a chunk of %zu bytes fits no pack", n);
    pthread_mutex_lock(&p->lock);
    rc = make_room(p, kind, n, err);
    if (rc >= 0 && bk_pack_table_add(&p->open[kind]->table, id, (uint32_t)n) < 0)
        rc = bk_nomem(err);
    if (rc >= 0) {
        b = p->open[kind];
        memcpy(b->filling->data + b->filling->n, data, n);
        b->filling->n += n;
        b->plain += n;
        b->table.segments[b->filling->index].plain += (uint32_t)n;
        b->table.segments[b->filling->index].chunks++;
    }
    pthread_mutex_unlock(&p->lock);
    return rc;
}

/* Under the lock: is a pack that was begun up to then not yet stored? */
static bool unfinished(const struct bk_packer *p, uint64_t last)
{
    for (size_t i = 0; i < BK_PACKS_MAX; i++)
        if (p->unfinished[i] && p->unfinished[i] <= last)
            return true;
    return false;
}

int bk_packer_flush(struct bk_packer *p, struct bk_err *err)
{
    uint64_t last;
    int rc;

    pthread_mutex_lock(&p->lock);
    close_pack(p, BK_PACK_DATA);
    close_pack(p, BK_PACK_META);
    last = p->begun; /* what others begin from now on is not waited for */
    while ((rc = state_of(p, err)) >= 0 && unfinished(p, last))
        pthread_cond_wait(&p->room, &p->lock);
    pthread_mutex_unlock(&p->lock);
    return rc;
}

uint64_t bk_packer_stored(struct bk_packer *p)
{
    uint64_t n;

    pthread_mutex_lock(&p->lock);
    n = p->stored_bytes;
    pthread_mutex_unlock(&p->lock);
    return n;
}

static void wake(void *arg)
{
    struct bk_packer *p = arg;

    pthread_mutex_lock(&p->lock);
    pthread_cond_broadcast(&p->room);
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
}

int bk_packer_new(struct bk_store *store, struct bk_cancel *cancel,
                  const struct bk_packer_opts *opts, struct bk_packer **ret, struct bk_err *err)
{
    struct bk_packer *p = calloc(1, sizeof(*p));

    if (!p || !(p->lanes = calloc(opts->lanes, sizeof(*p->lanes)))) {
        free(p);
        return bk_nomem(err);
    }
    p->store = store;
    p->cancel = cancel;
    p->opts = *opts;
    p->queue_end = &p->queue;
    pthread_mutex_init(&p->lock, NULL);
    pthread_mutex_init(&p->storing, NULL);
    pthread_cond_init(&p->room, NULL);
    pthread_cond_init(&p->work, NULL);
    p->sub.wake = wake;
    p->sub.arg = p;
    bk_cancel_subscribe(cancel, &p->sub);
    while (p->n_lanes < opts->lanes) {
        int e = pthread_create(&p->lanes[p->n_lanes], NULL, bk_packer_lane, p);

        if (e) {
            bk_packer_free(p);
            return bk_fail_errno(err, e, "cannot start a thread that makes packs");
        }
        p->n_lanes++;
    }
    *ret = p;
    return BAKE_OK;
}

void bk_packer_free(struct bk_packer *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->ending = true;
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
    for (size_t i = 0; i < p->n_lanes; i++)
        pthread_join(p->lanes[i], NULL);
    bk_cancel_unsubscribe(p->cancel, &p->sub);
    while (p->queue) {
        struct bk_filling *f = p->queue;

        p->queue = f->next;
        if (--f->pack->pending == 0 && f->pack->closed)
            pack_free(f->pack);
        free(f);
    }
    for (int kind = BK_PACK_DATA; kind <= BK_PACK_META; kind++) {
        if (p->open[kind])
            free(p->open[kind]->filling);
        pack_free(p->open[kind]);
    }
    pthread_mutex_destroy(&p->lock);
    pthread_mutex_destroy(&p->storing);
    pthread_cond_destroy(&p->room);
    pthread_cond_destroy(&p->work);
    free(p->lanes);
    free(p);
}

uint64_t bk_packer_memory(const struct bk_store *store, size_t lanes)
{
    uint64_t chain =
        bk_chain_memory(store->transforms, store->n_transforms, BAKE_FORWARD, BAKE_ONE_THREAD);

    return SEGMENTS_MAX(lanes) * (uint64_t)BK_SEGMENT_PLAIN +
           BK_PACKS_MAX * ((uint64_t)BK_PACK_PLAIN + PACK_BESIDES) + lanes * (chain + LANE_SCRATCH);
}
