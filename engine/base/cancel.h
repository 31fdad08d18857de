/* Cancellation: a flag that everybody can see, wait for and be woken by. Cancels form a tree: one
 * for the process (signals), one below it for each component, so that one failing component does
 * not end the others. Thread-safe. */
#ifndef BK_CANCEL_H
#define BK_CANCEL_H

#include "base/err.h"
#include <stdbool.h>

struct bk_cancel;

/* parent may be NULL; it must outlive the child. Firing the parent fires the child. */
int bk_cancel_new(struct bk_cancel *parent, struct bk_cancel **ret, struct bk_err *err);
void bk_cancel_free(struct bk_cancel *c); /* NULL is fine; no subscriber may be left */

void bk_cancel_fire(struct bk_cancel *c); /* once and for all; not from a signal handler */
bool bk_cancelled(const struct bk_cancel *c);
int bk_cancel_fd(const struct bk_cancel *c); /* readable once fired: poll() it, never read it */
/* 0, or BAKE_E_CANCELLED if fired before the time was over. */
int bk_cancel_sleep(const struct bk_cancel *c, uint32_t ms);

/* wake(arg) is called when c fires, on the thread that fires it (or at once if it has fired); it
 * may only wake somebody: take a lock for a moment, signal, broadcast. Embed the struct; it must
 * stay in place until bk_cancel_unsubscribe() returns, after which wake() is not running. */
struct bk_cancel_sub {
    void (*wake)(void *arg);
    void *arg;
    struct bk_cancel_sub *next, *prev;
};
void bk_cancel_subscribe(struct bk_cancel *c, struct bk_cancel_sub *sub);
void bk_cancel_unsubscribe(struct bk_cancel *c, struct bk_cancel_sub *sub);

#endif
