/* store/index: many index objects become few, and no chunk is lost whenever that ends. */
#include "indexkit.h"

/* n packs of ten chunks, each named by an object of its own. */
static void scatter(struct fix *f, uint64_t n)
{
    open_index(f);
    for (uint64_t i = 0; i < n; i++) {
        make_packs(f, i * 10, i * 10 + 10, 10);
        save(f);
    }
    assert_int_equal(ms_count(&f->k.ms[0], "indexes/"), n);
}

static void replace(struct fix *f, const struct bk_index_keep *keep)
{
    if (bk_index_replace(f->x, keep, &f->err) < 0)
        fail_msg("%s", f->err.text);
}

static void replaces(void **state)
{
    struct fix *f = *state;
    struct memsink *s = &f->k.ms[0];

    scatter(f, 20);
    assert_false(bk_index_scattered(f->x));
    drop_objects(f);
    open_index(f);
    drop_objects(f);
    scatter(f, 40);
    assert_true(bk_index_scattered(f->x));
    make_packs(f, 400, 410, 10); /* not yet in any */
    replace(f, NULL);
    assert_int_equal(ms_count(s, "indexes/"), 1);
    assert_false(bk_index_scattered(f->x));
    must_have(f, 0, 410);
    replace(f, NULL); /* the very same bytes */
    assert_int_equal(ms_count(s, "indexes/"), 1);
    save(f);
    ms_heal(s);
    open_index(f); /* our cache knows them */
    must_have(f, 0, 410);
    assert_int_equal(s->calls[MS_GET_BEGIN], 0);
    open_anew(f);
    must_have(f, 0, 410);
    assert_int_equal(s->calls[MS_GET_BEGIN], 1);
}

static bool not_that(void *arg, const struct bk_index_pack *pack)
{
    char name[BK_PACK_NAME_CAP];

    bk_pack_name(&pack->id, name);
    return strcmp(name, arg) != 0;
}

/* As prune does: the pack goes, and then what names it; or the other way round. */
static void removes(void **state)
{
    struct fix *f = *state;
    struct memsink *s = &f->k.ms[0];

    for (uint64_t way = 0; way < 2; way++) {
        char name[BK_PACK_NAME_CAP];
        struct bk_index_keep keep = {.pack = not_that, .arg = name};

        scatter(f, 5);
        pack_of(f, 20, name);
        if (way == 0)
            ms_drop(s, name);
        replace(f, &keep);
        must_have(f, 0, 20);
        must_lack(f, 20, 30);
        must_have(f, 30, 50);
        ms_drop(s, name);
        save(f);
        ms_heal(s);
        open_index(f);
        assert_int_equal(s->calls[MS_GET_BEGIN], 0);
        must_lack(f, 20, 30);
        must_have(f, 30, 50);
        open_anew(f);
        must_have(f, 0, 20);
        must_lack(f, 20, 30);
        must_have(f, 30, 50);
        assert_int_equal(s->calls[MS_GET_BEGIN], 1);
        for (size_t i = s->n; i-- > 0;)
            if (strncmp(s->objects[i].name, "packs/", 6) == 0)
                ms_drop(s, s->objects[i].name);
        drop_objects(f);
        open_anew(f);
        must_lack(f, 0, 50);
    }
}

/* The pack that goes is the one for which another place of its chunks was let go of. */
static void removes_the_younger(void **state)
{
    struct fix *f = *state;
    char older[BK_PACK_NAME_CAP], name[BK_PACK_NAME_CAP], now[BK_PACK_NAME_CAP];
    struct bk_index_keep keep = {.pack = not_that, .arg = name};

    open_index(f);
    make_packs(f, 0, 10, 10);
    pack_of(f, 0, older);
    make_packs(f, 0, 20, 20);
    pack_of(f, 0, name);
    assert_string_not_equal(older, name);
    replace(f, &keep);
    ms_drop(&f->k.ms[0], name);
    for (int anew = 0; anew < 3; anew++) {
        pack_of(f, 0, now);
        assert_string_equal(now, older);
        must_have(f, 0, 10);
        must_lack(f, 10, 20);
        if (anew == 0)
            save(f);
        if (anew == 1)
            open_anew(f);
        else
            open_index(f);
    }
}

