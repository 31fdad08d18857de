/* The retention policy: restic's buckets, and the rules that keep data whatever the policy says. */
#include "run/retention.h"
#include "base/cleanup.h"
#include "base/str.h"
#include <string.h>
#include <time.h>

#define RULES 6 /* those that count: bits 0 to 5 of the reasons */

static const char *const rule_names[RULES] = {"last",   "hourly",  "daily",
                                              "weekly", "monthly", "yearly"};

struct rule {
    int64_t left;   /* how many more it keeps */
    int64_t bucket; /* the hour, day, ... it kept last */
};

/* Backups by time, newest first; rank[0] is the newest. */
struct ranked {
    const struct bk_ret_backup *backup;
    struct bk_ret_verdict *verdict;
};

static int newest_first(const void *pa, const void *pb)
{
    const struct bk_ret_backup *a = ((const struct ranked *)pa)->backup;
    const struct bk_ret_backup *b = ((const struct ranked *)pb)->backup;
    if (a->time_ns != b->time_ns)
        return a->time_ns < b->time_ns ? 1 : -1;
    return strcmp(b->id, a->id);
}

static int64_t floor_seconds(int64_t ns)
{
    int64_t s = ns / 1000000000;
    return ns % 1000000000 < 0 ? s - 1 : s;
}

static bool is_leap(int64_t year) { return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0; }

/* Weeks of an ISO year: 53 when it starts on a Thursday, or on a Wednesday and is a leap year. */
static int iso_weeks(int64_t year, int first_weekday)
{
    return first_weekday == 4 || (first_weekday == 3 && is_leap(year)) ? 53 : 52;
}

/* ISO year * 100 + week. Days are counted from Monday, the week belongs to its Thursday's year. */
static int64_t iso_week(const struct tm *tm)
{
    int64_t year = (int64_t)tm->tm_year + 1900;
    int weekday = tm->tm_wday == 0 ? 7 : tm->tm_wday;
    int first = (weekday - 1 - tm->tm_yday % 7 + 7) % 7 + 1; /* weekday of 1 January */
    int week = (tm->tm_yday + 1 - weekday + 10) / 7;
    if (week < 1) {
        int before = (first - 1 - (is_leap(year - 1) ? 2 : 1) + 7) % 7 + 1;
        return (year - 1) * 100 + iso_weeks(year - 1, before);
    }
    if (week > iso_weeks(year, first))
        return (year + 1) * 100 + 1;
    return year * 100 + week;
}

/* The hour, day, ... that a backup lies in, as a number for each rule; `nth` makes each one its own
 * bucket. The two hours of one name on the day that clocks go back are one, as in restic. */
static void buckets_of(int64_t time_ns, size_t nth, int64_t bucket[RULES])
{
    time_t t = (time_t)floor_seconds(time_ns);
    struct tm tm;
    if (!localtime_r(&t, &tm) && !gmtime_r(&t, &tm))
        memset(&tm, 0, sizeof(tm)); /* beyond what a year can hold: one bucket for all such */
    int64_t year = (int64_t)tm.tm_year + 1900;
    int64_t month = year * 100 + tm.tm_mon + 1;
    int64_t day = month * 100 + tm.tm_mday;
    bucket[0] = (int64_t)nth;
    bucket[1] = day * 100 + tm.tm_hour;
    bucket[2] = day;
    bucket[3] = iso_week(&tm);
    bucket[4] = month;
    bucket[5] = year;
}

static void start_rules(const struct bk_retention *policy, struct rule rules[RULES])
{
    const int64_t counts[RULES] = {policy->keep_last,   policy->keep_hourly,  policy->keep_daily,
                                   policy->keep_weekly, policy->keep_monthly, policy->keep_yearly};
    for (size_t i = 0; i < RULES; i++)
        rules[i] = (struct rule){.left = counts[i] > 0 ? counts[i] : 0, .bucket = INT64_MIN};
}

