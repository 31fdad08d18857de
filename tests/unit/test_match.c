/* common/match: gitignore patterns, globs, and that no pattern takes for ever. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "match/gitignore.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

static bool ignored(const char *const *patterns, const char *path, bool is_dir)
{
    struct bkc_ignore *ig = NULL;
    size_t bad = 0;
    assert_int_equal(bkc_ignore_new(patterns, &ig, &bad), 0);
    bool ret = bkc_ignored(ig, path, is_dir);
    bkc_ignore_free(ig);
    return ret;
}

static bool one(const char *pattern, const char *path)
{
    return ignored((const char *const[]){pattern, NULL}, path, false);
}

struct pattern_case {
    const char *pattern, *path;
    bool is_dir, want;
};

static const struct pattern_case cases[] = {
    /* no slash: any depth, the last part alone */
    {"*.swp", "a.swp", false, true},
    {"*.swp", "etc/x/a.swp", false, true},
    {"*.swp", "etc/a.swp/b", false, false},
    {"*.swp", ".swp", false, true},
    {"*.swp", "swp", false, false},
    {"*", "a/b", false, true},
    {"core", "usr/lib/core", false, true},
    {"core", "usr/lib/cores", false, false},
    {"c?re", "core", false, true},
    {"c?re", "c/re", false, false},
    /* a slash anchors */
    {"/etc", "etc", true, true},
    {"/etc", "srv/etc", true, false},
    {"etc/ssl", "etc/ssl", true, true},
    {"etc/ssl", "x/etc/ssl", true, false},
    {"etc/*.conf", "etc/a.conf", false, true},
    {"etc/*.conf", "etc/a/b.conf", false, false},
    {"/*", "a", false, true},
    {"/*", "a/b", false, false},
    /* directories alone */
    {"cache/", "var/cache", true, true},
    {"cache/", "var/cache", false, false},
    {"var/cache/", "var/cache", true, true},
    {"var/cache/", "x/var/cache", true, false},
    /* ** */
    {"**/foo", "foo", false, true},
    {"**/foo", "a/b/foo", false, true},
    {"**/foo", "a/b/xfoo", false, false},
    {"**/foo/bar", "a/foo/bar", false, true},
    {"foo/**", "foo", true, false},
    {"foo/**", "foo/a/b", false, true},
    {"a/**/b", "a/b", false, true},
    {"a/**/b", "a/x/y/b", false, true},
    {"a/**/b", "ab", false, false},
    {"a/**/b", "a/xb", false, false},
    {"a/**/**/b", "a/b", false, true},
    {"**", "a/b/c", false, true},
    {"a/x**y", "a/xqqy", false, true},
    {"a/x**y", "a/xq/qy", false, false},
    {"/**/", "a/b", true, true},
    {"a/**/*.c", "a/x/y.h/z.c", false, true},
    {"a/**/b/*/c", "a/b/x/b/y/c", false, true},
    {"a/**/b*d/c", "a/bd/x/bxd/c", false, true},
    /* classes */
    {"[a-c]x", "bx", false, true},
    {"[a-c]x", "dx", false, false},
    {"[!a-c]x", "dx", false, true},
    {"[^a-c]x", "ax", false, false},
    {"[]x]", "]", false, true},
    {"[!]x]", "]", false, false},
    {"[a-]", "-", false, true},
    {"[--0]", ".", false, true},
    {"[\\]]", "]", false, true},
    {"[\\a-\\c]", "b", false, true},
    {"a[/]b", "a/b", false, false},
    {"a[!x]b", "a/b", false, false},
    {"[[:digit:]]", "7", false, true},
    {"[[:digit:]]", "x", false, false},
    {"[![:space:]]", "x", false, true},
    {"[[:alpha:]_]", "_", false, true},
    {"[[:]", ":", false, true},
    {"[[:a]", "[", false, true},
    {"[a-c-e]", "d", false, false},
    {"[z-a]", "m", false, false},
    {"[\x80-\xff]x", "\xe9x", false, true},
    {"?", "\xff", false, true},
    /* escapes and blanks */
    {"\\*", "*", false, true},
    {"\\*", "a", false, false},
    {"\\!x", "!x", false, true},
    {"#x#", "#x#", false, true},
    {"\\#x", "#x", false, true},
    {"x  ", "x", false, true},
    {"x\\ ", "x ", false, true},
    {"x\\\\ ", "x\\", false, true},
    {"x y", "x y", false, true},
    {"", "x", false, false},
    {"  ", "x", false, false},
};

