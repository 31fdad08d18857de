/* The env_file and the lookup. */
#include "config_testing.h"

#include "base/log.h"
#include "config/env.h"

static const char *const files[] = {"env", NULL};

struct fixture {
    struct scratch scratch;
    struct bk_env *env;
    struct bk_err err;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    scratch_make(&f->scratch);
    assert_int_equal(bk_env_new(&f->env, &f->err), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    bk_env_free(f->env);
    scratch_remove(&f->scratch, files);
    free(f);
    bk_mask_forget();
    return 0;
}

static int load(struct fixture *f, mode_t mode, const char *text)
{
    return bk_env_load(f->env, write_file(&f->scratch, "env", mode, text, strlen(text)), &f->err);
}

static void is(const struct fixture *f, const char *name, const char *value)
{
    const char *got = bk_env_get(f->env, name);
    assert_non_null(got);
    assert_string_equal(got, value);
}

static void test_syntax(void **state)
{
    struct fixture *f = *state;
    int rc = load(f, 0600,
                  "\xEF\xBB\xBF# comment\n\n  \t\nT_A=1\nexport T_B=two words   # comment\n"
                  "export\tT_C='as $it \\n is # \"x\"'\nT_D=\"\\t\\\"\\\\\\$\\n\\x\"\n"
                  "T_E=a'b c'\"d\"e\nT_F=\nT_G=#no comment\nT_H= # comment\nT_I=a#b\n"
                  "T_J='one\ntwo'\n  T_K=indented\r\nT_L= spaced \nT_M=last");
    assert_int_equal(rc, 0);
    is(f, "T_A", "1");
    is(f, "T_B", "two words");
    is(f, "T_C", "as $it \\n is # \"x\"");
    is(f, "T_D", "\t\"\\$\n\\x");
    is(f, "T_E", "ab cde");
    is(f, "T_F", "");
    is(f, "T_G", "#no comment");
    is(f, "T_H", "");
    is(f, "T_I", "a#b");
    is(f, "T_J", "one\ntwo");
    is(f, "T_K", "indented");
    is(f, "T_L", "spaced");
    is(f, "T_M", "last");
    assert_null(bk_env_get(f->env, "T_N"));
}

static void test_last_line_counts(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(load(f, 0600, "T_A=1\nT_B=2\nT_A=3\n"), 0);
    is(f, "T_A", "3");
    is(f, "T_B", "2");
}

static void test_process_wins_and_export(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(setenv("T_SET", "process", 1), 0);
    assert_int_equal(setenv("T_EMPTY", "", 1), 0);
    assert_int_equal(unsetenv("T_NEW"), 0);
    assert_int_equal(load(f, 0600, "T_SET=file\nT_EMPTY=file\nT_NEW=file\n"), 0);
    is(f, "T_SET", "process");
    is(f, "T_EMPTY", "");
    is(f, "T_NEW", "file");
    assert_null(getenv("T_NEW"));
    assert_int_equal(bk_env_export(f->env, &f->err), 0);
    assert_string_equal(getenv("T_SET"), "process");
    assert_string_equal(getenv("T_EMPTY"), "");
    assert_string_equal(getenv("T_NEW"), "file");
    assert_int_equal(unsetenv("T_NEW"), 0);
}

static void refused(struct fixture *f, const char *text, const char *wanted)
{
    bk_err_clear(&f->err);
    assert_int_equal(load(f, 0600, text), BAKE_E_CONFIG);
    assert_non_null(strstr(f->err.text, wanted));
    assert_null(strstr(f->err.text, "hush")); /* a line may be a secret */
}

static void test_mistakes(void **state)
{
    struct fixture *f = *state;
    refused(f, "A=1\nhush hush\n", "env:2: there is a blank after the name");
    refused(f, "A=1\nhush\n", "env:2: there is no '='");
    refused(f, "A=1\n\n-hush=1\n", "env:3: a line starts with neither");
    refused(f, "1hush=1\n", "env:1: a line starts with neither");
    refused(f, "A='x\ny'\nB='hush\n\n", "env:3: a quote is opened");
    refused(f, "A=\"hush\\\"\n", "env:1: a quote is opened");
    refused(f, "A=1\nB=hush\xff\n", "env:2: the value is not UTF-8");
    refused(f, "export hush\n", "env:1: there is no '='");
}

static void test_public_secrets(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = {"DB_PASSWORD", "MY_SECRET_X", "token", "API_KEY",
                                        "AWS_SECRET_ACCESS_KEY"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char text[64];
        (void)snprintf(text, sizeof(text), "A=1\n%s=hush\n", names[i]);
        assert_int_equal(load(f, 0644, text), BAKE_E_CONFIG);
        assert_non_null(strstr(f->err.text, names[i]));
        assert_null(strstr(f->err.text, "hush"));
        assert_int_equal(load(f, 0640, text), 0);
    }
    assert_int_equal(load(f, 0644, "T_PLAIN=1\n"), 0);
}

static void test_secrets_are_masked(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(load(f, 0600, "T_PASSWORD=correct-horse\nT_KEY_PREFIX=common\n"), 0);
    char *masked = bk_mask("correct-horse and common");
    assert_non_null(masked);
    assert_string_equal(masked, "*** and common");
    free(masked);
}

static void test_what_is_no_file(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(bk_env_load(f->env, "/nonexistent/env", &f->err), BAKE_E_NOTFOUND);
    assert_int_equal(bk_env_load(f->env, f->scratch.dir, &f->err), BAKE_E_IO);
    assert_int_equal(bk_env_load(f->env, "/dev/null", &f->err), BAKE_E_CONFIG);
    write_file(&f->scratch, "env", 0600, "A=\0b\n", 5);
    assert_int_equal(bk_env_load(f->env, f->scratch.path, &f->err), BAKE_E_CONFIG);
    assert_int_equal(truncate(f->scratch.path, (1 << 20) + 1), 0);
    assert_int_equal(bk_env_load(f->env, f->scratch.path, &f->err), BAKE_E_CONFIG);
    assert_int_equal(load(f, 0600, ""), 0);
}

static void test_many_names(void **state)
{
    struct fixture *f = *state;
    struct bk_buf b = BK_BUF_INIT;
    for (int i = 0; i < 5000; i++)
        assert_int_equal(bk_buf_printf(&b, "N%d=v%d\n", (i * 7919) % 5000, (i * 7919) % 5000), 0);
    assert_int_equal(load(f, 0600, b.data), 0);
    bk_buf_free(&b);
    for (int i = 0; i < 5000; i++) {
        char name[16], value[16];
        (void)snprintf(name, sizeof(name), "N%d", i);
        (void)snprintf(value, sizeof(value), "v%d", i);
        is(f, name, value);
    }
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_syntax),          CASE(test_last_line_counts),
        CASE(test_mistakes),        CASE(test_process_wins_and_export),
        CASE(test_public_secrets),  CASE(test_secrets_are_masked),
        CASE(test_what_is_no_file), CASE(test_many_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
