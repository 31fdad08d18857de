/* The chunk index of a store: which chunks are stored, and where. Sorted runs in the cache
 * directory, a table in memory for what is new; made from the store's index objects, and from the
 * packs' own tables where those say nothing. docs/format.md, "Index". Thread-safe. */
#ifndef BK_INDEX_H
#define BK_INDEX_H

#include "store/index_run.h"
#include "store/store.h"

struct bk_index;

struct bk_index_pack {
    bk_id id;
    uint64_t size;
    struct bk_segment *segments; /* owned by the index */
    uint32_t n_segments;
    uint32_t head; /* where the first segment begins */
    bool present;  /* listed with this size, neither condemned nor bad */
    bool used;     /* by the backup that is being written */
};

/* Reads what is cached for this store and brings it up to date with the base sink. */
int bk_index_open(struct bk_store *store, struct bk_index **ret, struct bk_err *err);
/* Keeps what is new for the next time. Failing to is no failure of anything else: said in err. */
int bk_index_save(struct bk_index *x, struct bk_err *err);
void bk_index_free(struct bk_index *x); /* NULL is fine */

/* BAKE_OK: it is stored, in a pack that is present (marked as used). BAKE_END: it is not, and from
 * now on counts as coming: the caller must put it into a pack. */
int bk_index_claim(struct bk_index *x, const bk_id *id, struct bk_err *err);
/* A pack was stored: its chunks have places now. */
int bk_index_add(struct bk_index *x, const bk_id *pack, uint64_t size, uint32_t head,
                 const struct bk_pack_table *table, struct bk_err *err);
/* Where a chunk is, and a copy of its pack, whose segments live as long as the index.
 * BAKE_E_NOTFOUND. mark: the pack is used. */
int bk_index_find(struct bk_index *x, const bk_id *id, bool mark, struct bk_loc *ret,
                  struct bk_index_pack *ret_pack, struct bk_err *err);

/* Every pack marked as used, sorted by id; the array is the caller's. */
int bk_index_used(struct bk_index *x, bk_id **ret, size_t *ret_n, struct bk_err *err);
uint64_t bk_index_count(struct bk_index *x); /* chunks */

#endif
