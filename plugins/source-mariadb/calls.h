/* What blocks now and must wake when the run is cancelled: any thread. */
#ifndef MY_CALLS_H
#define MY_CALLS_H

#include "child/child.h"

struct my_calls;

int my_calls_new(struct my_calls **ret);
void my_calls_free(struct my_calls *all);
/* From when it starts until it is freed. OK, or BAKE_E_NOMEM. */
int my_calls_add(struct my_calls *all, struct bkc_child *child);
void my_calls_drop(struct my_calls *all, struct bkc_child *child);
void my_calls_wake(struct my_calls *all); /* interrupt() */

#endif
