/* Segments in the cache: each is fetched and decoded by the first thread that needs it, while
 * others wait for that one alone; what was used longest ago goes first. */
#include "store/fetch_private.h"

#include <stdlib.h>
#include <string.h>

/* ---- the order of use, and the budget -------------------------------------------------------- */

static void unlink_lru(struct bk_fetch *f, struct bk_seg *s)
{
    *(s->newer ? &s->newer->older : &f->newest) = s->older;
    *(s->older ? &s->older->newer : &f->oldest) = s->newer;
    s->newer = s->older = NULL;
}

static void link_newest(struct bk_fetch *f, struct bk_seg *s)
{
    s->older = f->newest;
    *(f->newest ? &f->newest->newer : &f->oldest) = s;
    f->newest = s;
}

static const struct bk_segment *of(const struct bk_seg *s)
{
    return &s->pack->info.segments[s->index];
}

static void drop_stored(struct bk_fetch *f, struct bk_seg *s)
{
    if (s->stored)
        f->ahead -= s->ahead ? of(s)->stored : 0;
    bk_room_give(&f->room, s->stored, of(s)->stored);
    s->stored = NULL;
}

static void drop_plain(struct bk_fetch *f, struct bk_seg *s)
{
    if (s->plain)
        f->ahead -= s->ahead ? of(s)->plain : 0;
    bk_room_give(&f->room, s->plain, of(s)->plain);
    s->plain = NULL;
}

/* Out of the cache; its memory goes at once, itself with the last reference. */
static void remove_seg(struct bk_fetch *f, struct bk_seg *s)
{
    struct bk_seg **at = &s->pack->segs;

    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
    unlink_lru(f, s);
    drop_stored(f, s);
    drop_plain(f, s);
    s->state = BK_SEG_FAILED;
    if (s->refs == 0)
        free(s);
    pthread_cond_broadcast(&f->changed);
}

static bool evict(struct bk_fetch *f)
{
    struct bk_seg *s = f->oldest;

    while (s && (s->refs > 0 || (s->state != BK_SEG_STORED && s->state != BK_SEG_READY)))
        s = s->newer;
    if (s)
        remove_seg(f, s);
    return s;
}

/* Memory for n bytes, for which others go. When all that is there is in use, threads that are at
 * work will let go of some; if there is none, the budget is exceeded rather than nothing ever be
 * done. NULL: wait is false and there is no room, or out of memory. */
static void *take(struct bk_fetch *f, size_t n, bool high, bool wait)
{
    for (;;) {
        void *p;

        do
            p = bk_room_take(&f->room, n, high);
        while (!p && evict(f));
        if (p || !wait)
            return p;
        if (f->busy == 0)
            return bk_room_take_beyond(&f->room, n);
        f->starved++;
        pthread_cond_wait(&f->changed, &f->lock);
        f->starved--;
    }
}

/* ---- segments -------------------------------------------------------------------------------- */

struct bk_seg *bk_seg_find(const struct bk_fpack *p, uint32_t segment)
{
    struct bk_seg *s = p->segs;

    while (s && s->index != segment)
        s = s->next;
    return s;
}

/* Takes over stored, also on failure. */
static struct bk_seg *add_seg(struct bk_fetch *f, struct bk_fpack *p, uint32_t segment,
                              void *stored, bool ahead)
{
    struct bk_seg *s = stored ? calloc(1, sizeof(*s)) : NULL;

    if (!s) {
        bk_room_give(&f->room, stored, p->info.segments[segment].stored);
        return NULL;
    }
    s->pack = p;
    s->index = segment;
    s->stored = stored;
    s->ahead = ahead;
    s->refs = 1; /* the range's, until it is done with */
    s->next = p->segs;
    p->segs = s;
    p->wanted &= ~bk_seg_bit(segment);
    f->ahead += ahead ? of(s)->stored : 0;
    link_newest(f, s);
    return s;
}

/* Somebody asks for it. */
static void asked_for(struct bk_fetch *f, struct bk_seg *s)
{
    if (s->ahead) {
        f->ahead -= (s->stored ? of(s)->stored : 0) + (s->plain ? of(s)->plain : 0);
        s->ahead = false;
        pthread_cond_signal(&f->work);
    }
    unlink_lru(f, s);
    link_newest(f, s);
}

void bk_seg_release(struct bk_fetch *f, struct bk_seg *s)
{
    if (--s->refs > 0)
        return;
    if (s->state == BK_SEG_FAILED)
        free(s);
    else if (f->starved > 0)
        pthread_cond_broadcast(&f->changed);
}

