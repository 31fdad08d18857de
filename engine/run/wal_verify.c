/* Are the logs there that backups need, and whole? And which backup to roll on from. */
#include "run/wal_keep.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "match/gitignore.h"
#include "run/wal_chain.h"
#include "run/wal_name.h"

#include <string.h>

struct look { /* one stream in one sink */
    struct bk_session *session;
    struct bk_sink *sink;
    struct bk_wal_stream w;
    const struct bk_backup *one;
    uint64_t missing, damaged, bytes, needed;
};

static void damage(struct look *l, const struct bk_err *why)
{
    l->damaged++;
    bk_event_error(l->session->reporter, NULL, why);
}

static bool ends_all(int rc) { return rc == BAKE_E_CANCELLED || rc == BAKE_E_NOMEM; }

/* ---- histories ------------------------------------------------------------------------------- */

/* A timeline whose history is damaged is as good as lost: recovery cannot get onto it. */
static int read_parent(struct look *l, const struct bk_wal_log *log, struct bk_wal_parent *ret,
                       struct bk_err *err)
{
    struct bk_buf text BK_CLEANUP(bk_buf_free) = BK_BUF_INIT;
    struct bk_err why = {0};
    char object[BK_WAL_NAME_CAP];
    int rc = bk_wal_object(log->stream, log->name, object, &why);

    if (rc >= 0)
        rc = bk_wal_read_small(l->session->store, l->sink, object, &text, &why);
    if (rc >= 0 && (!text.data || !bk_pg_parent(text.data, &ret->parent, &ret->position)))
        rc = bk_fail(&why, BAKE_E_CORRUPT, "%s: log '%s' is not a timeline's history",
                     l->sink->label, object);
    if (rc >= 0)
        return BAKE_OK;
    if (ends_all(rc)) {
        *err = why;
        return rc;
    }
    damage(l, &why);
    return BAKE_END;
}

static int read_parents(struct look *l, struct bk_wal_parent *parents, struct bk_err *err)
{
    for (size_t i = 0; i < l->w.n_logs; i++) {
        struct bk_wal_parent *p = &parents[l->w.n_parents];
        struct bk_pg_name n;
        int rc;

        if (!bk_pg_archived_parse(l->w.logs[i].name, &n) || n.kind != BK_PG_HISTORY)
            continue;
        p->timeline = n.timeline;
        rc = read_parent(l, &l->w.logs[i], p, err);
        if (rc < 0)
            return rc;
        l->w.n_parents += rc == BAKE_OK;
    }
    return BAKE_OK;
}

/* A later timeline without its history: nothing says where it came from. */
static void name_orphans(struct look *l, uint32_t oldest)
{
    uint32_t last = 0;

    for (size_t i = 0; i < l->w.n_logs; i++) {
        struct bk_err why = {0};
        struct bk_pg_name n;
        bool known = false;

        if (!bk_pg_archived_parse(l->w.logs[i].name, &n) || n.kind == BK_PG_HISTORY)
            continue;
        for (size_t k = 0; k < l->w.n_parents; k++)
            known |= l->w.parents[k].timeline == n.timeline;
        if (known || n.timeline <= oldest || n.timeline == last)
            continue;
        last = n.timeline;
        l->missing++;
        bk_fail(&why, BAKE_E_CORRUPT,
                "%s: log 'wal/%s/%08X/%08X.history' is missing: what was written on that timeline "
                "cannot be reached",
                l->sink->label, l->w.stream, n.timeline, n.timeline);
        damage(l, &why);
    }
}

/* The newest timeline that a base begins on. 0: the stream is not PostgreSQL's. */
static uint32_t newest_base(const struct look *l)
{
    uint32_t newest = 0;

    for (size_t i = 0; i < l->w.bases->n; i++) {
        const struct bk_wal_need *need = &l->w.bases->items[i].need;
        struct bk_pg_name n;

        if (bk_streq(need->stream, l->w.stream) && bk_pg_archived_parse(need->from, &n) &&
            n.timeline > newest)
            newest = n.timeline;
    }
    return newest;
}

/* ---- gaps ------------------------------------------------------------------------------------ */

static int on_gap(void *arg, const struct bk_wal_gap *gap, struct bk_err *err)
{
    struct look *l = arg;
    char from[BK_TIME_CAP], until[BK_TIME_CAP], many[48] = "";
    struct bk_err why = {0};

    (void)err;
    bk_format_time(from, gap->after_ns / 1000000000 * 1000000000);
    if (gap->until_ns > 0)
        bk_format_time(until, gap->until_ns / 1000000000 * 1000000000);
    if (gap->n > 1)
        (void)snprintf(many, sizeof(many), " and %llu after it", (unsigned long long)gap->n - 1);
    bk_fail(&why, BAKE_E_CORRUPT,
            "%s: log 'wal/%s/%s'%s %s missing: no time after %s%s%s can be reached", l->sink->label,
            l->w.stream, gap->first, many, gap->n > 1 ? "are" : "is", from,
            gap->until_ns > 0 ? " and before " : "", gap->until_ns > 0 ? until : "");
    l->missing += gap->n;
    damage(l, &why);
    return BAKE_OK;
}

static bool is_needed(const struct look *l, const struct bk_wal_log *log)
{
    for (size_t i = 0; i < l->w.bases->n; i++) {
        const struct bk_wal_base *b = &l->w.bases->items[i];

        if (bk_streq(b->need.stream, l->w.stream) && (!l->one || b->backup == l->one) &&
            !bk_wal_is_older(log->name, b->need.from))
            return true;
    }
    return false;
}

