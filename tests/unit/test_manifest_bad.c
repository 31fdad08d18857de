/* store/manifest_parse: a manifest whose seal is right, but that means harm or is wrong. */
#include "manifest_kit.h"

/* Seals j and parses it. Takes j. */
static int parse(json_t *j, struct bk_err *err)
{
    struct bk_manifest *m = NULL;
    struct bk_buf text = BK_BUF_INIT;
    int rc;

    bk_err_clear(err);
    assert_int_equal(bk_json_seal(j, &text, err), 0);
    rc = bk_manifest_parse(text.data, text.len, KIT_ID, &m, err);
    if (rc < 0)
        assert_null(m);
    assert_int_equal(err->rc, rc);
    bk_manifest_free(m);
    bk_buf_free(&text);
    json_decref(j);
    return rc;
}

static json_t *good(void)
{
    struct bk_manifest *m = kit_full();
    json_t *j = bk_manifest_json(m);

    bk_manifest_free(m);
    assert_non_null(j);
    return j;
}

static json_t *comp(json_t *j, size_t i)
{
    return json_array_get(json_object_get(j, "components"), i);
}

static json_t *object(json_t *j)
{
    return json_array_get(json_object_get(comp(j, 1), "objects"), 0);
}

static void good_one(void **state)
{
    (void)state;
    struct bk_err err = {0};

    assert_int_equal(parse(good(), &err), 0);
}

/* `where`: 0 the head, 1 a component, 2 an object. */
static json_t *place(json_t *j, int where)
{
    return where == 0 ? j : where == 1 ? comp(j, 1) : object(j);
}

static const struct {
    int where;
    const char *key;
    bool optional;
} all_members[] = {
    {0, "manifest_version", false},
    {0, "id", false},
    {0, "pipeline", false},
    {0, "type", false},
    {0, "parent", true},
    {0, "tags", false},
    {0, "start", false},
    {0, "end", false},
    {0, "hostname", false},
    {0, "engine", false},
    {0, "encrypted", true},
    {0, "components", false},
    {1, "name", false},
    {1, "kind", false},
    {1, "status", false},
    {1, "error", true},
    {1, "group", true},
    {1, "source", false},
    {1, "plugin", false},
    {1, "bytes_in", false},
    {1, "bytes_stored", false},
    {1, "entries", true},
    {1, "warnings", true},
    {1, "missing", true},
    {1, "sha256", false},
    {1, "transforms", false},
    {1, "objects", false},
    {1, "fingerprint", true},
    {2, "name", false},
    {2, "role", false},
    {2, "size", false},
    {2, "sha256", false},
};

static json_t *wrong_type(int type)
{
    return type == 0   ? json_real(1.5)
           : type == 1 ? json_pack("[[]]")
           : type == 2 ? json_pack("{s{}}", "x")
                       : json_integer(-1);
}

/* Each member gone or of another type: refused, unless it may be absent. */
static void members(void **state)
{
    (void)state;
    struct bk_err err = {0};

    for (size_t i = 0; i < sizeof(all_members) / sizeof(all_members[0]); i++) {
        const char *key = all_members[i].key;
        json_t *j = good();
        int rc;

        json_object_del(place(j, all_members[i].where), key);
        rc = parse(j, &err);
        if (rc != (all_members[i].optional ? 0 : BAKE_E_CORRUPT))
            fail_msg("without '%s': %d %s", key, rc, err.text);
        for (int type = 0; type < 4; type++) {
            j = good();
            json_object_set_new(place(j, all_members[i].where), key, wrong_type(type));
            if (parse(j, &err) != BAKE_E_CORRUPT)
                fail_msg("'%s' of type %d is taken: %s", key, type, err.text);
        }
    }
}

static int with(int where, const char *key, const char *value, struct bk_err *err)
{
    json_t *j = good();

    json_object_set_new(place(j, where), key, json_string(value));
    return parse(j, err);
}

static void hostile_names(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",     ".",     "..", "/",   "/etc/passwd", "../x",     "a/../../x", "a/..",
        "a//b", "a/./b", "a/", "./a", "a\nb",        "a\x1b[2J", "a\x7f",
    };
    static const char *const bad_components[] = {"a\\b", "a/\\..", "\xe2\x80\xae"};
    static const char *const bad_objects[] = {"stra\xc3\x9f"
                                              "e",
                                              "a\x01"};
    struct bk_err err = {0};
    char longest[2100];

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (with(1, "name", bad[i], &err) != BAKE_E_CORRUPT)
            fail_msg("component '%s' is taken", bad[i]);
        if (with(2, "name", bad[i], &err) != BAKE_E_CORRUPT)
            fail_msg("object '%s' is taken", bad[i]);
    }
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(with(1, "name", bad_components[i], &err), BAKE_E_CORRUPT);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(with(2, "name", bad_objects[i], &err), BAKE_E_CORRUPT);
    memset(longest, 'a', sizeof(longest));
    longest[2099] = '\0';
    assert_int_equal(with(1, "name", longest, &err), BAKE_E_CORRUPT);
    assert_int_equal(with(2, "name", longest, &err), BAKE_E_CORRUPT);
}