void bk_segs_free(struct bk_fetch *f)
{
    while (f->newest)
        remove_seg(f, f->newest);
}

/* ---- getting --------------------------------------------------------------------------------- */

/* Reading through so much that nobody wants is cheaper than another get. */
#define GAP (256u << 10)

/* The segment and those after it that are wanted and not here, as one range of at most `limit`
 * bytes; r->segs are not made yet. */
static void plan(const struct bk_fpack *p, uint32_t segment, size_t limit, struct bk_range *r)
{
    const struct bk_segment *segments = p->info.segments;
    uint64_t bytes = segments[segment].stored, gap = 0;

    r->pack = (struct bk_fpack *)(uintptr_t)p;
    r->first = segment;
    r->n = 1;
    r->offset = p->info.head;
    for (uint32_t i = 0; i < segment; i++)
        r->offset += segments[i].stored;
    r->bytes = bytes;
    for (uint32_t i = segment + 1; i < p->info.n_segments && i < BK_MAX_SEGMENTS; i++) {
        bytes += segments[i].stored;
        if (bytes > limit || segments[i].stored > BK_PACK_LIMIT)
            break;
        if (p->wanted & bk_seg_bit(i) && !bk_seg_find(p, i)) {
            r->n = i - segment + 1;
            r->bytes = bytes;
            gap = 0;
        } else if ((gap += segments[i].stored) > GAP) {
            break;
        }
    }
}

/* As many of them as there is room for; the first has its own. */
static bool make_segs(struct bk_fetch *f, struct bk_range *r, void *stored, bool ahead)
{
    struct bk_fpack *p = r->pack;

    memset(r->segs, 0, sizeof(r->segs));
    r->segs[0] = add_seg(f, p, r->first, stored, ahead);
    for (uint32_t i = 1; r->segs[0] && i < r->n; i++) {
        uint32_t segment = r->first + i;
        size_t n = p->info.segments[segment].stored;

        if (!(p->wanted & bk_seg_bit(segment)) || bk_seg_find(p, segment))
            continue;
        r->segs[i] = add_seg(f, p, segment, take(f, n, true, false), true);
        if (!r->segs[i])
            r->n = i;
    }
    while (r->n > 1 && !r->segs[r->n - 1]) /* it does not end with a gap */
        r->n--;
    r->bytes = 0;
    for (uint32_t i = 0; i < r->n; i++)
        r->bytes += p->info.segments[r->first + i].stored;
    return r->segs[0];
}

/* What did not arrive is not to be had, or not now. */
static void range_failed(struct bk_fetch *f, struct bk_range *r, int rc, const struct bk_err *why)
{
    uint64_t lost = 0;

    for (uint32_t i = 0; i < r->n; i++)
        if (r->segs[i] && r->segs[i]->state == BK_SEG_COMING)
            lost |= bk_seg_bit(r->first + i);
    if (bk_fetch_is_damage(rc)) {
        bool all = rc == BAKE_E_NOTFOUND || (rc == BAKE_E_CORRUPT && !r->pack->codec);

        bk_fetch_mark_bad(r->pack, all ? UINT64_MAX : lost, why);
        r->pack->listed = true;
    } else if (rc != BAKE_E_CANCELLED && rc != BAKE_E_NOMEM && !f->down) {
        f->down = malloc(sizeof(*f->down));
        if (f->down)
            *f->down = *why;
    }
}

static int run_range(struct bk_fetch *f, struct bk_range *r, struct bk_err *err)
{
    struct bk_err why = {0};
    int rc;

    f->busy++;
    pthread_mutex_unlock(&f->lock);
    rc = bk_fetch_range(f, r, &why);
    pthread_mutex_lock(&f->lock);
    f->busy--;
    if (rc < 0)
        range_failed(f, r, rc, &why);
    if (rc < 0 && r->segs[0]->state != BK_SEG_COMING)
        rc = BAKE_OK; /* what was asked for is here */
    for (uint32_t i = 0; i < r->n; i++) {
        struct bk_seg *s = r->segs[i];

        if (s && s->state == BK_SEG_COMING)
            remove_seg(f, s);
        if (s)
            bk_seg_release(f, s);
    }
    pthread_cond_broadcast(&f->changed);
    pthread_cond_broadcast(&f->work);
    if (rc < 0 && err)
        *err = why;
    return rc;
}

