/* transform-zstd: options, frames of others, large windows, the zstd command, much data. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../plugins/transform-zstd/zstd-stream.h"
#include "../conformance/subject.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const struct zstd_cfg defaults = {3, 0, 0, 4 << 20};

static void says(const struct cf_ctx *ctx, const char *part)
{
    if (!strstr(ctx->text, part))
        fail_msg("'%s' is not in: %s", part, ctx->text);
}

static void refused(struct zstd_cfg cfg, const char *text)
{
    struct cf_ctx ctx;

    cf_ctx_init(&ctx);
    assert_int_equal(zstd_validate(&ctx.base, &cfg), BAKE_E_CONFIG);
    assert_string_equal(ctx.text, text);
    cf_ctx_free(&ctx);
}

/* The library's own bounds stand in the message, whatever they are in this version. */
static const char *bounds(char *out, size_t cap, const char *key, ZSTD_cParameter p, long long got)
{
    ZSTD_bounds b = ZSTD_cParam_getBounds(p);

    (void)snprintf(out, cap, "'%s' must be between %d and %d, got %lld", key, b.lowerBound,
                   b.upperBound, got);
    return out;
}

static void options_are_checked(void **state)
{
    ZSTD_bounds level = ZSTD_cParam_getBounds(ZSTD_c_compressionLevel);
    struct cf_ctx ctx;
    char t[160];

    (void)state;
    refused((struct zstd_cfg){level.upperBound + 1, 0, 0, 4 << 20},
            bounds(t, sizeof(t), "level", ZSTD_c_compressionLevel, level.upperBound + 1));
    refused((struct zstd_cfg){INT64_MIN, 0, 0, 4 << 20},
            bounds(t, sizeof(t), "level", ZSTD_c_compressionLevel, INT64_MIN));
    refused((struct zstd_cfg){3, 100000, 0, 4 << 20},
            bounds(t, sizeof(t), "threads", ZSTD_c_nbWorkers, 100000));
    refused((struct zstd_cfg){3, -1, 0, 4 << 20}, "'threads' must not be below 0, got -1");
    refused((struct zstd_cfg){3, 0, 9, 4 << 20}, bounds(t, sizeof(t), "long", ZSTD_c_windowLog, 9));
    refused((struct zstd_cfg){3, 0, 32, 4 << 20},
            bounds(t, sizeof(t), "long", ZSTD_c_windowLog, 32));
    refused((struct zstd_cfg){3, 2, 0, UINT64_MAX},
            bounds(t, sizeof(t), "job_size", ZSTD_c_jobSize, INT64_MAX));

    cf_ctx_init(&ctx);
    for (int64_t n = level.lowerBound; n <= level.upperBound; n += n < -7 ? 13107 : 1) {
        const struct zstd_cfg cfg = {n, 2, n % 2 ? 0 : 25, 1 << 20};

        assert_int_equal(zstd_validate(&ctx.base, &cfg), BAKE_OK);
    }
    cf_ctx_free(&ctx);
}

struct text {
    char *data;
    size_t n;
};

/* Runs data through an instance in pieces of `piece` bytes into rooms of `room`. */
static int run(const struct zstd_cfg *cfg, int dir, const void *data, size_t n, size_t piece,
               size_t room, struct cf_ctx *ctx, struct text *ret)
{
    struct bake_in in = {data, 0, 0};
    size_t cap = 0;
    void *self;
    int rc;

    memset(ret, 0, sizeof(*ret));
    assert_int_equal(zstd_open(&ctx->base, cfg, dir, 0, &self), BAKE_OK);
    do {
        struct bake_out out = {NULL, room, 0};

        if (in.pos == in.size && in.size < n)
            in.size = n - in.size < piece ? n : in.size + piece;
        if (cap - ret->n < room) {
            cap = cap * 2 + room;
            ret->data = realloc(ret->data, cap);
            assert_non_null(ret->data);
        }
        out.data = ret->data + ret->n;
        rc = zstd_process(self, &in, &out, in.size == n ? BAKE_FINISH : BAKE_CONTINUE);
        ret->n += out.pos;
    } while (rc == BAKE_OK);
    zstd_close(self);
    return rc == BAKE_END ? BAKE_OK : rc;
}

