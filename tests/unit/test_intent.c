/* run/intent and run/lease: who is writing, who may delete. */
#include "storekit.h"

#include "base/json.h"
#include "run/lease.h"
#include "store/layout.h"

#include <stdlib.h>
#include <string.h>

#define LEASE  "gc/lease"
#define MINUTE (60 * 1000000000ll)

struct fix {
    struct kit k;
    struct bk_sink *sink;
};

static int setup(void **state)
{
    struct fix *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    kit_init(&f->k, 2, 0);
    kit_must_open(&f->k);
    f->sink = &f->k.store->sinks[0];
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fix *f = *state;

    kit_release(&f->k);
    free(f);
    return 0;
}

static void intents(void **state)
{
    struct fix *f = *state;
    struct bk_intent *i = NULL;
    json_t *j = NULL;
    struct ms_object *o;

    assert_int_equal(
        bk_intent_start(f->k.store, BK_WRITERS KIT_ID, "host-1", BAKE_PUT_IF_ABSENT, &i, &f->k.err),
        0);
    o = ms_find(&f->k.ms[0], BK_WRITERS KIT_ID);
    assert_non_null(o);
    assert_non_null(ms_find(&f->k.ms[1], BK_WRITERS KIT_ID));
    assert_int_equal(bk_json_unseal(o->data, o->n, "intent", &j, &f->k.err), 0);
    assert_string_equal(json_string_value(json_object_get(j, "host")), "host-1");
    json_decref(j);
    bk_intent_stop(i);
    assert_null(ms_find(&f->k.ms[0], BK_WRITERS KIT_ID));
    assert_null(ms_find(&f->k.ms[1], BK_WRITERS KIT_ID));
    bk_intent_stop(NULL);
}

/* A prune that took the run for dead: that sink is out; once it is out of all, the run fails. */
static void intent_taken(void **state)
{
    struct fix *f = *state;
    struct bk_intent *i = NULL;

    assert_int_equal(bk_intent_start(f->k.store, "writers/x", "h", 0, &i, &f->k.err), 0);
    assert_int_equal(bk_intent_check(i, &f->k.err), 0);
    assert_int_equal(bk_store_sinks_ok(f->k.store), 2);
    assert_int_equal(bk_sink_remove(&f->k.store->sinks[1], "writers/x", &f->k.err), 0);
    assert_int_equal(bk_intent_check(i, &f->k.err), 0);
    assert_int_equal(bk_store_sinks_ok(f->k.store), 1);
    assert_false(bk_store_sink_ok(f->k.store, 1));
    assert_int_equal(bk_sink_remove(&f->k.store->sinks[0], "writers/x", &f->k.err), 0);
    assert_int_equal(bk_intent_check(i, &f->k.err), BAKE_E_UNAVAILABLE);
    assert_non_null(strstr(f->k.err.text, "took this run for dead"));
    bk_intent_stop(i);
}

static void intent_refused(void **state)
{
    struct fix *f = *state;
    struct bk_intent *i = NULL;

    ms_set(&f->k.ms[0], "writers/x", "theirs", 6);
    ms_set(&f->k.ms[1], "writers/x", "theirs", 6);
    assert_int_equal(
        bk_intent_start(f->k.store, "writers/x", "h", BAKE_PUT_IF_ABSENT, &i, &f->k.err),
        BAKE_E_EXISTS);
    assert_null(i);
    assert_non_null(ms_find(&f->k.ms[0], "writers/x"));
    kit_must_open(&f->k);
    ms_fault(&f->k.ms[0], MS_PUT_END, NULL, 0, 0, BAKE_E_NOSPACE);
    ms_fault(&f->k.ms[1], MS_PUT_END, NULL, 0, 0, BAKE_E_NOSPACE);
    assert_int_equal(bk_intent_start(f->k.store, "writers/y", "h", 0, &i, &f->k.err),
                     BAKE_E_NOSPACE);
}

/* One that cannot be removed stays, with a warning: it expires. */
static void intent_stays(void **state)
{
    struct fix *f = *state;
    struct bk_intent *i = NULL;

    assert_int_equal(bk_intent_start(f->k.store, "writers/x", "h", 0, &i, &f->k.err), 0);
    ms_fault(&f->k.ms[0], MS_REMOVE, NULL, 0, 0, BAKE_E_AUTH);
    bk_intent_stop(i);
    assert_non_null(ms_find(&f->k.ms[0], "writers/x"));
    assert_null(ms_find(&f->k.ms[1], "writers/x"));
}

static void one_at_a_time(void **state)
{
    struct fix *f = *state;
    struct bk_lease *a = NULL, *b = NULL;

    assert_int_equal(bk_lease_take(f->sink, "host-1", &a, &f->k.err), 0);
    assert_int_equal(bk_lease_check(a, &f->k.err), 0);
    assert_int_equal(bk_lease_take(f->sink, "host-2", &b, &f->k.err), BK_E_LOCKED);
    assert_null(b);
    assert_non_null(strstr(f->k.err.text, "'host-1'"));
    assert_int_equal(bk_lease_check(a, &f->k.err), 0); /* the attempt did no harm */
    bk_lease_release(a);
    assert_null(ms_find(&f->k.ms[0], LEASE));
    assert_int_equal(ms_count(&f->k.ms[0], "gc/"), 0); /* nor is the clock's object left */
    assert_int_equal(bk_lease_take(f->sink, "host-2", &b, &f->k.err), 0);
    bk_lease_release(b);
    bk_lease_release(NULL);
}

