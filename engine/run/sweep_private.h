/* A sweep's inside, shared by its files. */
#ifndef BK_SWEEP_PRIVATE_H
#define BK_SWEEP_PRIVATE_H

#include "run/sweep.h"
#include "store/condemned.h"
#include "store/index.h"
#include "store/moves.h"

struct bk_sweep_pack { /* as the sink lists it */
    bk_id id;
    uint64_t size;
    int64_t mtime_ns;
    bool needed;
    bool condemned; /* named by some gc/condemned-... */
    bool waits;     /* for writers */
    bool fixed;     /* needed by a backup that could not be read through: not to be moved */
    bool gone;
};

struct bk_sweep {
    struct bk_store *store;
    struct bk_sink *sink;
    struct bk_lease *lease;
    const struct bk_strv *without;
    int64_t now_ns;
    struct bk_sweep_pack *packs; /* by id */
    size_t n_packs, cap_packs;
    struct bk_moves moves;
    struct bk_condemned_list condemned;
    struct bk_manifest **backups; /* that were marked */
    size_t n_backups, cap_backups;
    struct bk_strv writers; /* ids of those that live */
    struct bk_swept counts;
};

/* Go on: neither cancelled nor without the lease. */
int bk_sweep_check(struct bk_sweep *s, struct bk_err *err);
/* NULL: the sink did not list it. */
struct bk_sweep_pack *bk_sweep_pack_of(const struct bk_sweep *s, const bk_id *id);

/* sweep_mark.c */
int bk_sweep_list_packs(struct bk_sweep *s, struct bk_err *err);
/* Marks what the backups need that were not looked at yet. */
int bk_sweep_mark(struct bk_sweep *s, struct bk_err *err);
/* Marks as fixed what a backup needs. */
int bk_sweep_fix(struct bk_sweep *s, const struct bk_manifest *b, struct bk_err *err);

/* sweep_walk.c: which chunks are live */
struct bk_walk;
int bk_walk_new(struct bk_store *store, struct bk_sink *sink, struct bk_index *index,
                struct bk_walk **ret, struct bk_err *err);
void bk_walk_free(struct bk_walk *w); /* NULL is fine */
/* Marks every chunk that a backup refers to in the index. What of it cannot be read: the backup is
 * damaged; unless *ret_fatal, the others can still be walked. */
int bk_walk_backup(struct bk_walk *w, const struct bk_manifest *b, bool *ret_fatal,
                   struct bk_err *err);

/* sweep_choose.c: which packs are worth it. An array of numbers of the index's packs, the caller's,
 * and how many of their plain bytes are live. */
struct bk_chosen {
    bool *is; /* by number */
    size_t n_packs, n;
    uint64_t plain, live;  /* bytes in them */
    uint64_t stored, dead; /* as stored; dead is what would be freed, about */
};
int bk_sweep_choose(struct bk_sweep *s, struct bk_index *index, const struct bk_index_pack *packs,
                    size_t n, struct bk_chosen *ret, struct bk_err *err);

#endif
