/* base/cancel: firing, waking, trees, and many threads at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/cancel.h"
#include "base/clock.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool readable(const struct bk_cancel *c)
{
    struct pollfd p = {.fd = bk_cancel_fd(c), .events = POLLIN};
    return poll(&p, 1, 0) == 1;
}

static void count(void *arg) { ++*(int *)arg; }

static void fires_once(void **state)
{
    (void)state;
    struct bk_err err = {0};
    struct bk_cancel *c = NULL;
    int before = 0, after = 0, gone = 0;
    struct bk_cancel_sub a = {.wake = count, .arg = &before}, b = {.wake = count, .arg = &gone},
                         d = {.wake = count, .arg = &after};
    assert_int_equal(bk_cancel_new(NULL, &c, &err), 0);
    assert_false(bk_cancelled(c));
    assert_false(readable(c));
    bk_cancel_subscribe(c, &a);
    bk_cancel_subscribe(c, &b);
    bk_cancel_unsubscribe(c, &b);
    assert_int_equal(before, 0);
    bk_cancel_fire(c);
    bk_cancel_fire(c);
    assert_true(bk_cancelled(c));
    assert_true(readable(c));
    assert_int_equal(before, 1);
    assert_int_equal(gone, 0);
    bk_cancel_subscribe(c, &d); /* too late: woken at once */
    assert_int_equal(after, 1);
    bk_cancel_unsubscribe(c, &a);
    bk_cancel_unsubscribe(c, &d);
    bk_cancel_free(c);
    bk_cancel_free(NULL);
}

