/* run/sweep_rewrite: packs that are mostly dead or small become new ones; every backup stays as it
 * was, whoever wrote, pruned or was killed meanwhile. */
#include "sweepkit.h"

#include "store/moves.h"

static struct ms_object *largest_pack(struct fix *f)
{
    struct ms_object *best = NULL;

    for (size_t i = 0; i < f->k.ms[0].n; i++)
        if (bk_starts(f->k.ms[0].objects[i].name, "packs/") &&
            (!best || f->k.ms[0].objects[i].n > best->n))
            best = &f->k.ms[0].objects[i];
    assert_non_null(best);
    return best;
}

static void mostly_dead(void **state)
{
    struct fix *f = *state;
    struct made *a = sk_backup(f, "a", 0, 80);
    uint64_t before = 0, after = 0;

    sk_backup(f, "b", 0, 8);
    sk_drop(f, a, 0);
    sk_drop(f, a, 1);
    for (size_t i = 0; i < f->k.ms[0].n; i++)
        before += f->k.ms[0].objects[i].n;
    sk_must(f, sk_prune(f, true)); /* no grace for what was moved */
    assert_true(f->swept.rewritten > 0 && f->swept.removed >= f->swept.rewritten);
    for (size_t i = 0; i < f->k.ms[0].n; i++)
        after += f->k.ms[0].objects[i].n;
    assert_true(after < before / 4);
    assert_int_equal(sk_count(f, "moved/"), 1);
    assert_int_equal(ms_count(&f->k.ms[1], "moved/"), 1);
    assert_int_equal(ms_count(&f->k.ms[1], "packs/"), sk_count(f, "packs/"));
    assert_int_equal(sk_count(f, "gc/"), 0);
    sk_check(f);
    sk_must(f, sk_prune(f, true));
    assert_int_equal(f->swept.rewritten, 0);
    sk_check(f);
}

/* Moved, and moved again; and the objects that say so go with their backups. */
static void moved_twice(void **state)
{
    struct fix *f = *state;
    struct made *a = sk_backup(f, "a", 0, 90), *b = sk_backup(f, "b", 0, 40),
                *c = sk_backup(f, "c", 0, 8);

    sk_drop(f, a, 0);
    sk_must(f, sk_prune(f, true));
    assert_true(f->swept.rewritten > 0);
    sk_check(f);
    sk_drop(f, b, 0);
    sk_must(f, sk_prune(f, true));
    assert_true(f->swept.rewritten > 0);
    assert_int_equal(sk_count(f, "moved/"), 2);
    sk_check(f);
    sk_must(f, sk_prune(f, true)); /* nothing is lost by looking once more */
    sk_check(f);
    sk_drop(f, c, 0);
    sk_age(f, GRACE);
    sk_must(f, sk_prune(f, true));
    assert_int_equal(sk_count(f, "packs/"), 0);
    assert_int_equal(sk_count(f, "moved/"), 0);
}

static void small_packs(void **state)
{
    struct fix *f = *state;
    size_t packs;

    for (unsigned i = 0; i < BK_REWRITE_MANY - 1; i++) {
        char id[16];

        (void)snprintf(id, sizeof(id), "b%u", i);
        sk_backup(f, id, i, i + 1);
    }
    packs = sk_count(f, "packs/");
    sk_must(f, sk_prune(f, true));
    assert_int_equal(sk_count(f, "packs/"), packs); /* not many enough */
    sk_backup(f, "last", 50, 51);
    sk_must(f, sk_prune(f, true));
    assert_int_equal(f->swept.rewritten, packs + 2);
    assert_int_equal(sk_count(f, "packs/"), 2);
    sk_check(f);
    sk_must(f, sk_prune(f, true));
    assert_int_equal(f->swept.rewritten, 0);
    /* and what is in them is found again */
    sk_backup(f, "again", 0, BK_REWRITE_MANY - 1);
    assert_true(sk_count(f, "packs/") <= 4); /* its cuts and metadata alone are new */
    assert_true(largest_pack(f)->n > BK_REWRITE_MANY * SK_PIECE);
    sk_check(f);
}

