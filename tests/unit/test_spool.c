/* store/spool: what is spooled comes back, and a full disk is seen before it is full. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/str.h"
#include "store/spool.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char *make_dir(void)
{
    char *dir = bk_strdup("/tmp/bake-spool.XXXXXX");

    assert_non_null(dir);
    assert_non_null(mkdtemp(dir));
    return dir;
}

static size_t count(const char *dir)
{
    DIR *d = opendir(dir);
    size_t n = 0;

    assert_non_null(d);
    while (readdir(d))
        n++;
    (void)closedir(d);
    return n - 2;
}

static void there_and_back(void **state)
{
    static const size_t sizes[] = {0, 1, 128 << 10, 5000003};
    (void)state;

    for (size_t i = 0; i < 4; i++) {
        char *dir = make_dir(), *data = malloc(sizes[i] + 1), sha[BK_SHA256_HEX],
             want[BK_SHA256_HEX];
        struct bk_spool *s = NULL;
        struct bk_err err = {0};
        uint64_t size = 99, seed = 88172645463325252u;
        size_t n = 0;
        int rc = BAKE_OK;

        assert_non_null(data);
        for (size_t k = 0; k < sizes[i]; k++) { /* half of it does not shrink */
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            data[k] = k % 4096 < 2048 ? (char)(seed >> 56) : 'x';
        }
        assert_int_equal(bk_spool_new(dir, 1, &s, &err), 0);
        for (size_t k = 0; k < sizes[i]; k += 70001)
            assert_int_equal(
                bk_spool_write(s, data + k, sizes[i] - k < 70001 ? sizes[i] - k : 70001, &err), 0);
        assert_int_equal(count(dir), 0); /* no name leads to it */
        assert_int_equal(bk_spool_end(s, &size, sha, &err), 0);
        assert_int_equal(size, sizes[i]);
        assert_int_equal(bk_sha256_hex_of(data, sizes[i], want), 0);
        assert_string_equal(sha, want);
        while (rc == BAKE_OK) {
            char buffer[4099];
            struct bake_out out = {buffer, sizeof(buffer), 7};

            rc = bk_spool_read(s, &out, &err);
            assert_true(rc >= 0 && n + out.pos - 7 <= sizes[i]);
            assert_memory_equal(buffer + 7, data + n, out.pos - 7);
            n += out.pos - 7;
        }
        assert_int_equal(n, sizes[i]);
        bk_spool_free(s);
        free(data);
        (void)rmdir(dir);
        free(dir);
    }
}

static void nobody_else_reads(void **state)
{
    char *dir = make_dir();
    struct bk_spool *s = NULL;
    struct bk_err err = {0};
    bool seen = false;
    (void)state;

    assert_int_equal(bk_spool_new(dir, 1, &s, &err), 0);
    for (int fd = 3; fd < 64; fd++) {
        struct stat st, own;

        if (fstat(fd, &st) < 0 || stat(dir, &own) < 0 || st.st_dev != own.st_dev || st.st_nlink ||
            !S_ISREG(st.st_mode))
            continue;
        seen = true;
        assert_int_equal(st.st_mode & 0777, 0600);
        assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    }
    assert_true(seen);
    bk_spool_free(s);
    (void)rmdir(dir);
    free(dir);
}

static void no_room(void **state)
{
    char *dir = make_dir();
    struct bk_spool *s = NULL;
    struct bk_err err = {0};
    (void)state;

    assert_int_equal(bk_spool_new(dir, UINT64_MAX, &s, &err), BAKE_E_NOSPACE);
    assert_non_null(strstr(err.text, dir));
    assert_non_null(strstr(err.hint, "TMPDIR"));
    assert_int_equal(bk_spool_new("/nonexistent/x", 1, &s, &err), BAKE_E_NOTFOUND);
    assert_non_null(strstr(err.text, "/nonexistent/x"));
    (void)rmdir(dir);
    free(dir);
}

/* A write that does not fit says so, and is not taken for written. */
static void disk_full(void **state)
{
    struct rlimit before, small = {1 << 20, 1 << 20};
    struct bk_spool *s = NULL;
    struct bk_err err = {0};
    char *data = malloc(1 << 16);
    uint64_t seed = 1;
    int rc = BAKE_OK;
    (void)state;

    assert_non_null(data);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small.rlim_max = before.rlim_max;
    assert_int_equal(bk_spool_new("/tmp", 1, &s, &err), 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    for (int i = 0; i < 64 && rc >= 0; i++) {
        for (size_t k = 0; k < 1 << 16; k++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            data[k] = (char)(seed >> 56);
        }
        rc = bk_spool_write(s, data, 1 << 16, &err);
    }
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(rc, BAKE_E_IO);
    assert_non_null(strstr(err.text, "cannot spool"));
    bk_spool_free(s);
    free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back),
        cmocka_unit_test(nobody_else_reads),
        cmocka_unit_test(no_room),
        cmocka_unit_test(disk_full),
    };

    (void)signal(SIGXFSZ, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
