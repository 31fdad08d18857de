/* A pack read whole, for being rewritten. */
#ifndef BK_SWEEP_WHOLE_H
#define BK_SWEEP_WHOLE_H

#include "store/pack.h"
#include "store/store.h"

struct bk_whole {
    struct bk_buf stored;
    struct bk_pack_head head;
    struct bk_pack_table table;
    struct bk_buf segment; /* the one that was decoded last */
};

/* All of it, checked against its name: what is copied is what was written. p is all zeros; to be
 * released whatever comes of it. */
int bk_whole_read(struct bk_store *store, struct bk_sink *sink, const bk_id *pack,
                  struct bk_whole *p, struct bk_err *err);
/* offset: where the segment stands in the pack. */
int bk_whole_decode(struct bk_store *store, struct bk_whole *p, size_t segment, uint64_t offset,
                    struct bk_err *err);
void bk_whole_release(struct bk_whole *p);

/* Puts bad/..., so that the next run stores the pack's chunks anew; if that fails, it is said. */
void bk_sweep_note_bad(struct bk_sink *sink, const bk_id *pack, const struct bk_err *reason);

#endif
