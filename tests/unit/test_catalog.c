/* store/catalog: which backups there are, which are good, and how one is found. */
#include "storekit.h"

#include "store/catalog.h"

#include <stdlib.h>
#include <string.h>

#define T0     1762344000000000000 /* 2025-11-05T12:00:00Z */
#define SECOND 1000000000ll

struct fix {
    struct kit k;
    struct bk_catalog *c;
};

static int setup(void **state)
{
    struct fix *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    kit_init(&f->k, 1, 0);
    kit_must_open(&f->k);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fix *f = *state;

    bk_catalog_free(f->c);
    kit_release(&f->k);
    free(f);
    return 0;
}

/* A backup of `n` components, `bad` of which (from the last) are partial. */
static void add(struct fix *f, const char *id, const char *pipeline, const char *host, int at,
                size_t n, size_t bad)
{
    struct bk_manifest *m = kit_manifest(id, pipeline, host, T0 + at * SECOND, n);

    for (size_t i = n - bad; i < n; i++)
        m->comps[i].status = BK_STATUS_PARTIAL;
    kit_put_manifest(&f->k.ms[0], m);
    bk_manifest_free(m);
}

static int load(struct fix *f, const char *pipeline, const char *host, unsigned flags)
{
    bk_catalog_free(f->c);
    f->c = NULL;
    bk_err_clear(&f->k.err);
    return bk_catalog_load(bk_store_base(f->k.store), pipeline, host, flags, &f->c, &f->k.err);
}

static const struct bk_backup *get(struct fix *f, const char *id)
{
    for (size_t i = 0; i < f->c->n; i++)
        if (bk_streq(f->c->backups[i].id, id))
            return &f->c->backups[i];
    fail_msg("'%s' is not listed", id);
    return NULL;
}

static void order_and_filters(void **state)
{
    struct fix *f = *state;

    assert_int_equal(load(f, NULL, NULL, 0), 0);
    assert_int_equal(f->c->n, 0);
    add(f, "x-late", "x", "h1", 30, 1, 0);
    add(f, "x-early", "x", "h1", 10, 1, 0);
    add(f, "x-b", "x", "h2", 20, 1, 0);
    add(f, "x-a", "x", "h2", 20, 1, 0);
    add(f, "y-a", "y", "h1", 15, 1, 0);
    /* Not backups: no manifest, a manifest deeper down, a name that cannot be an id, a file. */
    ms_set(&f->k.ms[0], "backups/unfinished/c0", "x", 1);
    ms_set(&f->k.ms[0], "backups/deep/records/manifest.json", "x", 1);
    ms_set(&f->k.ms[0], "backups/-x/manifest.json", "x", 1);
    ms_set(&f->k.ms[0], "backups/file", "x", 1);
    assert_int_equal(load(f, NULL, NULL, 0), 0);
    assert_int_equal(f->c->n, 5);
    assert_string_equal(f->c->backups[0].id, "x-early");
    assert_string_equal(f->c->backups[1].id, "y-a");
    assert_string_equal(f->c->backups[2].id, "x-a"); /* of one time: by id */
    assert_string_equal(f->c->backups[3].id, "x-b");
    assert_string_equal(f->c->backups[4].id, "x-late");
    assert_int_equal(load(f, "x", NULL, 0), 0);
    assert_int_equal(f->c->n, 4);
    assert_int_equal(load(f, "x", "h2", 0), 0);
    assert_int_equal(f->c->n, 2);
    assert_int_equal(load(f, NULL, "h1", 0), 0);
    assert_int_equal(f->c->n, 3);
    bk_catalog_free(NULL);
}

/* Missing is what the last good one of the same pipeline and host had. */
static void good_and_missing(void **state)
{
    struct fix *f = *state;

    add(f, "a1", "x", "h", 1, 3, 0);
    add(f, "a2", "x", "h", 2, 2, 0); /* c2 is missing */
    add(f, "a3", "x", "h", 3, 4, 1); /* c3 is partial */
    add(f, "a4", "x", "h", 4, 2, 0); /* c2 still: a2 was not good */
    add(f, "a5", "x", "h", 5, 3, 0);
    add(f, "b1", "x", "other", 6, 1, 0); /* another host: nothing is missing */
    add(f, "c1", "y", "h", 7, 1, 0);     /* another pipeline */
    add(f, "a6", "x", "h", 8, 0, 0);     /* all three */
    assert_int_equal(load(f, NULL, NULL, 0), 0);
    assert_true(get(f, "a1")->good);
    assert_false(get(f, "a2")->good);
    assert_int_equal(get(f, "a2")->missing.n, 1);
    assert_string_equal(get(f, "a2")->missing.items[0], "c2");
    assert_false(get(f, "a3")->good);
    assert_int_equal(get(f, "a3")->missing.n, 0);
    assert_false(get(f, "a4")->good);
    assert_true(get(f, "a5")->good);
    assert_true(get(f, "b1")->good);
    assert_true(get(f, "c1")->good);
    assert_false(get(f, "a6")->good);
    assert_int_equal(get(f, "a6")->missing.n, 3);
}

