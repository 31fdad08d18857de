/* The prune verb: retention decides, backups go, then garbage. */
#include "run/prune.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "run/garbage.h"
#include "run/retention.h"
#include "run/sweep.h"
#include "run/wal_keep.h"
#include "store/bundle.h"
#include "store/repo.h"

#include <string.h>

struct side {             /* one sink's */
    struct bk_sink *sink; /* NULL: it takes no part */
    struct bk_lease *lease;
    struct bk_strv removed; /* backups, or those that a dry run would remove */
    struct bk_sweep *sweep; /* of a repository */
};

struct prune {
    struct bk_session *session;
    bool dry_run, quiet;
    bool after_run; /* no more than is quickly done */
    struct side *sides;
    size_t n_sides;
    int worst;
    uint64_t removed, kept, freed, garbage, garbage_bytes;
    struct bk_swept swept;
    struct bk_wal_pruned logs;
};

static void verdict_event(struct prune *p, const struct bk_sink *sink, const struct bk_backup *b,
                          const struct bk_ret_verdict *v)
{
    struct bk_buf reasons BK_CLEANUP(bk_buf_free) = BK_BUF_INIT;
    json_t *e;

    if (p->quiet)
        return;
    e = bk_event("retention");
    (void)bk_retention_reasons(v, ", ", &reasons);
    bk_json_set_str(e, "sink", sink->part->name);
    bk_json_set_str(e, "id", b->id);
    bk_json_set_time(e, "start", b->manifest->start_ns);
    bk_json_set_str(e, "action", v->keep ? "keep" : "remove");
    bk_json_set_bool(e, "good", b->good);
    bk_json_set_str(e, "reasons", reasons.data ? reasons.data : "");
    bk_event_send(p->session->reporter, e);
}

static int collect(void *arg, const char *name, uint64_t size, int64_t mtime_ns)
{
    (void)size;
    (void)mtime_ns;
    return bk_strv_add(arg, name);
}

/* Its bundles stand at the root; what announces them goes after them. */
static int remove_bundles(struct bk_sink *sink, const struct bk_strv *names, struct bk_err *err)
{
    int rc = BAKE_OK;

    for (size_t i = 0; i < names->n && (rc >= 0 || rc == BAKE_E_NOTFOUND); i++) {
        const char *bundle = bk_bundle_announced(names->items[i]);

        if (bundle)
            rc = bk_sink_remove(sink, bundle, err);
    }
    return rc == BAKE_E_NOTFOUND ? BAKE_OK : rc;
}

/* The manifest goes first: from then on the backup is not there any more, and what a crash leaves
 * of it is garbage, never a backup with holes. */
static int remove_backup(struct bk_sink *sink, const struct bk_backup *b, struct bk_err *err)
{
    char *prefix BK_FREE = bk_backup_object(b->id, "");
    char *manifest BK_FREE = bk_backup_object(b->id, BK_MANIFEST_NAME);
    struct bk_strv names = {0};
    int rc;

    if (!prefix || !manifest)
        return bk_nomem(err);
    rc = bk_sink_list(sink, prefix, collect, &names, err);
    if (rc >= 0)
        rc = bk_sink_remove(sink, manifest, err);
    if (rc >= 0 || rc == BAKE_E_NOTFOUND)
        rc = remove_bundles(sink, &names, err);
    for (size_t i = 0; i < names.n && (rc >= 0 || rc == BAKE_E_NOTFOUND); i++)
        if (!bk_streq(names.items[i], manifest))
            rc = bk_sink_remove(sink, names.items[i], err);
    bk_strv_free(&names);
    return rc == BAKE_E_NOTFOUND ? BAKE_OK : rc;
}

/* Borrowed names and flags for the retention's pure logic; damaged backups are left out: what they
 * hold is not known. */
struct input {
    struct bk_ret_backup *backups;
    struct bk_ret_component *components;
    const struct bk_backup **of; /* backups[i] stands for *of[i] */
    struct bk_ret_verdict *verdicts;
    size_t n;
};

static void input_release(struct input *in)
{
    free(in->backups);
    free(in->components);
    free(in->of);
    free(in->verdicts);
}

static int input_make(const struct bk_catalog *c, struct input *in, struct bk_err *err)
{
    size_t comps = 0, at = 0;

    memset(in, 0, sizeof(*in));
    for (size_t i = 0; i < c->n; i++)
        comps += c->backups[i].manifest ? c->backups[i].manifest->n_comps : 0;
    in->backups = calloc(c->n + 1, sizeof(*in->backups));
    in->of = calloc(c->n + 1, sizeof(struct bk_backup *));
    in->verdicts = calloc(c->n + 1, sizeof(*in->verdicts));
    in->components = calloc(comps + 1, sizeof(*in->components));
    if (!in->backups || !in->of || !in->verdicts || !in->components) {
        input_release(in);
        return bk_nomem(err);
    }
    for (size_t i = 0; i < c->n; i++) {
        const struct bk_backup *b = &c->backups[i];

        if (!b->manifest)
            continue;
        in->of[in->n] = b;
        in->backups[in->n].id = b->id;
        in->backups[in->n].time_ns = b->manifest->start_ns;
        in->backups[in->n].good = b->good;
        in->backups[in->n].components = &in->components[at];
        in->backups[in->n++].n_components = b->manifest->n_comps;
        for (size_t k = 0; k < b->manifest->n_comps; k++, at++) {
            in->components[at].name = b->manifest->comps[k].name;
            in->components[at].ok = b->manifest->comps[k].status == BK_STATUS_OK;
        }
    }
    return BAKE_OK;
}