static void hostile_transforms(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "../x", "a/b", "/tmp/x", "zstd.so", "Zstd", "a b", "z\n"};
    struct bk_err err = {0};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        json_t *j = good();

        json_object_set_new(comp(j, 1), "transforms", json_pack("[ss]", "zstd", bad[i]));
        assert_int_equal(parse(j, &err), BAKE_E_CORRUPT);
    }
}

static void wrong_values(void **state)
{
    (void)state;
    static const struct {
        int where;
        const char *key, *value;
    } bad[] = {
        {0, "id", "nightly-20251105T120000Z-000000"},
        {0, "start", "yesterday"},
        {0, "end", "2025-13-01T00:00:00Z"},
        {0, "manifest_version", "1"},
        {1, "kind", "forest"},
        {1, "kind", ""},
        {1, "status", "fine"},
        {1, "sha256", ""},
        {1, "sha256", "9F86D081884C7D659A2FEAA0C55AD015A3BF4F1B2B0B822CD15D6C15B0F00A08"},
        {2, "sha256", KIT_SHA "0"},
        {2, "size", "12"},
        {1, "bytes_in", "18446744073709551616"},
    };
    struct bk_err err = {0};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (with(bad[i].where, bad[i].key, bad[i].value, &err) != BAKE_E_CORRUPT)
            fail_msg("'%s' may be '%s'", bad[i].key, bad[i].value);
}

static void structure(void **state)
{
    (void)state;
    struct bk_err err = {0};
    json_t *j = good();

    json_array_append(json_object_get(j, "components"), comp(j, 0)); /* twice */
    assert_int_equal(parse(j, &err), BAKE_E_CORRUPT);
    j = good();
    json_array_append_new(json_object_get(j, "components"), json_null());
    assert_int_equal(parse(j, &err), BAKE_E_CORRUPT);
    j = good();
    json_array_append_new(json_object_get(j, "components"), json_string("x"));
    assert_int_equal(parse(j, &err), BAKE_E_CORRUPT);
    j = good();
    json_array_clear(json_object_get(comp(j, 1), "objects")); /* without its data */
    assert_int_equal(parse(j, &err), BAKE_E_CORRUPT);
    j = good();
    json_array_append_new(json_object_get(comp(j, 1), "objects"), json_integer(5));
    assert_int_equal(parse(j, &err), BAKE_E_CORRUPT);
    j = good();
    json_array_append_new(json_object_get(j, "tags"), json_integer(5));
    assert_int_equal(parse(j, &err), BAKE_E_CORRUPT);
    assert_int_equal(parse(json_object(), &err), BAKE_E_CORRUPT);
}

static void versions(void **state)
{
    (void)state;
    struct bk_err err = {0};
    json_t *j = good();

    json_object_set_new(j, "manifest_version", json_integer(BK_MANIFEST_VERSION + 1));
    json_object_del(j, "components"); /* a newer one may look different */
    assert_int_equal(parse(j, &err), BAKE_E_UNSUPPORTED);
    assert_non_null(strstr(err.hint, "newer"));
    j = good();
    json_object_set_new(j, "what_is_to_come",
                        json_integer(1)); /* unknown members are passed over */
    assert_int_equal(parse(j, &err), 0);
}

/* Escaped NULs, which would cut names short, and what is no JSON at all. */
static void no_json(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "", "{", "null", "[]", "\"x\"", "{\"id\": \"a\\u0000b\"}", "{\"id\": 1, \"id\": 2}",
    };
    struct bk_manifest *m = NULL;
    struct bk_err err = {0};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(bk_manifest_parse(bad[i], strlen(bad[i]), KIT_ID, &m, &err),
                         BAKE_E_CORRUPT);
    assert_null(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_one),      cmocka_unit_test(members),
        cmocka_unit_test(hostile_names), cmocka_unit_test(hostile_transforms),
        cmocka_unit_test(wrong_values),  cmocka_unit_test(structure),
        cmocka_unit_test(versions),      cmocka_unit_test(no_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
