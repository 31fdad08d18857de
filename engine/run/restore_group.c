/* One group of a restore, from restore_begin() to restore_end(). */
#include "run/restore_group.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "run/lanes.h"

#include <string.h>

#define STAGES_MAX 16 /* a plugin that says more is out of its mind */

struct job {
    struct bk_restore_env env; /* the verb's, but with a cancel of this group's own */
    struct bk_session *session;
    struct bk_rgroup *g;
    const char *own; /* the group's name as the plugin says it */
    struct bk_rsource *src;
    struct bk_ctx ctx;
    size_t n;                           /* components that take part */
    size_t *at;                         /* which of g->comps they are */
    struct bake_component *about;       /* as the plugin sees them */
    const struct bake_component **list; /* the same, for restore_begin() */
    char **facts;
    uint32_t *stage, last;
    size_t *now, n_now; /* of g->comps: those of the stage that goes on */
    atomic_bool failed; /* what was staged cannot be used */
    atomic_bool lacking;
};

/* ---- what is to be said ---------------------------------------------------------------------- */

static void on_report(void *arg, int severity, const char *subject, const char *text)
{
    struct job *job = arg;
    char *whose BK_FREE = bk_asprintf("group '%s': %s", job->g->name, text);

    if (severity == BAKE_PARTIAL)
        atomic_store(&job->lacking, true);
    bk_event_note(job->session->reporter, severity, NULL, subject, whose ? whose : text);
}

/* A cancelled restore is no failure of the group. */
static void say_error(struct job *job, const struct bk_err *why)
{
    if (why->rc != BAKE_E_CANCELLED)
        bk_restore_error(&job->env, NULL, why);
}

static bool drill(const struct job *job) { return job->env.purpose == BAKE_DRILL; }

static int call_failed(struct job *job, struct bk_ctx *ctx, int rc)
{
    struct bk_err why = {0};

    rc = bk_ctx_fail(ctx, rc, &why);
    say_error(job, &why);
    return rc;
}

static void ctx_of(struct job *job, struct bk_cancel *cancel, struct bk_ctx *ret)
{
    bk_rsource_ctx(job->src, cancel, ret, "group '%s'", job->g->name);
    ret->report = on_report;
    ret->report_arg = job;
}

/* ---- the components -------------------------------------------------------------------------- */

static void release(struct job *job)
{
    for (size_t i = 0; job->facts && i < job->n; i++)
        free(job->facts[i]);
    free(job->at);
    free(job->about);
    free(job->list);
    free(job->facts);
    free(job->stage);
    free(job->now);
    bk_cancel_free(job->env.cancel);
}

static int prepare(struct job *job, const struct bk_restore_env *env, struct bk_rgroup *g,
                   struct bk_err *err)
{
    size_t n = g->n + 1;

    memset(job, 0, sizeof(*job));
    job->env = *env;
    job->env.cancel = NULL;
    job->session = env->session;
    job->g = g;
    job->at = calloc(n, sizeof(*job->at));
    job->about = calloc(n, sizeof(*job->about));
    job->list = calloc(n, sizeof(struct bake_component *));
    job->facts = calloc(n, sizeof(char *));
    job->stage = calloc(n, sizeof(*job->stage));
    job->now = calloc(n, sizeof(*job->now));
    if (!job->at || !job->about || !job->list || !job->facts || !job->stage || !job->now)
        return bk_nomem(err);
    return bk_cancel_new(env->cancel, &job->env.cancel, err);
}

static int take_part(struct job *job, size_t i, struct bk_err *err)
{
    size_t k = job->n;
    int rc =
        bk_restore_describe(job->g->part, job->g->comps[i], &job->about[k], &job->facts[k], err);

    if (rc < 0)
        return rc;
    job->own = job->about[k].group;
    job->list[k] = &job->about[k];
    job->at[k] = i;
    job->n++;
    return BAKE_OK;
}

/* A component that had failed when the backup was made is not in it. The others alone are a state
 * that never was, so that has to be asked for. */
