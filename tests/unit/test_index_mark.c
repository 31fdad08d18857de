/* store/index: marking what is live, through spills and merges; many threads. */
#include "indexkit.h"

#include "base/clock.h"

static void spill(struct fix *f) { assert_int_equal(bk_index_spill(f->x, true, &f->err), 0); }

static bool mark(struct fix *f, uint64_t chunk)
{
    bk_id id = rk_id(chunk);
    bool first = false;

    if (bk_index_mark(f->x, &id, &first, &f->err) < 0)
        fail_msg("%s", f->err.text);
    return first;
}

static int marked(struct fix *f, uint64_t chunk)
{
    bk_id id = rk_id(chunk);

    return bk_index_marked(f->x, &id, &f->err);
}

/* Every third of [0, n) and no other; as much as their bytes in all packs. */
static void check_thirds(struct fix *f, uint64_t n)
{
    uint64_t *live, sum = 0, want = 0;
    size_t packs;

    for (uint64_t i = 0; i < n; i++) {
        assert_int_equal(marked(f, i), i % 3 ? BAKE_END : BAKE_OK);
        want += i % 3 ? 0 : length_of(i);
    }
    assert_int_equal(bk_index_weigh(f->x, &live, &packs, &f->err), 0);
    for (size_t i = 0; i < packs; i++)
        sum += live[i];
    assert_int_equal(sum, want);
    free(live);
}

static void marks(void **state)
{
    struct fix *f = *state;
    struct bk_index_pack *all;
    uint64_t *live, want = 0;
    bk_id unknown = rk_id(999999);
    size_t n, packs;

    open_index(f);
    for (uint64_t p = 0; p < 5; p++)
        add_unreal(f, p, p * 1000, 1000);
    assert_int_equal(bk_index_mark(f->x, &unknown, NULL, &f->err), BAKE_E_NOTFOUND);
    assert_int_equal(marked(f, 999999), BAKE_END);
    for (uint64_t i = 0; i < 5000; i++)
        assert_int_equal(marked(f, i), BAKE_END);
    for (uint64_t i = 0; i < 5000; i += 3) {
        assert_true(mark(f, i));
        assert_false(mark(f, i));
        want += i / 1000 == 2 ? length_of(i) : 0;
    }
    check_thirds(f, 5000);
    assert_int_equal(bk_index_weigh(f->x, &live, &n, &f->err), 0);
    assert_int_equal(bk_index_packs(f->x, &all, &packs, &f->err), 0);
    assert_int_equal(n, 5);
    assert_int_equal(packs, 5);
    for (size_t i = 0; i < 5; i++) {
        bk_id id = rk_id(UINT64_MAX - i);

        assert_true(bk_id_eq(&all[i].id, &id));
        assert_true(all[i].present && all[i].counts && all[i].size == 4000);
    }
    assert_int_equal(live[2], want);
    free(live);
    free(all);
}

/* What is packed anew meanwhile changes no mark, neither in the table nor in runs nor in merges. */
static void marks_and_merges(void **state)
{
    struct fix *f = *state;

    open_index(f);
    for (uint64_t p = 0; p < 5; p++) {
        add_unreal(f, p, p * 1000, 1000 + 100);
        spill(f);
    }
    for (uint64_t i = 0; i < 5000; i += 3)
        assert_true(mark(f, i));
    check_thirds(f, 5000);
    for (uint64_t p = 0; p < 40; p++) {
        add_unreal(f, 100 + p, p * 120, 150);
        if (p % 10 == 5)
            check_thirds(f, 5000);
        spill(f);
        if (p % 10 == 9)
            check_thirds(f, 5000);
    }
    for (uint64_t i = 0; i < 5000; i += 3)
        assert_false(mark(f, i));
    check_thirds(f, 5000);
}

