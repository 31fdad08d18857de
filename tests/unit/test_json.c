/* base/json and base/seal: getters, setters, documents that vouch for themselves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/digest.h"
#include "base/json.h"
#include "base/str.h"

#include <math.h>
#include <string.h>

static json_t *parsed(const char *text)
{
    json_t *j = NULL;
    struct bk_err err = {0};
    if (bk_json_parse(text, strlen(text), "doc", &j, &err) != 0)
        fail_msg("%s", err.text);
    return j;
}

static void parse(void **state)
{
    (void)state;
    struct bk_err err = {0};
    json_t *j = NULL;
    static const char *const bad[] = {"",
                                      "{",
                                      "{\"a\":1,}",
                                      "1",
                                      "\"s\"",
                                      "{\"a\":1} x",
                                      "[1] [2]",
                                      "{\"a\":1,\"a\":2}",
                                      "{\"a\":{\"b\":1,\"b\":1}}",
                                      "{\"a\":\"\xff\"}",
                                      "{\"a\":\"\\u0000\"}",
                                      "{\"a\":9223372036854775808}",
                                      "{\"a\":1e999}",
                                      "nul"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(bk_json_parse(bad[i], strlen(bad[i]), "doc", &j, &err), BAKE_E_CORRUPT);
        assert_true(bk_starts(err.text, "doc: not valid JSON: line 1, column "));
        assert_null(j);
    }
    assert_int_equal(bk_json_parse(NULL, 0, "doc", &j, &err), BAKE_E_CORRUPT);
    assert_int_equal(bk_json_parse("{}\0", 3, "doc", &j, &err), BAKE_E_CORRUPT);

    /* as deep as can be, no deeper */
    struct bk_buf b = BK_BUF_INIT;
    for (int i = 0; i < 100000; i++)
        (void)bk_buf_char(&b, '[');
    assert_int_equal(bk_json_parse(b.data, b.len, "doc", &j, &err), BAKE_E_CORRUPT);
    assert_non_null(strstr(err.text, "depth"));
    bk_buf_free(&b);
    json_decref(parsed(" {} \n"));
    json_decref(parsed("[]"));
}

static void strings(void **state)
{
    (void)state;
    struct bk_err err = {0};
    const char *s = "kept";
    json_t *j BK_JSON = parsed("{\"s\":\"x\",\"n\":null,\"i\":1}");
    assert_int_equal(bk_json_opt_str(j, "doc", "gone", &s, &err), 0);
    assert_int_equal(bk_json_opt_str(j, "doc", "n", &s, &err), 0);
    assert_string_equal(s, "kept");
    assert_int_equal(bk_json_str(j, "doc", "gone", &s, &err), BAKE_E_CORRUPT);
    assert_string_equal(err.text, "doc: 'gone' is missing");
    assert_int_equal(bk_json_str(j, "doc", "n", &s, &err), BAKE_E_CORRUPT);
    assert_int_equal(bk_json_str(j, "doc", "i", &s, &err), BAKE_E_CORRUPT);
    assert_string_equal(err.text, "doc: 'i' is not a string");
    assert_int_equal(bk_json_opt_str(j, "doc", "i", &s, &err), BAKE_E_CORRUPT);
    assert_string_equal(s, "kept");
    assert_int_equal(bk_json_str(j, "doc", "s", &s, &err), 0);
    assert_string_equal(s, "x");
    assert_int_equal(bk_json_str(NULL, "doc", "s", &s, &err), BAKE_E_CORRUPT);
    json_t *list BK_JSON = parsed("[1]");
    assert_int_equal(bk_json_str(list, "doc", "s", &s, &err), BAKE_E_CORRUPT);
}