static int list_components(struct job *job, struct bk_err *err)
{
    for (size_t i = 0; i < job->g->n; i++) {
        const struct bk_mcomp *c = job->g->comps[i];
        int rc;

        if (c->status != BK_STATUS_FAILED)
            rc = take_part(job, i, err);
        else if (job->env.opts->force)
            rc = bk_restore_component(&job->env, c, &job->g->results[i], err); /* says so */
        else
            rc = bk_fail(err, BAKE_E_NOTFOUND,
                         "group '%s': component '%s' had failed in this backup: %s\n"
                         "HINT: choose another backup, or the others with --component; --force "
                         "restores the group without it",
                         job->g->name, c->name, c->error ? c->error : "unknown why");
        if (rc < 0)
            return rc;
    }
    if (job->n == 0)
        return bk_fail(err, BAKE_E_NOTFOUND, "group '%s': all of it had failed in this backup",
                       job->g->name);
    return BAKE_OK;
}

/* ---- writing --------------------------------------------------------------------------------- */

static int work(void *arg, size_t i, struct bk_err *err)
{
    struct job *job = arg;
    const struct bk_mcomp *c = job->g->comps[job->now[i]];
    struct bk_restored *res = &job->g->results[job->now[i]];
    int rc = bk_restore_component(&job->env, c, res, err);

    if (rc >= 0 && (res->committed || res->gone))
        return BAKE_OK;
    if (rc >= 0) /* it was said why */
        rc = bk_fail(err, BAKE_E_IO, "component '%s' could not be staged", c->name);
    else if (rc != BAKE_E_CANCELLED)
        bk_restore_error(&job->env, c->name, err);
    atomic_store(&job->failed, true);
    bk_cancel_fire(job->env.cancel); /* all will be undone: the others need not go on */
    return rc;
}

static bool go_on(const struct job *job)
{
    return !atomic_load(&job->failed) && !bk_cancelled(job->session->cancel);
}

/* One stage, and the switch to what it wrote. */
static bool write_stage(struct job *job, uint32_t stage, size_t lanes)
{
    struct bk_err why = {0};
    int rc;

    job->n_now = 0;
    for (size_t i = 0; i < job->n; i++)
        if (job->stage[i] == stage)
            job->now[job->n_now++] = job->at[i];
    rc = bk_lanes_run(job->n_now, lanes, work, job, &why);
    if (rc < 0 && !atomic_exchange(&job->failed, true))
        say_error(job, &why); /* there were no lanes */
    if (!go_on(job) || stage == job->last)
        return go_on(job);
    bk_log(BAKE_LOG_INFO, "group '%s': step %u of %u is fetched and checked", job->g->name,
           stage + 1, job->last + 1);
    rc = job->src->ops->switch_group(job->src->self, &job->ctx.base, job->own);
    if (rc < 0)
        (void)call_failed(job, &job->ctx, rc);
    return rc >= 0 && go_on(job);
}

static bool anything_written(const struct job *job)
{
    for (size_t i = 0; i < job->g->n; i++)
        if (job->g->results[i].committed)
            return true;
    return false;
}

static bool write_all(struct job *job, size_t lanes)
{
    for (uint32_t stage = 0; stage <= job->last; stage++)
        if (!write_stage(job, stage, lanes))
            return false;
    /* All may be gone: then there is nothing to take into use. */
    return anything_written(job);
}

/* ---- begin and end --------------------------------------------------------------------------- */

static int begin(struct job *job, struct bk_err *err)
{
    struct bake_restore how = bk_restore_how(&job->env, job->g->part);
    int rc = bk_rsource_get(job->env.sources, job->g->part, &job->src, err);

    if (rc < 0)
        return rc;
    ctx_of(job, job->env.cancel, &job->ctx);
    rc = job->src->ops->restore_begin(job->src->self, &job->ctx.base, &how, job->own, job->list,
                                      job->n, job->stage);
    return rc < 0 ? bk_ctx_fail(&job->ctx, rc, err) : BAKE_OK;
}

static int look_at_stages(struct job *job)
{
    struct bk_err why = {0};

    for (size_t i = 0; i < job->n; i++)
        job->last = job->stage[i] > job->last ? job->stage[i] : job->last;
    if (job->last < STAGES_MAX)
        return BAKE_OK;
    bk_fail(&why, BAKE_E_INTERNAL, "group '%s': there is no stage %u; this is a bug of plugin '%s'",
            job->g->name, job->last, job->g->part->plugin->desc.name);
    say_error(job, &why);
    return why.rc;
}

