/* One component: source reader -> component writer. */
#include "run/backup.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/path.h"
#include "store/comp.h"
#include "store/filesum.h"

#include <string.h>

#define READ_BUFFER (256u << 10)

struct job {
    struct bk_session *session;
    struct bk_planned *item;
    const struct bake_source_ops *ops;
    struct bk_compw *out;
    struct bk_ctx ctx; /* the reader's */
    void *reader;
    char *buffer;
    struct bk_mcomp *ret;
    int idle; /* reads in a row that yielded nothing */
};

static void on_report(void *arg, int severity, const char *subject, const char *text)
{
    struct job *job = arg;

    if (severity == BAKE_WARNING)
        job->ret->warnings++;
    if (severity == BAKE_PARTIAL)
        job->ret->missing++;
    bk_event_note(job->session->reporter, severity, job->item->name, subject, text);
}

static void count_entry(struct job *job)
{
    job->ret->entries++;
    atomic_fetch_add(&job->session->reporter->progress.entries, 1);
}

static void count_bytes(struct job *job, uint64_t n)
{
    job->ret->bytes_in += n;
    atomic_fetch_add(&job->session->reporter->progress.bytes, n);
}

static int put(struct job *job, const void *data, size_t n, struct bk_err *err)
{
    count_bytes(job, n);
    return bk_compw_data(job->out, data, n, err);
}

/* What a file did not yield: the tar's header has promised it. */
static int pad(struct job *job, uint64_t n, struct bk_err *err)
{
    memset(job->buffer, 0, READ_BUFFER);
    while (n > 0) {
        size_t step = n < READ_BUFFER ? (size_t)n : READ_BUFFER;
        int rc = bk_compw_data(job->out, job->buffer, step, err);

        if (rc < 0)
            return rc;
        n -= step;
    }
    return BAKE_OK;
}

/* A plugin that yields nothing, twice, without saying END would be asked for ever. */
static int check_progress(struct job *job, size_t got, int rc, struct bk_err *err)
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
static int check_end(struct job *job, struct bk_err *err)
{
    struct bake_out end = {job->buffer, READ_BUFFER, 0};
    int rc = job->ops->read(job->reader, &end);

    if (rc < 0)
        return bk_ctx_fail(&job->ctx, rc, err);
    if (rc != BAKE_END || end.pos > 0)
        return bk_fail(err, BAKE_E_INTERNAL, "%s yields more bytes than it said", job->ctx.label);
    return BAKE_OK;
}

