/* Cron's five fields. */
#include "config_testing.h"

#include "config/crontime.h"

static void fires(const char *text, const char *wanted, uint64_t minute, uint64_t hour)
{
    struct bk_cron c;
    struct bk_err err = {0};
    assert_int_equal(bk_cron_parse(text, &c, &err), 0);
    assert_string_equal(c.text, wanted);
    assert_int_equal(c.minute, minute);
    assert_int_equal(c.hour, hour);
}

static uint64_t bits(unsigned from, unsigned to, unsigned step)
{
    uint64_t b = 0;
    for (unsigned i = from; i <= to; i += step)
        b |= UINT64_C(1) << i;
    return b;
}

static void test_forms(void **state)
{
    (void)state;
    fires("0 2 * * *", "0 2 * * *", 1, 1 << 2);
    fires("  5\t3  *   * *\n", "5 3 * * *", 1 << 5, 1 << 3);
    fires("* * * * *", "* * * * *", bits(0, 59, 1), bits(0, 23, 1));
    fires("*/15 9-17/4 * * *", "*/15 9-17/4 * * *", bits(0, 59, 15), bits(9, 17, 4));
    fires("1,2,40-42 0 * * *", "1,2,40-42 0 * * *", 6 | bits(40, 42, 1), 1);
    fires("59 23 31 12 7", "59 23 31 12 7", UINT64_C(1) << 59, 1 << 23);
    fires("@daily", "0 0 * * *", 1, 1);
    fires("@hourly", "0 * * * *", 1, bits(0, 23, 1));
    fires("*/59 * * * *", "*/59 * * * *", bits(0, 59, 59), bits(0, 23, 1));
}

static void test_names_and_sunday(void **state)
{
    (void)state;
    struct bk_cron c;
    struct bk_err err = {0};
    assert_int_equal(bk_cron_parse("0 0 1 JAN,mar-May mon-Fri", &c, &err), 0);
    assert_int_equal(c.month, 1 << 1 | 1 << 3 | 1 << 4 | 1 << 5);
    assert_int_equal(c.weekday, bits(1, 5, 1));
    assert_int_equal(c.day, 1 << 1);
    assert_false(c.any_day);
    assert_false(c.any_weekday);
    assert_int_equal(bk_cron_parse("0 0 */2 * 5-7", &c, &err), 0);
    assert_int_equal(c.weekday, 1 | 1 << 5 | 1 << 6);
    assert_true(c.any_day);
    assert_int_equal(bk_cron_parse("0 0 * * sun", &c, &err), 0);
    assert_int_equal(c.weekday, 1);
    assert_int_equal(bk_cron_parse("@weekly", &c, &err), 0);
    assert_int_equal(c.weekday, 1);
}

static void refused(const char *text, const char *why)
{
    struct bk_cron c;
    struct bk_err err = {0};
    assert_int_equal(bk_cron_parse(text, &c, &err), BAKE_E_CONFIG);
    assert_non_null(strstr(err.text, why));
}

static void test_refused(void **state)
{
    (void)state;
    refused("", "got 0");
    refused("0 2 * *", "got 4");
    refused("0 0 2 * * *", "more than 5");
    refused("60 0 * * *", "minute must be between 0 and 59");
    refused("0 24 * * *", "hour must be between 0 and 23");
    refused("0 0 0 * *", "day of the month must be between 1 and 31");
    refused("0 0 * 0 *", "month must be between 1 and 12");
    refused("0 0 * * 8", "day of the week must be between 0 and 7");
    refused("-1 0 * * *", "minute '' is not understood");
    refused("1- 0 * * *", "minute '' is not understood");
    refused("x 0 * * *", "minute 'x' is not understood");
    refused("0 jan * * *", "hour 'jan' is not understood");
    refused("0 0 * january *", "month 'january' is not understood");
    refused("0 0 * * jan", "day of the week 'jan' is not understood");
    refused("*x 0 * * *", "minute '*x' is not understood");
    refused("5/2 0 * * *", "a step follows");
    refused("*/0 0 * * *", "step '0' must be");
    refused("*/60 0 * * *", "step '60' must be");
    refused("*/ 0 * * *", "step '' must be");
    refused("0 */x * * *", "step 'x' must be");
    refused(", 0 * * *", "is not understood");
    refused("1, 0 * * *", "is not understood");
    refused("9-8 0 * * *", "runs backwards");
    refused("0 0 * * fri-mon", "runs backwards");
    refused("18446744073709551616 0 * * *", "is not understood");
    refused("@reboot", "is not known");
    refused("@", "is not known");
}

static void test_never(void **state)
{
    (void)state;
    struct bk_cron c;
    struct bk_err err = {0};
    refused("0 0 30 2 *", "never comes");
    refused("0 0 31 2,4,jun,9,11 *", "never comes");
    assert_int_equal(bk_cron_parse("0 0 29 2 *", &c, &err), 0);
    assert_int_equal(bk_cron_parse("0 0 31 2 mon", &c, &err), 0); /* Mondays in February */
    assert_int_equal(bk_cron_parse("0 0 31 2,3 *", &c, &err), 0);
}

static void test_long(void **state)
{
    (void)state;
    char text[BK_CRON_CAP + 40];
    memset(text, '1', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    refused(text, "longer than 255 characters");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),   cmocka_unit_test(test_names_and_sunday),
        cmocka_unit_test(test_refused), cmocka_unit_test(test_never),
        cmocka_unit_test(test_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
