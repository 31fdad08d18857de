/* ${...} in values. */
#include "config_testing.h"

#include "base/log.h"
#include "config/env.h"
#include "config/yaml.h"

static struct bk_env *env;

static int setup(void **state)
{
    (void)state;
    struct bk_err err = {0};
    assert_int_equal(setenv("F_A", "alpha", 1), 0);
    assert_int_equal(setenv("F_EMPTY", "", 1), 0);
    assert_int_equal(setenv("F_N", "5", 1), 0);
    assert_int_equal(setenv("F_INJECT", "x, y: [1]\n- ${F_A}", 1), 0);
    assert_int_equal(setenv("F_RAW", "\xff", 1), 0);
    assert_int_equal(setenv("F_TOKEN", "correct-horse", 1), 0);
    assert_int_equal(unsetenv("F_UNSET"), 0);
    return bk_env_new(&env, &err);
}

static int teardown(void **state)
{
    (void)state;
    bk_env_free(env);
    bk_mask_forget();
    return 0;
}

struct filled {
    struct bk_diags *diags;
    struct bk_yaml *yaml;
    const struct bk_node *value; /* of the key v */
};

static void fill(struct filled *f, const char *text)
{
    struct bk_err err = {0};
    assert_int_equal(bk_diags_new("t.yaml", &f->diags, &err), 0);
    assert_int_equal(bk_yaml_parse(text, strlen(text), env, f->diags, &f->yaml, &err), 0);
    assert_non_null(bk_yaml_root(f->yaml));
    f->value = bk_map_get(bk_yaml_root(f->yaml), "v", NULL);
    assert_non_null(f->value);
}

static void drop(struct filled *f)
{
    bk_yaml_free(f->yaml);
    bk_diags_free(f->diags);
}

static void becomes(const char *text, const char *wanted)
{
    struct filled f;
    fill(&f, text);
    assert_mistakes(f.diags, "");
    assert_string_equal(f.value->text, wanted);
    assert_false(f.value->bad);
    drop(&f);
}

static void fails(const char *text, const char *wanted)
{
    struct filled f;
    fill(&f, text);
    assert_true(f.value->bad);
    assert_mistakes(f.diags, wanted);
    drop(&f);
}

static void test_values(void **state)
{
    (void)state;
    becomes("v: ${F_A}\n", "alpha");
    becomes("v: x${F_A}y${F_N}\n", "xalphay5");
    becomes("v: '${F_A}'\n", "alpha");
    becomes("v: \"${F_A}\"\n", "alpha");
    becomes("v: |\n  ${F_A}\n", "alpha\n");
    becomes("v: ${F_EMPTY}\n", "");
    becomes("v: ${F_EMPTY:-d}\n", "d");
    becomes("v: ${F_UNSET:-d e}\n", "d e");
    becomes("v: ${F_UNSET:-}\n", "");
    becomes("v: ${F_A:-d}\n", "alpha");
    becomes("v: ${F_UNSET:-${F_UNSET:-${F_N}}}!\n", "5!");
    becomes("v: ${F_UNSET:-a:-b}\n", "a:-b");
    becomes("v: ${F_INJECT}\n", "x, y: [1]\n- ${F_A}");
}

static void test_dollars(void **state)
{
    (void)state;
    becomes("v: $F_A\n", "$F_A");
    becomes("v: 5$\n", "5$");
    becomes("v: $$\n", "$");
    becomes("v: $$$$\n", "$$");
    becomes("v: $${F_A}\n", "${F_A}");
    becomes("v: $$${F_A}\n", "$alpha");
    becomes("v: $(id)\n", "$(id)");
    becomes("v: ${F_UNSET:-$$}\n", "$");
    becomes("v: ${F_UNSET:-$${x}}\n", "${x}");
}

static void test_mistakes(void **state)
{
    (void)state;
    const char *how = " is not understood; write ${NAME} or ${NAME:-default}, and '$$' for a '$'\n";
    static const char *const wrong[] = {"${",     "${F_A",    "${}",       "${1}",
                                        "${F A}", "${F_A-x}", "${F_A:?x}", "${F_A:=x}",
                                        "${-x}",  "${F_A:x}", "${${F_A}}"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        char text[64], wanted[256];
        (void)snprintf(text, sizeof(text), "k: 1\nv: \"%s\"\n", wrong[i]);
        (void)snprintf(wanted, sizeof(wanted), "2:4: '%s'%s", wrong[i], how);
        fails(text, wanted);
    }
    fails("v: ${F_UNSET}\n", "1:4: '${F_UNSET}' is not set; set it in the environment or env_file, "
                             "or write '${F_UNSET:-default}'\n");
    fails("v: ${F_RAW}\n", "1:4: the value of '${F_RAW}' is not UTF-8\n");
}

