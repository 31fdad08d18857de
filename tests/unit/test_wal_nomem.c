/* store/wal and run/wal_chain without memory: a clean error at every place, nothing half done. */
#include "failmalloc.h"
#include "walkit.h"

#include "run/wal_chain.h"

/* Runs what() with the n-th allocation failing, alone or with all after it, until it needs no more
 * than n. */
static void starve(struct wk *w, int (*what)(struct wk *w))
{
    for (int after = 0; after < 2; after++) {
        size_t n;
        int rc;

        for (n = 1;; n++) {
            (after ? fm_fail_from : fm_fail_at)(n);
            rc = what(w);
            if (fm_calls() < n)
                break;
            fm_fail_at(0);
            if (rc != BAKE_OK && rc != BAKE_E_NOMEM)
                fail_msg("allocation %zu: result %d: %s", n, rc, w->k.err.text);
            assert_true(n < 10000);
        }
        fm_fail_at(0);
        assert_int_equal(rc, BAKE_OK);
        assert_true(n > 1);
    }
}

/* What counts as put is there, and whole; else there is nothing. */
static int put(struct wk *w)
{
    const struct ms_object *o;
    int rc;

    ms_drop(&w->k.ms[0], OBJECT);
    rc = wk_put(w);
    o = ms_find(&w->k.ms[0], OBJECT);
    if (rc >= 0)
        assert_true(o && o->n > 2 * w->n); /* the fake transform doubles */
    else
        assert_null(o);
    return rc;
}

static int get(struct wk *w)
{
    (void)unlink(w->copy);
    int rc = wk_get(w);

    assert_int_equal(access(w->copy, F_OK), rc >= 0 ? 0 : -1);
    return rc;
}

static int list(struct wk *w)
{
    struct bk_wal_list l;
    int rc = bk_wal_list_store(w->k.store, NULL, &l, &w->k.err);

    if (rc >= 0) {
        assert_int_equal(l.n, 1);
        bk_wal_list_release(&l);
    }
    return rc;
}

static int no_gap(void *arg, const struct bk_wal_gap *gap, struct bk_err *err)
{
    (void)arg;
    (void)gap;
    (void)err;
    return BAKE_E_INTERNAL;
}

static int gaps(struct wk *w)
{
    char *name = (char *)(uintptr_t)LOG;
    struct bk_wal_log log = {.name = name};
    struct bk_wal_base base = {.need = {.stream = STREAM, .from = LOG}};
    struct bk_wal_bases bases = {&base, 1, 1};
    struct bk_wal_stream s = {STREAM, &log, 1, &bases, NULL, 0};

    return bk_wal_gaps(&s, no_gap, NULL, &w->k.err);
}

static void all(void **state)
{
    struct wk w;

    (void)state;
    wk_init(&w, 1, 1);
    w.n = 3000;
    wk_file(&w, w.bytes, w.n);
    starve(&w, put);
    wk_must_put(&w);
    starve(&w, wk_put); /* compares */
    starve(&w, get);
    starve(&w, list);
    starve(&w, gaps);
    wk_same(&w);
    wk_release(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(all)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
