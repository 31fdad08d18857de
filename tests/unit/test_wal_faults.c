/* store/wal: sinks that fail, damage, puts at the same time, and what `require` makes of them. */
#include "walkit.h"

#include <pthread.h>

static int setup(void **state)
{
    struct wk *w = calloc(1, sizeof(*w));

    assert_non_null(w);
    wk_init(w, 2, 1);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    wk_release(*state);
    free(*state);
    return 0;
}

static void says(const struct wk *w, const char *text)
{
    if (!strstr(w->k.err.text, text))
        fail_msg("'%s' does not say '%s'", w->k.err.text, text);
}

/* Wherever a put breaks: nothing of it is to be seen. */
static void breaks(void **state)
{
    static const enum ms_op ops[] = {MS_PUT_BEGIN, MS_PUT_WRITE, MS_PUT_END};
    struct wk *w = *state;

    w->k.pipeline.require = BK_REQUIRE_ALL;
    for (size_t i = 0; i < 3; i++) {
        ms_heal(&w->k.ms[1]);
        ms_fault(&w->k.ms[1], ops[i], "wal/", ops[i] == MS_PUT_WRITE ? 1 : 0, 0, BAKE_E_NOSPACE);
        ms_drop(&w->k.ms[0], OBJECT);
        assert_int_equal(wk_put(w), BAKE_E_NOSPACE);
        says(w, "is in 1 of 2 sinks, 'require' asks for 2");
        assert_null(ms_find(&w->k.ms[1], OBJECT));
        assert_int_equal(w->k.ms[1].puts_open, 0);
    }
    ms_heal(&w->k.ms[1]);
    wk_must_put(w); /* the server asks again: only the second is fed */
    assert_non_null(ms_find(&w->k.ms[1], OBJECT));
}

static void require_any(void **state)
{
    struct wk *w = *state;

    ms_fault(&w->k.ms[0], MS_PUT_END, "wal/", 0, 0, BAKE_E_IO);
    wk_must_put(w);
    assert_null(ms_find(&w->k.ms[0], OBJECT));
    wk_same(w); /* from the other */
    ms_drop(&w->k.ms[1], OBJECT);
    ms_fault(&w->k.ms[1], MS_PUT_WRITE, "wal/", 0, 0, BAKE_E_NOSPACE);
    assert_int_equal(wk_put(w), BAKE_E_IO);
    assert_int_equal(ms_count(&w->k.ms[0], "wal/") + ms_count(&w->k.ms[1], "wal/"), 0);
}

static void transient(void **state)
{
    struct wk *w = *state;

    ms_fault(&w->k.ms[0], MS_PUT_WRITE, "wal/", 1, 1, BAKE_E_UNAVAILABLE);
    ms_fault(&w->k.ms[1], MS_PUT_BEGIN, "wal/", 0, 1, BAKE_E_TIMEOUT);
    w->k.pipeline.require = BK_REQUIRE_ALL;
    wk_must_put(w);
    ms_fault(&w->k.ms[0], MS_GET_READ, "wal/", 1, 1, BAKE_E_UNAVAILABLE);
    w->k.ms[0].get_step = 100000;
    wk_same(w); /* from its beginning again */
}

/* The put went well, but its answer was lost. */
static void answer_lost(void **state)
{
    struct wk *w = *state;

    ms_fault_lost(&w->k.ms[0], MS_PUT_END, "wal/", BAKE_E_TIMEOUT);
    w->k.pipeline.require = BK_REQUIRE_ALL;
    wk_must_put(w);
    wk_same(w);
}

static void other_bytes_in_one(void **state)
{
    struct wk *w = *state;

    wk_must_put(w);
    ms_drop(&w->k.ms[0], OBJECT);
    w->bytes[0] ^= 1;
    wk_file(w, w->bytes, w->n);
    assert_int_equal(wk_put(w),
                     BAKE_E_EXISTS); /* though any would do, and the first would take it */
    says(w, "sink 'second'");
}