static void test_nesting(void **state)
{
    (void)state;
    struct bk_buf b = BK_BUF_INIT;
    (void)bk_buf_str(&b, "v: ");
    for (int i = 0; i < 20; i++)
        (void)bk_buf_str(&b, "${F_UNSET:-");
    for (int i = 0; i < 20; i++)
        (void)bk_buf_char(&b, '}');
    fails(b.data, "1:4: more than 16 '${...}' within each other\n");
    bk_buf_free(&b);
}

static void test_flags(void **state)
{
    (void)state;
    struct filled f;
    fill(&f, "v: '${F_N}'\nw: '5'\n");
    assert_true(f.value->filled);
    assert_true(f.value->quoted);
    assert_false(bk_map_get(bk_yaml_root(f.yaml), "w", NULL)->filled);
    drop(&f);
    fill(&f, "v: ${F_EMPTY}\n");
    assert_true(bk_node_is_null(f.value));
    drop(&f);
}

static void test_aliases_and_keys(void **state)
{
    (void)state;
    struct filled f;
    fill(&f, "a: &x ${F_A}\nv: *x\n${F_A}: key\nm: &m {k: '${F_N}'}\nn: *m\no: {<<: *m}\n");
    const struct bk_node *root = bk_yaml_root(f.yaml);
    assert_string_equal(f.value->text, "alpha");
    assert_non_null(bk_map_get(root, "${F_A}", NULL));
    assert_string_equal(bk_map_get(bk_map_get(root, "n", NULL), "k", NULL)->text, "5");
    assert_string_equal(bk_map_get(bk_map_get(root, "o", NULL), "k", NULL)->text, "5");
    drop(&f);
    /* once for each place, however often it is used */
    fill(&f, "a: &x [\"${F_UNSET}\"]\nv: *x\nw: *x\n");
    assert_int_equal(bk_diags_errors(f.diags), 1);
    drop(&f);
}

static void test_in_steps(void **state)
{
    (void)state;
    struct bk_err err = {0};
    struct bk_diags *diags = NULL;
    struct bk_yaml *yaml = NULL;
    static const char *const first[] = {"a", NULL};
    const char *text = "a: $${F_A}\nb: ${F_UNSET}\nc: ${F_N}\n";
    assert_int_equal(bk_diags_new("t.yaml", &diags, &err), 0);
    assert_int_equal(bk_yaml_parse(text, strlen(text), NULL, diags, &yaml, &err), 0);
    const struct bk_node *root = bk_yaml_root(yaml), *c = bk_map_get(root, "c", NULL);
    struct bk_fill how = {.env = env, .only = first};
    assert_int_equal(bk_yaml_fill(yaml, root, &how, diags, &err), 0);
    assert_string_equal(bk_map_get(root, "a", NULL)->text, "${F_A}");
    assert_string_equal(c->text, "${F_N}");
    how = (struct bk_fill){.env = env, .quiet_unset = true};
    assert_int_equal(bk_yaml_fill(yaml, root, &how, diags, &err), 0);
    assert_string_equal(bk_map_get(root, "a", NULL)->text, "${F_A}"); /* not twice */
    assert_string_equal(c->text, "5");
    assert_true(bk_map_get(root, "b", NULL)->bad);
    assert_true(bk_node_has_bad(root));
    assert_false(bk_node_has_bad(c));
    assert_int_equal(bk_diags_errors(diags), 0);
    bk_yaml_free(yaml);
    bk_diags_free(diags);
}

static void test_size_limit(void **state)
{
    (void)state;
    struct filled f;
    struct bk_buf b = BK_BUF_INIT;
    char *big = malloc(100001);
    assert_non_null(big);
    memset(big, 'x', 100000);
    big[100000] = '\0';
    assert_int_equal(setenv("F_BIG", big, 1), 0);
    free(big);
    (void)bk_buf_str(&b, "a: 1\nl:\n");
    for (int i = 0; i < 50; i++)
        (void)bk_buf_str(&b, " - ${F_BIG}\n");
    (void)bk_buf_str(&b, "v: ${F_A}${F_BIG}\n");
    fill(&f, b.data);
    assert_true(f.value->bad);
    assert_true(bk_diags_errors(f.diags) > 0);
    drop(&f);
    bk_buf_free(&b);
    assert_int_equal(unsetenv("F_BIG"), 0);
}

static void test_secrets_are_masked(void **state)
{
    (void)state;
    becomes("v: ${F_TOKEN}\n", "correct-horse");
    char *masked = bk_mask("a correct-horse");
    assert_string_equal(masked, "a ***");
    free(masked);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_dollars),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_nesting),
        cmocka_unit_test(test_flags),
        cmocka_unit_test(test_aliases_and_keys),
        cmocka_unit_test(test_in_steps),
        cmocka_unit_test(test_size_limit),
        cmocka_unit_test(test_secrets_are_masked),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
