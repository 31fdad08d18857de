/* run/wal_name: what PostgreSQL's logs are called, what segments say of themselves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/io.h"
#include "base/str.h"
#include "run/wal_name.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SYSTEM UINT64_C(7301234567890123456)
#define MIB    (UINT64_C(1) << 20)

static void names(void **state)
{
    static const char *const bad[] = {"",
                                      "0000000100000000000000",
                                      "00000001000000000000000G",
                                      "00000001000000000000000a", /* we know upper case alone */
                                      "000000000000000000000005", /* timeline 0 */
                                      "0000000100000000000000050",
                                      "000000010000000000000005.backup",
                                      "000000010000000000000005.0000028.backup",
                                      "000000010000000000000005.00000028.backup2",
                                      "0000000g.history",
                                      "00000002.histor",
                                      "pg_wal/000000010000000000000005",
                                      "binlog.000012"};
    struct bk_pg_name n;
    char text[BK_PG_NAME_CAP];

    (void)state;
    assert_true(bk_pg_name_parse("0000000A000000FF00000010", &n));
    assert_int_equal(n.kind, BK_PG_SEGMENT);
    assert_int_equal(n.timeline, 10);
    assert_int_equal(n.log, 255);
    assert_int_equal(n.segment, 16);
    bk_pg_archived_name(&n, "0000000A000000FF00000010", text);
    assert_string_equal(text, "0000000A/0000000A000000FF00000010");
    assert_true(bk_pg_archived_parse(text, &n));
    assert_false(bk_pg_archived_parse("00000009/0000000A000000FF00000010", &n));
    assert_true(bk_pg_name_parse("00000002.history", &n));
    assert_int_equal(n.kind, BK_PG_HISTORY);
    assert_true(bk_pg_name_parse("000000010000000000000005.00000028.backup", &n));
    assert_int_equal(n.kind, BK_PG_LABEL);
    assert_true(bk_pg_name_parse("000000010000000000000005.partial", &n));
    assert_int_equal(n.kind, BK_PG_PARTIAL);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (bk_pg_name_parse(bad[i], &n))
            fail_msg("'%s' was taken", bad[i]);
}

static void numbers(void **state)
{
    struct bk_pg_name n;
    char text[BK_PG_NAME_CAP];
    uint64_t number;

    (void)state;
    assert_true(bk_pg_name_parse("0000000100000002000000FF", &n));
    assert_true(bk_pg_number(&n, 16 * MIB, &number));
    assert_int_equal(number, 2 * 256 + 255);
    bk_pg_segment_name(1, number + 1, 16 * MIB, text);
    assert_string_equal(text, "000000010000000300000000");
    assert_false(bk_pg_number(&n, 1024 * MIB, &number)); /* 4 a log */
    assert_true(bk_pg_number(&n, MIB, &number));
    bk_pg_segment_name(1, number + 1, MIB, text);
    assert_string_equal(text, "000000010000000200000100");
    assert_false(bk_pg_segment_size_ok(MIB / 2));
    assert_false(bk_pg_segment_size_ok(3 * MIB));
    assert_false(bk_pg_segment_size_ok(2048 * MIB));
    assert_false(bk_pg_segment_size_ok(0));
    assert_false(bk_pg_number(&n, 0, &number));
}

/* ---- files ----------------------------------------------------------------------------------- */

struct fix {
    char dir[64], path[200];
    unsigned char head[40];
    bool big; /* the other byte order */
};

static void put(struct fix *f, size_t at, size_t n, uint64_t v)
{
    for (size_t i = 0; i < n; i++)
        f->head[at + (f->big ? n - 1 - i : i)] = (unsigned char)(v >> (8 * i));
}

static void fill(struct fix *f, uint32_t timeline, uint64_t number)
{
    memset(f->head, 0, sizeof(f->head));
    put(f, 0, 2, 0xd110);
    put(f, 2, 2, 0x0002 | 0x0001);
    put(f, 4, 4, timeline);
    put(f, 8, 8, number * MIB);
    put(f, 24, 8, SYSTEM);
    put(f, 32, 4, MIB);
    put(f, 36, 4, 8192);
}

