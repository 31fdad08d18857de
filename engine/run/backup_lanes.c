/* The components of a run: what the lanes do with each, and what is told of it. */
#include "run/backup_private.h"
#include "run/group_run.h"

static void component_event(struct bk_run_job *r, const struct bk_mcomp *c)
{
    json_t *e = bk_event("component");

    bk_json_set_str(e, "name", c->name);
    bk_json_set_str(e, "status", bk_status_name(c->status));
    bk_json_set_str(e, "error", c->error);
    bk_json_set_str(e, "hint", c->hint);
    bk_json_set_u64(e, "bytes_in", c->bytes_in);
    if (c->has_stream) /* what it takes in the store is only known once its packs are made */
        bk_json_set_u64(e, "bytes_new", c->bytes_new);
    else if (!c->in.bundle) /* in a bundle nobody can say whose bytes are whose */
        bk_json_set_u64(e, "bytes_stored", c->bytes_stored);
    bk_json_set_u64(e, "entries", c->entries);
    bk_json_set_u64(e, "unchanged", c->unchanged);
    bk_json_set_u64(e, "warnings", c->warnings);
    bk_json_set_u64(e, "missing", c->missing);
    bk_json_set_real(e, "duration", (double)c->duration_ms / 1000.0);
    bk_event_send(r->session->reporter, e);
}

static struct bk_component_job job_of(struct bk_run_job *r, size_t i)
{
    return (struct bk_component_job){.session = r->session,
                                     .duty = r->duty,
                                     .id = r->manifest->id,
                                     .parent = r->parent.manifest,
                                     .item = &r->plan.items[i]};
}

static int tell(struct bk_run_job *r, size_t i, int rc)
{
    if (rc == BAKE_OK)
        component_event(r, &r->manifest->comps[i]);
    return rc;
}

static int backup(void *arg, size_t i, const struct bk_reading *how, struct bk_err *err)
{
    struct bk_run_job *r = arg;
    struct bk_component_job job = job_of(r, i);

    if (how) {
        job.cancel = how->cancel;
        job.too_long = how->too_long;
        job.read = how->read;
        job.arg = how->arg;
        r->manifest->comps[i].missing = how->missing;
    }
    return tell(r, i, bk_backup_component(&job, &r->manifest->comps[i], err));
}

static int reuse(void *arg, size_t i, struct bk_err *err)
{
    struct bk_run_job *r = arg;
    struct bk_component_job job = job_of(r, i);

    return tell(r, i, bk_reuse_component(&job, &r->manifest->comps[i], err));
}

static int give_up(void *arg, size_t i, const struct bk_err *why, struct bk_err *err)
{
    struct bk_run_job *r = arg;

    return tell(r, i, bk_fail_component(&r->plan.items[i], why, &r->manifest->comps[i], err));
}

static int released(void *arg, struct bk_mgroup *g, const struct bk_err *failed, struct bk_err *err)
{
    struct bk_run_job *r = arg;
    struct bk_manifest *m = r->manifest;
    struct bk_mgroup *more = realloc(m->groups, (m->n_groups + 1) * sizeof(*more));

    if (failed->rc < 0) {
        r->n_unreleased++;
        bk_event_error(r->session->reporter, NULL, failed);
    }
    if (!more) {
        bk_mgroup_release(g);
        return bk_nomem(err);
    }
    m->groups = more;
    m->groups[m->n_groups++] = *g;
    return BAKE_OK;
}

static int group_end(void *arg, const char *group, struct bk_err *err)
{
    struct bk_run_job *r = arg;
    struct bk_err why = {0};
    int rc = bk_backup_group_end(r->session->store, group, &why);

    if (rc == BAKE_E_CANCELLED || rc == BAKE_E_NOMEM) {
        *err = why;
        return rc;
    }
    if (rc < 0)
        bk_event_error(r->session->reporter, NULL, &why); /* the seal notes it in the manifest */
    return BAKE_OK;
}

int bk_run_components(struct bk_run_job *r, struct bk_err *err)
{
    struct bk_groups_job job = {.session = r->session,
                                .duty = r->duty,
                                .plan = &r->plan,
                                .in_turn = bk_comp_in_turn(r->session->store),
                                .backup = backup,
                                .reuse = reuse,
                                .give_up = give_up,
                                .released = released,
                                .group_end = group_end,
                                .arg = r};
    int rc = bk_reporter_start(r->session->reporter, err);

    if (rc >= 0)
        rc = bk_groups_run(&job, err);
    bk_reporter_stop(r->session->reporter);
    return rc;
}
