/* A sorted run of chunk locations in a file: immutable, read by pread through a cache of blocks
 * that the runs of an index share, behind a filter that says "absent" without reading. Every block
 * has a checksum, so that a damaged run is noticed and never believed. */
#ifndef BK_INDEX_RUN_H
#define BK_INDEX_RUN_H

#include "store/pack.h"

#define BK_RUN_BLOCK 4096u

struct bk_loc {    /* where a chunk stands */
    uint32_t pack; /* a number within the index */
    uint32_t segment, offset, length;
};

struct bk_located {
    bk_id id;
    struct bk_loc loc;
};

struct bk_run;
struct bk_run_cache; /* must outlive its runs; one thread at a time uses it and them */

/* Memory is taken as blocks come in: never more than `blocks` of BK_RUN_BLOCK bytes. */
int bk_run_cache_new(size_t blocks, struct bk_run_cache **ret, struct bk_err *err);
void bk_run_cache_free(struct bk_run_cache *c); /* NULL is fine */

/* Writes n entries, which next() yields in ascending order of id, to fd (empty, open for reading
 * and writing). Takes over fd, also on failure. BAKE_E_NOSPACE: it cannot be written there. */
int bk_run_write(int fd, struct bk_run_cache *cache, uint64_t n,
                 int (*next)(void *arg, struct bk_located *ret, struct bk_err *err), void *arg,
                 struct bk_run **ret, struct bk_err *err);
/* Takes over fd, also on failure. BAKE_E_CORRUPT: it is damaged. */
int bk_run_open(int fd, struct bk_run_cache *cache, struct bk_run **ret, struct bk_err *err);
void bk_run_free(struct bk_run *r); /* NULL is fine */
uint64_t bk_run_count(const struct bk_run *r);
uint64_t bk_run_memory(const struct bk_run *r); /* bytes of fences and filter */

/* BAKE_OK, BAKE_END when it is not there, BAKE_E_CORRUPT, BAKE_E_IO. *ret_at (may be NULL): which
 * of the entries it is. */
int bk_run_find(struct bk_run *r, const bk_id *id, struct bk_loc *ret, uint64_t *ret_at,
                struct bk_err *err);
/* In order: at counts from 0. Does not touch the cache. */
int bk_run_get(struct bk_run *r, uint64_t at, struct bk_located *ret, struct bk_err *err);

#endif
