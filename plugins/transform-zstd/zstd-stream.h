/* transform-zstd: what its files share. */
#ifndef ZSTD_STREAM_H
#define ZSTD_STREAM_H

#include <bakengine/plugin.h>

/* Estimates, foreign allocators and parameter sets; exported by the shared library as well. */
#define ZSTD_STATIC_LINKING_ONLY
#include <zstd.h>

struct zstd_cfg {
    int64_t level, threads, window_log; /* window_log: the option 'long'; 0 is off */
    uint64_t job_size;
};

/* ---- params.c: from options to the library's parameters ----------------------------------------
 */

int zstd_validate(struct bake_ctx *ctx, const void *cfg);
/* Worker threads beside the caller's; 0: it compresses itself. */
int zstd_workers(const struct zstd_cfg *c, uint32_t flags);
/* The parameters for level and window of this configuration. */
ZSTD_compressionParameters zstd_cparams(const struct zstd_cfg *c, uint32_t flags);
/* The size of the table for `long`, as a power of two. */
unsigned zstd_long_hash_log(const struct zstd_cfg *c);
/* As they are given to a compressor with that many workers. Owned by the caller; NULL: no memory,
 * or the library refuses them. */
ZSTD_CCtx_params *zstd_params(const struct zstd_cfg *c, uint32_t flags, int workers);

/* ---- memory.c ----------------------------------------------------------------------------------
 */

uint64_t zstd_memory(const void *cfg, int dir, uint32_t flags);

/* ---- stream.c: one instance --------------------------------------------------------------------
 */

/* All memory of the instance comes from mem, so that a test can count it. */
int zstd_open_with(struct bake_ctx *ctx, const struct zstd_cfg *c, int dir, uint32_t flags,
                   ZSTD_customMem mem, void **ret_self);
int zstd_open(struct bake_ctx *ctx, const void *cfg, int dir, uint32_t flags, void **ret_self);
int zstd_process(void *self, struct bake_in *in, struct bake_out *out, int op);
int zstd_reset(void *self);
void zstd_close(void *self);

#endif
