/* Option tables applied to maps: values, defaults, JSON, schema. (Every message stands in
 * tests/config.) */
#include "config_testing.h"

#include "base/json.h"
#include "base/log.h"
#include "config/env.h"
#include "config/options.h"

struct cfg {
    int flag, mood;
    int64_t count;
    uint64_t room, pause;
    const char *text, *place, *secret;
    const char *const *words;
    const struct bake_path *paths;
};

#define AT(member, ctype) .offset = BAKE_MEMBER(struct cfg, member, ctype)

static const char *const moods[] = {"calm", "grumpy", NULL};

static const struct bake_option options[] = {
    {.key = "flag", .type = BAKE_T_BOOL, AT(flag, int), .help = "flag"},
    {.key = "mood", .type = BAKE_T_ENUM, AT(mood, int), .choices = moods, .fallback = "grumpy"},
    {.key = "count",
     .type = BAKE_T_INT,
     AT(count, int64_t),
     .flags = BAKE_OPT_HAS_RANGE,
     .min = INT64_MIN,
     .max = 10,
     .fallback = "-3"},
    {.key = "room", .type = BAKE_T_SIZE, AT(room, uint64_t), .fallback = "1 KiB"},
    {.key = "pause", .type = BAKE_T_DURATION, AT(pause, uint64_t), .fallback = "90s"},
    {.key = "text", .type = BAKE_T_STRING, AT(text, const char *)},
    {.key = "place", .type = BAKE_T_PATH, AT(place, const char *), .fallback = "sub/../x"},
    {.key = "secret", .type = BAKE_T_SECRET, AT(secret, const char *)},
    {.key = "words",
     .type = BAKE_T_STRLIST,
     AT(words, const char *const *),
     .fallback = "[one, two]"},
    {.key = "paths", .type = BAKE_T_PATHLIST, AT(paths, const struct bake_path *)},
    {0},
};

static const char *const also[] = {"plugin", "name", NULL};

struct fixture {
    struct cfg cfg;
    struct bk_optmem *mem;
    struct bk_diags *diags;
    struct bk_env *env;
    struct bk_yaml *yaml;
    struct bk_err err;
    struct bk_opt_job job;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    assert_int_equal(bk_optmem_new(&f->mem, &f->err), 0);
    assert_int_equal(bk_diags_new("t.yaml", &f->diags, &f->err), 0);
    assert_int_equal(bk_env_new(&f->env, &f->err), 0);
    f->job =
        (struct bk_opt_job){.options = options, .also = also, .what = "a test", .dir = "/base"};
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    bk_yaml_free(f->yaml);
    bk_env_free(f->env);
    bk_diags_free(f->diags);
    bk_optmem_free(f->mem);
    free(f);
    bk_mask_forget();
    return 0;
}

/* Applies the table to a text; the map. */
static const struct bk_node *apply(struct fixture *f, const char *text)
{
    bk_yaml_free(f->yaml);
    f->yaml = NULL;
    assert_int_equal(bk_yaml_parse(text, strlen(text), f->env, f->diags, &f->yaml, &f->err), 0);
    const struct bk_node *map = bk_yaml_root(f->yaml);
    memset(&f->cfg, 0, sizeof(f->cfg));
    assert_int_equal(bk_options_apply(&f->job, map, &f->cfg, f->mem, f->diags, &f->err), 0);
    return map;
}

static void test_defaults(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(bk_options_apply(&f->job, NULL, &f->cfg, f->mem, f->diags, &f->err), 0);
    assert_mistakes(f->diags, "");
    assert_int_equal(f->cfg.flag, 0);
    assert_int_equal(f->cfg.mood, 1);
    assert_int_equal(f->cfg.count, -3);
    assert_int_equal(f->cfg.room, 1024);
    assert_int_equal(f->cfg.pause, 90000);
    assert_null(f->cfg.text);
    assert_string_equal(f->cfg.place, "/base/x");
    assert_null(f->cfg.secret);
    assert_string_equal(f->cfg.words[0], "one");
    assert_string_equal(f->cfg.words[1], "two");
    assert_null(f->cfg.words[2]);
    assert_non_null(f->cfg.paths);
    assert_null(f->cfg.paths[0].path);
}

