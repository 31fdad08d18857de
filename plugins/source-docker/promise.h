/* Promises as the daemon keeps them: volumes without content, found by their labels. */
#ifndef DOCKER_PROMISE_H
#define DOCKER_PROMISE_H

#include "hold.h"

#define DK_PROMISE_PREFIX "bakengine-promise-"
#define DK_LABEL_PROMISE  "bakengine.promise"
#define DK_LABEL_HOLDER   "bakengine.owner"
#define DK_NONCE_SIZE     17

/* Its nonce, and which text of the promise it is: the highest number counts. */
bool dk_promise_parse(const char *volume, char nonce[DK_NONCE_SIZE], unsigned *ret_number);
/* All of them, as in GET /volumes. */
int dk_promise_list(struct dk_source *s, struct bake_ctx *ctx, json_t **ret);
int dk_promise_forget(struct dk_source *s, struct bake_ctx *ctx, const char *volume);
int dk_promise_forget_all(struct dk_source *s, struct bake_ctx *ctx, const char *nonce);

#endif
