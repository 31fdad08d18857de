/* The retention policy: against what restic decided on the same histories, and the rules on top. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/num.h"
#include "run/retention.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define MAX_BACKUPS 64
#define SECOND      1000000000LL
#define HOUR        (3600 * SECOND)
#define DAY         (24 * HOUR)
#define NOW         (1800000000 * SECOND)

static const struct bk_retention none = {-1, -1, -1, -1, -1, -1, -1};

static void use_zone(const char *zone)
{
    assert_int_equal(setenv("TZ", zone, 1), 0);
    tzset();
}

static int64_t number(const char *text)
{
    int64_t value = 0;
    assert_true(bk_parse_i64(text, &value));
    return value;
}

/* ---- recorded decisions of restic ------------------------------------------------------------ */

struct history {
    struct bk_ret_backup backups[MAX_BACKUPS];
    struct bk_ret_verdict verdicts[MAX_BACKUPS];
    char wanted[MAX_BACKUPS][200];
    size_t n;
    struct bk_retention policy;
    bool has_policy;
    int64_t now_ns;
    size_t compared;
};

static void compare(struct history *h)
{
    if (!h->has_policy)
        return;
    struct bk_err err = {0};
    assert_int_equal(bk_retention_apply(&h->policy, h->backups, h->n, h->now_ns, h->verdicts, &err),
                     0);
    for (size_t i = 0; i < h->n; i++) {
        struct bk_buf got = BK_BUF_INIT;
        assert_int_equal(bk_retention_reasons(&h->verdicts[i], ",", &got), 0);
        assert_string_equal(got.data ? got.data : "", h->wanted[i]);
        assert_int_equal(h->verdicts[i].keep, h->wanted[i][0] != '\0');
        bk_buf_free(&got);
        h->compared++;
    }
}