static void numbers(void **state)
{
    (void)state;
    struct bk_err err = {0};
    uint64_t v = 77;
    json_t *j BK_JSON = parsed("{\"zero\":0,\"max\":9223372036854775807,\"minus\":-1,\"real\":1.0,"
                               "\"text\":\"5\",\"big\":\"18446744073709551615\","
                               "\"over\":\"18446744073709551616\",\"n\":null,\"b\":true}");
    static const char *const bad[] = {"minus", "real", "text", "over", "b"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(bk_json_u64(j, "doc", bad[i], &v, &err), BAKE_E_CORRUPT);
        assert_true(bk_ends(err.text, "is not a whole number from 0 on"));
        assert_int_equal(bk_json_opt_u64(j, "doc", bad[i], &v, &err), BAKE_E_CORRUPT);
    }
    assert_int_equal(bk_json_u64(j, "doc", "n", &v, &err), BAKE_E_CORRUPT);
    assert_int_equal(bk_json_opt_u64(j, "doc", "n", &v, &err), 0);
    assert_int_equal(bk_json_opt_u64(j, "doc", "gone", &v, &err), 0);
    assert_true(v == 77);
    assert_int_equal(bk_json_u64(j, "doc", "zero", &v, &err), 0);
    assert_true(v == 0);
    assert_int_equal(bk_json_u64(j, "doc", "max", &v, &err), 0);
    assert_true(v == INT64_MAX);
    assert_int_equal(bk_json_u64(j, "doc", "big", &v, &err), 0);
    assert_true(v == UINT64_MAX);
}

static void other_types(void **state)
{
    (void)state;
    struct bk_err err = {0};
    int flag = 77;
    int64_t ns = 77;
    const json_t *m = NULL;
    json_t *j BK_JSON = parsed("{\"t\":true,\"f\":false,\"i\":1,\"a\":[],\"o\":{},\"n\":null,"
                               "\"when\":\"1970-01-01T00:00:01Z\",\"local\":\"1970-01-01\"}");
    assert_int_equal(bk_json_opt_bool(j, "doc", "gone", &flag, &err), 0);
    assert_int_equal(bk_json_opt_bool(j, "doc", "n", &flag, &err), 0);
    assert_int_equal(bk_json_opt_bool(j, "doc", "i", &flag, &err), BAKE_E_CORRUPT);
    assert_string_equal(err.text, "doc: 'i' is not true or false");
    assert_int_equal(flag, 77);
    assert_int_equal(bk_json_opt_bool(j, "doc", "t", &flag, &err), 0);
    assert_int_equal(flag, 1);
    assert_int_equal(bk_json_opt_bool(j, "doc", "f", &flag, &err), 0);
    assert_int_equal(flag, 0);

    assert_int_equal(bk_json_time(j, "doc", "gone", &ns, &err), BAKE_E_CORRUPT);
    assert_int_equal(bk_json_time(j, "doc", "i", &ns, &err), BAKE_E_CORRUPT);
    assert_int_equal(bk_json_time(j, "doc", "local", &ns, &err), BAKE_E_CORRUPT);
    assert_string_equal(err.text, "doc: 'local' is not a time (RFC 3339)");
    assert_true(ns == 77);
    assert_int_equal(bk_json_time(j, "doc", "when", &ns, &err), 0);
    assert_true(ns == 1000000000);

    assert_int_equal(bk_json_array(j, "doc", "gone", &m, &err), BAKE_E_CORRUPT);
    assert_int_equal(bk_json_array(j, "doc", "n", &m, &err), BAKE_E_CORRUPT);
    assert_int_equal(bk_json_array(j, "doc", "i", &m, &err), BAKE_E_CORRUPT);
    assert_string_equal(err.text, "doc: 'i' is not an array or object");
    assert_int_equal(bk_json_array(j, "doc", "a", &m, &err), 0);
    assert_true(json_is_array(m));
    assert_int_equal(bk_json_array(j, "doc", "o", &m, &err), 0);
    assert_true(json_is_object(m));
}

