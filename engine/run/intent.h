/* A writer's intent: writers/<id> in every sink, renewed while the run lives, so that prune does
 * not take its unfinished objects for garbage (design 12.1). */
#ifndef BK_INTENT_H
#define BK_INTENT_H

#include "store/store.h"

#define BK_INTENT_RENEW_MS  (60u * 1000)
#define BK_INTENT_EXPIRE_MS (30u * 60 * 1000) /* by the sink's own clock */

struct bk_intent;

/* Puts name (below writers/ or gc/) and keeps renewing it on a thread of its own. */
int bk_intent_start(struct bk_store *store, const char *name, const char *host, uint32_t flags,
                    struct bk_intent **ret, struct bk_err *err);
/* Does it still stand in every usable sink? A prune removes one that was not renewed for long, and
 * then what its run relies upon may be gone (design 12.1): such a sink is marked as failed. Fails
 * when none is left. */
int bk_intent_check(struct bk_intent *i, struct bk_err *err);
/* Ends the renewing and removes it. NULL is fine. */
void bk_intent_stop(struct bk_intent *i);

#endif
