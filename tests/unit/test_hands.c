/* The hands: every job is worked on once or dropped once, failures end them, nothing hangs. */
#include "run/hands.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

enum { JOBS = 5000 };

struct bench {
    atomic_int done[JOBS], dropped[JOBS];
    atomic_int at_once, most;
    atomic_bool held;
    size_t hands;
    int fail_at, fail_with, silent; /* -1: none */
    int order[JOBS];
    atomic_int n_order;
};

static struct bench *bench_new(void)
{
    struct bench *b = calloc(1, sizeof(*b));

    assert_non_null(b);
    b->fail_at = -1;
    return b;
}

static void *job_of(int i) { return (void *)((uintptr_t)i + 1); }
static int number_of(const void *job) { return (int)((uintptr_t)job - 1); }

static int work(void *arg, size_t hand, void *job, struct bk_err *err)
{
    struct bench *b = arg;
    int i = number_of(job), now = atomic_fetch_add(&b->at_once, 1) + 1;

    assert_true(hand < BK_HANDS_MAX);
    assert_int_equal(err->rc, 0);
    if (now > atomic_load(&b->most))
        atomic_store(&b->most, now);
    while (atomic_load(&b->held))
        (void)usleep(100);
    atomic_fetch_add(&b->done[i], 1);
    b->order[atomic_fetch_add(&b->n_order, 1)] = i;
    atomic_fetch_sub(&b->at_once, 1);
    if (i == b->fail_at)
        return b->silent ? b->fail_with : bk_fail(err, b->fail_with, "job %d failed", i);
    return BAKE_OK;
}

static void drop(void *arg, void *job)
{
    struct bench *b = arg;

    atomic_fetch_add(&b->dropped[number_of(job)], 1);
}

static const struct bk_hands_ops ops = {work, drop};

static struct bk_hands *open_hands(struct bench *b, size_t n)
{
    struct bk_hands *h;

    assert_int_equal(bk_hands_new(n, &ops, b, &h, NULL), BAKE_OK);
    return h;
}

static void test_each_once(void **state)
{
    (void)state;
    for (size_t n = 0; n <= BK_HANDS_MAX + 1; n++) {
        struct bench *b = bench_new();
        struct bk_hands *h = open_hands(b, n);
        size_t max = n < 1 ? 1 : n > BK_HANDS_MAX ? BK_HANDS_MAX : n;

        assert_int_equal(bk_hands_count(h), max);
        for (int i = 0; i < JOBS; i++)
            assert_int_equal(bk_hands_give(h, job_of(i), NULL), BAKE_OK);
        assert_int_equal(bk_hands_wait(h, NULL), BAKE_OK);
        for (int i = 0; i < JOBS; i++)
            assert_int_equal(atomic_load(&b->done[i]), 1);
        assert_true(atomic_load(&b->most) <= (int)max);
        bk_hands_free(h);
        for (int i = 0; i < JOBS; i++)
            assert_int_equal(atomic_load(&b->dropped[i]), 0);
        free(b);
    }
}

/* One hand, or none: in order. */
static void test_order(void **state)
{
    (void)state;
    for (size_t n = 0; n <= 1; n++) {
        struct bench *b = bench_new();
        struct bk_hands *h = open_hands(b, n);

        for (int i = 0; i < JOBS; i++)
            assert_int_equal(bk_hands_give(h, job_of(i), NULL), BAKE_OK);
        assert_int_equal(bk_hands_wait(h, NULL), BAKE_OK);
        bk_hands_free(h);
        for (int i = 0; i < JOBS; i++)
            assert_int_equal(b->order[i], i);
        free(b);
    }
}

static void test_failure(void **state)
{
    (void)state;
    for (size_t n = 0; n <= 3; n++) {
        struct bench *b = bench_new();
        struct bk_hands *h = open_hands(b, n);
        struct bk_err err = {0};
        int given = 0, rc = BAKE_OK, done = 0, dropped = 0;

        b->fail_at = 700;
        b->fail_with = BAKE_E_NOSPACE;
        for (; given < JOBS && rc >= 0; given++)
            rc = bk_hands_give(h, job_of(given), &err);
        assert_int_equal(bk_hands_wait(h, &err), BAKE_E_NOSPACE);
        assert_string_equal(err.text, "job 700 failed");
        assert_true(given < JOBS);
        bk_hands_free(h);
        for (int i = 0; i < JOBS; i++) {
            assert_int_equal(atomic_load(&b->done[i]) + atomic_load(&b->dropped[i]), i < given);
            done += atomic_load(&b->done[i]);
            dropped += atomic_load(&b->dropped[i]);
        }
        if (n <= 1)
            assert_int_equal(done, 701);
        assert_int_equal(atomic_load(&b->done[700]), 1);
        assert_int_equal(done + dropped, given);
        free(b);
    }
}

static void test_failure_without_text(void **state)
{
    struct bench *b = bench_new();
    struct bk_hands *h = open_hands(b, 2);
    struct bk_err err = {0};

    (void)state;
    b->fail_at = 0;
    b->fail_with = BAKE_E_IO;
    b->silent = 1;
    (void)bk_hands_give(h, job_of(0), NULL);
    assert_int_equal(bk_hands_wait(h, &err), BAKE_E_IO);
    assert_int_equal(err.rc, BAKE_E_IO);
    assert_true(err.text[0] != '\0');
    bk_hands_free(h);
    free(b);
}

static void *release_soon(void *arg)
{
    struct bench *b = arg;

    (void)usleep(30000);
    atomic_store(&b->held, false);
    return NULL;
}

/* The queue is bounded: a giver waits, and goes on. What waits is dropped in the end. */
static void test_bounded_and_dropped(void **state)
{
    struct bench *b = bench_new();
    struct bk_hands *h;
    pthread_t timer;
    int done = 0, dropped = 0;

    (void)state;
    atomic_store(&b->held, true);
    h = open_hands(b, 2);
    assert_int_equal(pthread_create(&timer, NULL, release_soon, b), 0);
    for (int i = 0; i < 3 * BK_HANDS_QUEUE; i++)
        assert_int_equal(bk_hands_give(h, job_of(i), NULL), BAKE_OK);
    (void)pthread_join(timer, NULL);
    bk_hands_free(h);
    for (int i = 0; i < 3 * BK_HANDS_QUEUE; i++) {
        assert_int_equal(atomic_load(&b->done[i]) + atomic_load(&b->dropped[i]), 1);
        done += atomic_load(&b->done[i]);
        dropped += atomic_load(&b->dropped[i]);
    }
    assert_int_equal(done + dropped, 3 * BK_HANDS_QUEUE);
    free(b);
}

static void test_share(void **state)
{
    (void)state;
    assert_true(bk_hands_share(1) >= 1 && bk_hands_share(1) <= BK_HANDS_MAX);
    assert_int_equal(bk_hands_share(0), bk_hands_share(1));
    assert_int_equal(bk_hands_share(1000), 1);
    for (size_t i = 1; i < 8; i++)
        assert_true(bk_hands_share(i + 1) <= bk_hands_share(i));
    bk_hands_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_once),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_failure),
        cmocka_unit_test(test_failure_without_text),
        cmocka_unit_test(test_bounded_and_dropped),
        cmocka_unit_test(test_share),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