/* A source that was taken out of the pipeline file is not missed. */
static void no_longer_wanted(void **state)
{
    struct fix *f = *state;
    struct bk_manifest *m;

    add(f, "a1", "x", "h", 1, 2, 0);
    m = kit_manifest("a2", "x", "h", T0 + 2 * SECOND, 1);
    m->pipeline_file = json_pack("{s[{ss}]}", "sources", "name", "another");
    kit_put_manifest(&f->k.ms[0], m);
    bk_manifest_free(m);
    m = kit_manifest("a3", "x", "h", T0 + 3 * SECOND, 0);
    m->pipeline_file = json_pack("{s[{ss}]}", "sources", "name", "system");
    kit_put_manifest(&f->k.ms[0], m);
    bk_manifest_free(m);
    assert_int_equal(load(f, NULL, NULL, 0), 0);
    assert_true(get(f, "a2")->good);
    assert_false(get(f, "a3")->good); /* the source is there and yields nothing */
    assert_string_equal(get(f, "a3")->missing.items[0], "c0");
}

static void damaged_stay_listed(void **state)
{
    struct fix *f = *state;
    const struct bk_backup *b = NULL;
    static const char bad[] = "x-20251105T120005Z-000001";

    add(f, "x-20251105T120001Z-000000", "x", "h", 1, 1, 0);
    add(f, bad, "x", "h", 5, 1, 0);
    add(f, "x-20251105T120009Z-000002", "x", "h", 9, 1, 0);
    add(f, "named-by-hand", "x", "h", 7, 1, 0);
    ms_find(&f->k.ms[0], "backups/x-20251105T120005Z-000001/manifest.json")->data[20] ^= 1;
    ms_set(&f->k.ms[0], "backups/named-by-hand/manifest.json", "{}", 2);
    assert_int_equal(load(f, "x", "h", 0), 0);
    assert_int_equal(f->c->n, 4);
    assert_null(get(f, bad)->manifest);
    assert_int_equal(get(f, bad)->damage.rc, BAKE_E_CORRUPT);
    assert_false(get(f, bad)->good);
    assert_string_equal(f->c->backups[2].id, bad); /* by the time in its id */
    assert_true(get(f, "x-20251105T120009Z-000002")->good);
    assert_null(get(f, "named-by-hand")->manifest);
    assert_int_equal(bk_catalog_find(f->c, "x-20251105T120005Z", 0, &b, &f->k.err), BAKE_E_CORRUPT);
    assert_int_equal(bk_catalog_find(f->c, "latest", 0, &b, &f->k.err), 0);
    assert_string_equal(b->id, "x-20251105T120009Z-000002");
    /* A damaged one of the pipeline "x-y" is not one of "x". */
    ms_set(&f->k.ms[0], "backups/x-y-20251105T120005Z-000001/manifest.json", "{}", 2);
    assert_int_equal(load(f, "x", NULL, 0), 0);
    assert_int_equal(f->c->n, 4);
    assert_int_equal(load(f, "x-y", NULL, 0), 0);
    assert_non_null(get(f, "x-y-20251105T120005Z-000001"));
}

/* What ends everything is passed on: a sink that is down must not look like a damaged store. */
static void sink_trouble(void **state)
{
    struct fix *f = *state;

    add(f, "a", "x", "h", 1, 1, 0);
    bk_cancel_fire(f->k.cancel); /* so that nothing is tried again */
    ms_fault(&f->k.ms[0], MS_GET_READ, "manifest", 0, 0, BAKE_E_TIMEOUT);
    assert_true(load(f, NULL, NULL, 0) < 0);
    ms_heal(&f->k.ms[0]);
    ms_fault(&f->k.ms[0], MS_LIST, NULL, 0, 0, BAKE_E_AUTH);
    assert_int_equal(load(f, NULL, NULL, 0), BAKE_E_AUTH);
    ms_heal(&f->k.ms[0]);
    ms_fault(&f->k.ms[0], MS_GET_READ, "manifest", 0, 0, BAKE_E_IO);
    assert_int_equal(load(f, NULL, NULL, 0), 0); /* this one cannot be read: listed as such */
    assert_int_equal(f->c->backups[0].damage.rc, BAKE_E_IO);
}