static int read_log(struct look *l, const struct bk_wal_log *log, struct bk_err *err)
{
    struct bk_err why = {0};
    char object[BK_WAL_NAME_CAP];
    uint64_t bytes = 0;
    int rc = bk_wal_object(log->stream, log->name, object, &why);

    if (rc >= 0)
        rc = bk_wal_check(l->session->store, l->sink, object, &bytes, &why);
    l->bytes += bytes;
    atomic_fetch_add(&l->session->reporter->progress.bytes, bytes);
    if (rc >= 0)
        return BAKE_OK;
    if (ends_all(rc)) {
        *err = why;
        return rc;
    }
    damage(l, &why);
    return BAKE_OK;
}

static int read_logs(struct look *l, bool read, struct bk_err *err)
{
    int rc = BAKE_OK;

    for (size_t i = 0; i < l->w.n_logs && rc >= 0; i++) {
        if (!is_needed(l, &l->w.logs[i]))
            continue;
        l->needed++;
        if (read)
            rc = read_log(l, &l->w.logs[i], err);
    }
    return rc;
}

static void logs_event(const struct look *l, bool read)
{
    json_t *e = bk_event("logs");

    bk_json_set_str(e, "sink", l->sink->part->name);
    bk_json_set_str(e, "stream", l->w.stream);
    bk_json_set_str(e, "level", read ? "read" : "quick");
    bk_json_set_str(e, "result", l->damaged ? "damaged" : "ok");
    bk_json_set_u64(e, "logs", l->w.n_logs);
    bk_json_set_u64(e, "needed", l->needed);
    bk_json_set_u64(e, "missing", l->missing);
    bk_json_set_u64(e, "damaged", l->damaged);
    bk_json_set_u64(e, "bytes", l->bytes);
    bk_event_send(l->session->reporter, e);
}

static int look_at(struct look *l, bool read, uint64_t *damaged, struct bk_err *err)
{
    struct bk_wal_parent *parents BK_FREE = calloc(l->w.n_logs + 1, sizeof(*parents));
    uint32_t newest = newest_base(l);
    int rc;

    if (!parents)
        return bk_nomem(err);
    l->w.parents = parents;
    rc = read_parents(l, parents, err);
    if (rc >= 0)
        rc = bk_wal_gaps(&l->w, on_gap, l, err);
    if (rc >= 0 && newest > 0)
        name_orphans(l, newest);
    if (rc >= 0)
        rc = read_logs(l, read, err);
    if (rc >= 0)
        logs_event(l, read);
    *damaged += l->damaged;
    return rc;
}

int bk_wal_verify(struct bk_session *s, struct bk_sink *sink, const struct bk_catalog *catalog,
                  const struct bk_backup *one, bool read, uint64_t *damaged, struct bk_err *err)
{
    struct bk_wal_bases bases;
    struct bk_wal_list list = {0};
    int rc = bk_wal_bases_make(catalog, NULL, &bases, err);

    if (rc >= 0 && bases.n > 0)
        rc = bk_wal_list_sink(sink, NULL, &list, err);
    for (size_t i = 0, end; i < list.n && rc >= 0; i = end) {
        struct look l = {.session = s, .sink = sink, .one = one};

        for (end = i; end < list.n && bk_streq(list.logs[end].stream, list.logs[i].stream);)
            end++;
        l.w = (struct bk_wal_stream){.stream = list.logs[i].stream,
                                     .logs = &list.logs[i],
                                     .n_logs = end - i,
                                     .bases = &bases};
        if (bk_wal_bases_name(&bases, l.w.stream))
            rc = look_at(&l, read, damaged, err);
    }
    bk_wal_list_release(&list);
    bk_wal_bases_release(&bases);
    return rc;
}

/* ---- restore --at ---------------------------------------------------------------------------- */

static bool is_chosen(const struct bk_restore_opts *opts, const struct bk_mcomp *c)
{
    size_t n = opts->stack ? strlen(opts->stack) : 0;

    if (n > 0 && (!bk_starts(c->name, opts->stack) || c->name[n] != '/'))
        return false;
    return bk_component_wanted(&opts->components, c->name);
}

/* Does anything that is chosen need logs? *ret_ready: all of it had ended by then. */
static bool needs_logs(const struct bk_manifest *m, const struct bk_restore_opts *opts,
                       bool *ret_ready)
{
    bool any = false;

    *ret_ready = true;
    for (size_t i = 0; i < m->n_comps; i++) {
        struct bk_wal_need need;

        if (!is_chosen(opts, &m->comps[i]) || !bk_mcomp_wal(&m->comps[i], &need))
            continue;
        any = true;
        *ret_ready &= (need.end_ns ? need.end_ns : m->end_ns) <= opts->at_ns;
    }
    return any;
}

int bk_wal_find(const struct bk_catalog *c, const struct bk_restore_opts *opts,
                const struct bk_backup **ret, struct bk_err *err)
{
    bool any = false;

    if (opts->at_ns <= 0 || !bk_streq(opts->id, "latest"))
        return BAKE_END;
    for (size_t i = c->n; i-- > 0;) {
        const struct bk_backup *b = &c->backups[i];
        bool ready, needs;

        if (!b->manifest || b->manifest->start_ns > opts->at_ns)
            continue;
        needs = needs_logs(b->manifest, opts, &ready);
        if (!needs && !any)
            return BAKE_END;
        any = true;
        if (needs && ready && b->good) {
            *ret = b;
            return BAKE_OK;
        }
    }
    if (!any)
        return BAKE_END;
    return bk_fail(err, BK_E_NOSTORE,
                   "there is no good backup that had ended by then, to roll on from with logs\n"
                   "HINT: 'bakengine list' shows which backups there are");
}
