/* How much memory an instance needs at most. The library says so itself for one thread; for
 * worker threads it does not, and the sum below follows what its workers hold: a ring of input,
 * one output buffer per job in flight, one compressor per worker. tests/unit/test_zstd_memory.c
 * counts allocations against it. */
#include "zstd-stream.h"

#include <stdbool.h>

#define FIXED  (256u << 10) /* the library's own structs, ours, allocator overhead */
#define ALONE  (16u << 20)
#define THREAD (256u << 10) /* the stack a worker touches, its thread's own structs */

/* Long distance matching is turned on by the library itself for such parameters. */
static bool is_long(const struct zstd_cfg *c, const ZSTD_compressionParameters *p)
{
    return c->window_log > 0 || (p->strategy >= ZSTD_btopt && p->windowLog >= 27);
}

/* The table for long distance matching: 8 bytes per entry, a byte per bucket of at least 2. Where
 * the library chooses its size this is the most that any of its versions takes. */
static uint64_t long_table(const struct zstd_cfg *c, const ZSTD_compressionParameters *p)
{
    unsigned log = c->window_log > 0 ? zstd_long_hash_log(c) : p->windowLog - 4;

    return is_long(c, p) ? ((uint64_t)1 << log) * 9 + (64u << 10) : 0;
}

/* How much of the job before a worker gets as its dictionary: a part of the window, or with long
 * distance matching of the job the library would choose; which part depends on the strategy. */
static uint64_t overlap(const struct zstd_cfg *c, const ZSTD_compressionParameters *p)
{
    unsigned less = p->strategy >= ZSTD_btultra2 ? 0
                    : p->strategy >= ZSTD_btopt  ? 1
                    : p->strategy >= ZSTD_lazy2  ? 2
                                                 : 3;
    unsigned cycle = p->chainLog - (p->strategy >= ZSTD_btlazy2);
    unsigned job = cycle + 3 > 21 ? cycle + 3 : 21;
    unsigned log = p->windowLog;

    if (is_long(c, p) && log > job - 2)
        log = job - 2;
    return (uint64_t)1 << (log > less ? log - less : 0);
}

/* Jobs in flight: the library's table holds the next power of two above workers and two more. */
static uint64_t slots(int workers)
{
    uint64_t n = 1;

    while (n <= (uint64_t)workers + 2)
        n *= 2;
    return n;
}

static uint64_t with_workers(const struct zstd_cfg *c, int workers, uint64_t compressor)
{
    const ZSTD_compressionParameters p = zstd_cparams(c, 0);
    uint64_t n = (uint64_t)workers, prefix = overlap(c, &p);
    uint64_t section = c->job_size > prefix ? c->job_size : prefix;
    uint64_t sections = section * n;
    uint64_t window = is_long(c, &p) ? (uint64_t)1 << p.windowLog : 0;
    uint64_t sum;

    sum = (window > sections ? window : sections) + 3 * section; /* the ring of input */
    sum += slots(workers) * ZSTD_COMPRESSBOUND((size_t)section);
    sum += n * (compressor + THREAD);
    /* a stream shorter than a job is done by the caller itself, with tables for no more */
    sum += compressor < ALONE ? compressor + (1u << 20) : ALONE;
    if (is_long(c, &p))
        sum += slots(workers) * (section / 32 * 12); /* the matches found, per job */
    return sum + FIXED;
}

static uint64_t forward(const struct zstd_cfg *c, uint32_t flags)
{
    const ZSTD_compressionParameters k = zstd_cparams(c, flags);
    struct zstd_cfg plain = *c;
    int workers = zstd_workers(c, flags);
    ZSTD_CCtx_params *p;
    size_t one;

    /* The library's estimate divides by zero for long distance matching (1.5.4): it gets the
     * window alone, and the table is added here. */
    plain.window_log = 0;
    p = zstd_params(&plain, flags, 0);
    if (!p || ZSTD_isError(ZSTD_CCtxParams_setParameter(p, ZSTD_c_windowLog, (int)k.windowLog))) {
        (void)ZSTD_freeCCtxParams(p);
        return UINT64_MAX; /* open() fails just so and says why */
    }
    one = workers > 0 ? ZSTD_estimateCCtxSize_usingCCtxParams(p)
                      : ZSTD_estimateCStreamSize_usingCCtxParams(p);
    (void)ZSTD_freeCCtxParams(p);
    if (ZSTD_isError(one))
        return UINT64_MAX;
    return (workers > 0 ? with_workers(c, workers, one) : one + FIXED) +
           (flags & BAKE_SMALL_OBJECT ? 0 : long_table(c, &k));
}

uint64_t zstd_memory(const void *cfg, int dir, uint32_t flags)
{
    const struct zstd_cfg *c = cfg;

    if (dir == BAKE_FORWARD)
        return forward(c, flags);
    /* Of what is written with these options; a frame that asks for more gets it (see README). */
    return ZSTD_estimateDStreamSize((size_t)1 << zstd_cparams(c, flags).windowLog) + FIXED;
}
