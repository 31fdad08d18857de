/* The index's inside, shared by its files. */
#ifndef BK_INDEX_PRIVATE_H
#define BK_INDEX_PRIVATE_H

#include "store/index.h"
#include "store/index_table.h"

#define BK_INDEX_DIR      "indexes/"
#define BK_INDEX_MAX_RUNS 8u
#define BK_INDEX_SPILL    (256u << 10) /* entries in memory that make a run */

struct bk_index {
    struct bk_store *store;
    pthread_mutex_t lock;
    struct bk_index_pack *packs;
    size_t n_packs, cap_packs;
    struct bk_table numbers; /* pack id -> number, as loc.pack */
    struct bk_run *runs[BK_INDEX_MAX_RUNS + 1];
    char *run_names[BK_INDEX_MAX_RUNS + 1]; /* in the cache directory; NULL: it has no name */
    size_t n_runs;
    struct bk_table table;
    struct bk_strv objects; /* index objects that are in it */
    struct bk_buf pending;  /* packs that no index object has yet */
    size_t n_pending;
    uint64_t pending_since_ms;
    bool damaged; /* a run turned out to be damaged: what is not found may be stored all the same */
    char *dir;    /* the store's folder in the cache; NULL: nothing is kept */
    int dir_lock; /* -1: another process has it, and we only read */
};

/* index.c; all under the lock, or while there is one thread */
int bk_index_put_pack(struct bk_index *x, const bk_id *pack, uint64_t size, uint32_t head,
                      const struct bk_pack_table *table, uint32_t *ret_number, struct bk_err *err);
/* Every chunk of a pack gets its place in the table. */
int bk_index_put_chunks(struct bk_index *x, uint32_t number, const struct bk_pack_table *t,
                        struct bk_err *err);
void bk_index_drop_runs(struct bk_index *x);
/* NULL: not known */
struct bk_index_pack *bk_index_pack_of(const struct bk_index *x, const bk_id *pack);
void bk_index_reset(struct bk_index *x);
/* The table's entries become a run once they are many (or force). */
int bk_index_spill(struct bk_index *x, bool force, struct bk_err *err);

/* index_cache.c */
int bk_index_cache_open(struct bk_index *x, struct bk_err *err);
void bk_index_cache_load(struct bk_index *x); /* what does not load is as if it were not there */
int bk_index_cache_save(struct bk_index *x, struct bk_err *err);
/* A new file for a run: within the cache if that is wanted and we own it, else without a name. */
int bk_index_cache_file(struct bk_index *x, bool named, int *ret_fd, char **ret_name,
                        struct bk_err *err);
void bk_index_cache_drop(struct bk_index *x, const char *name);
void bk_index_cache_close(struct bk_index *x);

/* index_sync.c */
int bk_index_sync(struct bk_index *x, struct bk_err *err);
/* The runs anew, for the packs that are known: after one turned out to be damaged. */
int bk_index_repair(struct bk_index *x, struct bk_err *err);
/* Puts the packs that no index object has as one. */
int bk_index_flush(struct bk_index *x, struct bk_err *err);

/* One pack of an index object, or of the cache's own file. */
void bk_index_write_pack(const bk_id *pack, uint64_t size, uint32_t head,
                         const struct bk_pack_table *table, struct bk_buf *out);

#endif
