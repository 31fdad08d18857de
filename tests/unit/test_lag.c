/* store/lag: while a group is held only the first sink is fed; the others get the rest later. */
#include "storekit.h"

#include "store/lag.h"
#include "store/mirror.h"
#include "store/objw.h"
#include "store/packer.h"
#include "store/sealed.h"

#include <stdlib.h>
#include <string.h>

#define NAME "backups/" KIT_ID "/x"
#define SIZE (3u << 20)

struct fix {
    struct kit k;
    char *data;
};

static int setup(void **state)
{
    struct fix *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    kit_init(&f->k, 3, 0);
    kit_must_open(&f->k);
    f->data = kit_bytes(SIZE, 7);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fix *f = *state;

    free(f->data);
    kit_release(&f->k);
    free(f);
    return 0;
}

static int write_object(struct fix *f, const char *name)
{
    struct bk_flow *flow = NULL;
    struct bk_objw *w = NULL;
    int rc;

    bk_err_clear(&f->k.err);
    assert_int_equal(bk_flow_new(f->k.cancel, &flow, &f->k.err), 0);
    rc = bk_objw_open(flow, f->k.store, name, 0, &w, &f->k.err);
    if (rc >= 0)
        rc = bk_objw_write(w, f->data, SIZE);
    if (rc >= 0)
        bk_objw_end(w);
    rc = bk_flow_wait(flow, &f->k.err);
    bk_objw_free(w);
    bk_flow_free(flow);
    return rc;
}

static bool has(struct fix *f, size_t sink, const char *name)
{
    const struct ms_object *o = ms_find(&f->k.ms[sink], name);

    if (o) {
        assert_int_equal(o->n, SIZE);
        assert_memory_equal(o->data, f->data, SIZE);
    }
    return o != NULL;
}

static void only_the_first(void **state)
{
    struct fix *f = *state;

    assert_false(bk_store_held(f->k.store));
    bk_store_hold(f->k.store);
    bk_store_hold(f->k.store);
    bk_store_unhold(f->k.store);
    assert_true(bk_store_held(f->k.store));
    assert_int_equal(write_object(f, NAME), 0);
    assert_true(has(f, 0, NAME));
    for (size_t i = 1; i < 3; i++) { /* they were not even asked */
        assert_int_equal(f->k.ms[i].calls[MS_PUT_BEGIN], 1);
        assert_false(has(f, i, NAME));
    }
    bk_store_unhold(f->k.store);
    assert_false(bk_store_held(f->k.store));
    assert_int_equal(write_object(f, NAME "2"), 0);
    for (size_t i = 0; i < 3; i++)
        assert_true(has(f, i, NAME "2"));
    assert_int_equal(bk_lag_fill(f->k.store, &f->k.err), 0);
    for (size_t i = 0; i < 3; i++)
        assert_true(has(f, i, NAME));
    assert_int_equal(bk_store_sinks_ok(f->k.store), 3);
    assert_int_equal(ms_count(&f->k.ms[0], "backups/"), 2);
    assert_int_equal(ms_count(&f->k.ms[2], "backups/"), 2);
    assert_int_equal(bk_lag_fill(f->k.store, &f->k.err), 0); /* nothing is left to do */
}

/* A slow second sink costs nothing while a group is held. */
static void not_slowed(void **state)
{
    struct fix *f = *state;

    f->k.ms[1].write_ms = 60000;
    bk_store_hold(f->k.store);
    assert_int_equal(write_object(f, NAME), 0);
    bk_store_unhold(f->k.store);
    f->k.ms[1].write_ms = 0;
    assert_int_equal(bk_lag_fill(f->k.store, &f->k.err), 0);
    assert_true(has(f, 1, NAME));
}

/* A first sink that cannot begin: the next one is the first. */
static void first_is_down(void **state)
{
    struct fix *f = *state;

    ms_fault(&f->k.ms[0], MS_PUT_BEGIN, NAME, 0, 0, BAKE_E_IO);
    bk_store_hold(f->k.store);
    assert_int_equal(write_object(f, NAME), 0);
    bk_store_unhold(f->k.store);
    assert_false(bk_store_sink_ok(f->k.store, 0));
    assert_true(has(f, 1, NAME));
    assert_false(has(f, 2, NAME));
    assert_int_equal(bk_lag_fill(f->k.store, &f->k.err), 0);
    assert_true(has(f, 2, NAME));
    assert_false(has(f, 0, NAME));
}

/* One that fails on the way: the object is nowhere, though there are sinks left. */
static void first_fails(void **state)
{
    static const enum ms_op ops[] = {MS_PUT_WRITE, MS_PUT_END};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        void *made = NULL;
        struct fix *f;

        setup(&made);
        f = made;
        ms_fault(&f->k.ms[0], ops[i], NAME, 0, 0, BAKE_E_NOSPACE);
        bk_store_hold(f->k.store);
        assert_int_equal(write_object(f, NAME), BAKE_E_NOSPACE);
        assert_non_null(strstr(f->k.err.text, "first"));
        assert_int_equal(bk_store_sinks_ok(f->k.store), 2);
        assert_int_equal(write_object(f, NAME "2"), 0); /* the next goes to the next */
        bk_store_unhold(f->k.store);
        assert_int_equal(bk_lag_fill(f->k.store, &f->k.err), 0);
        assert_true(has(f, 1, NAME "2"));
        assert_true(has(f, 2, NAME "2"));
        assert_int_equal(ms_count(&f->k.ms[1], NAME), 1);
        teardown(&made);
    }
}