static void want(const void *stored, size_t n, const char *plain, int rc)
{
    static const size_t pieces[] = {1, 3, 100000};

    for (size_t i = 0; i < 3; i++) {
        struct cf_ctx ctx;
        struct text back;

        cf_ctx_init(&ctx);
        assert_int_equal(run(&defaults, BAKE_REVERSE, stored, n, pieces[i], i + 1, &ctx, &back),
                         rc);
        if (rc == BAKE_OK) {
            assert_int_equal(back.n, strlen(plain));
            assert_memory_equal(back.data, plain, back.n);
        }
        free(back.data);
        cf_ctx_free(&ctx);
    }
}

static size_t frame(char *out, size_t cap, const char *plain)
{
    size_t n = ZSTD_compress(out, cap, plain, strlen(plain), 1); /* without a checksum, too */

    assert_false(ZSTD_isError(n));
    return n;
}

static void frames_of_others(void **state)
{
    static const unsigned char skip[] = {0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 'a', 'b', 'c'};
    char s[2000];
    size_t n = 0, one;

    (void)state;
    n = one = frame(s, sizeof(s), "first");
    want(s, n, "first", BAKE_OK);
    n += frame(s + n, sizeof(s) - n, "");
    n += frame(s + n, sizeof(s) - n, " second");
    want(s, n, "first second", BAKE_OK);
    memcpy(s + n, skip, sizeof(skip));
    n += sizeof(skip);
    want(s, n, "first second", BAKE_OK);
    n += frame(s + n, sizeof(s) - n, " third");
    want(s, n, "first second third", BAKE_OK);
    want(s, n - 1, NULL, BAKE_E_CORRUPT);
    want(s + 1, n - 1, NULL, BAKE_E_CORRUPT);

    memmove(s + sizeof(skip), s, one);
    memcpy(s, skip, sizeof(skip));
    want(s, sizeof(skip) + one, "first", BAKE_OK); /* pzstd writes it so */
    want(s, sizeof(skip) - 1, NULL, BAKE_E_CORRUPT);
}

static void reasons_are_named(void **state)
{
    char s[100];
    struct cf_ctx ctx;
    struct text back;
    size_t n = frame(s, sizeof(s) - 20, "something");

    (void)state;
    cf_ctx_init(&ctx);
    assert_int_equal(run(&defaults, BAKE_REVERSE, s, n - 2, 100, 100, &ctx, &back), BAKE_E_CORRUPT);
    says(&ctx, "the zstd stream is cut");
    free(back.data);
    assert_int_equal(run(&defaults, BAKE_REVERSE, s, 0, 100, 100, &ctx, &back), BAKE_E_CORRUPT);
    says(&ctx, "the zstd stream is empty");
    free(back.data);
    memcpy(s + n, "no frame at all", 15);
    assert_int_equal(run(&defaults, BAKE_REVERSE, s, n + 15, 100, 100, &ctx, &back),
                     BAKE_E_CORRUPT);
    says(&ctx, "what follows the zstd stream is not zstd: ");
    free(back.data);
    assert_int_equal(run(&defaults, BAKE_FORWARD, "plain text", 10, 100, 100, &ctx, &back),
                     BAKE_OK);
    back.data[back.n - 1] ^= 1;
    {
        struct text again;

        assert_int_equal(run(&defaults, BAKE_REVERSE, back.data, back.n, 100, 100, &ctx, &again),
                         BAKE_E_CORRUPT);
        says(&ctx, "cannot decompress: ");
        says(&ctx, "checksum");
        free(again.data);
    }
    free(back.data);
    cf_ctx_free(&ctx);
}

static void data_after_the_end(void **state)
{
    char room[100];
    struct bake_in in = {"abc", 3, 0};
    struct bake_out out = {room, sizeof(room), 0};
    struct cf_ctx ctx;
    void *self;

    (void)state;
    cf_ctx_init(&ctx);
    assert_int_equal(zstd_open(&ctx.base, &defaults, BAKE_FORWARD, 0, &self), BAKE_OK);
    assert_int_equal(zstd_process(self, &in, &out, BAKE_FINISH), BAKE_END);
    assert_int_equal(zstd_process(self, &in, &out, BAKE_FINISH), BAKE_END);
    in.pos = 0;
    assert_int_equal(zstd_process(self, &in, &out, BAKE_CONTINUE), BAKE_E_INTERNAL);
    assert_int_equal(zstd_process(self, &in, &out, 7), BAKE_E_INTERNAL);
    assert_int_equal(zstd_reset(self), BAKE_OK);
    assert_int_equal(zstd_process(self, &in, &out, BAKE_FINISH), BAKE_END);
    zstd_close(self);
    cf_ctx_free(&ctx);
}

static int same(const char *a, const char *b, size_t n) { return n == 0 || memcmp(a, b, n) == 0; }

