/* run/garbage: what belongs to no backup goes, once it is old and nobody writes it; nothing else.
 */
#include "storekit.h"

#include "base/clock.h"
#include "run/garbage.h"
#include "run/prune.h"
#include "store/layout.h"

#include <stdlib.h>
#include <string.h>

#define MS     1000000ll
#define GRACE  ((int64_t)BK_GARBAGE_GRACE_MS * MS)
#define EXPIRE ((int64_t)BK_INTENT_EXPIRE_MS * MS)

struct fix {
    struct kit k;
    struct memsink *ms;
    struct bk_sink *sink;
    int64_t now;
};

static int setup(void **state)
{
    struct fix *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    kit_init(&f->k, 1, 0);
    kit_must_open(&f->k);
    f->ms = &f->k.ms[0];
    f->sink = &f->k.store->sinks[0];
    f->now = f->ms->clock_ns;
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

static void put(struct fix *f, const char *name, int64_t age)
{
    ms_set(f->ms, name, "12345", 5);
    ms_set_time(f->ms, name, f->now - age);
}

static bool there(struct fix *f, const char *name) { return ms_find(f->ms, name) != NULL; }

static int collect(struct fix *f, struct bk_garbage *g)
{
    struct bk_lease *l = NULL;
    int rc;

    memset(g, 0, sizeof(*g));
    assert_int_equal(bk_lease_take(f->sink, "host", &l, &f->k.err), 0);
    rc = bk_garbage_collect(f->sink, l, g, &f->k.err);
    bk_lease_release(l);
    return rc;
}

static void grace(void **state)
{
    struct fix *f = *state;
    struct bk_garbage g;

    put(f, "backups/dead/a", GRACE);
    put(f, "backups/dead/b/c", 10 * GRACE);
    put(f, "backups/dead/young", GRACE - 1);
    put(f, "backups/future/a", -GRACE);
    put(f, "other/a", 10 * GRACE); /* not ours to judge */
    put(f, "bakengine.json", 10 * GRACE);
    assert_int_equal(collect(f, &g), 0);
    assert_int_equal(g.objects, 2);
    assert_int_equal(g.bytes, 10);
    assert_false(there(f, "backups/dead/a") || there(f, "backups/dead/b/c"));
    assert_true(there(f, "backups/dead/young") && there(f, "backups/future/a"));
    assert_true(there(f, "other/a") && there(f, "bakengine.json"));
}

/* Whatever a manifest stands beside stays, be the manifest itself damaged and all of it old; names
 * that begin alike are not taken for each other. */
static void backups_stay(void **state)
{
    struct fix *f = *state;
    struct bk_garbage g;

    put(f, "backups/ab/manifest.json", 99 * GRACE);
    put(f, "backups/ab/x.tar.zst", 99 * GRACE);
    put(f, "backups/ab/not/named", 99 * GRACE);
    put(f, "backups/ab/records/1-verify.json", 99 * GRACE);
    put(f, "backups/a/x", 99 * GRACE);
    put(f, "backups/abc/x", 99 * GRACE);
    put(f, "backups/abc/records/manifest.json", 99 * GRACE); /* not a manifest there */
    put(f, "backups/b/x", 99 * GRACE);
    put(f, "backups/ab.", 99 * GRACE);
    assert_int_equal(collect(f, &g), 0);
    assert_int_equal(ms_count(f->ms, "backups/ab/"), 4);
    assert_int_equal(ms_count(f->ms, "backups/"), 4);
    assert_int_equal(g.objects, 5);
}

static void live_writers(void **state)
{
    struct fix *f = *state;
    struct bk_garbage g;

    put(f, "writers/live", EXPIRE - 1);
    put(f, "backups/live/x", 99 * GRACE);
    put(f, "writers/expired", EXPIRE); /* goes first, so that its run sees that it is too late */
    put(f, "writers/idle", EXPIRE);    /* of it nothing goes, so it need not see anything */
    put(f, "backups/expired/x", GRACE);
    put(f, "backups/expired/young", 0);
    put(f, "writers/dead", GRACE);
    put(f, "backups/liv/x", GRACE);
    assert_int_equal(collect(f, &g), 0);
    assert_true(there(f, "backups/live/x") && there(f, "writers/live"));
    assert_true(there(f, "writers/idle") && there(f, "backups/expired/young"));
    assert_false(there(f, "writers/expired"));
    assert_false(there(f, "backups/expired/x"));
    assert_false(there(f, "writers/dead"));
    assert_false(there(f, "backups/liv/x"));
    assert_int_equal(g.objects, 3);
}

/* Counting writes nothing, not even to learn the time. */
static void counting(void **state)
{
    struct fix *f = *state;
    struct bk_garbage g = {0};

    f->now = bk_now_ns(); /* then it is ours that counts */
    put(f, "backups/dead/a", GRACE + 60000 * MS);
    put(f, "backups/dead/young", GRACE - 60000 * MS);
    ms_heal(f->ms);
    assert_int_equal(bk_garbage_collect(f->sink, NULL, &g, &f->k.err), 0);
    assert_int_equal(g.objects, 1);
    assert_int_equal(g.bytes, 5);
    assert_true(there(f, "backups/dead/a"));
    assert_int_equal(f->ms->calls[MS_PUT_BEGIN], 0);
    assert_int_equal(f->ms->calls[MS_REMOVE], 0);
    assert_int_equal(f->ms->swept_older, 0);
}

static void sweeps(void **state)
{
    struct fix *f = *state;
    struct bk_garbage g;

    f->ms->sweep_removes = 3;
    assert_int_equal(collect(f, &g), 0);
    assert_int_equal(g.objects, 3);
    assert_int_equal(f->ms->swept_older, BK_GARBAGE_GRACE_MS);
}

static void lease_lost(void **state)
{
    struct fix *f = *state;
    struct bk_garbage g = {0};
    struct bk_lease *l = NULL;

    put(f, "backups/dead/a", GRACE);
    assert_int_equal(bk_lease_take(f->sink, "host", &l, &f->k.err), 0);
    ms_drop(f->ms, "gc/lease");
    assert_int_equal(bk_garbage_collect(f->sink, l, &g, &f->k.err), BK_E_LOCKED);
    assert_true(there(f, "backups/dead/a"));
    bk_lease_release(l);
}

/* A listing that fails must not look like a store without manifests or writers. */
static void listing_fails(void **state)
{
    struct fix *f = *state;
    struct bk_garbage g;

    put(f, "backups/whole/manifest.json", 9 * GRACE);
    put(f, "backups/whole/a", 9 * GRACE);
    put(f, "writers/live", 0);
    put(f, "backups/live/a", 9 * GRACE);
    for (unsigned nth = 0; nth < 3; nth++) {
        ms_heal(f->ms);
        ms_fault(f->ms, MS_LIST, NULL, nth, 1, BAKE_E_AUTH);
        assert_int_equal(collect(f, &g), BAKE_E_AUTH);
        assert_true(there(f, "backups/whole/a") && there(f, "backups/live/a"));
    }
    ms_heal(f->ms);
    ms_fault(f->ms, MS_STAT, "clock", 0, 0, BAKE_E_AUTH);
    assert_int_equal(collect(f, &g), BAKE_E_AUTH);
    ms_heal(f->ms);
    put(f, "backups/dead/a", GRACE);
    put(f, "backups/dead/b", GRACE);
    ms_fault(f->ms, MS_REMOVE, "dead/a", 0, 0, BAKE_E_NOTFOUND); /* another was faster: fine */
    assert_int_equal(collect(f, &g), 0);
    assert_false(there(f, "backups/dead/b"));
    ms_heal(f->ms);
    ms_fault(f->ms, MS_REMOVE, "dead/a", 0, 0, BAKE_E_AUTH);
    assert_int_equal(collect(f, &g), BAKE_E_AUTH);
}

/* Nothing of a backup with a manifest ever goes, in any of many stores made up at random. */
static void never_of_a_backup(void **state)
{
    struct fix *f = *state;
    uint64_t seed = 11;

    for (int round = 0; round < 40; round++) {
        struct bk_garbage g;
        size_t kept = 0;
        char name[64];

        for (int i = 0; i < 60; i++) {
            unsigned id = (unsigned)(kit_random(&seed) % 12);
            int64_t age = (int64_t)(kit_random(&seed) % 4) * GRACE / 2;

            (void)snprintf(name, sizeof(name), "backups/%.*s%u/o%d", (int)(id % 3), "xx", id, i);
            put(f, name, age);
            if (i % 10 == 0) {
                (void)snprintf(name, sizeof(name), "backups/%.*s%u/manifest.json", (int)(id % 3),
                               "xx", id);
                put(f, name, age);
            }
        }
        for (size_t i = 0; i < f->ms->n; i++) {
            const char *o = f->ms->objects[i].name;

            if (!bk_starts(o, "backups/"))
                continue;
            (void)snprintf(name, sizeof(name), "%.*s/manifest.json", (int)(strrchr(o, '/') - o), o);
            kept += there(f, name);
        }
        assert_int_equal(collect(f, &g), 0);
        for (size_t i = 0; i < f->ms->n; i++) {
            const char *o = f->ms->objects[i].name;

            if (!bk_starts(o, "backups/"))
                continue;
            (void)snprintf(name, sizeof(name), "%.*s/manifest.json", (int)(strrchr(o, '/') - o), o);
            kept -= there(f, name);
        }
        assert_int_equal(kept, 0);
        while (ms_count(f->ms, "backups/") > 0)
            for (size_t i = 0; i < f->ms->n; i++)
                if (bk_starts(f->ms->objects[i].name, "backups/")) {
                    ms_drop(f->ms, f->ms->objects[i].name);
                    break;
                }
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(grace),  TEST(backups_stay), TEST(live_writers),  TEST(counting),
        TEST(sweeps), TEST(lease_lost),   TEST(listing_fails), TEST(never_of_a_backup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
