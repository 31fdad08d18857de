/* Packs that no backup needs: mark and sweep in a repository's sinks (docs/format.md).
 *
 * The order, each step safe to be killed after:
 * 1. Writers whose intent has expired lose it. Only then the backups are looked at.
 * 2. Mark: a pack is needed if any backup's list in that sink names it, moves considered.
 * 3. Condemn: packs that are not needed and older than BK_GARBAGE_GRACE_MS, or that were moved;
 * then the writers that live by then are named.
 * 4. Mark again what was committed meanwhile, then remove condemned packs whose writers have all
 *    ended. The others wait for a later prune.
 * 5. Rewrite: see bk_sweep_rewrite(). What was moved is condemned as in 3 and 4.
 *
 * A backup whose manifest or list cannot be read might need anything: nothing is swept or rewritten
 * in its sink (BK_E_VERIFY). */
#ifndef BK_SWEEP_H
#define BK_SWEEP_H

#include "run/lease.h"

/* Rewriting: packs of which less than half is live, if together that frees 1/20 of the store or 64
 * MiB, or else those of which less than a quarter is; and small packs, once they are many. */
#define BK_REWRITE_SHARE 20u
#define BK_REWRITE_BYTES (64ull << 20)
#define BK_REWRITE_SMALL (4u << 20) /* plain bytes */
#define BK_REWRITE_MANY  16u        /* of a kind */
#define BK_SWEEP_OBJECTS 32u        /* index objects that are looked at more closely */

struct bk_swept {                        /* done, or to be done */
    uint64_t removed, removed_bytes;     /* packs that are gone */
    uint64_t condemned, condemned_bytes; /* packs that wait for writers */
    uint64_t young, young_bytes;         /* not needed either, but not old enough to go */
    uint64_t rewritten, rewritten_bytes; /* packs that were replaced, as they were stored */
    uint64_t written_bytes;              /* of the packs that replace them, in all sinks */
};

struct bk_sweep; /* of one sink */

/* lease NULL: a dry run, which writes nothing at all. without (sorted, may be NULL): ids of backups
 * that a dry run takes as removed. All must live until free. */
int bk_sweep_new(struct bk_store *store, struct bk_sink *sink, struct bk_lease *lease,
                 const struct bk_strv *without, struct bk_sweep **ret, struct bk_err *err);
void bk_sweep_free(struct bk_sweep *s); /* NULL is fine */

/* Steps 1 to 4. May be called again. */
int bk_sweep_run(struct bk_sweep *s, struct bk_err *err);

/* Step 5, for the whole store: all[0] is the base sink's, all[...] those of every other usable one,
 * each after bk_sweep_run(). The backups' metadata are read in the base sink; chunks that they need
 * are copied out of the packs chosen into new ones, which go to every sink, and moved/... says so
 * for these backups. *ret_moved: bk_sweep_run() is to be called again. */
int bk_sweep_rewrite(struct bk_sweep **all, size_t n, bool *ret_moved, struct bk_err *err);

/* Afterwards: what has no meaning any more in moved/, bad/ and gc/ goes, and index objects are
 * replaced if they are scattered (or, if thorough, if packs were removed). */
int bk_sweep_clean(struct bk_sweep *s, bool thorough, struct bk_err *err);

const struct bk_swept *bk_sweep_counts(const struct bk_sweep *s);

#endif
