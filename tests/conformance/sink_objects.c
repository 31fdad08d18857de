/* Objects: put, get, stat, remove, put-if-absent, abort, and what is seen meanwhile. */
#include "sink.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void round_trip(struct sink *s)
{
    static const size_t sizes[] = {0, 1, 1000, 65536, (1 << 20) + 1, (9 << 20) + 3};
    static const size_t cuts[] = {1 << 20, 1, 7, 4096, 100000, 3 << 20};
    char name[NAME_CAP], leaf[32];

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        char *data = malloc(sizes[i] + 1);

        if (!data)
            return;
        cf_fill(data, sizes[i], i);
        (void)snprintf(leaf, sizeof(leaf), "object-%zu", i);
        sink_name(s, name, leaf);
        /* with its size announced, and without */
        sink_want(s, sink_put(s, name, data, sizes[i], i % 2 ? sizes[i] : 0, 0, cuts[i]), BAKE_OK,
                  "put");
        sink_expect(s, name, sizes[i], i);
        free(data);
    }
}

static void missing(struct sink *s)
{
    char name[NAME_CAP];

    sink_expect_absent(s, sink_name(s, name, "nothing"));
    sink_expect_absent(s, sink_name(s, name, "no/such/folder/nothing"));
    sink_want(s, sink_remove(s, sink_name(s, name, "nothing")), BAKE_E_NOTFOUND, "remove");
    sink_want(s, sink_remove(s, sink_name(s, name, "no/such/thing")), BAKE_E_NOTFOUND, "remove");
}

static void folder_is_no_object(struct sink *s)
{
    char name[NAME_CAP];
    uint64_t size;

    sink_want(s, sink_put_seed(s, sink_name(s, name, "folder/leaf"), 5, 1), BAKE_OK, "put");
    sink_want(s, sink_stat(s, sink_name(s, name, "folder"), &size), BAKE_E_NOTFOUND,
              "stat of a folder");
    sink_want(s, sink_remove(s, sink_name(s, name, "folder")), BAKE_E_NOTFOUND,
              "remove of a folder");
    sink_expect(s, sink_name(s, name, "folder/leaf"), 5, 1);
    sink_want(s, sink_stat(s, sink_name(s, name, "folder/leaf/deeper"), &size), BAKE_E_NOTFOUND,
              "stat below an object");
}

static void overwrite(struct sink *s)
{
    char name[NAME_CAP];

    sink_name(s, name, "again");
    sink_want(s, sink_put_seed(s, name, 100000, 1), BAKE_OK, "first put");
    sink_want(s, sink_put_seed(s, name, 10, 2), BAKE_OK, "second put");
    sink_expect(s, name, 10, 2);
}

static void if_absent(struct sink *s)
{
    char name[NAME_CAP];

    sink_name(s, name, "only-once");
    sink_want(s, sink_put(s, name, "first", 5, 5, BAKE_PUT_IF_ABSENT, 5), BAKE_OK, "first put");
    sink_want(s, sink_put(s, name, "second", 6, 6, BAKE_PUT_IF_ABSENT, 6), BAKE_E_EXISTS,
              "second put");
    sink_want(s, sink_put(s, name, "", 0, 0, BAKE_PUT_IF_ABSENT, 6), BAKE_E_EXISTS, "empty put");
    {
        char *data;
        size_t n;

        sink_want(s, sink_get(s, name, 0, 0, &data, &n), BAKE_OK, "get");
        cf_check(s->r, n == 5 && memcmp(data, "first", 5) == 0, "the first put was replaced");
        free(data);
    }
    sink_want(s, sink_remove(s, name), BAKE_OK, "remove");
    sink_want(s, sink_put(s, name, "third", 5, 5, BAKE_PUT_IF_ABSENT, 5), BAKE_OK,
              "put after remove");
}

/* A put that is under way; the helper of the cases below. */
static void *begin(struct sink *s, struct cf_ctx *ctx, const char *name, size_t n)
{
    void *put = NULL;
    char *data = malloc(n + 1);
    struct bake_in in = {data, n, 0};
    int rc;

    cf_ctx_init(ctx);
    if (!data)
        return NULL;
    cf_fill(data, n, 3);
    rc = s->ops->put_begin(s->self, &ctx->base, name, 0, 0, &put);
    if (cf_want(s->r, ctx, rc, BAKE_OK, "put_begin") && n > 0)
        cf_want(s->r, ctx, s->ops->put_write(put, &in), BAKE_OK, "put_write");
    free(data);
    return rc == BAKE_OK ? put : NULL;
}

static void invisible(struct sink *s)
{
    static const size_t sizes[] = {0, 10, 10 << 20};
    char name[NAME_CAP], folder[NAME_CAP];

    for (size_t i = 0; i < 3; i++) {
        struct cf_ctx ctx;
        struct listed l;
        char leaf[32];
        void *put;

        (void)snprintf(leaf, sizeof(leaf), "unseen-%zu/", i);
        sink_name(s, folder, leaf);
        (void)snprintf(leaf, sizeof(leaf), "unseen-%zu/leaf", i);
        put = begin(s, &ctx, sink_name(s, name, leaf), sizes[i]);
        if (!put)
            return;
        sink_expect_absent(s, name);
        sink_want(s, sink_list(s, folder, &l), BAKE_OK, "list");
        cf_check(s->r, l.n == 0, "'%s' is listed while it is being put", l.n ? l.names[0] : "");
        listed_free(&l);
        cf_want(s->r, &ctx, s->ops->put_end(put), BAKE_OK, "put_end");
        sink_expect(s, name, sizes[i], 3);
        cf_ctx_free(&ctx);
    }
}

