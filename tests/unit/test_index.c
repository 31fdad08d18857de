/* store/index: what is stored, and that a cache that is gone, stale or damaged changes no answer.
 */
#include "indexkit.h"

static void claims(void **state)
{
    struct fix *f = *state;
    struct bk_index_pack pack;
    struct bk_loc loc;
    bk_id id = rk_id(5), *used;
    size_t n;

    open_index(f);
    assert_int_equal(bk_index_claim(f->x, &id, &f->err), BAKE_END);
    assert_int_equal(bk_index_claim(f->x, &id, &f->err), BAKE_OK); /* coming */
    assert_int_equal(bk_index_find(f->x, &id, true, &loc, &pack, &f->err), BAKE_E_NOTFOUND);
    make_packs(f, 0, 10, 10);
    must_have(f, 0, 10);
    assert_int_equal(bk_index_claim(f->x, &id, &f->err), BAKE_OK);
    assert_int_equal(bk_index_count(f->x), 10);
    save(f);
    open_index(f);
    assert_int_equal(bk_index_used(f->x, &used, &n, &f->err), 0);
    assert_int_equal(n, 0);
    free(used);
    assert_int_equal(bk_index_claim(f->x, &id, &f->err), BAKE_OK);
    assert_int_equal(bk_index_used(f->x, &used, &n, &f->err), 0);
    assert_int_equal(n, 1);
    free(used);
    make_packs(f, 10, 40, 10);
    assert_int_equal(bk_index_used(f->x, &used, &n, &f->err), 0);
    assert_int_equal(n, 4);
    for (size_t i = 1; i < n; i++)
        assert_true(memcmp(&used[i - 1], &used[i], sizeof(*used)) < 0);
    free(used);
}

/* Chunks on their way when the process ends are not there. */
static void coming_is_forgotten(void **state)
{
    struct fix *f = *state;
    bk_id id = rk_id(77);

    open_index(f);
    make_packs(f, 0, 10, 10);
    assert_int_equal(bk_index_claim(f->x, &id, &f->err), BAKE_END);
    save(f);
    assert_int_equal(bk_index_claim(f->x, &id, &f->err), BAKE_OK);
    open_index(f);
    assert_int_equal(bk_index_claim(f->x, &id, &f->err), BAKE_END);
}

/* From the cache alone no object of the store is read. */
static void from_cache(void **state)
{
    struct fix *f = *state;

    open_index(f);
    make_packs(f, 0, 500, 50);
    save(f);
    assert_int_equal(ms_count(&f->k.ms[0], "indexes/"), 1);
    ms_heal(&f->k.ms[0]);
    open_index(f);
    must_have(f, 0, 500);
    must_lack(f, 500, 600);
    assert_int_equal(f->k.ms[0].calls[MS_GET_BEGIN], 0);
    make_packs(f, 500, 600, 50); /* and on from there */
    save(f);
    open_index(f);
    must_have(f, 0, 600);
}

static void flip(const char *path, long every)
{
    FILE *file = fopen(path, "r+");
    long size;

    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    size = ftell(file);
    for (long at = every; at < size; at += every) {
        int c;

        assert_int_equal(fseek(file, at, SEEK_SET), 0);
        c = fgetc(file);
        assert_int_equal(fseek(file, at, SEEK_SET), 0);
        assert_int_equal(fputc(c ^ 1, file), c ^ 1);
    }
    assert_int_equal(fclose(file), 0);
}

static void damage_state(const char *path)
{
    if (strstr(path, "state.json"))
        flip(path, 20);
}
static void damage_packs(const char *path)
{
    if (strstr(path, "/packs"))
        flip(path, 50);
}
static void damage_run(const char *path)
{
    if (strstr(path, "/run-"))
        flip(path, 9);
}
/* Its blocks alone: seen only when one is read. */
static void damage_block(const char *path)
{
    int fd;

    if (!strstr(path, "/run-"))
        return;
    fd = open(path, O_WRONLY);
    assert_int_equal(pwrite(fd, "damage", 6, 100), 6);
    assert_int_equal(pwrite(fd, "damage", 6, 4096 + 100), 6);
    assert_int_equal(close(fd), 0);
}
static void cut(const char *path)
{
    if (!strstr(path, "/lock"))
        assert_int_equal(truncate(path, 50), 0);
}
static void erase_run(const char *path)
{
    if (strstr(path, "/run-"))
        erase(path);
}

static void damaged_cache(void **state)
{
    static void (*const ways[])(const char *path) = {
        erase, damage_state, damage_packs, damage_run, cut, erase_run, damage_block, damage_block};
    struct fix *f = *state;

    open_index(f);
    make_packs(f, 0, 300, 50);
    save(f);
    make_packs(f, 300, 600, 50);
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        save(f);
        bk_index_free(f->x);
        f->x = NULL;
        assert_true(each_file(f, ways[i]) >= 4);
        if (i % 2) { /* without index objects too */
            struct memsink *s = &f->k.ms[0];

            for (size_t k = s->n; k-- > 0;)
                if (strncmp(s->objects[k].name, "indexes/", 8) == 0)
                    ms_drop(s, s->objects[k].name);
        }
        open_index(f);
        must_have(f, 0, 600);
        must_lack(f, 600, 700);
        if (i % 2)
            make_packs(f, 10000 + i * 10, 10000 + i * 10 + 5, 5);
    }
}