/* The far-apart half is found again, and the window comes back with default options. */
static void long_windows(void **state)
{
    static const struct zstd_cfg cfgs[] = {{3, 1, 24, 4 << 20}, {3, 2, 24, 1 << 20}};
    size_t half = 12 << 20;
    char *data = malloc(2 * half);

    (void)state;
    assert_non_null(data);
    cf_fill(data, half, 1);
    memcpy(data + half, data, half);
    for (size_t i = 0; i < 2; i++) {
        struct text stored, back;
        struct cf_ctx ctx;

        cf_ctx_init(&ctx);
        assert_int_equal(
            run(&cfgs[i], BAKE_FORWARD, data, 2 * half, 1 << 20, 1 << 20, &ctx, &stored), BAKE_OK);
        assert_true(stored.n < half + half / 50);
        assert_int_equal(
            run(&defaults, BAKE_REVERSE, stored.data, stored.n, 1 << 20, 1 << 20, &ctx, &back),
            BAKE_OK);
        assert_int_equal(back.n, 2 * half);
        assert_true(same(back.data, data, back.n));
        free(stored.data);
        free(back.data);
        cf_ctx_free(&ctx);
    }
    free(data);
}

/* A header that asks for a window of 2 GiB is taken, but not for a small object. */
static void windows_of_small_objects(void **state)
{
    static const unsigned char header[] = {0x28, 0xb5, 0x2f, 0xfd, 0x04, 20 << 3};
    char room[10];
    struct cf_ctx ctx;
    void *self;

    (void)state;
    cf_ctx_init(&ctx);
    for (uint32_t small = 0; small < 2; small++) {
        struct bake_in in = {header, sizeof(header), 0};
        struct bake_out out = {room, sizeof(room), 0};

        assert_int_equal(
            zstd_open(&ctx.base, &defaults, BAKE_REVERSE, small ? BAKE_SMALL_OBJECT : 0, &self),
            BAKE_OK);
        assert_int_equal(zstd_process(self, &in, &out, BAKE_CONTINUE),
                         small ? BAKE_E_CORRUPT : BAKE_OK);
        zstd_close(self);
    }
    says(&ctx, "memory"); /* the library's words: "Frame requires too much memory for decoding" */
    cf_ctx_free(&ctx);
}

static void write_file(const char *path, const char *data, size_t n)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, n), n);
    assert_int_equal(close(fd), 0);
}

static char *read_file(const char *path, size_t *ret_n)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    char *data;

    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    *ret_n = (size_t)st.st_size;
    data = malloc(*ret_n + 1);
    assert_non_null(data);
    assert_int_equal(read(fd, data, *ret_n), *ret_n);
    assert_int_equal(close(fd), 0);
    return data;
}

static void zstd_command(const char *flag, const char *from, const char *to)
{
    int status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        (void)execlp("zstd", "zstd", "-q", "-f", flag, from, "-o", to, (char *)NULL);
        _exit(127);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail_msg("'zstd %s' ended with status %d (is the package zstd installed?)", flag, status);
}

static void with_the_command(void **state)
{
    static const struct zstd_cfg cfgs[] = {
        {3, 1, 0, 4 << 20}, {3, 2, 0, 512 << 10}, {-7, 0, 0, 4 << 20}, {12, 1, 27, 4 << 20}};
    static const char *const flags[] = {"-1", "-19", "--long=27", "--fast"};
    char dir[] = "/tmp/zstd-XXXXXX", a[64], b[64];
    size_t n = 5 << 20;
    char *data = malloc(n);

    (void)state;
    assert_non_null(data);
    assert_non_null(mkdtemp(dir));
    (void)snprintf(a, sizeof(a), "%s/a", dir);
    (void)snprintf(b, sizeof(b), "%s/b", dir);
    cf_fill(data, n, 1);
    memset(data + n / 4, 'm', n / 2);
    for (size_t i = 0; i < 4; i++) {
        struct text out;
        struct cf_ctx ctx;
        size_t back;
        char *file;

        cf_ctx_init(&ctx);
        assert_int_equal(run(&cfgs[i], BAKE_FORWARD, data, n, 100000, 70000, &ctx, &out), BAKE_OK);
        write_file(a, out.data, out.n);
        zstd_command("-d", a, b);
        file = read_file(b, &back);
        assert_int_equal(back, n);
        assert_true(same(file, data, n));
        free(file);
        free(out.data);

        write_file(a, data, n);
        zstd_command(flags[i], a, b);
        file = read_file(b, &back);
        assert_int_equal(run(&defaults, BAKE_REVERSE, file, back, 9999, 70000, &ctx, &out),
                         BAKE_OK);
        assert_int_equal(out.n, n);
        assert_true(same(out.data, data, n));
        free(file);
        free(out.data);
        cf_ctx_free(&ctx);
    }
    (void)unlink(a);
    (void)unlink(b);
    (void)rmdir(dir);
    free(data);
}

