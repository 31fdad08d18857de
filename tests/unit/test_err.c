/* base/err: texts, hints, prefixes, cutting, exit codes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/str.h"

#include <errno.h>
#include <string.h>

static void text_and_hint(void **state)
{
    (void)state;
    struct bk_err err = {0};
    assert_int_equal(bk_fail(&err, BAKE_E_CONFIG, "bad '%s'\nHINT: use '%s'", "a", "b"),
                     BAKE_E_CONFIG);
    assert_int_equal(err.rc, BAKE_E_CONFIG);
    assert_string_equal(err.text, "bad 'a'");
    assert_string_equal(err.hint, "use 'b'");

    /* a new failure takes the place of the old one, hint and all */
    (void)bk_fail(&err, BAKE_E_IO, "two\nlines");
    assert_string_equal(err.text, "two\nlines");
    assert_string_equal(err.hint, "");

    (void)bk_fail(&err, BAKE_E_IO, "x\nHINT: first\nHINT: last");
    assert_string_equal(err.text, "x\nHINT: first");
    assert_string_equal(err.hint, "last");

    bk_err_clear(&err);
    assert_int_equal(err.rc, 0);
    assert_string_equal(err.text, "");
    assert_string_equal(err.hint, "");
}

static void arguments_inside_err(void **state)
{
    (void)state;
    struct bk_err err = {0};
    (void)bk_fail(&err, BAKE_E_IO, "inner\nHINT: why");
    (void)bk_fail(&err, BAKE_E_IO, "outer: %s (%s)", err.text, err.hint);
    assert_string_equal(err.text, "outer: inner (why)");
    assert_int_equal(bk_prefix(&err, "stage '%s'", err.text), BAKE_E_IO);
    assert_string_equal(err.text, "stage 'outer: inner (why)': outer: inner (why)");
}

static void null_is_fine(void **state)
{
    (void)state;
    assert_int_equal(bk_fail(NULL, BAKE_E_KEY, "x"), BAKE_E_KEY);
    assert_int_equal(bk_fail_errno(NULL, ENOSPC, "x"), BAKE_E_NOSPACE);
    assert_int_equal(bk_prefix(NULL, "x"), 0);
    bk_hint(NULL, "x");
    bk_err_clear(NULL);
    assert_int_equal(bk_nomem(NULL), BAKE_E_NOMEM);
}

static void errno_texts(void **state)
{
    (void)state;
    static const struct {
        int e, rc;
    } cases[] = {{ENOSPC, BAKE_E_NOSPACE}, {EDQUOT, BAKE_E_NOSPACE}, {ENOENT, BAKE_E_NOTFOUND},
                 {EEXIST, BAKE_E_EXISTS},  {ENOMEM, BAKE_E_NOMEM},   {EACCES, BAKE_E_IO},
                 {EIO, BAKE_E_IO},         {99999, BAKE_E_IO}};
    struct bk_err err = {0};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(bk_fail_errno(&err, cases[i].e, "x"), cases[i].rc);
        assert_int_equal(err.rc, cases[i].rc);
    }
    (void)bk_fail_errno(&err, EACCES, "cannot read '%s'", "/a");
    assert_string_equal(err.text, "cannot read '/a': permission denied");
    (void)bk_fail_errno(&err, ENOENT, "cannot read '%s'\nHINT: make it", "/a");
    assert_string_equal(err.text, "cannot read '/a': no such file or directory");
    assert_string_equal(err.hint, "make it");
    errno = EBADF;
    (void)bk_fail(&err, BAKE_E_IO, "x");
    assert_int_equal(errno, EBADF);
}

static void long_texts_are_cut(void **state)
{
    (void)state;
    struct bk_err err = {0};
    char longer[7000];
    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    (void)bk_fail(&err, BAKE_E_IO, "%s\nHINT: %.600s", longer, longer);
    assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
    assert_true(bk_ends(err.text, "x..."));
    assert_int_equal(strlen(err.hint), sizeof(err.hint) - 1);
    assert_true(bk_ends(err.hint, "x..."));
    (void)bk_prefix(&err, "p");
    assert_true(bk_starts(err.text, "p: xxx"));
    assert_true(bk_ends(err.text, "x..."));
    (void)bk_prefix(&err, "%s", longer);
    assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
    bk_hint(&err, "%s", longer);
    assert_int_equal(strlen(err.hint), sizeof(err.hint) - 1);

    /* never through the middle of a character: 3 bytes each */
    for (size_t shift = 0; shift < 3; shift++) {
        char text[3001] = "aaa";
        for (size_t i = 0; i < 900; i++)
            memcpy(text + shift + 3 * i, "\xe2\x82\xac", 4);
        (void)bk_fail(&err, BAKE_E_IO, "%s", text);
        assert_true(bk_is_utf8(err.text, strlen(err.text)));
        assert_true(bk_ends(err.text, "..."));
    }

    /* exactly as much as there is room for stays whole */
    (void)bk_fail(&err, BAKE_E_IO, "%.1499s", longer);
    assert_true(bk_ends(err.text, "xxx"));
    assert_int_equal(strlen(err.text), 1499);
}

static void exit_codes(void **state)
{
    (void)state;
    static const struct {
        int rc, code;
    } cases[] = {{0, 0},
                 {BAKE_END, 0},
                 {BAKE_E_CANCELLED, 130},
                 {BAKE_E_KEY, 12},
                 {BK_E_LOCKED, 11},
                 {BK_E_NOSTORE, 10},
                 {BK_E_USAGE, 2},
                 {BAKE_E_CONFIG, 2},
                 {BK_E_VERIFY, 4},
                 {BK_E_PARTIAL, 3},
                 {BAKE_E_AUTH, 1},
                 {BAKE_E_NOTFOUND, 1},
                 {BAKE_E_EXISTS, 1},
                 {BAKE_E_UNAVAILABLE, 1},
                 {BAKE_E_TIMEOUT, 1},
                 {BAKE_E_NOSPACE, 1},
                 {BAKE_E_IO, 1},
                 {BAKE_E_CORRUPT, 1},
                 {BAKE_E_CHILD, 1},
                 {BAKE_E_NOMEM, 1},
                 {BAKE_E_UNSUPPORTED, 1},
                 {BAKE_E_INTERNAL, 1},
                 {-77, 1},
                 {2, 1}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(bk_exit_code(cases[i].rc), cases[i].code);
}

static void the_worse_of_two(void **state)
{
    (void)state;
    static const int order[] = {BAKE_E_CANCELLED, BAKE_E_KEY,    BK_E_LOCKED,
                                BK_E_NOSTORE,     BAKE_E_CONFIG, BAKE_E_IO,
                                BK_E_VERIFY,      BK_E_PARTIAL,  BAKE_OK};
    size_t n = sizeof(order) / sizeof(order[0]);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            assert_int_equal(bk_worse(order[i], order[j]), order[i < j ? i : j]);
    assert_int_equal(bk_worse(BAKE_E_IO, BAKE_E_NOMEM), BAKE_E_IO); /* the first one stays */
    assert_int_equal(bk_exit_code(bk_worse(BAKE_END, BAKE_OK)), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_and_hint),      cmocka_unit_test(arguments_inside_err),
        cmocka_unit_test(null_is_fine),       cmocka_unit_test(errno_texts),
        cmocka_unit_test(long_texts_are_cut), cmocka_unit_test(exit_codes),
        cmocka_unit_test(the_worse_of_two)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
