/* Trees as tar (pax) streams, written and read through libarchive, in memory only: neither side
 * touches the disk. What is written is restored by GNU tar as it is; what GNU tar writes (gnu,
 * pax, ustar, all its forms of sparse files) is read. */
#ifndef BK_TAR_H
#define BK_TAR_H

#include "base/err.h"

/* ---- writing --------------------------------------------------------------------------------- */

struct bk_tarw;

/* emit() gets the stream in pieces, lent for the call; a negative result stops the writer, which
 * then returns it and leaves err alone. */
int bk_tarw_new(int (*emit)(void *arg, const void *data, size_t n), void *arg, struct bk_tarw **ret,
                struct bk_err *err);
/* entry is used during the call only. What the format cannot hold is BAKE_E_UNSUPPORTED, and
 * nothing was written: the next entry may follow. */
int bk_tarw_entry(struct bk_tarw *w, const struct bake_entry *e, struct bk_err *err);
int bk_tarw_data(struct bk_tarw *w, const void *data, size_t n, struct bk_err *err); /* in order */
/* After every entry; all bytes of a file's extents must have come. */
int bk_tarw_end_entry(struct bk_tarw *w, struct bk_err *err);
/* Instead of the bytes that are missing of the current entry: zeros; and ends it. */
int bk_tarw_fill(struct bk_tarw *w, struct bk_err *err);
int bk_tarw_finish(struct bk_tarw *w, struct bk_err *err); /* the end of the archive; all emitted */
void bk_tarw_free(struct bk_tarw *w);                      /* NULL is fine */

/* ---- reading --------------------------------------------------------------------------------- */

struct bk_tarr;

/* pull() lends the next bytes of the plain stream until its next call, n 0 at the end; a negative
 * result (its reason given to whom it concerns) ends the reading, which then returns it. */
int bk_tarr_new(int (*pull)(void *arg, const void **data, size_t *n), void *arg,
                struct bk_tarr **ret, struct bk_err *err);
/* OK | END, once all of the stream was pulled. What ret points at lives until the next call. Paths
 * are given as they stand, but for "./" before and '/' after them: they may be absolute or hold
 * "..", and are not to be trusted. BAKE_E_CORRUPT: cut, changed, not a tar. */
int bk_tarr_next(struct bk_tarr *r, struct bake_entry *ret, struct bk_err *err);
/* The bytes of a file's extents, in order. OK | END */
int bk_tarr_read(struct bk_tarr *r, struct bake_out *out, struct bk_err *err);
void bk_tarr_free(struct bk_tarr *r); /* NULL is fine */

#endif
