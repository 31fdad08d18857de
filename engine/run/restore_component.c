/* Copying entries and bytes from a component's reader to its target. */
#include "run/restore_component.h"

#include "base/cleanup.h"
#include "run/restore_job.h"

#include <string.h>

void bk_restore_error(const struct bk_restore_env *env, const char *component,
                      const struct bk_err *why)
{
    const char *id = env->purpose == BAKE_DRILL ? env->manifest->id : NULL;

    if (env->first) {
        pthread_mutex_lock(&env->first->lock);
        if (env->first->err.rc == 0)
            env->first->err = *why;
        pthread_mutex_unlock(&env->first->lock);
    }
    bk_event_backup_error(env->session->reporter, id, component, why);
}

struct bk_sink *bk_restore_sink(const struct bk_restore_env *env)
{
    return env->sink ? env->sink : bk_store_base(env->session->store);
}

static void on_report(void *arg, int severity, const char *subject, const char *text)
{
    struct bk_job *job = arg;

    if (severity == BAKE_PARTIAL)
        bk_job_add(job, &job->ret->lacking, 1);
    bk_event_note(job->session->reporter, severity, job->comp->name, subject, text);
}

static void lost_file(void *arg, const char *path)
{
    struct bk_job *job = arg;
    struct bk_err why = {0};
    char shown[300];

    if (!bk_path_wanted(&job->opts->paths, path) ||
        bk_job_add(job, &job->ret->failed, 1) >= BK_LOST_SHOWN)
        return;
    bk_fail(&why, BAKE_E_CORRUPT, "'%s' is lost in the damaged part of the component",
            bk_printable(shown, sizeof(shown), path, strlen(path)));
    bk_restore_error(job->env, job->comp->name, &why);
}

/* After put_entry. OK also when only this entry failed (it was reported). */
static int fill_entry(struct bk_job *job, const struct bake_entry *e, struct bk_err *err)
{
    struct bk_pour p = {.buffer = job->buffer};
    struct bk_err end = {0};
    int rc = e->type == BAKE_FILE ? bk_job_pour(job, &p, err) : BAKE_OK, end_rc;
    bool alone = rc < 0 && (p.target_failed || bk_compr_bad_entry(job->in));

    end_rc = bk_target_entry_end(job->out, rc >= 0, &end);
    if (rc >= 0 && end_rc < 0) {
        *err = end;
        rc = end_rc;
        alone = true;
    }
    if (rc < 0 && !alone &&
        !bk_ends_restore(rc)) /* damaged from here on: this file is lost first */
        lost_file(job, e->path);
    return bk_job_settle(job, rc, alone, err);
}

/* A link or device of which two records differ: which of them is right is not known. */
static int refuse(struct bk_job *job, const char *path, struct bk_err *err)
{
    char shown[300];
    int rc = bk_fail(err, BAKE_E_CORRUPT, "'%s' is damaged: the component's records of it differ",
                     bk_printable(shown, sizeof(shown), path, strlen(path)));

    return bk_job_settle(job, rc, true, err);
}

static int restore_entry(struct bk_job *job, const struct bake_entry *e, struct bk_err *err)
{
    struct bk_content *content;
    int rc = BAKE_END;

    if (!bk_path_wanted(&job->opts->paths, e->path))
        return BAKE_OK;
    if (e->type != BAKE_FILE && bk_compr_bad_entry(job->in))
        return refuse(job, e->path, err);
    if (job->hands && e->type == BAKE_FILE)
        rc = bk_compr_detach(job->in, &content, err);
    if (rc < 0)
        return rc;
    if (rc == BAKE_OK)
        return bk_pieces_give(job, e, content, err);
    rc = bk_target_put(job->out, e, err);
    return rc == BAKE_OK ? fill_entry(job, e, err) : bk_job_not_put(job, rc, e->path, err);
}

static int restore_tree(struct bk_job *job, struct bk_err *err)
{
    for (;;) {
        struct bake_entry e;
        int rc = bk_compr_next(job->in, &e, err);

        if (rc == BAKE_OK)
            rc = restore_entry(job, &e, err);
        if (rc != BAKE_OK)
            return rc < 0 ? rc : BAKE_OK;
    }
}

static int restore_blob(struct bk_job *job, struct bk_err *err)
{
    struct bk_pour p = {.buffer = job->buffer};
    int rc = bk_job_pour(job, &p, err);

    if (rc >= 0)
        bk_job_add(job, &job->ret->entries, 1);
    return rc;
}

static int commit(struct bk_job *job, struct bk_err *err)
{
    int rc;

    if (job->env->whole && job->ret->failed > 0)
        return bk_fail(err, BAKE_E_CORRUPT, "it is not whole, so nothing of it is used");
    rc = bk_target_commit(job->out, err);
    job->ret->committed = rc >= 0;
    return rc;
}

