/* Where plugins are looked for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "plugin/search.h"
#include <stdlib.h>

static void list_is_split(void **state)
{
    (void)state;
    struct bk_strv dirs = {0};
    struct bk_err err = {0};
    assert_int_equal(bk_search_add_list(&dirs, "/opt/a:/opt/b/../c/:/opt//a", &err), 0);
    assert_int_equal(dirs.n, 2);
    assert_string_equal(dirs.items[0], "/opt/a");
    assert_string_equal(dirs.items[1], "/opt/c");
    bk_strv_free(&dirs);
}

static void refused(const char *value, const char *text)
{
    struct bk_strv dirs = {0};
    struct bk_err err = {0};
    assert_int_equal(bk_search_add_list(&dirs, value, &err), BAKE_E_CONFIG);
    assert_string_equal(err.text, text);
    assert_true(err.hint[0] != '\0');
    bk_strv_free(&dirs);
}

static void empty_and_relative_items_are_refused(void **state)
{
    (void)state;
    refused("", "BAKENGINE_PLUGIN_PATH has an empty item");
    refused("/opt/a:", "BAKENGINE_PLUGIN_PATH has an empty item");
    refused(":/opt/a", "BAKENGINE_PLUGIN_PATH has an empty item");
    refused("/opt/a::/opt/b", "BAKENGINE_PLUGIN_PATH has an empty item");
    refused("plugins", "BAKENGINE_PLUGIN_PATH has the relative path 'plugins'");
    refused("/opt/a:./b", "BAKENGINE_PLUGIN_PATH has the relative path './b'");
}

static void variable_comes_first(void **state)
{
    (void)state;
    struct bk_strv dirs = {0};
    struct bk_err err = {0};
    assert_int_equal(setenv("BAKENGINE_PLUGIN_PATH", "/opt/mine", 1), 0);
    assert_int_equal(bk_search_dirs(&dirs, &err), 0);
    assert_true(dirs.n >= 2); /* and beside the test program */
    assert_string_equal(dirs.items[0], "/opt/mine");
    assert_true(bk_ends(dirs.items[1], "/lib/bakengine/plugins"));
    bk_strv_free(&dirs);
    assert_int_equal(setenv("BAKENGINE_PLUGIN_PATH", "mine", 1), 0);
    assert_int_equal(bk_search_dirs(&dirs, &err), BAKE_E_CONFIG);
    bk_strv_free(&dirs);
    assert_int_equal(unsetenv("BAKENGINE_PLUGIN_PATH"), 0);
}

static void beside(const char *libdir, size_t n, const char *last)
{
    struct bk_strv dirs = {0};
    struct bk_err err = {0};
    assert_int_equal(bk_search_add_beside(&dirs, "/opt/x/bin/bakengine", libdir, &err), 0);
    assert_int_equal(dirs.n, n);
    assert_string_equal(dirs.items[0], "/opt/x/lib/bakengine/plugins");
    assert_string_equal(dirs.items[n - 1], last);
    bk_strv_free(&dirs);
}

static void beside_the_program(void **state)
{
    (void)state;
    beside("lib", 1, "/opt/x/lib/bakengine/plugins");
    beside("lib/x86_64-linux-gnu", 2, "/opt/x/lib/x86_64-linux-gnu/bakengine/plugins");
    beside("/usr/lib64", 2, "/usr/lib64/bakengine/plugins");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(list_is_split),
        cmocka_unit_test(empty_and_relative_items_are_refused),
        cmocka_unit_test(variable_comes_first),
        cmocka_unit_test(beside_the_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
