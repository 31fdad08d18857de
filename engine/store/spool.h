/* A stream whose size must be known before it can be written: kept compressed in a file without a
 * name until it has ended, then read once. One thread at a time. */
#ifndef BK_SPOOL_H
#define BK_SPOOL_H

#include "base/digest.h"

#define BK_SPOOL_FREE (UINT64_C(1) << 30) /* so much must stay free on the file system */

struct bk_spool;

/* dir NULL: $TMPDIR or /var/tmp. spare: what must stay free there while it is written, too. */
int bk_spool_new(const char *dir, uint64_t spare, struct bk_spool **ret, struct bk_err *err);
int bk_spool_write(struct bk_spool *s, const void *data, size_t n, struct bk_err *err);
/* No more comes: its size and digest. */
int bk_spool_end(struct bk_spool *s, uint64_t *ret_size, char ret_sha256[BK_SHA256_HEX],
                 struct bk_err *err);
/* After the end: the bytes, in order. OK | BAKE_END. */
int bk_spool_read(struct bk_spool *s, struct bake_out *out, struct bk_err *err);
void bk_spool_free(struct bk_spool *s); /* NULL is fine */
uint64_t bk_spool_memory(void);

#endif
