/* Ranges of an object. */
#include "sink.h"

#include <stdlib.h>
#include <string.h>

#define SIZE 300001u

static void one(struct sink *s, const char *name, const char *all, uint64_t offset, uint64_t length)
{
    size_t n, wanted = length ? (size_t)length : SIZE - (size_t)offset;
    char *data;
    int rc = sink_get(s, name, offset, length, &data, &n);

    if (sink_want(s, rc, BAKE_OK, "range"))
        cf_check(s->r, n == wanted && (n == 0 || memcmp(data, all + offset, n) == 0),
                 "range %llu+%llu: %zu other bytes", (unsigned long long)offset,
                 (unsigned long long)length, n);
    free(data);
}

static void inside(struct sink *s)
{
    char name[NAME_CAP], *all = malloc(SIZE);
    uint64_t state = 42;

    if (!all)
        return;
    cf_fill(all, SIZE, 7);
    sink_want(s, sink_put_seed(s, sink_name(s, name, "ranged"), SIZE, 7), BAKE_OK, "put");
    one(s, name, all, 0, 0);
    one(s, name, all, 0, 1);
    one(s, name, all, 0, SIZE);
    one(s, name, all, SIZE - 1, 1);
    one(s, name, all, SIZE - 1, 0);
    one(s, name, all, SIZE, 0); /* nothing, and that is right */
    for (int i = 0; i < 20; i++) {
        uint64_t offset = cf_random(&state) % SIZE;

        one(s, name, all, offset, 1 + cf_random(&state) % (SIZE - offset));
        one(s, name, all, offset, 0);
    }
    free(all);
}

static void beyond_one(struct sink *s, const char *name, uint64_t offset, uint64_t length)
{
    size_t n;
    char *data;

    sink_want(s, sink_get(s, name, offset, length, &data, &n), BAKE_E_CORRUPT,
              "a range that ends after the object");
    free(data);
}

static void beyond(struct sink *s)
{
    char name[NAME_CAP];

    sink_want(s, sink_put_seed(s, sink_name(s, name, "short"), 1000, 7), BAKE_OK, "put");
    beyond_one(s, name, 1001, 0);
    beyond_one(s, name, 1000, 1);
    beyond_one(s, name, 0, 1001);
    beyond_one(s, name, 999, 2);
    beyond_one(s, name, 5000, 5000);
    beyond_one(s, name, UINT64_C(1) << 40, UINT64_C(1) << 40);
    beyond_one(s, name, 10, UINT64_MAX - 5);
}

/* Closing early is no error, and no trouble for what comes after. */
static void closed_early(struct sink *s)
{
    struct cf_ctx ctx;
    char name[NAME_CAP], byte;

    cf_ctx_init(&ctx);
    sink_want(s, sink_put_seed(s, sink_name(s, name, "early"), SIZE, 1), BAKE_OK, "put");
    for (int reads = 0; reads < 3; reads++) {
        struct bake_out out = {&byte, 1, 0};
        void *get;

        if (!cf_want(s->r, &ctx, s->ops->get_begin(s->self, &ctx.base, name, 0, 0, &get), BAKE_OK,
                     "get_begin"))
            break;
        for (int i = 0; i < reads; i++, out.pos = 0)
            cf_want(s->r, &ctx, s->ops->get_read(get, &out), BAKE_OK, "get_read");
        s->ops->get_close(get);
    }
    sink_expect(s, name, SIZE, 1);
    cf_ctx_free(&ctx);
}

void sink_range_cases(struct sink *s)
{
    sink_case(s, "ranges are exact", inside);
    sink_case(s, "a range beyond the end is BAKE_E_CORRUPT", beyond);
    sink_case(s, "a get may be closed early", closed_early);
}
