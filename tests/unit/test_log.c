/* base/log and base/mask: what messages look like, what they never show, the status line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <pty.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Standard error goes into a file between catch_start() and caught(). */
static int real_stderr = -1, catch_fd = -1;
static char text[1 << 20];

static void catch_start(void)
{
    char name[] = "/tmp/bakengine-log-XXXXXX";
    catch_fd = mkostemp(name, O_CLOEXEC);
    assert_true(catch_fd >= 0);
    (void)unlink(name);
    real_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
    assert_true(real_stderr >= 0);
    assert_true(dup2(catch_fd, STDERR_FILENO) >= 0);
}

static const char *caught(void)
{
    assert_true(dup2(real_stderr, STDERR_FILENO) >= 0);
    (void)close(real_stderr);
    assert_int_equal(lseek(catch_fd, 0, SEEK_SET), 0);
    ssize_t n = bk_read_full(catch_fd, text, sizeof(text) - 1);
    assert_true(n >= 0);
    text[n] = '\0';
    (void)close(catch_fd);
    return text;
}

static int fresh(void **state)
{
    (void)state;
    bk_log_setup(BK_LOG_TEXT, BAKE_LOG_INFO);
    bk_mask_forget();
    return 0;
}

static void before_any_setup(void **state)
{
    (void)state;
    catch_start();
    bk_log(BAKE_LOG_INFO, "started %d", 1);
    bk_log(BAKE_LOG_DEBUG, "not shown");
    bk_log_status("not shown: this is no terminal");
    assert_string_equal(caught(), "bakengine: started 1\n");
}

static void levels(void **state)
{
    (void)state;
    static const char *const lines[] = {"bakengine: error: x\n", "bakengine: warning: x\n",
                                        "bakengine: x\n", "bakengine: debug: x\n"};
    for (int shown = BAKE_LOG_ERROR; shown <= BAKE_LOG_DEBUG; shown++) {
        char want[200] = "";
        bk_log_setup(BK_LOG_TEXT, shown);
        catch_start();
        for (int level = BAKE_LOG_ERROR; level <= BAKE_LOG_DEBUG; level++) {
            bk_log(level, "x");
            if (level <= shown)
                (void)snprintf(want + strlen(want), sizeof(want) - strlen(want), "%s",
                               lines[level]);
        }
        assert_string_equal(caught(), want);
    }
}

static void hints(void **state)
{
    (void)state;
    struct bk_err err = {0};
    catch_start();
    (void)bk_fail(&err, BAKE_E_IO, "it broke\nHINT: mend %s", "it");
    bk_log_err(&err);
    (void)bk_fail(&err, BAKE_E_IO, "again");
    bk_log_err(&err);
    bk_err_clear(&err);
    bk_log_err(&err);
    bk_log(BAKE_LOG_WARN, "a\nHINT: b\nHINT: c\n\n");
    assert_string_equal(caught(), "bakengine: error: it broke\nHINT: mend it\n"
                                  "bakengine: error: again\n"
                                  "bakengine: error: failed without saying why\n"
                                  "bakengine: warning: a\\x0aHINT: b\nHINT: c\n");
}

static void control_characters(void **state)
{
    (void)state;
    catch_start();
    bk_log(BAKE_LOG_INFO, "%s", "a\nb\x1b[2J\t\r\x7f \xc2\x9b \xff C:\\x \xe2\x82\xac\n");
    bk_log(BAKE_LOG_INFO, "%s", "x\nHINT: y\nz");
    bk_log(BAKE_LOG_INFO, "%s", "");
    assert_string_equal(caught(),
                        "bakengine: a\\x0ab\\x1b[2J\\x09\\x0d\\x7f \\xc2\\x9b \\xff C:\\x "
                        "\xe2\x82\xac\nbakengine: x\nHINT: y\\x0az\nbakengine: \n");
}