static void setters(void **state)
{
    (void)state;
    struct bk_err err = {0};
    struct bk_buf b = BK_BUF_INIT;
    json_t *j BK_JSON = json_object();
    bk_json_set_str(j, "type", "x");
    bk_json_set_str(j, "nothing", NULL);
    bk_json_set_str(j, "bytes", "a\xff\n\"\x01");
    bk_json_set_u64(j, "n", 42);
    bk_json_set_u64(j, "max", INT64_MAX);
    bk_json_set_u64(j, "big", (uint64_t)INT64_MAX + 1);
    bk_json_set_time(j, "at", 1000000000);
    bk_json_set_bool(j, "yes", 7);
    bk_json_set_bool(j, "no", 0);
    bk_json_set_real(j, "tenth", 0.1);
    bk_json_set_real(j, "nan", NAN);
    bk_json_set_real(j, "inf", INFINITY);
    bk_json_set_u64(j, "n", 43); /* replaced where it stands */
    (void)bk_buf_str(&b, "> ");
    assert_int_equal(bk_json_text(j, 0, &b, &err), 0);
    assert_string_equal(b.data,
                        "> {\"type\":\"x\",\"bytes\":\"a\xef\xbf\xbd\\n\\\"\\u0001\",\"n\":43,"
                        "\"max\":9223372036854775807,\"big\":\"9223372036854775808\","
                        "\"at\":\"1970-01-01T00:00:01Z\",\"yes\":true,\"no\":false,"
                        "\"tenth\":0.1}");
    uint64_t v = 0;
    assert_int_equal(bk_json_u64(j, "doc", "big", &v, &err), 0);
    assert_true(v == (uint64_t)INT64_MAX + 1);
    bk_buf_clear(&b);
    json_t *small BK_JSON = json_pack("{s:[i]}", "a", 1);
    assert_int_equal(bk_json_text(small, 2, &b, &err), 0);
    assert_string_equal(b.data, "{\n  \"a\": [\n    1\n  ]\n}");
    bk_json_set_str(NULL, "k", "v");
    json_t *list BK_JSON = json_array();
    bk_json_set_u64(list, "k", 1);
    assert_int_equal(json_array_size(list), 0);
    bk_buf_free(&b);
}

/* jansson's allocator, failing at the n-th call. */
static int left;
static void *failing_malloc(size_t n) { return left-- > 0 ? malloc(n) : NULL; }

static void out_of_memory(void **state)
{
    (void)state;
    struct bk_err err = {0};
    int failures = 0;
    for (int n = 0; n < 200; n++) {
        struct bk_buf b = BK_BUF_INIT;
        json_t *j = json_object();
        bk_json_set_str(j, "first", "x"); /* so that nothing is lost when it is spoilt */
        json_set_alloc_funcs(failing_malloc, free);
        left = n;
        bk_json_set_str(j, "str", "some text");
        bk_json_set_u64(j, "u64", 1);
        bk_json_set_u64(j, "big", UINT64_MAX);
        bk_json_set_time(j, "time", 0);
        bk_json_set_real(j, "real", 0.5);
        bk_json_set_bool(j, "bool", 1);
        int spoilt = left < 0;
        left = 1000000;
        int rc = bk_json_text(j, 0, &b, &err);
        json_set_alloc_funcs(malloc, free);
        assert_int_equal(rc, spoilt ? BAKE_E_NOMEM : 0);
        failures += spoilt;
        assert_int_equal(b.len > 0, !spoilt);
        json_decref(j);
        bk_buf_free(&b);
        if (!spoilt)
            break;
    }
    assert_true(failures > 10 && failures < 200);
    /* an object that has nothing to put the mark in */
    json_t *empty = json_object();
    struct bk_buf nothing = BK_BUF_INIT;
    json_set_alloc_funcs(failing_malloc, free);
    left = 0;
    bk_json_set_u64(empty, "n", 1);
    json_set_alloc_funcs(malloc, free);
    bk_json_set_u64(empty, "m", 2);
    assert_int_equal(bk_json_text(empty, 0, &nothing, &err), BAKE_E_NOMEM);
    bk_buf_free(&nothing);
    empty->type = JSON_OBJECT; /* so that it can be freed */
    json_decref(empty);
    /* NULL, which is what json_object() gives then, cannot be written either */
    struct bk_buf b = BK_BUF_INIT;
    assert_int_equal(bk_json_text(NULL, 0, &b, &err), BAKE_E_NOMEM);
    bk_buf_free(&b);
}

/* ---- seals ---- */

