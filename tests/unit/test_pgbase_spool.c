/* The receiver's spool: what is in it gets into the store, whole, in order, whatever happens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base_files.h"
#include "fakehost.h"
#include "follow.h"
#include "text.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define S(n) "00000001000000000000000" #n

struct bed {
    struct fakehost host; /* first */
    struct bake_host table;
    char dir[64];
    struct pg_spool spool;
    char put[2000];  /* names, in order */
    int fail, fails; /* the result of the next calls, how many */
    unsigned slept;
};

static struct bed *of(struct bake_ctx *ctx) { return (struct bed *)(void *)ctx; }

static int log_put(struct bake_ctx *ctx, const char *stream, const char *name, const char *path)
{
    struct bed *b = of(ctx);
    assert_string_equal(stream, "77");
    assert_int_equal(access(path, R_OK), 0);
    if (b->fails > 0) {
        b->fails--;
        return bake_fail(ctx, b->fail, "as the test wants it");
    }
    size_t n = strlen(b->put);
    (void)snprintf(b->put + n, sizeof(b->put) - n, "%s ", name);
    return BAKE_OK;
}

static int log_get(struct bake_ctx *ctx, const char *stream, const char *name, const char *path)
{
    (void)stream;
    (void)name;
    return pg_write_file(ctx, path, "log", 3, false, 0, 0);
}

static int log_list(struct bake_ctx *ctx, const char *stream,
                    int (*each)(void *arg, const char *name, uint64_t size), void *arg)
{
    static const char *const names[] = {
        "00000001/000000010000000000000009", "00000002/00000002.history",
        "00000002/000000020000000000000008", "00000002/00000002000000000000000A"};
    (void)ctx;
    (void)stream;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (each(arg, names[i], 100))
            return 1;
    return BAKE_OK;
}

static int sleep_ms(struct bake_ctx *ctx, uint32_t ms)
{
    (void)ms;
    of(ctx)->slept++;
    return ctx->host->cancelled(ctx) ? BAKE_E_CANCELLED : BAKE_OK;
}

static int up(void **state)
{
    struct bed *b = calloc(1, sizeof(*b));
    if (!b)
        return -1;
    fakehost_init(&b->host);
    b->table = *b->host.ctx.host;
    b->table.log_put = log_put;
    b->table.log_get = log_get;
    b->table.log_list = log_list;
    b->table.sleep_ms = sleep_ms;
    b->host.ctx.host = &b->table;
    (void)snprintf(b->dir, sizeof(b->dir), "/tmp/pgbase-spool-XXXXXX");
    if (!mkdtemp(b->dir))
        return -1;
    b->spool = (struct pg_spool){.ctx = &b->host.ctx, .directory = b->dir, .stream = "77"};
    *state = b;
    return 0;
}

static int down(void **state)
{
    struct bed *b = *state;
    int rc = pg_remove_tree(&b->host.ctx, b->dir);
    fakehost_free(&b->host);
    free(b);
    return rc;
}

static void make(struct bed *b, const char *name)
{
    char *path = pg_text("%s/%s", b->dir, name);
    assert_int_equal(pg_write_file(&b->host.ctx, path, name, strlen(name), false, 0, 0), BAKE_OK);
    free(path);
}

static bool there(struct bed *b, const char *name)
{
    char *path = pg_text("%s/%s", b->dir, name);
    bool yes = access(path, F_OK) == 0;
    free(path);
    return yes;
}

