/* base/str and base/utf8: lists, UTF-8, printable forms, suggestions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void lists(void **state)
{
    (void)state;
    struct bk_strv v = {0};
    bk_strv_sort(&v);
    assert_false(bk_strv_has(&v, ""));
    for (int i = 99; i >= 0; i--) {
        char s[8];
        (void)snprintf(s, sizeof(s), "%02d", i);
        assert_int_equal(bk_strv_add(&v, s), 0);
        assert_null(v.items[v.n]);
    }
    assert_int_equal(bk_strv_add(&v, "\xff"), 0);
    assert_int_equal(bk_strv_add(&v, ""), 0);
    bk_strv_sort(&v);
    assert_int_equal(v.n, 102);
    assert_string_equal(v.items[0], "");
    assert_string_equal(v.items[1], "00");
    assert_string_equal(v.items[101], "\xff"); /* bytes, not signed characters */
    assert_null(v.items[102]);
    assert_true(bk_strv_has(&v, "42"));
    assert_false(bk_strv_has(&v, "4"));
    bk_strv_free(&v);
    assert_null(v.items);
    assert_int_equal(v.n, 0);
    bk_strv_free(&v);
}

static void small_ones(void **state)
{
    (void)state;
    assert_null(bk_strdup(NULL));
    char *s = bk_strdup("");
    assert_string_equal(s, "");
    free(s);
    s = bk_asprintf("%s-%d", "a", 7);
    assert_string_equal(s, "a-7");
    free(s);
    assert_true(bk_streq(NULL, NULL));
    assert_false(bk_streq(NULL, ""));
    assert_false(bk_streq("", NULL));
    assert_true(bk_streq("a", "a"));
    assert_false(bk_streq("a", "b"));
    assert_true(bk_starts("abc", ""));
    assert_true(bk_starts("abc", "abc"));
    assert_false(bk_starts("abc", "abcd"));
    assert_true(bk_ends("abc", ""));
    assert_true(bk_ends("abc", "bc"));
    assert_false(bk_ends("bc", "abc"));
    assert_true(bk_ends("", ""));
}

static void utf8(void **state)
{
    (void)state;
    static const char *const good[] = {"",
                                       "a",
                                       "\x7f",
                                       "\xc2\x80",
                                       "\xdf\xbf",
                                       "\xe0\xa0\x80",
                                       "\xed\x9f\xbf",
                                       "\xee\x80\x80",
                                       "\xef\xbf\xbf",
                                       "\xf0\x90\x80\x80",
                                       "\xf4\x8f\xbf\xbf"};
    static const char *const bad[] = {"\x80",
                                      "\xbf",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xc2",
                                      "\xc2\x41",
                                      "\xe0\x9f\xbf",
                                      "\xe0\xa0",
                                      "\xed\xa0\x80",
                                      "\xed\xbf\xbf",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf0\x90\x80",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xff",
                                      "\xfe"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(bk_is_utf8(good[i], strlen(good[i])));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(bk_is_utf8(bad[i], strlen(bad[i])));
    assert_true(bk_is_utf8("a\0b", 3));
    assert_false(bk_is_utf8("\xe2\x82\xac", 2)); /* n counts, not the NUL */

    uint32_t cp = 0;
    assert_int_equal(bk_utf8_next("\xf0\x9f\x98\x80x", 5, &cp), 4);
    assert_int_equal(cp, 0x1f600);
    assert_int_equal(bk_utf8_next("", 0, &cp), 0);
    assert_int_equal(bk_utf8_next("\0", 1, &cp), 1);
    assert_int_equal(cp, 0);
}

/* Every code point there is, and every two bytes. */
static void utf8_all(void **state)
{
    (void)state;
    for (uint32_t cp = 0x80; cp <= 0x10ffff; cp++) {
        char s[4];
        size_t n = cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
        static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
        for (size_t i = n; i-- > 1;)
            s[i] = (char)(0x80 | (cp >> 6 * (n - 1 - i) & 0x3f));
        s[0] = (char)(lead[n] | cp >> 6 * (n - 1));
        uint32_t got = 0;
        bool surrogate = cp >= 0xd800 && cp <= 0xdfff;
        if (bk_utf8_next(s, n, &got) != (surrogate ? 0 : n) || (!surrogate && got != cp))
            fail_msg("U+%04X", cp);
    }
    for (int i = 0; i < 0x10000; i++) {
        char s[3] = {(char)(i >> 8), (char)i, '\0'};
        char *fixed = bk_to_utf8(s);
        assert_true(bk_is_utf8(fixed, strlen(fixed)));
        if (bk_is_utf8(s, strlen(s)))
            assert_string_equal(fixed, s);
        free(fixed);
    }
}

static void repair(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"", ""},
        {"plain", "plain"},
        {"\xff", "\xef\xbf\xbd"},
        {"a\xe2\x82z", "a\xef\xbf\xbd\xef\xbf\xbdz"},
        {"\xe2\x82\xac\xc3", "\xe2\x82\xac\xef\xbf\xbd"},
        {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *s = bk_to_utf8(cases[i][0]);
        assert_string_equal(s, cases[i][1]);
        free(s);
    }
    assert_null(bk_to_utf8(NULL));
}

