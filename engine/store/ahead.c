/* The queue of blocks and its thread. */
#include "store/ahead.h"

#include <pthread.h>
#include <stdlib.h>

#define BLOCKS 3u /* on their way; the caller fills one more */

struct block {
    unsigned char *data;
    struct bk_parts parts;
};

struct bk_ahead {
    int (*put)(void *arg, const unsigned char *data, size_t n, struct bk_err *err);
    void *arg;
    pthread_t thread;
    pthread_mutex_t lock; /* over all that follows */
    pthread_cond_t changed;
    struct block queue[BLOCKS];
    size_t first, n; /* the first is being worked on */
    unsigned char *spare;
    struct bk_err failed;
    bool ending;
};

static int put_block(struct bk_ahead *a, const struct block *b, struct bk_err *err)
{
    size_t at = 0;
    int rc = BAKE_OK;

    for (size_t i = 0; i < b->parts.n && rc >= 0; at = b->parts.ends[i++])
        rc = a->put(a->arg, b->data + at, b->parts.ends[i] - at, err);
    return rc;
}

/* Under the lock, which is let go of meanwhile. */
static void work(struct bk_ahead *a)
{
    struct block *b = &a->queue[a->first];
    struct bk_err err = {0};
    bool failed = a->failed.rc < 0;
    int rc;

    pthread_mutex_unlock(&a->lock);
    rc = failed ? BAKE_OK : put_block(a, b, &err);
    pthread_mutex_lock(&a->lock);
    if (rc < 0 && a->failed.rc == 0) {
        a->failed = err;
        if (err.rc == 0)
            (void)bk_fail(&a->failed, rc, "a chunk could not be put");
    }
    if (a->spare)
        free(b->data);
    else
        a->spare = b->data;
    b->data = NULL;
    a->first = (a->first + 1) % BLOCKS;
    a->n--;
    pthread_cond_broadcast(&a->changed);
}

static void *run(void *arg)
{
    struct bk_ahead *a = arg;

    pthread_mutex_lock(&a->lock);
    while (!a->ending) {
        if (a->n > 0)
            work(a);
        else
            pthread_cond_wait(&a->changed, &a->lock);
    }
    pthread_mutex_unlock(&a->lock);
    return NULL;
}

int bk_ahead_new(int (*put)(void *arg, const unsigned char *data, size_t n, struct bk_err *err),
                 void *arg, struct bk_ahead **ret, struct bk_err *err)
{
    struct bk_ahead *a = calloc(1, sizeof(*a));
    int e;

    if (!a)
        return bk_nomem(err);
    a->put = put;
    a->arg = arg;
    pthread_mutex_init(&a->lock, NULL);
    pthread_cond_init(&a->changed, NULL);
    e = pthread_create(&a->thread, NULL, run, a);
    if (e) {
        pthread_mutex_destroy(&a->lock);
        pthread_cond_destroy(&a->changed);
        free(a);
        return bk_fail_errno(err, e, "cannot start a thread that puts chunks");
    }
    *ret = a;
    return BAKE_OK;
}

/* Under the lock. */
static int state_of(const struct bk_ahead *a, struct bk_err *err)
{
    if (a->failed.rc < 0 && err)
        *err = a->failed;
    return a->failed.rc;
}

int bk_ahead_block(struct bk_ahead *a, unsigned char **ret, struct bk_err *err)
{
    int rc;

    pthread_mutex_lock(&a->lock);
    while (a->n == BLOCKS && a->failed.rc == 0)
        pthread_cond_wait(&a->changed, &a->lock);
    rc = state_of(a, err);
    *ret = NULL;
    if (rc >= 0) {
        *ret = a->spare;
        a->spare = NULL;
    }
    pthread_mutex_unlock(&a->lock);
    if (rc < 0 || *ret)
        return rc;
    *ret = malloc(BK_BLOCK_BYTES);
    return *ret ? BAKE_OK : bk_nomem(err);
}

void bk_ahead_push(struct bk_ahead *a, unsigned char *block, const struct bk_parts *parts)
{
    pthread_mutex_lock(&a->lock);
    a->queue[(a->first + a->n) % BLOCKS] = (struct block){block, *parts};
    a->n++;
    pthread_cond_broadcast(&a->changed);
    pthread_mutex_unlock(&a->lock);
}

int bk_ahead_wait(struct bk_ahead *a, struct bk_err *err)
{
    int rc;

    pthread_mutex_lock(&a->lock);
    while (a->n > 0)
        pthread_cond_wait(&a->changed, &a->lock);
    rc = state_of(a, err);
    pthread_mutex_unlock(&a->lock);
    return rc;
}

void bk_ahead_free(struct bk_ahead *a)
{
    if (!a)
        return;
    pthread_mutex_lock(&a->lock);
    a->ending = true;
    pthread_cond_broadcast(&a->changed);
    pthread_mutex_unlock(&a->lock);
    pthread_join(a->thread, NULL);
    for (size_t i = 0; i < BLOCKS; i++)
        free(a->queue[i].data);
    free(a->spare);
    pthread_mutex_destroy(&a->lock);
    pthread_cond_destroy(&a->changed);
    free(a);
}
