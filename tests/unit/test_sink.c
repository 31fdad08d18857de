/* store/sink: small objects whole; only what is transient is tried again. */
#include "storekit.h"

#include "base/clock.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct fix {
    struct kit kit;
    struct bk_sink sink;
};

static int setup(void **state)
{
    struct fix *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    kit_init(&f->kit, 1, 0);
    assert_int_equal(bk_sink_open(&f->kit.sinks[0], f->kit.cancel, &f->sink, &f->kit.err), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fix *f = *state;

    bk_sink_close(&f->sink);
    bk_sink_close(&f->sink); /* twice is fine */
    kit_release(&f->kit);
    free(f);
    return 0;
}

static int put(struct fix *f, const char *data, uint32_t flags)
{
    return bk_sink_put(&f->sink, "a/b", data, strlen(data), flags, &f->kit.err);
}

static void puts_and_gets(void **state)
{
    struct fix *f = *state;
    struct bk_buf b = BK_BUF_INIT;
    uint64_t size;
    int64_t mtime;

    f->kit.ms[0].get_step = 3;
    for (int apart = 0; apart < 2; apart++) {
        f->kit.ms[0].end_apart = apart;
        assert_int_equal(put(f, "some words", 0), 0);
        assert_int_equal(bk_buf_str(&b, "before:"), 0);
        assert_int_equal(bk_sink_get(&f->sink, "a/b", 10, &b, &f->kit.err), 0);
        assert_string_equal(b.data, "before:some words"); /* appended; the limit is the object's */
        bk_buf_clear(&b);
        assert_int_equal(put(f, "", 0), 0);
        assert_int_equal(bk_sink_get(&f->sink, "a/b", 0, &b, &f->kit.err), 0);
        assert_int_equal(b.len, 0);
    }
    assert_int_equal(bk_sink_stat(&f->sink, "a/b", &size, &mtime, &f->kit.err), 0);
    assert_int_equal(size, 0);
    assert_int_equal(mtime, f->kit.ms[0].clock_ns);
    assert_int_equal(bk_sink_remove(&f->sink, "a/b", &f->kit.err), 0);
    assert_int_equal(bk_sink_remove(&f->sink, "a/b", &f->kit.err), BAKE_E_NOTFOUND);
    assert_int_equal(bk_sink_stat(&f->sink, "a/b", &size, &mtime, &f->kit.err), BAKE_E_NOTFOUND);
    assert_int_equal(bk_sink_get(&f->sink, "a/b", 10, &b, &f->kit.err), BAKE_E_NOTFOUND);
    assert_non_null(strstr(f->kit.err.text, "sink 'first': "));
    bk_buf_free(&b);
}

static void limit_of_get(void **state)
{
    struct fix *f = *state;
    struct bk_buf b = BK_BUF_INIT;

    assert_int_equal(put(f, "12345", 0), 0);
    assert_int_equal(bk_sink_get(&f->sink, "a/b", 5, &b, &f->kit.err), 0);
    bk_buf_clear(&b);
    assert_int_equal(bk_sink_get(&f->sink, "a/b", 4, &b, &f->kit.err), BAKE_E_CORRUPT);
    bk_buf_free(&b);
}

/* Every result but the two transient ones is final: one attempt. */
static void final_results(void **state)
{
    struct fix *f = *state;
    struct memsink *ms = &f->kit.ms[0];
    struct bk_buf b = BK_BUF_INIT;
    static const enum ms_op ops[] = {MS_PUT_BEGIN, MS_PUT_WRITE, MS_PUT_END};
    uint64_t size;
    int64_t mtime;

    for (int rc = BAKE_E_CANCELLED; rc >= BAKE_E_KEY; rc--) {
        if (rc == BAKE_E_UNAVAILABLE || rc == BAKE_E_TIMEOUT || rc == BAKE_E_EXISTS)
            continue;
        for (size_t i = 0; i < 3; i++) {
            ms_heal(ms);
            ms_fault(ms, ops[i], NULL, 0, 0, rc);
            assert_int_equal(put(f, "x", 0), rc);
            assert_int_equal(ms->calls[MS_PUT_BEGIN], 1);
            assert_int_equal(ms->puts_open, 0);
            assert_null(ms_find(ms, "a/b"));
        }
        ms_heal(ms);
        ms_set(ms, "a/b", "x", 1);
        ms_fault(ms, MS_GET_READ, NULL, 0, 0, rc);
        ms_fault(ms, MS_STAT, NULL, 0, 0, rc);
        ms_fault(ms, MS_REMOVE, NULL, 0, 0, rc);
        assert_int_equal(bk_sink_get(&f->sink, "a/b", 10, &b, &f->kit.err), rc);
        assert_int_equal(bk_sink_stat(&f->sink, "a/b", &size, &mtime, &f->kit.err), rc);
        assert_int_equal(bk_sink_remove(&f->sink, "a/b", &f->kit.err), rc);
        assert_int_equal(ms->calls[MS_GET_BEGIN], 1);
        assert_int_equal(ms->calls[MS_STAT], 1);
        assert_int_equal(ms->calls[MS_REMOVE], 1);
        ms_drop(ms, "a/b");
    }
    bk_buf_free(&b);
}

static void transient_once(void **state)
{
    struct fix *f = *state;
    struct memsink *ms = &f->kit.ms[0];
    struct bk_buf b = BK_BUF_INIT;
    uint64_t start = bk_monotonic_ms();

    ms_fault(ms, MS_PUT_WRITE, NULL, 0, 1, BAKE_E_UNAVAILABLE);
    assert_int_equal(put(f, "whole", 0), 0);
    assert_int_equal(ms->calls[MS_PUT_BEGIN], 2);
    assert_true(bk_monotonic_ms() - start >= 400); /* it waited */
    ms->get_step = 2; /* half of it came before the fault: it must not stay */
    ms_fault(ms, MS_GET_READ, NULL, 1, 1, BAKE_E_TIMEOUT);
    assert_int_equal(bk_buf_str(&b, ">"), 0);
    assert_int_equal(bk_sink_get(&f->sink, "a/b", 10, &b, &f->kit.err), 0);
    assert_string_equal(b.data, ">whole");
    bk_buf_free(&b);
}

/* A cancel ends the waiting between attempts. */
static void cancelled_between(void **state)
{
    struct fix *f = *state;
    struct memsink *ms = &f->kit.ms[0];
    pthread_t t;

    ms_fault(ms, MS_PUT_BEGIN, NULL, 0, 0, BAKE_E_TIMEOUT);
    assert_int_equal(pthread_create(&t, NULL, kit_fire, &f->kit), 0);
    assert_int_equal(put(f, "x", 0), BAKE_E_CANCELLED);
    pthread_join(t, NULL);
    assert_true(bk_monotonic_ms() - f->kit.fired_ms < 2000);
    assert_int_equal(ms->calls[MS_PUT_BEGIN], 1);
}

/* The whole of it: five attempts in 0.5 + 1 + 2 + 4 s. */
static void gives_up(void **state)
{
    struct fix *f = *state;
    struct memsink *ms = &f->kit.ms[0];
    uint64_t size;
    int64_t mtime;

    ms_fault(ms, MS_STAT, NULL, 0, 0, BAKE_E_UNAVAILABLE);
    assert_int_equal(bk_sink_stat(&f->sink, "a", &size, &mtime, &f->kit.err), BAKE_E_UNAVAILABLE);
    assert_int_equal(ms->calls[MS_STAT], 5);
}

static void put_if_absent(void **state)
{
    struct fix *f = *state;
    struct memsink *ms = &f->kit.ms[0];

    assert_int_equal(put(f, "mine", BAKE_PUT_IF_ABSENT), 0);
    assert_int_equal(put(f, "mine", BAKE_PUT_IF_ABSENT), 0); /* these very bytes */
    assert_int_equal(put(f, "mind", BAKE_PUT_IF_ABSENT), BAKE_E_EXISTS);
    assert_int_equal(put(f, "mine!", BAKE_PUT_IF_ABSENT), BAKE_E_EXISTS);
    assert_int_equal(put(f, "min", BAKE_PUT_IF_ABSENT), BAKE_E_EXISTS);
    assert_int_equal(put(f, "", BAKE_PUT_IF_ABSENT), BAKE_E_EXISTS);
    assert_memory_equal(ms_find(ms, "a/b")->data, "mine", 4);
    assert_int_equal(put(f, "", 0), 0);
    assert_int_equal(put(f, "", BAKE_PUT_IF_ABSENT), 0);
    ms_fault(ms, MS_GET_READ, NULL, 0, 1, BAKE_E_IO); /* what is there cannot be read: not ours */
    assert_int_equal(put(f, "", BAKE_PUT_IF_ABSENT), BAKE_E_EXISTS);
}

/* The answer of the first attempt was lost: the second finds its own bytes. */
static void answer_lost(void **state)
{
    struct fix *f = *state;
    struct memsink *ms = &f->kit.ms[0];

    ms_fault_lost(ms, MS_PUT_END, NULL, BAKE_E_TIMEOUT);
    assert_int_equal(put(f, "mine", BAKE_PUT_IF_ABSENT), 0);
    assert_int_equal(ms->calls[MS_PUT_END], 2);
    assert_memory_equal(ms_find(ms, "a/b")->data, "mine", 4);
}

/* And a removal whose answer was lost has removed it. */
static void remove_answer_lost(void **state)
{
    struct fix *f = *state;
    struct memsink *ms = &f->kit.ms[0];

    ms_set(ms, "a/b", "x", 1);
    ms_fault_lost(ms, MS_REMOVE, NULL, BAKE_E_TIMEOUT);
    assert_int_equal(bk_sink_remove(&f->sink, "a/b", &f->kit.err), 0);
    assert_null(ms_find(ms, "a/b"));
}

/* A plugin that takes half of the bytes and says OK has not put the object. */
static void half_is_not_all(void **state)
{
    struct fix *f = *state;

    f->kit.ms[0].takes_half = true;
    assert_int_equal(put(f, "some words", 0), BAKE_E_INTERNAL);
    assert_null(ms_find(&f->kit.ms[0], "a/b"));
    assert_int_equal(f->kit.ms[0].puts_open, 0);
}

static void does_not_open(void **state)
{
    struct fix *f = *state;
    struct bk_sink other;

    ms_fault(&f->kit.ms[1], MS_OPEN, NULL, 0, 0, BAKE_E_AUTH);
    assert_int_equal(bk_sink_open(&f->kit.sinks[1], f->kit.cancel, &other, &f->kit.err),
                     BAKE_E_AUTH);
    bk_sink_close(&other);
}

static int count(void *arg, const char *name, uint64_t size, int64_t mtime_ns)
{
    (void)name;
    (void)size;
    (void)mtime_ns;
    return --*(int *)arg == 0 ? 7 : 0;
}

static void lists(void **state)
{
    struct fix *f = *state;
    int left = 100;

    ms_set(&f->kit.ms[0], "p/1", "", 0);
    ms_set(&f->kit.ms[0], "p/2", "", 0);
    ms_set(&f->kit.ms[0], "q/1", "", 0);
    assert_int_equal(bk_sink_list(&f->sink, "p/", count, &left, &f->kit.err), 0);
    assert_int_equal(left, 98);
    left = 2;
    assert_int_equal(bk_sink_list(&f->sink, "", count, &left, &f->kit.err), 7); /* stopped */
    ms_fault(&f->kit.ms[0], MS_LIST, NULL, 0, 0, BAKE_E_AUTH);
    assert_int_equal(bk_sink_list(&f->sink, "", count, &left, &f->kit.err), BAKE_E_AUTH);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(puts_and_gets),      TEST(limit_of_get),    TEST(final_results), TEST(transient_once),
        TEST(cancelled_between),  TEST(gives_up),        TEST(put_if_absent), TEST(answer_lost),
        TEST(remove_answer_lost), TEST(half_is_not_all), TEST(does_not_open), TEST(lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