static void abort_leaves_nothing(struct sink *s)
{
    static const size_t sizes[] = {0, 10, 10 << 20};
    char name[NAME_CAP], kept[NAME_CAP], folder[NAME_CAP];
    struct cf_ctx ctx;
    struct listed l;

    sink_name(s, folder, "aborted/");
    sink_name(s, name, "aborted/leaf");
    for (size_t i = 0; i < 3; i++) {
        void *put = begin(s, &ctx, name, sizes[i]);

        if (!put)
            return;
        s->ops->put_abort(put);
        cf_ctx_free(&ctx);
        sink_expect_absent(s, name);
        sink_want(s, sink_list(s, folder, &l), BAKE_OK, "list");
        cf_check(s->r, l.n == 0, "something is listed after an abort");
        listed_free(&l);
    }
    sink_name(s, kept, "aborted-over");
    sink_want(s, sink_put_seed(s, kept, 77, 9), BAKE_OK, "put");
    {
        void *put = begin(s, &ctx, kept, 1000);

        if (put)
            s->ops->put_abort(put);
        cf_ctx_free(&ctx);
    }
    sink_expect(s, kept, 77, 9);
}

static void remove_objects(struct sink *s)
{
    char a[NAME_CAP], b[NAME_CAP];

    sink_name(s, a, "removing/one/leaf");
    sink_name(s, b, "removing/two");
    sink_want(s, sink_put_seed(s, a, 10, 1), BAKE_OK, "put");
    sink_want(s, sink_put_seed(s, b, 20, 2), BAKE_OK, "put");
    sink_want(s, sink_remove(s, a), BAKE_OK, "remove");
    sink_expect_absent(s, a);
    sink_want(s, sink_remove(s, a), BAKE_E_NOTFOUND, "remove again");
    sink_expect(s, b, 20, 2);
    sink_want(s, sink_put_seed(s, a, 30, 3), BAKE_OK, "put again");
    sink_expect(s, a, 30, 3);
}

static void two_instances(struct sink *s)
{
    struct cf_ctx ctx;
    void *first = s->self, *second = NULL;
    char name[NAME_CAP];

    cf_ctx_init(&ctx);
    sink_name(s, name, "shared");
    sink_want(s, sink_put_seed(s, name, 10, 1), BAKE_OK, "put");
    if (cf_want(s->r, &ctx, s->ops->open(&ctx.base, s->subject.config.cfg, &second), BAKE_OK,
                "open")) {
        s->self = second;
        sink_expect(s, name, 10, 1);
        s->self = first;
        s->ops->close(second);
        sink_expect(s, name, 10, 1);
    }
    cf_ctx_free(&ctx);
}

static void housekeeping(struct sink *s)
{
    struct cf_ctx ctx;
    char name[NAME_CAP];
    uint64_t n = 0;
    int rc;

    cf_ctx_init(&ctx);
    cf_check(s->r, s->ops->memory(s->subject.config.cfg, BAKE_FORWARD) > 0, "memory() of a put");
    cf_check(s->r, s->ops->memory(s->subject.config.cfg, BAKE_REVERSE) > 0, "memory() of a get");
    sink_want(s, sink_put_seed(s, sink_name(s, name, "swept/around"), 10, 1), BAKE_OK, "put");
    if (s->ops->space) {
        rc = s->ops->space(s->self, &ctx.base, &n);
        cf_check_words(s->r, &ctx, rc);
        cf_check(s->r, rc == BAKE_OK || rc == BAKE_E_UNSUPPORTED, "space: %s", cf_rc_name(rc));
    }
    if (s->ops->sweep) {
        n = UINT64_MAX;
        rc = s->ops->sweep(s->self, &ctx.base, 3650ull * 86400000, &n);
        cf_want(s->r, &ctx, rc, BAKE_OK, "sweep");
        cf_check(s->r, n == 0, "sweep removed %llu things that are ten years old",
                 (unsigned long long)n);
    }
    sink_expect(s, name, 10, 1);
    if (s->ops->interrupt)
        s->ops->interrupt(s->self); /* nothing is under way: must do no harm before close() */
    cf_ctx_free(&ctx);
}

void sink_object_cases(struct sink *s)
{
    sink_case(s, "objects come back as they were put", round_trip);
    sink_case(s, "what is not there is BAKE_E_NOTFOUND", missing);
    sink_case(s, "a folder is no object", folder_is_no_object);
    sink_case(s, "a put replaces", overwrite);
    sink_case(s, "put-if-absent does not replace", if_absent);
    sink_case(s, "nothing is seen before put_end()", invisible);
    sink_case(s, "put_abort() leaves nothing", abort_leaves_nothing);
    sink_case(s, "remove takes away one object", remove_objects);
    sink_case(s, "instances are independent", two_instances);
    sink_case(s, "memory, space, sweep and interrupt", housekeeping);
}