/* By the sink's clock, whatever ours says. */
static void expired(void **state)
{
    struct fix *f = *state;
    struct bk_lease *a = NULL, *b = NULL;

    assert_int_equal(bk_lease_take(f->sink, "host-1", &a, &f->k.err), 0);
    f->k.ms[0].clock_ns += 30 * MINUTE - 1;
    assert_int_equal(bk_lease_take(f->sink, "host-2", &b, &f->k.err), BK_E_LOCKED);
    f->k.ms[0].clock_ns += 1;
    assert_int_equal(bk_lease_take(f->sink, "host-2", &b, &f->k.err), 0);
    assert_int_equal(bk_lease_check(b, &f->k.err), 0);
    assert_int_equal(bk_lease_check(a, &f->k.err), BK_E_LOCKED); /* the first must stop */
    assert_non_null(strstr(f->k.err.text, "'host-2'"));
    bk_lease_release(a); /* and does not take the second's away */
    assert_non_null(ms_find(&f->k.ms[0], LEASE));
    assert_int_equal(bk_lease_check(b, &f->k.err), 0);
    bk_lease_release(b);
    assert_null(ms_find(&f->k.ms[0], LEASE));
}

/* One that nobody can read still counts while it is young. */
static void unreadable(void **state)
{
    struct fix *f = *state;
    struct bk_lease *a = NULL;

    ms_set(&f->k.ms[0], LEASE, "garbage", 7);
    assert_int_equal(bk_lease_take(f->sink, "host-1", &a, &f->k.err), BK_E_LOCKED);
    f->k.ms[0].clock_ns += 31 * MINUTE;
    assert_int_equal(bk_lease_take(f->sink, "host-1", &a, &f->k.err), 0);
    bk_lease_release(a);
}

static void gone_or_changed(void **state)
{
    struct fix *f = *state;
    struct bk_lease *a = NULL;

    assert_int_equal(bk_lease_take(f->sink, "host-1", &a, &f->k.err), 0);
    ms_drop(&f->k.ms[0], LEASE);
    assert_int_equal(bk_lease_check(a, &f->k.err), BK_E_LOCKED);
    ms_set(&f->k.ms[0], LEASE, "garbage", 7);
    assert_int_equal(bk_lease_check(a, &f->k.err), BK_E_LOCKED);
    bk_lease_release(a);
    assert_non_null(ms_find(&f->k.ms[0], LEASE));
}

/* Between looking and taking, the holder let go, or somebody was faster. */
static void races(void **state)
{
    struct fix *f = *state;
    struct bk_lease *a = NULL;

    ms_fault(&f->k.ms[0], MS_PUT_END, LEASE, 0, 1, BAKE_E_EXISTS);
    assert_int_equal(bk_lease_take(f->sink, "host-1", &a, &f->k.err), 0);
    bk_lease_release(a);
    ms_heal(&f->k.ms[0]);
    ms_fault(&f->k.ms[0], MS_PUT_END, LEASE, 0, 2, BAKE_E_EXISTS);
    assert_int_equal(bk_lease_take(f->sink, "host-1", &a, &f->k.err), BK_E_LOCKED);
}

static void lease_trouble(void **state)
{
    struct fix *f = *state;
    struct bk_lease *a = NULL;

    ms_fault(&f->k.ms[0], MS_PUT_BEGIN, LEASE, 0, 0, BAKE_E_AUTH);
    assert_int_equal(bk_lease_take(f->sink, "host-1", &a, &f->k.err), BAKE_E_AUTH);
    ms_heal(&f->k.ms[0]);
    ms_set(&f->k.ms[0], LEASE, "x", 1);
    ms_fault(&f->k.ms[0], MS_STAT, LEASE, 0, 0, BAKE_E_IO);
    assert_int_equal(bk_lease_take(f->sink, "host-1", &a, &f->k.err), BAKE_E_IO);
    assert_non_null(ms_find(&f->k.ms[0], LEASE));
    assert_null(a);
}

static void sinks_clock(void **state)
{
    struct fix *f = *state;
    int64_t now = 0;

    f->k.ms[0].clock_ns = 1234567890123456789;
    assert_int_equal(bk_sink_now(f->sink, &now, &f->k.err), 0);
    assert_true(now == 1234567890123456789);
    assert_int_equal(ms_count(&f->k.ms[0], "gc/"), 0);
    ms_fault(&f->k.ms[0], MS_STAT, NULL, 0, 0, BAKE_E_IO);
    assert_int_equal(bk_sink_now(f->sink, &now, &f->k.err), BAKE_E_IO);
    assert_int_equal(ms_count(&f->k.ms[0], "gc/"), 0); /* cleaned up all the same */
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(intents),       TEST(intent_taken),  TEST(intent_refused), TEST(intent_stays),
        TEST(one_at_a_time), TEST(expired),       TEST(unreadable),     TEST(gone_or_changed),
        TEST(races),         TEST(lease_trouble), TEST(sinks_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
