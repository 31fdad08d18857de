/* store/moves: where packs went, for which backups. */
#include "storekit.h"

#include "repokit.h"
#include "store/condemned.h"
#include "store/moves.h"

struct fix {
    struct kit k;
    struct bk_sink *sink;
    struct bk_manifest *a, *b;
    struct bk_moves moves;
};

static int by_bytes(const void *x, const void *y) { return memcmp(x, y, sizeof(bk_id)); }

/* A backup whose list holds the packs of these numbers. */
static struct bk_manifest *backup(struct fix *f, const char *id, int64_t start,
                                  const unsigned *numbers, size_t n)
{
    struct bk_manifest *m = kit_manifest(id, "nightly", "host", start, 0);
    char *name = bk_backup_object(id, BK_PACKS_NAME);
    struct bk_buf text = BK_BUF_INIT;
    bk_id ids[16];

    for (size_t i = 0; i < n; i++)
        ids[i] = rk_id(numbers[i]);
    qsort(ids, n, sizeof(*ids), by_bytes);
    assert_int_equal(bk_packlist_write(ids, n, &text, &f->k.err), 0);
    assert_int_equal(bk_sha256_hex_of(text.data, text.len, m->packs_sha256), 0);
    m->packs_size = text.len;
    m->n_packs = n;
    ms_set(&f->k.ms[0], name, text.data, text.len);
    bk_buf_free(&text);
    free(name);
    return m;
}

static int setup(void **state)
{
    static const unsigned of_a[] = {1, 2, 3}, of_b[] = {1, 9};
    struct fix *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    kit_init(&f->k, 2, 0);
    kit_must_open(&f->k);
    f->sink = &f->k.store->sinks[0];
    f->a = backup(f, "a", 1762344000123456789, of_a, 3);
    f->b = backup(f, "b", 1762344000000000000, of_b, 2);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fix *f = *state;

    bk_moves_release(&f->moves);
    bk_manifest_free(f->a);
    bk_manifest_free(f->b);
    kit_release(&f->k);
    free(f);
    return 0;
}

static void move(struct fix *f, const struct bk_manifest *b, unsigned from, const unsigned *to,
                 size_t n)
{
    struct bk_moved m = {.name = NULL};
    bk_id right[8], left = rk_id(from);

    for (size_t i = 0; i < n; i++)
        right[i] = rk_id(to[i]);
    assert_int_equal(bk_moved_add_backup(&m, b), 0);
    assert_int_equal(bk_moved_add(&m, &left, right, n), 0);
    assert_int_equal(bk_moved_put(f->k.store, &m, &f->k.err), 0);
    bk_moved_release(&m);
}

static void load(struct fix *f)
{
    bk_moves_release(&f->moves);
    assert_int_equal(bk_moves_load(f->sink, &f->moves, &f->k.err), 0);
}

static void needs(struct fix *f, const struct bk_manifest *b, const unsigned *numbers, size_t n)
{
    bk_id *got, want[16];
    size_t n_got;

    for (size_t i = 0; i < n; i++)
        want[i] = rk_id(numbers[i]);
    qsort(want, n, sizeof(*want), by_bytes);
    assert_int_equal(bk_packs_needed(f->sink, &f->moves, b, &got, &n_got, &f->k.err), 0);
    assert_int_equal(n_got, n);
    if (n > 0)
        assert_memory_equal(got, want, n * sizeof(*want));
    free(got);
}

#define NEEDS(f, b, ...)                                                                           \
    do {                                                                                           \
        const unsigned list_[] = {__VA_ARGS__};                                                    \
        needs(f, b, list_, sizeof(list_) / sizeof(*list_));                                        \
    } while (0)
#define MOVE(f, b, from, ...)                                                                      \
    do {                                                                                           \
        const unsigned list_[] = {__VA_ARGS__};                                                    \
        move(f, b, from, list_, sizeof(list_) / sizeof(*list_));                                   \
    } while (0)

static void for_the_named(void **state)
{
    struct fix *f = *state;
    bk_id one = rk_id(1), two = rk_id(2);

    load(f);
    NEEDS(f, f->a, 1, 2, 3);
    MOVE(f, f->a, 1, 4, 5);
    load(f);
    NEEDS(f, f->a, 2, 3, 4, 5);
    NEEDS(f, f->b, 1, 9);
    assert_true(bk_moves_left(&f->moves, &one));
    assert_false(bk_moves_left(&f->moves, &two));
    assert_true(bk_moved_names(&f->moves.items[0], f->a));
    assert_false(bk_moved_names(&f->moves.items[0], f->b));
    f->a->start_ns++; /* another backup that was given its id */
    assert_false(bk_moved_names(&f->moves.items[0], f->a));
    NEEDS(f, f->a, 1, 2, 3);
    assert_int_equal(ms_count(&f->k.ms[1], "moved/"), 1); /* every sink has it */
}

static void again_and_again(void **state)
{
    struct fix *f = *state;

    MOVE(f, f->a, 1, 4);
    MOVE(f, f->a, 4, 5, 2);
    MOVE(f, f->b, 5, 6); /* not for a */
    move(f, f->a, 3, NULL, 0);
    load(f);
    NEEDS(f, f->a, 2, 5);
    MOVE(f, f->a, 1, 7); /* moved by two: it may be in either */
    load(f);
    NEEDS(f, f->a, 2, 5, 7);
    MOVE(f, f->a, 7, 1); /* a circle ends */
    load(f);
    NEEDS(f, f->a, 2, 5);
}

