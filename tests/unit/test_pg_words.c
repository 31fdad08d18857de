/* Statements of globals.sql and their words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "restore.h"
#include <stdlib.h>
#include <string.h>

/* The text without a NUL at its end, so that a byte too many is seen. */
static struct pg_words words_of(const char *text, char **ret)
{
    size_t n = strlen(text);
    *ret = malloc(n ? n : 1);
    assert_non_null(*ret);
    memcpy(*ret, text, n);
    return (struct pg_words){*ret, *ret + n};
}

static void statements(void **state)
{
    (void)state;
    static const char text[] = "--\n-- roles; all\n--\n\\restrict abc\n\nSET a = on;\n"
                               "CREATE ROLE \"odd ; \"\" role\";/* a ; /* b */ ; */\n"
                               "ALTER ROLE x PASSWORD 'it''s; \\';\n"
                               "ALTER ROLE y SET z TO E'a\\';b';\n"
                               "COMMENT ON ROLE x IS $t$ ; $$ ; $t$; ;\n\\unrestrict abc\n";
    static const char *const wanted[] = {
        "SET a = on", "CREATE ROLE \"odd ; \"\" role\"", "ALTER ROLE x PASSWORD 'it''s; \\'",
        "ALTER ROLE y SET z TO E'a\\';b'", "COMMENT ON ROLE x IS $t$ ; $$ ; $t$"};
    char *copy;
    struct pg_words w = words_of(text, &copy);
    const char *at;
    size_t n;
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        assert_int_equal(pg_words_statement(&w, &at, &n), 1);
        assert_int_equal(n, strlen(wanted[i]));
        assert_memory_equal(at, wanted[i], n);
    }
    assert_int_equal(pg_words_statement(&w, &at, &n), 0);
    free(copy);
}

static void no_statements(void **state)
{
    (void)state;
    static const char *const bad[] = {"\\! rm -rf x\n", "\\connect y\n",      "SELECT 1",
                                      "SELECT 'a;",     "SELECT \"a;",        "/* a",
                                      "SELECT $a$ ;",   "SELECT 1 \\gexec\n", "SELECT E'\\",
                                      "\\restrict",     "SELECT 1 /* ; "};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char *copy;
        struct pg_words w = words_of(bad[i], &copy);
        const char *at;
        size_t n;
        assert_int_equal(pg_words_statement(&w, &at, &n), -1);
        free(copy);
    }
}

static void words(void **state)
{
    (void)state;
    static const char text[] = "GRANT /* x */ \"a \"\"b\" TO ключ -- end\n WITH E'x\\'y'";
    static const char *const wanted[] = {"GRANT", "a \"b", "TO", "ключ", "WITH", "E'x\\'y'"};
    char *copy, word[16];
    struct pg_words w = words_of(text, &copy);
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        assert_true(pg_words_next(&w, word, sizeof(word)));
        assert_string_equal(word, wanted[i]);
    }
    assert_false(pg_words_next(&w, word, sizeof(word)));
    free(copy);
    w = words_of("abcdefgh", &copy);
    assert_false(pg_words_next(&w, word, 8));
    free(copy);
    w = words_of("\"abcdefgh\"", &copy);
    assert_false(pg_words_next(&w, word, 8));
    free(copy);
}

/* Whatever comes, it ends, and nothing outside of it is read. */
static void any_bytes(void **state)
{
    (void)state;
    static const char set[] = "a'\"$E;\\/*-\n t1\x80";
    unsigned seed = 1;
    for (int round = 0; round < 20000; round++) {
        size_t n = 0, len = (size_t)(round % 24);
        char *text = malloc(len ? len : 1), word[8];
        assert_non_null(text);
        for (; n < len; n++) {
            seed = seed * 1103515245 + 12345;
            text[n] = set[(seed >> 16) % (sizeof(set) - 1)];
        }
        struct pg_words w = {text, text + len};
        const char *at;
        size_t size;
        while (pg_words_statement(&w, &at, &size) == 1) {
            assert_true(at >= text && at + size <= text + len && size > 0);
            struct pg_words in = {at, at + size};
            while (pg_words_next(&in, word, sizeof(word)))
                assert_true(in.at <= at + size);
        }
        free(text);
    }
}

static void parts(void **state)
{
    (void)state;
    char *globs[] = {(char *)"sales.*", (char *)"one", (char *)"*\"a.b\"", NULL};
    struct pg_restore r = {.parts = globs};
    assert_true(pg_part_wanted(&r, "sales.order"));
    assert_true(pg_part_wanted(&r, "public.one"));
    assert_true(pg_part_wanted(&r, "\"x.y\".one"));
    assert_true(pg_part_wanted(&r, "public.\"a.b\""));
    assert_false(pg_part_wanted(&r, "public.sales"));
    assert_false(pg_part_wanted(&r, "public.one_more"));
    assert_false(pg_part_wanted(&r, "\"public.one\".x"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statements), cmocka_unit_test(no_statements), cmocka_unit_test(words),
        cmocka_unit_test(any_bytes),  cmocka_unit_test(parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
