/* A flow: the threads and rings that one component's bytes go through. Any stage's failure ends
 * all of them; the first failure is the flow's. */
#ifndef BK_FLOW_H
#define BK_FLOW_H

#include "flow/ring.h"

#define BK_FLOW_MAX_STAGES 16

struct bk_flow;

/* parent: fires this flow's cancel too. */
int bk_flow_new(struct bk_cancel *parent, struct bk_flow **ret, struct bk_err *err);
/* Cancels and joins whatever still runs: from then on what the stages used can be freed. */
void bk_flow_stop(struct bk_flow *f);
/* Stops it first. What subscribed to its cancel must be gone. NULL is fine. */
void bk_flow_free(struct bk_flow *f);

struct bk_cancel *bk_flow_cancel(struct bk_flow *f); /* for the contexts of its plugins */
int bk_flow_ring(struct bk_flow *f, size_t capacity, struct bk_ring **ret, struct bk_err *err);

/* Starts a thread. fn returns 0, or a negative result with its err set. `name` (at most 15 bytes)
 * is the thread's, for debuggers and profilers. */
int bk_flow_start(struct bk_flow *f, const char *name, int (*fn)(void *arg, struct bk_err *err),
                  void *arg, struct bk_err *err);
/* A failure on the thread that owns the flow: recorded like a stage's (the first one wins). */
void bk_flow_fail(struct bk_flow *f, const struct bk_err *err);
/* Joins all stages. 0, or the first failure in err; BAKE_E_CANCELLED when only the parent asked. */
int bk_flow_wait(struct bk_flow *f, struct bk_err *err);

#endif