static void long_messages_stay_whole(void **state)
{
    (void)state;
    char *big = malloc(300001);
    assert_non_null(big);
    memset(big, 'x', 300000);
    big[300000] = '\0';
    catch_start();
    errno = EBADF;
    bk_log(BAKE_LOG_INFO, "%s", big);
    assert_int_equal(errno, EBADF);
    const char *got = caught();
    assert_int_equal(strlen(got), strlen("bakengine: ") + 300000 + 1);
    free(big);
}

static void json_lines(void **state)
{
    (void)state;
    struct bk_err err = {0};
    bk_log_setup(BK_LOG_JSON, BAKE_LOG_INFO);
    catch_start();
    bk_log(BAKE_LOG_WARN, "%s", "say \"x\"\n\xff");
    (void)bk_fail(&err, BAKE_E_IO, "broke\nHINT: mend");
    bk_log_err(&err);
    const char *got = caught();
    assert_true(bk_starts(got, "{\"message_type\":\"log\",\"level\":\"warning\",\"time\":\""));
    const char *newline = strchr(got, '\n');
    assert_non_null(newline);
    static const char *const want[][3] = {{"warning", "say \"x\"\\x0a\\xff", NULL},
                                          {"error", "broke", "mend"}};
    for (int i = 0; i < 2; i++) {
        json_t *j BK_JSON = NULL;
        const char *level = NULL, *message = NULL, *hint = NULL;
        int64_t at = 0;
        size_t n = strcspn(got, "\n");
        assert_int_equal(bk_json_parse(got, n, "line", &j, &err), 0);
        assert_int_equal(bk_json_str(j, "line", "level", &level, &err), 0);
        assert_int_equal(bk_json_str(j, "line", "text", &message, &err), 0);
        assert_int_equal(bk_json_opt_str(j, "line", "hint", &hint, &err), 0);
        assert_int_equal(bk_json_time(j, "line", "time", &at, &err), 0);
        assert_string_equal(level, want[i][0]);
        assert_string_equal(message, want[i][1]);
        assert_true(bk_streq(hint, want[i][2]));
        assert_true(at <= bk_now_ns() && at > bk_now_ns() - INT64_C(60000000000));
        got += n + 1;
    }
    assert_string_equal(got, "");
}

/* ---- secrets ---- */

static void masked(const char *in, const char *want)
{
    char *got = bk_mask(in);
    assert_non_null(got);
    if (strcmp(got, want) != 0)
        fail_msg("'%s' gave '%s', not '%s'", in, got, want);
    free(got);
}

static void masks(void **state)
{
    (void)state;
    masked("nothing yet", "nothing yet");
    bk_mask_add(NULL);
    bk_mask_add("");
    bk_mask_add("abc"); /* too short: it would be everywhere */
    masked("abc", "abc");
    bk_mask_add("hunter22");
    bk_mask_add("hunter2");
    bk_mask_add("hunter22");
    masked("", "");
    masked("hunter2", "***");
    masked("hunter22", "***");
    masked("hunter222", "***2");
    masked("hunter", "hunter");
    masked("hunter2hunter2", "******");
    masked("xhunter2yhunter22z", "x***y***z");
    masked("Hunter2", "Hunter2");
    bk_mask_forget();
    masked("hunter22", "hunter22");
    bk_mask_add("hunter2"); /* the other way round */
    bk_mask_add("hunter22");
    masked("hunter22", "***");
}

static void masks_that_overlap(void **state)
{
    (void)state;
    bk_mask_add("abcdef");
    bk_mask_add("defghi");
    bk_mask_add("ghijkl");
    bk_mask_add("cdefg");
    masked("abcdefghi", "***");
    masked("abcdefghijkl", "***");
    masked(".abcdefghijkl.", ".***.");
    masked("abcdefg", "***");
    masked("abcdeghijkl", "abcde***");
    bk_mask_add("aaaa");
    masked("aaaaaa", "***");
    masked("aaaabaaaa", "***b***");
}

