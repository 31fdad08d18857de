/* Programs and private directories when memory or descriptors run out, at each call: nothing is
 * left behind. */
#include "scratch/scratch.h"

#include "child_kit.h"
#include "failmalloc.h"

#include <dirent.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

static struct fakehost host;
static struct bake_host ops; /* as the fake host's, but for promises that need no memory */
static bool promised;
static size_t seen; /* calls of the allocator, while it could fail */

static int oblige(struct bake_ctx *ctx, const char *what, uint64_t *id)
{
    (void)ctx;
    (void)what;
    *id = 1;
    promised = true;
    return BAKE_OK;
}

static int redeemed(struct bake_ctx *ctx, uint64_t id)
{
    (void)ctx;
    assert_int_equal(id, 1);
    promised = false;
    return BAKE_OK;
}

static size_t descriptors(void)
{
    DIR *d = opendir("/proc/self/fd");
    size_t n = 0;
    assert_non_null(d);
    while (readdir(d))
        n++;
    (void)closedir(d);
    return n;
}

static int run_one(void)
{
    const char *const argv[] = {"sh", "-c", "cat; cat $BK_FILE", NULL};
    const char *const env[] = {"BK_A=1", NULL};
    struct bkc_child_spec spec = {.argv = argv, .env = env};
    char *out = NULL;
    int rc;

    spec.secrets[0] = (struct bkc_child_secret){.text = "secret", .env = "BK_FILE"};
    spec.user = geteuid() == 0 ? "nobody" : NULL;
    rc = bkc_child_run(&host.ctx, &spec, "text ", 100, &out);
    if (rc == BAKE_OK)
        assert_string_equal(out, "text secret");
    else
        assert_null(out);
    free(out);
    return rc;
}

static int write_one(void)
{
    const char *const argv[] = {"cat", NULL};
    struct bkc_child_spec spec = {.argv = argv, .in = true, .out = true};
    static char text[60000];
    struct bkc_child *c;
    int rc = bkc_child_start(&host.ctx, &spec, &c);

    for (int i = 0; rc == BAKE_OK && i < 30; i++) { /* more than fits in the pipes: it is kept */
        struct bake_out out = {.data = text, .size = sizeof(text)};
        rc = bkc_child_write(c, text, 1000);
        if (rc == BAKE_OK)
            rc = bkc_child_read(c, &out);
    }
    bkc_child_free(c);
    return rc;
}

static void enough_descriptors(void)
{
    struct rlimit now;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &now), 0);
    now.rlim_cur = now.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &now), 0);
}

static int serve_one(void)
{
    struct bkc_scratch_spec spec = {.above = "/tmp", .what = "nomem"};
    const char *const argv[] = {"sleep", "100", NULL};
    struct bkc_scratch *s;
    char path[100];
    struct stat st;
    int rc, ended;

    spec.user = geteuid() == 0 ? "nobody" : NULL;
    rc = bkc_scratch_new(&host.ctx, &spec, &s);
    if (rc != BAKE_OK)
        return rc;
    (void)snprintf(path, sizeof(path), "%s", bkc_scratch_path(s));
    rc = bkc_scratch_serve(s, &host.ctx, argv, NULL);
    seen = fm_calls();
    fm_fail_from(0); /* the end has to be possible */
    enough_descriptors();
    ended = bkc_scratch_end(s, &host.ctx, SIGTERM, 5000);
    assert_int_equal(ended, BAKE_OK);
    assert_int_equal(stat(path, &st), -1);
    return rc;
}

static void start_host(void)
{
    fakehost_init(&host);
    ops = *host.ctx.host;
    ops.oblige = oblige;
    ops.redeemed = redeemed;
    host.ctx.host = &ops;
}

static void each_call(int (*doing)(void))
{
    size_t before, n = 0, failed = 0;

    do {
        start_host();
        before = descriptors();
        seen = 0;
        fm_fail_at(++n);
        int rc = doing();
        if (seen == 0)
            seen = fm_calls();
        fm_fail_from(0);
        if (rc != BAKE_OK && rc != BAKE_E_NOMEM)
            fail_msg("call %zu: %d %s", n, rc, host.fail);
        failed += rc == BAKE_E_NOMEM;
        assert_int_equal(descriptors(), before);
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
        assert_false(promised);
        fakehost_free(&host);
    } while (seen >= n);
    assert_true(failed > 2 && n < 100);
}

/* As many descriptors as are open, and one more each time. */
static void each_descriptor(int (*doing)(void))
{
    struct rlimit old, few;
    size_t before, failed = 0;
    rlim_t n = 3;
    int rc;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    few = old;
    do {
        start_host();
        before = descriptors();
        few.rlim_cur = n++;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
        rc = doing();
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
        if (rc != BAKE_OK && rc != BAKE_E_IO && rc != BAKE_E_CONFIG && rc != BAKE_E_CHILD)
            fail_msg("%d descriptors: %d %s", (int)few.rlim_cur, rc, host.fail);
        failed += rc != BAKE_OK;
        assert_int_equal(descriptors(), before);
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
        assert_false(promised);
        fakehost_free(&host);
    } while (n < 60);
    assert_int_equal(rc, BAKE_OK);
    assert_true(failed > 8);
}

static void test_few_descriptors(void **state)
{
    (void)state;
    each_descriptor(run_one);
    each_descriptor(serve_one);
}

static void test_run(void **state)
{
    (void)state;
    each_call(run_one);
}

static void test_write(void **state)
{
    (void)state;
    each_call(write_one);
}

static void test_serve(void **state)
{
    (void)state;
    each_call(serve_one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_run),
        cmocka_unit_test(test_write),
        cmocka_unit_test(test_serve),
        cmocka_unit_test(test_few_descriptors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
