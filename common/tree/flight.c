/* What the extractor's thread and the threads that make files beside it tell each other. */
#include "tree/impl.h"

#include <string.h>

void bkc_fly(struct bkc_file *f)
{
    struct bkc_extract *x = f->x;
    struct bkc_level *l = f->level;

    (void)pthread_mutex_lock(&x->lock);
    l->files++;
    f->knows_owner = l->knows_owner;
    f->obj.uid = l->uid;
    f->obj.gid = l->gid;
    f->next = x->flying;
    if (f->next)
        f->next->prev = f;
    x->flying = f;
    (void)pthread_mutex_unlock(&x->lock);
}

void bkc_land(struct bkc_file *f)
{
    struct bkc_extract *x = f->x;
    struct bkc_level *l = f->level;

    if (!l)
        return;
    (void)pthread_mutex_lock(&x->lock);
    if (f->prev)
        f->prev->next = f->next;
    else
        x->flying = f->next;
    if (f->next)
        f->next->prev = f->prev;
    x->counts.files += f->placed;
    x->counts.bytes += f->bytes;
    l->written |= f->touched;
    if (--l->files == 0)
        atomic_store(&x->landed_left, true);
    (void)pthread_cond_broadcast(&x->landed);
    (void)pthread_mutex_unlock(&x->lock);
    f->level = NULL; /* it may be gone from here on */
}

static bool flies(const struct bkc_extract *x, const char *path)
{
    for (const struct bkc_file *f = x->flying; f; f = f->next)
        if (strcmp(f->path, path) == 0)
            return true;
    return false;
}

void bkc_await_path(struct bkc_extract *x, const char *path)
{
    (void)pthread_mutex_lock(&x->lock);
    while (flies(x, path))
        (void)pthread_cond_wait(&x->landed, &x->lock);
    (void)pthread_mutex_unlock(&x->lock);
}

void bkc_await_level(struct bkc_extract *x, struct bkc_level *l)
{
    (void)pthread_mutex_lock(&x->lock);
    while (l->files > 0)
        (void)pthread_cond_wait(&x->landed, &x->lock);
    l->touched |= l->written;
    (void)pthread_mutex_unlock(&x->lock);
}

bool bkc_level_busy(struct bkc_extract *x, struct bkc_level *l)
{
    bool busy;

    (void)pthread_mutex_lock(&x->lock);
    busy = l->files > 0;
    l->touched |= l->written;
    (void)pthread_mutex_unlock(&x->lock);
    return busy;
}

void bkc_owner_known(struct bkc_file *f)
{
    struct bkc_extract *x = f->x;

    (void)pthread_mutex_lock(&x->lock);
    f->level->knows_owner = true;
    f->level->uid = f->obj.uid;
    f->level->gid = f->obj.gid;
    (void)pthread_mutex_unlock(&x->lock);
}

int bkc_unnamed(struct bkc_extract *x, dev_t dev)
{
    int way;

    (void)pthread_mutex_lock(&x->lock);
    way = x->unnamed == BKC_YES && x->unnamed_dev != dev ? BKC_NO : x->unnamed;
    (void)pthread_mutex_unlock(&x->lock);
    return way;
}

void bkc_unnamed_learn(struct bkc_extract *x, dev_t dev, bool works)
{
    (void)pthread_mutex_lock(&x->lock);
    if (x->unnamed == BKC_UNKNOWN) {
        x->unnamed = works ? BKC_YES : BKC_NO;
        x->unnamed_dev = dev;
    }
    (void)pthread_mutex_unlock(&x->lock);
}
