/* Streams of exec: frames in any pieces, and the marks around a program's output. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "exec_impl.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NONCE "0123456789abcdef0123456789abcdef"
#define BEGIN "@@BEGIN " NONCE " 17@@\n"
#define END   "\n@@END " NONCE " rc=000@@\n"

/* Appends a frame; returns the new length. */
static size_t frame(char *at, size_t n, int stream, const char *data, size_t size)
{
    const char head[8] = {
        (char)stream,      0,         0, 0, (char)(size >> 24), (char)(size >> 16),
        (char)(size >> 8), (char)size};
    memcpy(at + n, head, 8);
    memcpy(at + n + 8, data, size);
    return n + 8 + size;
}

static void frames_in_pieces(void **state)
{
    char wire[1000];
    (void)state;
    size_t n = frame(wire, 0, 1, "hello ", 6);
    n = frame(wire, n, 2, "oops", 4);
    n = frame(wire, n, 1, "", 0);
    n = frame(wire, n, 0, "world", 5);
    n = frame(wire, n, 3, "!", 1);
    for (size_t step = 1; step <= n; step++) {
        struct dk_frames f = {.n_head = 0};
        char out[32] = "", err[32] = "";
        for (size_t at = 0; at < n; at += step) {
            const char *data = wire + at;
            size_t left = n - at < step ? n - at : step;
            struct dk_piece p;
            int rc;
            while ((rc = dk_frames_next(&f, &data, &left, &p)) == BAKE_OK)
                strncat(p.stream == 1 ? out : err, p.data, p.n);
            assert_int_equal(rc, BAKE_END);
            assert_int_equal(left, 0);
        }
        assert_string_equal(out, "hello world");
        assert_string_equal(err, "oops!");
        assert_true(dk_frames_whole(&f));
    }
}

static void bad_frames(void **state)
{
    static const char *const heads[] = {"\x04\0\0\0\0\0\0\1x", "\1\1\0\0\0\0\0\1x",
                                        "\1\0\0\1\0\0\0\1x", "unable t"};
    (void)state;
    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        struct dk_frames f = {.n_head = 0};
        struct dk_piece p;
        const char *data = heads[i];
        size_t n = 8;
        assert_int_equal(dk_frames_next(&f, &data, &n, &p), BAKE_E_CORRUPT);
    }
    /* a length of 4 GiB takes no memory, only patience */
    struct dk_frames f = {.n_head = 0};
    struct dk_piece p;
    const char *data = "\1\0\0\0\xff\xff\xff\xff"
                       "abc";
    size_t n = 11;
    assert_int_equal(dk_frames_next(&f, &data, &n, &p), BAKE_OK);
    assert_int_equal(p.n, 3);
    assert_false(dk_frames_whole(&f));
}

/* Everything that comes out when text is put in steps of so many bytes. */
static size_t through(struct dk_marks *m, const char *text, size_t n, size_t step, char *out)
{
    size_t got = 0;
    for (size_t at = 0; at < n; at += step) {
        const char *data;
        dk_marks_put(m, text + at, n - at < step ? n - at : step);
        for (size_t k; (k = dk_marks_peek(m, &data)) > 0; got += k) {
            if (k > 3)
                k = 3; /* a slow reader */
            memcpy(out + got, data, k);
            dk_marks_take(m, k);
        }
    }
    return got;
}

static void check_marks(const char *text, size_t n, const char *want, size_t n_want, int code)
{
    char out[2000];
    for (size_t step = 1; step <= n; step++) {
        struct dk_marks m;
        assert_true(dk_marks_init(&m, NONCE));
        size_t got = through(&m, text, n, step, out);
        assert_int_equal(got, n_want);
        assert_memory_equal(out, want, n_want);
        assert_true(m.began);
        assert_int_equal(m.pid, 17);
        assert_int_equal(m.ended, code >= 0);
        if (code >= 0)
            assert_int_equal(m.code, code);
        dk_marks_free(&m);
    }
}

#define CHECK(text, want, code) check_marks(text, sizeof(text) - 1, want, sizeof(want) - 1, code)

