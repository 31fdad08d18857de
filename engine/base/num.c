/* Text to numbers, sizes and durations. */
#include "base/num.h"

#include <string.h>
#include <strings.h>

/* Digits from *s on, at least one; *s is moved behind them. False: none, or too many. */
static bool digits(const char **s, uint64_t *ret)
{
    const char *p = *s;
    uint64_t v = 0;
    if (*p < '0' || *p > '9')
        return false;
    for (; *p >= '0' && *p <= '9'; p++) {
        uint64_t d = (uint64_t)(*p - '0');
        if (v > (UINT64_MAX - d) / 10)
            return false;
        v = v * 10 + d;
    }
    *s = p;
    *ret = v;
    return true;
}

bool bk_parse_u64(const char *s, uint64_t *ret)
{
    uint64_t v;
    if (!digits(&s, &v) || *s)
        return false;
    *ret = v;
    return true;
}

bool bk_parse_i64(const char *s, int64_t *ret)
{
    bool negative = *s == '-';
    uint64_t v;
    s += negative;
    if (!digits(&s, &v) || *s || v > (uint64_t)INT64_MAX + negative)
        return false;
    if (negative)
        *ret = v == 0 ? 0 : -(int64_t)(v - 1) - 1;
    else
        *ret = (int64_t)v;
    return true;
}

/* "", "B", "K", "KB", "KiB", ...: how many bytes; 0: no unit of size. */
static uint64_t size_unit(const char *s)
{
    static const char letters[] = "kmgtp";
    if (*s == '\0' || strcasecmp(s, "b") == 0)
        return 1;
    char c = *s >= 'A' && *s <= 'Z' ? (char)(*s - 'A' + 'a') : *s;
    const char *at = strchr(letters, c);
    if (!at)
        return 0;
    uint64_t step = 1024, unit = 1;
    if (strcasecmp(s + 1, "b") == 0)
        step = 1000;
    else if (s[1] && strcasecmp(s + 1, "ib") != 0)
        return 0;
    for (const char *p = letters; p <= at; p++)
        unit *= step;
    return unit;
}

/* ".25" as 25 of 100. No more digits than the product with a unit leaves room for. */
static bool fraction(const char **s, uint64_t *ret, uint64_t *ret_of)
{
    const char *from = ++*s;
    if (!digits(s, ret) || *s - from > 18)
        return false;
    *ret_of = 1;
    for (const char *p = from; p < *s; p++)
        *ret_of *= 10;
    return true;
}

bool bk_parse_size(const char *s, uint64_t *ret)
{
    __extension__ typedef unsigned __int128 wide;
    uint64_t whole, part = 0, of = 1;
    if (!digits(&s, &whole))
        return false;
    bool point = *s == '.';
    if (point && !fraction(&s, &part, &of))
        return false;
    if (*s == ' ' && s[1])
        s++;
    uint64_t unit = size_unit(s);
    if (unit == 0 || (point && unit == 1))
        return false;
    wide v = (wide)whole * unit + (wide)part * unit / of;
    if (v > UINT64_MAX)
        return false;
    *ret = (uint64_t)v;
    return true;
}

struct unit {
    const char *name;
    uint64_t ms;
};

/* The longest first; "ms" is looked for before "m". */
static const struct unit time_units[] = {
    {"y", 365 * UINT64_C(86400000)},
    {"w", 7 * UINT64_C(86400000)},
    {"d", UINT64_C(86400000)},
    {"h", 3600000},
    {"ms", 1},
    {"m", 60000},
    {"s", 1000},
};

static const struct unit *time_unit(const char *s)
{
    for (size_t i = 0; i < sizeof(time_units) / sizeof(time_units[0]); i++)
        if (strncmp(s, time_units[i].name, strlen(time_units[i].name)) == 0)
            return &time_units[i];
    return NULL;
}

bool bk_parse_duration(const char *s, uint64_t *ret_ms)
{
    uint64_t sum = 0, last = UINT64_MAX;
    if (strcmp(s, "0") == 0) {
        *ret_ms = 0;
        return true;
    }
    do {
        uint64_t v;
        if (!digits(&s, &v))
            return false;
        const struct unit *unit = time_unit(s);
        if (!unit || unit->ms >= last || v > (UINT64_MAX - sum) / unit->ms)
            return false;
        sum += v * unit->ms;
        last = unit->ms;
        s += strlen(unit->name);
    } while (*s);
    *ret_ms = sum;
    return true;
}

bool bk_parse_bool(const char *s, bool *ret)
{
    static const char *const words[][2] = {{"false", "true"}, {"no", "yes"}, {"off", "on"}};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        for (int v = 0; v < 2; v++)
            if (strcasecmp(s, words[i][v]) == 0) {
                *ret = v;
                return true;
            }
    return false;
}
