/* moved/<16 hex>: packs that prune has rewritten. For the backups that such an object names, a pack
 * on its left is replaced by those on its right; a backup that is not named and lists a moved pack
 * needs that pack itself. A backup is named by its id and its start, since a removed backup's id
 * may be given again. */
#ifndef BK_MOVES_H
#define BK_MOVES_H

#include "store/packlist.h"
#include "store/store.h"

struct bk_move {
    bk_id from;
    bk_id *to;
    size_t n_to;
};

struct bk_moved { /* one object */
    char *name;   /* "moved/..."; NULL until it is put */
    struct bk_strv ids;
    int64_t *starts;       /* of the backups; NULL: any backup of that id */
    struct bk_move *moves; /* by `from` */
    size_t n_moves, cap_moves, cap_starts;
};

struct bk_moves { /* those of a sink */
    struct bk_moved *items;
    size_t n;
};

/* BAKE_E_CORRUPT: one of them is damaged, so that nothing certain is known. */
int bk_moves_load(struct bk_sink *sink, struct bk_moves *ret, struct bk_err *err);
void bk_moves_release(struct bk_moves *m);

bool bk_moved_names(const struct bk_moved *m, const struct bk_manifest *b);
bool bk_moves_left(const struct bk_moves *m, const bk_id *pack); /* it was moved, for any backup */
/* Every pack that a backup needs, sorted: its list, moves considered. The array is the caller's. */
int bk_packs_needed(struct bk_sink *sink, const struct bk_moves *moves, const struct bk_manifest *b,
                    bk_id **ret, size_t *ret_n, struct bk_err *err);

/* Making one. */
int bk_moved_add_backup(struct bk_moved *m, const struct bk_manifest *b);
int bk_moved_add(struct bk_moved *m, const bk_id *from, const bk_id *to, size_t n_to);
/* Sorts its moves and puts it into every usable sink, the base last: killed between, packs are
 * rewritten once more for the base, and then in all sinks. Fails if any sink does. */
int bk_moved_put(struct bk_store *store, struct bk_moved *m, struct bk_err *err);
void bk_moved_release(struct bk_moved *m);

#endif