static void marks(void **state)
{
    (void)state;
    CHECK(BEGIN "data" END, "data", 0);
    CHECK(BEGIN END, "", 0);
    CHECK(BEGIN "x\n\n" END, "x\n\n", 0);
    CHECK(BEGIN "a\0b" END, "a\0b", 0);
    CHECK(BEGIN "out\n@@END " NONCE " rc=137@@\n", "out", 137);
    /* what only looks like a mark is data: another nonce, no code, the begin mark once more */
    CHECK(BEGIN "\n@@END ffff rc=000@@\n" END, "\n@@END ffff rc=000@@\n", 0);
    CHECK(BEGIN "\n@@END " NONCE " rc=0x0@@\n" END, "\n@@END " NONCE " rc=0x0@@\n", 0);
    CHECK(BEGIN BEGIN END, BEGIN, 0);
    /* what comes behind the mark does not count */
    CHECK(BEGIN "data" END "late", "data", 0);
}

static void no_end(void **state)
{
    struct dk_marks m;
    const char *data;
    static const char text[] = BEGIN "data that is cut\n@@END 0123";
    (void)state;
    assert_true(dk_marks_init(&m, NONCE));
    dk_marks_put(&m, text, sizeof(text) - 1);
    size_t n = dk_marks_peek(&m, &data);
    assert_true(n < sizeof(text) - 1 - strlen(BEGIN)); /* the part of a mark is held back */
    dk_marks_take(&m, n);
    assert_int_equal(dk_marks_peek(&m, &data), 0);
    assert_false(m.ended);
    dk_marks_free(&m);
}

static void never_begun(void **state)
{
    struct dk_marks m;
    const char *data;
    static const char text[] = "exec failed: \"sh\": executable file not found in $PATH: unknown";
    (void)state;
    assert_true(dk_marks_init(&m, NONCE));
    dk_marks_put(&m, text, sizeof(text) - 1);
    assert_int_equal(dk_marks_peek(&m, &data), 0); /* it is no output */
    assert_false(m.began);
    assert_int_equal(dk_marks_rest(&m, &data), sizeof(text) - 1);
    assert_memory_equal(data, text, sizeof(text) - 1);
    dk_marks_free(&m);
}

static void much_output(void **state)
{
    enum { N = 3000000 };
    char *in = malloc(N), *out = malloc(N);
    struct dk_marks m;
    size_t sent = 0, got = 0;
    const char *data;
    (void)state;
    assert_non_null(in);
    assert_non_null(out);
    for (size_t i = 0; i < N; i++)
        in[i] = i % 97 == 0 ? '\n' : (char)('@' + i % 3);
    assert_true(dk_marks_init(&m, NONCE));
    dk_marks_put(&m, BEGIN, strlen(BEGIN));
    while (got < N) {
        size_t room = dk_marks_room(&m), n = N - sent < room ? N - sent : room;
        assert_true(room > 0 || dk_marks_peek(&m, &data) > 0);
        dk_marks_put(&m, in + sent, n);
        sent += n;
        if (sent == N && n == 0 && room > strlen(END))
            dk_marks_put(&m, END, strlen(END));
        size_t k = dk_marks_peek(&m, &data);
        k = k > 50000 ? 50000 : k;
        memcpy(out + got, data, k);
        dk_marks_take(&m, k);
        got += k;
    }
    assert_memory_equal(in, out, N);
    dk_marks_free(&m);
    free(in);
    free(out);
}

static void heads(void **state)
{
    (void)state;
    assert_int_equal(dk_head_status("HTTP/1.1 101 UPGRADED\r\n", 23), 101);
    assert_int_equal(dk_head_status("HTTP/1.0 200 OK\r\n", 17), 200);
    assert_int_equal(dk_head_status("HTTP/1.1 20", 11), 0);
    assert_int_equal(dk_head_status("HTTP/1.1 2x0 OK", 15), 0);
    assert_int_equal(dk_head_status("SSH-2.0-OpenSSH_9.2", 19), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_in_pieces),
        cmocka_unit_test(bad_frames),
        cmocka_unit_test(marks),
        cmocka_unit_test(no_end),
        cmocka_unit_test(never_begun),
        cmocka_unit_test(much_output),
        cmocka_unit_test(heads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
