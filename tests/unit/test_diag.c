/* Mistakes: order, limits, masking. */
#include "config_testing.h"

#include "base/log.h"

static struct bk_diags *fresh(void)
{
    struct bk_diags *d = NULL;
    struct bk_err err = {0};
    assert_int_equal(bk_diags_new("a.yaml", &d, &err), 0);
    return d;
}

static void test_sorted_by_place(void **state)
{
    (void)state;
    struct bk_diags *d = fresh();
    bk_diag_error(d, (struct bk_pos){3, 1}, "third");
    bk_diag_notice(d, (struct bk_pos){2, 9}, "second");
    bk_diag_error(d, (struct bk_pos){2, 3}, "first");
    bk_diag_error(d, (struct bk_pos){3, 1}, "after %s", "third");
    bk_diag_error(d, (struct bk_pos){0, 0}, "of the file");
    assert_int_equal(bk_diags_errors(d), 4);
    assert_mistakes(d, "0:0: of the file\n2:3: first\n2:9: notice: second\n3:1: third\n"
                       "3:1: after third\n");
    bk_diags_free(d);
}

static void test_same_is_kept_once(void **state)
{
    (void)state;
    struct bk_diags *d = fresh();
    for (int i = 0; i < 3; i++)
        bk_diag_error(d, (struct bk_pos){1, 2}, "again");
    bk_diag_error(d, (struct bk_pos){1, 3}, "again");
    assert_int_equal(bk_diags_errors(d), 2);
    assert_mistakes(d, "1:2: again\n1:3: again\n");
    bk_diags_free(d);
}

static void count_lines(void *arg, const char *file, struct bk_pos at, bool is_error,
                        const char *text)
{
    size_t *n = arg;
    (void)at;
    assert_string_equal(file, "a.yaml");
    assert_true(is_error);
    if (++*n == 101)
        assert_string_equal(text, "and 150 more mistakes");
}

static void test_at_most_a_hundred(void **state)
{
    (void)state;
    struct bk_diags *d = fresh();
    size_t n = 0;
    for (int i = 0; i < 250; i++)
        bk_diag_error(d, (struct bk_pos){i + 1, 1}, "mistake %d", i);
    assert_int_equal(bk_diags_errors(d), 250);
    bk_diags_each(d, count_lines, &n);
    assert_int_equal(n, 101);
    bk_diags_free(d);
}

static void test_masked_and_printable(void **state)
{
    (void)state;
    struct bk_diags *d = fresh();
    bk_diag_error(d, (struct bk_pos){1, 1}, "got 'correct-horse'\nand \033[1m");
    bk_mask_add("correct-horse"); /* known only now */
    assert_mistakes(d, "1:1: got '***'\\x0aand \\x1b[1m\n");
    bk_mask_forget();
    bk_diags_free(d);
}

static void test_quote_is_short(void **state)
{
    (void)state;
    char out[BK_QUOTE_CAP];
    char text[400];
    assert_string_equal(bk_quote(out, "short"), "short");
    memset(text, 'x', sizeof(text));
    memcpy(text + 59, "\xC3\xA4", 2); /* the cut would fall into this character */
    text[399] = '\0';
    (void)bk_quote(out, text);
    assert_int_equal(strlen(out), 59 + 3);
    assert_string_equal(out + 59, "...");
}

static void test_long_text(void **state)
{
    (void)state;
    struct bk_diags *d = fresh();
    char *text = malloc(100001);
    assert_non_null(text);
    memset(text, 'y', 100000);
    text[100000] = '\0';
    bk_diag_error(d, (struct bk_pos){1, 1}, "%s", text);
    char *got = mistakes(d);
    assert_true(strlen(got) < 5000);
    free(got);
    free(text);
    bk_diags_free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sorted_by_place),   cmocka_unit_test(test_same_is_kept_once),
        cmocka_unit_test(test_at_most_a_hundred), cmocka_unit_test(test_masked_and_printable),
        cmocka_unit_test(test_quote_is_short),    cmocka_unit_test(test_long_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