static void test_patterns(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct pattern_case *c = &cases[i];
        bool got = ignored((const char *const[]){c->pattern, NULL}, c->path, c->is_dir);
        if (got != c->want)
            fail_msg("'%s' on '%s': %d", c->pattern, c->path, got);
    }
}

static void test_last_match_decides(void **state)
{
    (void)state;
    const char *const list[] = {"*.log", "!keep.log", "/var/*", "!/var/lib/", "keep.log.old", NULL};
    assert_true(ignored(list, "a/b.log", false));
    assert_false(ignored(list, "a/keep.log", false));
    assert_true(ignored(list, "var/x", false));
    assert_true(ignored(list, "var/lib", false));
    assert_false(ignored(list, "var/lib", true));
    assert_true(ignored(list, "keep.log.old", false));
    assert_false(ignored((const char *const[]){NULL}, "a", false));
}

static void test_unsound(void **state)
{
    (void)state;
    const char *const bad[] = {"[a", "!", "/", "a\\", "[[:nope:]]", "[", "x[a-", "[\\", "!/", "[]"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct bkc_ignore *ig = NULL;
        size_t at = 99;
        const char *const list[] = {"ok", bad[i], NULL};
        if (bkc_ignore_new(list, &ig, &at) != -1)
            fail_msg("'%s' was taken", bad[i]);
        assert_int_equal(at, 1);
        assert_null(ig);
    }
}

static void test_glob(void **state)
{
    (void)state;
    assert_true(bkc_glob("db/*", "db/x"));
    assert_false(bkc_glob("db/*", "db/x/y"));
    assert_true(bkc_glob("db/**", "db/x/y"));
    assert_true(bkc_glob("**/x", "x"));
    assert_true(bkc_glob("**/x", "a/b/x"));
    assert_true(bkc_glob("a**z", "a/b/z"));
    assert_false(bkc_glob("a*z", "a/b/z"));
    assert_true(bkc_glob("**", "a/b"));
    assert_true(bkc_glob("**.gz", "a/b.gz"));
    assert_false(bkc_glob("[x", "[x"));
    assert_false(bkc_glob("", "a"));
    assert_true(bkc_glob("", ""));
    assert_true(bkc_glob("volume:*", "volume:data"));
}

static void test_glob_beneath(void **state)
{
    (void)state;
    assert_true(bkc_glob_beneath("myapp", "myapp"));
    assert_true(bkc_glob_beneath("myapp", "myapp/db/dump.sql"));
    assert_true(bkc_glob_beneath("*/db", "myapp/db/dump.sql"));
    assert_true(bkc_glob_beneath("my*", "myapp/db/dump.sql"));
    assert_false(bkc_glob_beneath("myap", "myapp/db"));
    assert_false(bkc_glob_beneath("db", "myapp/db"));
    assert_true(bkc_glob_beneath("**/db", "myapp/db/x"));
    assert_false(bkc_glob_beneath("[", "["));
}

/* The classic killers: each would take ages with naive backtracking. */
static void test_bounded_time(void **state)
{
    (void)state;
    char text[20001];
    for (size_t i = 0; i < sizeof(text) - 1; i++)
        text[i] = i % 200 == 199 ? '/' : 'a';
    text[sizeof(text) - 1] = '\0';
    const char *const patterns[] = {"*a*a*a*a*a*a*a*a*a*a*a*a*b", "/**/a*a*a*a*a*a*a*b",
                                    "/**/*a/**/*a/**/*a/**/*a/**/b",
                                    "/**/a**a**a**a**/**/**/x*y*z"};
    clock_t start = clock();
    for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++)
        assert_false(one(patterns[i], text));
    assert_false(bkc_glob("**a**a**a**a**a**a*a*a*b", text));
    assert_true((clock() - start) / CLOCKS_PER_SEC < 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_patterns),     cmocka_unit_test(test_last_match_decides),
        cmocka_unit_test(test_unsound),      cmocka_unit_test(test_glob),
        cmocka_unit_test(test_glob_beneath), cmocka_unit_test(test_bounded_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
