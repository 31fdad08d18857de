/* flow/ring: bytes come out as they went in, whatever the cuts; everybody wakes up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "flow/ring.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

static uint64_t next_random(uint64_t *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 7;
    *s ^= *s << 17;
    return *s;
}

static unsigned char byte_at(uint64_t i) { return (unsigned char)((i * 2654435761u) >> 13); }

struct side {
    struct bk_ring *ring;
    uint64_t seed, total;
    size_t most; /* bytes per call */
    uint64_t done;
    int rc;
    bool wrong, endless;
};

static void *writer(void *arg)
{
    struct side *s = arg;
    unsigned char piece[5000];

    while (s->endless || s->done < s->total) {
        size_t n = next_random(&s->seed) % (s->most + 1);

        if (!s->endless && n > s->total - s->done)
            n = (size_t)(s->total - s->done);
        for (size_t i = 0; i < n; i++)
            piece[i] = byte_at(s->done + i);
        s->rc = bk_ring_write(s->ring, piece, n);
        if (s->rc < 0)
            return NULL;
        s->done += n;
    }
    bk_ring_finish(s->ring);
    return NULL;
}

static void *reader(void *arg)
{
    struct side *s = arg;

    for (;;) {
        const void *data;
        size_t n, take;

        s->rc = bk_ring_peek(s->ring, &data, &n);
        if (s->rc != BAKE_OK)
            return NULL;
        if (n == 0)
            s->wrong = true;
        take = next_random(&s->seed) % (n < s->most ? n + 1 : s->most + 1);
        for (size_t i = 0; i < take; i++)
            s->wrong |= ((const unsigned char *)data)[i] != byte_at(s->done + i);
        bk_ring_consume(s->ring, take);
        s->done += take;
    }
}

static void make(size_t capacity, struct bk_cancel **c, struct bk_ring **r)
{
    struct bk_err err = {0};

    assert_int_equal(bk_cancel_new(NULL, c, &err), 0);
    assert_int_equal(bk_ring_new(capacity, *c, r, &err), 0);
}

static void drop(struct bk_cancel *c, struct bk_ring *r)
{
    bk_ring_free(r);
    bk_cancel_free(c);
}

static void pass(size_t capacity, size_t write_most, size_t read_most, uint64_t total)
{
    struct bk_cancel *c;
    struct bk_ring *r;
    pthread_t t;

    make(capacity, &c, &r);
    struct side w = {.ring = r, .seed = capacity + 1, .total = total, .most = write_most};
    struct side b = {.ring = r, .seed = write_most + 7, .most = read_most};
    assert_int_equal(pthread_create(&t, NULL, writer, &w), 0);
    (void)reader(&b);
    pthread_join(t, NULL);
    assert_int_equal(w.rc, 0);
    assert_int_equal(b.rc, BAKE_END);
    assert_int_equal(b.done, total);
    assert_false(b.wrong);
    drop(c, r);
}

static void any_sizes(void **state)
{
    (void)state;
    static const size_t capacities[] = {1, 2, 3, 7, 64, 1000, 4096};

    for (size_t i = 0; i < sizeof(capacities) / sizeof(capacities[0]); i++) {
        pass(capacities[i], 1, 1, 500);
        pass(capacities[i], 5000, 3, 3000);
        pass(capacities[i], 3, 5000, 3000);
        pass(capacities[i], 5000, 5000, 20000);
        pass(capacities[i], capacities[i], capacities[i], 20 * capacities[i]);
    }
    pass(1, 5000, 5000, 0);
}

/* One thread: the pieces that peek lends at the edge of the memory, and what is left at the end. */
static void wraps_around(void **state)
{
    (void)state;
    struct bk_cancel *c;
    struct bk_ring *r;
    const void *data;
    size_t n;

    make(8, &c, &r);
    assert_int_equal(bk_ring_write(r, "abcdef", 6), 0);
    assert_int_equal(bk_ring_peek(r, &data, &n), 0);
    assert_int_equal(n, 6);
    bk_ring_consume(r, 5);
    assert_int_equal(bk_ring_write(r, "ghijklm", 7), 0); /* full, around the edge */
    assert_int_equal(bk_ring_peek(r, &data, &n), 0);
    assert_int_equal(n, 3);
    assert_memory_equal(data, "fgh", 3);
    bk_ring_consume(r, 3);
    bk_ring_finish(r);
    assert_int_equal(bk_ring_peek(r, &data, &n), 0); /* finished, but not empty */
    assert_int_equal(n, 5);
    assert_memory_equal(data, "ijklm", 5);
    bk_ring_consume(r, 5);
    assert_int_equal(bk_ring_peek(r, &data, &n), BAKE_END);
    assert_int_equal(bk_ring_peek(r, &data, &n), BAKE_END);
    drop(c, r);
}