static void write_held(struct fix *f)
{
    bk_store_hold(f->k.store);
    assert_int_equal(write_object(f, NAME), 0);
    bk_store_unhold(f->k.store);
}

static void removed_again(void **state)
{
    struct fix *f = *state;

    write_held(f);
    assert_int_equal(bk_store_remove(f->k.store, NAME, &f->k.err), 0);
    assert_int_equal(bk_lag_fill(f->k.store, &f->k.err), 0);
    assert_int_equal(bk_store_sinks_ok(f->k.store), 3);
    for (size_t i = 0; i < 3; i++)
        assert_false(has(f, i, NAME));
}

/* Both faults of a moment, and an answer that was lost. */
static void tried_again(void **state)
{
    struct fix *f = *state;

    write_held(f);
    ms_fault(&f->k.ms[0], MS_GET_READ, NAME, 1, 1, BAKE_E_TIMEOUT);
    ms_fault_lost(&f->k.ms[1], MS_PUT_END, NAME, BAKE_E_UNAVAILABLE);
    assert_int_equal(bk_lag_fill(f->k.store, &f->k.err), 0);
    assert_int_equal(bk_store_sinks_ok(f->k.store), 3);
    assert_true(has(f, 1, NAME));
    assert_true(has(f, 2, NAME));
}

/* A sink that cannot be filled gets no manifest; the others do. */
static void lags_behind(void **state)
{
    static const enum ms_op ops[] = {MS_PUT_BEGIN, MS_PUT_WRITE, MS_PUT_END};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        void *made = NULL;
        struct fix *f;

        setup(&made);
        f = made;
        write_held(f);
        ms_fault(&f->k.ms[1], ops[i], NAME, 0, 0, BAKE_E_NOSPACE);
        assert_int_equal(bk_lag_fill(f->k.store, &f->k.err), 0);
        assert_int_equal(f->k.store->failed[1].rc, BAKE_E_NOSPACE);
        assert_non_null(strstr(f->k.store->failed[1].text, "sink 'second' lags behind"));
        assert_false(has(f, 1, NAME));
        assert_true(has(f, 2, NAME));
        assert_int_equal(bk_store_sinks_ok(f->k.store), 2);
        teardown(&made);
    }
}

/* What the first sink gives back is not what it got: no other takes it. */
static void damage_stays(void **state)
{
    struct fix *f = *state;

    write_held(f);
    ms_find(&f->k.ms[0], NAME)->data[SIZE / 2] ^= 1;
    assert_int_equal(bk_lag_fill(f->k.store, &f->k.err), 0);
    assert_int_equal(f->k.store->failed[1].rc, BAKE_E_CORRUPT);
    assert_int_equal(f->k.store->failed[2].rc, BAKE_E_CORRUPT);
    assert_null(ms_find(&f->k.ms[1], NAME));
    assert_null(ms_find(&f->k.ms[2], NAME));
}

static void gone_meanwhile(void **state)
{
    struct fix *f = *state;
    char sha256[BK_SHA256_HEX];

    assert_int_equal(bk_sha256_hex_of("index", 5, sha256), 0);
    assert_int_equal(bk_lag_add(f->k.store, "indexes/1", 0, sha256, false, &f->k.err), 0);
    assert_int_equal(bk_lag_fill(f->k.store, &f->k.err), 0);
    assert_int_equal(bk_store_sinks_ok(f->k.store), 3);
    write_held(f);
    ms_drop(&f->k.ms[0], NAME);
    assert_int_equal(bk_lag_fill(f->k.store, &f->k.err), 0);
    assert_int_equal(bk_store_sinks_ok(f->k.store), 1);
    assert_int_equal(f->k.store->failed[1].rc, BAKE_E_NOTFOUND);
}

/* The only sink that has it is lost: then no sink may get the manifest. */
static void all_lost(void **state)
{
    struct fix *f = *state;
    struct bk_err why = {0};

    write_held(f);
    bk_fail(&why, BAKE_E_IO, "unplugged");
    bk_store_sink_failed(f->k.store, 0, &why);
    ms_fault(&f->k.ms[0], MS_GET_BEGIN, NAME, 0, 0, BAKE_E_IO);
    assert_true(bk_lag_fill(f->k.store, &f->k.err) < 0);
    assert_int_equal(bk_store_sinks_ok(f->k.store), 0);
}

static void cancelled(void **state)
{
    struct fix *f = *state;

    write_held(f);
    ms_fault(&f->k.ms[1], MS_PUT_BEGIN, NAME, 0, 0, BAKE_E_UNAVAILABLE);
    bk_cancel_fire(f->k.cancel);
    assert_int_equal(bk_lag_fill(f->k.store, &f->k.err), BAKE_E_CANCELLED);
    assert_true(bk_store_sink_ok(f->k.store, 1));
}

