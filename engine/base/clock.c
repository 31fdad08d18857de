/* Clocks, and times as text. */
#include "base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define NS_PER_S INT64_C(1000000000)

int64_t bk_now_ns(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

uint64_t bk_monotonic_ms(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

uint64_t bk_boottime_ms(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_BOOTTIME, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

struct civil {
    int year, month, day, hour, minute, second;
    int64_t ns;
};

/* Whole seconds, rounded down, of a time that may lie before the epoch. */
static void split(int64_t ns, struct tm *tm, int64_t *ret_rest)
{
    time_t s = (time_t)(ns / NS_PER_S);
    *ret_rest = ns % NS_PER_S;
    if (*ret_rest < 0) {
        *ret_rest += NS_PER_S;
        s--;
    }
    (void)gmtime_r(&s, tm);
}

char *bk_format_time(char *out, int64_t ns)
{
    struct tm tm;
    int64_t rest;
    split(ns, &tm, &rest);
    size_t n = strftime(out, BK_TIME_CAP, "%Y-%m-%dT%H:%M:%S", &tm);
    if (rest)
        (void)snprintf(out + n, BK_TIME_CAP - n, ".%09" PRId64 "Z", rest);
    else
        (void)snprintf(out + n, BK_TIME_CAP - n, "Z");
    return out;
}

char *bk_format_stamp(char *out, int64_t ns)
{
    struct tm tm;
    int64_t rest;
    split(ns, &tm, &rest);
    (void)strftime(out, BK_TIME_CAP, "%Y%m%dT%H%M%SZ", &tm);
    return out;
}

/* Exactly n digits from *s on; *s is moved behind them. */
static bool number(const char **s, int n, int *ret)
{
    int v = 0;
    for (; n > 0; n--, (*s)++) {
        if (**s < '0' || **s > '9')
            return false;
        v = v * 10 + (**s - '0');
    }
    *ret = v;
    return true;
}

static bool skip(const char **s, const char *any_of)
{
    if (**s == '\0' || !strchr(any_of, **s))
        return false;
    (*s)++;
    return true;
}

static bool is_real(const struct civil *c)
{
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (c->month < 1 || c->month > 12)
        return false;
    bool leap = c->year % 4 == 0 && (c->year % 100 != 0 || c->year % 400 == 0);
    int days = lengths[c->month - 1] + (leap && c->month == 2);
    return c->day >= 1 && c->day <= days && c->hour < 24 && c->minute < 60 && c->second < 60;
}

/* Days from the epoch: years are counted from March, so that the leap day is the last one. */
static int64_t days_of(int year, int month, int day)
{
    int64_t y = year - (month <= 2) + 400; /* never negative; 400 years are 146097 days */
    int64_t m = (month + 9) % 12;
    return y * 365 + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 146097 - 719468;
}

static bool to_ns(int64_t s, int64_t ns, int64_t *ret_ns)
{
    int64_t v;
    if (s < 0 && ns > 0) { /* -9.3 s is -9 s and -0.3 s: each step stays in range */
        s++;
        ns -= NS_PER_S;
    }
    if (__builtin_mul_overflow(s, NS_PER_S, &v) || __builtin_add_overflow(v, ns, &v))
        return false;
    *ret_ns = v;
    return true;
}

static bool utc_ns(const struct civil *c, int offset_s, int64_t *ret_ns)
{
    int64_t s = days_of(c->year, c->month, c->day) * 86400 + c->hour * INT64_C(3600) +
                c->minute * INT64_C(60) + c->second - offset_s;
    return to_ns(s, c->ns, ret_ns);
}

static bool local_ns(const struct civil *c, int64_t *ret_ns)
{
    struct tm tm = {.tm_year = c->year - 1900,
                    .tm_mon = c->month - 1,
                    .tm_mday = c->day,
                    .tm_hour = c->hour,
                    .tm_min = c->minute,
                    .tm_sec = c->second,
                    .tm_wday = -1, /* mktime sets it: -1 alone may also be a time */
                    .tm_isdst = -1};
    time_t s = mktime(&tm);
    return tm.tm_wday != -1 && to_ns(s, c->ns, ret_ns);
}

static bool date(const char **s, struct civil *c)
{
    return number(s, 4, &c->year) && skip(s, "-") && number(s, 2, &c->month) && skip(s, "-") &&
           number(s, 2, &c->day);
}

/* ".25": digits beyond nanoseconds are dropped. */
static bool fraction(const char **s, int64_t *ret_ns)
{
    int64_t unit = NS_PER_S;
    const char *from = *s;
    for (; **s >= '0' && **s <= '9'; (*s)++) {
        unit /= 10;
        *ret_ns += (**s - '0') * unit;
    }
    return *s > from;
}

/* "Z" or "+02:00" to the end of s. */
static bool offset(const char *s, int *ret_s)
{
    int hours, minutes, sign = *s == '-' ? -1 : 1;
    *ret_s = 0;
    if (skip(&s, "Zz"))
        return *s == '\0';
    if (!skip(&s, "+-") || !number(&s, 2, &hours) || !skip(&s, ":") || !number(&s, 2, &minutes) ||
        *s || hours > 23 || minutes > 59)
        return false;
    *ret_s = sign * (hours * 3600 + minutes * 60);
    return true;
}

bool bk_parse_rfc3339(const char *s, int64_t *ret_ns)
{
    struct civil c = {0};
    int offset_s;
    if (!date(&s, &c) || !skip(&s, "Tt ") || !number(&s, 2, &c.hour) || !skip(&s, ":") ||
        !number(&s, 2, &c.minute) || !skip(&s, ":") || !number(&s, 2, &c.second) ||
        (skip(&s, ".") && !fraction(&s, &c.ns)) || !offset(s, &offset_s) || !is_real(&c))
        return false;
    return utc_ns(&c, offset_s, ret_ns);
}

/* "20251105T120000Z" */
static bool parse_stamp(const char *s, int64_t *ret_ns)
{
    struct civil c = {0};
    if (!number(&s, 4, &c.year) || !number(&s, 2, &c.month) || !number(&s, 2, &c.day) ||
        !skip(&s, "T") || !number(&s, 2, &c.hour) || !number(&s, 2, &c.minute) ||
        !number(&s, 2, &c.second) || !skip(&s, "Z") || *s || !is_real(&c))
        return false;
    return utc_ns(&c, 0, ret_ns);
}

/* "2025-11-05", "2025-11-05 12:00", "2025-11-05 12:00:00" */
static bool parse_local(const char *s, int64_t *ret_ns)
{
    struct civil c = {0};
    if (!date(&s, &c))
        return false;
    if (*s &&
        (!skip(&s, " T") || !number(&s, 2, &c.hour) || !skip(&s, ":") || !number(&s, 2, &c.minute)))
        return false;
    if (*s && (!skip(&s, ":") || !number(&s, 2, &c.second) || *s))
        return false;
    return is_real(&c) && local_ns(&c, ret_ns);
}

bool bk_parse_time(const char *s, int64_t *ret_ns)
{
    return bk_parse_rfc3339(s, ret_ns) || parse_local(s, ret_ns) || parse_stamp(s, ret_ns);
}
