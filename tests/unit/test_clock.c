/* base/clock: times as text, both ways, and what is no time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define S INT64_C(1000000000)

static void formats(void **state)
{
    (void)state;
    static const struct {
        int64_t ns;
        const char *time, *stamp;
    } cases[] = {{0, "1970-01-01T00:00:00Z", "19700101T000000Z"},
                 {1762344000 * S, "2025-11-05T12:00:00Z", "20251105T120000Z"},
                 {1762344000 * S + 1, "2025-11-05T12:00:00.000000001Z", "20251105T120000Z"},
                 {1762344000 * S + 500000000, "2025-11-05T12:00:00.500000000Z", "20251105T120000Z"},
                 {-1, "1969-12-31T23:59:59.999999999Z", "19691231T235959Z"},
                 {-S, "1969-12-31T23:59:59Z", "19691231T235959Z"},
                 {951782400 * S, "2000-02-29T00:00:00Z", "20000229T000000Z"},
                 {INT64_MAX, "2262-04-11T23:47:16.854775807Z", "22620411T234716Z"},
                 {INT64_MIN, "1677-09-21T00:12:43.145224192Z", "16770921T001243Z"}};
    char out[BK_TIME_CAP];
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_string_equal(bk_format_time(out, cases[i].ns), cases[i].time);
        int64_t back = 77;
        assert_true(bk_parse_time(out, &back));
        assert_true(back == cases[i].ns);
        assert_string_equal(bk_format_stamp(out, cases[i].ns), cases[i].stamp);
    }
}

static void parses(void **state)
{
    (void)state;
    static const struct {
        const char *s;
        int64_t ns;
    } cases[] = {{"2025-11-05T12:00:00Z", 1762344000 * S},
                 {"2025-11-05t12:00:00z", 1762344000 * S},
                 {"2025-11-05 12:00:00Z", 1762344000 * S},
                 {"2025-11-05T14:00:00+02:00", 1762344000 * S},
                 {"2025-11-05T06:30:00-05:30", 1762344000 * S},
                 {"2025-11-06T11:59:00+23:59", 1762344000 * S},
                 {"2025-11-05T12:00:00-00:00", 1762344000 * S},
                 {"2025-11-05T12:00:00.25Z", 1762344000 * S + 250000000},
                 {"2025-11-05T12:00:00.123456789Z", 1762344000 * S + 123456789},
                 {"2025-11-05T12:00:00.1234567899999Z", 1762344000 * S + 123456789},
                 {"1969-12-31T23:59:58.75Z", -2 * S + 750000000},
                 {"20251105T120000Z", 1762344000 * S},
                 {"2000-02-29T00:00:00Z", 951782400 * S},
                 {"1900-03-01T00:00:00Z", INT64_C(-2203891200) * S}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t ns = 77;
        if (!bk_parse_time(cases[i].s, &ns) || ns != cases[i].ns)
            fail_msg("'%s' gave %lld", cases[i].s, (long long)ns);
    }
}

static void refuses(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "now",
        "2025",
        "2025-11",
        "2025-11-5",
        "25-11-05",
        "2025-11-05T",
        "2025-11-05T12",
        "2025-11-05T12:00Z",
        "2025-11-05T12:00:00ZZ",
        "2025-11-05T12:00:00 Z",
        "2025-11-05T12:00:00+0200",
        "2025-11-05T12:00:00+02",
        "2025-11-05T12:00:00+24:00",
        "2025-11-05T12:00:00+02:60",
        "2025-11-05T12:00:00.Z",
        "2025-11-05T12:00:00.5",
        "2025-11-05T24:00:00Z",
        "2025-11-05T12:60:00Z",
        "2025-11-05T12:00:60Z",
        "2025-11-05T-1:00:00Z",
        "2025-00-05T12:00:00Z",
        "2025-13-05T12:00:00Z",
        "2025-11-00T12:00:00Z",
        "2025-11-31T12:00:00Z",
        "2025-02-29T12:00:00Z",
        "1900-02-29T12:00:00Z",
        "2025-04-31",
        "2025-11-05 12",
        "2025-11-05 12:00:00x",
        "2025-11-05 25:00",
        " 2025-11-05",
        "2025-11-05 ",
        "2025/11/05",
        "20251105",
        "20251105T120000",
        "20251305T120000Z",
        "20251105T120000Zx",
        "0000-01-01T00:00:00Z", /* a time, but not within 64 bits of nanoseconds */
        "9999-12-31T23:59:59Z",
        "9999-12-31",
        "2262-04-11T23:47:16.854775808Z",
        "1677-09-21T00:12:43.145224191Z",
        "12025-11-05T12:00:00Z"};
    int64_t ns = 77;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (bk_parse_time(bad[i], &ns) || ns != 77)
            fail_msg("'%s'", bad[i]);
    static const char *const local[] = {"2025-11-05", "2025-11-05 12:00", "2025-11-05 12:00:00",
                                        "20251105T120000Z"};
    for (size_t i = 0; i < sizeof(local) / sizeof(local[0]); i++)
        assert_false(bk_parse_rfc3339(local[i], &ns));
}

static void local_time(void **state)
{
    (void)state;
    int64_t ns = 0;
    assert_int_equal(setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1), 0);
    tzset();
    assert_true(bk_parse_time("2025-11-05 12:00", &ns));
    assert_true(ns == (1762344000 - 3600) * S);
    assert_true(bk_parse_time("2025-11-05 12:00:30", &ns));
    assert_true(ns == (1762344000 - 3600 + 30) * S);
    assert_true(bk_parse_time("2025-11-05T12:00", &ns));
    assert_true(ns == (1762344000 - 3600) * S);
    assert_true(bk_parse_time("2025-07-01", &ns)); /* summer time */
    assert_true(ns == (1751328000 - 7200) * S);
    assert_true(bk_parse_time("1970-01-01 00:59:59", &ns)); /* what mktime calls -1 */
    assert_true(ns == -S);
    assert_true(bk_parse_time("2025-11-05T12:00:00Z", &ns)); /* not touched by it */
    assert_true(ns == 1762344000 * S);
    assert_int_equal(unsetenv("TZ"), 0);
    tzset();
}

/* Every day of a bit more than 400 years against the C library. */
static void days(void **state)
{
    (void)state;
    char out[BK_TIME_CAP], want[BK_TIME_CAP];
    for (int64_t day = -106000; day <= 106000; day++) {
        time_t t = (time_t)(day * 86400 + 3661);
        struct tm tm;
        assert_non_null(gmtime_r(&t, &tm));
        (void)strftime(want, sizeof(want), "%Y-%m-%dT%H:%M:%SZ", &tm);
        int64_t ns = 0;
        if (!bk_parse_time(want, &ns) || ns != t * S)
            fail_msg("%s", want);
        assert_string_equal(bk_format_time(out, ns), want);
    }
}

static void clocks(void **state)
{
    (void)state;
    int64_t before = (int64_t)time(NULL) * S, now = bk_now_ns();
    assert_true(now >= before && now < before + 60 * S);
    uint64_t a = bk_monotonic_ms();
    struct timespec nap = {.tv_nsec = 20000000};
    (void)nanosleep(&nap, NULL);
    uint64_t b = bk_monotonic_ms();
    assert_true(b - a >= 19 && b - a < 10000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(formats), cmocka_unit_test(parses),
                                       cmocka_unit_test(refuses), cmocka_unit_test(local_time),
                                       cmocka_unit_test(days),    cmocka_unit_test(clocks)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