/* Small objects: whole, into the first that takes it. */
static void feeding(void **state)
{
    struct fix *f = *state;
    size_t sink = 0;

    assert_int_equal(bk_store_feed(f->k.store, "a", "1", 1, 0, &sink, &f->k.err), 0);
    assert_true(sink == SIZE_MAX);
    bk_store_hold(f->k.store);
    assert_int_equal(bk_store_feed(f->k.store, "b", "1", 1, 0, &sink, &f->k.err), 0);
    assert_int_equal(sink, 0);
    ms_fault(&f->k.ms[0], MS_PUT_END, "c", 0, 0, BAKE_E_IO);
    assert_int_equal(bk_store_feed(f->k.store, "c", "1", 1, 0, &sink, &f->k.err), 0);
    assert_int_equal(sink, 1);
    for (size_t i = 0; i < 3; i++) {
        assert_non_null(ms_find(&f->k.ms[i], "a"));
        assert_int_equal(ms_find(&f->k.ms[i], "b") != NULL, i == 0);
        assert_int_equal(ms_find(&f->k.ms[i], "c") != NULL, i == 1);
    }
    ms_fault(&f->k.ms[1], MS_PUT_END, "d", 0, 0, BAKE_E_IO);
    ms_fault(&f->k.ms[2], MS_PUT_END, "d", 0, 0, BAKE_E_IO);
    assert_int_equal(bk_store_feed(f->k.store, "d", "1", 1, 0, &sink, &f->k.err), BAKE_E_IO);
    bk_store_unhold(f->k.store);
}

static int on_stored(void *arg, const bk_id *pack, uint64_t size, uint32_t head,
                     const struct bk_pack_table *table, struct bk_err *err)
{
    (void)arg;
    (void)pack;
    (void)size;
    (void)head;
    (void)table;
    (void)err;
    return BAKE_OK;
}

/* A repository's packs, and the objects of its index. */
static void packs_and_indexes(void **state)
{
    struct fix *f = *state;
    struct bk_packer_opts opts = {.lanes = 2, .stored = on_stored};
    struct bk_buf plain = BK_BUF_INIT;
    struct bk_packer *p;
    char name[100];
    bk_id id;

    bk_store_hold(f->k.store);
    assert_int_equal(bk_packer_new(f->k.store, f->k.cancel, &opts, &p, &f->k.err), 0);
    assert_int_equal(bk_id_of(f->data, 1000, &id, &f->k.err), 0);
    assert_int_equal(bk_packer_add(p, BK_PACK_DATA, &id, f->data, 1000, &f->k.err), 0);
    assert_int_equal(bk_packer_flush(p, &f->k.err), 0);
    bk_buf_str(&plain, "an index");
    assert_int_equal(bk_sealed_put(f->k.store, "indexes/", &plain, name, sizeof(name), &f->k.err),
                     0);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(ms_count(&f->k.ms[i], "packs/"), i == 0);
        assert_int_equal(ms_count(&f->k.ms[i], "indexes/"), i == 0);
    }
    bk_store_unhold(f->k.store);
    bk_packer_free(p);
    bk_buf_free(&plain);
    /* Packs are found by listing; the index is not. */
    assert_int_equal(bk_lag_fill(f->k.store, &f->k.err), 0);
    for (size_t i = 0; i < 3; i++)
        assert_non_null(ms_find(&f->k.ms[i], name));
    assert_int_equal(ms_count(&f->k.ms[1], "packs/"), 0);
}

/* The base failed while only one sink was fed: what the next one got since is copied from there. */
static void packs_from_any(void **state)
{
    struct fix *f = *state;
    char name[BK_PACK_NAME_CAP];
    bk_id packs[1];

    assert_int_equal(bk_id_of(f->data, SIZE, &packs[0], &f->k.err), 0);
    bk_pack_name(&packs[0], name);
    ms_set(&f->k.ms[1], name, f->data, SIZE);
    assert_int_equal(bk_mirrors_fill(f->k.store, &f->k.store->sinks[0], packs, 1, &f->k.err), 0);
    assert_int_equal(bk_store_sinks_ok(f->k.store), 3);
    assert_true(has(f, 2, name));
    ms_drop(&f->k.ms[2], name);
    ms_find(&f->k.ms[1], name)->data[1] ^= 1;
    assert_int_equal(bk_mirrors_fill(f->k.store, &f->k.store->sinks[0], packs, 1, &f->k.err), 0);
    assert_false(bk_store_sink_ok(f->k.store, 2));
    assert_null(ms_find(&f->k.ms[2], name));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(only_the_first),
        TEST(not_slowed),
        TEST(first_is_down),
        cmocka_unit_test(first_fails),
        TEST(removed_again),
        TEST(tried_again),
        cmocka_unit_test(lags_behind),
        TEST(damage_stays),
        TEST(gone_meanwhile),
        TEST(all_lost),
        TEST(cancelled),
        TEST(feeding),
        TEST(packs_and_indexes),
        TEST(packs_from_any),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