static void test_values(void **state)
{
    struct fixture *f = *state;
    apply(f, "{flag: On, mood: calm, count: -9223372036854775808, room: 1.5 KiB, pause: 1h30m,\n"
             "text: 0x10, place: ../y/./z/, secret: hush-hush, words: just-one,\n"
             "paths: [a/*, {path: /b//c, optional: yes}], plugin: p, name: n}\n");
    assert_mistakes(f->diags, "");
    assert_int_equal(f->cfg.flag, 1);
    assert_int_equal(f->cfg.mood, 0);
    assert_true(f->cfg.count == INT64_MIN);
    assert_int_equal(f->cfg.room, 1536);
    assert_int_equal(f->cfg.pause, 5400000);
    assert_string_equal(f->cfg.text, "0x10");
    assert_string_equal(f->cfg.place, "/y/z");
    assert_string_equal(f->cfg.secret, "hush-hush");
    assert_string_equal(f->cfg.words[0], "just-one");
    assert_null(f->cfg.words[1]);
    assert_string_equal(f->cfg.paths[0].path, "/base/a/*");
    assert_int_equal(f->cfg.paths[0].optional, 0);
    assert_string_equal(f->cfg.paths[1].path, "/b/c");
    assert_int_equal(f->cfg.paths[1].optional, 1);
    assert_null(f->cfg.paths[2].path);
}

/* What cfg points at does not belong to the tree. */
static void test_outlives_the_tree(void **state)
{
    struct fixture *f = *state;
    apply(f, "{text: abc, words: [d, e], paths: [/f], secret: ghijk}\n");
    bk_yaml_free(f->yaml);
    f->yaml = NULL;
    assert_string_equal(f->cfg.text, "abc");
    assert_string_equal(f->cfg.words[1], "e");
    assert_string_equal(f->cfg.paths[0].path, "/f");
    assert_string_equal(f->cfg.secret, "ghijk");
}

static void test_empty_is_absent(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(unsetenv("O_NONE"), 0);
    assert_int_equal(setenv("O_FIVE", "5", 1), 0);
    apply(f, "count: ${O_NONE:-}\nroom: \"${O_NONE:-}\"\ntext: ${O_NONE:-}\nmood: ${O_NONE:-}\n"
             "secret: '${O_NONE:-}'\nwords: ['${O_NONE:-}', x, '${O_FIVE}']\n"
             "paths: ['${O_NONE:-}']\n");
    assert_mistakes(f->diags, "");
    assert_int_equal(f->cfg.count, -3);
    assert_int_equal(f->cfg.room, 1024);
    assert_int_equal(f->cfg.mood, 1);
    assert_null(f->cfg.text);
    assert_null(f->cfg.secret);
    assert_string_equal(f->cfg.words[0], "x");
    assert_string_equal(f->cfg.words[1], "5");
    assert_null(f->cfg.paths[0].path);
    apply(f, "{count: \"${O_FIVE}\", text: ''}\n");
    assert_mistakes(f->diags, "");
    assert_int_equal(f->cfg.count, 5);
    assert_string_equal(f->cfg.text, "");
}

static void test_lists_after_mistakes(void **state)
{
    struct fixture *f = *state;
    apply(f, "{words: {a: b}, paths: [{optional: true}, /x]}\n");
    assert_int_equal(bk_diags_errors(f->diags), 2);
    assert_string_equal(f->cfg.words[0], "one");
    assert_string_equal(f->cfg.paths[0].path, "/x");
    assert_int_equal(f->cfg.paths[0].optional, 0);
    assert_null(f->cfg.paths[1].path);
}

static void test_partial(void **state)
{
    struct fixture *f = *state;
    f->job.partial = true;
    apply(f, "{count: 1, whatever: 2}\n");
    assert_mistakes(f->diags, "");
    f->job.partial = false;
    apply(f, "{count: 1, conut: 2, nme: 3}\n");
    assert_mistakes(f->diags,
                    "1:12: unknown option 'conut' for a test; did you mean 'count'? valid "
                    "options: flag, mood, count, room, pause, text, place, secret, secret_file, "
                    "words, paths, name\n"
                    "1:22: unknown option 'nme' for a test; did you mean 'name'? valid options: "
                    "flag, mood, count, room, pause, text, place, secret, secret_file, words, "
                    "paths, name\n");
}