static int copy_file(struct job *job, const struct bake_entry *e, struct bk_err *err)
{
    uint64_t left = bk_entry_data_size(e);

    while (left > 0) {
        struct bake_out out = {job->buffer, left < READ_BUFFER ? (size_t)left : READ_BUFFER, 0};
        int rc = job->ops->read(job->reader, &out);

        if (rc < 0 && ends_all(rc))
            return bk_ctx_fail(&job->ctx, rc, err);
        if (rc < 0 || (rc == BAKE_END && out.pos < left)) {
            struct bk_err why = {0};

            bk_ctx_fail(&job->ctx, rc < 0 ? rc : BAKE_E_IO, &why);
            on_report(job, BAKE_PARTIAL, e->path,
                      rc < 0 ? why.text : "ended early while it was read; filled up with zeros");
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
static int take_unchanged(struct job *job, const struct bake_entry *e, struct bk_err *err)
{
    uint64_t bytes;
    int rc = e->type == BAKE_FILE ? bk_compw_unchanged(job->out, e, &bytes, err) : BAKE_END;

    if (rc != BAKE_OK)
        return rc;
    job->ret->unchanged++;
    count_entry(job);
    count_bytes(job, bytes);
    return BAKE_OK;
}

static int copy_entry(struct job *job, struct bake_entry *e, struct bk_err *err)
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

static int copy_tree(struct job *job, struct bk_err *err)
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

static int copy_blob(struct job *job, struct bk_err *err)
{
    for (;;) {
        struct bake_out out = {job->buffer, READ_BUFFER, 0};
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

static int take_result(struct job *job, struct bk_err *err)
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
    struct job *job = arg;

    job->ops->interrupt(job->item->source->self);
}

static int read_all(struct job *job, struct bk_err *err)
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

/* The component as the parent has it; only what a source calls equal by its fingerprint is not even
 * read. OK: taken over; END: not. */
static int take_whole(struct job *job, const struct bk_mcomp *before, struct bk_err *err)
{
    const char *now = job->item->component.fingerprint, *facts = job->item->component.facts;
    struct bk_mcomp *ret = job->ret;
    uint64_t bytes, entries;
    int rc;

    if (!now || !before->fingerprint || !bk_streq(now, before->fingerprint))
        return BAKE_END;
    rc = bk_compw_reuse(job->out, &bytes, &entries, err);
    if (rc != BAKE_OK)
        return rc;
    ret->unchanged = ret->entries = entries;
    atomic_fetch_add(&job->session->reporter->progress.entries, entries);
    count_bytes(job, bytes);
    if (!(ret->fingerprint = bk_strdup(now)))
        return bk_nomem(err);
    if (facts)
        return bk_json_parse(facts, strlen(facts), job->ctx.label, &ret->facts, err);
    ret->facts = json_incref(before->facts);
    return BAKE_OK;
}

static int take_or_read(struct job *job, const struct bk_manifest *parent, struct bk_err *err)
{
    const struct bk_mcomp *before = parent ? bk_manifest_find(parent, job->item->name) : NULL;
    int rc = BAKE_END;

    if (before && bk_streq(before->plugin, job->ret->plugin)) {
        rc = bk_compw_build_on(job->out, parent, before, err);
        if (rc >= 0)
            rc = take_whole(job, before, err);
    }
    return rc == BAKE_END ? read_all(job, err) : rc;
}

static int store_it(struct job *job, const char *id, const struct bk_manifest *parent,
                    struct bk_err *err)
{
    struct bk_planned *item = job->item;
    int rc = bk_compw_open(job->session->store, id, job->session->cancel, item->name,
                           item->component.kind, &job->out, err);

    if (rc < 0)
        return rc;
    bk_ctx_init(&job->ctx, bk_compw_cancel(job->out), "source '%s'", item->source->part->name);
    job->ctx.report = on_report;
    job->ctx.report_arg = job;
    rc = take_or_read(job, parent, err);
    if (rc >= 0)
        rc = bk_compw_finish(job->out, job->ret, err);
    else
        bk_compw_abort(job->out, err, err);
    bk_compw_free(job->out);
    return rc < 0 && err->rc < 0 ? err->rc : rc;
}

static int describe(const struct bk_planned *item, struct bk_mcomp *ret, struct bk_err *err)
{
    ret->name = bk_strdup(item->name);
    ret->group = bk_strdup(item->component.group);
    ret->source = bk_strdup(item->source->part->name);
    ret->plugin = bk_strdup(item->source->part->plugin->desc.name);
    ret->kind = item->component.kind;
    if (!ret->name || !ret->source || !ret->plugin || (item->component.group && !ret->group))
        return bk_nomem(err);
    return BAKE_OK;
}

int bk_backup_component(struct bk_session *s, const char *id, const struct bk_manifest *parent,
                        struct bk_planned *item, struct bk_mcomp *ret, struct bk_err *err)
{
    struct job job = {.session = s, .item = item, .ops = item->source->ops, .ret = ret};
    uint64_t start = bk_monotonic_ms();
    struct bk_err why = {0};
    int rc = describe(item, ret, err);

    if (rc < 0)
        return rc;
    job.buffer = malloc(READ_BUFFER);
    rc = job.buffer ? store_it(&job, id, parent, &why) : bk_nomem(&why);
    free(job.buffer);
    ret->duration_ms = bk_monotonic_ms() - start;
    ret->status = ret->missing > 0 ? BK_STATUS_PARTIAL : BK_STATUS_OK;
    if (rc >= 0)
        return BAKE_OK;
    ret->status = BK_STATUS_FAILED;
    ret->error = bk_mask(why.text);
    if (rc != BAKE_E_CANCELLED && rc != BAKE_E_NOMEM)
        return BAKE_OK;
    if (err)
        *err = why;
    return rc;
}