static void *peek_once(void *arg)
{
    struct side *s = arg;
    const void *data;
    size_t n;

    s->rc = bk_ring_peek(s->ring, &data, &n);
    return NULL;
}

static void *write_much(void *arg)
{
    struct side *s = arg;

    s->rc = bk_ring_write(s->ring, "0123456789", 10);
    return NULL;
}

/* Blocked or about to block: both come back, in each of many rounds. */
static void cancel_wakes(void *(*side)(void *), bool by_parent)
{
    for (int round = 0; round < 300; round++) {
        struct bk_err err = {0};
        struct bk_cancel *parent, *c;
        struct bk_ring *r;
        pthread_t t;

        assert_int_equal(bk_cancel_new(NULL, &parent, &err), 0);
        assert_int_equal(bk_cancel_new(parent, &c, &err), 0);
        assert_int_equal(bk_ring_new(4, c, &r, &err), 0);
        struct side s = {.ring = r, .rc = 1};
        assert_int_equal(pthread_create(&t, NULL, side, &s), 0);
        for (int spin = 0; spin < round % 30; spin++)
            (void)sched_yield();
        if (round % 50 == 49)
            assert_int_equal(bk_cancel_sleep(c, 5), 0);
        bk_cancel_fire(by_parent ? parent : c);
        pthread_join(t, NULL);
        assert_int_equal(s.rc, BAKE_E_CANCELLED);
        drop(c, r);
        bk_cancel_free(parent);
    }
}

static void cancel_wakes_reader(void **state)
{
    (void)state;
    cancel_wakes(peek_once, false);
}

static void cancel_wakes_writer(void **state)
{
    (void)state;
    cancel_wakes(write_much, false);
}

static void parent_wakes_both(void **state)
{
    (void)state;
    cancel_wakes(peek_once, true);
    cancel_wakes(write_much, true);
}

/* Both sides at full speed when it comes. */
static void cancel_in_full_flow(void **state)
{
    (void)state;
    for (int round = 0; round < 60; round++) {
        struct bk_cancel *c;
        struct bk_ring *r;
        pthread_t a, b;

        make(1 + (size_t)round % 9, &c, &r);
        struct side w = {.ring = r, .seed = 5, .most = 20, .endless = true};
        struct side d = {.ring = r, .seed = 6, .most = 20};
        assert_int_equal(pthread_create(&a, NULL, writer, &w), 0);
        assert_int_equal(pthread_create(&b, NULL, reader, &d), 0);
        assert_int_equal(bk_cancel_sleep(c, (uint32_t)round % 4), 0);
        bk_cancel_fire(c);
        pthread_join(a, NULL);
        pthread_join(b, NULL);
        assert_int_equal(w.rc, BAKE_E_CANCELLED);
        assert_int_equal(d.rc, BAKE_E_CANCELLED);
        assert_false(d.wrong);
        drop(c, r);
    }
}

/* After the cancel nothing goes through any more, though there is room and there are bytes. */
static void cancelled_before(void **state)
{
    (void)state;
    struct bk_cancel *c;
    struct bk_ring *r;
    const void *data;
    size_t n;

    make(100, &c, &r);
    assert_int_equal(bk_ring_write(r, "abc", 3), 0);
    bk_cancel_fire(c);
    assert_int_equal(bk_ring_write(r, "abc", 3), BAKE_E_CANCELLED);
    assert_int_equal(bk_ring_write(r, "", 0), BAKE_E_CANCELLED);
    assert_int_equal(bk_ring_peek(r, &data, &n), BAKE_E_CANCELLED);
    bk_ring_finish(r);
    assert_int_equal(bk_ring_peek(r, &data, &n), BAKE_E_CANCELLED);
    drop(c, r);
    bk_ring_free(NULL);
}

/* A byte there and a byte back, many times: a wake-up that is lost would end this at the time-out.
 */
static void ping_pong(void **state)
{
    (void)state;
    struct bk_cancel *c;
    struct bk_ring *r;
    pthread_t t;

    make(1, &c, &r);
    struct side w = {.ring = r, .seed = 3, .total = 30000, .most = 1};
    struct side d = {.ring = r, .seed = 4, .most = 1};
    assert_int_equal(pthread_create(&t, NULL, writer, &w), 0);
    (void)reader(&d);
    pthread_join(t, NULL);
    assert_int_equal(d.done, 30000);
    assert_false(d.wrong);
    drop(c, r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_sizes),           cmocka_unit_test(wraps_around),
        cmocka_unit_test(cancel_wakes_reader), cmocka_unit_test(cancel_wakes_writer),
        cmocka_unit_test(parent_wakes_both),   cmocka_unit_test(cancel_in_full_flow),
        cmocka_unit_test(cancelled_before),    cmocka_unit_test(ping_pong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
