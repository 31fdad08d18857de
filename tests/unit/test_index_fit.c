/* store/index: packs that are there but do not count; readers; what an index object lies about. */
#include "indexkit.h"

#include <signal.h>
#include <sys/resource.h>

/* Index objects come in the order of their names, so whichever pack is first: nothing that counts
 * is hidden by what does not. */
static void condemned(void **state)
{
    struct fix *f = *state;
    char names[2][BK_PACK_NAME_CAP];
    const char *packs[] = {names[0], names[1]};

    for (uint64_t round = 0; round < 4; round++) {
        uint64_t at = round * 1000;

        open_index(f);
        make_packs(f, at, at + 30, 10);
        pack_of(f, at, names[0]);
        pack_of(f, at + 10, names[1]);
        save(f);
        condemn(f, "gc/condemned-0123456789abcdef", packs, 2);
        for (int anew = 0; anew < 2; anew++) {
            open_index(f);
            must_read(f, at, at + 20);
            must_have(f, at + 20, at + 30);
            open_anew(f);
        }
        for (uint64_t i = at; i < at + 20; i++) {
            bk_id id = rk_id(i);

            assert_int_equal(bk_index_claim(f->x, &id, &f->err), BAKE_END);
            assert_int_equal(bk_index_has(f->x, &id, &f->err), BAKE_END);
            assert_int_equal(bk_index_claim(f->x, &id, &f->err), BAKE_OK);
        }
        make_packs(f, at + 5, at + 20, 4);
        make_packs(f, at, at + 5, 1);
        must_have(f, at, at + 30);
        save(f);
        open_index(f);
        must_have(f, at, at + 30);
        open_anew(f);
        must_have(f, at, at + 30);
        ms_drop(&f->k.ms[0], "gc/condemned-0123456789abcdef"); /* spared */
        open_index(f);
        must_have(f, at, at + 30);
    }
}

static void condemned_unreadable(void **state)
{
    static const char *const texts[] = {"", "{}", "{\n  \"packs\": [],\n  \"sha256\": \"00\"\n}\n"};
    struct fix *f = *state;
    struct memsink *s = &f->k.ms[0];
    const char *none[] = {"packs/no-hex"};

    make_packs(f, 0, 10, 10);
    for (size_t i = 0; i < 4; i++) {
        if (i < 3)
            ms_set(s, "gc/condemned-00", texts[i], strlen(texts[i]));
        else
            condemn(f, "gc/condemned-00", none, 1);
        assert_int_equal(try_open(f, 0), BAKE_E_CORRUPT);
        assert_non_null(strstr(f->err.text, "gc/condemned-00"));
        assert_non_null(strstr(f->err.hint, "prune"));
        assert_int_equal(try_open(f, BK_INDEX_READ), 0);
        must_have(f, 0, 10);
    }
    ms_fault(s, MS_GET_BEGIN, "gc/condemned-", 0, 0, BAKE_E_IO);
    assert_int_equal(try_open(f, 0), BAKE_E_IO);
    assert_int_equal(try_open(f, BK_INDEX_READ), 0);
    ms_heal(s);
    ms_fault(s, MS_GET_BEGIN, "gc/condemned-", 0, 0, BAKE_E_NOTFOUND); /* gone since listed */
    assert_int_equal(try_open(f, 0), 0);
    must_have(f, 0, 10);
    ms_heal(s);
    ms_fault(s, MS_GET_BEGIN, "gc/condemned-", 0, 0, BAKE_E_CANCELLED);
    assert_int_equal(try_open(f, BK_INDEX_READ), BAKE_E_CANCELLED);
    ms_heal(s);
    ms_fault(s, MS_LIST, "gc/condemned-", 0, 0, BAKE_E_IO);
    assert_int_equal(try_open(f, BK_INDEX_READ), BAKE_E_IO);
}

