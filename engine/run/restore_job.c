/* What restoring an entry means, whoever does it: its bytes, what came of it, what is counted. */
#include "run/restore_job.h"

bool bk_ends_restore(int rc)
{
    return rc == BAKE_E_CANCELLED || rc == BAKE_E_NOMEM || rc == BAKE_E_NOSPACE ||
           rc == BAKE_E_INTERNAL;
}

uint64_t bk_job_add(struct bk_job *job, uint64_t *member, uint64_t n)
{
    uint64_t was;

    pthread_mutex_lock(&job->lock);
    was = *member;
    *member += n;
    pthread_mutex_unlock(&job->lock);
    return was;
}

static void failed(struct bk_job *job, const struct bk_err *why)
{
    bk_job_add(job, &job->ret->failed, 1);
    bk_restore_error(job->env, job->comp->name, why);
}

static void kept(struct bk_job *job, const char *path)
{
    /* A restore over a living system can keep everything: a screenful is named. */
    if (bk_job_add(job, &job->ret->kept, 1) < BK_LOST_SHOWN)
        bk_event_note(job->session->reporter, BAKE_NOTICE, job->comp->name, path,
                      "exists, differs from the backup and is kept");
}

static void restored(struct bk_job *job)
{
    bk_job_add(job, &job->ret->entries, 1);
    atomic_fetch_add(&job->session->reporter->progress.entries, 1);
}

/* ---- bytes ----------------------------------------------------------------------------------- */

static int pour_out(struct bk_job *job, struct bk_pour *p, const struct bake_out *out,
                    struct bk_err *err)
{
    int rc;

    if (out->pos == 0)
        return BAKE_OK;
    rc = p->piece ? bk_target_file_write(p->piece->file, p->ctx, out->data, out->pos, err)
                  : bk_target_write(job->out, out->data, out->pos, err);
    p->target_failed = rc < 0;
    return rc;
}

int bk_job_pour(struct bk_job *job, struct bk_pour *p, struct bk_err *err)
{
    uint64_t done = 0;
    int rc, put = BAKE_OK;

    do {
        struct bake_out out = {p->buffer, BK_JOB_BUFFER, 0};

        rc = p->piece ? bk_content_read(p->piece->content, &out, err)
                      : bk_compr_read(job->in, &out, err);
        if (rc >= 0)
            put = pour_out(job, p, &out, err);
        if (rc < 0 || put < 0)
            break;
        done += out.pos;
        atomic_fetch_add(&job->session->reporter->progress.bytes, out.pos);
    } while (rc != BAKE_END);
    bk_job_add(job, &job->ret->bytes, done);
    return put < 0 ? put : rc < 0 ? rc : BAKE_OK;
}

int bk_job_settle(struct bk_job *job, int rc, bool alone, struct bk_err *err)
{
    if (rc >= 0) {
        restored(job);
        return BAKE_OK;
    }
    if (!alone || bk_ends_restore(rc))
        return rc;
    failed(job, err);
    bk_err_clear(err);
    return BAKE_OK;
}

int bk_job_not_put(struct bk_job *job, int rc, const char *path, struct bk_err *err)
{
    if (rc < 0 && bk_ends_restore(rc))
        return rc;
    if (rc == BAKE_END)
        bk_job_add(job, &job->ret->entries, 1);
    else if (rc == BAKE_E_EXISTS)
        kept(job, path);
    else
        failed(job, err);
    bk_err_clear(err);
    return BAKE_OK;
}
