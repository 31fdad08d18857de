/* Copying entries and bytes from a component's reader to its target. */
#include "run/restore_component.h"

#include "base/cleanup.h"
#include "run/target.h"
#include "store/comp.h"

#include <string.h>

#define READ_BUFFER (256u << 10)
#define LOST_SHOWN  100

struct job {
    struct bk_session *session;
    const struct bk_restore_opts *opts;
    const struct bk_mcomp *comp;
    struct bk_compr *in;
    struct bk_target *out;
    char *buffer;
    struct bk_restored *ret;
};

static bool ends_all(int rc)
{
    return rc == BAKE_E_CANCELLED || rc == BAKE_E_NOMEM || rc == BAKE_E_NOSPACE ||
           rc == BAKE_E_INTERNAL;
}

static void on_report(void *arg, int severity, const char *subject, const char *text)
{
    struct job *job = arg;

    bk_event_note(job->session->reporter, severity, job->comp->name, subject, text);
}

static void failed(struct job *job, const struct bk_err *why)
{
    job->ret->failed++;
    bk_event_error(job->session->reporter, job->comp->name, why);
}

static void kept(struct job *job, const struct bake_entry *e)
{
    /* A restore over a living system can keep everything: a screenful is named. */
    if (job->ret->kept++ < LOST_SHOWN)
        bk_event_note(job->session->reporter, BAKE_NOTICE, job->comp->name, e->path,
                      "exists, differs from the backup and is kept");
}

static void lost_file(void *arg, const char *path)
{
    struct job *job = arg;
    struct bk_err why = {0};
    char shown[300];

    if (!bk_path_wanted(&job->opts->paths, path) || job->ret->failed++ >= LOST_SHOWN)
        return;
    bk_fail(&why, BAKE_E_CORRUPT, "'%s' is lost in the damaged part of the component",
            bk_printable(shown, sizeof(shown), path, strlen(path)));
    bk_event_error(job->session->reporter, job->comp->name, &why);
}

/* One file's or blob's bytes. A failure of the target's is *ret_target. */
static int copy_data(struct job *job, bool *ret_target, struct bk_err *err)
{
    *ret_target = false;
    for (;;) {
        struct bake_out out = {job->buffer, READ_BUFFER, 0};
        int rc = bk_compr_read(job->in, &out, err);

        if (rc < 0)
            return rc;
        if (out.pos > 0 && bk_target_write(job->out, out.data, out.pos, err) < 0) {
            *ret_target = true;
            return err->rc;
        }
        job->ret->bytes += out.pos;
        atomic_fetch_add(&job->session->reporter->progress.bytes, out.pos);
        if (rc == BAKE_END)
            return BAKE_OK;
    }
}

/* After put_entry. OK also when only this entry failed (it was reported). */
static int fill_entry(struct job *job, const struct bake_entry *e, struct bk_err *err)
{
    struct bk_err end = {0};
    bool target = false;
    int rc = e->type == BAKE_FILE ? copy_data(job, &target, err) : BAKE_OK, end_rc;
    bool alone = rc < 0 && !ends_all(rc) && (target || bk_compr_bad_entry(job->in));

    end_rc = bk_target_entry_end(job->out, rc >= 0, &end);
    if (rc >= 0 && end_rc < 0) {
        *err = end;
        rc = end_rc;
        alone = !ends_all(rc);
    }
    if (rc >= 0) {
        job->ret->entries++;
        atomic_fetch_add(&job->session->reporter->progress.entries, 1);
        return BAKE_OK;
    }
    if (!alone) {
        if (!ends_all(rc)) /* the component is damaged from here on: this file is lost first */
            lost_file(job, e->path);
        return rc;
    }
    failed(job, err);
    bk_err_clear(err);
    return BAKE_OK;
}

static int restore_entry(struct job *job, const struct bake_entry *e, struct bk_err *err)
{
    int rc;

    if (!bk_path_wanted(&job->opts->paths, e->path))
        return BAKE_OK;
    rc = bk_target_put(job->out, e, err);
    if (rc == BAKE_OK)
        return fill_entry(job, e, err);
    if (rc < 0 && ends_all(rc))
        return rc;
    if (rc == BAKE_END)
        job->ret->entries++;
    else if (rc == BAKE_E_EXISTS)
        kept(job, e);
    else
        failed(job, err);
    bk_err_clear(err);
    return BAKE_OK;
}