/* The store's index is read again only where a place may have been let go of. */
static void made_anew_if_need_be(void **state)
{
    struct fix *f = *state;
    struct memsink *s = &f->k.ms[0];
    char alone[BK_PACK_NAME_CAP], younger[BK_PACK_NAME_CAP];

    open_index(f);
    make_packs(f, 0, 10, 10);
    make_packs(f, 100, 110, 10);
    make_packs(f, 100, 120, 20); /* the same once more: one place of each is let go of */
    pack_of(f, 0, alone);
    pack_of(f, 100, younger);
    save(f);
    set_bad(f, alone, true);
    ms_heal(s);
    open_index(f);
    assert_int_equal(s->calls[MS_GET_BEGIN], 0);
    must_read(f, 0, 10);
    save(f);
    open_index(f);
    must_read(f, 0, 10);
    assert_int_equal(s->calls[MS_GET_BEGIN], 0);
    set_bad(f, younger, true);
    open_index(f);
    assert_true(s->calls[MS_GET_BEGIN] > 0);
    must_have(f, 100, 110);
    must_read(f, 110, 120);
    save(f);
    set_bad(f, younger, false);
    set_bad(f, alone, false);
    open_index(f);
    must_have(f, 0, 10);
    must_have(f, 100, 120);
    save(f);
    ms_drop(s, alone); /* of no other pack it hides anything */
    ms_heal(s);
    open_index(f);
    assert_int_equal(s->calls[MS_GET_BEGIN], 0);
    must_lack(f, 0, 10);
    must_have(f, 100, 120);
    save(f);
    ms_drop(s, younger);
    open_index(f);
    must_have(f, 100, 110);
    must_lack(f, 110, 120);
}

static void find_in(struct fix *f, uint64_t chunk, uint64_t pack)
{
    struct bk_index_pack got;
    struct bk_loc loc;
    bk_id id = rk_id(chunk), want = rk_id(UINT64_MAX - pack);

    assert_int_equal(bk_index_find(f->x, &id, false, &loc, &got, &f->err), 0);
    assert_int_equal(loc.length, length_of(chunk));
    assert_true(bk_id_eq(&got.id, &want));
}

static void distrust(struct fix *f, uint64_t pack)
{
    bk_id id = rk_id(UINT64_MAX - pack);

    bk_index_distrust(f->x, &id);
}

static void spill(struct fix *f) { assert_int_equal(bk_index_spill(f->x, true, &f->err), 0); }

/* In the table, between runs, and in a merge: the younger place is not always the better one. */
static void worse_and_younger(void **state)
{
    struct fix *f = *state;
    bk_id unknown = rk_id(12345), id = rk_id(3);

    open_index(f);
    add_unreal(f, 0, 0, 100);
    spill(f);
    add_unreal(f, 1, 0, 100);
    spill(f);
    find_in(f, 3, 1);
    distrust(f, 1);
    bk_index_distrust(f->x, &unknown);
    find_in(f, 3, 0);
    for (uint64_t i = 0; i < 20; i++) { /* merged by now */
        add_unreal(f, 100 + i, 1000 * (i + 1), 100 - i);
        spill(f);
        find_in(f, 3, 0);
    }
    distrust(f, 0);
    assert_int_equal(bk_index_has(f->x, &id, &f->err), BAKE_END);
    find_in(f, 3, 1); /* its place had been let go of by now; distrusted before the other was */
    find_in(f, 3, 1);
    distrust(f, 1); /* again: all places were named, so the same once more */
    find_in(f, 3, 1);
    add_unreal(f, 2, 0, 50);
    find_in(f, 3, 2);
    find_in(f, 70, 1);
    distrust(f, 2);
    find_in(f, 3, 1);
    assert_int_equal(bk_index_claim(f->x, &id, &f->err), BAKE_END);
    find_in(f, 3, 1); /* what is coming hides nothing */
    add_unreal(f, 3, 0, 10);
    find_in(f, 3, 3);
    assert_int_equal(bk_index_has(f->x, &id, &f->err), BAKE_OK);
}

/* What counts is kept in the table when a worse place comes later. */
static void better_stays_in_table(void **state)
{
    struct fix *f = *state;
    struct bk_pack_table t = {.n_segments = 1};
    struct bk_err err = {0};
    bk_id id = rk_id(3), worse = rk_id(UINT64_MAX - 9);
    uint32_t number;

    open_index(f);
    add_unreal(f, 0, 0, 100);
    t.segments[0] = (struct bk_segment){10, length_of(3), 1, 0};
    assert_int_equal(bk_pack_table_add(&t, &id, length_of(3)), 0);
    assert_int_equal(bk_index_new_pack(f->x, &worse, 999, HEAD, &t, BK_RANK_PRESENT, &number, &err),
                     0);
    assert_int_equal(bk_index_put_chunks(f->x, number, &t, &err), 0);
    find_in(f, 3, 0);
    assert_true(f->x->packs[0].hides);
    assert_false(f->x->packs[1].hides);
    bk_pack_table_release(&t);
}

