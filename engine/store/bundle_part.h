/* A component within a bundle's tar, or within a foreign archive's: its entries with their paths as
 * the component has them. One thread. */
#ifndef BK_BUNDLE_PART_H
#define BK_BUNDLE_PART_H

#include "store/manifest.h"
#include "store/tar.h"

struct bk_partr;

/* tar: at its beginning; m and c must live until free. */
int bk_partr_new(struct bk_tarr *tar, const struct bk_manifest *m, const struct bk_mcomp *c,
                 struct bk_partr **ret, struct bk_err *err);
/* OK | BAKE_END, which is before the tar's own end. Lives until the next call. */
int bk_partr_next(struct bk_partr *p, struct bake_entry *ret, struct bk_err *err);
/* The current file's bytes, of a tree: its extents'. OK | BAKE_END */
int bk_partr_read(struct bk_partr *p, struct bake_out *out, struct bk_err *err);
/* All bytes of a blob, holes as zeros; its digest is checked at the end. OK | BAKE_END */
int bk_partr_blob(struct bk_partr *p, struct bake_out *out, struct bk_err *err);
void bk_partr_free(struct bk_partr *p); /* not the tar; NULL is fine */

/* Is nothing of the backup behind the component in its bundle? */
bool bk_part_is_last(const struct bk_manifest *m, const struct bk_mcomp *c);

#endif
