/* Which backups a retention policy keeps. Pure logic: nothing is read and nothing is removed here.
 *
 * The policy works as restic's does (0.14), so that what people know of it stays true; the unit
 * test compares with recorded decisions of restic itself:
 * - Backups are looked at from the newest to the oldest. `keep_last: N` keeps the newest N. Each of
 *   keep_hourly, keep_daily, keep_weekly (ISO weeks), keep_monthly and keep_yearly keeps the newest
 *   backup of each of the N most recent hours, days, ... that have a backup at all; empty ones do
 *   not count. Hours and days are those of the time zone in force (TZ, /etc/localtime).
 * - `keep_within: D` keeps what is younger than D, counted back from the newest backup (one that
 *   claims to come from the future is not taken as the newest), not from now: a host that was
 *   switched off for a month does not lose its last backups.
 * - A backup is kept if any rule keeps it. A rule that is not given (-1) or 0 keeps nothing. When
 *   no rule is given at all, everything is kept.
 *
 * On top of that come the rules that keep data:
 * - Only good backups fill the buckets. A partial backup can neither push out a good one nor be
 *   kept in its place.
 * - A backup that is not good stays while it is newer than the newest good one. After that it goes,
 *   whatever its age, unless the next rule holds it.
 * - The newest intact copy of every component ever backed up stays, whether its backup is good or
 *   not: for a component that was dropped from the pipeline it may be the last there is.
 * - A policy that would keep none of the good backups (every count is 0) is refused, and so is
 *   anything else that would remove every backup. */
#ifndef BK_RETENTION_H
#define BK_RETENTION_H

#include "base/buf.h"
#include "base/err.h"
#include "config/pipeline.h"
#include <stdbool.h>

struct bk_ret_component {
    const char *name;
    bool ok; /* this copy is whole: neither failed nor partial */
};

struct bk_ret_backup { /* one complete backup; strings are borrowed */
    const char *id;    /* two of the same time are ordered by id */
    int64_t time_ns;   /* when it started */
    bool good;
    const struct bk_ret_component *components;
    size_t n_components;
};

/* Why a backup is kept: bits. The rules of the policy come first, in this order. */
#define BK_KEEP_LAST      (1u << 0)
#define BK_KEEP_HOURLY    (1u << 1)
#define BK_KEEP_DAILY     (1u << 2)
#define BK_KEEP_WEEKLY    (1u << 3)
#define BK_KEEP_MONTHLY   (1u << 4)
#define BK_KEEP_YEARLY    (1u << 5)
#define BK_KEEP_WITHIN    (1u << 6)
#define BK_KEEP_NO_POLICY (1u << 7) /* no rule is given */
#define BK_KEEP_NEWER     (1u << 8) /* not good, but newer than the newest good one */
#define BK_KEEP_COMPONENT (1u << 9) /* holds the newest intact copy of `component` */

struct bk_ret_verdict {
    bool keep;
    unsigned reasons;      /* 0 when it is to go */
    const char *component; /* the first such component, borrowed from the input; or NULL */
};

/* Fills out[i] for backups[i], in whatever order they come. now_ns: see keep_within. Refuses with
 * BAKE_E_CONFIG as said above; out is not to be used then. O(n log n) plus the components. */
int bk_retention_apply(const struct bk_retention *policy, const struct bk_ret_backup *backups,
                       size_t n, int64_t now_ns, struct bk_ret_verdict *out, struct bk_err *err);

/* True if no rule is given: everything is kept. */
bool bk_retention_empty(const struct bk_retention *policy);

/* Appends the reasons for people and JSON: "last", "weekly", "newest copy of db/x.sql"; each
 * is followed by `separator` but the last. */
int bk_retention_reasons(const struct bk_ret_verdict *verdict, const char *separator,
                         struct bk_buf *out);

#endif
