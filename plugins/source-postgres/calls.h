/* What blocks now and must wake when the run is cancelled: any thread. */
#ifndef PG_CALLS_H
#define PG_CALLS_H

#include "child/child.h"

struct pg_calls;

int pg_calls_new(struct pg_calls **ret);
void pg_calls_free(struct pg_calls *all);
/* From when it starts until it is freed. OK, or BAKE_E_NOMEM. */
int pg_calls_add(struct pg_calls *all, struct bkc_child *child);
void pg_calls_drop(struct pg_calls *all, struct bkc_child *child);
void pg_calls_wake(struct pg_calls *all); /* interrupt() */

#endif
