/* What backups need of the log archive, and gaps in it. */
#include "run/wal_chain.h"

#include "run/wal_name.h"

#include <string.h>

/* ---- bases ----------------------------------------------------------------------------------- */

static int add_base(struct bk_wal_bases *b, const struct bk_wal_base *base)
{
    if (b->n == b->cap) {
        size_t cap = b->cap ? 2 * b->cap : 16;
        struct bk_wal_base *more = realloc(b->items, cap * sizeof(*more));

        if (!more)
            return BAKE_E_NOMEM;
        b->items = more;
        b->cap = cap;
    }
    b->items[b->n++] = *base;
    return BAKE_OK;
}

int bk_wal_bases_make(const struct bk_catalog *c, const struct bk_strv *without,
                      struct bk_wal_bases *ret, struct bk_err *err)
{
    memset(ret, 0, sizeof(*ret));
    for (size_t i = 0; i < c->n; i++) {
        const struct bk_manifest *m = c->backups[i].manifest;
        struct bk_wal_base base = {.backup = &c->backups[i]};

        if (!m || (without && bk_strv_has(without, c->backups[i].id)))
            continue;
        for (size_t k = 0; k < m->n_comps; k++) {
            if (!bk_mcomp_wal(&m->comps[k], &base.need))
                continue;
            if (base.need.end_ns == 0)
                base.need.end_ns = m->end_ns;
            if (add_base(ret, &base) < 0) {
                bk_wal_bases_release(ret);
                return bk_nomem(err);
            }
        }
    }
    return BAKE_OK;
}

void bk_wal_bases_release(struct bk_wal_bases *b)
{
    free(b->items);
    memset(b, 0, sizeof(*b));
}

bool bk_wal_bases_name(const struct bk_wal_bases *b, const char *stream)
{
    for (size_t i = 0; i < b->n; i++)
        if (bk_streq(b->items[i].need.stream, stream))
            return true;
    return false;
}

/* ---- numbered logs --------------------------------------------------------------------------- */

/* "binlog.000012": the number at the end and what stands before it. False: it has none. */
static bool numbered(const char *name, size_t *ret_prefix, uint64_t *ret)
{
    size_t n = strlen(name), at = n;
    uint64_t v = 0;

    while (at > 0 && name[at - 1] >= '0' && name[at - 1] <= '9')
        at--;
    if (at == n || n - at > 18)
        return false;
    for (size_t i = at; i < n; i++)
        v = v * 10 + (uint64_t)(name[i] - '0');
    *ret_prefix = at;
    *ret = v;
    return true;
}

static bool same_row(const char *a, const char *b, uint64_t *ret_a, uint64_t *ret_b)
{
    size_t n_a, n_b;

    return numbered(a, &n_a, ret_a) && numbered(b, &n_b, ret_b) && n_a == n_b &&
           memcmp(a, b, n_a) == 0;
}

bool bk_wal_is_older(const char *log, const char *from)
{
    struct bk_pg_name a, b;
    bool pg_a = bk_pg_archived_parse(log, &a), pg_b = bk_pg_archived_parse(from, &b);
    uint64_t n_a, n_b;

    if (pg_a && pg_b) {
        if (a.kind == BK_PG_HISTORY || b.kind == BK_PG_HISTORY)
            return false;
        return a.log != b.log ? a.log < b.log : a.segment < b.segment;
    }
    return !pg_a && !pg_b && same_row(log, from, &n_a, &n_b) && n_a < n_b;
}

/* ---- gaps ------------------------------------------------------------------------------------ */

#define MAX_PATH 64u /* timelines from a base to the newest */

struct step { /* a timeline, from this number on */
    uint32_t timeline;
    uint64_t from;
};

struct walk { /* one base's way through the logs */
    const struct bk_wal_stream *w;
    const struct bk_wal_base *base;
    bool pg;
    uint64_t segment_size; /* pg */
    struct step path[MAX_PATH];
    size_t n_path;
    uint64_t first, newest; /* numbers; newest < first: there is nothing after the base */
    uint64_t said;          /* gaps before this number were said for an older base */
    int64_t before_ns;      /* the time of the last log that was there; or of the base */
};

