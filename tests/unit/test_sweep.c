/* run/sweep: packs that no backup needs go, once they are old and every writer that may rely on
 * them has ended; nothing else ever does. */
#include "sweepkit.h"

#include "store/condemned.h"

static void unneeded_packs_go(void **state)
{
    struct fix *f = *state;
    struct made *a = sk_backup(f, "a", 0, 10);
    size_t packs;

    sk_backup(f, "b", 20, 30);
    packs = sk_count(f, "packs/");
    sk_drop(f, a, 0);
    sk_drop(f, a, 1);
    sk_must(f, sk_prune(f, false));
    assert_int_equal(sk_count(f, "packs/"), packs); /* too young */
    assert_int_equal(f->swept.removed + f->swept.condemned, 0);
    assert_true(f->swept.young > 0);
    sk_age(f, GRACE);
    sk_must(f, sk_prune(f, false));
    assert_true(f->swept.removed > 0 && f->swept.condemned == 0);
    assert_int_equal(sk_count(f, "packs/"), packs - f->swept.removed / 2);
    assert_int_equal(ms_count(&f->k.ms[1], "packs/"), sk_count(f, "packs/"));
    assert_int_equal(sk_count(f, "gc/"), 0);
    sk_check(f);
    sk_must(f, sk_prune(f, false));
    assert_int_equal(f->swept.removed, 0);
}

/* A pack is needed while any pipeline or host needs it, and in each sink by that sink's backups. */
static void each_sink_and_pipeline(void **state)
{
    struct fix *f = *state;
    struct made *a = sk_backup(f, "a", 0, 10), *c = sk_backup(f, "c", 40, 50);
    size_t packs = sk_count(f, "packs/");

    free(a->manifest->pipeline);
    a->manifest->pipeline = bk_strdup("another");
    kit_put_manifest(&f->k.ms[0], a->manifest);
    kit_put_manifest(&f->k.ms[1], a->manifest);
    sk_drop(f, c, 0); /* the mirror still has it */
    sk_age(f, GRACE);
    sk_must(f, sk_prune(f, false));
    assert_true(f->swept.removed > 0);
    assert_int_equal(sk_count(f, "packs/"), packs - f->swept.removed);
    assert_int_equal(ms_count(&f->k.ms[1], "packs/"), packs);
    sk_check(f);
}

static void dry_run(void **state)
{
    struct fix *f = *state;
    struct made *a = sk_backup(f, "a", 0, 10);
    struct bk_strv without = {0};
    struct bk_sweep *s;
    size_t n, rewritten;
    bool moved;

    sk_backup(f, "b", 0, 2);
    (void)a;
    ms_set(&f->k.ms[0], "writers/gone", "x", 1);
    sk_age(f, GRACE);
    for (size_t i = 0; i < f->k.ms[0].n; i++) /* then it is our clock that counts */
        f->k.ms[0].objects[i].mtime_ns = bk_now_ns() - 2 * GRACE;
    n = f->k.ms[0].n;
    assert_int_equal(bk_strv_add(&without, "a"), 0);
    ms_heal(&f->k.ms[0]);
    sk_must(f, bk_sweep_new(f->k.store, &f->k.store->sinks[0], NULL, &without, &s, &f->k.err));
    sk_must(f, bk_sweep_run(s, &f->k.err));
    sk_must(f, bk_sweep_rewrite(&s, 1, &moved, &f->k.err));
    sk_must(f, bk_sweep_clean(s, true, &f->k.err));
    assert_false(moved);
    f->swept = *bk_sweep_counts(s);
    bk_sweep_free(s);
    bk_strv_free(&without);
    assert_int_equal(f->k.ms[0].calls[MS_PUT_BEGIN], 0);
    assert_int_equal(f->k.ms[0].calls[MS_REMOVE], 0);
    assert_int_equal(f->k.ms[0].n, n);
    rewritten = f->swept.rewritten;
    assert_true(rewritten > 0 && f->swept.removed > 0);
    /* and what was said is what happens */
    n = f->swept.removed;
    sk_drop(f, a, 0);
    f->k.ms[0].clock_ns = bk_now_ns();
    sk_must(f, sk_prune(f, true));
    assert_int_equal(f->swept.removed, n);
    assert_int_equal(f->swept.rewritten, rewritten);
    sk_check(f);
}