/* One that began before relies upon packs that are moved under it. */
static void writer_meanwhile(void **state)
{
    struct fix *f = *state;
    struct made *a = sk_backup(f, "a", 0, 80), *b = sk_backup(f, "b", 0, 8), *w;
    struct bk_store *other;
    size_t packs;

    ms_set(&f->k.ms[0], "writers/w", "x", 1);
    sk_must(f, bk_store_open(&f->k.pipeline, NULL, f->k.cancel, BK_STORE_WRITE, NULL, &other,
                             &f->k.err));
    w = sk_write_backup(f, other, "w", 0, 70);
    sk_drop(f, a, 0);
    packs = sk_count(f, "packs/");
    sk_must(f, sk_prune(f, true));
    assert_true(f->swept.rewritten > 0 && f->swept.condemned > 0 && f->swept.removed == 0);
    assert_true(sk_count(f, "packs/") > packs);
    sk_commit(f, other, w);
    bk_store_close(other);
    ms_drop(&f->k.ms[0], "writers/w");
    sk_must(f, sk_prune(f, false));
    sk_check(f);
    sk_drop(f, b, 0); /* moved/ names it: w needs the old pack all the same */
    sk_age(f, GRACE);
    sk_must(f, sk_prune(f, false));
    sk_check(f);
    sk_must(f, sk_prune(f, true));
    sk_check(f);
    assert_int_equal(sk_count(f, "gc/"), 0);
}

/* An id that is given again is another backup: what was moved was not moved for it. */
static void id_given_again(void **state)
{
    struct fix *f = *state;
    struct made *a = sk_backup(f, "a", 0, 80), *b = sk_backup(f, "b", 0, 8), *w;
    struct bk_store *other;

    sk_backup(f, "c", 0, 4);
    ms_set(&f->k.ms[0], "writers/b", "x", 1);
    sk_must(f, bk_store_open(&f->k.pipeline, NULL, f->k.cancel, BK_STORE_WRITE, NULL, &other,
                             &f->k.err));
    sk_drop(f, a, 0);
    sk_must(f, sk_prune(f, true)); /* moves what b and c need */
    assert_true(f->swept.rewritten > 0);
    sk_drop(f, b, 0);
    w = sk_write_backup(f, other, "b", 0, 70);
    sk_commit(f, other, w);
    bk_store_close(other);
    ms_drop(&f->k.ms[0], "writers/b");
    b->gone = false; /* by that name */
    bk_manifest_free(b->manifest);
    *b = *w;
    f->n_made--;
    sk_age(f, GRACE);
    sk_must(f, sk_prune(f, false));
    sk_check(f);
}

/* Takes every pack away, or puts them back. */
static void hide_packs(struct fix *f, struct memsink *hidden)
{
    struct memsink *s = &f->k.ms[0];

    for (size_t i = s->n; i-- > 0;) {
        struct ms_object *o = &s->objects[i];

        if (bk_starts(o->name, "packs/")) {
            ms_set(hidden, o->name, o->data, o->n);
            ms_drop(s, o->name);
        }
    }
}

static void show_packs(struct fix *f, const struct memsink *hidden)
{
    for (size_t i = 0; i < hidden->n; i++)
        ms_set(&f->k.ms[0], hidden->objects[i].name, hidden->objects[i].data, hidden->objects[i].n);
}

/* Two runs stored the same at the same time: one copy is enough, and that stays so. */
static void stored_twice(void **state)
{
    struct fix *f = *state;
    struct memsink hidden;
    struct made *a, *b;
    struct bk_store *other;
    size_t packs;

    sk_must(f, bk_store_open(&f->k.pipeline, NULL, f->k.cancel, BK_STORE_WRITE, NULL, &other,
                             &f->k.err));
    ms_init(&hidden);
    a = sk_write_backup(f, f->k.store, "a", 0, 70);
    hide_packs(f, &hidden); /* as if b had begun before a stored anything */
    b = sk_write_backup(f, other, "b", 0, 70);
    show_packs(f, &hidden);
    ms_release(&hidden);
    sk_commit(f, f->k.store, a);
    sk_commit(f, other, b);
    bk_store_close(other);
    packs = sk_count(f, "packs/");
    sk_check(f);
    sk_must(f, sk_prune(f, true));
    assert_true(f->swept.removed > 0);
    assert_true(sk_count(f, "packs/") <= packs / 2 + 1);
    sk_check(f);
    sk_must(f, sk_prune(f, true));
    assert_int_equal(f->swept.rewritten, 0);
    sk_drop(f, a, 0);
    sk_age(f, GRACE);
    sk_must(f, sk_prune(f, true));
    sk_check(f);
}

/* ---- damage ---------------------------------------------------------------------------------- */

static void damaged_pack(void **state)
{
    struct fix *f = *state;
    struct made *a = sk_backup(f, "a", 0, 80);
    struct ms_object *o;
    char name[80], bad[80];

    sk_backup(f, "b", 0, 8);
    sk_drop(f, a, 0);
    o = largest_pack(f);
    o->data[o->n * 3 / 4] ^= 1; /* in what b does not need */
    (void)snprintf(name, sizeof(name), "%s", o->name);
    (void)snprintf(bad, sizeof(bad), "bad/%s", o->name + 9);
    sk_must(f, sk_prune(f, true));
    assert_non_null(ms_find(&f->k.ms[0], name));
    assert_non_null(ms_find(&f->k.ms[0], bad));
    sk_check(f);
    sk_must(f, sk_prune(f, true)); /* nor is it tried again */
    assert_int_equal(f->swept.rewritten, 0);
}