/* The oldest moment that keep_within does not keep; INT64_MAX when it keeps nothing. */
static int64_t within_limit(const struct bk_retention *policy, const struct ranked *good, size_t n,
                            int64_t now_ns)
{
    if (policy->keep_within_ms <= 0)
        return INT64_MAX;
    int64_t newest = now_ns; /* all come from the future: then as if one were taken now */
    for (size_t i = 0; i < n; i++) {
        if (good[i].backup->time_ns <= now_ns) {
            newest = good[i].backup->time_ns;
            break;
        }
    }
    int64_t within_ns, limit;
    if (__builtin_mul_overflow(policy->keep_within_ms, (int64_t)1000000, &within_ns) ||
        __builtin_sub_overflow(newest, within_ns, &limit))
        return INT64_MIN;
    return limit;
}

/* Fills the buckets with the good backups, newest first. Returns how many are kept. */
static size_t apply_policy(const struct bk_retention *policy, const struct ranked *good, size_t n,
                           int64_t now_ns)
{
    struct rule rules[RULES];
    start_rules(policy, rules);
    int64_t limit = within_limit(policy, good, n, now_ns);
    size_t kept = 0;
    for (size_t nth = 0; nth < n; nth++) {
        struct bk_ret_verdict *v = good[nth].verdict;
        int64_t bucket[RULES];
        buckets_of(good[nth].backup->time_ns, nth, bucket);
        if (limit != INT64_MAX && good[nth].backup->time_ns > limit)
            v->reasons |= BK_KEEP_WITHIN;
        for (unsigned i = 0; i < RULES; i++) {
            if (rules[i].left == 0 || bucket[i] == rules[i].bucket)
                continue;
            v->reasons |= 1u << i;
            rules[i].bucket = bucket[i];
            rules[i].left--;
        }
        kept += v->reasons != 0;
    }
    return kept;
}

/* ---- the newest intact copy of each component ----------------------------------------------- */

struct name_set { /* open addressing; at most half full */
    const char **slots;
    size_t cap, n;
};

static uint64_t hash_name(const char *s)
{
    uint64_t h = 14695981039346656037u; /* FNV-1a */
    for (; *s; s++)
        h = (h ^ (unsigned char)*s) * 1099511628211u;
    return h ^ (h >> 29);
}

static const char **find_slot(const struct name_set *set, const char *name)
{
    size_t i = hash_name(name) & (set->cap - 1);
    while (set->slots[i] && strcmp(set->slots[i], name) != 0)
        i = (i + 1) & (set->cap - 1);
    return &set->slots[i];
}

static int grow(struct name_set *set)
{
    struct name_set larger = {.cap = set->cap ? set->cap * 2 : 64, .n = set->n};
    larger.slots = calloc(larger.cap, sizeof(*larger.slots));
    if (!larger.slots)
        return BAKE_E_NOMEM;
    for (size_t i = 0; i < set->cap; i++)
        if (set->slots[i])
            *find_slot(&larger, set->slots[i]) = set->slots[i];
    free(set->slots);
    *set = larger;
    return 0;
}

/* 1: name is new in the set; 0: it was there; negative: no memory. */
static int add_name(struct name_set *set, const char *name)
{
    if (set->n * 2 >= set->cap && grow(set) < 0)
        return BAKE_E_NOMEM;
    const char **slot = find_slot(set, name);
    if (*slot)
        return 0;
    *slot = name;
    set->n++;
    return 1;
}

static void free_set(struct name_set *set) { free(set->slots); }

static int protect_components(const struct ranked *all, size_t n)
{
    struct name_set seen BK_CLEANUP(free_set) = {0};
    for (size_t i = 0; i < n; i++) {
        const struct bk_ret_backup *b = all[i].backup;
        for (size_t c = 0; c < b->n_components; c++) {
            if (!b->components[c].ok)
                continue;
            int rc = add_name(&seen, b->components[c].name);
            if (rc < 0)
                return rc;
            if (rc == 0)
                continue;
            all[i].verdict->reasons |= BK_KEEP_COMPONENT;
            if (!all[i].verdict->component)
                all[i].verdict->component = b->components[c].name;
        }
    }
    return 0;
}