static int copy_all(struct bk_job *job, struct bk_err *err)
{
    bool tree = job->comp->kind == BAKE_TREE;
    int rc = tree ? bk_pieces_wait(job, restore_tree(job, err), err) : restore_blob(job, err);
    struct bk_err ignored = {0};

    if (rc >= 0)
        rc = bk_compr_finish(job->in, err);
    if (rc >= 0)
        rc = commit(job, err);
    /* Files that were checked by their own digests stay, though the rest be damaged; a blob is
     * whole or nothing. */
    else if (tree && !job->env->whole && !bk_ends_restore(rc))
        (void)commit(job, &ignored);
    if (rc == BAKE_E_CORRUPT && job->env->whole && !err->hint[0])
        bk_hint(err, "try another backup or sink%s", tree ? "; --force takes what can be had" : "");
    return rc;
}

static int open_and_copy(struct bk_job *job, struct bk_err *err)
{
    const struct bk_restore_env *env = job->env;
    struct bk_target_opts t = {job->opts->target, env, on_report, job};
    struct bk_store *store = job->session->store;
    /* What is not asked for is not to be fetched ahead. */
    bool few = job->opts->paths.n > 0 && job->comp->kind == BAKE_TREE;
    unsigned flags = few ? BK_COMPR_FEW : 0;
    int rc = bk_compr_open(store, bk_restore_sink(env), env->manifest, job->comp, flags,
                           env->cancel, &job->in, err);

    if (rc < 0)
        return rc;
    rc = bk_target_open(job->comp, &t, &job->out, &job->ret->gone, err);
    if (rc >= 0) {
        rc = bk_pieces_open(job, env->hands, err);
        if (rc >= 0)
            rc = copy_all(job, err);
        bk_pieces_close(job);
        bk_target_close(job->out);
    }
    if (rc < 0 && !bk_ends_restore(rc) && !job->ret->gone)
        bk_compr_lost(job->in, lost_file, job);
    bk_compr_free(job->in);
    return rc;
}

int bk_restore_component(const struct bk_restore_env *env, const struct bk_mcomp *c,
                         struct bk_restored *ret, struct bk_err *err)
{
    struct bk_session *s = env->session;
    struct bk_job job = {.env = env, .session = s, .opts = env->opts, .comp = c, .ret = ret};
    struct bk_err why = {0};
    int rc;

    pthread_mutex_init(&job.lock, NULL);
    if (c->status == BK_STATUS_FAILED)
        rc = bk_fail(&why, BAKE_E_NOTFOUND, "component '%s' had failed in this backup: %s", c->name,
                     c->error ? c->error : "unknown why");
    else if (!(job.buffer = malloc(BK_JOB_BUFFER)))
        rc = bk_nomem(&why);
    else
        rc = open_and_copy(&job, &why);
    free(job.buffer);
    pthread_mutex_destroy(&job.lock);
    if (rc >= 0)
        return BAKE_OK;
    if (bk_ends_restore(rc)) {
        *err = why;
        return rc;
    }
    ret->fatal = true;
    if (ret->gone) /* what is there no more does not make the others wrong */
        bk_event_note(s->reporter, BAKE_PARTIAL, c->name, NULL, why.text);
    else
        bk_restore_error(env, c->name, &why);
    if (ret->failed > BK_LOST_SHOWN)
        bk_event_note(s->reporter, BAKE_PARTIAL, c->name, NULL,
                      "more files are lost than are named here; the summary counts them");
    return BAKE_OK;
}

void bk_restored_event(struct bk_reporter *reporter, const struct bk_mcomp *c,
                       const struct bk_restored *res)
{
    bool less = res->failed || res->fatal || res->lacking;
    json_t *e = bk_event("component");

    bk_json_set_str(e, "name", c->name);
    bk_json_set_str(e, "status",
                    res->undone ? "undone"
                    : res->gone ? "gone"
                    : less      ? "partial"
                                : "ok");
    bk_json_set_u64(e, "entries", res->entries);
    bk_json_set_u64(e, "bytes", res->bytes);
    bk_json_set_u64(e, "kept", res->kept);
    bk_json_set_u64(e, "failed", res->failed);
    bk_event_send(reporter, e);
}

int bk_restore_count(const struct bk_restore_env *env, const struct bk_mcomp *c,
                     uint64_t *ret_entries, uint64_t *ret_bytes, struct bk_err *err)
{
    struct bk_session *s = env->session;
    struct bk_compr *r;
    int rc;

    *ret_entries = *ret_bytes = 0;
    if (c->kind != BAKE_TREE || c->status == BK_STATUS_FAILED)
        return BAKE_OK;
    rc = bk_compr_open(s->store, bk_restore_sink(env), env->manifest, c, BK_COMPR_LIST, env->cancel,
                       &r, err);
    if (rc < 0)
        return rc;
    for (;;) {
        struct bake_entry e;

        rc = bk_compr_next(r, &e, err);
        if (rc != BAKE_OK)
            break;
        if (!bk_path_wanted(&env->opts->paths, e.path))
            continue;
        ++*ret_entries;
        *ret_bytes += e.type == BAKE_FILE ? e.size : 0;
    }
    bk_compr_free(r);
    return rc < 0 ? rc : BAKE_OK;
}
