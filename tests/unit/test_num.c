/* base/num and base/format: every edge of numbers, sizes and durations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/num.h"

#include <stdio.h>
#include <string.h>

#define MIB UINT64_C(1048576)
#define GIB UINT64_C(1073741824)

static void integers(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      " ",
                                      "-",
                                      "+1",
                                      " 1",
                                      "1 ",
                                      "0x10",
                                      "1.0",
                                      "1e3",
                                      "--1",
                                      "1-",
                                      "a",
                                      "- 1",
                                      "1_0",
                                      "9223372036854775808",
                                      "-9223372036854775809",
                                      "99999999999999999999999"};
    int64_t v = 77;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (bk_parse_i64(bad[i], &v) || v != 77)
            fail_msg("'%s'", bad[i]);
    static const struct {
        const char *s;
        int64_t v;
    } good[] = {{"0", 0},
                {"-0", 0},
                {"007", 7},
                {"-1", -1},
                {"9223372036854775807", INT64_MAX},
                {"-9223372036854775807", -INT64_MAX},
                {"-9223372036854775808", INT64_MIN},
                {"000000000000000000000000000009", 9}};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_true(bk_parse_i64(good[i].s, &v));
        assert_true(v == good[i].v);
    }
}

static void unsigned_integers(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "-",
                                      "-0",
                                      "-1",
                                      "+1",
                                      "18446744073709551616",
                                      "18446744073709551620",
                                      "99999999999999999999",
                                      "1x"};
    uint64_t v = 77;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (bk_parse_u64(bad[i], &v) || v != 77)
            fail_msg("'%s'", bad[i]);
    assert_true(bk_parse_u64("18446744073709551615", &v) && v == UINT64_MAX);
    assert_true(bk_parse_u64("0", &v) && v == 0);
}

static void sizes(void **state)
{
    (void)state;
    static const struct {
        const char *s;
        uint64_t v;
    } good[] = {{"0", 0},
                {"4096", 4096},
                {"1B", 1},
                {"7 B", 7},
                {"64 KiB", 65536},
                {"64KiB", 65536},
                {"64k", 65536},
                {"64K", 65536},
                {"64 KB", 64000},
                {"20 MB", 20000000},
                {"20 mb", 20000000},
                {"10M", 10 * MIB},
                {"2G", 2 * GIB},
                {"2GB", 2000000000},
                {"1T", 1024 * GIB},
                {"1 TB", UINT64_C(1000000000000)},
                {"3 PiB", 3 * MIB * GIB},
                {"1.5 GiB", GIB + GIB / 2},
                {"0.5k", 512},
                {"1.25 KB", 1250},
                {"0.1 GiB", 107374182},
                {"0.0 KiB", 0},
                {"1.000000000000000000 KiB", 1024},
                {"0.000000000000000001 PiB", 0},
                {"0.999999999999999999 PiB", 1125899906842623},
                {"16383 PiB", UINT64_MAX - MIB * GIB + 1},
                {"16383.999999999999999 PiB", UINT64_MAX - 1},
                {"18446744073709551615", UINT64_MAX},
                {"18446744073709551615 B", UINT64_MAX},
                {"17179869183G", UINT64_MAX - GIB + 1}};
    uint64_t v = 0;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        if (!bk_parse_size(good[i].s, &v) || v != good[i].v)
            fail_msg("'%s' gave %llu", good[i].s, (unsigned long long)v);
}

static void no_sizes(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      " ",
                                      "-1",
                                      "+1",
                                      "1.5",
                                      "1.5 B",
                                      "1.5B",
                                      ".5k",
                                      "1.k",
                                      "1,5k",
                                      "1  k",
                                      "1k ",
                                      " 1k",
                                      "1 ",
                                      "k",
                                      "1kk",
                                      "1KiBs",
                                      "1Ki",
                                      "1iB",
                                      "1x",
                                      "1EiB",
                                      "1 k B",
                                      "1\tk",
                                      "0x1k",
                                      "1e3",
                                      "NaN",
                                      "1.5.5k",
                                      "-1 MiB",
                                      "16384 PiB",
                                      "17179869184G",
                                      "18446744073709551616",
                                      "18446744073709551615k",
                                      "1.0000000000000000000 KiB",
                                      "99999999999999999999999999 B"};
    uint64_t v = 77;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (bk_parse_size(bad[i], &v) || v != 77)
            fail_msg("'%s'", bad[i]);
}

static void durations(void **state)
{
    (void)state;
    static const struct {
        const char *s;
        uint64_t v;
    } good[] = {{"0", 0},
                {"0s", 0},
                {"250ms", 250},
                {"90s", 90000},
                {"10m", 600000},
                {"36h", 129600000},
                {"7d", 604800000},
                {"2w", 1209600000},
                {"1y", UINT64_C(31536000000)},
                {"1h30m", 5400000},
                {"1m1ms", 60001},
                {"1y1w1d1h1m1s1ms", UINT64_C(31536000000) + 604800000 + 86400000 + 3661001},
                {"18446744073709551615ms", UINT64_MAX},
                {"18446744073709551s615ms", UINT64_MAX},
                {"584942417y", UINT64_C(584942417) * 31536000000}};
    uint64_t v = 0;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        if (!bk_parse_duration(good[i].s, &v) || v != good[i].v)
            fail_msg("'%s' gave %llu", good[i].s, (unsigned long long)v);
    static const char *const bad[] = {"",
                                      "1",
                                      "00",
                                      "s",
                                      "-1s",
                                      "+1s",
                                      "1 s",
                                      " 1s",
                                      "1s ",
                                      "1.5h",
                                      "1h30",
                                      "1H",
                                      "1sec",
                                      "30m1h",
                                      "1h1h",
                                      "1hm",
                                      "1mo",
                                      "1ms1s",
                                      "1x",
                                      "1h 5m",
                                      "1us",
                                      "584942418y",
                                      "18446744073709551616ms",
                                      "18446744073709551s616ms",
                                      "18446744073709551615s"};
    v = 77;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (bk_parse_duration(bad[i], &v) || v != 77)
            fail_msg("'%s'", bad[i]);
}

static void booleans(void **state)
{
    (void)state;
    static const char *const yes[] = {"true", "True", "TRUE", "yes", "YES", "on", "On"};
    static const char *const no[] = {"false", "False", "FALSE", "no", "No", "off", "OFF"};
    static const char *const bad[] = {"", "1", "0", "y", "n", "tru", "true ", " no", "null", "~"};
    bool v;
    for (size_t i = 0; i < 7; i++) {
        v = false;
        assert_true(bk_parse_bool(yes[i], &v) && v);
        assert_true(bk_parse_bool(no[i], &v) && !v);
    }
    v = true;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(bk_parse_bool(bad[i], &v));
    assert_true(v);
}

static void sizes_for_people(void **state)
{
    (void)state;
    static const struct {
        uint64_t v;
        const char *s;
    } cases[] = {{0, "0 B"},
                 {512, "512 B"},
                 {1023, "1023 B"},
                 {1024, "1.0 KiB"},
                 {1024 + 51, "1.0 KiB"},
                 {1024 + 52, "1.1 KiB"},
                 {1536, "1.5 KiB"},
                 {MIB - 1, "1.0 MiB"},
                 {MIB - 52, "1023.9 KiB"},
                 {MIB - 51, "1.0 MiB"},
                 {18035507, "17.2 MiB"},
                 {GIB - 1, "1.0 GiB"},
                 {GIB + 2 * GIB / 5, "1.4 GiB"},
                 {1024 * GIB, "1.0 TiB"},
                 {MIB * GIB, "1.0 PiB"},
                 {1024 * MIB * GIB, "1.0 EiB"},
                 {1536 * MIB * GIB, "1.5 EiB"},
                 {UINT64_MAX, "16.0 EiB"}};
    char out[16];
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_ptr_equal(bk_format_size(out, sizeof(out), cases[i].v), out);
        assert_string_equal(out, cases[i].s);
    }
    /* never a thousand and twenty-four of a unit, around every power of two */
    for (int shift = 10; shift < 64; shift++)
        for (int64_t d = -2; d <= 2; d++) {
            (void)bk_format_size(out, sizeof(out), (UINT64_C(1) << shift) + (uint64_t)d);
            assert_null(strstr(out, "1024"));
        }
}