/* Another writer's packs and objects, which came after this index was opened. */
static void others(void **state)
{
    struct fix *f = *state;
    struct bk_index *mine;

    scatter(f, 5);
    mine = f->x;
    f->x = NULL;
    open_index(f);
    make_packs(f, 1000, 1050, 10);
    save(f);
    bk_index_free(f->x);
    f->x = mine;
    replace(f, NULL);
    save(f);
    assert_int_equal(ms_count(&f->k.ms[0], "indexes/"), 1);
    ms_heal(&f->k.ms[0]);
    open_anew(f);
    must_have(f, 0, 50);
    must_have(f, 1000, 1050);
    assert_int_equal(f->k.ms[0].calls[MS_GET_BEGIN], 1);
}

static int refuse(void *arg, struct bk_err *err)
{
    return bk_fail(err, BK_E_LOCKED, "the lease '%s' is gone", (const char *)arg);
}

/* Wherever it ends, all is still found by the index objects alone. */
static void interrupted(void **state)
{
    struct fix *f = *state;
    struct memsink *s = &f->k.ms[0];

    for (unsigned way = 0; way < 8; way++) {
        char what[] = "x";
        struct bk_index_keep keep = {.confirm = way == 0 ? refuse : NULL, .arg = what};
        int rc;

        drop_objects(f);
        scatter(f, 5);
        ms_heal(s);
        if (way == 1)
            ms_fault(s, MS_PUT_END, "indexes/", 0, 0, BAKE_E_IO);
        if (way == 2)
            ms_fault(s, MS_GET_BEGIN, "indexes/", 3, 0, BAKE_E_IO);
        if (way == 3)
            ms_fault(s, MS_LIST, "indexes/", 0, 0, BAKE_E_IO);
        if (way >= 4)
            ms_fault(s, MS_REMOVE, "indexes/", way - 4, 0, BAKE_E_IO);
        rc = bk_index_replace(f->x, &keep, &f->err);
        assert_int_equal(rc, way == 0 ? BK_E_LOCKED : BAKE_E_IO);
        assert_int_equal(ms_count(s, "indexes/"), way == 0 ? 6 : way < 4 ? 5 : 6 - (way - 4));
        ms_heal(s);
        must_have(f, 0, 50);
        open_anew(f);
        must_have(f, 0, 50);
        assert_int_equal(s->calls[MS_GET_BEGIN], ms_count(s, "indexes/"));
        replace(f, NULL);
        assert_int_equal(ms_count(s, "indexes/"), 1);
        open_anew(f);
        must_have(f, 0, 50);
        for (size_t i = s->n; i-- > 0;)
            if (strncmp(s->objects[i].name, "packs/", 6) == 0)
                ms_drop(s, s->objects[i].name);
        drop_objects(f);
        open_anew(f);
    }
}

/* Objects that are damaged or gone: the packs say it themselves; a pack that does not is left out.
 */
static void damaged(void **state)
{
    struct fix *f = *state;
    struct memsink *s = &f->k.ms[0];
    char name[BK_PACK_NAME_CAP];
    size_t changed = 0;

    scatter(f, 6);
    for (size_t k = 0; k < s->n; k++)
        if (strncmp(s->objects[k].name, "indexes/", 8) == 0 && changed++ < 3)
            s->objects[k].data[s->objects[k].n / 2] ^= 1;
    replace(f, NULL);
    assert_int_equal(ms_count(s, "indexes/"), 1);
    ms_heal(s);
    open_anew(f);
    must_have(f, 0, 60);
    assert_int_equal(s->calls[MS_GET_BEGIN], 1);
    pack_of(f, 0, name);
    drop_objects(f);
    ms_find(s, name)->data[ms_find(s, name)->n - 1] ^= 1;
    replace(f, NULL);
    open_anew(f);
    must_lack(f, 0, 10);
    must_have(f, 10, 60);
}

/* "fake" takes its time with each byte. */
static int setup_plain(void **state) { return setup_with(state, 0); }

/* More than one object is to hold; each is of bounded size. */
static void large(void **state)
{
    struct fix *f = *state;
    struct memsink *s = &f->k.ms[0];
    uint64_t each = 4096, packs = 150;
    size_t n;

    open_index(f);
    for (uint64_t p = 0; p < packs; p++)
        add_unreal(f, p, p * each, each);
    save(f);
    assert_true(ms_count(s, "indexes/") >= 5);
    replace(f, NULL);
    n = ms_count(s, "indexes/");
    assert_in_range(n, 2, 3);
    for (size_t k = 0; k < s->n; k++)
        assert_true(s->objects[k].n < BK_INDEX_OBJECT + (1u << 20));
    assert_false(bk_index_scattered(f->x));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(replaces),
        T(removes),
        T(removes_the_younger),
        T(others),
        T(interrupted),
        T(damaged),
        cmocka_unit_test_setup_teardown(large, setup_plain, teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
