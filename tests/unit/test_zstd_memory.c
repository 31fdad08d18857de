/* transform-zstd: what memory() states is never exceeded. Counts what the library allocates. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../plugins/transform-zstd/zstd-stream.h"
#include "../conformance/subject.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct counter {
    atomic_size_t now, peak;
};

#define HEAD 64 /* before each block: its size; keeps malloc's alignment */

static void *count_alloc(void *opaque, size_t n)
{
    struct counter *c = opaque;
    char *p = malloc(n + HEAD);
    size_t now, peak;

    if (!p)
        return NULL;
    memcpy(p, &n, sizeof(n));
    now = atomic_fetch_add(&c->now, n) + n;
    peak = atomic_load(&c->peak);
    while (now > peak && !atomic_compare_exchange_weak(&c->peak, &peak, now))
        ;
    return p + HEAD;
}

static void count_free(void *opaque, void *address)
{
    struct counter *c = opaque;
    size_t n;

    if (!address)
        return;
    memcpy(&n, (char *)address - HEAD, sizeof(n));
    atomic_fetch_sub(&c->now, n);
    free((char *)address - HEAD);
}

#define BLOCK (1u << 20)

struct stored {
    char *data;
    size_t n, cap;
};

/* Feeds `total` bytes (noise or zeros) and takes the output in small sips, so that as many jobs
 * as can be are in flight. Keeps the output. */
static void feed(void *self, size_t total, int zeros, struct stored *ret)
{
    char *block = calloc(1, BLOCK);
    size_t fed = 0;
    int rc = BAKE_OK;

    assert_non_null(block);
    while (rc != BAKE_END) {
        struct bake_in in = {block, fed < total ? BLOCK : 0, 0};
        int op = fed < total ? BAKE_CONTINUE : BAKE_FINISH;

        if (!zeros)
            cf_fill(block, BLOCK, fed);
        do {
            struct bake_out out = {NULL, op == BAKE_FINISH ? 1 << 20 : 30000, 0};

            if (ret->cap - ret->n < out.size) {
                ret->cap = ret->cap * 2 + out.size;
                ret->data = realloc(ret->data, ret->cap);
                assert_non_null(ret->data);
            }
            out.data = ret->data + ret->n;
            rc = zstd_process(self, &in, &out, op);
            assert_true(rc >= 0);
            ret->n += out.pos;
        } while (in.pos < in.size);
        fed += BLOCK;
    }
    free(block);
}

static void take_back(struct cf_ctx *ctx, const struct zstd_cfg *cfg, uint32_t flags,
                      const struct stored *s, struct counter *c)
{
    const ZSTD_customMem mem = {count_alloc, count_free, c};
    struct bake_in in = {s->data, s->n, 0};
    char *room = malloc(BLOCK);
    void *self;
    int rc = BAKE_OK;

    assert_non_null(room);
    assert_int_equal(zstd_open_with(&ctx->base, cfg, BAKE_REVERSE, flags, mem, &self), BAKE_OK);
    while (rc == BAKE_OK) {
        struct bake_out out = {room, BLOCK, 0};

        rc = zstd_process(self, &in, &out, BAKE_FINISH);
    }
    assert_int_equal(rc, BAKE_END);
    zstd_close(self);
    free(room);
}

static void measure(const struct zstd_cfg *cfg, uint32_t flags, size_t total, int zeros,
                    uint64_t limit)
{
    struct counter out, back;
    const ZSTD_customMem mem = {count_alloc, count_free, &out};
    struct stored stored = {NULL, 0, 0};
    struct cf_ctx ctx;
    uint64_t stated, stated_back;
    void *self;

    memset(&out, 0, sizeof(out));
    memset(&back, 0, sizeof(back));
    cf_ctx_init(&ctx);
    assert_int_equal(zstd_validate(&ctx.base, cfg), BAKE_OK);
    stated = zstd_memory(cfg, BAKE_FORWARD, flags);
    stated_back = zstd_memory(cfg, BAKE_REVERSE, flags);
    assert_int_equal(zstd_open_with(&ctx.base, cfg, BAKE_FORWARD, flags, mem, &self), BAKE_OK);
    feed(self, total, zeros, &stored);
    zstd_close(self);
    take_back(&ctx, cfg, flags, &stored, &back);
    print_message("level %lld threads %lld long %lld job %llu flags %u: forward %.1f of %.1f MiB, "
                  "back %.1f of %.1f MiB\n",
                  (long long)cfg->level, (long long)cfg->threads, (long long)cfg->window_log,
                  (unsigned long long)cfg->job_size, flags,
                  (double)atomic_load(&out.peak) / 1048576, (double)stated / 1048576,
                  (double)atomic_load(&back.peak) / 1048576, (double)stated_back / 1048576);
    assert_true(atomic_load(&out.peak) > 0 && atomic_load(&back.peak) > 0);
    assert_true(atomic_load(&out.peak) <= stated);
    assert_true(atomic_load(&back.peak) <= stated_back);
    /* a bound that is far too high would be of no use in a budget; how many jobs are in flight
     * depends on how busy the machine is */
    assert_true(stated <= atomic_load(&out.peak) * (cfg->threads > 1 ? 4 : 2) + (8u << 20));
    assert_true(limit == 0 || stated <= limit);
    assert_int_equal(atomic_load(&out.now), 0);
    assert_int_equal(atomic_load(&back.now), 0);
    cf_ctx_free(&ctx);
    free(stored.data);
}

static void one_thread(void **state)
{
    static const struct zstd_cfg cfgs[] = {
        {-100, 1, 0, 4 << 20}, {1, 1, 0, 4 << 20},  {3, 1, 0, 4 << 20},   {9, 1, 0, 4 << 20},
        {15, 1, 0, 4 << 20},   {19, 1, 0, 4 << 20}, {22, 1, 0, 4 << 20},  {3, 1, 10, 4 << 20},
        {3, 1, 20, 4 << 20},   {3, 1, 27, 4 << 20}, {12, 1, 26, 4 << 20},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cfgs) / sizeof(cfgs[0]); i++)
        measure(&cfgs[i], 0, cfgs[i].level > 12 ? 2 << 20 : 24 << 20, cfgs[i].level > 12, 0);
}

static void workers(void **state)
{
    static const struct zstd_cfg cfgs[] = {
        {3, 2, 0, 4 << 20},  {3, 4, 0, 1 << 20},  {3, 7, 0, 512 << 10},  {1, 2, 0, 8 << 20},
        {9, 3, 0, 2 << 20},  {3, 2, 24, 2 << 20}, {3, 2, 27, 4 << 20},   {6, 2, 10, 512 << 10},
        {15, 2, 0, 1 << 20}, {19, 2, 0, 1 << 20}, {-5, 2, 0, 512 << 10},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cfgs) / sizeof(cfgs[0]); i++)
        measure(&cfgs[i], 0, 64 << 20, cfgs[i].level > 12, 0);
}

static void small_objects(void **state)
{
    static const int64_t levels[] = {-100, 1, 3, 9, 12, 15, 19, 22};

    (void)state;
    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
        const struct zstd_cfg cfg = {levels[i], 4, i % 2 ? 27 : 0, 4 << 20};

        measure(&cfg, BAKE_SMALL_OBJECT, 2 << 20, levels[i] > 12, 4608u << 10);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(one_thread), cmocka_unit_test(workers),
                                       cmocka_unit_test(small_objects)};

    return cmocka_run_group_tests_name("zstd memory", tests, NULL, NULL);
}
