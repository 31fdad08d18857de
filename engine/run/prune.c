/* The prune verb: retention decides, backups go, then garbage. */
#include "run/prune.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "run/garbage.h"
#include "run/retention.h"

#include <string.h>

struct prune {
    struct bk_session *session;
    bool dry_run, quiet;
    uint64_t removed, kept, freed, garbage, garbage_bytes;
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

static int carry_out(struct prune *p, struct bk_sink *sink, struct bk_lease *lease,
                     const struct input *in, struct bk_err *err)
{
    for (size_t i = 0; i < in->n; i++) {
        const struct bk_backup *b = in->of[i];
        uint64_t bytes_in, stored, entries, warnings;
        int rc = BAKE_OK;

        verdict_event(p, sink, b, &in->verdicts[i]);
        if (in->verdicts[i].keep) {
            p->kept++;
            continue;
        }
        if (!p->dry_run && (rc = bk_lease_check(lease, err)) >= 0)
            rc = remove_backup(sink, b, err);
        if (rc < 0)
            return rc;
        bk_manifest_totals(b->manifest, &bytes_in, &stored, &entries, &warnings);
        p->removed++;
        p->freed += stored;
    }
    return BAKE_OK;
}

static int apply_retention(struct prune *p, struct bk_sink *sink, struct bk_lease *lease,
                           struct bk_err *err)
{
    struct bk_session *s = p->session;
    struct bk_catalog *catalog;
    struct input in;
    int rc = bk_catalog_load(sink, s->pipeline->name, s->host, 0, &catalog, err);

    if (rc < 0)
        return rc;
    rc = input_make(catalog, &in, err);
    if (rc >= 0) {
        rc = bk_retention_apply(&s->pipeline->retention, in.backups, in.n, bk_now_ns(), in.verdicts,
                                err);
        if (rc >= 0)
            rc = carry_out(p, sink, lease, &in, err);
        input_release(&in);
    }
    bk_catalog_free(catalog);
    return rc;
}

static int prune_sink(struct prune *p, struct bk_sink *sink, struct bk_err *err)
{
    struct bk_garbage garbage = {0};
    struct bk_lease *lease = NULL;
    int rc = BAKE_OK;

    if (!p->dry_run)
        rc = bk_lease_take(sink, p->session->host, &lease, err);
    if (rc >= 0)
        rc = apply_retention(p, sink, lease, err);
    if (rc >= 0)
        rc = bk_garbage_collect(sink, lease, &garbage, err);
    bk_lease_release(lease);
    p->garbage += garbage.objects;
    p->garbage_bytes += garbage.bytes;
    return rc;
}

static int prune_all(struct prune *p, struct bk_err *err)
{
    struct bk_store *store = p->session->store;
    int worst = BAKE_OK;

    for (size_t i = 0; i < store->n_sinks; i++) {
        struct bk_err why = {0};
        int rc;

        if (!bk_store_sink_ok(store, i))
            continue;
        rc = prune_sink(p, &store->sinks[i], &why);
        if (rc < 0 && bk_worse(worst, rc) == rc) {
            worst = rc;
            *err = why;
        }
        if (rc == BAKE_E_CANCELLED)
            break;
    }
    return worst;
}

int bk_prune(struct bk_session *s, bool dry_run, struct bk_err *err)
{
    struct prune p = {.session = s, .dry_run = dry_run};
    uint64_t start = bk_monotonic_ms();
    json_t *e = bk_event("summary");
    int rc = bk_session_open_store(s, BK_STORE_READ, NULL, err);

    if (rc >= 0)
        rc = prune_all(&p, err);
    bk_json_set_str(e, "verb", "prune");
    bk_json_set_str(e, "status", rc >= 0 ? "ok" : "failed");
    bk_json_set_bool(e, "dry_run", dry_run);
    bk_json_set_u64(e, "kept", p.kept);
    bk_json_set_u64(e, "removed", p.removed);
    bk_json_set_u64(e, "bytes_freed", p.freed + p.garbage_bytes);
    bk_json_set_u64(e, "garbage_objects", p.garbage);
    bk_json_set_real(e, "duration", (double)(bk_monotonic_ms() - start) / 1000.0);
    bk_json_set_u64(e, "exit_code", (uint64_t)bk_exit_code(rc));
    bk_event_send(s->reporter, e);
    return rc;
}

int bk_prune_after_run(struct bk_session *s, size_t *ret_removed, struct bk_err *err)
{
    struct prune p = {.session = s, .quiet = true};
    int rc = prune_all(&p, err);

    *ret_removed = p.removed;
    return rc;
}
