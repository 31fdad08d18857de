/* The chunk index of one sink of a store: which chunks are stored there, and where. Sorted runs in
 * the cache directory, a table in memory for what is new; made from the store's index objects, and
 * from the packs' own tables where those say nothing. docs/format.md, "Index". Thread-safe.
 *
 * A pack *counts* when it is listed with its size and neither condemned (by an object
 * gc/condemned-...) nor bad (bad/...). Chunks in other packs are found for reading, but are not
 * taken as stored. */
#ifndef BK_INDEX_H
#define BK_INDEX_H

#include "store/index_run.h"
#include "store/store.h"

#define BK_INDEX_READ 1u /* nothing is ever put into the store */

struct bk_index;

struct bk_index_pack {
    bk_id id;
    uint64_t size;
    struct bk_segment *segments; /* owned by the index */
    uint32_t n_segments;
    uint32_t head; /* where the first segment begins */
    bool present;  /* listed with this size */
    bool counts;   /* present, neither condemned nor bad nor distrusted */
    bool used;     /* by the backup that is being written */
    /* The index's own: an index object names it; places of its chunks in other packs may have been
     * let go of; it is distrusted and was not asked itself yet; the how manieth to be distrusted.
     */
    bool named, hides, distrusted;
    unsigned doubt;
    struct bk_segment *former; /* what was said before its own table was asked; may be borrowed */
};

/* Reads what is cached for this store and sink and brings it up to date with the sink. A writer
 * must have put its intent before. BAKE_E_CORRUPT (not with BK_INDEX_READ): what is condemned
 * cannot be read. */
int bk_index_open(struct bk_store *store, struct bk_sink *sink, unsigned flags,
                  struct bk_index **ret, struct bk_err *err);
/* Puts what no index object says yet, and keeps what is new for the next time. */
int bk_index_save(struct bk_index *x, struct bk_err *err);
void bk_index_free(struct bk_index *x); /* NULL is fine */
uint64_t bk_index_memory(void);         /* at most, beside a byte per chunk and 250 per pack */

/* BAKE_OK: it is stored, in a pack that counts (marked as used), or coming. BAKE_END: it is not,
 * and from now on counts as coming: the caller must put it into a pack. */
int bk_index_claim(struct bk_index *x, const bk_id *id, struct bk_err *err);
/* BAKE_OK: it is stored, in a pack that counts (marked as used). BAKE_END: it is not, or is only
 * coming. */
int bk_index_has(struct bk_index *x, const bk_id *id, struct bk_err *err);
/* A pack was stored: its chunks have places now. Now and then puts an index object, without
 * keeping others from the index meanwhile. */
int bk_index_add(struct bk_index *x, const bk_id *pack, uint64_t size, uint32_t head,
                 const struct bk_pack_table *table, struct bk_err *err);
/* Where a chunk is, best in a pack that counts, and a copy of its pack, whose segments live as long
 * as the index. BAKE_E_NOTFOUND. mark: the pack is used. */
int bk_index_find(struct bk_index *x, const bk_id *id, bool mark, struct bk_loc *ret,
                  struct bk_index_pack *ret_pack, struct bk_err *err);
/* A pack turned out to be damaged, or not to hold what was said: it does not count any more, other
 * places of its chunks are preferred, and where there is none the pack's own table is asked. For as
 * long as this index is open. */
void bk_index_distrust(struct bk_index *x, const bk_id *pack);

/* Every pack marked as used, sorted by id; the array is the caller's. */
int bk_index_used(struct bk_index *x, bk_id **ret, size_t *ret_n, struct bk_err *err);
/* A copy of all packs that are known, also those that are not present any more; the array is the
 * caller's. A pack keeps its place in it as long as the index is open. */
int bk_index_packs(struct bk_index *x, struct bk_index_pack **ret, size_t *ret_n,
                   struct bk_err *err);
uint64_t bk_index_count(struct bk_index *x); /* chunks; one in two packs may count twice */

/* ---- for prune ------------------------------------------------------------------------------- */

/* A chunk is live. *ret_first (may be NULL): it was not marked before. BAKE_E_NOTFOUND: not known.
 * What was marked is lost once the runs turn out to be damaged: all three fail with BAKE_E_CORRUPT
 * then. */
int bk_index_mark(struct bk_index *x, const bk_id *id, bool *ret_first, struct bk_err *err);
/* BAKE_OK: it was marked. BAKE_END: it was not. */
int bk_index_marked(struct bk_index *x, const bk_id *id, struct bk_err *err);
/* Plain bytes of marked chunks per pack, in the order of bk_index_packs(); a chunk counts in one
 * pack alone, the one find() would have named when it was marked. The array is the caller's. */
int bk_index_weigh(struct bk_index *x, uint64_t **ret_live, size_t *ret_n, struct bk_err *err);

struct bk_index_keep {
    /* False: the pack is, or will be, removed: no index object is to name it, and for this index it
     * is not there any more. NULL: all stay. */
    bool (*pack)(void *arg, const struct bk_index_pack *pack);
    /* Asked once all is written and nothing removed: may index objects be removed (is the lease
     * still held)? NULL: yes. */
    int (*confirm)(void *arg, struct bk_err *err);
    void *arg;
};
/* Writes new index objects for all packs of this sink, those of other writers too, then removes the
 * objects that were there. May be killed anywhere: until the new ones are there the old ones are.
 * keep may be NULL. Not with BK_INDEX_READ. */
int bk_index_replace(struct bk_index *x, const struct bk_index_keep *keep, struct bk_err *err);
/* Are there so many index objects that replacing them is worth it? */
bool bk_index_scattered(struct bk_index *x);

#endif
