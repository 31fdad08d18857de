/* Mirrors of a repository: a backup goes to a sink only when every pack that it needs is there
 * (design 12.3). */
#ifndef BK_MIRROR_H
#define BK_MIRROR_H

#include "store/pack.h"
#include "store/store.h"

/* Copies what each usable sink but the base lacks of these packs (sorted). A sink that cannot be
 * filled is marked as failed: it lags, and gets no manifest. */
int bk_mirrors_fill(struct bk_store *store, struct bk_sink *base, const bk_id *packs, size_t n,
                    struct bk_err *err);

#endif
