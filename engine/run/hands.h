/* Hands: threads that help with one component. Jobs are worked on in the order they were given in,
 * several at once, from a queue that is bounded. */
#ifndef BK_HANDS_H
#define BK_HANDS_H

#include "base/err.h"

#define BK_HANDS_MAX   4
#define BK_HANDS_QUEUE 128 /* jobs that wait */

struct bk_hands;

struct bk_hands_ops {
    /* Takes the job over. hand: who works, below bk_hands_count(). A negative result ends all: what
     * waits is dropped. */
    int (*work)(void *arg, size_t hand, void *job, struct bk_err *err);
    void (*drop)(void *arg, void *job); /* will not be worked on. Any thread. */
};

/* How many are good for one of `beside` components that are worked on side by side. */
size_t bk_hands_share(size_t beside);

/* n 0: none; bk_hands_give() does the work itself, as hand 0. */
int bk_hands_new(size_t n, const struct bk_hands_ops *ops, void *arg, struct bk_hands **ret,
                 struct bk_err *err);
size_t bk_hands_count(const struct bk_hands *h); /* at least 1 */
/* Takes the job over, whatever comes of it. Waits while the queue is full. A failure is that of
 * any job before. One thread gives and waits. */
int bk_hands_give(struct bk_hands *h, void *job, struct bk_err *err);
/* Until all that was given is done. */
int bk_hands_wait(struct bk_hands *h, struct bk_err *err);
void bk_hands_free(struct bk_hands *h); /* drops what waits; NULL is fine */

#endif