static void finding(void **state)
{
    struct fix *f = *state;
    const struct bk_backup *b = NULL;

    assert_int_equal(load(f, NULL, NULL, 0), 0);
    assert_int_equal(bk_catalog_find(f->c, "latest", 0, &b, &f->k.err), BK_E_NOSTORE);
    add(f, "abcd", "x", "h", 10, 1, 0);
    add(f, "abcde", "x", "h", 20, 1, 0);
    add(f, "abc", "x", "h", 30, 1, 0);
    add(f, "b", "x", "h", 40, 1, 0);
    assert_int_equal(load(f, NULL, NULL, 0), 0);
    assert_int_equal(bk_catalog_find(f->c, "abc", 0, &b, &f->k.err), 0);
    assert_string_equal(b->id, "abc"); /* as it is, though it begins others too */
    assert_int_equal(bk_catalog_find(f->c, "abcd", 0, &b, &f->k.err), 0);
    assert_string_equal(b->id, "abcd");
    assert_int_equal(bk_catalog_find(f->c, "ab", 0, &b, &f->k.err), BK_E_USAGE);
    assert_int_equal(bk_catalog_find(f->c, "abcde", 0, &b, &f->k.err), 0);
    assert_int_equal(bk_catalog_find(f->c, "abcdef", 0, &b, &f->k.err), BK_E_NOSTORE);
    assert_int_equal(bk_catalog_find(f->c, "latest", 0, &b, &f->k.err), 0);
    assert_string_equal(b->id, "b");
    assert_int_equal(bk_catalog_find(f->c, "latest", T0 + 20 * SECOND, &b, &f->k.err), 0);
    assert_string_equal(b->id, "abcde");
    assert_int_equal(bk_catalog_find(f->c, "latest", T0 + 20 * SECOND - 1, &b, &f->k.err), 0);
    assert_string_equal(b->id, "abcd");
    assert_int_equal(bk_catalog_find(f->c, "latest", T0, &b, &f->k.err), BK_E_NOSTORE);
}

/* Backups that are there under another host's name are not "none". */
static void elsewhere(void **state)
{
    struct fix *f = *state;
    const struct bk_backup *b = NULL;

    add(f, "x-1", "x", "h1", 10, 1, 0);
    add(f, "x-2", "x", "h2", 30, 1, 0);
    add(f, "x-3", "x", "h1", 20, 1, 0);
    add(f, "y-1", "y", "h3", 40, 1, 0);
    assert_int_equal(load(f, "x", "here", 0), 0);
    assert_int_equal(f->c->n, 0);
    assert_int_equal(f->c->n_elsewhere, 3);
    assert_string_equal(f->c->elsewhere, "h2");
    assert_int_equal(bk_catalog_find(f->c, "latest", 0, &b, &f->k.err), BK_E_NOSTORE);
    assert_string_equal(f->k.err.text, "there is no backup of this host, but 3 of others, the "
                                       "newest of 'h2'");
    assert_string_equal(f->k.err.hint, "--host 'h2', or --host '*' for all");
    bk_err_clear(&f->k.err);
    assert_int_equal(bk_catalog_latest_with(f->c, "app", 0, &b, &f->k.err), BK_E_NOSTORE);
    assert_non_null(strstr(f->k.err.text, "the newest of 'h2'"));
    assert_int_equal(load(f, "x", "h1", 0), 0);
    assert_int_equal(bk_catalog_latest_with(f->c, "app", 0, &b, &f->k.err), BK_E_NOSTORE);
    assert_null(strstr(f->k.err.text, "h2"));
    assert_int_equal(load(f, "z", "here", 0), 0);
    assert_int_equal(bk_catalog_find(f->c, "latest", 0, &b, &f->k.err), BK_E_NOSTORE);
    assert_string_equal(f->k.err.text, "there is no backup yet");
}

static void put_record(struct fix *f, const char *id, const char *kind, const char *result)
{
    json_t *j = json_pack("{ss ss}", "level", "read", "result", result);

    assert_int_equal(bk_record_put(bk_store_base(f->k.store), id, kind, j, &f->k.err), 0);
    json_decref(j);
}

static void records(void **state)
{
    struct fix *f = *state;
    struct bk_strv names = {0};

    add(f, "a", "x", "h", 1, 1, 0);
    add(f, "ab", "x", "h", 2, 1, 0);
    put_record(f, "a", "verify", "failed");
    put_record(f, "a", "verify", "ok");
    put_record(f, "a", "pin", "no verification");
    assert_int_equal(ms_count(&f->k.ms[0], "backups/a/records/"), 3);
    assert_int_equal(load(f, NULL, NULL, 0), 0);
    assert_null(get(f, "a")->verified); /* not asked for */
    assert_int_equal(load(f, NULL, NULL, BK_CATALOG_RECORDS), 0);
    assert_memory_equal(get(f, "a")->verified, "read ok 2", 9); /* the newest */
    assert_null(get(f, "ab")->verified);
    for (size_t i = 0; i < f->k.ms[0].n; i++) /* the newest is damaged: the one before counts */
        if (strstr(f->k.ms[0].objects[i].name, "-verify.json"))
            assert_int_equal(bk_strv_add(&names, f->k.ms[0].objects[i].name), 0);
    assert_int_equal(names.n, 2);
    ms_find(&f->k.ms[0], names.items[1])->data[5] ^= 1;
    assert_int_equal(load(f, NULL, NULL, BK_CATALOG_RECORDS), 0);
    assert_memory_equal(get(f, "a")->verified, "read failed 2", 13);
    bk_strv_free(&names);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(order_and_filters),   TEST(good_and_missing), TEST(no_longer_wanted),
        TEST(damaged_stay_listed), TEST(sink_trouble),     TEST(finding),
        TEST(elsewhere),           TEST(records),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
