/* Source reader -> component writer. */
#include "run/backup_private.h"

#include "base/path.h"
#include "store/filesum.h"

#include <string.h>

void bk_read_report(void *arg, int severity, const char *subject, const char *text)
{
    struct bk_read_job *job = arg;

    if (severity == BAKE_WARNING)
        job->ret->warnings++;
    if (severity == BAKE_PARTIAL)
        job->ret->missing++;
    bk_event_note(job->session->reporter, severity, job->item->name, subject, text);
}

static void count_entry(struct bk_read_job *job)
{
    job->ret->entries++;
    atomic_fetch_add(&job->session->reporter->progress.entries, 1);
}

void bk_read_count(struct bk_read_job *job, uint64_t bytes)
{
    job->ret->bytes_in += bytes;
    atomic_fetch_add(&job->session->reporter->progress.bytes, bytes);
}

static int put(struct bk_read_job *job, const void *data, size_t n, struct bk_err *err)
{
    bk_read_count(job, n);
    return bk_compw_data(job->out, data, n, err);
}

/* What a file did not yield: the tar's header has promised it. */
static int pad(struct bk_read_job *job, uint64_t n, struct bk_err *err)
{
    memset(job->buffer, 0, BK_READ_BUFFER);
    while (n > 0) {
        size_t step = n < BK_READ_BUFFER ? (size_t)n : BK_READ_BUFFER;
        int rc = bk_compw_data(job->out, job->buffer, step, err);

        if (rc < 0)
            return rc;
        n -= step;
    }
    return BAKE_OK;
}

/* A plugin that yields nothing, twice, without saying END would be asked for ever. */
static int check_progress(struct bk_read_job *job, size_t got, int rc, struct bk_err *err)
{
    job->idle = got == 0 && rc == BAKE_OK ? job->idle + 1 : 0;
    if (job->idle < 2)
        return BAKE_OK;
    return bk_fail(err, BAKE_E_INTERNAL, "%s makes no progress: a bug in the plugin",
                   job->ctx.label);
}

/* Failures that are not of one file. */
static bool ends_all(int rc)
{
    return rc == BAKE_E_CANCELLED || rc == BAKE_E_NOMEM || rc == BAKE_E_INTERNAL;
}

/* Lets the source look at the file once more: did it change meanwhile? */
static int check_end(struct bk_read_job *job, struct bk_err *err)
{
    struct bake_out end = {job->buffer, BK_READ_BUFFER, 0};
    int rc = job->ops->read(job->reader, &end);

    if (rc < 0)
        return bk_ctx_fail(&job->ctx, rc, err);
    if (rc != BAKE_END || end.pos > 0)
        return bk_fail(err, BAKE_E_INTERNAL, "%s yields more bytes than it said", job->ctx.label);
    return BAKE_OK;
}

static int copy_file(struct bk_read_job *job, const struct bake_entry *e, struct bk_err *err)
{
    uint64_t left = bk_entry_data_size(e);

    while (left > 0) {
        struct bake_out out = {job->buffer, left < BK_READ_BUFFER ? (size_t)left : BK_READ_BUFFER,
                               0};
        int rc = job->ops->read(job->reader, &out);

        if (rc < 0 && ends_all(rc))
            return bk_ctx_fail(&job->ctx, rc, err);
        if (rc < 0 || (rc == BAKE_END && out.pos < left)) {
            struct bk_err why = {0};

            bk_ctx_fail(&job->ctx, rc < 0 ? rc : BAKE_E_IO, &why);
            bk_read_report(job, BAKE_PARTIAL, e->path,
                           rc < 0 ? why.text
                                  : "ended early while it was read; filled up with zeros");
            rc = put(job, out.data, out.pos, err);
            return rc < 0 ? rc : pad(job, left - out.pos, err);
        }
        rc = check_progress(job, out.pos, rc, err);
        if (rc >= 0)
            rc = put(job, out.data, out.pos, err);
        if (rc < 0)
            return rc;
        left -= out.pos;
    }
    return check_end(job, err);
}

/* OK: the parent has it, so it need not be read. END: it must be. */
static int take_unchanged(struct bk_read_job *job, const struct bake_entry *e, struct bk_err *err)
{
    uint64_t bytes;
    bool look = e->type == BAKE_FILE && !job->ret->unordered;
    int rc = look ? bk_compw_unchanged(job->out, e, &bytes, err) : BAKE_END;

    if (rc != BAKE_OK)
        return rc;
    job->ret->unchanged++;
    count_entry(job);
    bk_read_count(job, bytes);
    return BAKE_OK;
}