static int carry_out(struct prune *p, struct side *side, const struct input *in, struct bk_err *err)
{
    for (size_t i = 0; i < in->n; i++) {
        const struct bk_backup *b = in->of[i];
        uint64_t bytes_in, stored, entries, warnings;
        int rc = BAKE_OK;

        verdict_event(p, side->sink, b, &in->verdicts[i]);
        if (in->verdicts[i].keep) {
            p->kept++;
            continue;
        }
        if (!p->dry_run && (rc = bk_lease_check(side->lease, err)) >= 0)
            rc = remove_backup(side->sink, b, err);
        if (rc >= 0 && bk_strv_add(&side->removed, b->id) < 0)
            rc = bk_nomem(err);
        if (rc < 0)
            return rc;
        bk_manifest_totals(b->manifest, &bytes_in, &stored, &entries, &warnings);
        p->removed++;
        p->freed += stored;
    }
    return BAKE_OK;
}

static int apply_retention(struct prune *p, struct side *side, struct bk_err *err)
{
    struct bk_session *s = p->session;
    struct bk_catalog *catalog;
    struct input in;
    int rc = bk_catalog_load(side->sink, s->pipeline->name, s->host, 0, &catalog, err);

    if (rc < 0)
        return rc;
    rc = input_make(catalog, &in, err);
    if (rc >= 0) {
        rc = bk_retention_apply(&s->pipeline->retention, in.backups, in.n, bk_now_ns(), in.verdicts,
                                err);
        if (rc >= 0)
            rc = carry_out(p, side, &in, err);
        input_release(&in);
    }
    bk_catalog_free(catalog);
    return rc;
}

/* ---- sinks ----------------------------------------------------------------------------------- */

static bool is_repository(const struct prune *p)
{
    return p->session->store->format == BK_FORMAT_REPOSITORY;
}

static int collect_garbage(struct prune *p, struct side *side, struct bk_err *err)
{
    struct bk_garbage garbage = {0};
    int rc = bk_garbage_collect(side->sink, side->lease, &garbage, err);

    p->garbage += garbage.objects;
    p->garbage_bytes += garbage.bytes;
    return rc;
}

/* Backups that are gone need none; those that would be are to be left out. */
static int prune_logs(struct prune *p, struct side *side, struct bk_err *err)
{
    return bk_wal_prune(p->session, side->sink, side->lease, p->dry_run ? &side->removed : NULL,
                        p->quiet, &p->logs, err);
}

static int prune_side(struct prune *p, struct side *side, struct bk_err *err)
{
    struct bk_store *store = p->session->store;
    int rc = BAKE_OK;

    if (!p->dry_run)
        rc = bk_lease_take(side->sink, p->session->host, &side->lease, err);
    if (rc >= 0)
        rc = apply_retention(p, side, err);
    if (rc >= 0)
        rc = prune_logs(p, side, err);
    if (rc >= 0)
        rc = collect_garbage(p, side, err);
    if (rc >= 0 && is_repository(p)) {
        /* A backup that was removed is not there; one that would be is to be left out. */
        bk_strv_sort(&side->removed);
        rc = bk_sweep_new(store, side->sink, side->lease, p->dry_run ? &side->removed : NULL,
                          &side->sweep, err);
        if (rc >= 0)
            rc = bk_sweep_run(side->sweep, err);
    } else {
        bk_lease_release(side->lease);
        side->lease = NULL;
    }
    return rc;
}

/* Of several failures the one is said whose exit code is. */
static void note_failure(struct prune *p, int rc, const struct bk_err *why, struct bk_err *err)
{
    if (rc < 0 && bk_worse(p->worst, rc) == rc) {
        p->worst = rc;
        if (err)
            *err = *why;
    }
}

/* Only while every sink takes part: what is moved must be moved in all of them. */
static void rewrite(struct prune *p, struct bk_err *err)
{
    struct bk_sweep **all BK_FREE = calloc(p->n_sides + 1, sizeof(struct bk_sweep *));
    struct bk_err why = {0};
    bool moved = false;
    int rc = all ? BAKE_OK : bk_nomem(&why);

    for (size_t i = 0; all && i < p->n_sides; i++)
        all[i] = p->sides[i].sweep;
    if (all && p->n_sides > 0)
        rc = bk_sweep_rewrite(all, p->n_sides, &moved, &why);
    note_failure(p, rc, &why, err);
    for (size_t i = 0; i < p->n_sides && moved && rc != BAKE_E_CANCELLED; i++) {
        rc = bk_sweep_run(p->sides[i].sweep, &why);
        note_failure(p, rc, &why, err);
    }
}

