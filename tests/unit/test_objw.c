/* store/objw: an object is in every sink, whole, or the flow says why not. */
#include "storekit.h"

#include "base/clock.h"
#include "store/objw.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define NAME "backups/" KIT_ID "/x"

/* Writes n bytes as one object in pieces; the flow's result. */
static int write_object(struct kit *k, const char *data, size_t n, uint32_t flags,
                        struct bk_objw_result *res, bool *stored)
{
    struct bk_flow *flow = NULL;
    struct bk_objw *w = NULL;
    int rc;

    bk_err_clear(&k->err);
    assert_int_equal(bk_flow_new(k->cancel, &flow, &k->err), 0);
    rc = bk_objw_open(flow, k->store, NAME, flags, &w, &k->err);
    for (size_t at = 0; rc >= 0 && at < n; at += 70000)
        rc = bk_objw_write(w, data + at, n - at < 70000 ? n - at : 70000);
    if (rc < 0)
        assert_int_equal(rc, BAKE_E_CANCELLED);
    if (rc >= 0)
        bk_objw_end(w);
    rc = bk_flow_wait(flow, &k->err);
    if (rc >= 0)
        bk_objw_result(w, res);
    *stored = bk_objw_stored(w);
    bk_objw_free(w);
    bk_flow_free(flow);
    return rc;
}

static void check_object(struct kit *k, size_t sink, const char *plain, size_t n,
                         const struct bk_objw_result *res)
{
    struct ms_object *o = ms_find(&k->ms[sink], NAME);
    char sha[BK_SHA256_HEX];

    assert_non_null(o);
    assert_int_equal(res->plain_size, n);
    assert_int_equal(res->stored_size, o->n);
    assert_int_equal(bk_sha256_hex_of(plain, n, sha), 0);
    assert_string_equal(res->plain_sha256, sha);
    assert_int_equal(bk_sha256_hex_of(o->data, o->n, sha), 0);
    assert_string_equal(res->stored_sha256, sha);
    if (k->pipeline.n_transforms == 0)
        assert_memory_equal(o->data, plain, n);
}

static const size_t sizes[] = {0,
                               1,
                               BK_RING_BYTES / 4 - 1,
                               BK_RING_BYTES / 4 + 1,
                               BK_RING_BYTES - 1,
                               BK_RING_BYTES,
                               BK_RING_BYTES + 1,
                               5u << 20};

static void all_sizes(void **state)
{
    (void)state;
    for (size_t transforms = 0; transforms < 3; transforms += 2) {
        for (uint32_t flags = 0; flags <= BAKE_SMALL_OBJECT; flags++) {
            /* (the fake transforms are slow) */
            for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]) - 2 * transforms; i++) {
                struct kit k;
                struct bk_objw_result res;
                char *data = kit_bytes(sizes[i], i);
                bool stored;

                kit_init(&k, 2, transforms);
                kit_must_open(&k);
                assert_int_equal(write_object(&k, data, sizes[i], flags, &res, &stored), 0);
                assert_true(stored);
                check_object(&k, 0, data, sizes[i], &res);
                check_object(&k, 1, data, sizes[i], &res);
                free(data);
                kit_release(&k);
            }
        }
    }
}

/* So that the ring cannot hold it in less than five pieces. */
#define BIG ((size_t)9 * BK_RING_BYTES / 2)

static const enum ms_op put_ops[] = {MS_PUT_BEGIN, MS_PUT_WRITE, MS_PUT_END};

/* One sink fails at its beginning, in the middle, at its end: the other has everything. */
static void one_of_two_fails(void **state)
{
    (void)state;
    char *data = kit_bytes(BIG, 1);

    for (uint32_t flags = 0; flags <= BAKE_SMALL_OBJECT; flags++) {
        for (size_t bad = 0; bad < 2; bad++) {
            for (size_t op = 0; op < 3; op++) {
                struct kit k;
                struct bk_objw_result res;
                bool stored;

                kit_init(&k, 2, 0);
                kit_must_open(&k);
                ms_fault(&k.ms[bad], put_ops[op], NAME, op == 1 ? 2 : 0, 0, BAKE_E_NOSPACE);
                assert_int_equal(write_object(&k, data, BIG, flags, &res, &stored), 0);
                assert_true(stored);
                check_object(&k, 1 - bad, data, BIG, &res);
                assert_null(ms_find(&k.ms[bad], NAME));
                assert_int_equal(k.store->failed[bad].rc, BAKE_E_NOSPACE);
                assert_non_null(strstr(k.store->failed[bad].text, bad ? "second" : "first"));
                assert_true(bk_store_sink_ok(k.store, 1 - bad));
                kit_release(&k);
            }
        }
    }
    free(data);
}

