/* The listing of a tree, stored beside its tar: mtree(5) as bsdtar and mtree read it, one full
 * path a line, in the tar's order, with the XXH128 of each file's content (filesum.h). It makes
 * `ls` cheap and lets a restore check every file by itself. */
#ifndef BK_LISTING_H
#define BK_LISTING_H

#include "base/buf.h"
#include "base/err.h"

#define BK_LISTING_HEAD "#mtree\n"

/* Appends one line. digest may be NULL (everything but files). */
int bk_listing_line(struct bk_buf *out, const struct bake_entry *e, const char *digest);

struct bk_listr;

/* pull(arg, &data, &n) lends the next bytes; n == 0 at the end; negative results are passed on. */
int bk_listr_new(int (*pull)(void *arg, const void **data, size_t *n), void *arg,
                 struct bk_listr **ret, struct bk_err *err);
/* The next entry (type, path, and what else the line says) and its digest ("" if it has none).
 * What they point at lives until the next call. OK, BAKE_END, or BAKE_E_CORRUPT. */
int bk_listr_next(struct bk_listr *r, struct bake_entry *ret, const char **ret_digest,
                  struct bk_err *err);
void bk_listr_free(struct bk_listr *r);

#endif
