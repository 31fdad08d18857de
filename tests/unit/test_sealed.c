/* store/sealed: ranges that fail for a moment or for good, and objects for one sink alone. */
#include "storekit.h"

#include "base/clock.h"
#include "store/sealed.h"

#include <pthread.h>
#include <string.h>

struct fix {
    struct kit k;
    char *bytes;
};

static int setup(void **state)
{
    struct fix *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    kit_init(&f->k, 2, 1);
    kit_must_open(&f->k);
    f->bytes = kit_bytes(5000, 7);
    ms_set(&f->k.ms[0], "packs/x", f->bytes, 5000);
    ms_heal(&f->k.ms[0]);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fix *f = *state;

    kit_release(&f->k);
    free(f->bytes);
    free(f);
    return 0;
}

static int range(struct fix *f, uint64_t offset, uint64_t n, struct bk_buf *b)
{
    bk_err_clear(&f->k.err);
    return bk_sealed_range(&f->k.store->sinks[0], "packs/x", offset, n, b, &f->k.err);
}

static void ranges(void **state)
{
    struct fix *f = *state;
    struct bk_buf b = BK_BUF_INIT;

    f->k.ms[0].get_step = 100;
    bk_buf_str(&b, "before");
    assert_int_equal(range(f, 10, 3000, &b), 0);
    assert_int_equal(b.len, 3006);
    assert_memory_equal(b.data, "before", 6);
    assert_memory_equal(b.data + 6, f->bytes + 10, 3000);
    assert_int_equal(range(f, 4999, 1, &b), 0);
    assert_int_equal(range(f, 5000, 0, &b), 0);
    assert_int_equal(b.len, 3007);
    assert_int_equal(range(f, 4000, 1001, &b), BAKE_E_CORRUPT);
    assert_non_null(strstr(f->k.err.text, "'packs/x' is cut"));
    assert_int_equal(b.len, 3007); /* nothing half is left */
    bk_buf_free(&b);
}

/* In the middle, twice: read from its beginning again. */
static void transient(void **state)
{
    static const int codes[] = {BAKE_E_UNAVAILABLE, BAKE_E_TIMEOUT};
    struct fix *f = *state;

    for (size_t i = 0; i < 2; i++) {
        struct bk_buf b = BK_BUF_INIT;
        uint64_t start = bk_monotonic_ms();

        ms_heal(&f->k.ms[0]);
        f->k.ms[0].get_step = 1000;
        ms_fault(&f->k.ms[0], MS_GET_READ, "packs/x", 2, 1, codes[i]);
        ms_fault(&f->k.ms[0], MS_GET_BEGIN, "packs/x", 1, 1, codes[i]);
        assert_int_equal(range(f, 0, 5000, &b), 0);
        assert_int_equal(b.len, 5000);
        assert_memory_equal(b.data, f->bytes, 5000);
        assert_int_equal(f->k.ms[0].calls[MS_GET_BEGIN], 3);
        assert_in_range(bk_monotonic_ms() - start, 1000, 10000);
        bk_buf_free(&b);
    }
}

static void for_good(void **state)
{
    struct fix *f = *state;
    struct bk_buf b = BK_BUF_INIT;

    ms_fault(&f->k.ms[0], MS_GET_READ, "packs/x", 0, 0, BAKE_E_IO);
    assert_int_equal(range(f, 0, 5000, &b), BAKE_E_IO);
    assert_int_equal(f->k.ms[0].calls[MS_GET_BEGIN], 1);
    ms_heal(&f->k.ms[0]);
    ms_drop(&f->k.ms[0], "packs/x");
    assert_int_equal(range(f, 0, 5000, &b), BAKE_E_NOTFOUND);
    bk_buf_free(&b);
}

static void cancelled(void **state)
{
    struct fix *f = *state;
    struct bk_buf b = BK_BUF_INIT;
    uint64_t start = bk_monotonic_ms();
    pthread_t t;

    ms_fault(&f->k.ms[0], MS_GET_READ, "packs/x", 0, 0, BAKE_E_UNAVAILABLE);
    assert_int_equal(pthread_create(&t, NULL, kit_fire, &f->k), 0);
    assert_int_equal(range(f, 0, 5000, &b), BAKE_E_CANCELLED);
    pthread_join(t, NULL);
    assert_in_range(bk_monotonic_ms() - start, 0, 3000);
    bk_buf_free(&b);
}

static void one_sink(void **state)
{
    struct fix *f = *state;
    struct bk_buf plain = BK_BUF_INIT, back = BK_BUF_INIT;
    char name[100];

    bk_buf_add(&plain, f->bytes, 3000);
    assert_int_equal(bk_sealed_put_to(f->k.store, &f->k.store->sinks[1], "indexes/", &plain, name,
                                      sizeof(name), &f->k.err),
                     0);
    assert_null(ms_find(&f->k.ms[0], name));
    assert_int_equal(bk_sealed_get(f->k.store, &f->k.store->sinks[1], name, 9000, &back, &f->k.err),
                     0);
    assert_int_equal(back.len, 3000);
    assert_memory_equal(back.data, f->bytes, 3000);
    ms_fault(&f->k.ms[1], MS_PUT_END, "indexes/", 0, 0, BAKE_E_NOSPACE);
    bk_buf_char(&plain, 'x');
    assert_int_equal(bk_sealed_put_to(f->k.store, &f->k.store->sinks[1], "indexes/", &plain, name,
                                      sizeof(name), &f->k.err),
                     BAKE_E_NOSPACE);
    assert_true(bk_store_sink_ok(f->k.store, 1)); /* the caller's to judge */
    bk_buf_clear(&back);
    assert_int_equal(bk_sealed_get(f->k.store, &f->k.store->sinks[1], name, 9000, &back, &f->k.err),
                     BAKE_E_NOTFOUND);
    bk_buf_free(&plain);
    bk_buf_free(&back);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {T(ranges), T(transient), T(for_good), T(cancelled),
                                       T(one_sink)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
