/* Asking the sources what there is. */
#include "run/plan.h"

#include "base/cleanup.h"
#include "base/path.h"
#include "match/gitignore.h"
#include "run/names.h"
#include "run/wal.h"
#include "store/comp.h"

#include <string.h>

/* What a source says while it is opened and listed belongs to the source as a whole. */
static void on_report(void *arg, int severity, const char *subject, const char *text)
{
    struct bk_source *src = arg;

    if (severity == BAKE_PARTIAL)
        atomic_fetch_add(&src->lacking, 1);
    bk_event_note(src->session->reporter, severity, NULL, subject, text);
}

static void on_tidy_report(void *arg, int severity, const char *subject, const char *text)
{
    struct bk_session *s = arg;

    bk_event_note(s->reporter, severity, NULL, subject, text);
}

static void item_release(struct bk_planned *item)
{
    free(item->name);
    free(item->group);
    free(item->object);
    free((char *)item->component.name);
    free((char *)item->component.group);
    free((char *)item->component.fingerprint);
    free((char *)item->component.facts);
}

static void interrupt(void *arg)
{
    struct bk_source *src = arg;

    src->ops->interrupt(src->self);
}

static void close_source(struct bk_source *src)
{
    if (!src->self)
        return;
    if (src->ops->interrupt)
        bk_cancel_unsubscribe(src->ctx.cancel, &src->sub);
    src->ops->close(src->self);
    src->self = NULL;
}

void bk_plan_release(struct bk_plan *p)
{
    for (size_t i = 0; i < p->n_items; i++)
        item_release(&p->items[i]);
    free(p->items);
    for (size_t i = 0; i < p->n_sources; i++)
        close_source(&p->sources[i]);
    free(p->sources);
    bk_strv_free(&p->excluded);
    memset(p, 0, sizeof(*p));
}

static int copy_component(const struct bake_component *c, struct bk_source *src,
                          struct bk_planned *ret, struct bk_err *err)
{
    memset(ret, 0, sizeof(*ret));
    ret->source = src;
    ret->component = *c;
    ret->component.name = bk_strdup(c->name);
    ret->component.group = bk_strdup(c->group);
    ret->component.fingerprint = bk_strdup(c->fingerprint);
    ret->component.facts = bk_strdup(c->facts);
    ret->name = c->name ? bk_name_from_source(src->part, c->name) : NULL;
    ret->group = c->group ? bk_group_from_source(src->part, c->group) : NULL;
    if ((c->name && (!ret->name || !ret->component.name)) ||
        (c->group && (!ret->group || !ret->component.group)) ||
        (c->fingerprint && !ret->component.fingerprint) || (c->facts && !ret->component.facts))
        return bk_nomem(err);
    if (!c->name || !bk_name_ok(ret->name) || (c->kind != BAKE_TREE && c->kind != BAKE_BLOB))
        return bk_fail(err, BAKE_E_INTERNAL,
                       "source '%s' yields a component that cannot be: '%s' of kind %u",
                       src->part->name, c->name ? c->name : "(none)", c->kind);
    return BAKE_OK;
}

static bool wanted(const struct bk_strv *only, const char *name)
{
    for (size_t i = 0; i < only->n; i++)
        if (bkc_glob_beneath(only->items[i], name))
            return true;
    return only->n == 0;
}

static int add_item(struct bk_session *s, const struct bk_strv *only,
                    const struct bake_component *c, struct bk_source *src, struct bk_plan *p,
                    struct bk_err *err)
{
    struct bk_planned *more = realloc(p->items, (p->n_items + 1) * sizeof(*more));
    struct bk_planned *item;
    int rc;

    if (!more)
        return bk_nomem(err);
    p->items = more;
    item = &more[p->n_items];
    rc = copy_component(c, src, item, err);
    if (rc >= 0 && !wanted(only, item->name)) {
        rc = bk_strv_add(&p->excluded, item->name) < 0 ? bk_nomem(err) : BAKE_OK;
        item_release(item);
        return rc;
    }
    p->n_items++;
    if (rc < 0)
        return rc;
    item->object = bk_comp_object_name(s->store, item->name, c->kind);
    return item->object ? BAKE_OK : bk_nomem(err);
}

static int list_source(struct bk_session *s, const struct bk_strv *only, struct bk_source *src,
                       struct bk_plan *p, struct bk_err *err)
{
    size_t before = p->n_items + p->excluded.n;

    for (;;) {
        struct bake_component c = {0};
        int rc;

        c.struct_size = sizeof(c);
        rc = src->ops->plan(src->self, &c);
        if (rc == BAKE_END)
            break;
        rc = rc < 0 ? bk_ctx_fail(&src->ctx, rc, err) : add_item(s, only, &c, src, p, err);
        if (rc < 0)
            return rc;
    }
    if (p->n_items + p->excluded.n == before)
        bk_event_note(s->reporter, src->part->optional ? BAKE_NOTICE : BAKE_WARNING, NULL,
                      src->part->name, "this source found nothing to back up");
    return BAKE_OK;
}

/* What cannot be tidied up stays for the next time: no failure. */
static int tidy(struct bk_session *s, struct bk_duty *duty, struct bk_source *src,
                struct bk_err *err)
{
    struct bk_err why = {0};
    struct bk_ctx ctx;
    int rc;

