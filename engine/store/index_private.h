/* The index's inside, shared by its files. */
#ifndef BK_INDEX_PRIVATE_H
#define BK_INDEX_PRIVATE_H

#include "base/codec.h"
#include "store/index.h"
#include "store/index_table.h"

#define BK_INDEX_DIR          "indexes/"
#define BK_INDEX_MAX_RUNS     8u
#define BK_INDEX_SPILL        (64u << 10) /* entries in memory that make a run */
#define BK_INDEX_CACHE        4096u       /* blocks: 16 MiB */
#define BK_INDEX_FLUSH_PACKS  64u         /* so many, so large or so old: an index object */
#define BK_INDEX_FLUSH_BYTES  (2u << 20)
#define BK_INDEX_FLUSH_MS     (5u * 60 * 1000)
#define BK_INDEX_OBJECT       (16u << 20)  /* plain bytes of one that replaces others */
#define BK_INDEX_OBJECT_LIMIT (256u << 20) /* of what is read */

struct bk_index_run {
    struct bk_run *run;
    char *name;           /* in the cache directory; NULL: it has no name */
    unsigned char *marks; /* a bit per entry; NULL: none is set */
};

struct bk_index {
    struct bk_store *store;
    struct bk_sink *sink;
    bool read_only;
    pthread_mutex_t lock; /* over all that follows */
    pthread_cond_t flushed;
    struct bk_index_pack *packs;
    size_t n_packs, cap_packs;
    struct bk_table numbers; /* pack id -> number, as loc.pack */
    struct bk_run_cache *cache;
    struct bk_index_run runs[BK_INDEX_MAX_RUNS + 1];
    size_t n_runs;
    struct bk_table table;  /* chunks that are in no run yet */
    size_t spill_at;        /* so many become a run: more than usual while there is no room */
    struct bk_table coming; /* chunks that were claimed and are in no pack yet */
    struct bk_strv objects; /* index objects that are in it */
    struct bk_buf pending;  /* packs that no index object has yet */
    size_t n_pending;
    uint64_t pending_since_ms;
    unsigned doubts;          /* packs that were distrusted */
    bool flushing;            /* a thread puts an index object, without the lock */
    bool changed;             /* since the cache was written */
    bool damaged;             /* a run was, and what it knew is not known again */
    bool remaking;            /* the runs, by a caller of ours */
    bool marking, marks_lost; /* there are marks; they were lost with a damaged run */
    char *dir;                /* of this store and sink in the cache; NULL: nothing is kept */
    int dir_lock;             /* -1: another process has it, and we only read */
};

/* index_packs.c; all under the lock */
enum { BK_RANK_GONE, BK_RANK_PRESENT = 1 << 30, BK_RANK_COUNTS };
/* Of packs that are present the one that was distrusted last is the worst, so that whoever asks for
 * a chunk again and again is told every place of it, and in the end the same one twice. */
int bk_index_rank(const struct bk_index *x, const struct bk_loc *loc);
/* NULL: not known. Adding a pack ends what it points at. */
struct bk_index_pack *bk_index_pack_of(const struct bk_index *x, const bk_id *pack);
/* A pack that is not known yet; its chunks have no place yet. */
int bk_index_new_pack(struct bk_index *x, const bk_id *pack, uint64_t size, uint32_t head,
                      const struct bk_pack_table *table, int rank, uint32_t *ret_number,
                      struct bk_err *err);
/* Every chunk of a pack gets its place in the table, unless it has a better one there. */
int bk_index_put_chunks(struct bk_index *x, uint32_t number, const struct bk_pack_table *t,
                        struct bk_err *err);
/* Forgets everything but what is pending. */
void bk_index_reset(struct bk_index *x);

/* index_spill.c; all under the lock */
/* The table's entries become a run once they are many (or force). */
int bk_index_spill(struct bk_index *x, bool force, struct bk_err *err);
void bk_index_drop_runs(struct bk_index *x);
void bk_index_free_run(struct bk_index_run *r);
static inline bool bk_index_is_damage(int rc) { return rc == BAKE_E_CORRUPT || rc == BAKE_E_IO; }

/* index_mark.c: marks in runs that were, for the same chunks in those that are. Under the lock. */
void bk_index_carry_marks(struct bk_index *x, const struct bk_index_run *from, size_t n);

/* index_cache.c */
int bk_index_cache_open(struct bk_index *x, struct bk_err *err);
void bk_index_cache_load(struct bk_index *x); /* what does not load is as if it were not there */
int bk_index_cache_save(struct bk_index *x, struct bk_err *err);
/* A new file for a run: within the cache if that is wanted and we own it, else without a name.
 * BAKE_E_NOSPACE: there is nowhere to make one. */
int bk_index_cache_file(struct bk_index *x, bool named, int *ret_fd, char **ret_name,
                        struct bk_err *err);
void bk_index_cache_drop(struct bk_index *x, const char *name);
void bk_index_cache_close(struct bk_index *x);

/* index_sync.c; all under the lock */
int bk_index_sync(struct bk_index *x, struct bk_err *err);
/* Ends everything, as against damage, which the packs' own tables make good. */
bool bk_index_fatal(int rc);

/* index_remake.c; both under the lock */
/* Table and runs anew, for the packs that are known and present. On failure they are as before. */
int bk_index_remake(struct bk_index *x, struct bk_err *err);
/* The same after a run turned out to be damaged: on failure nothing of the runs is left. */
int bk_index_repair(struct bk_index *x, struct bk_err *err);

/* index_object.c */
/* Puts the packs that no index object has as one. Under the lock, but lets go of it meanwhile. */
int bk_index_flush(struct bk_index *x, struct bk_err *err);
/* Under the lock: a pack waits to be named by an index object. */
int bk_index_pend(struct bk_index *x, uint32_t number, const struct bk_pack_table *table,
                  struct bk_err *err);
bool bk_index_flush_due(const struct bk_index *x);
/* One pack of an index object. */
struct bk_index_said {
    bk_id id;
    uint64_t size;
    uint32_t head;
    struct bk_pack_table table;
};
void bk_index_write_pack(const bk_id *pack, uint64_t size, uint32_t head,
                         const struct bk_pack_table *table, struct bk_buf *out);
/* Calls each() for the packs of an index object's plain bytes. BAKE_E_CORRUPT. */
int bk_index_each_pack(const struct bk_buf *plain,
                       int (*each)(void *arg, const struct bk_index_said *p, struct bk_err *err),
                       void *arg, struct bk_err *err);
int bk_index_each_of_object(struct bk_index *x, const char *name,
                            int (*each)(void *arg, const struct bk_index_said *p,
                                        struct bk_err *err),
                            void *arg, struct bk_err *err);

/* index_list.c: what a sink lists */
struct bk_index_listed {
    bk_id id;
    uint64_t size;
    bool counts;
};
struct bk_index_listing {
    struct bk_index_listed *packs; /* by id */
    size_t n;
    struct bk_strv objects; /* indexes/..., sorted */
};
int bk_index_list(struct bk_index *x, struct bk_index_listing *ret, struct bk_err *err);
int bk_index_list_objects(struct bk_index *x, struct bk_strv *ret, struct bk_err *err);
void bk_index_listing_release(struct bk_index_listing *l);
/* BK_RANK_*, of a pack of this size */
int bk_index_listed_rank(const struct bk_index_listing *l, const bk_id *id, uint64_t size);

#endif