static void keep_facts(struct job *job, const struct bake_result *result)
{
    struct bk_err why = {0};

    if (result->facts && bk_json_parse(result->facts, strlen(result->facts), job->ctx.label,
                                       &job->g->facts, &why) < 0)
        bk_event_note(job->session->reporter, BAKE_WARNING, NULL, NULL, why.text);
}

/* Takes it into use. What fails then the plugin has undone, unless it reports that it could not. */
static void end_good(struct job *job)
{
    struct bake_result result = {.struct_size = sizeof(result)};
    bool before = atomic_exchange(&job->lacking, false), now;
    int rc = job->src->ops->restore_end(job->src->self, &job->ctx.base, job->own, 1, &result);

    now = atomic_load(&job->lacking);
    atomic_store(&job->lacking, before || now);
    job->g->status = BK_RGROUP_OK;
    if (rc < 0) {
        (void)call_failed(job, &job->ctx, rc);
        job->g->status = now ? BK_RGROUP_FAILED : BK_RGROUP_UNDONE;
    }
    keep_facts(job, &result); /* of a drill that failed: which checks were met */
}

/* This must be done, so nothing may break it off any more. */
static void end_bad(struct job *job)
{
    struct bake_result result = {.struct_size = sizeof(result)};
    struct bk_ctx calm;
    int rc;

    bk_log(BAKE_LOG_INFO,
           drill(job) ? "group '%s': taking the drill down"
                      : "group '%s': putting everything back as it was",
           job->g->name);
    ctx_of(job, NULL, &calm);
    bk_rsource_quiet(job->src);
    rc = job->src->ops->restore_end(job->src->self, &calm.base, job->own, 0, &result);
    bk_rsource_loud(job->src);
    job->g->status = BK_RGROUP_UNDONE;
    if (rc < 0) {
        job->g->status = BK_RGROUP_FAILED;
        (void)call_failed(job, &calm, rc);
    } else {
        keep_facts(job, &result);
    }
}

static void settle(struct job *job)
{
    bool lacking = atomic_load(&job->lacking);

    for (size_t i = 0; i < job->g->n; i++) {
        struct bk_restored *res = &job->g->results[i];

        res->undone = job->g->status >= BK_RGROUP_UNDONE;
        lacking = lacking || res->failed || res->lacking || res->fatal || res->gone;
    }
    if (job->g->status == BK_RGROUP_OK && lacking)
        job->g->status = BK_RGROUP_PARTIAL;
}

static void restore(struct job *job, size_t lanes)
{
    struct bk_err why = {0};

    if (list_components(job, &why) < 0 || begin(job, &why) < 0) {
        say_error(job, &why);
        return;
    }
    job->g->begun = true;
    bk_log(BAKE_LOG_INFO, drill(job) ? "group '%s': a drill" : "restoring group '%s'",
           job->g->name);
    if (look_at_stages(job) < 0 || !write_all(job, lanes))
        end_bad(job);
    else
        end_good(job);
}

int bk_restore_group(const struct bk_restore_env *env, size_t lanes, struct bk_rgroup *g,
                     struct bk_err *err)
{
    struct job job;
    int rc = prepare(&job, env, g, err);

    if (rc >= 0) {
        job.env.whole = !env->opts->force;
        restore(&job, lanes);
        settle(&job);
        if (bk_cancelled(env->session->cancel) && g->status >= BK_RGROUP_UNDONE)
            rc = bk_fail(err, BAKE_E_CANCELLED, "group '%s': cancelled", g->name);
    }
    release(&job);
    return rc;
}

int bk_restore_group_stages(const struct bk_restore_env *env, struct bk_rgroup *g,
                            uint32_t *ret_stage, struct bk_err *err)
{
    struct job job;
    int rc = prepare(&job, env, g, err);

    if (rc >= 0)
        rc = list_components(&job, err);
    if (rc >= 0)
        rc = begin(&job, err);
    for (size_t i = 0; rc >= 0 && i < job.n; i++)
        ret_stage[job.at[i]] = job.stage[i];
    release(&job);
    return rc;
}