/* ---- writers --------------------------------------------------------------------------------- */

static void live_writer(void **state)
{
    struct fix *f = *state;
    struct made *a = sk_backup(f, "a", 0, 10), *again;
    size_t packs = sk_count(f, "packs/");

    sk_drop(f, a, 0);
    sk_age(f, GRACE);
    ms_set(&f->k.ms[0], "writers/w", "x", 1);
    sk_must(f, sk_prune(f, false));
    assert_int_equal(f->swept.removed, 0);
    assert_int_equal(f->swept.condemned, packs);
    assert_int_equal(sk_count(f, "packs/"), packs);
    assert_int_equal(sk_count(f, "gc/condemned-"), 1);
    assert_int_equal(sk_count(f, "gc/writers-"), 1);
    /* nobody who begins now relies on them */
    ms_set(&f->k.ms[0], "writers/later", "x", 1);
    again = sk_backup(f, "again", 0, 10);
    assert_int_equal(sk_count(f, "packs/"), 2 * packs);
    /* nothing is condemned twice */
    sk_must(f, sk_prune(f, false));
    assert_int_equal(sk_count(f, "gc/condemned-"), 1);
    assert_int_equal(f->swept.condemned, packs);
    /* only w is waited for, not who came later */
    ms_drop(&f->k.ms[0], "writers/w");
    sk_must(f, sk_prune(f, false));
    assert_int_equal(f->swept.removed, packs);
    assert_int_equal(sk_count(f, "gc/"), 0);
    assert_false(again->gone);
    sk_check(f);
}

/* It began before, relied upon what was condemned meanwhile, and commits. */
static void writer_saves_packs(void **state)
{
    struct fix *f = *state;
    struct made *a = sk_backup(f, "a", 0, 10), *b;
    size_t packs = sk_count(f, "packs/");
    struct bk_store *other;

    sk_drop(f, a, 0);
    sk_age(f, GRACE);
    ms_set(&f->k.ms[0], "writers/b", "x", 1);
    sk_must(f, bk_store_open(&f->k.pipeline, NULL, f->k.cancel, BK_STORE_WRITE, NULL, &other,
                             &f->k.err));
    b = sk_write_backup(f, other, "b", 0, 10);
    sk_must(f, sk_prune(f, false));
    assert_int_equal(f->swept.condemned, packs);
    sk_commit(f, other, b);
    ms_drop(&f->k.ms[0], "writers/b");
    bk_store_close(other);
    sk_must(f, sk_prune(f, false));
    assert_int_equal(f->swept.removed, 0);
    assert_int_equal(sk_count(f, "gc/"), 0);
    sk_check(f);
}

/* It commits and ends just before the writers are listed, after the first mark. */
static void commit_between_marks(struct fix *f, const char *prefix)
{
    if (!bk_streq(prefix, "writers/") || sk_count(f, "gc/condemned-") == 0)
        return;
    f->on_list = NULL;
    kit_put_manifest(&f->k.ms[0], f->made[1].manifest);
    ms_drop(&f->k.ms[0], "writers/b");
}

static void writer_ends_between_marks(void **state)
{
    struct fix *f = *state;
    struct made *a = sk_backup(f, "a", 0, 10);
    struct bk_store *other;

    sk_drop(f, a, 0);
    sk_age(f, GRACE);
    ms_set(&f->k.ms[0], "writers/b", "x", 1);
    sk_must(f, bk_store_open(&f->k.pipeline, NULL, f->k.cancel, BK_STORE_WRITE, NULL, &other,
                             &f->k.err));
    sk_write_backup(f, other, "b", 0, 10);
    bk_backup_end(other);
    bk_store_close(other);
    f->on_list = commit_between_marks;
    sk_must(f, sk_prune(f, false));
    assert_null(f->on_list);
    assert_int_equal(f->swept.removed, 0);
    assert_int_equal(sk_count(f, "gc/"), 0);
    sk_check(f);
}