static void read_history(struct history *h, char *rest)
{
    char *save = NULL;
    use_zone(strtok_r(rest, " ", &save));
    h->n = 0;
    h->has_policy = false;
    for (char *word = strtok_r(NULL, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
        assert_true(h->n < MAX_BACKUPS);
        h->backups[h->n++] =
            (struct bk_ret_backup){.id = "x", .time_ns = number(word) * SECOND, .good = true};
    }
}

static void read_policy(struct history *h, char *rest)
{
    char *save = NULL;
    h->policy = none;
    h->has_policy = true;
    memset(h->wanted, 0, sizeof(h->wanted));
    for (char *word = strtok_r(rest, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
        char *eq = strchr(word, '=');
        assert_non_null(eq);
        *eq = '\0';
        int64_t value = number(eq + 1);
        int64_t *field = !strcmp(word, "last")      ? &h->policy.keep_last
                         : !strcmp(word, "hourly")  ? &h->policy.keep_hourly
                         : !strcmp(word, "daily")   ? &h->policy.keep_daily
                         : !strcmp(word, "weekly")  ? &h->policy.keep_weekly
                         : !strcmp(word, "monthly") ? &h->policy.keep_monthly
                         : !strcmp(word, "yearly")  ? &h->policy.keep_yearly
                         : !strcmp(word, "within")  ? &h->policy.keep_within_ms
                                                    : NULL;
        assert_non_null(field);
        *field = field == &h->policy.keep_within_ms ? value * 3600000 : value;
    }
}

/* restic names 'within' first, we name it last: the order is not what is compared. */
static void add_wanted(char wanted[200], const char *reasons)
{
    bool within = strncmp(reasons, "within", 6) == 0;
    if (within)
        reasons += reasons[6] == ',' ? 7 : 6;
    (void)snprintf(wanted, 200, "%s%s%s", reasons, within && *reasons ? "," : "",
                   within ? "within" : "");
}

static void read_keep(struct history *h, char *rest)
{
    char *reasons = strchr(rest, ' ');
    assert_non_null(reasons);
    *reasons++ = '\0';
    int64_t when = number(rest) * SECOND;
    for (size_t i = 0; i < h->n; i++)
        if (h->backups[i].time_ns == when)
            add_wanted(h->wanted[i], reasons);
}

static void test_recorded_decisions(void **state)
{
    (void)state;
    FILE *f BK_FCLOSE = fopen(BAKE_TEST_DATA "/retention.txt", "re");
    assert_non_null(f);
    static struct history h;
    char line[4096];
    int histories = 0;
    while (fgets(line, sizeof(line), f)) {
        line[strcspn(line, "\n")] = '\0';
        char *rest = strchr(line, ' ');
        assert_non_null(rest);
        *rest++ = '\0';
        if (!strcmp(line, "now")) {
            h.now_ns = number(rest) * SECOND;
        } else if (!strcmp(line, "history")) {
            compare(&h);
            read_history(&h, rest);
            histories++;
        } else if (!strcmp(line, "policy")) {
            compare(&h);
            read_policy(&h, rest);
        } else if (!strcmp(line, "keep")) {
            read_keep(&h, rest);
        } else {
            assert_string_equal(line, "#");
        }
    }
    compare(&h);
    assert_true(histories >= 20);
    assert_true(h.compared >= 2000);
}

/* ---- calendars, independently ---------------------------------------------------------------- */

/* One backup each noon for 60 years: the weekly ones are the Sundays and the newest. */
static void test_weeks_of_sixty_years(void **state)
{
    (void)state;
    use_zone("UTC");
    enum { DAYS = 21915 };
    struct bk_ret_backup *b BK_FREE = calloc(DAYS, sizeof(*b));
    struct bk_ret_verdict *v BK_FREE = calloc(DAYS, sizeof(*v));
    assert_true(b && v);
    for (int i = 0; i < DAYS; i++) /* from 1 January 1970, a Thursday */
        b[i] = (struct bk_ret_backup){.id = "x", .time_ns = i * DAY + 12 * HOUR, .good = true};
    struct bk_retention p = none;
    p.keep_weekly = 1000000;
    assert_int_equal(bk_retention_apply(&p, b, DAYS, INT64_MAX, v, NULL), 0);
    for (int i = 0; i < DAYS; i++)
        assert_int_equal(v[i].keep, i % 7 == 3 || i == DAYS - 1);
}

static void test_hour_that_comes_twice(void **state)
{
    (void)state;
    use_zone("Europe/Berlin");
    int64_t first = 1698539400 * SECOND; /* 2023-10-29 02:30 summer time; an hour later 02:30 */
    struct bk_ret_backup b[] = {{.id = "a", .time_ns = first - HOUR, .good = true},
                                {.id = "b", .time_ns = first, .good = true},
                                {.id = "c", .time_ns = first + HOUR, .good = true}};
    struct bk_ret_verdict v[3];
    struct bk_retention p = none;
    p.keep_hourly = 2;
    assert_int_equal(bk_retention_apply(&p, b, 3, NOW, v, NULL), 0);
    assert_true(v[0].keep && !v[1].keep && v[2].keep);
    use_zone("UTC");
    assert_int_equal(bk_retention_apply(&p, b, 3, NOW, v, NULL), 0);
    assert_true(!v[0].keep && v[1].keep && v[2].keep);
}

static void test_times_before_1970(void **state)
{
    (void)state;
    use_zone("UTC");
    struct bk_ret_backup b[] = {{.id = "a", .time_ns = -1, .good = true}, /* 1969-12-31 23:59:59 */
                                {.id = "b", .time_ns = 0, .good = true}};
    struct bk_ret_verdict v[2];
    struct bk_retention p = none;
    p.keep_yearly = 2;
    assert_int_equal(bk_retention_apply(&p, b, 2, NOW, v, NULL), 0);
    assert_true(v[0].keep && v[1].keep);
}

/* ---- the rules on top ------------------------------------------------------------------------ */

static void test_no_policy_keeps_everything(void **state)
{
    (void)state;
    struct bk_ret_backup b[] = {{.id = "a", .time_ns = 1}, {.id = "b", .time_ns = 2, .good = true}};
    struct bk_ret_verdict v[2];
    assert_int_equal(bk_retention_apply(&none, b, 2, NOW, v, NULL), 0);
    assert_true(v[0].keep && v[1].keep);
    assert_int_equal(v[0].reasons, BK_KEEP_NO_POLICY);
    assert_int_equal(bk_retention_apply(&none, NULL, 0, NOW, NULL, NULL), 0);
}

static void test_nothing_there(void **state)
{
    (void)state;
    struct bk_retention p = none;
    p.keep_last = 1;
    assert_int_equal(bk_retention_apply(&p, NULL, 0, NOW, NULL, NULL), 0);
}

static void test_refuses_to_keep_nothing(void **state)
{
    (void)state;
    static const struct bk_ret_component c[] = {{"x", true}};
    struct bk_ret_backup b[] = {
        {.id = "a", .time_ns = 1, .good = true, .components = c, .n_components = 1}};
    struct bk_ret_verdict v[1];
    struct bk_err err = {0};
    struct bk_retention p = none;
    p.keep_last = 0;
    p.keep_daily = 0;
    p.keep_within_ms = 0;
    assert_int_equal(bk_retention_apply(&p, b, 1, NOW, v, &err), BAKE_E_CONFIG);
    assert_non_null(strstr(err.text, "keep none of 1 good"));
    assert_true(err.hint[0] != '\0');
    p.keep_daily = 1;
    assert_int_equal(bk_retention_apply(&p, b, 1, NOW, v, &err), 0);
}

/* Times 1 to 5; those at 2, 4 and 5 are partial. keep_last: 2 is of the good ones. */
static void test_partial_backups(void **state)
{
    (void)state;
    struct bk_ret_backup b[] = {{.id = "a", .time_ns = 1, .good = true},
                                {.id = "b", .time_ns = 2},
                                {.id = "c", .time_ns = 3, .good = true},
                                {.id = "d", .time_ns = 4},
                                {.id = "e", .time_ns = 5}};
    struct bk_ret_verdict v[5];
    struct bk_retention p = none;
    p.keep_last = 2;
    assert_int_equal(bk_retention_apply(&p, b, 5, NOW, v, NULL), 0);
    assert_int_equal(v[0].reasons, BK_KEEP_LAST);
    assert_false(v[1].keep);
    assert_int_equal(v[2].reasons, BK_KEEP_LAST);
    assert_int_equal(v[3].reasons, BK_KEEP_NEWER);
    assert_int_equal(v[4].reasons, BK_KEEP_NEWER);
    /* without any good one all stay */
    b[0].good = b[2].good = false;
    assert_int_equal(bk_retention_apply(&p, b, 5, NOW, v, NULL), 0);
    for (int i = 0; i < 5; i++)
        assert_int_equal(v[i].reasons, BK_KEEP_NEWER);
}

static void test_newest_copy_of_every_component(void **state)
{
    (void)state;
    static const struct bk_ret_component both[] = {{"db/x.sql", true}, {"files", true}};
    static const struct bk_ret_component old[] = {{"dropped", true}, {"files", true}};
    static const struct bk_ret_component torn[] = {{"db/x.sql", true}, {"files", false}};
    static const struct bk_ret_component failed[] = {{"db/x.sql", false}, {"files", false}};
    struct bk_ret_backup b[] = {
        {.id = "a", .time_ns = 1, .good = true, .components = old, .n_components = 2},
        {.id = "b", .time_ns = 2, .good = true, .components = both, .n_components = 2},
        {.id = "c", .time_ns = 3, .components = torn, .n_components = 2},
        {.id = "d", .time_ns = 4, .components = failed, .n_components = 2},
        {.id = "e", .time_ns = 5, .good = true, .components = both + 1, .n_components = 1}};
    struct bk_ret_verdict v[5];
    struct bk_retention p = none;
    p.keep_last = 1;
    assert_int_equal(bk_retention_apply(&p, b, 5, NOW, v, NULL), 0);
    assert_true(v[0].keep);
    assert_string_equal(v[0].component, "dropped");
    assert_false(v[1].keep);
    assert_int_equal(v[2].reasons, BK_KEEP_COMPONENT); /* partial, yet the newest whole db */
    assert_string_equal(v[2].component, "db/x.sql");
    assert_false(v[3].keep);
    assert_int_equal(v[4].reasons, BK_KEEP_LAST | BK_KEEP_COMPONENT);
    struct bk_buf text = BK_BUF_INIT;
    assert_int_equal(bk_retention_reasons(&v[4], ", ", &text), 0);
    assert_string_equal(text.data, "last, newest copy of files");
    bk_buf_free(&text);
}

/* So many that the set of names must grow; the newer backup lacks one of them, or none. */
static void test_many_components(void **state)
{
    (void)state;
    enum { N = 5000 };
    static char names[N][8];
    static struct bk_ret_component c[N];
    for (int i = 0; i < N; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "c%d", i);
        c[i] = (struct bk_ret_component){names[i], true};
    }
    struct bk_ret_backup b[] = {
        {.id = "a", .time_ns = 1, .good = true, .components = c, .n_components = N},
        {.id = "b", .time_ns = 2, .good = true, .components = c, .n_components = N - 1}};
    struct bk_ret_verdict v[2];
    struct bk_retention p = none;
    p.keep_last = 1;
    assert_int_equal(bk_retention_apply(&p, b, 2, NOW, v, NULL), 0);
    assert_true(v[0].keep);
    assert_string_equal(v[0].component, "c4999");
    b[1].n_components = N;
    assert_int_equal(bk_retention_apply(&p, b, 2, NOW, v, NULL), 0);
    assert_false(v[0].keep);
}

static void test_order_of_input_does_not_matter(void **state)
{
    (void)state;
    use_zone("Europe/Berlin");
    enum { N = 50 };
    struct bk_ret_backup b[N], turned[N];
    struct bk_ret_verdict v[N], w[N];
    char ids[N][8];
    for (int i = 0; i < N; i++) {
        (void)snprintf(ids[i], sizeof(ids[i]), "id%02d", i);
        b[i] =
            (struct bk_ret_backup){.id = ids[i], .time_ns = (i / 2) * 7 * HOUR, .good = i % 5 != 0};
    }
    for (int i = 0; i < N; i++)
        turned[i] = b[(i * 17 + 3) % N];
    struct bk_retention p = {2, 3, 4, 2, 1, 1, 20 * 3600000};
    assert_int_equal(bk_retention_apply(&p, b, N, NOW, v, NULL), 0);
    assert_int_equal(bk_retention_apply(&p, turned, N, NOW, w, NULL), 0);
    for (int i = 0; i < N; i++)
        assert_int_equal(w[i].reasons, v[(i * 17 + 3) % N].reasons);
}

static void test_huge_numbers(void **state)
{
    (void)state;
    struct bk_ret_backup b[] = {{.id = "a", .time_ns = INT64_MIN, .good = true},
                                {.id = "b", .time_ns = 0, .good = true},
                                {.id = "c", .time_ns = INT64_MAX, .good = true}};
    struct bk_ret_verdict v[3];
    struct bk_retention p = none;
    p.keep_within_ms = INT64_MAX;
    assert_int_equal(bk_retention_apply(&p, b, 3, NOW, v, NULL), 0);
    assert_true(v[1].keep && v[2].keep);
    p.keep_last = INT64_MAX;
    assert_int_equal(bk_retention_apply(&p, b, 3, NOW, v, NULL), 0);
    assert_true(v[0].keep && v[1].keep && v[2].keep);
}

static void test_hundred_thousand(void **state)
{
    (void)state;
    use_zone("Europe/Berlin");
    enum { N = 100000 };
    static const struct bk_ret_component c[] = {{"a", true}, {"b/c", true}, {"d", true}};
    struct bk_ret_backup *b BK_FREE = calloc(N, sizeof(*b));
    struct bk_ret_verdict *v BK_FREE = calloc(N, sizeof(*v));
    assert_true(b && v);
    for (int64_t i = 0; i < N; i++)
        b[i] = (struct bk_ret_backup){.id = "x",
                                      .time_ns = (i * 7919 % N) * HOUR / 2,
                                      .good = i % 10 != 0,
                                      .components = c,
                                      .n_components = 3};
    struct bk_retention p = {3, 48, 30, 12, 12, 7, 86400000};
    uint64_t start = bk_monotonic_ms();
    assert_int_equal(bk_retention_apply(&p, b, N, NOW, v, NULL), 0);
    assert_true(bk_monotonic_ms() - start < 3000); /* well under 1 s; sanitizers are slower */
    size_t kept = 0;
    for (int i = 0; i < N; i++)
        kept += v[i].keep;
    assert_in_range(kept, 80, 120);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recorded_decisions),
        cmocka_unit_test(test_weeks_of_sixty_years),
        cmocka_unit_test(test_hour_that_comes_twice),
        cmocka_unit_test(test_times_before_1970),
        cmocka_unit_test(test_no_policy_keeps_everything),
        cmocka_unit_test(test_nothing_there),
        cmocka_unit_test(test_refuses_to_keep_nothing),
        cmocka_unit_test(test_partial_backups),
        cmocka_unit_test(test_newest_copy_of_every_component),
        cmocka_unit_test(test_many_components),
        cmocka_unit_test(test_order_of_input_does_not_matter),
        cmocka_unit_test(test_huge_numbers),
        cmocka_unit_test(test_hundred_thousand),
    };
    return cmocka_run_group_tests_name("retention", tests, NULL, NULL);
}
