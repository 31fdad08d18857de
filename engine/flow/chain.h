/* The transforms of a pipeline applied one after the other to a stream, on the caller's thread. */
#ifndef BK_CHAIN_H
#define BK_CHAIN_H

#include "plugin/ctx.h"
#include "plugin/registry.h"

struct bk_transform { /* a transform with its options */
    const struct bk_plugin *plugin;
    const void *cfg;
};

struct bk_chain;

/* dir REVERSE runs the transforms from last to first. flags: BAKE_SMALL_OBJECT, BAKE_ONE_THREAD.
 * Without any transform bytes pass through. emit gets what comes out; a negative result of it ends
 * the push. */
int bk_chain_new(const struct bk_transform *transforms, size_t n, int dir, uint32_t flags,
                 struct bk_cancel *cancel,
                 int (*emit)(void *arg, const void *data, size_t n, struct bk_err *err), void *arg,
                 struct bk_chain **ret, struct bk_err *err);
int bk_chain_push(struct bk_chain *c, const void *data, size_t n, struct bk_err *err);
int bk_chain_finish(struct bk_chain *c, struct bk_err *err); /* ends the stream */
/* Ready for the next stream; after a finish, or in the middle of one. */
int bk_chain_reset(struct bk_chain *c, struct bk_err *err);
void bk_chain_free(struct bk_chain *c);

/* What bk_chain_new() would need at most, in bytes: the plugins' own word and our buffers. */
uint64_t bk_chain_memory(const struct bk_transform *transforms, size_t n, int dir, uint32_t flags);

#endif