/* A chunk in two packs is live in the one that counts, once. */
static void marks_twice_stored(void **state)
{
    struct fix *f = *state;
    bk_id bad = rk_id(UINT64_MAX - 1);
    uint64_t *live;
    size_t n;

    open_index(f);
    add_unreal(f, 0, 0, 10);
    spill(f);
    add_unreal(f, 1, 0, 10);
    spill(f);
    bk_index_distrust(f->x, &bad);
    assert_true(mark(f, 4));
    assert_int_equal(bk_index_weigh(f->x, &live, &n, &f->err), 0);
    assert_int_equal(n, 2);
    assert_int_equal(live[0], length_of(4));
    assert_int_equal(live[1], 0);
    free(live);
    bad = rk_id(UINT64_MAX - 0);
    bk_index_distrust(f->x, &bad);
    assert_false(mark(f, 4)); /* whichever place is the best now */
    assert_int_equal(marked(f, 4), BAKE_OK);
}

/* Runs that are made anew, since a pack is doubted, lose no mark. */
static void marks_and_remaking(void **state)
{
    struct fix *f = *state;
    struct bk_index_pack pack;
    struct bk_loc loc;
    bk_id id = rk_id(3), younger = rk_id(UINT64_MAX - 1);

    open_index(f);
    add_unreal(f, 0, 0, 1000);
    add_unreal(f, 1, 0, 1000); /* of each chunk a place is let go of */
    for (uint64_t i = 0; i < 1000; i += 3)
        assert_true(mark(f, i));
    bk_index_distrust(f->x, &younger);
    assert_int_equal(bk_index_find(f->x, &id, false, &loc, &pack, &f->err), 0);
    assert_false(bk_id_eq(&pack.id, &younger));
    check_thirds(f, 1000);
    assert_false(mark(f, 3));
}

static void damage_blocks(const char *path)
{
    int fd;

    if (!strstr(path, "/run-"))
        return;
    fd = open(path, O_WRONLY);
    for (off_t at = 0; at < 5; at++)
        assert_int_equal(pwrite(fd, "damage", 6, at * 4096 + 100), 6);
    assert_int_equal(close(fd), 0);
}

/* Nothing is said to be dead because its mark was lost. */
static void damage_while_marking(void **state)
{
    struct fix *f = *state;
    uint64_t *live;
    size_t n;

    open_index(f);
    make_packs(f, 0, 400, 50);
    save(f);
    assert_true(mark(f, 7));
    (void)each_file(f, damage_blocks);
    for (uint64_t i = 0; i < 400; i++) {
        bk_id id = rk_id(i);
        int rc = bk_index_mark(f->x, &id, NULL, &f->err);

        assert_true(rc == BAKE_OK || rc == BAKE_E_CORRUPT);
    }
    assert_non_null(strstr(f->err.hint, "once more"));
    assert_int_equal(marked(f, 7), BAKE_E_CORRUPT);
    assert_int_equal(marked(f, 300), BAKE_E_CORRUPT);
    assert_int_equal(bk_index_weigh(f->x, &live, &n, &f->err), BAKE_E_CORRUPT);
    must_have(f, 0, 400);
    save(f);
    open_index(f);
    for (uint64_t i = 0; i < 400; i += 3)
        assert_true(mark(f, i));
    check_thirds(f, 400);
}

/* Noticed by the lookup of somebody else, or while it is weighed. */
static void damage_elsewhere(void **state)
{
    struct fix *f = *state;
    uint64_t *live;
    size_t n;

    for (int way = 0; way < 2; way++) {
        open_anew(f);
        make_packs(f, 0, 4000, 1000);
        save(f);
        open_index(f);
        for (uint64_t i = 0; i < 20; i++)
            assert_true(mark(f, i));
        (void)each_file(f, damage_blocks);
        if (way == 0)
            must_have(f, 100, 4000);
        assert_int_equal(bk_index_weigh(f->x, &live, &n, &f->err), BAKE_E_CORRUPT);
        assert_int_equal(marked(f, 3), BAKE_E_CORRUPT);
    }
}

/* ---- threads --------------------------------------------------------------------------------- */

struct user {
    pthread_t thread;
    struct fix *f;
    uint64_t seed;
    int rc;
    struct bk_err err;
};

