/* store/index_run: every size, what is not there, what is damaged. */
#include "repokit.h"

#include "store/index_run.h"

#include <stdio.h>
#include <unistd.h>

struct feed {
    const struct bk_located *at;
};

static int next(void *arg, struct bk_located *ret, struct bk_err *err)
{
    struct feed *f = arg;

    (void)err;
    *ret = *f->at++;
    return BAKE_OK;
}

static int order(const void *a, const void *b) { return memcmp(a, b, sizeof(bk_id)); }

static struct bk_located *entries(size_t n)
{
    struct bk_located *e = calloc(n + 1, sizeof(*e));

    assert_non_null(e);
    for (size_t i = 0; i < n; i++) {
        e[i].id = rk_id(i);
        e[i].loc = (struct bk_loc){(uint32_t)i, (uint32_t)(i % 64),
                                   (uint32_t)(i * 7919 % BK_SEGMENT_PLAIN), (uint32_t)i + 1};
    }
    qsort(e, n, sizeof(*e), order);
    return e;
}

static int new_file(void)
{
    char path[] = "/tmp/bakengine-run-XXXXXX";
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(unlink(path), 0);
    return fd;
}

/* The runs of a test share one; 64 blocks, so that they throw each other's out. */
static struct bk_run_cache *new_cache(void)
{
    struct bk_run_cache *c;

    assert_int_equal(bk_run_cache_new(64, &c, NULL), 0);
    return c;
}

static struct bk_run *write_run(struct bk_run_cache *cache, const struct bk_located *e, size_t n,
                                int *ret_copy)
{
    struct feed f = {e};
    struct bk_run *r = NULL;
    struct bk_err err = {0};
    int fd = new_file();

    if (ret_copy)
        *ret_copy = dup(fd);
    if (bk_run_write(fd, cache, n, next, &f, &r, &err) < 0)
        fail_msg("%s", err.text);
    return r;
}

static void check(struct bk_run *r, const struct bk_located *e, size_t n)
{
    struct bk_err err = {0};
    struct bk_located got;
    struct bk_loc loc;
    uint64_t at;

    assert_int_equal(bk_run_count(r), n);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(bk_run_find(r, &e[i].id, &loc, &at, &err), 0);
        assert_int_equal(at, i);
        assert_memory_equal(&loc, &e[i].loc, sizeof(loc));
        assert_int_equal(bk_run_get(r, i, &got, &err), 0);
        assert_memory_equal(&got, &e[i], sizeof(got));
    }
    for (size_t i = 0; i < 1000; i++) {
        bk_id id = rk_id(1000000 + i);

        assert_int_equal(bk_run_find(r, &id, &loc, NULL, &err), BAKE_END);
    }
}

static void sizes(void **state)
{
    struct bk_run_cache *cache = new_cache();
    static const size_t some[] = {0, 1, 92, 93, 94, 184, 185, 186, 187, 10000, 200000};

    (void)state;
    for (size_t i = 0; i < sizeof(some) / sizeof(some[0]); i++) {
        struct bk_located *e = entries(some[i]);
        struct bk_err err = {0};
        struct bk_run *r;
        int copy;

        r = write_run(cache, e, some[i], &copy);
        check(r, e, some[i]);
        assert_true(bk_run_memory(r) < 400000 + some[i] * 2);
        bk_run_free(r);
        assert_int_equal(bk_run_open(copy, cache, &r, &err), 0);
        check(r, e, some[i]);
        bk_run_free(r);
        free(e);
    }
    bk_run_cache_free(cache);
}

/* How often the filter lets through what is not there: seen by damage to every block, which only
 * those that are read notice. */
static void filter(void **state)
{
    struct bk_run_cache *cache = new_cache();
    size_t n = 50000, blocks = (n + 91) / 92, passed = 0, asked = 20000;
    struct bk_located *e = entries(n);
    struct bk_err err = {0};
    struct bk_loc loc;
    struct bk_run *r;
    int copy;

    (void)state;
    bk_run_free(write_run(cache, e, n, &copy));
    for (size_t i = 0; i < blocks; i++)
        assert_int_equal(pwrite(copy, "damaged", 7, (off_t)(i * 4096 + 50)), 7);
    assert_int_equal(bk_run_open(copy, cache, &r, &err), 0);
    for (size_t i = 0; i < asked; i++) {
        bk_id id = rk_id(5000000 + i);
        int rc = bk_run_find(r, &id, &loc, NULL, &err);

        assert_true(rc == BAKE_END || rc == BAKE_E_CORRUPT);
        passed += rc == BAKE_E_CORRUPT;
    }
    assert_in_range(passed, 1, asked * 4 / 100);
    bk_run_free(r);
    free(e);
    bk_run_cache_free(cache);
}