/* Objects may be written by others, without what only we put there. */
static void of_others(void **state)
{
    struct fix *f = *state;
    struct bk_buf text = BK_BUF_INIT;
    json_t *j = json_pack("{s:[s], s:{}}", "backups", "a", "moves");

    assert_int_equal(bk_json_seal(j, &text, &f->k.err), 0);
    ms_set(&f->k.ms[0], "moved/00", text.data, text.len);
    load(f);
    assert_true(bk_moved_names(&f->moves.items[0], f->a));
    NEEDS(f, f->a, 1, 2, 3);
    bk_buf_free(&text);
    json_decref(j);
}

static void sealed(struct fix *f, const char *name, const char *json)
{
    struct bk_buf text = BK_BUF_INIT;
    json_t *j = json_loads(json, 0, NULL);

    assert_non_null(j);
    assert_int_equal(bk_json_seal(j, &text, &f->k.err), 0);
    ms_set(&f->k.ms[0], name, text.data, text.len);
    bk_buf_free(&text);
    json_decref(j);
}

static void damaged(void **state)
{
    static const char *const bad[] = {
        "{}",
        "{\"backups\": [\"a\"]}",
        "{\"backups\": 1, \"moves\": {}}",
        "{\"backups\": [1], \"moves\": {}}",
        "{\"backups\": [\"a\"], \"starts\": [], \"moves\": {}}",
        "{\"backups\": [\"a\"], \"starts\": [\"soon\"], \"moves\": {}}",
        "{\"backups\": [\"a\"], \"moves\": {\"12\": []}}",
        "{\"backups\": [], \"moves\": "
        "{\"0000000000000000000000000000000000000000000000000000000000000000\": 1}}",
        "{\"backups\": [], \"moves\": "
        "{\"0000000000000000000000000000000000000000000000000000000000000000\": [\"x\"]}}",
    };
    struct fix *f = *state;

    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        sealed(f, "moved/x", bad[i]);
        assert_int_equal(bk_moves_load(f->sink, &f->moves, &f->k.err), BAKE_E_CORRUPT);
        assert_int_equal(f->moves.n, 0);
    }
    ms_set(&f->k.ms[0], "moved/x", "{}", 2);
    assert_int_equal(bk_moves_load(f->sink, &f->moves, &f->k.err), BAKE_E_CORRUPT);
    ms_drop(&f->k.ms[0], "moved/x");
    ms_fault(&f->k.ms[0], MS_LIST, "moved/", 0, 0, BAKE_E_AUTH);
    assert_int_equal(bk_moves_load(f->sink, &f->moves, &f->k.err), BAKE_E_AUTH);
}

/* ---- gc/ ------------------------------------------------------------------------------------- */

static void condemned(void **state)
{
    struct fix *f = *state;
    struct bk_condemned_list l = {.n = 0}, again;
    struct bk_strv writers = {0};
    bk_id packs[2] = {rk_id(1), rk_id(2)};

    assert_int_equal(bk_strv_add(&writers, "w"), 0);
    assert_int_equal(bk_condemn(f->sink, 0, packs, 2, &writers, &l, &f->k.err), 0);
    ms_set(&f->k.ms[0], "gc/lease", "x", 1);
    ms_set(&f->k.ms[0], "gc/condemned-short", "x", 1);
    ms_set(&f->k.ms[0], "gc/writers-0123456789abcdef", "x", 1);
    assert_int_equal(bk_condemned_load(f->sink, &again, &f->k.err), 0);
    assert_int_equal(again.n, 1);
    assert_int_equal(again.items[0].n, 2);
    assert_memory_equal(again.items[0].packs, packs, sizeof(packs));
    assert_false(again.items[0].has_writers || again.items[0].damaged);
    assert_int_equal(again.loose.n, 1);
    bk_condemned_release(&again);
    assert_int_equal(bk_condemned_put_writers(f->sink, &l.items[0], &writers, &f->k.err), 0);
    assert_int_equal(bk_condemned_load(f->sink, &again, &f->k.err), 0);
    assert_true(again.items[0].has_writers);
    assert_string_equal(again.items[0].writers.items[0], "w");
    assert_int_equal(bk_condemned_remove(f->sink, &again.items[0], &f->k.err), 0);
    assert_int_equal(bk_condemned_remove(f->sink, &again.items[0], &f->k.err), 0);
    bk_condemned_release(&again);
    assert_int_equal(bk_condemned_load(f->sink, &again, &f->k.err), 0);
    assert_int_equal(again.n, 0);
    bk_condemned_release(&again);
    bk_condemned_release(&l);
    bk_strv_free(&writers);
}

static void condemned_damage(void **state)
{
    struct fix *f = *state;
    struct bk_condemned_list l;

    sealed(f, "gc/condemned-0000000000000000", "{\"packs\": [\"zz\"]}");
    sealed(f, "gc/condemned-0000000000000001", "{\"packs\": []}");
    sealed(f, "gc/writers-0000000000000001", "{\"writers\": [5]}");
    assert_int_equal(bk_condemned_load(f->sink, &l, &f->k.err), 0);
    assert_int_equal(l.n, 2);
    for (size_t i = 0; i < l.n; i++) {
        assert_int_equal(l.items[i].damaged, bk_ends(l.items[i].key, "0"));
        assert_false(l.items[i].has_writers);
    }
    bk_condemned_release(&l);
    ms_fault(&f->k.ms[0], MS_GET_BEGIN, "condemned", 0, 0, BAKE_E_AUTH);
    assert_int_equal(bk_condemned_load(f->sink, &l, &f->k.err), BAKE_E_AUTH);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(for_the_named), TEST(again_and_again), TEST(of_others),
        TEST(damaged),       TEST(condemned),       TEST(condemned_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