static int copy_entry(struct bk_read_job *job, struct bake_entry *e, struct bk_err *err)
{
    uint64_t noted = job->ret->warnings + job->ret->missing;
    int rc;

    if (!bk_streq(e->path, ".") && !bk_path_inside(e->path))
        return bk_fail(err, BAKE_E_INTERNAL, "%s yields a path that is not within the component",
                       job->ctx.label);
    rc = take_unchanged(job, e, err);
    if (rc != BAKE_END)
        return rc;
    if (e->type == BAKE_FILE && job->ops->open_entry) {
        rc = job->ops->open_entry(job->reader, e);
        if (rc != BAKE_OK)
            return rc < 0 ? bk_ctx_fail(&job->ctx, rc, err) : BAKE_OK;
    }
    rc = bk_compw_entry(job->out, e, err);
    if (rc >= 0 && e->type == BAKE_FILE)
        rc = copy_file(job, e, err);
    if (rc >= 0)
        rc = bk_compw_entry_end(job->out, job->ret->warnings + job->ret->missing == noted, err);
    count_entry(job);
    return rc;
}

static int copy_tree(struct bk_read_job *job, struct bk_err *err)
{
    for (;;) {
        struct bake_entry e = {0};
        int rc;

        e.struct_size = sizeof(e);
        rc = job->ops->next(job->reader, &e);
        if (rc == BAKE_END)
            return BAKE_OK;
        rc = rc < 0 ? bk_ctx_fail(&job->ctx, rc, err) : copy_entry(job, &e, err);
        if (rc < 0)
            return rc;
    }
}

static int copy_blob(struct bk_read_job *job, struct bk_err *err)
{
    for (;;) {
        struct bake_out out = {job->buffer, BK_READ_BUFFER, 0};
        int rc = job->ops->read(job->reader, &out), put_rc;

        if (rc < 0)
            return bk_ctx_fail(&job->ctx, rc, err);
        put_rc = check_progress(job, out.pos, rc, err);
        if (put_rc >= 0)
            put_rc = put(job, out.data, out.pos, err);
        if (put_rc < 0 || rc == BAKE_END)
            return put_rc < 0 ? put_rc : BAKE_OK;
    }
}

static int take_result(struct bk_read_job *job, struct bk_err *err)
{
    struct bake_result result = {0};
    const char *facts = job->item->component.facts;
    int rc;

    result.struct_size = sizeof(result);
    rc = job->ops->finish(job->reader, &result);
    if (rc < 0)
        return bk_ctx_fail(&job->ctx, rc, err);
    if (result.facts)
        facts = result.facts;
    if (facts &&
        (rc = bk_json_parse(facts, strlen(facts), job->ctx.label, &job->ret->facts, err)) < 0)
        return rc;
    /* What was planned was so before it was read: if it changed since, the next plan differs. */
    if (!result.fingerprint)
        result.fingerprint = job->item->component.fingerprint;
    if (result.fingerprint && !(job->ret->fingerprint = bk_strdup(result.fingerprint)))
        return bk_nomem(err);
    return BAKE_OK;
}

static void interrupt(void *arg)
{
    struct bk_read_job *job = arg;

    job->ops->interrupt(job->item->source->self);
}

int bk_read_component(struct bk_read_job *job, struct bk_err *err)
{
    struct bk_cancel_sub sub = {.wake = interrupt, .arg = job};
    int rc = job->ops->reader_open(job->item->source->self, &job->ctx.base, &job->item->component,
                                   &job->reader);

    if (rc < 0) {
        job->reader = NULL;
        return bk_ctx_fail(&job->ctx, rc, err);
    }
    /* A stage that fails must not wait for a source that blocks. */
    if (job->ops->interrupt)
        bk_cancel_subscribe(job->ctx.cancel, &sub);
    rc = job->item->component.kind == BAKE_TREE ? copy_tree(job, err) : copy_blob(job, err);
    if (rc >= 0)
        rc = take_result(job, err);
    if (job->ops->interrupt)
        bk_cancel_unsubscribe(job->ctx.cancel, &sub);
    job->ops->reader_close(job->reader);
    return rc;
}
