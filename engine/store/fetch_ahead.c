/* What is wanted soon: two threads fetch and decode it before it is asked for, up to a half of the
 * cache. */
#include "store/fetch_private.h"

size_t bk_fetch_ahead_max(const struct bk_fetch *f) { return f->cache / 2; }

/* A segment that has arrived ahead of who wants it. The oldest is wanted first. */
static struct bk_seg *to_decode(const struct bk_fetch *f)
{
    struct bk_seg *s = f->oldest;

    while (s && !(s->state == BK_SEG_STORED && s->ahead))
        s = s->newer;
    return s;
}

/* The next wish that was not yet granted. */
static bool to_fetch(struct bk_fetch *f, struct bk_wish *ret)
{
    for (; f->n_go > 0; f->n_go--, f->n_wishes--, f->wish_at = (f->wish_at + 1) % BK_WISHES) {
        *ret = f->wishes[f->wish_at];
        if (ret->pack->wanted & bk_seg_bit(ret->segment))
            return true;
    }
    return false;
}

/* All that is wanted is of this pack, and more of it may be soon: one range is better than two. */
static bool can_wait(const struct bk_fetch *f, const struct bk_wish *wish)
{
    const struct bk_wish *last = &f->wishes[(f->wish_at + f->n_wishes - 1) % BK_WISHES];

    return f->ahead >= bk_fetch_ahead_max(f) / 4 && last->pack == wish->pack &&
           last->segment + 1 < wish->pack->info.n_segments;
}

/* Under the lock. True: something was done. */
static bool do_something(struct bk_fetch *f)
{
    struct bk_seg *s = to_decode(f);
    struct bk_wish wish;

    if (s && f->ahead + s->pack->info.segments[s->index].plain <= bk_fetch_ahead_max(f) &&
        bk_seg_decode(f, s, false, NULL) != BAKE_END)
        return true;
    if (f->ahead >= bk_fetch_ahead_max(f) / 2 || f->down || !to_fetch(f, &wish) ||
        can_wait(f, &wish))
        return false;
    if (bk_seg_fetch(f, wish.pack, wish.segment, false, NULL) == BAKE_END)
        return false;
    wish.pack->wanted &= ~bk_seg_bit(wish.segment); /* granted or not: it is not tried again */
    return true;
}

static void *worker(void *arg)
{
    struct bk_fetch *f = arg;

    pthread_mutex_lock(&f->lock);
    while (!f->ending && !bk_cancelled(f->cancel))
        if (!do_something(f) && !f->ending && !bk_cancelled(f->cancel))
            pthread_cond_wait(&f->work, &f->lock);
    pthread_mutex_unlock(&f->lock);
    return NULL;
}

void bk_fetch_wish(struct bk_fetch *f, struct bk_fpack *p, uint32_t segment)
{
    uint64_t bit = bk_seg_bit(segment);

    if ((p->wanted | p->bad | p->proven) & bit || bk_seg_find(p, segment) || f->ending)
        return;
    p->wanted |= bit;
    if (f->n_wishes < BK_WISHES) /* one more is only fetched when it is asked for */
        f->wishes[(f->wish_at + f->n_wishes++) % BK_WISHES] = (struct bk_wish){p, segment};
    while (f->n_workers < BK_WORKERS &&
           pthread_create(&f->workers[f->n_workers], NULL, worker, f) == 0)
        f->n_workers++;
}

void bk_fetch_go(struct bk_fetch *f)
{
    pthread_mutex_lock(&f->lock);
    if (f->n_go != f->n_wishes) {
        f->n_go = f->n_wishes;
        pthread_cond_broadcast(&f->work);
    }
    pthread_mutex_unlock(&f->lock);
}

void bk_fetch_end_workers(struct bk_fetch *f)
{
    pthread_mutex_lock(&f->lock);
    f->ending = true;
    pthread_cond_broadcast(&f->work);
    pthread_mutex_unlock(&f->lock);
    for (size_t i = 0; i < f->n_workers; i++)
        pthread_join(f->workers[i], NULL);
}