/* Each byte of fences, filter and footer is vouched for; each byte of a block once it is read. */
static void damage(void **state)
{
    struct bk_run_cache *cache = new_cache();
    size_t n = 300;
    struct bk_located *e = entries(n);
    struct bk_err err = {0};
    struct bk_loc loc;
    struct bk_run *r;
    int copy;
    off_t size;

    (void)state;
    bk_run_free(write_run(cache, e, n, &copy));
    size = lseek(copy, 0, SEEK_END);
    for (off_t at = 0; at < size; at += at < 16300 ? 37 : 1) {
        unsigned char byte, changed;
        int rc;

        assert_int_equal(pread(copy, &byte, 1, at), 1);
        changed = byte ^ 0x10;
        assert_int_equal(pwrite(copy, &changed, 1, at), 1);
        rc = bk_run_open(dup(copy), cache, &r, &err);
        if (at >= 16384) {
            assert_int_equal(rc, BAKE_E_CORRUPT);
        } else {
            size_t block = (size_t)at / 4096;

            assert_int_equal(rc, 0);
            rc = bk_run_find(r, &e[block * 92 + 1].id, &loc, NULL, &err);
            assert_int_equal(rc, BAKE_E_CORRUPT);
            bk_run_free(r);
        }
        assert_int_equal(pwrite(copy, &byte, 1, at), 1);
    }
    for (off_t cut = size - 1; cut > 0; cut -= 501) {
        assert_int_equal(ftruncate(copy, cut), 0);
        assert_int_equal(bk_run_open(dup(copy), cache, &r, &err), BAKE_E_CORRUPT);
    }
    (void)close(copy);
    free(e);
    bk_run_cache_free(cache);
}

/* A block that stands where another should. */
static void swapped(void **state)
{
    struct bk_run_cache *cache = new_cache();
    struct bk_located *e = entries(300);
    unsigned char a[4096], b[4096];
    struct bk_err err = {0};
    struct bk_loc loc;
    struct bk_run *r;
    int copy;

    (void)state;
    bk_run_free(write_run(cache, e, 300, &copy));
    assert_int_equal(pread(copy, a, 4096, 0), 4096);
    assert_int_equal(pread(copy, b, 4096, 4096), 4096);
    assert_int_equal(pwrite(copy, b, 4096, 0), 4096);
    assert_int_equal(pwrite(copy, a, 4096, 4096), 4096);
    assert_int_equal(bk_run_open(copy, cache, &r, &err), 0);
    assert_int_equal(bk_run_find(r, &e[5].id, &loc, NULL, &err), BAKE_E_CORRUPT);
    bk_run_free(r);
    free(e);
    bk_run_cache_free(cache);
}

/* Ids that begin alike, over one border between blocks and over several. */
static void alike(void **state)
{
    struct bk_run_cache *cache = new_cache();
    static const size_t many[] = {2, 40, 93, 400};

    (void)state;
    for (size_t i = 0; i < sizeof(many) / sizeof(many[0]); i++) {
        size_t n = 600, from = 85;
        struct bk_located *e = entries(n);
        struct bk_err err = {0};
        struct bk_run *r;

        for (size_t k = from; k < from + many[i] && k < n; k++)
            memcpy(e[k].id.b, e[from].id.b, 8);
        qsort(e, n, sizeof(*e), order);
        r = write_run(cache, e, n, NULL);
        check(r, e, n);
        (void)err;
        bk_run_free(r);
        free(e);
    }
    bk_run_cache_free(cache);
}

static int fails(void *arg, struct bk_located *ret, struct bk_err *err)
{
    int *left = arg;

    *ret = (struct bk_located){.id = rk_id((uint64_t)*left)};
    if ((*left)-- > 0)
        return BAKE_OK;
    return *left < -1 ? BAKE_END : bk_fail(err, BAKE_E_IO, "as told");
}

static void source_fails(void **state)
{
    struct bk_run_cache *cache = new_cache();
    struct bk_err err = {0};
    struct bk_run *r;
    int left = 100;

    (void)state;
    assert_int_equal(bk_run_write(new_file(), cache, 200, fails, &left, &r, &err), BAKE_E_IO);
    left = -5; /* fewer than were counted */
    assert_int_equal(bk_run_write(new_file(), cache, 200, fails, &left, &r, &err), BAKE_E_INTERNAL);
    bk_run_cache_free(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(sizes),  cmocka_unit_test(filter),
                                       cmocka_unit_test(damage), cmocka_unit_test(swapped),
                                       cmocka_unit_test(alike),  cmocka_unit_test(source_fails)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