static void damage(void **state)
{
    static const size_t places[] = {3, 9, 18, 60, 5000, 1000000000};
    struct wk *w = *state;

    wk_must_put(w);
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        wk_flip(w, 0, places[i]);
        wk_same(w); /* the other has it */
        wk_flip(w, 1, places[i]);
        assert_true(wk_get(w) < 0);
        assert_int_not_equal(w->k.err.rc, BAKE_E_NOTFOUND);
        wk_flip(w, 0, places[i]);
        wk_flip(w, 1, places[i]);
    }
    wk_same(w);
}

/* Cut at any place: never taken for whole, never for absent. */
static void cut(void **state)
{
    struct wk *w = *state;
    struct ms_object *o;

    w->n = 300;
    wk_file(w, w->bytes, w->n);
    wk_must_put(w);
    ms_drop(&w->k.ms[1], OBJECT);
    o = ms_find(&w->k.ms[0], OBJECT);
    for (size_t n = o->n, full = n; n-- > 0;) {
        o->n = n;
        assert_int_equal(wk_get(w), BAKE_E_CORRUPT);
        o->n = full;
    }
    ms_set(&w->k.ms[1], OBJECT, "", 0);
    wk_same(w);
}

/* What stands there is damaged: it is not ours, and it is not replaced. */
static void damaged_there(void **state)
{
    struct wk *w = *state;

    w->k.pipeline.require = BK_REQUIRE_ALL;
    wk_must_put(w);
    wk_flip(w, 1, 30);
    assert_int_equal(wk_put(w), BAKE_E_CORRUPT);
    assert_non_null(strstr(w->k.err.hint, "remove it"));
    ms_drop(&w->k.ms[1], OBJECT);
    wk_must_put(w);
}

/* Not there is only what no sink can have. */
static void absent(void **state)
{
    struct wk *w = *state;

    assert_int_equal(wk_get(w), BAKE_E_NOTFOUND);
    says(w, "there is no log '" STREAM "/" LOG "'");
    ms_fault(&w->k.ms[1], MS_GET_BEGIN, "wal/", 0, 0, BAKE_E_AUTH);
    assert_int_equal(wk_get(w), BAKE_E_AUTH); /* it may be there alone */
    w->k.pipeline.require = BK_REQUIRE_ALL;
    assert_int_equal(wk_get(w), BAKE_E_NOTFOUND); /* then it would be in the first, too */
    ms_fault(&w->k.ms[0], MS_GET_BEGIN, "wal/", 0, 0, BAKE_E_IO);
    assert_int_equal(wk_get(w), BAKE_E_AUTH);
    assert_int_equal(access(w->copy, F_OK), -1);
}

static void sink_down(void **state)
{
    struct wk *w = *state;

    wk_must_put(w);
    ms_drop(&w->k.ms[0], OBJECT);
    ms_fault(&w->k.ms[1], MS_OPEN, NULL, 0, 0, BAKE_E_NOTFOUND);
    kit_must_open(&w->k);
    assert_int_equal(wk_get(w), BAKE_E_UNAVAILABLE); /* the sink's NOTFOUND is not the log's */
    wk_must_put(w);
    wk_same(w);
}

static void no_file(void **state)
{
    struct wk *w = *state;

    assert_int_equal(unlink(w->path), 0);
    assert_int_equal(wk_put(w), BAKE_E_NOTFOUND);
    assert_int_equal(bk_wal_put(w->k.store, STREAM, LOG, w->dir, &w->k.err), BAKE_E_IO);
    says(w, "is not a regular file");
    wk_file(w, w->bytes, w->n);
    wk_must_put(w);
    assert_int_equal(bk_wal_get(w->k.store, STREAM, LOG, "/nowhere/x", &w->k.err), BAKE_E_IO);
}

/* The transforms fail: no sink is to blame, nothing is left. */
static void transform_fails(void **state)
{
    struct wk *w = *state;

    w->k.ft_cfgs[0].fail_at = 400000;
    w->k.ft_cfgs[0].fail_rc = BAKE_E_NOMEM;
    assert_int_equal(wk_put(w), BAKE_E_NOMEM);
    assert_int_equal(ms_count(&w->k.ms[0], "wal/") + ms_count(&w->k.ms[1], "wal/"), 0);
}

static void *put_thread(void *arg)
{
    struct wk *w = arg;
    struct bk_err err = {0};
    intptr_t rc = bk_wal_put(w->k.store, STREAM, LOG, w->path, &err);

    return (void *)rc;
}

