/* Finding groups, holding and releasing one. */
#include "run/group.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/num.h"
#include "run/wal.h"

#include <string.h>

/* ---- finding -------------------------------------------------------------------------------- */

static struct bk_group *find(struct bk_group *groups, size_t n, const struct bk_planned *item)
{
    for (size_t i = 0; i < n; i++)
        if (groups[i].source == item->source && bk_streq(groups[i].name, item->group))
            return &groups[i];
    return NULL;
}

static int add_item(struct bk_group *g, size_t item, struct bk_err *err)
{
    size_t *more = realloc(g->items, (g->n_items + 1) * sizeof(*more));

    if (!more)
        return bk_nomem(err);
    g->items = more;
    g->items[g->n_items++] = item;
    return BAKE_OK;
}

int bk_groups_find(const struct bk_plan *p, bool all, struct bk_group **ret, size_t *ret_n,
                   struct bk_err *err)
{
    struct bk_group *groups = calloc(p->n_items + 1, sizeof(*groups));
    size_t n = 0;
    int rc = groups ? BAKE_OK : bk_nomem(err);

    for (size_t i = 0; i < p->n_items && rc >= 0; i++) {
        const struct bk_planned *item = &p->items[i];
        bool holds = item->source->ops->hold != NULL;
        struct bk_group *g;

        if (!item->group || (!holds && !all))
            continue;
        g = find(groups, n, item);
        if (!g) {
            g = &groups[n++];
            *g = (struct bk_group){.source = item->source,
                                   .name = item->group,
                                   .own = item->component.group,
                                   .holds = holds};
        }
        rc = add_item(g, i, err);
    }
    if (rc < 0) {
        bk_groups_free(groups, n);
        return rc;
    }
    *ret = groups;
    *ret_n = n;
    return BAKE_OK;
}

void bk_groups_free(struct bk_group *groups, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(groups[i].items);
    free(groups);
}

/* ---- calling the source --------------------------------------------------------------------- */

static void on_report(void *arg, int severity, const char *subject, const char *text)
{
    struct bk_holding *h = arg;

    if (severity == BAKE_PARTIAL)
        h->missing++;
    bk_event_note(h->session->reporter, severity, NULL, subject, text);
}

static void init_ctx(struct bk_holding *h, struct bk_cancel *cancel, struct bk_ctx *ret)
{
    const struct bk_part *part = h->group->source->part;

    bk_ctx_init(ret, cancel, "source '%s'", part->name);
    ret->report = on_report;
    ret->report_arg = h;
    bk_duty_attach(h->duty, ret, part);
    bk_wal_attach(h->session, ret);
}

/* Adds to what is known already. */
static int take_facts(struct bk_holding *h, const struct bk_ctx *ctx, const char *text,
                      struct bk_err *err)
{
    json_t *facts BK_JSON = NULL;
    int rc = text ? bk_json_parse(text, strlen(text), ctx->label, &facts, err) : BAKE_OK;

    if (rc < 0 || !text)
        return rc;
    if (!json_is_object(facts))
        return bk_fail(err, BAKE_E_INTERNAL, "%s: its facts are not a JSON object", ctx->label);
    if (!h->facts)
        h->facts = json_incref(facts);
    else if (json_object_update(h->facts, facts) < 0)
        return bk_nomem(err);
    return BAKE_OK;
}

static void interrupt(void *arg)
{
    const struct bk_source *src = arg;

    src->ops->interrupt(src->self);
}

/* flags: hold()'s. */
static int call_hold(struct bk_holding *h, const struct bk_plan *p, const size_t *chosen, size_t n,
                     uint32_t flags, struct bk_err *err)
{
    const struct bake_component **list BK_FREE = calloc(n + 1, sizeof(*list));
    struct bk_source *src = h->group->source;
    struct bk_cancel_sub sub = {.wake = interrupt, .arg = src};
    struct bake_result result = {.struct_size = sizeof(result)};
    struct bk_ctx ctx;
    int rc;

    if (!list)
        return bk_nomem(err);
    for (size_t i = 0; i < n; i++)
        list[i] = &p->items[chosen[i]].component;
    init_ctx(h, h->cancel, &ctx);
    if (src->ops->interrupt)
        bk_cancel_subscribe(h->cancel, &sub);
    rc = src->ops->hold(src->self, &ctx.base, h->group->own, list, n, flags, &result);
    if (src->ops->interrupt)
        bk_cancel_unsubscribe(h->cancel, &sub);
    return rc < 0 ? bk_ctx_fail(&ctx, rc, err) : take_facts(h, &ctx, result.facts, err);
}

