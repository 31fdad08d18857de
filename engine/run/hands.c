/* The hands' queue and threads. */
#include "run/hands.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#define AT_ONCE 8 /* jobs that a hand takes in one go: neighbours are often of one directory */

struct bk_hands;

struct hand {
    struct bk_hands *all;
    size_t number;
    pthread_t thread;
};

struct bk_hands {
    const struct bk_hands_ops *ops;
    void *arg;
    struct hand hands[BK_HANDS_MAX];
    size_t n;
    pthread_mutex_t lock;
    pthread_cond_t some, room, idle; /* jobs wait; few do; none is worked on */
    void *jobs[BK_HANDS_QUEUE];
    size_t first, waiting, busy, resting; /* resting: hands that wait for jobs */
    bool shut, full, ended;               /* full: the giver waits; ended: a job failed */
    struct bk_err failure;                /* rc 0: there is none to be told */
};

size_t bk_hands_share(size_t beside)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    size_t n = cores < 1 ? 1 : cores > BK_HANDS_MAX ? BK_HANDS_MAX : (size_t)cores;

    return beside >= n ? 1 : n / (beside ? beside : 1);
}

/* ---- a hand ---------------------------------------------------------------------------------- */

static void fail(struct bk_hands *h, int rc, struct bk_err *why)
{
    if (why->rc == 0)
        bk_fail(why, rc, "a job failed without saying why");
    if (!h->ended)
        h->failure = *why;
    h->ended = true;
}

/* Under the lock, which it lets go of meanwhile. */
static void do_jobs(struct bk_hands *h, size_t number, void **jobs, size_t n)
{
    struct bk_err err = {0};

    for (size_t i = 0; i < n; i++) {
        bool drop = h->ended;
        int rc = BAKE_OK;

        (void)pthread_mutex_unlock(&h->lock);
        if (err.rc)
            bk_err_clear(&err);
        if (drop)
            h->ops->drop(h->arg, jobs[i]);
        else
            rc = h->ops->work(h->arg, number, jobs[i], &err);
        (void)pthread_mutex_lock(&h->lock);
        if (rc < 0)
            fail(h, rc, &err);
    }
}

static size_t take(struct bk_hands *h, void **jobs)
{
    size_t fair = h->waiting / (2 * h->n), n = fair < 1 ? 1 : fair > AT_ONCE ? AT_ONCE : fair;

    for (size_t i = 0; i < n; i++) {
        jobs[i] = h->jobs[h->first];
        h->first = (h->first + 1) % BK_HANDS_QUEUE;
    }
    h->waiting -= n;
    if (h->full && h->waiting <= BK_HANDS_QUEUE / 2) { /* not for each: that costs a switch each */
        h->full = false;
        (void)pthread_cond_signal(&h->room);
    }
    return n;
}

static void *hand(void *arg)
{
    struct hand *me = arg;
    struct bk_hands *h = me->all;
    void *jobs[AT_ONCE];

    (void)pthread_mutex_lock(&h->lock);
    for (;;) {
        size_t n;

        while (h->waiting == 0 && !h->shut) {
            h->resting++;
            (void)pthread_cond_wait(&h->some, &h->lock);
            h->resting--;
        }
        if (h->waiting == 0)
            break;
        n = take(h, jobs);
        h->busy++;
        do_jobs(h, me->number, jobs, n);
        if (--h->busy == 0 && h->waiting == 0)
            (void)pthread_cond_signal(&h->idle);
    }
    (void)pthread_mutex_unlock(&h->lock);
    return NULL;
}

/* ---- the giver ------------------------------------------------------------------------------- */

int bk_hands_new(size_t n, const struct bk_hands_ops *ops, void *arg, struct bk_hands **ret,
                 struct bk_err *err)
{
    struct bk_hands *h = calloc(1, sizeof(*h));

    if (!h)
        return bk_nomem(err);
    h->ops = ops;
    h->arg = arg;
    (void)pthread_mutex_init(&h->lock, NULL);
    (void)pthread_cond_init(&h->some, NULL);
    (void)pthread_cond_init(&h->room, NULL);
    (void)pthread_cond_init(&h->idle, NULL);
    (void)pthread_mutex_lock(&h->lock); /* n is read by those that have begun */
    for (; h->n < n && h->n < BK_HANDS_MAX; h->n++) {
        struct hand *one = &h->hands[h->n];

        one->all = h;
        one->number = h->n;
        if (pthread_create(&one->thread, NULL, hand, one) != 0)
            break; /* fewer do it as well, and so does nobody */
    }
    (void)pthread_mutex_unlock(&h->lock);
    *ret = h;
    return BAKE_OK;
}

size_t bk_hands_count(const struct bk_hands *h) { return h->n ? h->n : 1; }

static int told(struct bk_hands *h, struct bk_err *err)
{
    int rc = h->failure.rc;

    if (rc < 0 && err)
        *err = h->failure;
    return rc;
}

int bk_hands_give(struct bk_hands *h, void *job, struct bk_err *err)
{
    int rc;

    (void)pthread_mutex_lock(&h->lock);
    if (h->n == 0) {
        do_jobs(h, 0, &job, 1);
    } else {
        while (h->waiting == BK_HANDS_QUEUE) {
            h->full = true;
            (void)pthread_cond_wait(&h->room, &h->lock);
        }
        h->jobs[(h->first + h->waiting++) % BK_HANDS_QUEUE] = job;
        if (h->resting > 0)
            (void)pthread_cond_signal(&h->some);
    }
    rc = told(h, err);
    (void)pthread_mutex_unlock(&h->lock);
    return rc;
}

int bk_hands_wait(struct bk_hands *h, struct bk_err *err)
{
    int rc;

    (void)pthread_mutex_lock(&h->lock);
    while (h->waiting > 0 || h->busy > 0)
        (void)pthread_cond_wait(&h->idle, &h->lock);
    rc = told(h, err);
    (void)pthread_mutex_unlock(&h->lock);
    return rc;
}

void bk_hands_free(struct bk_hands *h)
{
    if (!h)
        return;
    (void)pthread_mutex_lock(&h->lock);
    h->ended = h->shut = true;
    (void)pthread_cond_broadcast(&h->some);
    (void)pthread_mutex_unlock(&h->lock);
    for (size_t i = 0; i < h->n; i++)
        (void)pthread_join(h->hands[i].thread, NULL);
    (void)pthread_cond_destroy(&h->idle);
    (void)pthread_cond_destroy(&h->room);
    (void)pthread_cond_destroy(&h->some);
    (void)pthread_mutex_destroy(&h->lock);
    free(h);
}