static void masks_in_other_spellings(void **state)
{
    (void)state;
    bk_mask_add("p\"ss\\w/rd é\n");
    masked("x p\"ss\\w/rd é\n y", "x *** y");
    masked("{\"p\":\"p\\\"ss\\\\w/rd é\\n\"}", "{\"p\":\"***\"}");
    masked("http://u:p%22ss%5Cw%2Frd%20%C3%A9%0A@h", "http://u:***@h");
    masked("http://u:p%22ss%5cw%2frd%20%c3%a9%0a@h", "http://u:***@h");
    masked("http://h/p%22ss%5Cw/rd%20%C3%A9%0A", "http://h/***");
    masked("p\"ss\\\\w/rd é\\x0a", "***"); /* as bk_printable() shows it */
    bk_mask_add("\x01\x1f\b\f\n\r\t");
    masked("\\u0001\\u001f\\b\\f\\n\\r\\t", "***");
}

static void masks_in_messages(void **state)
{
    (void)state;
    struct bk_err err = {0};
    bk_mask_add("s3cr3t\nvalue");
    bk_mask_add("hunter2");
    catch_start();
    bk_log(BAKE_LOG_INFO, "got %s and %s", "hunter2", "s3cr3t\nvalue");
    (void)bk_fail(&err, BAKE_E_IO, "bad hunter2\nHINT: not hunter2");
    bk_log_err(&err);
    bk_log_setup(BK_LOG_JSON, BAKE_LOG_INFO);
    bk_log(BAKE_LOG_INFO, "got hunter2");
    const char *got = caught();
    assert_true(bk_starts(got, "bakengine: got *** and ***\n"
                               "bakengine: error: bad ***\nHINT: not ***\n{"));
    assert_non_null(strstr(got, "\"text\":\"got ***\"}"));
    assert_null(strstr(got, "hunter"));
    assert_null(strstr(got, "s3cr3t"));
}

static void many_secrets(void **state)
{
    (void)state;
    char secret[32], line[64];
    for (int i = 0; i < 300; i++) {
        (void)snprintf(secret, sizeof(secret), "%d-secret-%d", i, i);
        bk_mask_add(secret);
    }
    for (int i = 0; i < 300; i++) {
        (void)snprintf(line, sizeof(line), "<%d-secret-%d>", i, i);
        masked(line, "<***>");
    }
}

/* ---- threads ---- */

enum { THREADS = 6, LINES = 200 };

static void *chatter(void *arg)
{
    for (int i = 0; i < LINES; i++) {
        char secret[40];
        bk_log(BAKE_LOG_INFO, "thread %d line %d hunter2 end", *(int *)arg, i);
        bk_log_status("status hunter2");
        (void)snprintf(secret, sizeof(secret), "secret-%d-%d", *(int *)arg, i % 10);
        bk_mask_add(secret);
        char *m = bk_mask(secret);
        assert_string_equal(m, "***");
        free(m);
    }
    return NULL;
}

