/* Logs that no backup needs any more. */
#include "run/wal_keep.h"

#include "base/clock.h"
#include "run/prune.h"
#include "run/wal_chain.h"

#include <string.h>

#define CHECK_EVERY 64u

static bool is_older_than_all(const struct bk_wal_log *log, const struct bk_wal_bases *bases)
{
    for (size_t i = 0; i < bases->n; i++)
        if (bk_streq(bases->items[i].need.stream, log->stream) &&
            !bk_wal_is_older(log->name, bases->items[i].need.from))
            return false;
    return true;
}

struct job {
    struct bk_session *session;
    struct bk_sink *sink;
    struct bk_lease *lease;
    const struct bk_wal_bases *bases;
    int64_t now_ns;
    bool quiet;
    const char *named; /* the stream that was said to stay last */
    struct bk_wal_pruned *counts;
};

static void say_stays(struct job *j, const struct bk_wal_log *log)
{
    char name[BK_WAL_NAME_CAP];

    if (j->quiet || bk_streq(j->named, log->stream))
        return;
    j->named = log->stream;
    (void)snprintf(name, sizeof(name), BK_WAL "%s", log->stream);
    bk_event_note(j->session->reporter, BAKE_NOTICE, NULL, name,
                  "no backup in this sink needs these logs; they stay");
}

static int drop(struct job *j, const struct bk_wal_log *log, struct bk_err *err)
{
    char object[BK_WAL_NAME_CAP];
    int rc = BAKE_OK;

    if (j->counts->logs % CHECK_EVERY == 0 && j->lease)
        rc = bk_lease_check(j->lease, err);
    if (rc >= 0)
        rc = bk_wal_object(log->stream, log->name, object, err);
    if (rc >= 0 && j->lease)
        rc = bk_sink_remove(j->sink, object, err);
    if (rc < 0 && rc != BAKE_E_NOTFOUND)
        return rc;
    j->counts->logs++;
    j->counts->bytes += log->size;
    return BAKE_OK;
}

/* Ascending, so that a crash leaves no gap. */
static int drop_older(struct job *j, const struct bk_wal_list *list, struct bk_err *err)
{
    int rc = BAKE_OK;

    for (size_t i = 0; i < list->n && rc >= 0; i++) {
        const struct bk_wal_log *log = &list->logs[i];

        if (bk_cancelled(j->session->cancel))
            return bk_fail(err, BAKE_E_CANCELLED, "cancelled");
        if (!bk_wal_bases_name(j->bases, log->stream))
            say_stays(j, log);
        else if (is_older_than_all(log, j->bases) &&
                 j->now_ns - log->mtime_ns >= (int64_t)BK_GARBAGE_GRACE_MS * 1000000)
            rc = drop(j, log, err);
    }
    return rc;
}

/* What a backup holds whose manifest cannot be read is not known: it may need any log. */
static bool all_readable(struct bk_session *s, const struct bk_catalog *c, bool quiet)
{
    for (size_t i = 0; i < c->n; i++) {
        if (c->backups[i].manifest)
            continue;
        if (!quiet)
            bk_event_note(s->reporter, BAKE_WARNING, NULL, c->backups[i].id,
                          "no logs are removed, as its manifest cannot be read");
        return false;
    }
    return true;
}

int bk_wal_prune(struct bk_session *s, struct bk_sink *sink, struct bk_lease *lease,
                 const struct bk_strv *without, bool quiet, struct bk_wal_pruned *ret,
                 struct bk_err *err)
{
    struct job j = {.session = s, .sink = sink, .lease = lease, .quiet = quiet, .counts = ret};
    struct bk_catalog *catalog = NULL;
    struct bk_wal_bases bases = {0};
    struct bk_wal_list list;
    int rc = bk_wal_list_sink(sink, NULL, &list, err);

    if (rc < 0 || list.n == 0)
        return rc;
    j.now_ns = bk_now_ns(); /* a dry run makes do with this host's clock */
    if (lease)
        rc = bk_sink_now(sink, &j.now_ns, err);
    if (rc >= 0)
        rc = bk_catalog_load(sink, NULL, NULL, 0, &catalog, err);
    if (rc >= 0)
        rc = bk_wal_bases_make(catalog, without, &bases, err);
    j.bases = &bases;
    if (rc >= 0 && all_readable(s, catalog, quiet))
        rc = drop_older(&j, &list, err);
    bk_wal_bases_release(&bases);
    bk_catalog_free(catalog);
    bk_wal_list_release(&list);
    return rc;
}
