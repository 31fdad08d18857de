/* Objects below backups/ that belong to no backup: runs that were killed leave them. */
#ifndef BK_GARBAGE_H
#define BK_GARBAGE_H

#include "run/lease.h"

struct bk_garbage {
    uint64_t objects, bytes; /* removed, or to be removed */
};

/* Removes what no manifest stands beside, that is older than BK_GARBAGE_GRACE_MS by the sink's own
 * clock and that no live writer claims; and what killed puts left. lease NULL: only counts. */
int bk_garbage_collect(struct bk_sink *sink, struct bk_lease *lease, struct bk_garbage *ret,
                       struct bk_err *err);

#endif
