/* Copying live chunks out of packs into new ones, a round at a time. */
#ifndef BK_SWEEP_COPY_H
#define BK_SWEEP_COPY_H

#include "run/sweep_private.h"

struct bk_copy;

/* packs: the index's, by number, with all marks made; chosen: which are to be replaced. All must
 * live until free; nothing may be added to the index meanwhile. */
int bk_copy_new(struct bk_store *store, struct bk_sink *sink, struct bk_index *index,
                const struct bk_index_pack *packs, const struct bk_chosen *chosen,
                struct bk_copy **ret, struct bk_err *err);
void bk_copy_free(struct bk_copy *c); /* NULL is fine */

/* Copies what is live in this pack and stands in no pack that stays. A pack that cannot be read
 * whole is left alone, with a warning. */
int bk_copy_pack(struct bk_copy *c, size_t number, struct bk_err *err);
/* So much is under way that the round should end: memory is bounded. */
bool bk_copy_enough(const struct bk_copy *c);
/* Waits until all is durable; then where the packs of this round went: into ret's moves, and all
 * packs on their right, sorted, into an array of the caller's. Begins the next round. */
int bk_copy_end(struct bk_copy *c, struct bk_moved *ret, bk_id **ret_right, size_t *ret_n,
                struct bk_err *err);
uint64_t bk_copy_written(struct bk_copy *c); /* bytes of new packs, in one sink */

#endif
