/* Prune's lease: one prune at a time in a sink. Renewed while it is held; one that has not been
 * renewed for BK_INTENT_EXPIRE_MS by the sink's own clock belonged to a host that died. */
#ifndef BK_LEASE_H
#define BK_LEASE_H

#include "run/intent.h"

struct bk_lease;

/* BK_E_LOCKED says who holds it. */
int bk_lease_take(struct bk_sink *sink, const char *host, struct bk_lease **ret,
                  struct bk_err *err);
/* Still ours, and fresh enough to go on deleting under it? */
int bk_lease_check(struct bk_lease *l, struct bk_err *err);
void bk_lease_release(struct bk_lease *l); /* NULL is fine */

/* The sink's own idea of now: the time it gives to an object put this moment. */
int bk_sink_now(struct bk_sink *sink, int64_t *ret_ns, struct bk_err *err);

#endif