static void seal_it(struct bk_buf *b, const char *json)
{
    struct bk_err err = {0};
    json_t *j BK_JSON = parsed(json);
    bk_buf_free(b);
    assert_int_equal(bk_json_seal(j, b, &err), 0);
}

static int unseal(const char *text, size_t n, struct bk_err *err)
{
    json_t *j BK_JSON = NULL;
    int rc = bk_json_unseal(text, n, "doc", &j, err);
    assert_int_equal(rc == 0, j != NULL);
    return rc;
}

static void sealed_form(void **state)
{
    (void)state;
    struct bk_err err = {0};
    struct bk_buf b = BK_BUF_INIT;
    char hex[BK_SHA256_HEX], want[200];
    static const char *const heads[][2] = {{"{\"a\":1}", "{\n  \"a\": 1,\n  "}, {"{}", "{\n  "}};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(bk_sha256_hex_of(heads[i][1], strlen(heads[i][1]), hex), 0);
        (void)snprintf(want, sizeof(want), "%s\"sha256\": \"%s\"\n}\n", heads[i][1], hex);
        seal_it(&b, heads[i][0]);
        assert_string_equal(b.data, want);
        assert_int_equal(unseal(b.data, b.len, &err), 0);
        assert_int_equal(unseal(b.data, b.len - 1, &err), 0); /* without the newline */
    }
    /* behind what stands in the buffer already, and sealed again */
    bk_buf_free(&b);
    (void)bk_buf_str(&b, "before");
    json_t *j BK_JSON = parsed("{\"sha256\":\"old\",\"a\":{\"sha256\":\"inner\"}}");
    assert_int_equal(bk_json_seal(j, &b, &err), 0);
    assert_true(
        bk_starts(b.data, "before{\n  \"a\": {\n    \"sha256\": \"inner\"\n  },\n  \"sha256\""));
    json_t *back BK_JSON = NULL;
    assert_int_equal(bk_json_unseal(b.data + 6, b.len - 6, "doc", &back, &err), 0);
    struct bk_buf again = BK_BUF_INIT;
    assert_int_equal(bk_json_seal(back, &again, &err), 0);
    assert_string_equal(again.data, b.data + 6);
    bk_buf_free(&again);

    json_t *list BK_JSON = json_array();
    bk_buf_clear(&b);
    assert_int_equal(bk_json_seal(list, &b, &err), BAKE_E_INTERNAL);
    assert_int_equal(bk_json_seal(NULL, &b, &err), BAKE_E_INTERNAL);
    assert_int_equal(b.len, 0);
    bk_buf_free(&b);
}

/* A text with a right digest over whatever stands before the seal. */
static void forge(struct bk_buf *b, const char *head, const char *tail)
{
    char hex[BK_SHA256_HEX];
    bk_buf_free(b);
    assert_int_equal(bk_sha256_hex_of(head, strlen(head), hex), 0);
    assert_int_equal(bk_buf_printf(b, "%s\"sha256\": \"%s\"%s", head, hex, tail), 0);
}