static void durations_for_people(void **state)
{
    (void)state;
    static const struct {
        uint64_t v;
        const char *s;
    } cases[] = {{0, "0.0s"},
                 {400, "0.4s"},
                 {999, "0.9s"},
                 {9999, "9.9s"},
                 {10000, "10s"},
                 {12345, "12s"},
                 {59999, "59s"},
                 {60000, "1m00s"},
                 {185000, "3m05s"},
                 {3599999, "59m59s"},
                 {3600000, "1h00m"},
                 {7800000, "2h10m"},
                 {86399999, "23h59m"},
                 {86400000, "1d0h"},
                 {3 * 86400000 + 4 * 3600000, "3d4h"},
                 {UINT64_C(86399999999), "999d23h"},
                 {UINT64_C(86400000000), "1000d"},
                 {UINT64_MAX, "213503982334d"}};
    char out[16];
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_ptr_equal(bk_format_duration(out, sizeof(out), cases[i].v), out);
        assert_string_equal(out, cases[i].s);
    }
}

static void counts_for_people(void **state)
{
    (void)state;
    static const struct {
        uint64_t v;
        const char *s;
    } cases[] = {{0, "0"},
                 {999, "999"},
                 {1000, "1,000"},
                 {57012, "57,012"},
                 {999999, "999,999"},
                 {1000000, "1,000,000"},
                 {UINT64_MAX, "18,446,744,073,709,551,615"}};
    char out[32];
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_ptr_equal(bk_format_count(out, sizeof(out), cases[i].v), out);
        assert_string_equal(out, cases[i].s);
    }
    char small[4] = "xyz";
    (void)bk_format_count(small, 3, 12345);
    assert_string_equal(small, "12");
    (void)bk_format_size(small, 3, 12345);
    assert_string_equal(small, "12");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(integers),
                                       cmocka_unit_test(unsigned_integers),
                                       cmocka_unit_test(sizes),
                                       cmocka_unit_test(no_sizes),
                                       cmocka_unit_test(durations),
                                       cmocka_unit_test(booleans),
                                       cmocka_unit_test(sizes_for_people),
                                       cmocka_unit_test(durations_for_people),
                                       cmocka_unit_test(counts_for_people)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