static void at_once(void **state)
{
    struct wk *w = *state;
    pthread_t threads[4];

    w->k.pipeline.require = BK_REQUIRE_ALL;
    w->k.ms[0].write_ms = 1;
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, put_thread, w), 0);
    for (size_t i = 0; i < 4; i++) {
        void *rc = NULL;

        assert_int_equal(pthread_join(threads[i], &rc), 0);
        assert_int_equal((intptr_t)rc, 0);
    }
    assert_int_equal(ms_count(&w->k.ms[0], "wal/"), 1);
    wk_same(w);
}

/* From one sink to another: whole or not at all. */
static void copies(void **state)
{
    struct wk *w = *state;
    struct bk_sink *from = &w->k.store->sinks[0], *to = &w->k.store->sinks[1];
    struct bk_err *err = &w->k.err;

    wk_must_put(w);
    assert_int_equal(bk_wal_copy(w->k.store, from, to, OBJECT, err), 0); /* there already */
    ms_drop(&w->k.ms[1], OBJECT);
    w->k.ms[0].get_step = 100000;
    ms_fault(&w->k.ms[0], MS_GET_READ, "wal/", 2, 1, BAKE_E_UNAVAILABLE); /* starts over */
    assert_int_equal(bk_wal_copy(w->k.store, from, to, OBJECT, err), 0);
    assert_int_equal(ms_find(&w->k.ms[0], OBJECT)->n, ms_find(&w->k.ms[1], OBJECT)->n);
    assert_memory_equal(ms_find(&w->k.ms[0], OBJECT)->data, ms_find(&w->k.ms[1], OBJECT)->data,
                        ms_find(&w->k.ms[0], OBJECT)->n);
    ms_drop(&w->k.ms[1], OBJECT);
    wk_flip(w, 0, 1000000000); /* the last byte: damage is seen at the very end */
    assert_int_equal(bk_wal_copy(w->k.store, from, to, OBJECT, err), BAKE_E_CORRUPT);
    assert_null(ms_find(&w->k.ms[1], OBJECT));
    wk_flip(w, 0, 1000000000);
    ms_fault(&w->k.ms[1], MS_PUT_WRITE, "wal/", 1, 1, BAKE_E_NOSPACE);
    assert_int_equal(bk_wal_copy(w->k.store, from, to, OBJECT, err), BAKE_E_NOSPACE);
    assert_int_equal(bk_wal_copy(w->k.store, from, to, "wal/s/nothing", err), BAKE_E_NOTFOUND);
    assert_null(ms_find(&w->k.ms[1], OBJECT));
}

static void cancel(void **state)
{
    struct wk *w = *state;
    pthread_t thread;

    ms_fault(&w->k.ms[0], MS_PUT_BEGIN, "wal/", 0, 0, BAKE_E_UNAVAILABLE);
    ms_fault(&w->k.ms[1], MS_PUT_BEGIN, "wal/", 0, 0, BAKE_E_UNAVAILABLE);
    assert_int_equal(pthread_create(&thread, NULL, kit_fire, &w->k), 0);
    assert_int_equal(wk_put(w), BAKE_E_CANCELLED);
    assert_int_equal(wk_get(w), BAKE_E_CANCELLED);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(breaks, setup, teardown),
        cmocka_unit_test_setup_teardown(require_any, setup, teardown),
        cmocka_unit_test_setup_teardown(transient, setup, teardown),
        cmocka_unit_test_setup_teardown(answer_lost, setup, teardown),
        cmocka_unit_test_setup_teardown(other_bytes_in_one, setup, teardown),
        cmocka_unit_test_setup_teardown(damage, setup, teardown),
        cmocka_unit_test_setup_teardown(cut, setup, teardown),
        cmocka_unit_test_setup_teardown(damaged_there, setup, teardown),
        cmocka_unit_test_setup_teardown(absent, setup, teardown),
        cmocka_unit_test_setup_teardown(sink_down, setup, teardown),
        cmocka_unit_test_setup_teardown(no_file, setup, teardown),
        cmocka_unit_test_setup_teardown(transform_fails, setup, teardown),
        cmocka_unit_test_setup_teardown(at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(copies, setup, teardown),
        cmocka_unit_test_setup_teardown(cancel, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
