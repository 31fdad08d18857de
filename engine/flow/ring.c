/* The byte ring: mutex, two conditions, and a wake-up from the cancel. */
#include "flow/ring.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct bk_ring {
    pthread_mutex_t lock;
    pthread_cond_t readable, writable;
    struct bk_cancel *cancel;
    struct bk_cancel_sub sub;
    size_t capacity;
    size_t head, used; /* bytes [head, head + used) modulo capacity are waiting to be read */
    size_t batch;      /* a sleeper is woken for no less than this, but for the end */
    bool reader_sleeps, writer_sleeps;
    bool finished;
    char *data;
};

/* Called while the cancel fires: taking the lock once makes sure that nobody is between testing
 * the flag and going to sleep. */
static void wake(void *arg)
{
    struct bk_ring *r = arg;

    pthread_mutex_lock(&r->lock);
    pthread_cond_broadcast(&r->readable);
    pthread_cond_broadcast(&r->writable);
    pthread_mutex_unlock(&r->lock);
}

int bk_ring_new(size_t capacity, struct bk_cancel *cancel, struct bk_ring **ret, struct bk_err *err)
{
    struct bk_ring *r = calloc(1, sizeof(*r));

    if (!r || !(r->data = malloc(capacity))) {
        free(r);
        return bk_nomem(err);
    }
    r->capacity = capacity;
    /* Waking a thread costs more than copying some kilobytes: both sides sleep through small
     * change. Nobody is left asleep: a full ring is more than a batch to read, an empty one to
     * write. */
    r->batch = capacity >= 4 ? capacity / 4 : 1;
    r->cancel = cancel;
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->readable, NULL);
    pthread_cond_init(&r->writable, NULL);
    r->sub.wake = wake;
    r->sub.arg = r;
    bk_cancel_subscribe(cancel, &r->sub);
    *ret = r;
    return BAKE_OK;
}

void bk_ring_free(struct bk_ring *r)
{
    if (!r)
        return;
    bk_cancel_unsubscribe(r->cancel, &r->sub);
    pthread_mutex_destroy(&r->lock);
    pthread_cond_destroy(&r->readable);
    pthread_cond_destroy(&r->writable);
    free(r->data);
    free(r);
}

/* Waits for room; returns where it is and how much of it lies in one piece. */
static int wait_room(struct bk_ring *r, char **ret, size_t *ret_n)
{
    size_t tail, room;

    pthread_mutex_lock(&r->lock);
    while (r->used == r->capacity && !bk_cancelled(r->cancel)) {
        r->writer_sleeps = true;
        pthread_cond_wait(&r->writable, &r->lock);
    }
    r->writer_sleeps = false;
    tail = (r->head + r->used) % r->capacity;
    room = r->capacity - r->used;
    pthread_mutex_unlock(&r->lock);
    if (bk_cancelled(r->cancel))
        return BAKE_E_CANCELLED;
    *ret = r->data + tail;
    *ret_n = room < r->capacity - tail ? room : r->capacity - tail;
    return BAKE_OK;
}

int bk_ring_write(struct bk_ring *r, const void *data, size_t n)
{
    const char *from = data;

    while (n > 0) {
        char *to;
        size_t room;
        int rc = wait_room(r, &to, &room);

        if (rc < 0)
            return rc;
        if (room > n)
            room = n;
        /* Outside the lock: the reader never looks beyond `used`, and only we add to it. */
        memcpy(to, from, room);
        pthread_mutex_lock(&r->lock);
        r->used += room;
        if (r->reader_sleeps && r->used >= r->batch)
            pthread_cond_signal(&r->readable);
        pthread_mutex_unlock(&r->lock);
        from += room;
        n -= room;
    }
    return bk_cancelled(r->cancel) ? BAKE_E_CANCELLED : BAKE_OK;
}

void bk_ring_finish(struct bk_ring *r)
{
    pthread_mutex_lock(&r->lock);
    r->finished = true;
    pthread_cond_signal(&r->readable);
    pthread_mutex_unlock(&r->lock);
}

int bk_ring_peek(struct bk_ring *r, const void **ret_data, size_t *ret_n)
{
    int rc = BAKE_OK;

    pthread_mutex_lock(&r->lock);
    while (r->used == 0 && !r->finished && !bk_cancelled(r->cancel)) {
        r->reader_sleeps = true;
        pthread_cond_wait(&r->readable, &r->lock);
    }
    r->reader_sleeps = false;
    if (bk_cancelled(r->cancel)) {
        rc = BAKE_E_CANCELLED;
    } else if (r->used == 0) {
        rc = BAKE_END;
    } else {
        *ret_data = r->data + r->head;
        *ret_n = r->used < r->capacity - r->head ? r->used : r->capacity - r->head;
    }
    pthread_mutex_unlock(&r->lock);
    return rc;
}

void bk_ring_consume(struct bk_ring *r, size_t n)
{
    pthread_mutex_lock(&r->lock);
    r->head = (r->head + n) % r->capacity;
    r->used -= n;
    if (r->writer_sleeps && r->capacity - r->used >= r->batch)
        pthread_cond_signal(&r->writable);
    pthread_mutex_unlock(&r->lock);
}