static int restore_tree(struct job *job, struct bk_err *err)
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

static int restore_blob(struct job *job, struct bk_err *err)
{
    bool target;
    int rc = copy_data(job, &target, err);

    if (rc >= 0)
        job->ret->entries++;
    return rc;
}

static int copy_all(struct job *job, struct bk_err *err)
{
    int rc = job->comp->kind == BAKE_TREE ? restore_tree(job, err) : restore_blob(job, err);

    if (rc >= 0)
        rc = bk_compr_finish(job->in, err);
    /* Files that were checked by their own digests stay, though the rest be damaged; a blob is
     * whole or nothing. */
    if (rc < 0 && (job->comp->kind == BAKE_BLOB || ends_all(rc)))
        return rc;
    if (rc < 0) {
        struct bk_err ignored = {0};

        (void)bk_target_commit(job->out, &ignored);
        return rc;
    }
    return bk_target_commit(job->out, err);
}

static int open_and_copy(struct job *job, const struct bk_manifest *m, struct bk_err *err)
{
    struct bk_target_opts t = {job->opts->target, job->opts->force, job->session->cancel, on_report,
                               job};
    int rc;

    rc = bk_compr_open(job->session->store, bk_store_base(job->session->store), m, job->comp, 0,
                       job->session->cancel, &job->in, err);
    if (rc < 0)
        return rc;
    rc = bk_target_open(job->session, job->comp, &t, &job->out, err);
    if (rc >= 0) {
        rc = copy_all(job, err);
        bk_target_close(job->out);
    }
    if (rc < 0 && !ends_all(rc))
        bk_compr_lost(job->in, lost_file, job);
    bk_compr_free(job->in);
    return rc;
}

int bk_restore_component(struct bk_session *s, const struct bk_restore_opts *opts,
                         const struct bk_manifest *m, const struct bk_mcomp *c,
                         struct bk_restored *ret, struct bk_err *err)
{
    struct job job = {.session = s, .opts = opts, .comp = c, .ret = ret};
    struct bk_err why = {0};
    int rc;

    if (c->status == BK_STATUS_FAILED)
        rc = bk_fail(&why, BAKE_E_NOTFOUND, "component '%s' had failed in this backup: %s", c->name,
                     c->error ? c->error : "unknown why");
    else if (!(job.buffer = malloc(READ_BUFFER)))
        rc = bk_nomem(&why);
    else
        rc = open_and_copy(&job, m, &why);
    free(job.buffer);
    if (rc >= 0)
        return BAKE_OK;
    if (ends_all(rc)) {
        *err = why;
        return rc;
    }
    ret->fatal = true;
    bk_event_error(s->reporter, c->name, &why);
    if (ret->failed > LOST_SHOWN)
        bk_event_note(s->reporter, BAKE_PARTIAL, c->name, NULL,
                      "more files are lost than are named here; the summary counts them");
    return BAKE_OK;
}

int bk_restore_count(struct bk_session *s, const struct bk_restore_opts *opts,
                     const struct bk_manifest *m, const struct bk_mcomp *c, uint64_t *ret_entries,
                     uint64_t *ret_bytes, struct bk_err *err)
{
    struct bk_compr *r;
    int rc;

    *ret_entries = *ret_bytes = 0;
    if (c->kind != BAKE_TREE || c->status == BK_STATUS_FAILED)
        return BAKE_OK;
    rc = bk_compr_open(s->store, bk_store_base(s->store), m, c, BK_COMPR_LIST, s->cancel, &r, err);
    if (rc < 0)
        return rc;
    for (;;) {
        struct bake_entry e;

        rc = bk_compr_next(r, &e, err);
        if (rc != BAKE_OK)
            break;
        if (!bk_path_wanted(&opts->paths, e.path))
            continue;
        ++*ret_entries;
        *ret_bytes += e.type == BAKE_FILE ? e.size : 0;
    }
    bk_compr_free(r);
    return rc < 0 ? rc : BAKE_OK;
}