/* A damaged block while nothing can be read: what was known is stored once more, and no chunk is
 * said not to exist. */
static void damage_and_no_sink(void **state)
{
    struct fix *f = *state;
    struct bk_index_pack pack;
    struct bk_loc loc;
    bk_id id = rk_id(3);

    open_index(f);
    make_packs(f, 0, 100, 50);
    save(f);
    bk_index_free(f->x);
    f->x = NULL;
    (void)each_file(f, damage_block);
    open_index(f);
    ms_fault(&f->k.ms[0], MS_GET_BEGIN, NULL, 0, 0, BAKE_E_IO);
    for (uint64_t i = 0; i < 100; i++) {
        int rc;

        id = rk_id(i);
        rc = bk_index_find(f->x, &id, false, &loc, &pack, &f->err);
        assert_int_equal(rc, BAKE_E_IO);
    }
    assert_int_equal(bk_index_claim(f->x, &id, &f->err), BAKE_END);
    ms_heal(&f->k.ms[0]);
    (void)bk_index_save(f->x, &f->err); /* nothing half is kept */
    open_index(f);
    must_have(f, 0, 100);
}

static void no_cache(void **state)
{
    struct fix *f = *state;
    char path[100];
    int fd;

    (void)snprintf(path, sizeof(path), "%s/file", f->dir);
    fd = open(path, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
    assert_int_equal(setenv("BAKENGINE_CACHE_DIR", path, 1), 0); /* cannot be made */
    open_index(f);
    make_packs(f, 0, 100, 20);
    save(f);
    must_have(f, 0, 100);
    open_index(f);
    must_have(f, 0, 100);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(setenv("BAKENGINE_CACHE_DIR", f->dir, 1), 0);
}

/* Two at once: the second only reads the cache, and harms nothing of it. */
static void second_process(void **state)
{
    struct fix *f = *state;
    struct bk_index *first;
    size_t files;

    open_index(f);
    make_packs(f, 0, 100, 20);
    save(f);
    first = f->x;
    f->x = NULL;
    files = each_file(f, NULL);
    open_index(f);
    must_have(f, 0, 100);
    make_packs(f, 100, 200, 20);
    save(f);
    must_have(f, 0, 200);
    assert_int_equal(each_file(f, NULL), files);
    bk_index_free(f->x);
    f->x = first;
    must_have(f, 0, 100);
    make_packs(f, 200, 300, 20);
    save(f);
    open_index(f);
    must_have(f, 0, 300);
}

/* Gone, of another size, bad: its chunks do not count, and are stored once more; the same whether
 * the cache is there or not, and after it is back. */
static void lost_packs(void **state)
{
    struct fix *f = *state;
    struct memsink *s = &f->k.ms[0];
    char name[BK_PACK_NAME_CAP], bad[80];

    open_index(f);
    make_packs(f, 0, 40, 10);
    save(f);
    pack_of(f, 0, name);
    ms_drop(s, name);
    pack_of(f, 10, name);
    ms_set(s, name, "short", 5);
    pack_of(f, 20, name);
    (void)snprintf(bad, sizeof(bad), "bad/%s", name + 9);
    ms_set(s, bad, "", 0);
    for (int round = 0; round < 2; round++) {
        open_index(f);
        must_lack(f, 0, 20);
        must_read(f, 20, 30);
        must_have(f, 30, 40);
        bk_index_free(f->x);
        f->x = NULL;
        (void)each_file(f, erase);
    }
    open_index(f);
    for (uint64_t i = 0; i < 30; i++) {
        bk_id id = rk_id(i);

        assert_int_equal(bk_index_claim(f->x, &id, &f->err), BAKE_END);
    }
    make_packs(f, 0, 10, 10);
    make_packs(f, 10, 12, 2);
    make_packs(f, 12, 30, 6);
    must_have(f, 0, 40);
    save(f);
    for (int round = 0; round < 3; round++) {
        open_index(f);
        must_have(f, 0, 40);
        if (round == 1)
            save(f);
        bk_index_free(f->x);
        f->x = NULL;
        if (round == 0)
            (void)each_file(f, erase);
    }
}

/* The same chunk in two packs: whichever is lost, the other is found. */
static void twice(void **state)
{
    struct fix *f = *state;
    struct memsink *s = &f->k.ms[0];

    for (int which = 0; which < 2; which++) {
        char name[2][BK_PACK_NAME_CAP], bad[80];
        uint64_t at = (uint64_t)which * 100;

        open_index(f);
        make_packs(f, at, at + 10, 10);
        pack_of(f, at, name[0]);
        save(f);
        make_packs(f, at, at + 20, 20);
        pack_of(f, at, name[1]);
        assert_string_not_equal(name[0], name[1]);
        save(f);
        (void)snprintf(bad, sizeof(bad), "bad/%s", name[which] + 9);
        ms_set(s, bad, "", 0);
        open_index(f);
        must_have(f, at, at + 10);
        bk_index_free(f->x);
        f->x = NULL;
        (void)each_file(f, erase);
        open_index(f);
        must_have(f, at, at + 10);
        ms_drop(s, bad); /* it counts again */
        open_index(f);
        must_have(f, at, at + 20);
    }
}

/* Of a run that was killed: no index object says anything of them. */
static void adopted(void **state)
{
    struct fix *f = *state;

    make_packs(f, 0, 100, 20);
    ms_set(&f->k.ms[0], "packs/zz/no-pack", "x", 1);
    open_index(f);
    must_have(f, 0, 100);
    save(f);
    assert_int_equal(ms_count(&f->k.ms[0], "indexes/"), 1);
    ms_heal(&f->k.ms[0]);
    open_index(f);
    must_have(f, 0, 100);
    assert_int_equal(f->k.ms[0].calls[MS_GET_BEGIN], 0);
}

/* A prune replaces the index objects: what they no longer say is forgotten. */
static void replaced(void **state)
{
    struct fix *f = *state;
    struct memsink *s = &f->k.ms[0];
    char first[BK_PACK_NAME_CAP];

    open_index(f);
    make_packs(f, 0, 20, 10);
    pack_of(f, 0, first);
    save(f);
    for (size_t k = s->n; k-- > 0;)
        if (strncmp(s->objects[k].name, "indexes/", 8) == 0)
            ms_drop(s, s->objects[k].name);
    ms_drop(s, first);
    open_index(f);
    must_lack(f, 0, 10);
    must_have(f, 10, 20);
    save(f);
    assert_int_equal(ms_count(s, "indexes/"), 1);
}

/* An index object or pack that is damaged: said, and the packs' own tables serve. */
static void damaged_objects(void **state)
{
    struct fix *f = *state;
    struct memsink *s = &f->k.ms[0];

    open_index(f);
    make_packs(f, 0, 50, 10);
    save(f);
    for (size_t k = 0; k < s->n; k++)
        if (strncmp(s->objects[k].name, "indexes/", 8) == 0)
            s->objects[k].data[s->objects[k].n / 2] ^= 1;
    bk_index_free(f->x);
    f->x = NULL;
    (void)each_file(f, erase);
    open_index(f);
    must_have(f, 0, 50);
    for (size_t k = 0; k < s->n; k++) /* the chunk tables too */
        if (strncmp(s->objects[k].name, "packs/", 6) == 0)
            s->objects[k].data[s->objects[k].n - 1] ^= 1;
    open_index(f);
    must_lack(f, 0, 50);
}

/* More than memory is to hold: runs, and merges of runs; ids that stand in several. */
static void spills(void **state)
{
    struct fix *f = *state;
    struct bk_index_pack pack;
    struct bk_loc loc;
    uint64_t each = 4096, packs = 140;

    open_index(f);
    for (uint64_t p = 0; p < packs; p++)
        add_unreal(f, p, p * (each - 100), each); /* a hundred are in the next as well */
    assert_true(f->x->n_runs >= 1);
    for (uint64_t p = packs; p < packs + 30; p++) { /* many small runs, each larger than the next */
        add_unreal(f, p, p * each, 2000 - p * 10);
        assert_int_equal(bk_index_spill(f->x, true, &f->err), 0);
        assert_true(f->x->n_runs < BK_INDEX_MAX_RUNS);
    }
    for (uint64_t i = 0; i < packs * (each - 100); i += 97) {
        bk_id id = rk_id(i);

        assert_int_equal(bk_index_find(f->x, &id, false, &loc, &pack, &f->err), 0);
        assert_int_equal(loc.length, length_of(i));
        id = rk_id(UINT64_MAX - i / (each - 100));
        assert_true(bk_id_eq(&pack.id, &id));
    }
    must_lack(f, 3000000, 3001000);
}

/* Runs that shrink by more than half each time: there are never more than there is room for. */
static void shrinking_runs(void **state)
{
    struct fix *f = *state;
    uint64_t n = 1u << 14, from = 0;

    open_index(f);
    for (uint64_t p = 0; p<30; p++, n = n> 1 ? n / 3 + 1 : 1) {
        add_unreal(f, p, from, n);
        from += n;
        assert_int_equal(bk_index_spill(f->x, true, &f->err), 0);
        assert_true(f->x->n_runs < BK_INDEX_MAX_RUNS);
    }
    assert_int_equal(bk_index_count(f->x), from);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {T(claims),     T(coming_is_forgotten),
                                       T(from_cache), T(damaged_cache),
                                       T(no_cache),   T(damage_and_no_sink),
                                       T(lost_packs), T(second_process),
                                       T(twice),      T(adopted),
                                       T(replaced),   T(damaged_objects),
                                       T(spills),     T(shrinking_runs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