int bk_seg_fetch(struct bk_fetch *f, struct bk_fpack *p, uint32_t segment, bool wait,
                 struct bk_err *err)
{
    size_t limit = f->cache / 3 < BK_FETCH_RANGE ? f->cache / 3 : BK_FETCH_RANGE;
    size_t ahead_max = bk_fetch_ahead_max(f), n = p->info.segments[segment].stored;
    struct bk_range r;
    void *stored = take(f, n, true, wait);

    if (!stored)
        return wait ? bk_nomem(err) : BAKE_END;
    if (bk_seg_find(p, segment) || p->bad & bk_seg_bit(segment) || f->down) {
        bk_room_give(&f->room, stored, n); /* all has changed while we waited */
        return BAKE_OK;
    }
    if (f->ahead + limit > ahead_max)
        limit = f->ahead < ahead_max ? ahead_max - f->ahead : 0;
    plan(p, segment, limit, &r);
    if (!make_segs(f, &r, stored, !wait))
        return bk_nomem(err);
    return run_range(f, &r, err);
}

void bk_seg_arrived(struct bk_fetch *f, struct bk_seg *s)
{
    pthread_mutex_lock(&f->lock);
    s->state = BK_SEG_STORED;
    pthread_cond_broadcast(&f->changed);
    pthread_cond_signal(&f->work);
    pthread_mutex_unlock(&f->lock);
}

/* ---- decoding -------------------------------------------------------------------------------- */

static void decode_failed(struct bk_fetch *f, struct bk_seg *s, int rc, struct bk_err *why)
{
    if (rc == BAKE_E_CORRUPT) {
        (void)bk_fetch_prefix(f, s->pack, why);
        bk_fetch_mark_bad(s->pack, bk_seg_bit(s->index), why);
        s->pack->listed = true;
    } else if (rc != BAKE_E_CANCELLED && rc != BAKE_E_NOMEM && !f->down) {
        f->down = malloc(sizeof(*f->down));
        if (f->down)
            *f->down = *why;
    }
}

int bk_seg_decode(struct bk_fetch *f, struct bk_seg *s, bool wait, struct bk_err *err)
{
    struct bk_err why = {0};
    int rc;

    s->state = BK_SEG_DECODING;
    s->plain = take(f, of(s)->plain, false, wait);
    if (!s->plain) {
        s->state = BK_SEG_STORED;
        pthread_cond_broadcast(&f->changed);
        return wait ? bk_nomem(err) : BAKE_END;
    }
    f->ahead += s->ahead ? of(s)->plain : 0;
    f->busy++;
    s->refs++;
    pthread_mutex_unlock(&f->lock);
    rc = bk_fetch_decode(f, s, &why);
    pthread_mutex_lock(&f->lock);
    f->busy--;
    if (rc >= 0) {
        s->state = BK_SEG_READY;
        drop_stored(f, s);
    } else {
        decode_failed(f, s, rc, &why);
        remove_seg(f, s);
    }
    bk_seg_release(f, s);
    pthread_cond_broadcast(&f->changed);
    if (rc < 0 && err)
        *err = why;
    return rc;
}

/* ---- holding --------------------------------------------------------------------------------- */

static int refuse(const struct bk_err *why, struct bk_err *err)
{
    if (err && why)
        *err = *why;
    return why ? why->rc : bk_fail(err, BAKE_E_CORRUPT, "the segment is damaged");
}

int bk_seg_hold(struct bk_fetch *f, struct bk_fpack *p, uint32_t segment, struct bk_seg **ret,
                struct bk_err *err)
{
    for (;;) {
        struct bk_seg *s = bk_seg_find(p, segment);
        int rc = BAKE_OK;

        if (s && s->state == BK_SEG_READY) {
            asked_for(f, s);
            s->refs++;
            *ret = s;
            return BAKE_OK;
        }
        if (p->bad & bk_seg_bit(segment))
            return refuse(p->why, err);
        if (f->down)
            return refuse(f->down, err);
        if (bk_cancelled(f->cancel))
            return bk_fail(err, BAKE_E_CANCELLED, "cancelled");
        if (!s) {
            rc = bk_seg_fetch(f, p, segment, true, err);
        } else {
            s->refs++; /* not to be evicted before we have it */
            asked_for(f, s);
            if (s->state == BK_SEG_STORED)
                rc = bk_seg_decode(f, s, true, err);
            else
                pthread_cond_wait(&f->changed, &f->lock);
            bk_seg_release(f, s);
        }
        if (rc < 0)
            return rc;
    }
}
