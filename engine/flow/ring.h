/* A bounded ring of bytes between two threads, with end, failure and cancel carried through it.
 * One writing thread, one reading thread. Owned by a flow (flow.h), which wakes it on cancel. */
#ifndef BK_RING_H
#define BK_RING_H

#include "base/cancel.h"

struct bk_ring;

int bk_ring_new(size_t capacity, struct bk_cancel *cancel, struct bk_ring **ret,
                struct bk_err *err);
void bk_ring_free(struct bk_ring *r); /* NULL is fine; nobody may be in it any more */

/* Writing side. OK or BAKE_E_CANCELLED. */
int bk_ring_write(struct bk_ring *r, const void *data, size_t n); /* blocks while full */
void bk_ring_finish(struct bk_ring *r);                           /* no more bytes will come */

/* Reading side, without copying: peek blocks until there is at least one byte, and lends them
 * until consume. OK, BAKE_END or BAKE_E_CANCELLED. */
int bk_ring_peek(struct bk_ring *r, const void **ret_data, size_t *ret_n);
void bk_ring_consume(struct bk_ring *r, size_t n);

#endif
