/* Out of memory at every place: a clean error, nothing lost without a word, nothing leaked. */
#include "failmalloc.h"
#include "listing_kit.h"
#include "manifest_kit.h"

#include "store/catalog.h"
#include "store/comp.h"

/* jansson builds documents well when memory is short, but its parser does not survive it: there we
 * leave it what it wants. */
static bool starve_json;

static void *json_malloc(size_t n) { return starve_json ? malloc(n) : fm_plain(n); }
static void json_free(void *p) { free(p); }

/* The sanitizers', where they are: base/json.c says why it may lose an object when memory ends. */
void __lsan_disable(void) __attribute__((weak));
void __lsan_enable(void) __attribute__((weak));

/* Runs what() with the n-th allocation failing, alone or with all after it, for every n, until it
 * needs no more than n. */
static void starve(int (*what)(void *arg), void *arg)
{
    for (int after = 0; after < 2; after++) {
        size_t n;
        int rc;

        for (n = 1;; n++) {
            (after ? fm_fail_from : fm_fail_at)(n);
            rc = what(arg);
            if (fm_calls() < n)
                break;
            fm_fail_at(0);
            if (rc != BAKE_OK && rc != BAKE_E_NOMEM)
                fail_msg("allocation %zu: result %d", n, rc);
            assert_true(n < 100000);
        }
        fm_fail_at(0);
        assert_int_equal(rc, BAKE_OK);
        assert_true(n > 3);
    }
}

static int parse(void *arg)
{
    const struct bk_buf *text = arg;
    struct bk_manifest *m = NULL;
    struct bk_err err = {0};
    int rc = bk_manifest_parse(text->data, text->len, KIT_ID, &m, &err);

    if (rc < 0) {
        assert_null(m);
        assert_int_equal(err.rc, rc);
    } else {
        assert_int_equal(m->n_comps, 3);
        assert_int_equal(m->comps[1].n_objects, 2);
    }
    bk_manifest_free(m);
    return rc;
}

static void manifest_parse(void **state)
{
    (void)state;
    struct bk_manifest *m = kit_full();
    struct bk_buf text = BK_BUF_INIT;

    assert_int_equal(bk_manifest_write(m, &text, NULL), 0);
    starve(parse, &text);
    bk_buf_free(&text);
    bk_manifest_free(m);
}

struct writing {
    struct bk_manifest *m;
    struct bk_buf good;
};

/* A manifest that misses a component because memory was short would be worse than none. */
static int write_manifest(void *arg)
{
    struct writing *w = arg;
    struct bk_buf text = BK_BUF_INIT;
    struct bk_err err = {0};
    int rc = bk_manifest_write(w->m, &text, &err);

    if (rc >= 0) {
        assert_int_equal(text.len, w->good.len);
        assert_memory_equal(text.data, w->good.data, text.len);
    } else {
        assert_int_equal(err.rc, rc);
    }
    bk_buf_free(&text);
    return rc;
}

static void manifest_write(void **state)
{
    (void)state;
    struct writing w = {.m = kit_full()};

    assert_int_equal(bk_manifest_write(w.m, &w.good, NULL), 0);
    starve_json = true;
    if (__lsan_disable)
        __lsan_disable();
    starve(write_manifest, &w);
    if (__lsan_enable)
        __lsan_enable();
    starve_json = false;
    bk_buf_free(&w.good);
    bk_manifest_free(w.m);
}

static int list_there_and_back(void *arg)
{
    const struct bake_entry *all;
    size_t n = kit_entries(&all), got = 0;
    struct bk_buf text = BK_BUF_INIT;
    struct text_pull pull = {.piece = 11};
    struct bk_listr *r = NULL;
    struct bake_entry e;
    const char *sum;
    int rc = BAKE_OK;

    (void)arg;
    for (size_t i = 0; i < n && rc >= 0; i++)
        rc = bk_listing_line(&text, &all[i], NULL);
    if (rc >= 0 && !text.failed) {
        pull.data = text.data;
        pull.n = text.len;
        rc = bk_listr_new(pull_text, &pull, &r, NULL);
    }
    while (r && rc == BAKE_OK && (rc = bk_listr_next(r, &e, &sum, NULL)) == BAKE_OK)
        assert_string_equal(e.path, all[got++].path);
    if (rc == BAKE_END) {
        assert_int_equal(got, n);
        rc = BAKE_OK;
    }
    bk_listr_free(r);
    bk_buf_free(&text);
    return rc;
}

static void listing(void **state)
{
    (void)state;
    starve(list_there_and_back, NULL);
}

static int load(void *arg)
{
    struct bk_catalog *c = NULL;
    struct bk_err err = {0};
    int rc = bk_catalog_load(arg, NULL, NULL, BK_CATALOG_RECORDS, &c, &err);

    if (rc >= 0) {
        assert_int_equal(c->n, 2);
        assert_non_null(c->backups[0].manifest); /* short memory is no damage */
        assert_non_null(c->backups[1].manifest);
    }
    bk_catalog_free(c);
    return rc;
}

static void catalog(void **state)
{
    (void)state;
    struct kit k;
    struct bk_manifest *m = kit_manifest("a", "x", "h", 0, 2);

    kit_init(&k, 1, 0);
    kit_must_open(&k);
    kit_put_manifest(&k.ms[0], m);
    free(m->id);
    m->id = bk_strdup("b");
    m->n_comps = 1;
    kit_put_manifest(&k.ms[0], m);
    m->n_comps = 2;
    bk_manifest_free(m);
    starve(load, bk_store_base(k.store));
    kit_release(&k);
}

static int open_store(void *arg)
{
    struct kit *k = arg;
    struct bk_store *s = NULL;
    struct bk_err err = {0};
    int rc = bk_store_open(&k->pipeline, NULL, k->cancel, BK_STORE_READ, NULL, &s, &err);

    bk_store_close(s);
    return rc;
}

static void store(void **state)
{
    (void)state;
    struct kit k;

    kit_init(&k, 1, 2);
    kit_must_open(&k);
    bk_store_close(k.store);
    k.store = NULL;
    starve(open_store, &k);
    kit_release(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(manifest_parse), cmocka_unit_test(manifest_write),
        cmocka_unit_test(listing),        cmocka_unit_test(catalog),
        cmocka_unit_test(store),
    };
    json_set_alloc_funcs(json_malloc, json_free);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