/* Any order of leaving keeps the others in the list. */
static void leaving_in_any_order(void **state)
{
    (void)state;
    static const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                     {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    for (int o = 0; o < 6; o++)
        for (int leave = 0; leave <= 3; leave++) {
            struct bk_cancel *c = NULL;
            int woken[3] = {0};
            struct bk_cancel_sub subs[3];
            assert_int_equal(bk_cancel_new(NULL, &c, NULL), 0);
            for (int i = 0; i < 3; i++) {
                subs[i] = (struct bk_cancel_sub){.wake = count, .arg = &woken[i]};
                bk_cancel_subscribe(c, &subs[i]);
            }
            for (int i = 0; i < leave; i++)
                bk_cancel_unsubscribe(c, &subs[orders[o][i]]);
            bk_cancel_fire(c);
            for (int i = 0; i < 3; i++) {
                assert_int_equal(woken[orders[o][i]], i >= leave);
                if (i >= leave)
                    bk_cancel_unsubscribe(c, &subs[orders[o][i]]);
            }
            bk_cancel_free(c);
        }
}

static void trees(void **state)
{
    (void)state;
    struct bk_cancel *root = NULL, *a = NULL, *b = NULL, *leaf = NULL, *late = NULL;
    assert_int_equal(bk_cancel_new(NULL, &root, NULL), 0);
    assert_int_equal(bk_cancel_new(root, &a, NULL), 0);
    assert_int_equal(bk_cancel_new(root, &b, NULL), 0);
    assert_int_equal(bk_cancel_new(b, &leaf, NULL), 0);
    bk_cancel_fire(a); /* one component fails: the others go on */
    assert_true(bk_cancelled(a));
    assert_false(bk_cancelled(root));
    assert_false(bk_cancelled(b));
    bk_cancel_fire(root);
    assert_true(bk_cancelled(b));
    assert_true(bk_cancelled(leaf));
    assert_true(readable(leaf));
    assert_int_equal(bk_cancel_new(leaf, &late, NULL), 0);
    assert_true(bk_cancelled(late)); /* born cancelled */
    bk_cancel_free(late);
    bk_cancel_free(leaf);
    bk_cancel_free(b);
    bk_cancel_free(a);
    bk_cancel_free(root);
}

static void *fire_soon(void *arg)
{
    (void)usleep(30000);
    bk_cancel_fire(arg);
    return NULL;
}

static void sleeping(void **state)
{
    (void)state;
    struct bk_cancel *root = NULL, *c = NULL;
    assert_int_equal(bk_cancel_new(NULL, &root, NULL), 0);
    assert_int_equal(bk_cancel_new(root, &c, NULL), 0);
    uint64_t start = bk_monotonic_ms();
    assert_int_equal(bk_cancel_sleep(c, 0), 0);
    assert_int_equal(bk_cancel_sleep(c, 30), 0);
    assert_true(bk_monotonic_ms() - start >= 30);

    pthread_t thread;
    start = bk_monotonic_ms();
    assert_int_equal(pthread_create(&thread, NULL, fire_soon, root), 0);
    assert_int_equal(bk_cancel_sleep(c, UINT32_MAX), BAKE_E_CANCELLED);
    assert_true(bk_monotonic_ms() - start < 30000);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(bk_cancel_sleep(c, 0), BAKE_E_CANCELLED);
    assert_int_equal(bk_cancel_sleep(c, 60000), BAKE_E_CANCELLED);
    bk_cancel_free(c);
    bk_cancel_free(root);
}

/* ---- many threads: for the thread sanitizer above all ---- */

/* A subscriber as the rings are: a lock, a condition, a flag. */
struct waiter {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool woken;
};

static void wake(void *arg)
{
    struct waiter *w = arg;
    (void)pthread_mutex_lock(&w->lock);
    w->woken = true;
    (void)pthread_cond_broadcast(&w->cond);
    (void)pthread_mutex_unlock(&w->lock);
}

static void *wait_for_it(void *arg)
{
    struct bk_cancel *c = arg;
    struct waiter w = {.lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};
    struct bk_cancel_sub sub = {.wake = wake, .arg = &w};
    bk_cancel_subscribe(c, &sub);
    (void)pthread_mutex_lock(&w.lock);
    while (!w.woken)
        (void)pthread_cond_wait(&w.cond, &w.lock);
    (void)pthread_mutex_unlock(&w.lock);
    assert_true(bk_cancelled(c));
    bk_cancel_unsubscribe(c, &sub);
    /* w lies on this stack: a wake() that still ran would be seen by the sanitizers */
    (void)pthread_mutex_destroy(&w.lock);
    (void)pthread_cond_destroy(&w.cond);
    return NULL;
}

static void *come_and_go(void *arg)
{
    struct bk_cancel *c = arg;
    do {
        struct waiter *w = malloc(sizeof(*w));
        assert_non_null(w);
        *w = (struct waiter){.lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};
        struct bk_cancel_sub sub = {.wake = wake, .arg = w};
        bk_cancel_subscribe(c, &sub);
        bk_cancel_unsubscribe(c, &sub);
        memset(w, 0xff, sizeof(*w)); /* nobody may look at it any more */
        free(w);
    } while (!bk_cancelled(c));
    return NULL;
}

static void *children(void *arg)
{
    struct bk_cancel *c = arg;
    bool fired;
    do {
        struct bk_cancel *child = NULL, *grandchild = NULL;
        fired = bk_cancelled(c);
        assert_int_equal(bk_cancel_new(c, &child, NULL), 0);
        assert_int_equal(bk_cancel_new(child, &grandchild, NULL), 0);
        assert_true(!fired || bk_cancelled(grandchild));
        bk_cancel_fire(grandchild);
        bk_cancel_free(grandchild);
        bk_cancel_free(child);
    } while (!fired);
    return NULL;
}

static void *fire(void *arg)
{
    (void)usleep(2000);
    bk_cancel_fire(arg);
    return NULL;
}

static void many_threads(void **state)
{
    (void)state;
    static void *(*const work[])(void *) = {wait_for_it, come_and_go, children, fire};
    enum { KINDS = sizeof(work) / sizeof(work[0]), EACH = 3, ROUNDS = 40 };
    for (int round = 0; round < ROUNDS; round++) {
        struct bk_cancel *root = NULL, *c = NULL;
        pthread_t threads[KINDS * EACH];
        assert_int_equal(bk_cancel_new(NULL, &root, NULL), 0);
        assert_int_equal(bk_cancel_new(root, &c, NULL), 0);
        for (int i = 0; i < KINDS * EACH; i++) {
            bool above = i % KINDS == KINDS - 1 && round % 2; /* fired from above, or itself */
            assert_int_equal(pthread_create(&threads[i], NULL, work[i % KINDS], above ? root : c),
                             0);
        }
        for (int i = 0; i < KINDS * EACH; i++)
            assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(bk_cancelled(root), round % 2);
        bk_cancel_free(c);
        bk_cancel_free(root);
    }
}

/* Unsubscribing waits for a wake() that is running. */
static atomic_int stage;

static void slow_wake(void *arg)
{
    (void)arg;
    atomic_store(&stage, 1);
    (void)usleep(50000);
    atomic_store(&stage, 2);
}

static void unsubscribe_waits(void **state)
{
    (void)state;
    struct bk_cancel *c = NULL;
    struct bk_cancel_sub sub = {.wake = slow_wake};
    pthread_t thread;
    assert_int_equal(bk_cancel_new(NULL, &c, NULL), 0);
    atomic_store(&stage, 0);
    bk_cancel_subscribe(c, &sub);
    assert_int_equal(pthread_create(&thread, NULL, fire, c), 0);
    while (atomic_load(&stage) == 0)
        (void)usleep(100);
    bk_cancel_unsubscribe(c, &sub);
    assert_int_equal(atomic_load(&stage), 2);
    assert_int_equal(pthread_join(thread, NULL), 0);
    bk_cancel_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fires_once),   cmocka_unit_test(leaving_in_any_order),
        cmocka_unit_test(trees),        cmocka_unit_test(sleeping),
        cmocka_unit_test(many_threads), cmocka_unit_test(unsubscribe_waits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