int bk_holding_init(struct bk_holding *h, struct bk_session *s, struct bk_duty *duty,
                    const struct bk_group *group, struct bk_err *err)
{
    *h = (struct bk_holding){.session = s, .duty = duty, .group = group};
    return bk_cancel_new(s->cancel, &h->cancel, err);
}

void bk_holding_free(struct bk_holding *h)
{
    bk_cancel_free(h->cancel);
    json_decref(h->facts);
    *h = (struct bk_holding){.session = NULL};
}

int bk_group_hold(struct bk_holding *h, const struct bk_plan *p, const size_t *chosen, size_t n,
                  struct bk_err *err)
{
    int rc;

    h->start_ms = bk_monotonic_ms();
    bk_log(BAKE_LOG_INFO, "holding '%s' while %zu component%s of it %s read", h->group->name, n,
           n == 1 ? "" : "s", n == 1 ? "is" : "are");
    rc = call_hold(h, p, chosen, n, 0, &h->failed);
    if (rc < 0) {
        (void)bk_prefix(&h->failed, "group '%s' could not be held", h->group->name);
        if (err)
            *err = h->failed;
    }
    return rc;
}

/* Nobody can cancel it. */
static int call_release(struct bk_holding *h, struct bk_err *err)
{
    struct bk_source *src = h->group->source;
    struct bake_result result = {.struct_size = sizeof(result)};
    struct bk_ctx ctx;
    int rc;

    init_ctx(h, NULL, &ctx);
    rc = src->ops->release(src->self, &ctx.base, h->group->own, &result);
    return rc < 0 ? bk_ctx_fail(&ctx, rc, err) : take_facts(h, &ctx, result.facts, err);
}

static int fill(const struct bk_holding *h, const struct bk_err *why, struct bk_mgroup *ret,
                struct bk_err *err)
{
    const struct bk_err *first = h->failed.rc ? &h->failed : why;

    *ret = (struct bk_mgroup){.name = bk_strdup(h->group->name),
                              .source = bk_strdup(h->group->source->part->name),
                              .held_ms = bk_monotonic_ms() - h->start_ms,
                              .error = first->rc ? bk_mask(first->text) : NULL,
                              .facts = json_incref(h->facts)};
    if (ret->name && ret->source && (!first->rc || ret->error))
        return BAKE_OK;
    bk_mgroup_release(ret);
    return bk_nomem(err);
}

int bk_group_release(struct bk_holding *h, struct bk_mgroup *ret, struct bk_err *err)
{
    struct bk_err why = {0};
    uint64_t missing = h->missing;
    int rc = call_release(h, &why), filled;
    char time[24];

    if (rc >= 0 && h->missing > missing)
        rc = bk_fail(&why, BAKE_E_IO, "not all of it was, as said above");
    if (rc < 0)
        (void)bk_prefix(&why, "group '%s' could not be put back as it was", h->group->name);
    filled = fill(h, &why, ret, err);
    if (rc >= 0 && filled >= 0)
        bk_log(BAKE_LOG_INFO, "released '%s' after %s", h->group->name,
               bk_format_duration(time, sizeof(time), ret->held_ms));
    if (rc < 0 && err)
        *err = why;
    return rc < 0 ? rc : filled;
}

int bk_group_preview(struct bk_session *s, const struct bk_plan *p, const struct bk_group *group,
                     json_t **ret, struct bk_err *err)
{
    struct bk_holding h;
    int rc = bk_holding_init(&h, s, NULL, group, err);

    if (rc < 0)
        return rc;
    rc = call_hold(&h, p, group->items, group->n_items, BAKE_HOLD_PREVIEW, err);
    *ret = rc < 0 ? NULL : json_incref(h.facts);
    bk_holding_free(&h);
    return rc;
}
