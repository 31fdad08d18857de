/* Drills: components are restored through their sources into something that is thrown away at the
 * end, by the calls of a restore with BAKE_DRILL; the sources prove that it is well. */
#include "run/verify_private.h"

#include "base/clock.h"
#include "base/log.h"
#include "run/restore_group.h"

#include <stdlib.h>

struct drill {
    struct bk_check *k;
    struct bk_restore_opts opts; /* none */
    struct bk_restore_env env;
    struct bk_first first; /* of one group */
    const struct bk_mcomp **comps;
    struct bk_restored *results;
    size_t n;
    struct bk_rgroup *groups;
    size_t n_groups, lanes;
};

bool bk_drill_wanted(const struct bk_check *k, const struct bk_mcomp *c)
{
    const struct bk_part *part;

    if (k->level != BK_VERIFY_RESTORE || !k->sources || c->status == BK_STATUS_FAILED)
        return false;
    part = bk_restore_part(k->session->pipeline, c);
    return part && part->plugin->source.traits & BAKE_DRILLS &&
           bk_restore_grouped(k->session->pipeline, c);
}

static int choose(struct drill *d, struct bk_err *err)
{
    const struct bk_manifest *m = d->k->manifest;
    size_t alone;

    d->comps = calloc(m->n_comps + 1, sizeof(struct bk_mcomp *));
    d->results = calloc(m->n_comps + 1, sizeof(*d->results));
    if (!d->comps || !d->results)
        return bk_nomem(err);
    for (size_t i = 0; i < m->n_comps; i++)
        if (bk_drill_wanted(d->k, &m->comps[i]))
            d->comps[d->n++] = &m->comps[i];
    return bk_rgroups_make(d->k->session->pipeline, d->comps, d->results, d->n, &d->groups,
                           &d->n_groups, &alone, err);
}

/* ---- what came of it ------------------------------------------------------------------------- */

static void set_masked(json_t *j, const char *key, const char *text)
{
    char *masked = bk_mask(text);

    bk_json_set_str(j, key, masked ? masked : "(out of memory)");
    free(masked);
}

static json_t *group_json(const struct drill *d, const struct bk_rgroup *g, uint64_t ms)
{
    json_t *j = json_object(), *names = json_array();
    bool good = g->status == BK_RGROUP_OK;

    bk_json_set_str(j, "name", g->name);
    bk_json_set_str(j, "source", g->part->name);
    bk_json_set_str(j, "result", good ? "ok" : "failed");
    bk_json_set_real(j, "duration", (double)ms / 1000.0);
    for (size_t i = 0; i < g->n; i++)
        json_array_append_new(names, json_string(g->comps[i]->name));
    json_object_set_new(j, "components", names);
    if (g->facts)
        json_object_set(j, "facts", g->facts);
    if (!good)
        set_masked(j, "error",
                   d->first.err.rc ? d->first.err.text
                                   : "not all of it could be restored, as was reported");
    return j;
}

static void tell(struct drill *d, const struct bk_rgroup *g, json_t *j)
{
    const struct bk_check *k = d->k;
    json_t *e = bk_event("drill");

    bk_json_set_str(e, "id", k->manifest->id);
    bk_json_set_str(e, "sink", k->sink->part->name);
    json_object_update(e, j);
    bk_event_send(k->session->reporter, e);
    for (size_t i = 0; i < g->n; i++) {
        size_t at = (size_t)(g->comps[i] - k->manifest->comps);

        k->drilled[at] = true;
        k->broken[at] = k->broken[at] || g->status != BK_RGROUP_OK;
    }
}

/* ---- one group ------------------------------------------------------------------------------- */

static void count(struct drill *d, const struct bk_rgroup *g)
{
    for (size_t i = 0; i < g->n; i++)
        d->k->bytes += g->results[i].bytes;
    if (g->status == BK_RGROUP_OK)
        return;
    /* What could not even begin for want of a tool or of room has shown nothing of the backup. */
    if (g->begun || d->first.err.rc == BAKE_E_CORRUPT)
        d->k->damaged++;
    else
        d->k->untried++;
    d->k->undrilled++;
    if (d->k->failed.rc == 0)
        d->k->failed = d->first.err;
}

static int drill_group(struct drill *d, struct bk_rgroup *g, struct bk_err *err)
{
    uint64_t start = bk_monotonic_ms();
    json_t *j;
    int rc;

    bk_err_clear(&d->first.err);
    rc = bk_restore_group(&d->env, d->lanes, g, err);
    if (rc < 0)
        return rc;
    count(d, g);
    j = group_json(d, g, bk_monotonic_ms() - start);
    tell(d, g, j);
    return json_array_append_new(d->k->groups, j) < 0 ? bk_nomem(err) : BAKE_OK;
}

static int drill_all(struct drill *d, struct bk_err *err)
{
    struct bk_check *k = d->k;
    int rc = choose(d, err);

    if (rc < 0 || d->n == 0)
        return rc;
    k->groups = json_array();
    if (!k->groups)
        return bk_nomem(err);
    d->lanes = (size_t)k->session->pipeline->parallel;
    d->env = (struct bk_restore_env){.session = k->session,
                                     .opts = &d->opts,
                                     .manifest = k->manifest,
                                     .purpose = BAKE_DRILL,
                                     .sink = k->sink,
                                     .first = &d->first,
                                     .sources = k->sources,
                                     .cancel = k->session->cancel,
                                     .hands = bk_hands_share(d->lanes)};
    for (size_t i = 0; i < d->n_groups && rc >= 0; i++)
        rc = drill_group(d, &d->groups[i], err);
    return rc;
}

int bk_drill(struct bk_check *k, struct bk_err *err)
{
    struct drill d = {.k = k};
    int rc;

    pthread_mutex_init(&d.first.lock, NULL);
    rc = drill_all(&d, err);
    if (rc >= 0 && d.n == 0)
        bk_log(BAKE_LOG_INFO, "backup '%s' holds nothing that a source of the pipeline can try out",
               k->manifest->id);
    pthread_mutex_destroy(&d.first.lock);
    bk_rgroups_free(d.groups, d.n_groups);
    free(d.results);
    free(d.comps);
    return rc;
}

json_t *bk_drill_record(const struct bk_check *k)
{
    const struct bk_manifest *m = k->manifest;
    json_t *j = json_object(), *list = json_array();

    /* What was only read has its own result: that it cannot be tried out is no failure. */
    bk_json_set_str(j, "result", k->undrilled ? "failed" : "ok");
    json_object_set(j, "groups", k->groups);
    for (size_t i = 0; i < m->n_comps; i++) {
        json_t *c = json_object();
        bool there = m->comps[i].status != BK_STATUS_FAILED;

        bk_json_set_str(c, "name", m->comps[i].name);
        bk_json_set_str(c, "how", !there ? "none" : k->drilled[i] ? "restore" : "read");
        bk_json_set_str(c, "result", !there ? "missing" : k->broken[i] ? "failed" : "ok");
        json_array_append_new(list, c);
    }
    json_object_set_new(j, "components", list);
    if (k->failed.rc)
        set_masked(j, "error", k->failed.text);
    return j;
}
