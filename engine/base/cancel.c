/* Cancellation.
 *
 * A cancel's lock is held while its subscribers' wake() run: that is what makes the promise of
 * bk_cancel_unsubscribe() good. The order of locks therefore is: parent, child, subscriber's own.
 * Whoever holds the lock that its wake() takes must not subscribe, unsubscribe or fire;
 * bk_cancelled() takes no lock and may be called from anywhere. */
#include "base/cancel.h"
#include "base/clock.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct bk_cancel {
    atomic_bool fired;
    int fd;
    pthread_mutex_t lock;
    struct bk_cancel_sub *subs; /* under lock */
    struct bk_cancel *parent;
    struct bk_cancel_sub up; /* with parent */
};

static void fire_child(void *arg) { bk_cancel_fire(arg); }

int bk_cancel_new(struct bk_cancel *parent, struct bk_cancel **ret, struct bk_err *err)
{
    struct bk_cancel *c = calloc(1, sizeof(*c));
    if (!c)
        return bk_nomem(err);
    c->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (c->fd < 0) {
        int e = errno;
        free(c);
        return bk_fail_errno(err, e, "cannot make an event descriptor");
    }
    int e = pthread_mutex_init(&c->lock, NULL);
    if (e) {
        (void)close(c->fd);
        free(c);
        return bk_fail_errno(err, e, "cannot make a lock");
    }
    atomic_init(&c->fired, false);
    c->parent = parent;
    c->up.wake = fire_child;
    c->up.arg = c;
    if (parent)
        bk_cancel_subscribe(parent, &c->up);
    *ret = c;
    return 0;
}

void bk_cancel_free(struct bk_cancel *c)
{
    if (!c)
        return;
    if (c->parent)
        bk_cancel_unsubscribe(c->parent, &c->up);
    (void)pthread_mutex_destroy(&c->lock);
    (void)close(c->fd);
    free(c);
}

void bk_cancel_fire(struct bk_cancel *c)
{
    (void)pthread_mutex_lock(&c->lock);
    if (!bk_cancelled(c)) {
        uint64_t one = 1;
        atomic_store_explicit(&c->fired, true, memory_order_release);
        ssize_t n;
        do
            n = write(c->fd, &one, sizeof(one));
        while (n < 0 && errno == EINTR);
        for (struct bk_cancel_sub *s = c->subs; s; s = s->next)
            s->wake(s->arg);
    }
    (void)pthread_mutex_unlock(&c->lock);
}

bool bk_cancelled(const struct bk_cancel *c)
{
    return atomic_load_explicit(&c->fired, memory_order_acquire);
}

int bk_cancel_fd(const struct bk_cancel *c) { return c->fd; }

int bk_cancel_sleep(const struct bk_cancel *c, uint32_t ms)
{
    uint64_t end = bk_monotonic_ms() + ms;
    while (!bk_cancelled(c)) {
        uint64_t now = bk_monotonic_ms();
        if (now >= end)
            return 0;
        uint64_t left = end - now;
        struct pollfd p = {.fd = c->fd, .events = POLLIN};
        (void)poll(&p, 1, left > INT32_MAX ? INT32_MAX : (int)left);
    }
    return BAKE_E_CANCELLED;
}

void bk_cancel_subscribe(struct bk_cancel *c, struct bk_cancel_sub *sub)
{
    (void)pthread_mutex_lock(&c->lock);
    sub->prev = NULL;
    sub->next = c->subs;
    if (c->subs)
        c->subs->prev = sub;
    c->subs = sub;
    if (bk_cancelled(c))
        sub->wake(sub->arg);
    (void)pthread_mutex_unlock(&c->lock);
}

void bk_cancel_unsubscribe(struct bk_cancel *c, struct bk_cancel_sub *sub)
{
    (void)pthread_mutex_lock(&c->lock);
    if (sub->prev)
        sub->prev->next = sub->next;
    else
        c->subs = sub->next;
    if (sub->next)
        sub->next->prev = sub->prev;
    sub->next = sub->prev = NULL;
    (void)pthread_mutex_unlock(&c->lock);
}