static bool lists(struct fix *f, const char *id, const char *pack)
{
    char *name = bk_backup_object(id, BK_PACKS_NAME);
    const struct ms_object *o = ms_find(&f->k.ms[0], name);

    free(name);
    assert_non_null(o);
    return memmem(o->data, o->n, pack + 9, 64) != NULL;
}

/* The pack that only this backup has its records in. */
static void records_of(struct fix *f, const char *id, const char *other, char ret[80])
{
    size_t n = 0;

    for (size_t i = 0; i < f->k.ms[0].n; i++) {
        const struct ms_object *o = &f->k.ms[0].objects[i];

        if (bk_starts(o->name, "packs/") && lists(f, id, o->name) && !lists(f, other, o->name) &&
            o->data[16] == BK_PACK_META) {
            (void)snprintf(ret, 80, "%s", o->name);
            n++;
        }
    }
    assert_int_equal(n, 1);
}

/* What a damaged backup has is left to it; others are served. */
static void damaged_backup(void **state)
{
    struct fix *f = *state;
    struct made *a = sk_backup(f, "a", 0, 40), *b = sk_backup(f, "b", 0, 4);
    char records[80];

    records_of(f, "b", "a", records);
    ms_drop(&f->k.ms[0], records);
    sk_backup(f, "c", 50, 96);
    sk_backup(f, "d", 50, 54);
    sk_drop(f, a, 0);
    sk_drop(f, &f->made[2], 0);
    sk_must(f, sk_prune(f, true));
    assert_true(f->swept.rewritten > 0); /* of d */
    for (size_t i = 0; i < ms_find(&f->k.ms[0], "backups/b/packs")->n / 65; i++) {
        const char *line = ms_find(&f->k.ms[0], "backups/b/packs")->data + i * 65;
        char name[80];

        (void)snprintf(name, sizeof(name), "packs/%.2s/%.64s", line, line);
        assert_true(bk_streq(name, records) || ms_find(&f->k.ms[0], name)); /* all it still has */
    }
    sk_drop(f, b, 0);
    sk_check(f);
}

/* A backup that only a mirror has was not read: there its packs stay. */
static void mirror_alone(void **state)
{
    struct fix *f = *state;
    struct made *a = sk_backup(f, "a", 0, 80);

    sk_backup(f, "b", 0, 8);
    sk_drop(f, a, 0);
    sk_must(f, sk_prune(f, true));
    assert_true(f->swept.rewritten > 0);
    assert_true(ms_count(&f->k.ms[1], "packs/") > sk_count(f, "packs/"));
    sk_check(f);
    sk_drop(f, a, 1);
    sk_age(f, GRACE);
    sk_must(f, sk_prune(f, true));
    assert_int_equal(ms_count(&f->k.ms[1], "packs/"), sk_count(f, "packs/"));
    sk_check(f);
}

/* A sink that drops out: nothing is moved. */
static void sink_fails(void **state)
{
    struct fix *f = *state;
    struct made *a = sk_backup(f, "a", 0, 80);
    size_t packs;

    sk_backup(f, "b", 0, 8);
    sk_drop(f, a, 0);
    sk_drop(f, a, 1);
    packs = sk_count(f, "packs/");
    ms_fault(&f->k.ms[1], MS_PUT_END, "packs/", 0, 0, BAKE_E_NOSPACE);
    assert_int_equal(sk_prune(f, true), BAKE_E_NOSPACE);
    ms_heal(&f->k.ms[1]);
    assert_int_equal(sk_count(f, "moved/") + ms_count(&f->k.ms[1], "moved/"), 0);
    assert_true(sk_count(f, "packs/") >= packs);
    sk_check(f);
    sk_must(f, sk_prune(f, true));
    sk_check(f);
}

#define TEST(f)     cmocka_unit_test_setup_teardown(f, sk_setup_one, sk_teardown)
#define MIRRORED(f) cmocka_unit_test_setup_teardown(f, sk_setup_two, sk_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        MIRRORED(mostly_dead),  TEST(moved_twice),    TEST(small_packs),  TEST(writer_meanwhile),
        TEST(id_given_again),   TEST(stored_twice),   TEST(damaged_pack), TEST(damaged_backup),
        MIRRORED(mirror_alone), MIRRORED(sink_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
