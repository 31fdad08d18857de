/* The lanes' threads. */
#include "run/lanes.h"

#include <pthread.h>
#include <stdlib.h>

struct lanes {
    pthread_mutex_t lock;
    size_t next, n;
    int (*work)(void *arg, size_t i, struct bk_err *err);
    void *arg;
    struct bk_err first;
};

static void *lane(void *arg)
{
    struct lanes *l = arg;

    for (;;) {
        struct bk_err err = {0};
        size_t i;
        int rc;

        pthread_mutex_lock(&l->lock);
        i = l->first.rc < 0 ? l->n : l->next++;
        pthread_mutex_unlock(&l->lock);
        if (i >= l->n)
            return NULL;
        rc = l->work(l->arg, i, &err);
        if (rc >= 0)
            continue;
        if (err.rc == 0) /* a failure is one, with or without a text */
            bk_fail(&err, rc, "item %zu failed without saying why", i);
        pthread_mutex_lock(&l->lock);
        if (l->first.rc == 0)
            l->first = err;
        pthread_mutex_unlock(&l->lock);
    }
}

int bk_lanes_run(size_t n, size_t parallel, int (*work)(void *arg, size_t i, struct bk_err *err),
                 void *arg, struct bk_err *err)
{
    struct lanes l = {.n = n, .work = work, .arg = arg};
    size_t want = n < parallel ? n : parallel, started = 0;
    pthread_t *threads = calloc(want + 1, sizeof(*threads));

    if (!threads)
        return bk_nomem(err);
    pthread_mutex_init(&l.lock, NULL);
    while (started + 1 < want && pthread_create(&threads[started], NULL, lane, &l) == 0)
        started++;
    (void)lane(&l); /* the caller's thread is a lane too: a thread that cannot be had is no harm */
    for (size_t i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    free(threads);
    pthread_mutex_destroy(&l.lock);
    if (l.first.rc < 0 && err)
        *err = l.first;
    return l.first.rc;
}