static void printable(void **state)
{
    (void)state;
    static const char turned[] = {'\xe2', '\x80', '\xae', '\0'}; /* right to left */
    static const char *const cases[][2] = {
        {"", ""},
        {"a b", "a b"},
        {"a\nb\t\x1b[0m\x7f", "a\\x0ab\\x09\\x1b[0m\\x7f"},
        {"C:\\x", "C:\\\\x"},
        {"\xc3\xa9\xff", "\xc3\xa9\\xff"},
        {"\xc2\x9b", "\\xc2\\x9b"}, /* C1: a terminal may take it for ESC [ */
        {turned, "\\xe2\\x80\\xae"}};
    char out[64];
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_ptr_equal(bk_printable(out, sizeof(out), cases[i][0], strlen(cases[i][0])), out);
        assert_string_equal(out, cases[i][1]);
    }
    assert_string_equal(bk_printable(out, sizeof(out), "a\0b", 3), "a\\x00b");
}

static void printable_cut(void **state)
{
    (void)state;
    char out[8];
    assert_string_equal(bk_printable(out, 8, "1234567", 7), "1234567");
    assert_string_equal(bk_printable(out, 8, "12345678", 8), "1234...");
    assert_string_equal(bk_printable(out, 8, "123\xff\xff", 5), "123...");
    assert_string_equal(bk_printable(out, 8, "123\\\\\\\\", 7), "123...");
    assert_string_equal(bk_printable(out, 8, "123\xe2\x82\xac\xe2\x82\xac", 9), "123...");
    assert_string_equal(bk_printable(out, 4, "12345", 5), "...");
    assert_string_equal(bk_printable(out, 3, "12345", 5), "12");
    assert_string_equal(bk_printable(out, 1, "12345", 5), "");
    (void)memset(out, 'x', sizeof(out));
    (void)bk_printable(out, 0, "12345", 5);
    assert_int_equal(out[0], 'x');

    /* whatever is given and however small the room: ended, whole characters, no control ones */
    char in[24];
    unsigned seed = 1;
    for (int round = 0; round < 20000; round++) {
        for (size_t i = 0; i < sizeof(in); i++) {
            seed = seed * 1103515245u + 12345u;
            in[i] = "ab\\\n\xe2\x82\xac\xff\xc3\xa9\x1b"[seed >> 16 & 7];
        }
        char room[40];
        size_t cap = 1 + seed % sizeof(room);
        (void)memset(room, 'Z', sizeof(room));
        (void)bk_printable(room, cap, in, sizeof(in));
        assert_true(strlen(room) < cap);
        assert_true(bk_is_utf8(room, strlen(room)));
        for (const char *p = room; *p; p++)
            assert_true((unsigned char)*p >= 0x20);
        for (size_t i = cap; i < sizeof(room); i++)
            assert_int_equal(room[i], 'Z');
    }
}

static void suggestions(void **state)
{
    (void)state;
    static const char *const keys[] = {"level", "threads", "window_log", "long", "id", NULL};
    static const char *const cases[][2] = {{"levle", "level"},
                                           {"lvel", "level"},
                                           {"levell", "level"},
                                           {"Level", "level"},
                                           {"treads", "threads"},
                                           {"thraeds", "threads"},
                                           {"window-log", "window_log"},
                                           {"windowlog", "window_log"},
                                           {"lnog", "long"},
                                           {"level", "level"},
                                           {"id", "id"},
                                           {"ID", "id"},
                                           {"x", NULL},
                                           {"", NULL},
                                           {"ix", NULL},
                                           {"banana", NULL},
                                           {"le", NULL},
                                           {"lengthy", NULL},
                                           {"threadpool", NULL}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *got = bk_suggest(cases[i][0], keys);
        if (!bk_streq(got, cases[i][1]))
            fail_msg("'%s' gave '%s'", cases[i][0], got ? got : "nothing");
    }
    static const char *const none[] = {NULL};
    assert_null(bk_suggest("level", none));
    static const char *const tie[] = {"abcx", "abcd", "abcy", NULL};
    assert_string_equal(bk_suggest("abcz", tie), "abcx");
    assert_string_equal(bk_suggest("abcd", tie), "abcd");

    char longer[200];
    memset(longer, 'a', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    const char *const big[] = {longer, "", NULL};
    assert_null(bk_suggest(longer, big));
    assert_null(bk_suggest("aaaa", big));
    longer[64] = '\0';
    assert_ptr_equal(bk_suggest(longer, big), longer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists),         cmocka_unit_test(small_ones), cmocka_unit_test(utf8),
        cmocka_unit_test(utf8_all),      cmocka_unit_test(repair),     cmocka_unit_test(printable),
        cmocka_unit_test(printable_cut), cmocka_unit_test(suggestions)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
