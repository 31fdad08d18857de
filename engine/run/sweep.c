/* One sink's cycle: writers, mark, condemn, mark again, remove. */
#include "run/sweep.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "run/prune.h"
#include "run/sweep_private.h"

#include <string.h>

#define CHECK_EVERY 64u /* removals between two looks at the lease */

int bk_sweep_check(struct bk_sweep *s, struct bk_err *err)
{
    if (bk_cancelled(s->store->cancel))
        return bk_fail(err, BAKE_E_CANCELLED, "cancelled");
    return s->lease ? bk_lease_check(s->lease, err) : BAKE_OK;
}

static void forget(struct bk_sweep *s)
{
    for (size_t i = 0; i < s->n_backups; i++)
        bk_manifest_free(s->backups[i]);
    s->n_backups = 0;
    bk_moves_release(&s->moves);
    bk_condemned_release(&s->condemned);
    bk_strv_free(&s->writers);
    s->counts.condemned = s->counts.condemned_bytes = 0;
    s->counts.young = s->counts.young_bytes = 0;
}

int bk_sweep_new(struct bk_store *store, struct bk_sink *sink, struct bk_lease *lease,
                 const struct bk_strv *without, struct bk_sweep **ret, struct bk_err *err)
{
    struct bk_sweep *s = calloc(1, sizeof(*s));

    if (!s)
        return bk_nomem(err);
    s->store = store;
    s->sink = sink;
    s->lease = lease;
    s->without = without;
    *ret = s;
    return BAKE_OK;
}

void bk_sweep_free(struct bk_sweep *s)
{
    if (!s)
        return;
    forget(s);
    free(s->backups);
    free(s->packs);
    free(s);
}

const struct bk_swept *bk_sweep_counts(const struct bk_sweep *s) { return &s->counts; }

/* ---- writers --------------------------------------------------------------------------------- */

struct writers {
    int64_t now_ns;
    struct bk_strv live, expired; /* expired: names of objects */
};

static int on_writer(void *arg, const char *name, uint64_t size, int64_t mtime_ns)
{
    struct writers *w = arg;

    (void)size;
    if (w->now_ns - mtime_ns < (int64_t)BK_INTENT_EXPIRE_MS * 1000000)
        return bk_strv_add(&w->live, name + strlen(BK_WRITERS));
    return bk_strv_add(&w->expired, name);
}

/* Lists those that live. One that expired loses its intent, so that its run, should it wake up,
 * cannot commit what is built on packs that go. */
static int list_writers(struct bk_sweep *s, struct bk_err *err)
{
    struct writers w = {.now_ns = s->now_ns};
    int rc = bk_sink_list(s->sink, BK_WRITERS, on_writer, &w, err);

    if (rc == BAKE_E_NOMEM)
        rc = bk_nomem(err);
    if (rc >= 0 && s->lease && w.expired.n > 0)
        rc = bk_sweep_check(s, err);
    for (size_t i = 0; i < w.expired.n && rc >= 0 && s->lease; i++) {
        rc = bk_sink_remove(s->sink, w.expired.items[i], err);
        if (rc == BAKE_E_NOTFOUND)
            rc = BAKE_OK;
    }
    bk_strv_free(&w.expired);
    bk_strv_free(&s->writers);
    s->writers = w.live;
    return rc < 0 ? rc : BAKE_OK;
}

/* Every writer that it waits for has ended. */
static bool is_ready(const struct bk_sweep *s, const struct bk_condemned *c)
{
    if (c->damaged)
        return false;
    if (!c->has_writers) /* a dry run cannot put what is missing */
        return !s->lease && s->writers.n == 0;
    for (size_t i = 0; i < c->writers.n; i++)
        if (bk_strv_has(&s->writers, c->writers.items[i]))
            return false;
    return true;
}

/* What a killed prune did not get to: the writers that live now, since those that have ended
 * meanwhile are seen by the mark. */
static int complete(struct bk_sweep *s, struct bk_err *err)
{
    for (size_t i = 0; i < s->condemned.n; i++) {
        struct bk_condemned *c = &s->condemned.items[i];
        int rc = BAKE_OK;

        if (c->damaged && s->lease)
            rc = bk_condemned_remove(s->sink, c, err);
        else if (!c->has_writers && s->lease)
            rc = bk_condemned_put_writers(s->sink, c, &s->writers, err);
        if (rc < 0)
            return rc;
    }
    return BAKE_OK;
}

/* ---- condemning ------------------------------------------------------------------------------ */

static void note_condemned(struct bk_sweep *s)
{
    for (size_t i = 0; i < s->n_packs; i++)
        s->packs[i].condemned = s->packs[i].waits = false;
    for (size_t i = 0; i < s->condemned.n; i++) {
        const struct bk_condemned *c = &s->condemned.items[i];
        bool waits = !is_ready(s, c);

        for (size_t k = 0; k < c->n && !c->damaged; k++) {
            struct bk_sweep_pack *p = bk_sweep_pack_of(s, &c->packs[k]);

            if (p) {
                p->condemned = true;
                p->waits |= waits;
            }
        }
    }
}