static void expired_writer(void **state)
{
    struct fix *f = *state;
    struct made *a = sk_backup(f, "a", 0, 10);

    sk_drop(f, a, 0);
    sk_age(f, GRACE);
    ms_set(&f->k.ms[0], "writers/w", "x", 1);
    sk_must(f, sk_prune(f, false));
    assert_true(f->swept.condemned > 0);
    sk_age(f, EXPIRE - 1);
    sk_must(f, sk_prune(f, false));
    assert_int_equal(f->swept.removed, 0);
    sk_age(f, 1);
    sk_must(f, sk_prune(f, false));
    assert_int_equal(sk_count(f, "writers/"), 0); /* it must see that it is too late */
    assert_int_equal(sk_count(f, "packs/"), 0);
}

/* Killed between the two objects. */
static void writers_made_anew(void **state)
{
    struct fix *f = *state;
    struct made *a = sk_backup(f, "a", 0, 10);
    char *name = NULL;

    sk_drop(f, a, 0);
    sk_age(f, GRACE);
    ms_set(&f->k.ms[0], "writers/w", "x", 1);
    sk_must(f, sk_prune(f, false));
    for (size_t i = 0; i < f->k.ms[0].n; i++)
        if (bk_starts(f->k.ms[0].objects[i].name, "gc/writers-"))
            name = bk_strdup(f->k.ms[0].objects[i].name);
    assert_non_null(name);
    ms_drop(&f->k.ms[0], name);
    sk_must(f, sk_prune(f, false));
    assert_int_equal(f->swept.removed, 0);
    assert_int_equal(sk_count(f, "gc/writers-"), 1);
    ms_set(&f->k.ms[0], name, "{}", 2); /* damaged: it too */
    sk_must(f, sk_prune(f, false));
    assert_int_equal(f->swept.removed, 0);
    ms_drop(&f->k.ms[0], "writers/w");
    sk_must(f, sk_prune(f, false));
    assert_int_equal(sk_count(f, "packs/"), 0);
    ms_set(&f->k.ms[0], name, "x", 1); /* without its packs it means nothing */
    sk_must(f, sk_prune(f, false));
    assert_int_equal(sk_count(f, "gc/"), 0);
    free(name);
}

/* Packs that it named are condemned anew, if they still are not needed. */
static void damaged_condemned(void **state)
{
    struct fix *f = *state;
    struct made *a = sk_backup(f, "a", 0, 10);

    sk_drop(f, a, 0);
    sk_backup(f, "b", 20, 22);
    sk_age(f, GRACE);
    ms_set(&f->k.ms[0], "gc/condemned-0123456789abcdef", "nonsense", 8);
    sk_must(f, sk_prune(f, false));
    assert_true(f->swept.removed > 0);
    assert_int_equal(sk_count(f, "gc/"), 0);
    sk_check(f);
}

/* ---- damage ---------------------------------------------------------------------------------- */

static void refuses(struct fix *f, const char *what)
{
    size_t packs = sk_count(f, "packs/");

    assert_int_equal(sk_prune(f, true), BK_E_VERIFY);
    assert_non_null(strstr(f->k.err.text, what));
    assert_non_null(strstr(f->k.err.text, "no packs are removed"));
    assert_int_equal(sk_count(f, "packs/"), packs);
    assert_int_equal(sk_count(f, "gc/"), 0);
}

static void flip(struct fix *f, const char *name, size_t at)
{
    struct ms_object *o = ms_find(&f->k.ms[0], name);

    assert_non_null(o);
    o->data[at] ^= 1;
}

