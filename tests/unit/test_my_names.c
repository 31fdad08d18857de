/* Names of databases in components, of binary logs; what is left out; what grants cover. */
#include "binlog.h"
#include "catalog.h"
#include "rights.h"
#include "users.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void components(void **state)
{
    static const char *const list[][2] = {
        {"shop", "shop"},
        {"a.b-c_D9", "a.b-c_D9"},
        {"\"; drop", "%22%3B%20drop"},
        {".hidden", "%2Ehidden"},
        {"..", "%2E."},
        {"users", "%75sers"},
        {"users2", "users2"},
        {"\xc3\xa9", "%C3%A9"},
        {"50%", "50%25"},
        {"a/b", "a%2Fb"},
        {"", ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        char *safe = my_safe_name(list[i][0]);
        assert_string_equal(safe, list[i][1]);
        char *back = my_true_name(safe);
        assert_string_equal(back, list[i][0]);
        free(back);
        free(safe);
    }
    char *name = my_true_name("shop%2E.sql");
    assert_string_equal(name, "shop.");
    free(name);
    static const char *const none[] = {"%", "%2", "%zz", "%2e", "a%00b", "x%-0123456789ABCDEF"};
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
        assert_null(my_true_name(none[i]));
}

/* As a file in a store, '%' takes three bytes: names stay short enough, and apart. */
static void long_names(void **state)
{
    char a[300], b[300];
    (void)state;
    for (size_t n = 1; n < 290; n++) {
        memset(a, n % 2 ? '"' : 'x', n);
        a[n] = '\0';
        memcpy(b, a, n + 1);
        b[n - 1] = 'y';
        char *x = my_safe_name(a), *y = my_safe_name(b);
        size_t stored = 0;
        for (const char *p = x; *p; p++)
            stored += *p == '%' ? 3 : 1;
        assert_true(stored <= 200);
        assert_string_not_equal(x, y);
        char *back = my_true_name(x);
        if (back)
            assert_string_equal(back, a);
        else
            assert_non_null(strstr(x, "%-"));
        free(back);
        free(x);
        free(y);
    }
}

static void excluded(void **state)
{
    const char *const globs[] = {"log_*", "shop.t?", "wiki.b.c", NULL};
    struct my_config cfg = {.exclude_tables = globs};
    (void)state;
    assert_true(my_excluded(&cfg, "any", "log_1"));
    assert_true(my_excluded(&cfg, "shop", "t1"));
    assert_false(my_excluded(&cfg, "other", "t1"));
    assert_true(my_excluded(&cfg, "wiki", "b.c"));
    assert_false(my_excluded(&cfg, "wiki", "b"));
    assert_false(my_excluded(&(struct my_config){0}, "wiki", "b"));
}

static void grants(void **state)
{
    static const struct {
        const char *line, *right, *database;
        bool covers;
    } list[] = {
        {"GRANT ALL PRIVILEGES ON *.* TO `a`@`%` WITH GRANT OPTION", "EVENT", "x", true},
        {"GRANT SELECT, EVENT, TRIGGER ON *.* TO `a`@`%`", "EVENT", "x", true},
        {"GRANT SELECT, EVENT, TRIGGER ON *.* TO `a`@`%`", "VENT", "x", false},
        {"GRANT SELECT ON *.* TO `a`@`%`", "EVENT", "x", false},
        {"GRANT EVENT ON `x`.* TO `a`@`%`", "EVENT", "x", true},
        {"GRANT EVENT ON `x`.* TO `a`@`%`", "EVENT", "y", false},
        {"GRANT EVENT ON `s\\_p`.* TO `a`@`%`", "EVENT", "s_p", true},
        {"GRANT EVENT ON `s\\_p`.* TO `a`@`%`", "EVENT", "sxp", false},
        {"GRANT EVENT ON `s_%`.* TO `a`@`%`", "EVENT", "sx", true},
        {"GRANT EVENT ON `s_%`.* TO `a`@`%`", "EVENT", "s", false},
        {"GRANT EVENT ON `%b%`.* TO `a`@`%`", "EVENT", "abc", true},
        {"GRANT EVENT ON `a``b`.* TO `a`@`%`", "EVENT", "a`b", true},
        {"GRANT TRIGGER ON `x`.`t` TO `a`@`%`", "TRIGGER", "x", false},
        {"GRANT `r ON ``` TO `a`@`%`", "EVENT", "x", false},
        {"GRANT USAGE ON *.* TO `a`@`%` IDENTIFIED BY PASSWORD 'EVENT ON *.*'", "EVENT", "x",
         false},
        {"SET DEFAULT ROLE `r` FOR `a`@`%`", "EVENT", "x", false},
        {"GRANT EVENT ON `x", "EVENT", "x", false},
        {"", "EVENT", "x", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
        if (my_grant_covers(list[i].line, list[i].right, list[i].database) != list[i].covers)
            fail_msg("%s: %s on %s", list[i].line, list[i].right, list[i].database);
}

/* Statements of users.sql: without passwords, and of one grantee. */
static void statements(void **state)
{
    static const char *const list[][3] = {
        {"GRANT SELECT ON *.* TO `u`@`%` IDENTIFIED BY PASSWORD '*AB' REQUIRE SSL WITH GRANT "
         "OPTION "
         "MAX_QUERIES_PER_HOUR 5",
         "`u`@`%`", "GRANT SELECT ON *.* TO `u`@`%` WITH GRANT OPTION"},
        {"GRANT USAGE ON *.* TO `u`@`%` IDENTIFIED VIA x USING ' WITH GRANT OPTION'", "`u`@`%`",
         "GRANT USAGE ON *.* TO `u`@`%`"},
        {"GRANT `r` TO `u`@`%` WITH ADMIN OPTION", "`u`@`%`",
         "GRANT `r` TO `u`@`%` WITH ADMIN OPTION"},
        {"GRANT `a TO ``b` TO `u`@`%`", "`u`@`%`", "GRANT `a TO ``b` TO `u`@`%`"},
        {"GRANT INSERT ON `d`.* TO `r2`", "`r1`", ""},
        {"GRANT INSERT ON `d`.* TO `r2x`", "`r2`", ""},
        {"GRANT SELECT ON `d`.* TO PUBLIC", "PUBLIC", "GRANT SELECT ON `d`.* TO PUBLIC"},
        {"SET DEFAULT ROLE `r` FOR `u`@`%`", "`u`@`%`", "SET DEFAULT ROLE `r` FOR `u`@`%`"},
        {"REVOKE ALL", "`u`@`%`", ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        char *got = my_users_grant(list[i][0], list[i][1]);
        assert_string_equal(got, list[i][2]);
        free(got);
    }
}

static void binlogs(void **state)
{
    (void)state;
    assert_true(my_binlog_name("binlog.000001"));
    assert_true(my_binlog_name("my-bin.1000000"));
    static const char *const bad[] = {
        "binlog", "binlog.", "a/b.000001", "binlog.00000x", "binlog.0 01", ".b.000001", ""};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(my_binlog_name(bad[i]));
    assert_true(my_binlog_compare("b.000002", "b.000010") < 0);
    assert_true(my_binlog_compare("b.999999", "b.1000000") < 0);
    assert_true(my_binlog_compare("b.000011", "b.000010") > 0);
    assert_int_equal(my_binlog_compare("b.000010", "b.000010"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(components), cmocka_unit_test(long_names), cmocka_unit_test(excluded),
        cmocka_unit_test(grants),     cmocka_unit_test(statements), cmocka_unit_test(binlogs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
