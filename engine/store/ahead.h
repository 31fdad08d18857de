/* A thread that digests and puts the chunks of a long stream, in order, while its owner reads and
 * cuts on. */
#ifndef BK_AHEAD_H
#define BK_AHEAD_H

#include "base/err.h"
#include "store/chunker.h"

#define BK_BLOCK_BYTES  (1u << 20)
#define BK_BLOCK_CHUNKS (BK_BLOCK_BYTES / BK_CHUNK_MIN + 1)

struct bk_parts { /* where the chunks of a block end */
    uint32_t ends[BK_BLOCK_CHUNKS];
    size_t n;
};

struct bk_ahead;

/* put is called for each chunk on the thread; after a failure for none. */
int bk_ahead_new(int (*put)(void *arg, const unsigned char *data, size_t n, struct bk_err *err),
                 void *arg, struct bk_ahead **ret, struct bk_err *err);
/* A free block of BK_BLOCK_BYTES, now the caller's; waits for one. Fails with what put said. */
int bk_ahead_block(struct bk_ahead *a, unsigned char **ret, struct bk_err *err);
/* Gives a block of malloc() with its chunks to the thread. After each bk_ahead_block() once. */
void bk_ahead_push(struct bk_ahead *a, unsigned char *block, const struct bk_parts *parts);
/* Until all of it is put. */
int bk_ahead_wait(struct bk_ahead *a, struct bk_err *err);
void bk_ahead_free(struct bk_ahead *a); /* what is not put yet is dropped; NULL is fine */

#endif