static void many_threads(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    int numbers[THREADS], next[THREADS] = {0};
    bk_mask_add("hunter2");
    catch_start();
    for (int i = 0; i < THREADS; i++) {
        numbers[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, chatter, &numbers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    const char *got = caught();
    int lines = 0;
    for (; *got; got = strchr(got, '\n') + 1, lines++) {
        char want[100];
        int thread = got[strlen("bakengine: thread ")] - '0';
        assert_true(thread >= 0 && thread < THREADS);
        (void)snprintf(want, sizeof(want), "bakengine: thread %d line %d *** end\n", thread,
                       next[thread]++);
        assert_true(bk_starts(got, want));
    }
    assert_int_equal(lines, THREADS * LINES);
}

/* ---- the terminal ---- */

static int master = -1;

static void terminal_start(unsigned short columns)
{
    int slave;
    struct winsize size = {.ws_row = 24, .ws_col = columns};
    struct termios raw;
    memset(&raw, 0, sizeof(raw));
    cfmakeraw(&raw);
    assert_int_equal(openpty(&master, &slave, NULL, &raw, &size), 0);
    real_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
    assert_true(real_stderr >= 0);
    assert_true(dup2(slave, STDERR_FILENO) >= 0);
    (void)close(slave);
}

static void seen(const char *want)
{
    size_t n = 0;
    struct pollfd p = {.fd = master, .events = POLLIN};
    while (poll(&p, 1, n < strlen(want) ? 2000 : 20) == 1) {
        ssize_t got = read(master, text + n, sizeof(text) - 1 - n);
        assert_true(got > 0);
        n += (size_t)got;
    }
    text[n] = '\0';
    assert_string_equal(text, want);
}

static void terminal_end(void)
{
    assert_true(dup2(real_stderr, STDERR_FILENO) >= 0);
    (void)close(real_stderr);
    (void)close(master);
}

static void status_line(void **state)
{
    (void)state;
    bk_mask_add("hunter2");
    terminal_start(40);
    bk_log(BAKE_LOG_INFO, "one");
    seen("bakengine: one\n");
    bk_log_status("10 %");
    seen("10 %");
    bk_log_status("20 % hunter2\n\x1b");
    seen("\r\033[K20 % ***\\x0a\\x1b");
    bk_log(BAKE_LOG_WARN, "two");
    seen("\r\033[Kbakengine: warning: two\n20 % ***\\x0a\\x1b");
    bk_log(BAKE_LOG_DEBUG, "not shown");
    seen("");
    bk_log_status(NULL);
    seen("\r\033[K");
    bk_log_status("");
    seen("");
    bk_log(BAKE_LOG_INFO, "three");
    seen("bakengine: three\n");
    terminal_end();
}

static void status_is_cut(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"123456789", "123456789"},
        {"1234567890", "123456789"},
        {"12345678\xe2\x82\xac"
         "9",
         "12345678\xe2\x82\xac"},
        {"12345678\xe4\xb8\xad", "12345678"}, /* two columns wide */
        {"1234567\xf0\x9f\x98\x80"
         "8",
         "1234567\xf0\x9f\x98\x80"}};
    terminal_start(10);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bk_log_status(cases[i][0]);
        seen(cases[i][1]);
        bk_log_status(NULL);
        seen("\r\033[K");
    }
    terminal_end();
    terminal_start(1);
    bk_log_status("x");
    seen("");
    bk_log_status(NULL);
    seen("\r\033[K");
    terminal_end();
}

static void no_status_among_json(void **state)
{
    (void)state;
    terminal_start(80);
    bk_log_status("shown");
    seen("shown");
    bk_log_setup(BK_LOG_JSON, BAKE_LOG_INFO);
    bk_log_status("not shown");
    seen("\r\033[K");
    bk_log_status("not shown either");
    seen("");
    bk_log_status(NULL);
    seen("");
    terminal_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(before_any_setup),
                                       cmocka_unit_test_setup(levels, fresh),
                                       cmocka_unit_test_setup(hints, fresh),
                                       cmocka_unit_test_setup(control_characters, fresh),
                                       cmocka_unit_test_setup(long_messages_stay_whole, fresh),
                                       cmocka_unit_test_setup(json_lines, fresh),
                                       cmocka_unit_test_setup(masks, fresh),
                                       cmocka_unit_test_setup(masks_that_overlap, fresh),
                                       cmocka_unit_test_setup(masks_in_other_spellings, fresh),
                                       cmocka_unit_test_setup(masks_in_messages, fresh),
                                       cmocka_unit_test_setup(many_secrets, fresh),
                                       cmocka_unit_test_setup(many_threads, fresh),
                                       cmocka_unit_test_setup(status_line, fresh),
                                       cmocka_unit_test_setup(status_is_cut, fresh),
                                       cmocka_unit_test_setup(no_status_among_json, fresh)};
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    bk_mask_forget();
    return rc;
}