static void *use(void *arg)
{
    struct user *u = arg;

    for (int i = 0; i < 3000 && u->rc >= 0; i++) {
        bk_id id = rk_id(rk_next(&u->seed) % 30000);
        struct bk_index_pack pack;
        struct bk_loc loc;

        switch (i % 4) {
        case 0:
            u->rc = bk_index_has(u->f->x, &id, &u->err);
            break;
        case 1:
            u->rc = bk_index_claim(u->f->x, &id, &u->err);
            break;
        case 2:
            u->rc = bk_index_marked(u->f->x, &id, &u->err);
            break;
        default:
            u->rc = bk_index_find(u->f->x, &id, true, &loc, &pack, &u->err);
        }
        if (u->rc == BAKE_E_NOTFOUND)
            u->rc = BAKE_OK;
    }
    return NULL;
}

static void threads(void **state)
{
    struct fix *f = *state;
    struct user users[3];

    open_index(f);
    f->k.ms[0].write_ms = 5;
    for (size_t i = 0; i < 3; i++) {
        users[i] = (struct user){.f = f, .seed = i};
        assert_int_equal(pthread_create(&users[i].thread, NULL, use, &users[i]), 0);
    }
    for (uint64_t p = 0; p < 200; p++) {
        add_unreal(f, p, p * 150, 160);
        if (p % 40 == 0)
            save(f);
    }
    for (size_t i = 0; i < 3; i++) {
        pthread_join(users[i].thread, NULL);
        if (users[i].rc < 0)
            fail_msg("%s", users[i].err.text);
    }
    save(f);
    for (uint64_t i = 0; i < 30000; i += 7) {
        bk_id id = rk_id(i);

        assert_int_equal(bk_index_has(f->x, &id, &f->err), BAKE_OK);
    }
}

static void *add_until_flushed(void *arg)
{
    struct user *u = arg;

    for (uint64_t p = 0; p < BK_INDEX_FLUSH_PACKS; p++)
        add_unreal(u->f, p, p * 10, 10);
    return NULL;
}

/* While an index object is put slowly, claims go on. */
static void slow_object(void **state)
{
    struct fix *f = *state;
    struct user adder = {.f = f};
    uint64_t start = bk_monotonic_ms(), longest = 0;
    bool putting = false;

    open_index(f);
    f->k.ms[0].write_ms = 1500;
    assert_int_equal(pthread_create(&adder.thread, NULL, add_until_flushed, &adder), 0);
    for (uint64_t i = 0; bk_monotonic_ms() - start < 1000; i++) {
        uint64_t before = bk_monotonic_ms(), took;
        bk_id id = rk_id(1000000 + i % 100);

        assert_true(bk_index_claim(f->x, &id, &f->err) >= 0);
        took = bk_monotonic_ms() - before;
        longest = took > longest ? took : longest;
        pthread_mutex_lock(&f->k.ms[0].lock);
        putting |= f->k.ms[0].puts_open > 0;
        pthread_mutex_unlock(&f->k.ms[0].lock);
    }
    pthread_join(adder.thread, NULL);
    assert_true(putting);
    assert_in_range(longest, 0, 500);
    assert_int_equal(ms_count(&f->k.ms[0], "indexes/"), 1);
}

/* What could not be put is not forgotten. */
static void failed_object(void **state)
{
    struct fix *f = *state;
    uint64_t p;

    open_index(f);
    make_packs(f, 0, 200, 4);
    ms_fault(&f->k.ms[0], MS_PUT_END, "indexes/", 0, 1, BAKE_E_NOSPACE);
    assert_int_equal(bk_index_save(f->x, &f->err), BAKE_E_NOSPACE);
    /* A store of one sink goes on with it; nothing that is not named is in the cache as if it were.
     */
    for (p = 0; p < 3; p++)
        make_packs(f, 200 + p * 4, 204 + p * 4, 4);
    save(f);
    ms_heal(&f->k.ms[0]);
    open_anew(f);
    must_have(f, 0, 212);
    assert_int_equal(f->k.ms[0].calls[MS_GET_BEGIN], ms_count(&f->k.ms[0], "indexes/"));
    assert_int_equal(ms_count(&f->k.ms[0], "indexes/"), 1);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {T(marks),
                                       T(marks_and_merges),
                                       T(marks_twice_stored),
                                       T(marks_and_remaking),
                                       T(damage_while_marking),
                                       T(threads),
                                       T(damage_elsewhere),
                                       T(slow_object),
                                       T(failed_object)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
