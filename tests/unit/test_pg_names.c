/* Names of databases: as components and back, and the globs that choose them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "catalog.h"
#include <stdlib.h>
#include <string.h>

static void safe_names(void **state)
{
    (void)state;
    static const char *const list[][2] = {
        {"shop", "shop"},         {"a-b_c.d", "a-b_c.d"},   {"\"; drop", "%22%3B%20drop"},
        {".hidden", "%2Ehidden"}, {"..", "%2E."},           {"a=b", "a%3Db"},
        {"a/b", "a%2Fb"},         {"100%", "100%25"},       {"new\nline", "new%0Aline"},
        {"\xd0\xb6", "%D0%B6"},   {"globals", "%67lobals"}, /* globals.sql is something else */
        {"globals2", "globals2"}, {"base", "base"},
    };
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        char *safe = pg_safe_name(list[i][0]), component[100];
        assert_string_equal(safe, list[i][1]);
        (void)snprintf(component, sizeof(component), "%s%s", safe, i % 2 ? ".sql" : ".dump");
        char *again = pg_true_name(component);
        assert_string_equal(again, list[i][0]);
        free(safe);
        free(again);
    }
}

static void every_byte(void **state)
{
    (void)state;
    char name[256];
    for (int i = 1; i < 256; i++)
        name[i - 1] = (char)i;
    name[255] = '\0';
    char *safe = pg_safe_name(name), component[1024];
    (void)snprintf(component, sizeof(component), "%s.sql", safe);
    char *again = pg_true_name(component);
    assert_string_equal(again, name);
    for (const char *p = safe; *p; p++)
        assert_true(*p > ' ' && *p < 127 && *p != '/');
    free(safe);
    free(again);
}

static void no_names(void **state)
{
    (void)state;
    static const char *const list[] = {"shop",    "shop.txt", ".sql",     ".dump",    "a%.sql",
                                       "a%2.sql", "a%2g.sql", "a%00.sql", "a%2f.sql", "a b.sql",
                                       "%61.sql", ".a.sql",   "a/b.sql",  "",         "%.dump"};
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
        assert_null(pg_true_name(list[i]));
}

static void globs(void **state)
{
    (void)state;
    static const char *const list[] = {"shop", "app_*", "x[12]", NULL};
    static const char *const none[] = {NULL};
    assert_true(pg_glob_any(list, "shop"));
    assert_true(pg_glob_any(list, "app_"));
    assert_true(pg_glob_any(list, "app_a/b"));
    assert_true(pg_glob_any(list, "x2"));
    assert_false(pg_glob_any(list, "shop2"));
    assert_false(pg_glob_any(list, "x3"));
    assert_false(pg_glob_any(list, ""));
    assert_false(pg_glob_any(none, "shop"));
    assert_false(pg_glob_any(NULL, "shop"));
    assert_true(pg_glob("*", "a/b"));
    assert_true(pg_glob("?", "/"));
    assert_true(pg_glob("a/b", "a/b"));
    assert_true(pg_glob("\\*", "*"));
    assert_false(pg_glob("\\*", "a"));
    assert_true(pg_glob_names(list, "shop"));
    assert_false(pg_glob_names(list, "app_x"));
    assert_false(pg_glob_names(list, "app_*")); /* a glob names nothing */
    assert_false(pg_glob_names(NULL, "shop"));
}

static void lists(void **state)
{
    (void)state;
    char a[] = "a.sql", b[] = "b.sql";
    struct pg_database items[] = {{.component = a}, {.component = b}};
    const struct pg_list l = {.items = items, .n = 2};
    assert_ptr_equal(pg_list_find(&l, "b.sql"), &items[1]);
    assert_null(pg_list_find(&l, "c.sql"));
    assert_null(pg_list_find(NULL, "a.sql"));
    pg_list_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(safe_names), cmocka_unit_test(every_byte), cmocka_unit_test(no_names),
        cmocka_unit_test(globs),      cmocka_unit_test(lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
