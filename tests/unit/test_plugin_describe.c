/* What `bakengine plugins NAME` says of a plugin. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/json.h"
#include "plugin/describe.h"
#include <string.h>

static const char *const modes[] = {"fast", "small", NULL};

static struct bake_option options[] = {
    {.key = "paths", .type = BAKE_T_PATHLIST, .flags = BAKE_OPT_REQUIRED, .help = "What to keep."},
    {.key = "level",
     .type = BAKE_T_INT,
     .flags = BAKE_OPT_HAS_RANGE,
     .fallback = "3",
     .min = -7,
     .max = 22,
     .help = "How hard to try."},
    {.key = "block",
     .type = BAKE_T_SIZE,
     .flags = BAKE_OPT_HAS_RANGE,
     .fallback = "1 MiB",
     .min = 1000,
     .max = 67108864,
     .help = "Bytes at once."},
    {.key = "wait",
     .type = BAKE_T_DURATION,
     .flags = BAKE_OPT_HAS_RANGE,
     .fallback = "90s",
     .min = 1,
     .max = 3600000,
     .help = "How long to wait."},
    {.key = "sync", .type = BAKE_T_BOOL, .fallback = "yes", .help = "Whether to be safe."},
    {.key = "mode", .type = BAKE_T_ENUM, .fallback = "small", .choices = modes, .help = "Which."},
    {.key = "password", .type = BAKE_T_SECRET, .help = "The password."},
    {.key = "old",
     .type = BAKE_T_STRING,
     .flags = BAKE_OPT_DEPRECATED,
     .help = "Use 'mode' instead."},
    {0},
};

static struct bk_plugin plugin = {
    .desc = {.name = "demo", .version = "1.2", .summary = "Shows everything"},
    .kind = BK_SOURCE,
    .full_name = (char *)(uintptr_t) "source-demo",
    .file = (char *)(uintptr_t) "/p/source-demo.so",
    .options = options,
};

static const char expected[] = "source-demo 1.2\n"
                               "  Shows everything\n"
                               "  file: /p/source-demo.so\n"
                               "  restores to a directory only (restore --target)\n"
                               "\n"
                               "Options:\n"
                               "\n"
                               "  paths  (list of paths, required)\n"
                               "      What to keep.\n"
                               "\n"
                               "  level  (integer, -7 to 22, default: 3)\n"
                               "      How hard to try.\n"
                               "\n"
                               "  block  (size, 1000 to 64 MiB, default: 1 MiB)\n"
                               "      Bytes at once.\n"
                               "\n"
                               "  wait  (duration, 1ms to 1h, default: 90s)\n"
                               "      How long to wait.\n"
                               "\n"
                               "  sync  (bool, default: yes)\n"
                               "      Whether to be safe.\n"
                               "\n"
                               "  mode  (choice: fast | small, default: small)\n"
                               "      Which.\n"
                               "\n"
                               "  password  (secret)\n"
                               "      The password.\n"
                               "      Or 'password_file': the path of a file that holds it.\n"
                               "\n"
                               "  old  (string, deprecated)\n"
                               "      Use 'mode' instead.\n";

static void for_people(void **state)
{
    (void)state;
    struct bk_buf b = BK_BUF_INIT;
    struct bk_err err = {0};
    assert_int_equal(bk_describe_text(&plugin, &b, &err), 0);
    assert_string_equal(b.data, expected);
    bk_buf_free(&b);
}

static void without_options(void **state)
{
    (void)state;
    struct bk_plugin bare = plugin;
    struct bake_option none[] = {{0}};
    struct bk_buf b = BK_BUF_INIT;
    struct bk_err err = {0};
    bare.options = none;
    bare.kind = BK_SINK;
    bare.desc.summary = "";
    assert_int_equal(bk_describe_text(&bare, &b, &err), 0);
    assert_string_equal(b.data,
                        "source-demo 1.2\n  file: /p/source-demo.so\n\nIt has no options.\n");
    bk_buf_free(&b);
    json_t *j = bk_describe_json(&bare);
    assert_int_equal(json_array_size(json_object_get(j, "options")), 0);
    json_decref(j);
}

static const json_t *option(const json_t *j, size_t i, const char *key)
{
    const json_t *o = json_array_get(json_object_get(j, "options"), i);
    assert_string_equal(json_string_value(json_object_get(o, "key")), key);
    assert_int_equal(json_object_size(o), 9);
    return o;
}

static void for_programs(void **state)
{
    (void)state;
    json_t *j = bk_describe_json(&plugin);
    assert_non_null(j);
    assert_string_equal(json_string_value(json_object_get(j, "name")), "demo");
    assert_string_equal(json_string_value(json_object_get(j, "kind")), "source");
    assert_string_equal(json_string_value(json_object_get(j, "version")), "1.2");
    assert_string_equal(json_string_value(json_object_get(j, "summary")), "Shows everything");
    assert_string_equal(json_string_value(json_object_get(j, "file")), "/p/source-demo.so");
    const json_t *o = option(j, 0, "paths");
    assert_true(json_is_true(json_object_get(o, "required")));
    assert_true(json_is_null(json_object_get(o, "default")));
    assert_true(json_is_null(json_object_get(o, "min")));
    assert_true(json_is_null(json_object_get(o, "choices")));
    o = option(j, 1, "level");
    assert_true(json_is_false(json_object_get(o, "required")));
    assert_int_equal(json_integer_value(json_object_get(o, "default")), 3);
    assert_int_equal(json_integer_value(json_object_get(o, "min")), -7);
    assert_int_equal(json_integer_value(json_object_get(o, "max")), 22);
    o = option(j, 2, "block");
    assert_string_equal(json_string_value(json_object_get(o, "default")), "1 MiB");
    assert_string_equal(json_string_value(json_object_get(o, "type")), "size");
    assert_true(json_is_true(json_object_get(option(j, 4, "sync"), "default")));
    o = option(j, 5, "mode");
    assert_int_equal(json_array_size(json_object_get(o, "choices")), 2);
    assert_string_equal(json_string_value(json_array_get(json_object_get(o, "choices"), 1)),
                        "small");
    assert_true(json_is_true(json_object_get(option(j, 7, "old"), "deprecated")));
    json_decref(j);
}

static void every_type_has_a_name(void **state)
{
    (void)state;
    for (uint32_t t = BAKE_T_BOOL; t <= BAKE_T_PATHLIST; t++)
        assert_string_not_equal(bk_type_name(t), "unknown type");
    assert_string_equal(bk_type_name(0), "unknown type");
    assert_string_equal(bk_type_name(1000), "unknown type");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(for_people),
        cmocka_unit_test(without_options),
        cmocka_unit_test(for_programs),
        cmocka_unit_test(every_type_has_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