/* A pack as an index object says it, with the lengths of its chunks in another order. */
static void lie(struct fix *f, uint64_t from, uint64_t n)
{
    struct bk_sink *sink = &f->k.store->sinks[0];
    struct bk_buf plain = BK_BUF_INIT;
    struct bk_pack_table t;
    struct bk_index_pack pack;
    struct bk_loc loc;
    char name[100];
    uint32_t head;
    bk_id id = rk_id(from);

    assert_int_equal(bk_index_find(f->x, &id, false, &loc, &pack, &f->err), 0);
    assert_int_equal(
        bk_sealed_pack_table(f->k.store, sink, &pack.id, pack.size, &t, &head, &f->err), 0);
    assert_int_equal(t.n_chunks, n);
    for (size_t i = 0; i < n / 2; i++) {
        bk_id kept = t.ids[i];

        t.ids[i] = t.ids[n - 1 - i];
        t.ids[n - 1 - i] = kept;
    }
    t.segments[0].stored -= 3;
    bk_index_write_pack(&pack.id, pack.size, head + 3, &t, &plain);
    drop_objects(f);
    assert_int_equal(
        bk_sealed_put_to(f->k.store, sink, "indexes/", &plain, name, sizeof(name), &f->err), 0);
    bk_buf_free(&plain);
    bk_pack_table_release(&t);
}

static void lying_object(void **state)
{
    struct fix *f = *state;
    struct bk_index_pack before, after;
    struct bk_loc loc;
    bk_id id = rk_id(2);

    open_index(f);
    make_packs(f, 0, 10, 10);
    lie(f, 0, 10);
    open_anew(f);
    assert_int_equal(bk_index_find(f->x, &id, false, &loc, &before, &f->err), 0);
    assert_int_not_equal(loc.length, length_of(2));
    assert_int_equal(before.head, HEAD + 3);
    bk_index_distrust(f->x, &before.id);
    assert_int_equal(bk_index_find(f->x, &id, false, &loc, &after, &f->err), 0);
    assert_int_equal(loc.length, length_of(2));
    assert_int_equal(loc.offset, length_of(0) + length_of(1));
    assert_int_equal(after.head, HEAD);
    assert_int_equal(after.segments[0].stored,
                     before.segments[0].stored + 3); /* both still there */
    must_read(f, 0, 10);
    ms_heal(&f->k.ms[0]); /* not asked again */
    must_read(f, 0, 10);
    assert_int_equal(f->k.ms[0].calls[MS_GET_BEGIN], 0);
    save(f);
    open_index(f); /* of what was found out nothing is kept: but bad/ and prune see to it */
    assert_int_equal(bk_index_has(f->x, &id, &f->err), BAKE_OK);
}

/* It puts nothing, and what it keeps does not keep the next writer from putting it. */
static void reader(void **state)
{
    struct fix *f = *state;
    struct memsink *s = &f->k.ms[0];
    size_t objects;

    make_packs(f, 0, 100, 20); /* no index object says anything of them */
    objects = s->n;
    ms_heal(s);
    assert_int_equal(try_open(f, BK_INDEX_READ), 0);
    must_have(f, 0, 100);
    save(f);
    assert_int_equal(bk_index_replace(f->x, NULL, &f->err), BAKE_E_INTERNAL);
    assert_int_equal(s->calls[MS_PUT_BEGIN], 0);
    assert_int_equal(s->calls[MS_REMOVE], 0);
    ms_heal(s);
    assert_int_equal(try_open(f, BK_INDEX_READ), 0); /* from the cache */
    must_have(f, 0, 100);
    assert_int_equal(s->calls[MS_GET_BEGIN], 0);
    assert_int_equal(s->n, objects);
    open_index(f);
    save(f);
    assert_int_equal(ms_count(s, "indexes/"), 1);
    ms_heal(s);
    open_anew(f);
    must_have(f, 0, 100);
    assert_int_equal(s->calls[MS_GET_BEGIN], 1);
}

/* While a writer has the cache. */
static void reader_beside_writer(void **state)
{
    struct fix *f = *state;
    struct bk_index *writer, *anew;

    open_index(f);
    make_packs(f, 0, 100, 20);
    save(f);
    make_packs(f, 100, 150, 20);
    writer = f->x;
    f->x = NULL;
    assert_int_equal(try_open(f, BK_INDEX_READ), 0);
    must_have(f, 0, 150);
    save(f);
    anew = f->x;
    f->x = writer;
    make_packs(f, 150, 200, 20);
    save(f);
    must_have(f, 0, 200);
    writer = f->x;
    f->x = anew; /* files it has open may be gone by now */
    must_have(f, 0, 150);
    bk_index_free(writer);
    open_index(f);
    must_have(f, 0, 200);
}