/* ---- all together --------------------------------------------------------------------------- */

bool bk_retention_empty(const struct bk_retention *p)
{
    return p->keep_last < 0 && p->keep_hourly < 0 && p->keep_daily < 0 && p->keep_weekly < 0 &&
           p->keep_monthly < 0 && p->keep_yearly < 0 && p->keep_within_ms < 0;
}

/* Those that are not good: kept until a good one has come after them. */
static void keep_newer_than_good(const struct ranked *all, size_t n)
{
    for (size_t i = 0; i < n && !all[i].backup->good; i++)
        all[i].verdict->reasons |= BK_KEEP_NEWER;
}

static int decide(const struct bk_retention *policy, const struct ranked *all, struct ranked *good,
                  size_t n, int64_t now_ns, struct bk_err *err)
{
    size_t n_good = 0;
    for (size_t i = 0; i < n; i++)
        if (all[i].backup->good)
            good[n_good++] = all[i];
    if (n_good > 0 && apply_policy(policy, good, n_good, now_ns) == 0)
        return bk_fail(err, BAKE_E_CONFIG,
                       "'retention' would keep none of %zu good backups, so nothing is removed\n"
                       "HINT: give at least one keep_... rule a number above 0",
                       n_good);
    keep_newer_than_good(all, n);
    if (protect_components(all, n) < 0)
        return bk_nomem(err);
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        all[i].verdict->keep = all[i].verdict->reasons != 0;
        kept += all[i].verdict->keep;
    }
    if (n > 0 && kept == 0)
        return bk_fail(err, BAKE_E_INTERNAL, "retention would remove every backup: refused");
    return 0;
}

int bk_retention_apply(const struct bk_retention *policy, const struct bk_ret_backup *backups,
                       size_t n, int64_t now_ns, struct bk_ret_verdict *out, struct bk_err *err)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (struct bk_ret_verdict){0};
    if (bk_retention_empty(policy)) {
        for (size_t i = 0; i < n; i++)
            out[i] = (struct bk_ret_verdict){.keep = true, .reasons = BK_KEEP_NO_POLICY};
        return 0;
    }
    struct ranked *all BK_FREE = calloc(n ? n : 1, sizeof(*all));
    struct ranked *good BK_FREE = calloc(n ? n : 1, sizeof(*good));
    if (!all || !good)
        return bk_nomem(err);
    for (size_t i = 0; i < n; i++)
        all[i] = (struct ranked){.backup = &backups[i], .verdict = &out[i]};
    qsort(all, n, sizeof(*all), newest_first);
    tzset(); /* localtime_r need not look at TZ by itself */
    return decide(policy, all, good, n, now_ns, err);
}

static void add_reason(struct bk_buf *out, size_t start, const char *separator, const char *before,
                       const char *name)
{
    if (out->len > start)
        bk_buf_str(out, separator);
    bk_buf_printf(out, "%s%s", before, name);
}

int bk_retention_reasons(const struct bk_ret_verdict *v, const char *separator, struct bk_buf *out)
{
    size_t start = out->len;
    for (unsigned i = 0; i < RULES; i++)
        if (v->reasons & (1u << i))
            add_reason(out, start, separator, "", rule_names[i]);
    if (v->reasons & BK_KEEP_WITHIN)
        add_reason(out, start, separator, "", "within");
    if (v->reasons & BK_KEEP_NO_POLICY)
        add_reason(out, start, separator, "", "no retention is configured");
    if (v->reasons & BK_KEEP_NEWER)
        add_reason(out, start, separator, "", "newer than the newest good one");
    if (v->reasons & BK_KEEP_COMPONENT) {
        char shown[200];
        bk_printable(shown, sizeof(shown), v->component, strlen(v->component));
        add_reason(out, start, separator, "newest copy of ", shown);
    }
    return out->failed ? BAKE_E_NOMEM : 0;
}
