/* base/buf: growing, formatting, refusing, giving away. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"

#include <stdlib.h>
#include <string.h>

static void grows_and_stays_ended(void **state)
{
    (void)state;
    struct bk_buf b = BK_BUF_INIT;
    assert_int_equal(bk_buf_add(&b, NULL, 0), 0);
    assert_null(b.data);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(bk_buf_char(&b, (char)('a' + i % 26)), 0);
        assert_int_equal(strlen(b.data), i + 1);
    }
    for (int i = 0; i < 1000; i++)
        assert_int_equal(b.data[i], 'a' + i % 26);
    bk_buf_clear(&b);
    assert_int_equal(b.len, 0);
    assert_string_equal(b.data, "");
    assert_int_equal(bk_buf_add(&b, "a\0b", 3), 0);
    assert_int_equal(b.len, 3);
    assert_memory_equal(b.data, "a\0b", 4);
    bk_buf_free(&b);
    assert_null(b.data);
    assert_int_equal(b.cap, 0);
    bk_buf_clear(&b);
    bk_buf_free(&b);
    bk_buf_wipe(&b);
}

static void formats(void **state)
{
    (void)state;
    struct bk_buf b = BK_BUF_INIT;
    assert_int_equal(bk_buf_str(&b, "x="), 0);
    assert_int_equal(bk_buf_printf(&b, "%d %s", 42, "y"), 0);
    assert_string_equal(b.data, "x=42 y");
    /* around the first capacity: exactly full, one more, far more */
    for (int width = 50; width < 300; width++) {
        bk_buf_free(&b);
        assert_int_equal(bk_buf_printf(&b, "%*d", width, 7), 0);
        assert_int_equal(b.len, width);
        assert_int_equal(strlen(b.data), width);
        assert_true(b.cap > b.len);
    }
    bk_buf_free(&b);
    assert_int_equal(bk_buf_printf(&b, "%s", ""), 0);
    assert_string_equal(b.data, "");
    bk_buf_wipe(&b);
}

static void reserve(void **state)
{
    (void)state;
    struct bk_buf b = BK_BUF_INIT;
    assert_int_equal(bk_buf_reserve(&b, 1000), 0);
    assert_true(b.cap >= 1001);
    assert_string_equal(b.data, "");
    char *at = b.data;
    for (int i = 0; i < 1000; i++)
        (void)bk_buf_char(&b, 'x');
    assert_ptr_equal(b.data, at); /* no move within what was reserved */
    bk_buf_free(&b);
}

static void too_much_fails_for_good(void **state)
{
    (void)state;
    static const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 1, (size_t)PTRDIFF_MAX,
                                   (size_t)PTRDIFF_MAX - 3};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct bk_buf b = BK_BUF_INIT;
        assert_int_equal(bk_buf_str(&b, "kept"), 0);
        assert_int_equal(bk_buf_reserve(&b, sizes[i]), BAKE_E_NOMEM);
        assert_true(b.failed);
        assert_int_equal(bk_buf_str(&b, "more"), BAKE_E_NOMEM);
        assert_int_equal(bk_buf_char(&b, 'x'), BAKE_E_NOMEM);
        assert_int_equal(bk_buf_printf(&b, "%d", 1), BAKE_E_NOMEM);
        assert_int_equal(bk_buf_reserve(&b, 0), BAKE_E_NOMEM);
        assert_string_equal(b.data, "kept");
        assert_null(bk_buf_take(&b));
        assert_false(b.failed); /* empty and usable again */
        assert_null(b.data);
    }
}

static void take(void **state)
{
    (void)state;
    struct bk_buf b = BK_BUF_INIT;
    char *s = bk_buf_take(&b);
    assert_string_equal(s, "");
    free(s);
    (void)bk_buf_str(&b, "abc");
    s = bk_buf_take(&b);
    assert_string_equal(s, "abc");
    free(s);
    assert_null(b.data);
    assert_int_equal(b.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(grows_and_stays_ended),
                                       cmocka_unit_test(formats), cmocka_unit_test(reserve),
                                       cmocka_unit_test(too_much_fails_for_good),
                                       cmocka_unit_test(take)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