/* A prune replaces the objects between our listing and our reading. */
static void replaced_meanwhile(void **state)
{
    struct fix *f = *state;
    struct memsink *s = &f->k.ms[0];

    open_index(f);
    for (uint64_t i = 0; i < 5; i++) {
        make_packs(f, i * 10, i * 10 + 10, 10);
        save(f);
    }
    close_index(f);
    (void)each_file(f, erase);
    ms_heal(s);
    ms_fault(s, MS_GET_BEGIN, "indexes/", 2, 1, BAKE_E_NOTFOUND);
    open_index(f);
    must_have(f, 0, 50);
    assert_int_equal(s->calls[MS_GET_BEGIN], 6); /* the packs themselves were not asked */
    close_index(f);
    (void)each_file(f, erase);
    ms_fault(s, MS_GET_BEGIN, "indexes/", 0, 0, BAKE_E_NOTFOUND); /* for ever */
    open_index(f);
    must_have(f, 0, 50);
}

/* So many that they do not wait in memory for the end: objects are put on the way. */
static void adopts_many(void **state)
{
    struct fix *f = *state;
    struct memsink *s = &f->k.ms[0];

    make_packs(f, 0, 200, 1);
    open_index(f);
    assert_int_equal(ms_count(s, "indexes/"), 200 / BK_INDEX_FLUSH_PACKS);
    assert_true(f->x->n_pending < BK_INDEX_FLUSH_PACKS);
    save(f);
    must_have(f, 0, 200);
    ms_heal(s);
    open_anew(f);
    must_have(f, 0, 200);
    assert_int_equal(s->calls[MS_GET_BEGIN], ms_count(s, "indexes/"));
    drop_objects(f); /* an object that cannot be put is said, and not for each of the packs */
    ms_heal(s);
    ms_fault(s, MS_PUT_END, "indexes/", 0, 0, BAKE_E_IO);
    assert_int_equal(try_open(f, 0), BAKE_E_IO);
    assert_int_equal(s->calls[MS_PUT_END], 1);
}

/* The index objects cannot be read when another place is looked for: nothing gets worse. */
static void distrust_without_sink(void **state)
{
    struct fix *f = *state;
    struct memsink *s = &f->k.ms[0];
    struct bk_index_pack pack;
    struct bk_loc loc;
    bk_id id = rk_id(3);

    for (int broken = 1; broken >= 0; broken--) {
        open_anew(f);
        make_packs(f, 0, 10, 10);
        make_packs(f, 0, 20, 20);
        save(f);
        assert_int_equal(bk_index_find(f->x, &id, false, &loc, &pack, &f->err), 0);
        if (broken)
            ms_fault(s, MS_GET_BEGIN, NULL, 0, 0, BAKE_E_IO);
        bk_index_distrust(f->x, &pack.id);
        id = rk_id(3);
        assert_int_equal(bk_index_find(f->x, &id, false, &loc, &pack, &f->err), 0);
        assert_int_equal(pack.counts, !broken);
        ms_heal(s);
        id = rk_id(15);
        assert_int_equal(bk_index_find(f->x, &id, false, &loc, &pack, &f->err), 0);
        assert_int_equal(pack.counts, !broken); /* else it is in the first round's packs too */
        id = rk_id(3);
    }
    (void)bk_index_claim(f->x, &id, &f->err);
    save(f);
    open_index(f); /* it counts again: found out anew, with all places */
    must_have(f, 0, 20);
}

/* No file can be written, neither in the cache nor elsewhere: memory serves. */
static void no_room(void **state)
{
    struct fix *f = *state;
    struct rlimit before, none = {0, 0};
    uint64_t each = 4096, packs = 40;

    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    none.rlim_max = before.rlim_max;
    (void)signal(SIGXFSZ, SIG_IGN);
    open_index(f);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    for (uint64_t p = 0; p < packs; p++)
        add_unreal(f, p, p * each, each);
    assert_int_equal(f->x->n_runs, 0);
    assert_true(f->x->table.n > 2 * BK_INDEX_SPILL);
    for (uint64_t i = 0; i < packs * each; i += 31)
        find_in(f, i, i / each);
    assert_int_equal(bk_index_save(f->x, &f->err), BAKE_E_NOSPACE);
    find_in(f, 5, 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    save(f);
    assert_int_equal(f->x->n_runs, 1);
    assert_int_equal(f->x->table.n, 0);
    find_in(f, 5, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {T(condemned),
                                       T(condemned_unreadable),
                                       T(made_anew_if_need_be),
                                       T(worse_and_younger),
                                       T(better_stays_in_table),
                                       T(lying_object),
                                       T(reader),
                                       T(reader_beside_writer),
                                       T(replaced_meanwhile),
                                       T(adopts_many),
                                       T(distrust_without_sink),
                                       T(no_room)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
