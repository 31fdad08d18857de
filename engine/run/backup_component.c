/* One component: taken over from the parent, or read, and stored. */
#include "run/backup_private.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "run/wal.h"

#include <string.h>

/* The component as the parent has it; only what a source calls equal by its fingerprint is not even
 * read. OK: taken over; END: not. */
static int take_whole(struct bk_read_job *job, const struct bk_mcomp *before, struct bk_err *err)
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
    bk_read_count(job, bytes);
    if (!(ret->fingerprint = bk_strdup(now)))
        return bk_nomem(err);
    if (facts)
        return bk_json_parse(facts, strlen(facts), job->ctx.label, &ret->facts, err);
    ret->facts = json_incref(before->facts);
    return BAKE_OK;
}

/* The same component in the parent; NULL: there is none to build upon. */
static const struct bk_mcomp *find_before(const struct bk_read_job *job)
{
    const struct bk_manifest *parent = job->what->parent;
    const struct bk_mcomp *before = parent ? bk_manifest_find(parent, job->item->name) : NULL;

    return before && bk_streq(before->plugin, job->ret->plugin) ? before : NULL;
}

static int take_parents(struct bk_read_job *job, struct bk_err *err)
{
    /* Entries are found in the parent's by their order. */
    bool all = job->ret->unordered && !job->item->component.fingerprint;
    const struct bk_mcomp *before = all ? NULL : find_before(job);
    int rc = before ? bk_compw_build_on(job->out, job->what->parent, before, err) : BAKE_END;

    return rc < 0 || !before ? rc : take_whole(job, before, err);
}

static void end_reading(void *arg)
{
    struct bk_read_job *job = arg;

    bk_cancel_fire(bk_compw_cancel(job->out));
}

static int take_or_read(struct bk_read_job *job, struct bk_err *err)
{
    struct bk_cancel_sub sub = {.wake = end_reading, .arg = job};
    int rc = take_parents(job, err);

    if (rc != BAKE_END)
        return rc;
    if (job->what->cancel)
        bk_cancel_subscribe(job->what->cancel, &sub);
    rc = bk_read_component(job, err);
    if (job->what->cancel)
        bk_cancel_unsubscribe(job->what->cancel, &sub);
    return rc;
}

static int open_out(struct bk_read_job *job, struct bk_err *err)
{
    struct bk_planned *item = job->item;
    int rc = bk_compw_open_in(job->session->store, item->group, job->what->id, job->session->cancel,
                              item->name, item->component.kind, &job->out, err);

    if (rc < 0)
        return rc;
    bk_ctx_init(&job->ctx, bk_compw_cancel(job->out), "source '%s'", item->source->part->name);
    job->ctx.report = bk_read_report;
    job->ctx.report_arg = job;
    bk_duty_attach(job->what->duty, &job->ctx, item->source->part);
    bk_wal_attach(job->session, &job->ctx);
    return BAKE_OK;
}

/* rc: of taking it over or reading it. */
static int close_out(struct bk_read_job *job, int rc, struct bk_err *err)
{
    if (rc >= 0)
        rc = bk_compw_finish(job->out, job->ret, err);
    else
        bk_compw_abort(job->out, err, err);
    bk_compw_free(job->out);
    return rc < 0 && err->rc < 0 ? err->rc : rc;
}

static int store_it(struct bk_read_job *job, bool *told, struct bk_err *err)
{
    int rc = open_out(job, err);

    if (rc < 0)
        return rc;
    rc = take_or_read(job, err);
    *told = true;
    if (job->what->read)
        job->what->read(job->what->arg);
    return close_out(job, rc, err);
}

