/* What servers and tools say, in our messages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dump.h"
#include "fakehost.h"
#include "said.h"
#include <string.h>

static void lines(void **state)
{
    (void)state;
    static const char *const list[][2] = {
        {NULL, ""},
        {"", ""},
        {"\n\n", ""},
        {"one\n", "one"},
        {"one\ntwo\n", "one; two"},
        {"  one  \t two\r\n\n  three", "one two; three"},
        {"detail:\n\tmore", "detail: more"},
    };
    char out[64];
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        pg_said_line(list[i][0], out, sizeof(out));
        assert_string_equal(out, list[i][1]);
    }
    char small[8];
    pg_said_line("0123456789\n0123456789", small, sizeof(small));
    assert_true(strlen(small) < sizeof(small));
}

static void connections(void **state)
{
    (void)state;
    char why[6], out[PG_SAID_MAX];
    pg_said_connect("connection to server at \"h\", port 5432 failed: FATAL:  28P01: password "
                    "authentication failed for user \"x\"\nLOCATION:  auth_failed, auth.c:326\n",
                    why, out, sizeof(out));
    assert_string_equal(why, "28P01");
    assert_string_equal(out, "connection to server at \"h\", port 5432 failed: FATAL: password "
                             "authentication failed for user \"x\"");
    pg_said_connect("connection to server on socket \"/x\" failed: No such file or directory\n\tIs "
                    "the server running?\n",
                    why, out, sizeof(out));
    assert_string_equal(why, "");
    assert_string_equal(out, "connection to server on socket \"/x\" failed: No such file or "
                             "directory; Is the server running?");
    pg_said_connect("FATAL:  database \"ABCDE: x\" does not exist", why, out, sizeof(out));
    assert_string_equal(why, "");
    assert_true(pg_said_tls("SSL error: certificate verify failed"));
    assert_false(pg_said_tls("connection refused"));
}

static void fail_with(const char *const *said, int status, int rc, const char *text)
{
    struct fakehost host;
    struct pg_lines l = {0};
    fakehost_init(&host);
    for (; *said; said++)
        pg_lines_add(&l, *said);
    assert_int_equal(pg_lines_fail(&l, &host.ctx, "pg_dump", "shop", status), rc);
    if (!strstr(host.fail, text))
        fail_msg("'%s' is not in '%s'", text, host.fail);
    pg_lines_free(&l);
    fakehost_free(&host);
}

#define LINES(...) ((const char *const[]){__VA_ARGS__, NULL})

static void failures(void **state)
{
    (void)state;
    fail_with(LINES(NULL), 0x0100, BAKE_E_CHILD,
              "'pg_dump' of 'shop' ended with exit status 1: it said nothing");
    fail_with(LINES(NULL), 9, BAKE_E_CHILD, "was ended by signal 9");
    fail_with(
        LINES("pg_dump: warning: there are circular keys",
              "pg_dump: error: query failed: ERROR:  canceling statement due to statement timeout",
              "pg_dump: detail: Query was: LOCK TABLE public.t"),
        0x0100, BAKE_E_TIMEOUT,
        "status 1: error: query failed: ERROR: canceling statement due to statement timeout; "
        "detail: Query was: LOCK TABLE public.t\nHINT: somebody holds a lock");
    fail_with(LINES("pg_dump: error: query would be affected by row-level security policy"), 0x0100,
              BAKE_E_AUTH, "HINT: give the user BYPASSRLS");
    fail_with(LINES("pg_dump: error: x: server closed the connection unexpectedly"), 0x0100,
              BAKE_E_UNAVAILABLE, "HINT: see the server's log");
    fail_with(LINES("segfault"), 11, BAKE_E_CHILD, "was ended by signal 11: segfault");
}

static void warnings(void **state)
{
    (void)state;
    struct fakehost host;
    struct pg_lines l = {0};
    fakehost_init(&host);
    for (int i = 0; i < PG_LINES + 3; i++)
        pg_lines_add(&l, "pg_dump: warning: odd");
    pg_lines_add(&l, "");
    pg_lines_report(&l, &host.ctx, "pg_dump", "shop");
    assert_int_equal(fakehost_count(&host, BAKE_WARNING, "shop", "'pg_dump' says: warning: odd"),
                     PG_LINES);
    assert_int_equal(fakehost_count(&host, BAKE_WARNING, "shop", "3 more lines"), 1);
    pg_lines_free(&l);
    fakehost_free(&host);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines),
        cmocka_unit_test(connections),
        cmocka_unit_test(failures),
        cmocka_unit_test(warnings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
