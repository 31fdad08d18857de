/* Reads cron's five fields. */
#include "config/crontime.h"

#include "base/cleanup.h"
#include "base/num.h"
#include "base/str.h"
#include "config/diag.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

struct field {
    const char *name;
    unsigned min, max;
    const char *const *names; /* of min, min + 1, ...; or NULL */
};

static const char *const months[] = {"jan", "feb", "mar", "apr", "may", "jun", "jul",
                                     "aug", "sep", "oct", "nov", "dec", NULL};
static const char *const weekdays[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat", NULL};

static const struct field fields[] = {
    {"minute", 0, 59, NULL},
    {"hour", 0, 23, NULL},
    {"day of the month", 1, 31, NULL},
    {"month", 1, 12, months},
    {"day of the week", 0, 7, weekdays},
};
#define N_FIELDS 5

static const struct {
    const char *name, *text;
} aliases[] = {
    {"@yearly", "0 0 1 1 *"}, {"@annually", "0 0 1 1 *"}, {"@monthly", "0 0 1 * *"},
    {"@weekly", "0 0 * * 0"}, {"@daily", "0 0 * * *"},    {"@midnight", "0 0 * * *"},
    {"@hourly", "0 * * * *"},
};

static int wrong(const struct field *f, const char *part, struct bk_err *err)
{
    char shown[BK_QUOTE_CAP];
    return bk_fail(err, BAKE_E_CONFIG, "the %s '%s' is not understood", f->name,
                   bk_quote(shown, part));
}

static int value(const struct field *f, const char *text, unsigned *ret, struct bk_err *err)
{
    char shown[BK_QUOTE_CAP];
    uint64_t number = 0;
    for (unsigned i = 0; f->names && f->names[i]; i++) {
        if (strcasecmp(f->names[i], text) == 0) {
            *ret = f->min + i;
            return 0;
        }
    }
    if (!bk_parse_u64(text, &number))
        return wrong(f, text, err);
    if (number < f->min || number > f->max)
        return bk_fail(err, BAKE_E_CONFIG, "the %s must be between %u and %u, got '%s'", f->name,
                       f->min, f->max, bk_quote(shown, text));
    *ret = (unsigned)number;
    return 0;
}

/* "a" or "a-b"; text is taken apart. */
static int range(const struct field *f, char *text, unsigned *ret_low, unsigned *ret_high,
                 struct bk_err *err)
{
    char *dash = strchr(text, '-');
    if (dash)
        *dash++ = '\0';
    int rc = value(f, text, ret_low, err);
    *ret_high = *ret_low;
    if (rc == 0 && dash)
        rc = value(f, dash, ret_high, err);
    if (rc == 0 && *ret_low > *ret_high)
        return bk_fail(err, BAKE_E_CONFIG, "the %s range '%s-%s' runs backwards", f->name, text,
                       dash);
    return rc;
}

/* One of a list: "*", "a", "a-b", the first and the last also with "/step". */
static int part(const struct field *f, char *text, uint64_t *bits, struct bk_err *err)
{
    uint64_t step = 1;
    unsigned low = f->min, high = f->max;
    char *slash = strchr(text, '/');
    if (slash)
        *slash++ = '\0';
    if (slash && text[0] != '*' && !strchr(text, '-'))
        return bk_fail(err, BAKE_E_CONFIG, "the %s '%s/%s': a step follows '*' or a range", f->name,
                       text, slash);
    if (slash && (!bk_parse_u64(slash, &step) || step < 1 || step > f->max))
        return bk_fail(err, BAKE_E_CONFIG, "the %s step '%s' must be between 1 and %u", f->name,
                       slash, f->max);
    if (strcmp(text, "*") != 0) {
        int rc = range(f, text, &low, &high, err);
        if (rc < 0)
            return rc;
    }
    for (unsigned i = low; i <= high; i += (unsigned)step)
        *bits |= UINT64_C(1) << i;
    return 0;
}

static int field_bits(const struct field *f, const char *text, uint64_t *ret, struct bk_err *err)
{
    char copy[BK_CRON_CAP];
    (void)snprintf(copy, sizeof(copy), "%s", text);
    *ret = 0;
    for (char *p = copy; p;) {
        char *comma = strchr(p, ',');
        if (comma)
            *comma++ = '\0';
        if (!*p)
            return wrong(f, text, err);
        int rc = part(f, p, ret, err);
        if (rc < 0)
            return rc;
        p = comma;
    }
    return 0;
}

/* Cuts at blanks; NULL-ends each field in text. How many there are (N_FIELDS + 1: more). */
static size_t split(char *text, char *out[N_FIELDS])
{
    size_t n = 0;
    char *save = NULL;
    for (char *p = strtok_r(text, " \t\n", &save); p; p = strtok_r(NULL, " \t\n", &save)) {
        if (n == N_FIELDS)
            return N_FIELDS + 1;
        out[n++] = p;
    }
    return n;
}

/* February counts 29 days: a leap year comes. */
static bool never_comes(const struct bk_cron *c)
{
    static const unsigned days[] = {0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (!c->any_weekday) /* another day of that week will do */
        return false;
    for (unsigned m = 1; m <= 12; m++) {
        uint64_t there = (UINT64_C(1) << (days[m] + 1)) - 2;
        if ((c->month & UINT64_C(1) << m) && (c->day & there))
            return false;
    }
    return true;
}

static const char *without_alias(const char *text)
{
    for (size_t i = 0; i < BK_LEN(aliases); i++) {
        if (strcmp(text, aliases[i].name) == 0)
            return aliases[i].text;
    }
    return text;
}

static int parse_fields(char *part_of[N_FIELDS], struct bk_cron *c, struct bk_err *err)
{
    uint64_t *const bits[N_FIELDS] = {&c->minute, &c->hour, &c->day, &c->month, &c->weekday};
    for (size_t i = 0; i < N_FIELDS; i++) {
        int rc = field_bits(&fields[i], part_of[i], bits[i], err);
        if (rc < 0)
            return rc;
    }
    c->any_day = *part_of[2] == '*';
    c->any_weekday = *part_of[4] == '*';
    if (c->weekday & UINT64_C(1) << 7) /* Sunday, too */
        c->weekday = (c->weekday & ~(UINT64_C(1) << 7)) | 1;
    return 0;
}

int bk_cron_parse(const char *text, struct bk_cron *ret, struct bk_err *err)
{
    char copy[BK_CRON_CAP], shown[BK_QUOTE_CAP], *part_of[N_FIELDS] = {NULL};
    struct bk_cron c = {0};
    if (strlen(text) >= sizeof(copy))
        return bk_fail(err, BAKE_E_CONFIG, "longer than %d characters", BK_CRON_CAP - 1);
    (void)snprintf(copy, sizeof(copy), "%s", without_alias(text));
    if (*copy == '@')
        return bk_fail(err, BAKE_E_CONFIG,
                       "'%s' is not known; it may be @hourly, @daily, @weekly, @monthly or @yearly",
                       bk_quote(shown, text));
    size_t n = split(copy, part_of);
    if (n != N_FIELDS)
        return bk_fail(
            err, BAKE_E_CONFIG,
            "five fields are wanted (minute, hour, day, month, weekday), got %s%zu: '%s'",
            n > N_FIELDS ? "more than " : "", n > N_FIELDS ? (size_t)N_FIELDS : n,
            bk_quote(shown, text));
    int rc = parse_fields(part_of, &c, err);
    if (rc < 0)
        return rc;
    if (never_comes(&c))
        return bk_fail(err, BAKE_E_CONFIG, "the time '%s' never comes", bk_quote(shown, text));
    (void)snprintf(c.text, sizeof(c.text), "%s %s %s %s %s", part_of[0], part_of[1], part_of[2],
                   part_of[3], part_of[4]);
    *ret = c;
    return 0;
}