static const struct bk_wal_parent *parent_of(const struct bk_wal_stream *w, uint32_t timeline)
{
    for (size_t i = 0; i < w->n_parents; i++)
        if (w->parents[i].timeline == timeline)
            return &w->parents[i];
    return NULL;
}

/* The path from `timeline` back to the base's, put into order. False: it does not lead there. */
static bool find_path(struct walk *k, uint32_t timeline, uint32_t base)
{
    struct step back[MAX_PATH];
    size_t n = 0;

    while (timeline != base) {
        const struct bk_wal_parent *p = parent_of(k->w, timeline);

        if (!p || p->parent >= timeline || n + 1 >= MAX_PATH)
            return false;
        back[n++] = (struct step){timeline, p->position / k->segment_size};
        timeline = p->parent;
    }
    k->path[0] = (struct step){base, 0};
    k->n_path = 1;
    while (n > 0)
        k->path[k->n_path++] = back[--n];
    return true;
}

/* The timeline that a segment of this number is of, as a recovery to the newest asks for it. */
static uint32_t timeline_at(const struct walk *k, uint64_t number)
{
    uint32_t timeline = k->path[0].timeline;

    for (size_t i = 1; i < k->n_path && number >= k->path[i].from; i++)
        timeline = k->path[i].timeline;
    return timeline;
}

static bool segment_of(const struct walk *k, const struct bk_wal_log *log, uint32_t *ret_timeline,
                       uint64_t *ret)
{
    struct bk_pg_name n;

    if (!bk_pg_archived_parse(log->name, &n) || n.kind != BK_PG_SEGMENT)
        return false;
    *ret_timeline = n.timeline;
    return bk_pg_number(&n, k->segment_size, ret);
}

/* The log of a number, as long as it is the one that is wanted there. */
static bool number_of(const struct walk *k, const struct bk_wal_log *log, uint64_t *ret)
{
    uint32_t timeline;
    uint64_t from;

    if (!k->pg)
        return same_row(log->name, k->base->need.from, ret, &from);
    return segment_of(k, log, &timeline, ret) && timeline == timeline_at(k, *ret);
}

static bool start_pg(struct walk *k)
{
    struct bk_pg_name n;
    uint32_t newest = 0;

    if (!bk_pg_archived_parse(k->base->need.from, &n) || n.kind != BK_PG_SEGMENT)
        return false;
    k->pg = true;
    k->segment_size = k->base->need.segment_size;
    if (!bk_pg_segment_size_ok(k->segment_size))
        k->segment_size = BK_PG_SEGMENT_SIZE;
    if (!bk_pg_number(&n, k->segment_size, &k->first))
        return false;
    (void)find_path(k, n.timeline, n.timeline);
    for (size_t i = 0; i < k->w->n_logs; i++) {
        uint32_t timeline;
        uint64_t number;

        if (segment_of(k, &k->w->logs[i], &timeline, &number) && timeline > newest &&
            timeline > n.timeline && find_path(k, timeline, n.timeline))
            newest = timeline;
    }
    if (newest > 0)
        (void)find_path(k, newest, n.timeline);
    return true;
}

static bool start(struct walk *k)
{
    size_t prefix;
    uint64_t number;
    bool any = false;

    if (!start_pg(k) && (k->pg || !numbered(k->base->need.from, &prefix, &k->first)))
        return false;
    for (size_t i = 0; i < k->w->n_logs; i++)
        if (number_of(k, &k->w->logs[i], &number) && (!any || number > k->newest)) {
            k->newest = number;
            any = true;
        }
    return any && k->newest >= k->first;
}

static void name_of(const struct walk *k, uint64_t number, char ret[BK_WAL_NAME_CAP])
{
    const char *from = k->base->need.from;
    char segment[BK_PG_NAME_CAP];
    size_t prefix;
    uint64_t ignored;

    if (k->pg) {
        uint32_t timeline = timeline_at(k, number);
        struct bk_pg_name n = {.kind = BK_PG_SEGMENT, .timeline = timeline};
        char archived[BK_PG_NAME_CAP];

        bk_pg_segment_name(timeline, number, k->segment_size, segment);
        bk_pg_archived_name(&n, segment, archived);
        (void)snprintf(ret, BK_WAL_NAME_CAP, "%s", archived);
        return;
    }
    (void)numbered(from, &prefix, &ignored);
    (void)snprintf(ret, BK_WAL_NAME_CAP, "%.*s%0*llu", (int)prefix, from,
                   (int)(strlen(from) - prefix), (unsigned long long)number);
}