static int describe(const struct bk_planned *item, struct bk_mcomp *ret, struct bk_err *err)
{
    ret->name = bk_strdup(item->name);
    ret->group = bk_strdup(item->group);
    ret->source = bk_strdup(item->source->part->name);
    ret->plugin = bk_strdup(item->source->part->plugin->desc.name);
    ret->kind = item->component.kind;
    ret->unordered = ret->kind == BAKE_TREE && item->component.flags & BAKE_UNORDERED;
    if (!ret->name || !ret->source || !ret->plugin || (item->group && !ret->group))
        return bk_nomem(err);
    return BAKE_OK;
}

static struct bk_read_job job_of(const struct bk_component_job *what, struct bk_mcomp *ret)
{
    return (struct bk_read_job){.what = what,
                                .session = what->session,
                                .item = what->item,
                                .ops = what->item->source->ops,
                                .ret = ret};
}

/* Cancelled for being held too long: that is this component's failure, not the end of the run. */
static int check_too_long(const struct bk_component_job *what, int rc, struct bk_err *why)
{
    if (rc != BAKE_E_CANCELLED || !what->cancel || !bk_cancelled(what->cancel) ||
        bk_cancelled(what->session->cancel))
        return rc;
    *why = *what->too_long;
    return why->rc;
}

static int settle(struct bk_mcomp *ret, int rc, const struct bk_err *why, struct bk_err *err)
{
    ret->status = ret->missing > 0 ? BK_STATUS_PARTIAL : BK_STATUS_OK;
    if (rc >= 0)
        return BAKE_OK;
    ret->status = BK_STATUS_FAILED;
    ret->error = bk_mask(why->text);
    ret->hint = why->hint[0] ? bk_mask(why->hint) : NULL;
    if (rc != BAKE_E_CANCELLED && rc != BAKE_E_NOMEM)
        return BAKE_OK;
    if (err)
        *err = *why;
    return rc;
}

int bk_backup_component(const struct bk_component_job *what, struct bk_mcomp *ret,
                        struct bk_err *err)
{
    struct bk_read_job job = job_of(what, ret);
    uint64_t start = bk_monotonic_ms();
    struct bk_err why = {0};
    bool told = false;
    int rc = describe(what->item, ret, &why);

    if (rc >= 0) {
        job.buffer = malloc(BK_READ_BUFFER);
        rc = job.buffer ? store_it(&job, &told, &why) : bk_nomem(&why);
        free(job.buffer);
    }
    if (!told && what->read)
        what->read(what->arg);
    rc = check_too_long(what, rc, &why);
    ret->duration_ms = bk_monotonic_ms() - start;
    return settle(ret, rc, &why, err);
}

int bk_reuse_component(const struct bk_component_job *what, struct bk_mcomp *ret,
                       struct bk_err *err)
{
    struct bk_read_job job = job_of(what, ret);
    uint64_t start = bk_monotonic_ms();
    struct bk_err why = {0};
    int rc;

    if (!what->parent || !what->item->component.fingerprint)
        return BAKE_END;
    rc = describe(what->item, ret, &why);
    if (rc >= 0 && (rc = open_out(&job, &why)) >= 0) {
        int taken = take_parents(&job, &why);

        if (taken == BAKE_END) /* nothing was written: there is nothing to finish */
            (void)bk_fail(&why, BAKE_E_INTERNAL, "it must be read");
        rc = close_out(&job, taken == BAKE_END ? BAKE_E_INTERNAL : taken, &why);
    }
    ret->duration_ms = bk_monotonic_ms() - start;
    if (rc >= 0)
        return settle(ret, rc, &why, err);
    bk_mcomp_release(ret);
    if (rc != BAKE_E_CANCELLED && rc != BAKE_E_NOMEM)
        return BAKE_END; /* whatever it was: reading it will tell */
    if (err)
        *err = why;
    return rc;
}

int bk_fail_component(const struct bk_planned *item, const struct bk_err *why, struct bk_mcomp *ret,
                      struct bk_err *err)
{
    int rc = describe(item, ret, err);

    return rc < 0 ? rc : settle(ret, BAKE_E_IO, why, err);
}
