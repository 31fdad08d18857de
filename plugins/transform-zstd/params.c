/* From options to the library's parameters; every bound is the library's own. */
#include "zstd-stream.h"

#include <sched.h>

/* Small objects get the window that fits this much and tables of at most so many entries (a power
 * of two), whatever the level: 4 MiB at most. */
#define SMALL_SOURCE (256u << 10)
#define SMALL_LOG    18

static int check(struct bake_ctx *ctx, const char *key, ZSTD_cParameter param, int64_t value)
{
    ZSTD_bounds b = ZSTD_cParam_getBounds(param);

    if (ZSTD_isError(b.error))
        return bake_fail(ctx, BAKE_E_UNSUPPORTED, "this zstd library (%s) does not know '%s'",
                         ZSTD_versionString(), key);
    if (value < b.lowerBound || value > b.upperBound)
        return bake_fail(ctx, BAKE_E_CONFIG, "'%s' must be between %d and %d, got %lld", key,
                         b.lowerBound, b.upperBound, (long long)value);
    return BAKE_OK;
}

/* A size keeps its sign out of the way of check(). */
static int check_job_size(struct bake_ctx *ctx, uint64_t size)
{
    return check(ctx, "job_size", ZSTD_c_jobSize, size > INT64_MAX ? INT64_MAX : (int64_t)size);
}

int zstd_validate(struct bake_ctx *ctx, const void *cfg)
{
    const struct zstd_cfg *c = cfg;
    ZSTD_bounds workers = ZSTD_cParam_getBounds(ZSTD_c_nbWorkers);
    int rc = check(ctx, "level", ZSTD_c_compressionLevel, c->level);

    if (rc == BAKE_OK && c->threads > 1 && !ZSTD_isError(workers.error) && workers.upperBound == 0)
        return bake_fail(ctx, BAKE_E_CONFIG,
                         "this zstd library (%s) has no worker threads\n"
                         "HINT: set 'threads: 1'",
                         ZSTD_versionString());
    if (rc == BAKE_OK && c->threads > 1)
        rc = check(ctx, "threads", ZSTD_c_nbWorkers, c->threads);
    if (rc == BAKE_OK && c->threads < 0)
        rc = bake_fail(ctx, BAKE_E_CONFIG, "'threads' must not be below 0, got %lld",
                       (long long)c->threads);
    if (rc == BAKE_OK && c->window_log != 0)
        rc = check(ctx, "long", ZSTD_c_windowLog, c->window_log);
    if (rc == BAKE_OK && zstd_workers(c, 0) > 0)
        rc = check_job_size(ctx, c->job_size);
    return rc;
}

static int cores(void)
{
    cpu_set_t set;

    return sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
}

int zstd_workers(const struct zstd_cfg *c, uint32_t flags)
{
    ZSTD_bounds b = ZSTD_cParam_getBounds(ZSTD_c_nbWorkers);
    int64_t n = c->threads > 0 ? c->threads : cores();

    if ((flags & (BAKE_SMALL_OBJECT | BAKE_ONE_THREAD)) || n <= 1 || ZSTD_isError(b.error))
        return 0;
    return n < b.upperBound ? (int)n : b.upperBound;
}

ZSTD_compressionParameters zstd_cparams(const struct zstd_cfg *c, uint32_t flags)
{
    ZSTD_compressionParameters p;

    if (flags & BAKE_SMALL_OBJECT) {
        p = ZSTD_getCParams((int)c->level, SMALL_SOURCE, 0);
        p.hashLog = p.hashLog < SMALL_LOG ? p.hashLog : SMALL_LOG;
        p.chainLog = p.chainLog < SMALL_LOG ? p.chainLog : SMALL_LOG;
        return p;
    }
    p = ZSTD_getCParams((int)c->level, 0, 0);
    if (c->window_log > 0)
        p.windowLog = (unsigned)c->window_log;
    return p;
}

static size_t set_small(ZSTD_CCtx_params *p, const struct zstd_cfg *c, uint32_t flags)
{
    const ZSTD_compressionParameters k = zstd_cparams(c, flags);
    const struct {
        ZSTD_cParameter param;
        unsigned value;
    } all[] = {{ZSTD_c_windowLog, k.windowLog},        {ZSTD_c_hashLog, k.hashLog},
               {ZSTD_c_chainLog, k.chainLog},          {ZSTD_c_searchLog, k.searchLog},
               {ZSTD_c_minMatch, k.minMatch},          {ZSTD_c_targetLength, k.targetLength},
               {ZSTD_c_strategy, (unsigned)k.strategy}};
    size_t rc = 0;

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]) && !ZSTD_isError(rc); i++)
        rc = ZSTD_CCtxParams_setParameter(p, all[i].param, (int)all[i].value);
    return rc;
}

/* One entry per 128 bytes of window: the library's own choice until 1.5.6, and still a good one;
 * given to it, so that what memory() says stays true. */
unsigned zstd_long_hash_log(const struct zstd_cfg *c)
{
    return c->window_log > 13 ? (unsigned)c->window_log - 7 : 6;
}

static size_t set_long(ZSTD_CCtx_params *p, const struct zstd_cfg *c)
{
    size_t rc = ZSTD_CCtxParams_setParameter(p, ZSTD_c_enableLongDistanceMatching, 1);

    if (!ZSTD_isError(rc))
        rc = ZSTD_CCtxParams_setParameter(p, ZSTD_c_windowLog, (int)c->window_log);
    return ZSTD_isError(rc)
               ? rc
               : ZSTD_CCtxParams_setParameter(p, ZSTD_c_ldmHashLog, (int)zstd_long_hash_log(c));
}

static size_t set_all(ZSTD_CCtx_params *p, const struct zstd_cfg *c, uint32_t flags, int workers)
{
    size_t rc = ZSTD_CCtxParams_setParameter(p, ZSTD_c_compressionLevel, (int)c->level);

    if (!ZSTD_isError(rc))
        rc = ZSTD_CCtxParams_setParameter(p, ZSTD_c_checksumFlag, 1);
    if (flags & BAKE_SMALL_OBJECT)
        return ZSTD_isError(rc) ? rc : set_small(p, c, flags);
    if (!ZSTD_isError(rc) && c->window_log > 0)
        rc = set_long(p, c);
    if (!ZSTD_isError(rc) && workers > 0)
        rc = ZSTD_CCtxParams_setParameter(p, ZSTD_c_nbWorkers, workers);
    if (!ZSTD_isError(rc) && workers > 0)
        rc = ZSTD_CCtxParams_setParameter(p, ZSTD_c_jobSize, (int)c->job_size);
    return rc;
}

ZSTD_CCtx_params *zstd_params(const struct zstd_cfg *c, uint32_t flags, int workers)
{
    ZSTD_CCtx_params *p = ZSTD_createCCtxParams();

    if (p && ZSTD_isError(set_all(p, c, flags, workers))) {
        (void)ZSTD_freeCCtxParams(p);
        return NULL;
    }
    return p;
}