static bool is_dead(const struct bk_sweep *s, const struct bk_sweep_pack *p)
{
    return !p->needed && !p->condemned && !p->gone &&
           (s->now_ns - p->mtime_ns >= (int64_t)BK_GARBAGE_GRACE_MS * 1000000 ||
            bk_moves_left(&s->moves, &p->id));
}

static int condemn_some(struct bk_sweep *s, const bk_id *packs, size_t n, struct bk_err *err)
{
    int rc = bk_sweep_check(s, err);

    if (rc >= 0)
        rc = bk_condemn(s->sink, s->now_ns, packs, n, &s->writers, &s->condemned, err);
    return rc;
}

/* The writers are listed once all is condemned. */
static int condemn(struct bk_sweep *s, struct bk_err *err)
{
    bk_id *dead BK_FREE = malloc(s->n_packs * sizeof(*dead) + 1);
    size_t n = 0;
    int rc = dead ? BAKE_OK : bk_nomem(err);

    for (size_t i = 0; i < s->n_packs && rc >= 0; i++)
        if (is_dead(s, &s->packs[i])) {
            dead[n++] = s->packs[i].id;
            s->packs[i].condemned = true;
            s->packs[i].waits = s->writers.n > 0; /* all that a dry run knows */
        }
    if (!s->lease || n == 0)
        return rc;
    for (size_t at = 0; at < n && rc >= 0; at += BK_CONDEMNED_PACKS)
        rc = condemn_some(s, dead + at, n - at < BK_CONDEMNED_PACKS ? n - at : BK_CONDEMNED_PACKS,
                          err);
    if (rc >= 0)
        rc = list_writers(s, err);
    return rc < 0 ? rc : complete(s, err);
}

/* ---- removing -------------------------------------------------------------------------------- */

static void count(struct bk_sweep *s)
{
    for (size_t i = 0; i < s->n_packs; i++) {
        const struct bk_sweep_pack *p = &s->packs[i];

        if (p->needed || p->gone)
            continue;
        if (!p->condemned) {
            s->counts.young++;
            s->counts.young_bytes += p->size;
        } else if (p->waits) {
            s->counts.condemned++;
            s->counts.condemned_bytes += p->size;
        } else if (!s->lease) { /* else it was counted as it went */
            s->counts.removed++;
            s->counts.removed_bytes += p->size;
        }
    }
}

static int remove_pack(struct bk_sweep *s, struct bk_sweep_pack *p, struct bk_err *err)
{
    char name[BK_PACK_NAME_CAP];
    int rc;

    bk_pack_name(&p->id, name);
    rc = bk_sink_remove(s->sink, name, err);
    if (rc < 0 && rc != BAKE_E_NOTFOUND)
        return rc;
    p->gone = true;
    s->counts.removed++;
    s->counts.removed_bytes += p->size;
    return BAKE_OK;
}

/* Needed ones are spared: once nothing condemns them any more they count as stored again. */
static int carry_out(struct bk_sweep *s, const struct bk_condemned *c, struct bk_err *err)
{
    int rc = bk_sweep_check(s, err);

    for (size_t i = 0; i < c->n && rc >= 0; i++) {
        struct bk_sweep_pack *p = bk_sweep_pack_of(s, &c->packs[i]);

        if (i % CHECK_EVERY == CHECK_EVERY - 1)
            rc = bk_sweep_check(s, err);
        if (rc >= 0 && p && !p->needed && !p->waits && !p->gone)
            rc = remove_pack(s, p, err);
    }
    return rc < 0 ? rc : bk_condemned_remove(s->sink, c, err);
}

/* The writers were listed before this: those that ended have committed by now, or never will. */
static int remove_condemned(struct bk_sweep *s, struct bk_err *err)
{
    bool any = false;
    int rc;

    for (size_t i = 0; i < s->condemned.n; i++)
        any |= is_ready(s, &s->condemned.items[i]);
    if (!any || !s->lease)
        return BAKE_OK;
    rc = bk_sweep_mark(s, err);
    for (size_t i = 0; i < s->condemned.n && rc >= 0; i++)
        if (is_ready(s, &s->condemned.items[i]))
            rc = carry_out(s, &s->condemned.items[i], err);
    return rc;
}

int bk_sweep_run(struct bk_sweep *s, struct bk_err *err)
{
    int rc;

    forget(s);
    s->now_ns = bk_now_ns(); /* a dry run makes do with this host's clock */
    if ((s->lease && (rc = bk_sink_now(s->sink, &s->now_ns, err)) < 0) ||
        (rc = bk_sweep_list_packs(s, err)) < 0 || (rc = list_writers(s, err)) < 0 ||
        (rc = bk_condemned_load(s->sink, &s->condemned, err)) < 0)
        return rc;
    rc = bk_moves_load(s->sink, &s->moves, err);
    if (rc == BAKE_E_CORRUPT) {
        (void)bk_prefix(err, "no packs are removed, since it is not known where some were moved");
        return err ? err->rc = BK_E_VERIFY : BK_E_VERIFY;
    }
    if (rc < 0 || (rc = complete(s, err)) < 0 || (rc = bk_sweep_mark(s, err)) < 0)
        return rc;
    note_condemned(s);
    if ((rc = condemn(s, err)) < 0)
        return rc;
    if (s->lease)
        note_condemned(s);
    rc = remove_condemned(s, err);
    count(s);
    return rc;
}