static void unknown_needs(void **state)
{
    struct fix *f = *state;
    struct made *a = sk_backup(f, "a", 0, 10);

    sk_backup(f, "b", 20, 30);
    sk_drop(f, a, 0);
    sk_age(f, GRACE);
    flip(f, "backups/b/packs", 3);
    refuses(f, "backup 'b'");
    flip(f, "backups/b/packs", 3);
    flip(f, "backups/b/manifest.json", 30);
    refuses(f, "backup 'b'");
    assert_non_null(strstr(f->k.err.hint, "backups/b"));
    flip(f, "backups/b/manifest.json", 30);
    ms_set(&f->k.ms[0], "moved/0123456789abcdef", "{}", 2);
    refuses(f, "moved");
    ms_drop(&f->k.ms[0], "moved/0123456789abcdef");
    ms_fault(&f->k.ms[0], MS_GET_BEGIN, "backups/b/packs", 0, 0, BAKE_E_AUTH);
    assert_int_equal(sk_prune(f, true), BAKE_E_AUTH);
    ms_heal(&f->k.ms[0]);
    ms_drop(&f->k.ms[0], "backups/b/packs");
    refuses(f, "backup 'b'");
    /* once it is gone, all goes its way */
    sk_drop(f, &f->made[1], 0);
    sk_must(f, sk_prune(f, true));
    assert_int_equal(sk_count(f, "packs/"), 0);
}

/* A listing that fails must not look like a store without backups or writers. */
static void listings_fail(void **state)
{
    static const char *const prefixes[] = {"backups/", "writers/", "packs/", "gc/", "moved/"};
    struct fix *f = *state;
    struct made *a = sk_backup(f, "a", 0, 10);
    size_t packs;

    sk_backup(f, "b", 20, 30);
    packs = sk_count(f, "packs/");
    sk_drop(f, a, 0);
    sk_age(f, GRACE);
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(*prefixes); i++) {
        ms_fault(&f->k.ms[0], MS_LIST, prefixes[i], 0, 0, BAKE_E_AUTH);
        assert_int_equal(sk_prune(f, true), BAKE_E_AUTH);
        ms_heal(&f->k.ms[0]);
        assert_int_equal(sk_count(f, "packs/"), packs);
    }
    sk_check(f);
}

static void lease_lost(struct fix *f, const char *prefix)
{
    if (bk_streq(prefix, "moved/"))
        ms_drop(&f->k.ms[0], "gc/lease");
}

static void without_lease(void **state)
{
    struct fix *f = *state;
    struct made *a = sk_backup(f, "a", 0, 10);
    size_t packs = sk_count(f, "packs/");

    sk_drop(f, a, 0);
    sk_age(f, GRACE);
    f->on_list = lease_lost;
    assert_int_equal(sk_prune(f, false), BK_E_LOCKED);
    f->on_list = NULL;
    assert_int_equal(sk_count(f, "packs/"), packs);
}

static void leftovers(void **state)
{
    struct fix *f = *state;
    char name[80], good[80];

    sk_backup(f, "a", 0, 10);
    (void)snprintf(name, sizeof(name), "bad/%064d", 7);
    ms_set(&f->k.ms[0], name, "", 0);
    for (size_t i = 0; i < f->k.ms[0].n; i++)
        if (bk_starts(f->k.ms[0].objects[i].name, "packs/"))
            (void)snprintf(good, sizeof(good), "bad/%s", f->k.ms[0].objects[i].name + 9);
    ms_set(&f->k.ms[0], good, "", 0);
    ms_set(&f->k.ms[0], "gc/clock-0011223344556677", "now", 3);
    sk_age(f, GRACE);
    ms_set(&f->k.ms[0], "gc/clock-0011223344556688", "now", 3);
    sk_must(f, sk_prune(f, false));
    assert_null(ms_find(&f->k.ms[0], name));
    assert_non_null(ms_find(&f->k.ms[0], good)); /* its pack is there */
    assert_null(ms_find(&f->k.ms[0], "gc/clock-0011223344556677"));
    assert_non_null(ms_find(&f->k.ms[0], "gc/clock-0011223344556688"));
}

#define TEST(f)     cmocka_unit_test_setup_teardown(f, sk_setup_one, sk_teardown)
#define MIRRORED(f) cmocka_unit_test_setup_teardown(f, sk_setup_two, sk_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        MIRRORED(unneeded_packs_go),
        MIRRORED(each_sink_and_pipeline),
        TEST(dry_run),
        TEST(live_writer),
        TEST(writer_saves_packs),
        TEST(writer_ends_between_marks),
        TEST(expired_writer),
        TEST(writers_made_anew),
        TEST(damaged_condemned),
        TEST(unknown_needs),
        TEST(listings_fail),
        TEST(without_lease),
        TEST(leftovers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
