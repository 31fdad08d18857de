/* The receiver's spool: segments of the log that pg_receivewal has written, on their way to the
 * store. */
#ifndef PG_FOLLOW_H
#define PG_FOLLOW_H

#include "ops.h"

#define PG_SEGMENT_DIGITS 24

struct pg_spool {
    struct bake_ctx *ctx;
    char *directory; /* "<spool>/<system identifier>" */
    const char *stream;
    char kept[PG_SEGMENT_DIGITS + 1]; /* stored, and left there: it says where to go on */
    bool warned;                      /* that the store does not take them */
    uint64_t stored;
};

/* Stores what is there, oldest first, and removes it; but for the newest segment, which stays so
 * that pg_receivewal knows where to go on. Waits and tries again while the store cannot be reached.
 */
int pg_spool_put(struct pg_spool *s);
/* When there is no segment: the newest one that the store has. */
int pg_spool_seed(struct pg_spool *s);
/* Removes all segments and what was begun: pg_receivewal starts anew. */
int pg_spool_clear(struct pg_spool *s);

#endif