static void damaged_seals(void **state)
{
    (void)state;
    struct bk_err err = {0};
    struct bk_buf b = BK_BUF_INIT;
    static const struct {
        const char *head, *tail, *text;
    } cases[] = {
        /* right ones first: the forging itself works */
        {"{\n  \"a\": 1,\n  ", "\n}\n", NULL},
        {"{\n  ", "\n}", NULL},
        /* bytes after the end */
        {"{\n  \"a\": 1,\n  ", "\n}\n\n",
         "doc: damaged: it is cut short, or something stands after its end"},
        {"{\n  \"a\": 1,\n  ", "\n} ",
         "doc: damaged: it is cut short, or something stands after its end"},
        {"{\n  \"a\": 1,\n  ", "\n}\nx",
         "doc: damaged: it is cut short, or something stands after its end"},
        {"{\n  \"a\": 1,\n  ", "\n}\r\n",
         "doc: damaged: it is cut short, or something stands after its end"},
        {"{\n  \"a\": 1,\n  ", "\n}{}", "doc: damaged: it does not end in a 'sha256' of itself"},
        /* not last, or not a member of the outer object */
        {"{\n  ", ",\n  \"a\": 1\n}\n", "doc: damaged: it does not end in a 'sha256' of itself"},
        {"{\n  \"a\": {\n  ", "\n}}\n", "doc: damaged: it does not end in a 'sha256' of itself"},
        {"{\n  \"a\": {\n  ", "\n}\n", "doc: not valid JSON"},
        {"{\n  \"a\": [\n  ", "\n}\n", "doc: damaged: it does not end in a 'sha256' of itself"},
        /* other spellings */
        {"{\n  \"a\": 1, ", "\n}\n", "doc: damaged: it does not end in a 'sha256' of itself"},
        {"{\n  \"a\": 1,   ", "\n}\n", "doc: damaged: it does not end in a 'sha256' of itself"},
        {"{\n  \"a\": 1,\n  ", "}\n", "doc: damaged: it does not end in a 'sha256' of itself"},
        {"{\n  \"a\": \"x\\", "\n}\n", "doc: damaged: it does not end in a 'sha256' of itself"},
        /* twice */
        {"{\n  \"sha256\": \"0\",\n  ", "\n}\n", "doc: not valid JSON"},
        {"{\n  \"a\": 1,\n  \"a\": 1,\n  ", "\n}\n", "doc: not valid JSON"},
        /* a right digest over what is no JSON */
        {"{\n  \"a\": ,\n  ", "\n}\n", "doc: not valid JSON"},
        {"x{\n  ", "\n}\n", "doc: not valid JSON"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        forge(&b, cases[i].head, cases[i].tail);
        bk_err_clear(&err);
        int rc = unseal(b.data, b.len, &err);
        if (rc != (cases[i].text ? BAKE_E_CORRUPT : 0) ||
            (cases[i].text && !bk_starts(err.text, cases[i].text)))
            fail_msg("case %zu: %d %s", i, rc, err.text);
    }
    static const char *const plain[] = {"",
                                        "\n",
                                        "}",
                                        "{}",
                                        "{}\n",
                                        "{\"a\": 1}",
                                        "[]",
                                        "null",
                                        "{\n  \"sha256\": \"\"\n}\n",
                                        "{\n  \"sha256\": 1\n}\n"};
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
        assert_int_equal(unseal(plain[i], strlen(plain[i]), &err), BAKE_E_CORRUPT);
        assert_true(bk_starts(err.text, "doc: damaged: "));
    }
    bk_buf_free(&b);
}

/* Every bit flipped, every byte left out, every cut: found. */
static void any_damage(void **state)
{
    (void)state;
    struct bk_err err = {0};
    struct bk_buf b = BK_BUF_INIT;
    seal_it(&b, "{\"id\":\"nightly-20251105T120000Z-3f9c2a\",\"n\":[1,2,{\"sha256\":\"ab\"}]}");
    for (size_t i = 0; i < b.len; i++) {
        for (int bit = 0; bit < 8; bit++) {
            b.data[i] = (char)(b.data[i] ^ 1 << bit);
            assert_int_equal(unseal(b.data, b.len, &err), BAKE_E_CORRUPT);
            b.data[i] = (char)(b.data[i] ^ 1 << bit);
        }
        int whole = i >= b.len - 1; /* only the last newline may go */
        assert_int_equal(unseal(b.data, i, &err) == 0, whole);
        struct bk_buf less = BK_BUF_INIT;
        (void)bk_buf_add(&less, b.data, i);
        (void)bk_buf_add(&less, b.data + i + 1, b.len - i - 1);
        assert_int_equal(unseal(less.data, less.len, &err) == 0, whole);
        bk_buf_free(&less);
    }
    assert_int_equal(unseal(b.data, b.len, &err), 0);
    bk_buf_free(&b);
}

int main(void)
{
    json_object_seed(1); /* not within out_of_memory() */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse),       cmocka_unit_test(strings),
        cmocka_unit_test(numbers),     cmocka_unit_test(other_types),
        cmocka_unit_test(setters),     cmocka_unit_test(out_of_memory),
        cmocka_unit_test(sealed_form), cmocka_unit_test(damaged_seals),
        cmocka_unit_test(any_damage)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