static void write_size(struct fix *f, uint64_t size)
{
    struct bk_err err = {0};

    assert_int_equal(bk_write_file(f->path, f->head, size < 40 ? size : 40, 0600, &err), 0);
    assert_int_equal(truncate(f->path, (off_t)size), 0);
}

static int check(struct fix *f, const char *name, uint64_t *ret, struct bk_err *err)
{
    struct bk_pg_name n;

    bk_err_clear(err);
    assert_true(bk_pg_name_parse(name, &n));
    return bk_pg_check(f->path, &n, ret, err);
}

static int setup(void **state)
{
    struct fix *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    (void)snprintf(f->dir, sizeof(f->dir), "/tmp/bake-name.XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    (void)snprintf(f->path, sizeof(f->path), "%s/log", f->dir);
    fill(f, 1, 5);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fix *f = *state;

    (void)unlink(f->path);
    assert_int_equal(rmdir(f->dir), 0);
    free(f);
    return 0;
}

static void segments(void **state)
{
    struct fix *f = *state;
    struct bk_err err = {0};
    uint64_t system;

    for (int big = 0; big < 2; big++) {
        f->big = big;
        fill(f, 1, 5);
        write_size(f, MIB);
        assert_int_equal(check(f, "000000010000000000000005", &system, &err), 0);
        assert_true(system == SYSTEM);
        assert_int_equal(check(f, "000000010000000000000005.partial", &system, &err), 0);
        /* The first segment of a timeline is a copy of what was there before. */
        assert_int_equal(check(f, "000000020000000000000005", &system, &err), 0);
        assert_int_equal(check(f, "000000010000000000000006", &system, &err), BAKE_E_CORRUPT);
        assert_non_null(strstr(err.text, "another position"));
        assert_int_equal(check(f, "000000010000000100000005", &system, &err), BAKE_E_CORRUPT);
        assert_int_equal(check(f, "0000000100000000FFFFFFFF", &system, &err), BAKE_E_CORRUPT);
        fill(f, 3, 5);
        write_size(f, MIB);
        assert_int_equal(check(f, "000000020000000000000005", &system, &err), BAKE_E_CORRUPT);
        assert_non_null(strstr(err.text, "a later timeline"));
    }
}

static void bad_segments(void **state)
{
    static const struct {
        size_t at, n;
        uint64_t v;
    } wrong[] = {
        {0, 2, 0xcafe}, {2, 2, 0x0001},   {4, 4, 0},  {24, 8, 0},    {32, 4, 3 * MIB},
        {32, 4, 0},     {32, 4, MIB / 2}, {36, 4, 0}, {36, 4, 8191}, {8, 8, 5 * MIB + 8192}};
    struct fix *f = *state;
    struct bk_err err = {0};
    uint64_t system;

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        fill(f, 1, 5);
        put(f, wrong[i].at, wrong[i].n, wrong[i].v);
        write_size(f, MIB);
        if (check(f, "000000010000000000000005", &system, &err) != BAKE_E_CORRUPT)
            fail_msg("mistake %zu was not found", i);
    }
    fill(f, 1, 5);
    for (uint64_t size = 0; size <= MIB + 1; size += size < 41 ? 1 : MIB - 41) {
        write_size(f, size);
        assert_int_equal(check(f, "000000010000000000000005", &system, &err),
                         size == MIB ? 0 : BAKE_E_CORRUPT);
    }
    assert_int_equal(unlink(f->path), 0);
    assert_int_equal(check(f, "000000010000000000000005", &system, &err), BAKE_E_NOTFOUND);
    assert_int_equal(mkdir(f->path, 0700), 0);
    assert_int_equal(check(f, "000000010000000000000005", &system, &err), BAKE_E_IO);
    assert_int_equal(rmdir(f->path), 0);
}