static void test_wrong_default(void **state)
{
    struct fixture *f = *state;
    static const struct bake_option wrong[] = {
        {.key = "count", .type = BAKE_T_INT, AT(count, int64_t), .fallback = "three"}, {0}};
    f->job.options = wrong;
    apply(f, "{count: 1}\n");
    assert_mistakes(f->diags,
                    "1:1: the default of 'count' of a test is wrong: this is the plugin's "
                    "mistake\n");
}

static void secret_from(struct fixture *f, const char *content, size_t n, const char *wanted)
{
    struct scratch s;
    static const char *const names[] = {"pw", NULL};
    char text[200];
    scratch_make(&s);
    (void)snprintf(text, sizeof(text), "secret_file: %s\n", write_file(&s, "pw", 0440, content, n));
    apply(f, text);
    if (wanted)
        assert_string_equal(f->cfg.secret, wanted);
    else
        assert_null(f->cfg.secret);
    scratch_remove(&s, names);
}

static void test_secret_files(void **state)
{
    struct fixture *f = *state;
    secret_from(f, "hush-hush\n", 10, "hush-hush");
    secret_from(f, "hush-hush\r\n", 11, "hush-hush");
    secret_from(f, "hush-hush", 9, "hush-hush");
    secret_from(f, " two\nlines\n\n", 12, " two\nlines\n");
    secret_from(f, "\xff\xfe raw", 6, "\xff\xfe raw");
    assert_mistakes(f->diags, "");
    char *masked = bk_mask("it is hush-hush");
    assert_string_equal(masked, "it is ***");
    free(masked);
    secret_from(f, "\n", 1, NULL);
    secret_from(f, "a\0b", 3, NULL);
    assert_int_equal(bk_diags_errors(f->diags), 2);
}

static void test_json(void **state)
{
    struct fixture *f = *state;
    struct bk_buf b = BK_BUF_INIT;
    const struct bk_node *map = apply(
        f, "{flag: true, mood: grumpy, count: 7, room: 2 MiB, pause: 36h, text: not hush-hush,"
           "secret: hush-hush, words: [a], paths: [x, {path: /y, optional: true}]}\n");
    json_t *json = bk_options_json(options, &f->cfg, map);
    assert_non_null(json);
    assert_int_equal(bk_json_text(json, 0, &b, &f->err), 0);
    json_t *got = json_loads(b.data, 0, NULL);
    json_t *wanted = json_loads("{\"flag\": true, \"mood\": \"grumpy\", \"count\": 7, \"room\": "
                                "2097152, \"pause\": \"36h\","
                                "\"text\": \"not ***\", \"secret\": \"***\", \"words\": [\"a\"],"
                                "\"paths\": [\"/base/x\", {\"path\": \"/y\", \"optional\": true}]}",
                                0, NULL);
    assert_true(json_equal(got, wanted));
    json_decref(json);
    json_decref(got);
    json_decref(wanted);
    bk_buf_free(&b);
}

static void test_json_all_or_given(void **state)
{
    struct fixture *f = *state;
    const struct bk_node *map = apply(f, "{count: 7}\n");
    json_t *json = bk_options_json(options, &f->cfg, map);
    assert_int_equal(json_object_size(json), 1);
    json_decref(json);
    json = bk_options_json(options, &f->cfg, NULL);
    assert_int_equal(json_object_size(json), 8); /* all but text and secret, which are absent */
    assert_string_equal(json_string_value(json_object_get(json, "pause")), "90s");
    json_decref(json);
}

static void test_schema(void **state)
{
    (void)state;
    json_t *schema = bk_options_schema(options, also);
    assert_non_null(schema);
    const json_t *properties = json_object_get(schema, "properties");
    assert_int_equal(json_object_size(properties), 13);
    assert_true(json_is_false(json_object_get(schema, "additionalProperties")));
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(properties, "count"), "default")), -3);
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(properties, "flag"), "description")),
        "flag");
    assert_non_null(json_object_get(properties, "secret_file"));
    json_decref(schema);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_defaults),      CASE(test_values),
        CASE(test_json),          CASE(test_outlives_the_tree),
        CASE(test_partial),       CASE(test_empty_is_absent),
        CASE(test_wrong_default), CASE(test_lists_after_mistakes),
        CASE(test_secret_files),  CASE(test_json_all_or_given),
        CASE(test_schema),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