    bk_ctx_init(&ctx, s->cancel, "source '%s'", src->part->name);
    ctx.report = on_tidy_report;
    ctx.report_arg = s;
    bk_duty_attach(duty, &ctx, src->part);
    bk_wal_attach(s, &ctx);
    rc = src->ops->tidy(src->self, &ctx.base);
    if (rc < 0)
        rc = bk_ctx_fail(&ctx, rc, &why);
    if (rc == BAKE_E_CANCELLED || rc == BAKE_E_NOMEM) {
        *err = why;
        return rc;
    }
    if (rc < 0) {
        (void)bk_prefix(&why, "what an earlier run left could not be tidied up");
        bk_event_note(s->reporter, BAKE_WARNING, NULL, NULL, why.text);
    }
    return BAKE_OK;
}

static int open_source(struct bk_session *s, const struct bk_plan_opts *opts,
                       const struct bk_part *part, struct bk_source *src, struct bk_plan *p,
                       struct bk_err *err)
{
    int rc;

    src->session = s;
    src->part = part;
    src->ops = &part->plugin->source;
    bk_ctx_init(&src->ctx, s->cancel, "source '%s'", part->name);
    src->ctx.report = on_report;
    src->ctx.report_arg = src;
    bk_duty_attach(opts->duty, &src->ctx, part);
    bk_wal_attach(s, &src->ctx);
    rc = src->ops->open(&src->ctx.base, part->cfg, &src->self);
    if (rc < 0) {
        src->self = NULL;
        return bk_ctx_fail(&src->ctx, rc, err);
    }
    src->sub.wake = interrupt;
    src->sub.arg = src;
    if (src->ops->interrupt)
        bk_cancel_subscribe(s->cancel, &src->sub);
    if (opts->act && src->ops->tidy && (rc = tidy(s, opts->duty, src, err)) < 0)
        return rc;
    return list_source(s, opts->only, src, p, err);
}

/* The failure of one source is not the run's; what concerns the engine itself is. */
static int source_failed(struct bk_session *s, struct bk_source *src, struct bk_plan *p, int rc,
                         struct bk_err *why, struct bk_err *err)
{
    if (rc == BAKE_E_CANCELLED || rc == BAKE_E_NOMEM || rc == BAKE_E_INTERNAL) {
        if (err)
            *err = *why;
        return rc;
    }
    src->failed = *why;
    if (src->part->optional) {
        bk_event_note(s->reporter, BAKE_NOTICE, NULL, src->part->name, why->text);
        return BAKE_OK;
    }
    p->n_failed++;
    bk_event_error(s->reporter, NULL, why);
    return BAKE_OK;
}

static int by_object(const void *a, const void *b)
{
    const struct bk_planned *const *x = a, *const *y = b;

    return strcmp((*x)->object, (*y)->object);
}

static bool reserved(const char *object)
{
    return bk_streq(object, BK_MANIFEST_NAME) || bk_streq(object, BK_SUMS_NAME) ||
           bk_starts(object, BK_RECORDS);
}

static int check_names(const struct bk_plan *p, struct bk_err *err)
{
    struct bk_planned **sorted BK_FREE = calloc(p->n_items + 1, sizeof(struct bk_planned *));

    if (!sorted)
        return bk_nomem(err);
    for (size_t i = 0; i < p->n_items; i++)
        sorted[i] = &p->items[i];
    qsort(sorted, p->n_items, sizeof(struct bk_planned *), by_object);
    for (size_t i = 0; i < p->n_items; i++) {
        if (reserved(sorted[i]->object))
            return bk_fail(err, BAKE_E_CONFIG, "a component cannot be called '%s'",
                           sorted[i]->name);
        if (i > 0 && bk_streq(sorted[i - 1]->object, sorted[i]->object))
            return bk_fail(err, BAKE_E_CONFIG,
                           "sources '%s' and '%s' both yield a component '%s'\n"
                           "HINT: give one of the sources another name",
                           sorted[i - 1]->source->part->name, sorted[i]->source->part->name,
                           sorted[i]->name);
    }
    return BAKE_OK;
}

int bk_plan_make(struct bk_session *s, const struct bk_plan_opts *opts, struct bk_plan *ret,
                 struct bk_err *err)
{
    const struct bk_pipeline *p = s->pipeline;
    int rc = BAKE_OK;

    memset(ret, 0, sizeof(*ret));
    ret->sources = calloc(p->n_sources + 1, sizeof(*ret->sources));
    if (!ret->sources)
        return bk_nomem(err);
    for (size_t i = 0; i < p->n_sources && rc >= 0; i++) {
        struct bk_source *src = &ret->sources[ret->n_sources++];
        struct bk_err why = {0};

        rc = open_source(s, opts, &p->sources[i], src, ret, &why);
        if (rc < 0)
            rc = source_failed(s, src, ret, rc, &why, err);
        ret->n_lacking += atomic_load(&src->lacking);
    }
    if (rc >= 0)
        rc = check_names(ret, err);
    if (rc >= 0 && ret->n_items == 0 && opts->only->n > 0 && ret->excluded.n > 0)
        rc = bk_fail(err, BK_E_USAGE, "no component matches --only '%s'", opts->only->items[0]);
    if (rc < 0)
        bk_plan_release(ret);
    return rc;
}
