/* Bringing the logs of mirrors up to date. */
#include "run/wal.h"

#include "base/cleanup.h"
#include "run/wal_chain.h"

#include <string.h>

struct side {
    struct bk_sink *sink;
    struct bk_wal_list list;
};

struct fill {
    struct bk_session *session;
    struct side *sides;
    size_t n;
};

static void lags(struct fill *f, const struct bk_sink *sink, const struct bk_err *why)
{
    bk_event_note(f->session->reporter, BAKE_WARNING, NULL, sink->label, why->text);
}

static int by_name(const void *a, const void *b)
{
    const struct bk_wal_log *x = a, *y = b;
    int order = strcmp(x->stream, y->stream);

    return order ? order : strcmp(x->name, y->name);
}

static bool has(const struct side *side, const struct bk_wal_log *log)
{
    return side->list.n > 0 && bsearch(log, side->list.logs, side->list.n, sizeof(*log), by_name);
}

static bool is_needed(const struct bk_wal_bases *bases, const struct bk_wal_log *log)
{
    for (size_t i = 0; i < bases->n; i++)
        if (bk_streq(bases->items[i].need.stream, log->stream) &&
            !bk_wal_is_older(log->name, bases->items[i].need.from))
            return true;
    return false;
}

/* Failures that are not the sink's. */
static bool ends_all(int rc) { return rc == BAKE_E_CANCELLED || rc == BAKE_E_NOMEM; }

/* The first that has it whole. */
static int fetch(struct fill *f, struct side *to, const struct bk_wal_log *log, struct bk_err *why)
{
    char object[BK_WAL_NAME_CAP];
    int rc = bk_wal_object(log->stream, log->name, object, why), found = BAKE_E_NOTFOUND;

    for (size_t i = 0; i < f->n && rc >= 0 && found < 0; i++) {
        if (&f->sides[i] == to || !has(&f->sides[i], log))
            continue;
        found = bk_wal_copy(f->session->store, f->sides[i].sink, to->sink, object, why);
        if (ends_all(found))
            return found;
    }
    return rc < 0 ? rc : found;
}

static int fill_from(struct fill *f, struct side *to, const struct side *from,
                     const struct bk_wal_bases *bases, struct bk_err *err)
{
    for (size_t i = 0; i < from->list.n; i++) {
        const struct bk_wal_log *log = &from->list.logs[i];
        struct bk_err why = {0};
        int rc;

        if (has(to, log) || !is_needed(bases, log))
            continue;
        rc = fetch(f, to, log, &why);
        if (ends_all(rc)) {
            *err = why;
            return rc;
        }
        if (rc < 0) { /* the next one would fail alike */
            (void)bk_prefix(&why, "it lacks logs that others have");
            lags(f, to->sink, &why);
            return BAKE_END;
        }
    }
    return BAKE_OK;
}

static bool lacks_any(const struct fill *f, const struct side *to)
{
    for (size_t i = 0; i < f->n; i++)
        for (size_t k = 0; k < f->sides[i].list.n; k++)
            if (!has(to, &f->sides[i].list.logs[k]))
                return true;
    return false;
}

static int fill_side(struct fill *f, struct side *to, struct bk_err *err)
{
    struct bk_catalog *catalog = NULL;
    struct bk_wal_bases bases = {0};
    struct bk_err why = {0};
    int rc = BAKE_OK;

    if (!lacks_any(f, to))
        return BAKE_OK;
    rc = bk_catalog_load(to->sink, NULL, NULL, 0, &catalog, &why);
    if (rc >= 0)
        rc = bk_wal_bases_make(catalog, NULL, &bases, &why);
    for (size_t i = 0; i < f->n && rc == BAKE_OK; i++)
        if (&f->sides[i] != to)
            rc = fill_from(f, to, &f->sides[i], &bases, &why);
    bk_wal_bases_release(&bases);
    bk_catalog_free(catalog);
    if (rc >= 0)
        return BAKE_OK;
    if (ends_all(rc)) {
        *err = why;
        return rc;
    }
    lags(f, to->sink, &why);
    return BAKE_OK;
}

static int list_sides(struct fill *f, struct bk_err *err)
{
    struct bk_store *store = f->session->store;

    for (size_t i = 0; i < store->n_sinks; i++) {
        struct side *side = &f->sides[f->n];
        struct bk_err why = {0};
        int rc;

        if (!bk_store_sink_ok(store, i))
            continue;
        side->sink = &store->sinks[i];
        rc = bk_wal_list_sink(side->sink, NULL, &side->list, &why);
        if (ends_all(rc)) {
            *err = why;
            return rc;
        }
        if (rc < 0)
            lags(f, side->sink, &why);
        else
            f->n++;
    }
    return BAKE_OK;
}

int bk_wal_fill(struct bk_session *s, struct bk_err *err)
{
    struct fill f = {.session = s};
    int rc;

    if (s->store->n_sinks < 2)
        return BAKE_OK;
    f.sides = calloc(s->store->n_sinks, sizeof(*f.sides));
    rc = f.sides ? list_sides(&f, err) : bk_nomem(err);
    for (size_t i = 0; i < f.n && rc >= 0; i++)
        rc = fill_side(&f, &f.sides[i], err);
    for (size_t i = 0; i < f.n; i++)
        bk_wal_list_release(&f.sides[i].list);
    free(f.sides);
    return rc;
}