static void clean(struct prune *p, struct bk_err *err)
{
    for (size_t i = 0; i < p->n_sides && p->worst != BAKE_E_CANCELLED; i++) {
        struct side *side = &p->sides[i];
        struct bk_err why = {0};

        note_failure(p, bk_sweep_clean(side->sweep, !p->after_run, &why), &why, err);
    }
}

static void add_swept(struct bk_swept *to, const struct bk_swept *from)
{
    to->removed += from->removed;
    to->removed_bytes += from->removed_bytes;
    to->condemned += from->condemned;
    to->condemned_bytes += from->condemned_bytes;
    to->young += from->young;
    to->young_bytes += from->young_bytes;
    to->rewritten += from->rewritten;
    to->rewritten_bytes += from->rewritten_bytes;
    to->written_bytes += from->written_bytes;
}

static void release_sides(struct prune *p)
{
    for (size_t i = 0; i < p->n_sides; i++) {
        struct side *side = &p->sides[i];

        if (side->sweep)
            add_swept(&p->swept, bk_sweep_counts(side->sweep));
        bk_sweep_free(side->sweep);
        bk_strv_free(&side->removed);
        bk_lease_release(side->lease);
    }
    free(p->sides);
    p->sides = NULL;
    p->n_sides = 0;
}

/* The leases are held to the end, since packs are rewritten in all sinks at once. */
static int prune_all(struct prune *p, struct bk_err *err)
{
    struct bk_store *store = p->session->store;

    p->sides = calloc(store->n_sinks + 1, sizeof(*p->sides));
    if (!p->sides)
        return bk_nomem(err);
    for (size_t i = 0; i < store->n_sinks && p->worst != BAKE_E_CANCELLED; i++) {
        struct bk_err why = {0};

        if (!bk_store_sink_ok(store, i))
            continue;
        p->sides[p->n_sides].sink = &store->sinks[i];
        note_failure(p, prune_side(p, &p->sides[p->n_sides++], &why), &why, err);
    }
    if (is_repository(p)) {
        if (p->worst >= 0 && !p->after_run)
            rewrite(p, err);
        if (p->worst >= 0)
            clean(p, err);
    }
    release_sides(p);
    bk_repo_forget(store);
    return p->worst;
}

/* What a pack that replaces others takes is not freed. */
static uint64_t bytes_freed(const struct prune *p)
{
    const struct bk_swept *s = &p->swept;

    if (!is_repository(p))
        return p->freed + p->garbage_bytes + p->logs.bytes;
    return p->garbage_bytes + p->logs.bytes +
           (s->removed_bytes > s->written_bytes ? s->removed_bytes - s->written_bytes : 0);
}

static void send_summary(struct prune *p, int rc, uint64_t start_ms)
{
    json_t *e = bk_event("summary");

    bk_json_set_str(e, "verb", "prune");
    bk_json_set_str(e, "status", rc >= 0 ? "ok" : rc == BK_E_VERIFY ? "damaged" : "failed");
    bk_json_set_bool(e, "dry_run", p->dry_run);
    bk_json_set_u64(e, "kept", p->kept);
    bk_json_set_u64(e, "removed", p->removed);
    bk_json_set_u64(e, "bytes_freed", p->session->store ? bytes_freed(p) : 0);
    bk_json_set_u64(e, "garbage_objects", p->garbage);
    bk_json_set_u64(e, "logs_removed", p->logs.logs);
    if (p->session->store && is_repository(p)) {
        bk_json_set_u64(e, "packs_removed", p->swept.removed);
        bk_json_set_u64(e, "packs_condemned", p->swept.condemned);
        bk_json_set_u64(e, "bytes_condemned", p->swept.condemned_bytes);
        bk_json_set_u64(e, "packs_young", p->swept.young);
        bk_json_set_u64(e, "bytes_young", p->swept.young_bytes);
        bk_json_set_u64(e, "packs_rewritten", p->swept.rewritten);
        bk_json_set_u64(e, "bytes_rewritten", p->swept.rewritten_bytes);
    }
    bk_json_set_real(e, "duration", (double)(bk_monotonic_ms() - start_ms) / 1000.0);
    bk_json_set_u64(e, "exit_code", (uint64_t)bk_exit_code(rc));
    bk_event_send(p->session->reporter, e);
}

int bk_prune(struct bk_session *s, bool dry_run, struct bk_err *err)
{
    struct prune p = {.session = s, .dry_run = dry_run};
    uint64_t start = bk_monotonic_ms();
    int rc = bk_session_open_store(s, BK_STORE_READ, NULL, err);

    if (rc >= 0)
        rc = prune_all(&p, err);
    send_summary(&p, rc, start);
    return rc;
}

int bk_prune_after_run(struct bk_session *s, size_t *ret_removed, struct bk_err *err)
{
    struct prune p = {.session = s, .quiet = true, .after_run = true};
    int rc = prune_all(&p, err);

    *ret_removed = p.removed;
    return rc;
}
