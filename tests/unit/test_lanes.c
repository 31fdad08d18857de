/* run/lanes: every item once, in order, on so many threads; the first failure ends it. */
#include "storekit.h"

#include "base/clock.h"
#include "run/lanes.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { ITEMS = 200 };

struct job {
    atomic_uint done[ITEMS];
    atomic_uint started, at_once, most;
    size_t fails_at; /* ITEMS: none */
    int rc;
    bool silent;
    size_t need; /* wait until so many are at work */
    size_t last; /* item that comes next */
};

static int work(void *arg, size_t i, struct bk_err *err)
{
    struct job *j = arg;
    unsigned now = atomic_fetch_add(&j->at_once, 1) + 1, most = atomic_load(&j->most);
    uint64_t end = bk_monotonic_ms() + 10000;

    while (now > most && !atomic_compare_exchange_weak(&j->most, &most, now))
        continue;
    atomic_fetch_add(&j->started, 1);
    atomic_fetch_add(&j->done[i], 1);
    while (j->need && atomic_load(&j->most) < j->need && bk_monotonic_ms() < end)
        (void)bk_monotonic_ms();
    atomic_fetch_sub(&j->at_once, 1);
    if (i != j->fails_at)
        return BAKE_OK;
    return j->silent ? j->rc : bk_fail(err, j->rc, "item %zu failed", i);
}

static void init(struct job *j)
{
    memset(j, 0, sizeof(*j));
    j->fails_at = ITEMS;
    j->rc = BAKE_E_NOSPACE;
}

static void each_once(void **state)
{
    (void)state;
    static const size_t parallel[] = {0, 1, 2, 7, 1000};
    static const size_t items[] = {0, 1, 3, ITEMS};

    for (size_t p = 0; p < 5; p++) {
        for (size_t n = 0; n < 4; n++) {
            struct job j;
            struct bk_err err = {0};

            init(&j);
            assert_int_equal(bk_lanes_run(items[n], parallel[p], work, &j, &err), 0);
            for (size_t i = 0; i < ITEMS; i++)
                assert_int_equal(atomic_load(&j.done[i]), i < items[n]);
            assert_true(atomic_load(&j.most) <= (parallel[p] ? parallel[p] : 1));
        }
    }
}

/* As many as asked for are really at work at once. */
static void at_once(void **state)
{
    (void)state;
    for (size_t p = 1; p <= 5; p++) {
        struct job j;

        init(&j);
        j.need = p;
        assert_int_equal(bk_lanes_run(ITEMS, p, work, &j, NULL), 0);
        assert_int_equal(atomic_load(&j.most), p);
    }
}

static int in_order(void *arg, size_t i, struct bk_err *err)
{
    struct job *j = arg;

    (void)err;
    assert_int_equal(i, j->last);
    j->last++;
    return BAKE_OK;
}

static void order(void **state)
{
    (void)state;
    struct job j;

    init(&j);
    assert_int_equal(bk_lanes_run(ITEMS, 1, in_order, &j, NULL), 0);
    assert_int_equal(j.last, ITEMS);
}

static void first_failure(void **state)
{
    (void)state;
    for (size_t p = 1; p <= 4; p++) {
        for (int silent = 0; silent < 2; silent++) {
            struct job j;
            struct bk_err err = {0};

            init(&j);
            j.fails_at = 5;
            j.silent = silent;
            assert_int_equal(bk_lanes_run(ITEMS, p, work, &j, &err), BAKE_E_NOSPACE);
            assert_int_equal(err.rc, BAKE_E_NOSPACE);
            if (!silent)
                assert_string_equal(err.text, "item 5 failed");
            /* Those under way end; no others begin. (Another thread may have been between.) */
            if (p == 1)
                assert_int_equal(atomic_load(&j.started), 6);
            for (size_t i = 0; i <= 5; i++)
                assert_int_equal(atomic_load(&j.done[i]), 1);
            assert_int_equal(bk_lanes_run(ITEMS, p, work, &j, NULL), BAKE_E_NOSPACE);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_once),
        cmocka_unit_test(at_once),
        cmocka_unit_test(order),
        cmocka_unit_test(first_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
