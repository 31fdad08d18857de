/* Small parts of base backups: positions in the log, headers of the server's tar, checks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base_stream.h"
#include "base_tar.h"
#include "checks.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void segments(void **state)
{
    (void)state;
    static const struct {
        const char *lsn;
        uint32_t timeline;
        uint64_t size;
        const char *want;
    } list[] = {
        {"0/1600028", 1, 1u << 20, "00000001/000000010000000000000016"},
        {"0/5000028", 1, 16u << 20, "00000001/000000010000000000000005"},
        {"A/FFFFFFFF", 0x1F, 16u << 20, "0000001F/0000001F0000000A000000FF"},
        {"A/FFFFFFFF", 2, 1u << 30, "00000002/000000020000000A00000003"},
        {"0/0", 1, 16u << 20, "00000001/000000010000000000000000"},
    };
    char name[PG_SEGMENT_NAME];
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        assert_int_equal(pg_segment_of(list[i].lsn, list[i].timeline, list[i].size, name), BAKE_OK);
        assert_string_equal(name, list[i].want);
    }
    static const char *const bad[] = {"",    "/",    "0/",  "/0", "0", "0/123456789",
                                      "G/0", "0/-1", "0/1 "};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(pg_segment_of(bad[i], 1, 16u << 20, name), BAKE_E_CORRUPT);
    assert_int_equal(pg_segment_of("0/0", 1, 0, name), BAKE_E_CORRUPT);
}

/* ---- tar ------------------------------------------------------------------------------------- */

static void seal(unsigned char *b)
{
    unsigned sum = 0;
    memset(b + 148, ' ', 8);
    for (size_t i = 0; i < PG_TAR_BLOCK; i++)
        sum += b[i];
    char text[8];
    (void)snprintf(text, sizeof(text), "%06o", sum);
    memcpy(b + 148, text, 7);
}

/* A header as the server writes it. */
static void header(unsigned char *b, const char *name, char type, uint64_t size)
{
    char text[16];
    memset(b, 0, PG_TAR_BLOCK);
    memcpy(b, name, strlen(name) < 100 ? strlen(name) : 100);
    (void)snprintf((char *)b + 100, 8, "%07o", 0600u);
    (void)snprintf((char *)b + 108, 8, "%07o", 101u);
    (void)snprintf((char *)b + 116, 8, "%07o", 104u);
    (void)snprintf(text, sizeof(text), "%011llo", (unsigned long long)(size & 077777777777));
    memcpy(b + 124, text, 12);
    if (size > 077777777777) {
        b[124] = 0x80;
        for (int i = 11; i > 0; i--, size >>= 8)
            b[124 + i] = (unsigned char)size;
    }
    (void)snprintf(text, sizeof(text), "%011llo", 1700000000ull);
    memcpy(b + 136, text, 12);
    b[156] = (unsigned char)type;
    memcpy(b + 257, "ustar\00000", 8);
    seal(b);
}

static void heads(void **state)
{
    (void)state;
    static const struct {
        const char *name, *want;
        char type;
        uint64_t size;
        uint32_t kind;
    } list[] = {
        {"base/1/1259", "base/1/1259", '0', 8192, BAKE_FILE},
        {"PG_VERSION", "PG_VERSION", '\0', 3, BAKE_FILE},
        {"./global/", "global", '5', 0, BAKE_DIR},
        {"pg_tblspc/16384/", "pg_tblspc/16384", '2', 0, BAKE_SYMLINK},
        {"base/5/1", "base/5/1", '0', UINT64_C(20) << 30, BAKE_FILE},
        {".", ".", '5', 0, BAKE_DIR},
    };
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        unsigned char b[PG_TAR_BLOCK];
        struct pg_tar_head h;
        const char *why = NULL;
        header(b, list[i].name, list[i].type, list[i].size);
        assert_int_equal(pg_tar_head(b, &h, &why), BAKE_OK);
        assert_string_equal(h.path, list[i].want);
        assert_int_equal(h.type, list[i].kind);
        assert_int_equal(h.size, list[i].size);
        assert_int_equal(h.mode, 0600);
        assert_int_equal(h.uid, 101);
        assert_int_equal(h.gid, 104);
        assert_int_equal(h.mtime_ns, INT64_C(1700000000) * 1000000000);
        b[3] ^= 1;
        assert_int_equal(pg_tar_head(b, &h, &why), BAKE_E_CORRUPT);
    }
}

static void bad_heads(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        char type;
        uint64_t size;
    } list[] = {
        {"../etc/passwd", '0', 1},
        {"/etc/passwd", '0', 1},
        {"a//b", '0', 1},
        {"a/./b", '0', 1},
        {"a/../b", '0', 1},
        {"", '0', 1},
        {"a", '1', 0},
        {"a", '3', 0},
        {"a", 'x', 10},
        {"a/", '5', 10},
        {"..", '5', 0},
    };
    unsigned char b[PG_TAR_BLOCK];
    struct pg_tar_head h;
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        const char *why = NULL;
        header(b, list[i].name, list[i].type, list[i].size);
        assert_int_equal(pg_tar_head(b, &h, &why), BAKE_E_CORRUPT);
        assert_non_null(why);
    }
    const char *why = NULL;
    header(b, "a", '0', 1);
    memcpy(b + 124, "0000000000x", 11);
    seal(b);
    assert_int_equal(pg_tar_head(b, &h, &why), BAKE_E_CORRUPT);
    memset(b, 0xff, sizeof(b));
    assert_int_equal(pg_tar_head(b, &h, &why), BAKE_E_CORRUPT);
    memset(b, 0, sizeof(b));
    assert_int_equal(pg_tar_head(b, &h, &why), BAKE_OK);
    assert_int_equal(h.type, 0);
}

static void long_names(void **state)
{
    (void)state;
    unsigned char b[PG_TAR_BLOCK];
    struct pg_tar_head h;
    const char *why = NULL;
    char name[101], want[300];
    memset(name, 'n', 100);
    name[100] = '\0';
    header(b, name, '0', 5);
    assert_int_equal(pg_tar_head(b, &h, &why), BAKE_OK);
    assert_string_equal(h.path, name);
    memset(b + 345, 'p', 155);
    seal(b);
    assert_int_equal(pg_tar_head(b, &h, &why), BAKE_OK);
    (void)snprintf(want, sizeof(want), "%.*s/%s", 155, (const char *)b + 345, name);
    assert_int_equal(strlen(h.path), 255); /* as much as there is room for: one byte less */
    assert_memory_equal(h.path, want, 255);
}

/* ---- checks ---------------------------------------------------------------------------------- */

static void parts(void **state)
{
    (void)state;
    char *database = NULL;
    const char *statement = NULL;
    assert_true(pg_check_parts("shop: SELECT 'a:b'", &database, &statement));
    assert_string_equal(database, "shop");
    assert_string_equal(statement, "SELECT 'a:b'");
    free(database);
    static const char *const bad[] = {"", ":", "shop", "shop:", "shop:  ", ": select 1"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(pg_check_parts(bad[i], &database, &statement));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(segments),   cmocka_unit_test(heads), cmocka_unit_test(bad_heads),
        cmocka_unit_test(long_names), cmocka_unit_test(parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