static void all_fail(void **state)
{
    (void)state;
    char *data = kit_bytes(BIG, 1);

    for (uint32_t flags = 0; flags <= BAKE_SMALL_OBJECT; flags++) {
        for (size_t op = 0; op < 3; op++) {
            struct kit k;
            struct bk_objw_result res;
            bool stored;

            kit_init(&k, 2, 0);
            kit_must_open(&k);
            ms_fault(&k.ms[0], put_ops[op], NAME, 0, 0, BAKE_E_IO);
            ms_fault(&k.ms[1], put_ops[op], NAME, op == 1 ? 3 : 0, 0, BAKE_E_NOSPACE);
            assert_int_equal(write_object(&k, data, BIG, flags, &res, &stored), BAKE_E_NOSPACE);
            assert_non_null(strstr(k.err.text, "sink 'second'"));
            assert_false(stored);
            assert_int_equal(bk_store_sinks_ok(k.store), 0);
            /* The next object has no sink to go to: no success either. */
            assert_true(write_object(&k, data, 10, flags, &res, &stored) < 0);
            assert_int_equal(k.err.rc, BAKE_E_IO);
            assert_false(stored);
            kit_release(&k);
        }
    }
    free(data);
}

/* Another's object has the name: lost, and it is not ours to remove. */
static void put_if_absent_lost(void **state)
{
    (void)state;
    struct kit k;
    struct bk_objw_result res;
    bool stored;

    kit_init(&k, 1, 0);
    kit_must_open(&k);
    ms_set(&k.ms[0], NAME, "theirs", 6);
    assert_int_equal(write_object(&k, "mine", 4, 0, &res, &stored), BAKE_E_EXISTS);
    assert_false(stored);
    assert_memory_equal(ms_find(&k.ms[0], NAME)->data, "theirs", 6);
    kit_release(&k);
}

static void takes_half(void **state)
{
    (void)state;
    struct kit k;
    struct bk_objw_result res;
    bool stored;

    kit_init(&k, 1, 0);
    kit_must_open(&k);
    k.ms[0].takes_half = true;
    assert_int_equal(write_object(&k, "some words", 10, 0, &res, &stored), BAKE_E_INTERNAL);
    assert_null(ms_find(&k.ms[0], NAME));
    kit_release(&k);
}

static void transform_fails(void **state)
{
    (void)state;
    static const uint64_t when[] = {0, 200000, 400003};
    char *data = kit_bytes(400000, 1);

    for (uint32_t flags = 0; flags <= BAKE_SMALL_OBJECT; flags++) {
        for (size_t i = 0; i < 3; i++) {
            struct kit k;
            struct bk_objw_result res;
            bool stored;

            kit_init(&k, 2, 2);
            kit_must_open(&k);
            k.ft_cfgs[1].fail_at = when[i];
            k.ft_cfgs[1].fail_rc = BAKE_E_CHILD;
            assert_int_equal(write_object(&k, data, 400000, flags, &res, &stored), BAKE_E_CHILD);
            assert_false(stored);
            assert_null(ms_find(&k.ms[0], NAME));
            assert_int_equal(bk_store_sinks_ok(k.store), 2); /* the sinks are not to blame */
            kit_release(&k);
        }
    }
    free(data);
}

/* From outside, while a slow sink holds everything up. */
static void cancelled(void **state)
{
    (void)state;
    for (uint32_t flags = 0; flags <= BAKE_SMALL_OBJECT; flags++) {
        struct kit k;
        struct bk_objw_result res;
        char *data = kit_bytes(8u << 20, 1);
        pthread_t t;
        bool stored;

        kit_init(&k, 2, 0);
        kit_must_open(&k);
        k.ms[1].write_ms = 30000;
        assert_int_equal(pthread_create(&t, NULL, kit_fire, &k), 0);
        assert_int_equal(write_object(&k, data, 8u << 20, flags, &res, &stored), BAKE_E_CANCELLED);
        pthread_join(t, NULL);
        assert_true(bk_monotonic_ms() - k.fired_ms < 2000);
        assert_false(stored);
        assert_int_equal(bk_store_sinks_ok(k.store), 2);
        assert_null(ms_find(&k.ms[0], NAME));
        free(data);
        kit_release(&k);
    }
}

static void does_not_open(void **state)
{
    (void)state;
    struct kit k;
    struct bk_flow *flow = NULL;
    struct bk_objw *w = NULL;

    kit_init(&k, 1, 2);
    kit_must_open(&k);
    k.ft_cfgs[1].open_rc = BAKE_E_KEY;
    assert_int_equal(bk_flow_new(k.cancel, &flow, &k.err), 0);
    assert_int_equal(bk_objw_open(flow, k.store, NAME, 0, &w, &k.err), BAKE_E_KEY);
    (void)bk_flow_wait(flow, NULL);
    bk_objw_free(w);
    bk_objw_free(NULL);
    bk_flow_free(flow);
    kit_release(&k);
}

static void stated_memory(void **state)
{
    (void)state;
    struct kit k;

    kit_init(&k, 2, 1);
    kit_must_open(&k);
    assert_true(bk_objw_memory(k.store, 0) > 2 * BK_RING_BYTES + 2 * 5000 + 1000);
    assert_true(bk_objw_memory(k.store, BAKE_SMALL_OBJECT) > BK_RING_BYTES / 4 + 2 * 5000 + 1000);
    assert_true(bk_objw_memory(k.store, BAKE_SMALL_OBJECT) < bk_objw_memory(k.store, 0));
    kit_release(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_sizes),     cmocka_unit_test(one_of_two_fails),
        cmocka_unit_test(all_fail),      cmocka_unit_test(put_if_absent_lost),
        cmocka_unit_test(takes_half),    cmocka_unit_test(transform_fails),
        cmocka_unit_test(cancelled),     cmocka_unit_test(does_not_open),
        cmocka_unit_test(stated_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