/* The first moment after the gap that can be reached: by a backup that needs nothing of it. */
static int64_t reached_again(const struct walk *k, const char *last_missing)
{
    int64_t first = 0;

    for (size_t i = 0; i < k->w->bases->n; i++) {
        const struct bk_wal_need *need = &k->w->bases->items[i].need;

        if (bk_streq(need->stream, k->w->stream) && bk_wal_is_older(last_missing, need->from) &&
            (first == 0 || need->end_ns < first))
            first = need->end_ns;
    }
    return first;
}

typedef int each_fn(void *arg, const struct bk_wal_gap *gap, struct bk_err *err);

static int say(const struct walk *k, uint64_t from, uint64_t until, each_fn *each, void *arg,
               struct bk_err *err)
{
    struct bk_wal_gap gap = {.n = until - from, .after_ns = k->before_ns};
    char last[BK_WAL_NAME_CAP];

    name_of(k, from, gap.first);
    name_of(k, until - 1, last);
    gap.until_ns = reached_again(k, last);
    return each(arg, &gap, err);
}

struct present {
    uint64_t number;
    int64_t mtime_ns;
};

static int by_number(const void *a, const void *b)
{
    const struct present *x = a, *y = b;

    return x->number < y->number ? -1 : x->number > y->number;
}

static int walk_logs(struct walk *k, each_fn *each, void *arg, struct bk_err *err)
{
    struct present *all = malloc((k->w->n_logs + 1) * sizeof(*all));
    uint64_t next = k->first;
    size_t n = 0;
    int rc = all ? BAKE_OK : bk_nomem(err);

    for (size_t i = 0; all && i < k->w->n_logs; i++)
        if (number_of(k, &k->w->logs[i], &all[n].number) && all[n].number >= k->first)
            all[n++].mtime_ns = k->w->logs[i].mtime_ns;
    if (n > 0)
        qsort(all, n, sizeof(*all), by_number);
    for (size_t i = 0; i < n && rc >= 0; i++) {
        if (all[i].number > next && next >= k->said)
            rc = say(k, next, all[i].number, each, arg, err);
        next = all[i].number + 1;
        k->before_ns = all[i].mtime_ns;
    }
    free(all);
    return rc;
}

/* A gap that begins where an older base has gone by already was said then. What was gone by counts
 * within one row of numbers only. */
static uint64_t gone_by(const struct walk *done, size_t n, const struct walk *k)
{
    uint64_t until = 0, a, b;

    for (size_t i = 0; i < n; i++) {
        const struct walk *d = &done[i];
        bool same =
            d->pg && k->pg
                ? d->path[d->n_path - 1].timeline == k->path[k->n_path - 1].timeline
                : !d->pg && !k->pg && same_row(d->base->need.from, k->base->need.from, &a, &b);

        if (same && d->first <= k->first && d->newest + 1 > until)
            until = d->newest + 1;
    }
    return until;
}

int bk_wal_gaps(const struct bk_wal_stream *w, each_fn *each, void *arg, struct bk_err *err)
{
    struct walk *done = calloc(w->bases->n + 1, sizeof(*done));
    size_t n = 0;
    int rc = done ? BAKE_OK : bk_nomem(err);

    /* Whoever begins first goes first: bases stand in the order of their backups. */
    for (size_t i = 0; done && i < w->bases->n; i++) {
        struct walk *k = &done[n];

        *k = (struct walk){.w = w, .base = &w->bases->items[i]};
        if (!bk_streq(k->base->need.stream, w->stream) || !start(k))
            continue;
        k->before_ns = k->base->need.end_ns;
        n++;
    }
    for (size_t i = 0; i < n; i++)
        for (size_t j = i + 1; j < n; j++)
            if (done[j].first < done[i].first) {
                struct walk swap = done[i];

                done[i] = done[j];
                done[j] = swap;
            }
    for (size_t i = 0; i < n && rc >= 0; i++) {
        done[i].said = gone_by(done, i, &done[i]);
        rc = walk_logs(&done[i], each, arg, err);
    }
    free(done);
    return rc;
}
