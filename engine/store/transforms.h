/* The transforms that a component was written with, ready to be reversed. */
#ifndef BK_TRANSFORMS_H
#define BK_TRANSFORMS_H

#include "store/store.h"

/* One per name, in writing order: with the pipeline's options where it names the transform, with
 * the defaults elsewhere (a store read by its address alone). The array is the caller's to free,
 * what it points at lives as long as the store. */
int bk_store_transforms_for(struct bk_store *s, const struct bk_strv *names,
                            struct bk_transform **ret, struct bk_err *err);

#endif