static void in_order(void **state)
{
    struct bed *b = *state;
    make(b, S(3));
    make(b, S(1));
    make(b, S(2));
    make(b, S(4) ".partial");
    make(b, "00000002.history");
    make(b, "something.tmp");
    assert_int_equal(pg_spool_put(&b->spool), BAKE_OK);
    assert_string_equal(
        b->put, "00000002/00000002.history 00000001/" S(1) " 00000001/" S(2) " 00000001/" S(3) " ");
    assert_false(there(b, S(1)));
    assert_false(there(b, S(2)));
    assert_true(there(b, S(3))); /* where to go on */
    assert_true(there(b, S(4) ".partial"));
    assert_false(there(b, "00000002.history"));
    assert_int_equal(pg_spool_put(&b->spool), BAKE_OK); /* not again */
    assert_int_equal(b->spool.stored, 4);
    make(b, S(4));
    assert_int_equal(pg_spool_put(&b->spool), BAKE_OK);
    assert_false(there(b, S(3)));
    assert_true(there(b, S(4)));
}

/* Positions count before timelines. */
static void across_timelines(void **state)
{
    struct bed *b = *state;
    make(b, "000000020000000000000003");
    make(b, "000000010000000000000002");
    make(b, "000000010000000000000003");
    assert_int_equal(pg_spool_put(&b->spool), BAKE_OK);
    assert_string_equal(b->put, "00000001/000000010000000000000002 "
                                "00000001/000000010000000000000003 "
                                "00000002/000000020000000000000003 ");
    assert_true(there(b, "000000020000000000000003"));
    assert_false(there(b, "000000010000000000000003"));
}

static void again_and_again(void **state)
{
    struct bed *b = *state;
    static const int passing[] = {BAKE_E_UNAVAILABLE, BAKE_E_TIMEOUT, BAKE_E_IO, BAKE_E_NOSPACE};
    for (size_t i = 0; i < sizeof(passing) / sizeof(passing[0]); i++) {
        char name[40];
        (void)snprintf(name, sizeof(name), "00000001000000000000000%zu", i + 1);
        make(b, name);
        b->fail = passing[i];
        b->fails = 3;
        assert_int_equal(pg_spool_put(&b->spool), BAKE_OK);
        assert_int_equal(b->fails, 0);
    }
    assert_int_equal(b->slept, 12);
    assert_int_equal(fakehost_count(&b->host, BAKE_WARNING, NULL, "cannot be stored"), 4);
    assert_int_equal(fakehost_count(&b->host, BAKE_NOTICE, NULL, "again"), 4);
}

static void for_good(void **state)
{
    struct bed *b = *state;
    static const int lasting[] = {BAKE_E_EXISTS, BAKE_E_CORRUPT, BAKE_E_CONFIG, BAKE_E_CANCELLED};
    make(b, S(1));
    for (size_t i = 0; i < sizeof(lasting) / sizeof(lasting[0]); i++) {
        b->fail = lasting[i];
        b->fails = 1;
        assert_int_equal(pg_spool_put(&b->spool), lasting[i]);
        assert_true(there(b, S(1)));
    }
    b->fail = BAKE_E_UNAVAILABLE;
    b->fails = 1000;
    fakehost_cancel(&b->host);
    assert_int_equal(pg_spool_put(&b->spool), BAKE_E_CANCELLED);
    assert_true(there(b, S(1)));
}

static void seed(void **state)
{
    struct bed *b = *state;
    assert_int_equal(pg_spool_seed(&b->spool), BAKE_OK);
    assert_true(there(b, "00000002000000000000000A"));
    assert_int_equal(pg_spool_put(&b->spool), BAKE_OK); /* it came from there */
    assert_string_equal(b->put, "");
    make(b, "00000002000000000000000B.partial");
    assert_int_equal(pg_spool_clear(&b->spool), BAKE_OK);
    assert_false(there(b, "00000002000000000000000A"));
    assert_false(there(b, "00000002000000000000000B.partial"));
    make(b, S(1));
    assert_int_equal(pg_spool_seed(&b->spool), BAKE_OK); /* there is one */
    assert_false(there(b, "00000002000000000000000A"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(in_order, up, down),
        cmocka_unit_test_setup_teardown(across_timelines, up, down),
        cmocka_unit_test_setup_teardown(again_and_again, up, down),
        cmocka_unit_test_setup_teardown(for_good, up, down),
        cmocka_unit_test_setup_teardown(seed, up, down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