#define HUGE_SIZE ((UINT64_C(4) << 30) + 12345)

/* More than 32 bits can count, through both directions at once. */
static void four_gib(void **state)
{
    static const struct zstd_cfg cfg = {1, 0, 0, 4 << 20};
    static char zeros[1 << 20], squeezed[1 << 20], back[1 << 20];
    uint64_t fed = 0, got = 0, stored = 0;
    struct cf_ctx ctx;
    void *out_self, *back_self;
    int rc = BAKE_OK, back_rc = BAKE_OK;

    (void)state;
    cf_ctx_init(&ctx);
    assert_int_equal(zstd_open(&ctx.base, &cfg, BAKE_FORWARD, 0, &out_self), BAKE_OK);
    assert_int_equal(zstd_open(&ctx.base, &cfg, BAKE_REVERSE, 0, &back_self), BAKE_OK);
    while (back_rc != BAKE_END) {
        uint64_t left = HUGE_SIZE - fed;
        struct bake_in in = {zeros, left < sizeof(zeros) ? (size_t)left : sizeof(zeros), 0};
        struct bake_out out = {squeezed, sizeof(squeezed), 0};
        struct bake_in in2 = {squeezed, 0, 0};

        rc = zstd_process(out_self, &in, &out, left == 0 ? BAKE_FINISH : BAKE_CONTINUE);
        assert_true(rc >= 0);
        fed += in.pos;
        stored += in2.size = out.pos;
        do {
            struct bake_out out2 = {back, sizeof(back), 0};

            back_rc =
                zstd_process(back_self, &in2, &out2, rc == BAKE_END ? BAKE_FINISH : BAKE_CONTINUE);
            assert_true(back_rc >= 0);
            got += out2.pos;
            if (out2.pos == 0)
                break;
            assert_true(back[0] == 0 && same(back, back + 1, out2.pos - 1));
        } while (back_rc != BAKE_END);
    }
    assert_int_equal(fed, HUGE_SIZE);
    assert_int_equal(got, HUGE_SIZE);
    assert_true(stored < 1 << 20);
    zstd_close(out_self);
    zstd_close(back_self);
    cf_ctx_free(&ctx);
}

static double seconds(clockid_t clock)
{
    struct timespec t;

    assert_int_equal(clock_gettime(clock, &t), 0);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* While workers compress, the caller waits instead of asking again and again. */
static void waits_without_spinning(void **state)
{
    static const struct zstd_cfg cfg = {9, 2, 0, 2 << 20};
    size_t n = 16 << 20;
    char *data = malloc(n);
    struct cf_ctx ctx;
    struct text out;
    double mine, all;

    (void)state;
    assert_non_null(data);
    cf_fill(data, n, 1);
    for (size_t i = 0; i < n; i++)
        data[i] = "0123456789abcdef"[data[i] & 15]; /* hard work: no repetitions, few letters */
    cf_ctx_init(&ctx);
    mine = seconds(CLOCK_THREAD_CPUTIME_ID);
    all = seconds(CLOCK_PROCESS_CPUTIME_ID);
    assert_int_equal(run(&cfg, BAKE_FORWARD, data, n, 128 << 10, 128 << 10, &ctx, &out), BAKE_OK);
    mine = seconds(CLOCK_THREAD_CPUTIME_ID) - mine;
    all = seconds(CLOCK_PROCESS_CPUTIME_ID) - all;
    print_message("the caller took %.3f s of %.3f s\n", mine, all);
    assert_true(mine < all / 3);
    free(out.data);
    free(data);
    cf_ctx_free(&ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_are_checked),    cmocka_unit_test(frames_of_others),
        cmocka_unit_test(reasons_are_named),      cmocka_unit_test(data_after_the_end),
        cmocka_unit_test(long_windows),           cmocka_unit_test(windows_of_small_objects),
        cmocka_unit_test(with_the_command),       cmocka_unit_test(four_gib),
        cmocka_unit_test(waits_without_spinning),
    };

    return cmocka_run_group_tests_name("zstd", tests, NULL, NULL);
}
