/* base/path: joining, normal forms, and what may not leave a directory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/path.h"
#include "base/str.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void join(void **state)
{
    (void)state;
    static const char *const cases[][3] = {{"/a", "b", "/a/b"},
                                           {"/a/", "/b", "/b"},
                                           {"a", "b/c", "a/b/c"},
                                           {"", "b", "b"},
                                           {"", "", "."},
                                           {".", ".", "."},
                                           {"", "../x", "../x"},
                                           {"/", "", "/"},
                                           {"/", "..", "/"},
                                           {"/", "../../a", "/a"},
                                           {"/a//b/./c", ".", "/a/b/c"},
                                           {"/a/b", "../c", "/a/c"},
                                           {"/a/b", "../../..", "/"},
                                           {"a/b", "../..", "."},
                                           {"a/b", "../../..", ".."},
                                           {"a", "../../../b", "../../b"},
                                           {"..", "..", "../.."},
                                           {"..", "a/..", ".."},
                                           {"../a", "..", ".."},
                                           {"...", "..", "."},
                                           {"..a", "..", "."},
                                           {"a..", "..", "."},
                                           {"/a", "b/", "/a/b"},
                                           {"//", "//x//", "/x"},
                                           {"a", "...", "a/..."},
                                           {"a b", "\xff", "a b/\xff"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *p = bk_path_join(cases[i][0], cases[i][1]);
        if (!bk_streq(p, cases[i][2]))
            fail_msg("'%s' and '%s' gave '%s'", cases[i][0], cases[i][1], p ? p : "nothing");
        /* normal already: joining changes it no more */
        char *again = bk_path_join(p, ".");
        assert_string_equal(again, p);
        free(again);
        free(p);
    }
}

static void absolute(void **state)
{
    (void)state;
    assert_int_equal(chdir("/usr"), 0);
    static const char *const cases[][2] = {{"x", "/usr/x"}, {"", "/usr"},      {".", "/usr"},
                                           {"../x", "/x"},  {"/a/../b", "/b"}, {"../../..", "/"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *p = bk_path_absolute(cases[i][0]);
        assert_string_equal(p, cases[i][1]);
        free(p);
    }
}

static void parts(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {"a/b", "a", "b"},   {"b", ".", "b"},          {"/b", "/", "b"},   {"/", "/", "/"},
        {"", ".", ""},       {"/a/b/c", "/a/b", "c"},  {"a//b", "a", "b"}, {"//b", "/", "b"},
        {"../b", "..", "b"}, {"a.b/c.d", "a.b", "c.d"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *dir = bk_path_dir(cases[i][0]);
        assert_string_equal(dir, cases[i][1]);
        assert_string_equal(bk_path_base(cases[i][0]), cases[i][2]);
        free(dir);
    }
    char *dir = bk_path_dir("a/b/");
    assert_string_equal(dir, "a");
    free(dir);
}

static void inside(void **state)
{
    (void)state;
    static const char *const good[] = {"a", "a/b", "...", "..a", "a..", ".a/b.", "a b/\xff"};
    static const char *const bad[] = {"",    "/",   "/a",   ".",    "..",     "a/",    "a//b",
                                      "./a", "a/.", "../a", "a/..", "a/../b", "a/./b", "//"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(bk_path_inside(good[i]));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(bk_path_inside(bad[i]));
        assert_false(bk_name_ok(bad[i]));
    }
}

static void names(void **state)
{
    (void)state;
    static const char turned[] = {'\xe2', '\x80', '\xae', '\0'}; /* right to left */
    static const char *const good[] = {"a", "db/database/pg_dumpall.sql", "\xc3\xa9t\xc3\xa9",
                                       "a b", "a:b*?[x]"};
    static const char *const bad[] = {"a\nb", "a\\b",     "\x7f", "a/\x1b[0m",
                                      "\xff", "\xc2\x9b", turned, "a\xc3"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(bk_name_ok(good[i]));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(bk_name_ok(bad[i]));

    char name[600];
    memset(name, 'a', sizeof(name));
    name[200] = '\0';
    assert_true(bk_name_ok(name));
    name[200] = 'a';
    name[201] = '\0';
    assert_false(bk_name_ok(name));
    name[200] = '/'; /* 200 + 1 + 200 + 1 + 110 = 512 */
    name[201] = 'a';
    name[401] = '/';
    name[512] = '\0';
    assert_true(bk_name_ok(name));
    name[512] = 'a';
    name[513] = '\0';
    assert_false(bk_name_ok(name));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(join), cmocka_unit_test(absolute),
                                       cmocka_unit_test(parts), cmocka_unit_test(inside),
                                       cmocka_unit_test(names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