static void texts(void **state)
{
    struct fix *f = *state;
    struct bk_err err = {0};
    uint64_t system = 1;

    assert_int_equal(bk_write_file(f->path, "1\t0/5000000\tx\n", 14, 0600, &err), 0);
    assert_int_equal(check(f, "00000002.history", &system, &err), 0);
    assert_int_equal(system, 0);
    write_size(f, MIB);
    assert_int_equal(check(f, "00000002.history", &system, &err), BAKE_E_CORRUPT);
    write_size(f, 0);
    assert_int_equal(check(f, "000000010000000000000005.00000028.backup", &system, &err),
                     BAKE_E_CORRUPT);
}

static void systems(void **state)
{
    struct fix *f = *state;
    char global[100], control[120], log[120], here[512];
    uint64_t data[2] = {SYSTEM, 1300}, system;
    struct bk_err err = {0};

    assert_non_null(getcwd(here, sizeof(here)));
    (void)snprintf(global, sizeof(global), "%s/global", f->dir);
    (void)snprintf(control, sizeof(control), "%s/pg_control", global);
    (void)snprintf(log, sizeof(log), "%s/pg_wal/00000002.history", f->dir);
    assert_int_equal(bk_pg_system(log, &system, &err), BAKE_E_IO);
    assert_non_null(strstr(err.text, "it cannot be told which cluster"));
    assert_int_equal(mkdir(global, 0700), 0);
    assert_int_equal(bk_write_file(control, data, sizeof(data), 0600, &err), 0);
    assert_int_equal(bk_pg_system(log, &system, &err), 0); /* pg_wal need not be a folder */
    assert_true(system == SYSTEM);
    assert_int_equal(chdir(f->dir), 0);
    assert_int_equal(bk_pg_system("pg_wal/RECOVERYXLOG", &system, &err), 0);
    assert_int_equal(bk_pg_system("/elsewhere/x/RECOVERYXLOG", &system, &err), 0);
    assert_int_equal(bk_pg_system("RECOVERYXLOG", &system, &err), 0);
    data[1] = 5;
    assert_int_equal(bk_write_file(control, data, sizeof(data), 0600, &err), 0);
    assert_int_equal(bk_pg_system(log, &system, &err), BAKE_E_CORRUPT);
    assert_int_equal(bk_write_file(control, data, 11, 0600, &err), 0);
    assert_int_equal(bk_pg_system(log, &system, &err), BAKE_E_CORRUPT);
    assert_int_equal(chdir(here), 0);
    assert_int_equal(unlink(control), 0);
    assert_int_equal(rmdir(global), 0);
}

static void histories(void **state)
{
    uint32_t timeline = 0;
    uint64_t position = 0;

    (void)state;
    assert_true(bk_pg_parent("1\t0/5000000\tno recovery target specified\n\n"
                             "# a comment\n  2\t1/A0000028\tbefore 2025\n",
                             &timeline, &position));
    assert_int_equal(timeline, 2);
    assert_true(position == UINT64_C(0x1A0000028));
    assert_true(bk_pg_parent("7 FFFFFFFF/ffffffff", &timeline, &position));
    assert_true(position == UINT64_MAX);
    timeline = 9;
    assert_false(bk_pg_parent("", &timeline, &position));
    assert_false(bk_pg_parent("# 1\t0/5000000\n", &timeline, &position));
    assert_false(bk_pg_parent("0\t0/5000000\n", &timeline, &position));
    assert_false(bk_pg_parent("1\t0/\n1\t/0\n1 0\nx\n", &timeline, &position));
    assert_false(bk_pg_parent("99999999999\t0/5\n", &timeline, &position));
    assert_false(bk_pg_parent("1\t100000000/5\n", &timeline, &position));
    assert_int_equal(timeline, 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(numbers),
        cmocka_unit_test_setup_teardown(segments, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_segments, setup, teardown),
        cmocka_unit_test_setup_teardown(texts, setup, teardown),
        cmocka_unit_test_setup_teardown(systems, setup, teardown),
        cmocka_unit_test(histories),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
