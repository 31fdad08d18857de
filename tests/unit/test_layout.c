/* store/layout: names of objects. */
#include "storekit.h"

#include "base/path.h"

#include <stdlib.h>
#include <string.h>

static void ids(void **state)
{
    (void)state;
    char a[BK_ID_CAP], b[BK_ID_CAP], pipeline[65];
    struct bk_err err = {0};

    assert_int_equal(bk_make_id("nightly", 1762344000000000000, a, &err), 0);
    assert_int_equal(bk_make_id("nightly", 1762344000000000000, b, &err), 0);
    assert_memory_equal(a, "nightly-20251105T120000Z-", 25);
    assert_int_equal(strlen(a), 31);
    assert_int_equal(strspn(a + 25, "0123456789abcdef"), 6);
    assert_string_not_equal(a, b);
    assert_true(bk_id_ok(a));
    memset(pipeline, 'p', 64); /* the longest name there is */
    pipeline[64] = '\0';
    assert_int_equal(bk_make_id(pipeline, 1762344000000000000, a, &err), 0);
    assert_int_equal(strlen(a), 64 + 24);
    assert_true(bk_id_ok(a));
}

static void bad_ids(void **state)
{
    (void)state;
    static const char *const bad[] = {"",    ".",    "..",   ".a",       "-a", "a/b", "a b",
                                      "a\n", "a\\b", "a%20", "\xc3\xa4", "a*", "../x"};
    char longest[BK_ID_CAP + 1];

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(bk_id_ok(bad[i]));
    assert_true(bk_id_ok("a"));
    assert_true(bk_id_ok("Before.the_upgrade-2"));
    memset(longest, 'a', sizeof(longest));
    longest[BK_ID_CAP - 1] = '\0';
    assert_true(bk_id_ok(longest));
    longest[BK_ID_CAP - 1] = 'a';
    longest[BK_ID_CAP] = '\0';
    assert_false(bk_id_ok(longest));
}

/* Whatever a component is called, its object's name is printable ASCII and no other's. */
static void safe_names(void **state)
{
    (void)state;
    static const struct {
        const char *name, *safe;
    } cases[] = {
        {"db/database/x.sql", "db/database/x.sql"},
        {"a b", "a b"},
        {"50%", "50%25"},
        {"%25", "%2525"},
        {"stra\xc3\x9f"
         "e",
         "stra%C3%9Fe"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *safe = bk_object_safe(cases[i].name);

        assert_string_equal(safe, cases[i].safe);
        assert_true(bk_path_inside(safe));
        free(safe);
    }
    for (int c = 1; c < 256; c++) {
        char name[2] = {(char)c, '\0'}, *safe = bk_object_safe(name);

        for (const char *p = safe; *p; p++)
            assert_true(*p >= 0x20 && *p < 0x7f && *p != '\\');
        free(safe);
    }
}

static void formats(void **state)
{
    (void)state;
    char *name = bk_backup_object("id", "manifest.json");

    assert_string_equal(name, "backups/id/manifest.json");
    free(name);
    assert_string_equal(bk_format_name(BK_FORMAT_ARCHIVE), "archive");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids),
        cmocka_unit_test(bad_ids),
        cmocka_unit_test(safe_names),
        cmocka_unit_test(formats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
