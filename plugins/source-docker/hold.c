/* Holding a group while its components are read, and letting it go. */
#include "hold_impl.h"

#include <stdlib.h>
#include <string.h>

#define LOOKS 20

/* ---- groups ---------------------------------------------------------------------------------- */

void dk_held_free(struct dk_source *s)
{
    struct dk_held *held = s->held;
    if (!held)
        return;
    while (held->stopped)
        dk_stopped_free(s, held->stopped); /* what is still owed is promised */
    while (held->groups) {
        struct dk_group *g = held->groups;
        held->groups = g->next;
        free(g->name);
        free(g->facts);
        free(g);
    }
    (void)pthread_mutex_destroy(&held->promising);
    free(held);
    s->held = NULL;
}

static int group_of(struct dk_source *s, struct bake_ctx *ctx, const char *name,
                    struct dk_group **ret)
{
    struct dk_held *held = NULL;
    int rc = dk_held_of(s, ctx, &held);
    if (rc != BAKE_OK)
        return rc;
    (void)pthread_mutex_lock(&s->lock);
    struct dk_group *g = held->groups;
    while (g && strcmp(g->name, name) != 0)
        g = g->next;
    if (!g && (g = calloc(1, sizeof(*g)))) {
        g->name = strdup(name);
        if (g->name) {
            g->next = held->groups;
            held->groups = g;
        } else {
            free(g);
            g = NULL;
        }
    }
    (void)pthread_mutex_unlock(&s->lock);
    *ret = g;
    return g ? BAKE_OK : dk_nomem(ctx);
}

/* Takes facts. */
static int set_facts(struct bake_ctx *ctx, struct dk_group *g, json_t *facts,
                     struct bake_result *ret)
{
    char *text =
        facts ? json_dumps(facts, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(10)) : NULL;
    json_decref(facts);
    if (!text)
        return dk_nomem(ctx);
    free(g->facts);
    g->facts = text;
    ret->facts = text;
    return BAKE_OK;
}

/* ---- holding --------------------------------------------------------------------------------- */

/* The names, if there are any. */
static int set_names(json_t *facts, const char *key, const struct dk_hold_plan *p, bool pauses)
{
    json_t *list = json_array();
    int bad = 0;
    for (size_t i = 0; i < p->n; i++)
        if (p->list[i].pause == pauses)
            bad |= json_array_append_new(list, json_string(p->list[i].c->name));
    return json_object_set_new(facts, key, list) | bad;
}

static json_t *plan_facts(const struct dk_hold_plan *p)
{
    json_t *facts = json_object(), *keeps = json_array();
    int bad = set_names(facts, "stops", p, false) | set_names(facts, "pauses", p, true);
    for (size_t i = 0; i < p->n_keeps; i++)
        bad |= json_array_append_new(keeps, json_string(p->keeps[i]->name));
    bad |= json_object_set_new(facts, "keeps", keeps);
    if (bad) {
        json_decref(facts);
        return NULL;
    }
    return facts;
}

static int items_of(struct dk_source *s, struct bake_ctx *ctx,
                    const struct bake_component *const *chosen, size_t n,
                    const struct dk_item ***ret)
{
    const struct dk_item **items = calloc(n + 1, sizeof(struct dk_item *));
    if (!items)
        return dk_nomem(ctx);
    for (size_t i = 0; i < n; i++) {
        items[i] = dk_world_item(s->world, chosen[i]->name);
        if (!items[i]) {
            free(items);
            return bake_fail(ctx, BAKE_E_INTERNAL, "component '%s' was never planned",
                             chosen[i]->name);
        }
    }
    *ret = items;
    return BAKE_OK;
}

static int hold_as_planned(struct dk_source *s, struct bake_ctx *ctx, struct dk_group *g,
                           const struct dk_world *now, const struct dk_item *const *items, size_t n,
                           uint32_t flags, struct bake_result *ret)
{
    bool preview = flags & BAKE_HOLD_PREVIEW;
    struct dk_hold_plan p = {0};
    int rc = dk_hold_plan_make(ctx, s->cfg, now, items, n, preview, &p);
    if (rc != BAKE_OK)
        return rc;
    rc = set_facts(ctx, g, plan_facts(&p), ret);
    if (rc == BAKE_OK && !preview && p.n > 0)
        rc = dk_halt_all(s, ctx, p.list, p.n, &g->stopped);
    dk_hold_plan_release(&p);
    return rc;
}

static void mark(struct dk_world *w, char *const *ids)
{
    for (size_t i = 0; i < w->n_containers; i++)
        for (char *const *id = ids; *id; id++)
            if (strcmp(w->containers[i].id, *id) == 0) {
                w->containers[i].running = true;
                w->containers[i].paused = false;
            }
}

/* *ret_again: another group began to be held meanwhile, and may be released by now: then what is
 * seen as stopped may run. */
static int look_once(struct dk_source *s, struct bake_ctx *ctx, bool *ret_again,
                     struct dk_world **ret)
{
    uint64_t from = 0, to = 0;
    struct dk_world *now = NULL;
    char **before = dk_held_ids(s, &from), **after = NULL;
    int rc = before ? dk_discover_quietly(s, ctx, &now) : dk_nomem(ctx);
    if (rc == BAKE_OK && !(after = dk_held_ids(s, &to)))
        rc = dk_nomem(ctx);
    if (rc == BAKE_OK) {
        mark(now, before);
        mark(now, after);
        *ret = now;
    } else {
        dk_world_free(now);
    }
    dk_ids_free(before);
    dk_ids_free(after);
    *ret_again = from != to;
    return rc;
}

/* The plan may be hours old: containers come and go. What another group of ours holds counts as
 * running, for it has to stand until we are done, too. */
static int look_again(struct dk_source *s, struct bake_ctx *ctx, struct dk_world **ret)
{
    struct dk_world *now = NULL;
    bool again = true;
    for (int i = 0; again && i < LOOKS; i++) {
        dk_world_free(now);
        now = NULL;
        int rc = look_once(s, ctx, &again, &now);
        if (rc != BAKE_OK)
            return rc;
    }
    *ret = now;
    return BAKE_OK;
}

int dk_hold(void *self, struct bake_ctx *ctx, const char *group,
            const struct bake_component *const *chosen, size_t n, uint32_t flags,
            struct bake_result *ret)
{
    struct dk_source *s = self;
    struct dk_group *g = NULL;
    const struct dk_item **items = NULL;
    struct dk_world *now = NULL;
    int rc = group_of(s, ctx, group, &g);
    if (rc == BAKE_OK && g->stopped)
        rc = bake_fail(ctx, BAKE_E_INTERNAL, "group '%s' is held already", group);
    if (rc == BAKE_OK)
        rc = items_of(s, ctx, chosen, n, &items);
    if (rc == BAKE_OK && !(flags & BAKE_HOLD_PREVIEW))
        rc = look_again(s, ctx, &now);
    if (rc == BAKE_OK)
        rc = hold_as_planned(s, ctx, g, now ? now : s->world, items, n, flags, ret);
    dk_world_free(now);
    free(items);
    return rc;
}

/* ---- letting go ------------------------------------------------------------------------------ */

static json_t *rounded(double seconds)
{
    return json_real((double)(int64_t)(seconds * 1000) / 1000);
}

static json_t *release_facts(const struct dk_stopped *st)
{
    json_t *facts = json_object(), *stopped = json_object(), *paused = json_object();
    double longest = 0;
    int bad = 0;
    for (size_t i = 0; st && i < st->n; i++) {
        const struct dk_entry *e = &st->list[i];
        if (e->seconds <= 0)
            continue;
        bad |= json_object_set_new(e->pause ? paused : stopped, e->name, rounded(e->seconds));
        longest = e->seconds > longest ? e->seconds : longest;
    }
    bad |= json_object_set_new(facts, "stopped_seconds", rounded(longest));
    bad |= json_object_set_new(facts, "stopped", stopped);
    if (json_object_size(paused) > 0)
        bad |= json_object_set(facts, "paused", paused);
    json_decref(paused);
    if (bad) {
        json_decref(facts);
        return NULL;
    }
    return facts;
}

int dk_release(void *self, struct bake_ctx *ctx, const char *group, struct bake_result *ret)
{
    struct dk_source *s = self;
    struct dk_group *g = NULL;
    int rc = group_of(s, ctx, group, &g), facts;
    if (rc != BAKE_OK)
        return rc;
    struct dk_stopped *st = g->stopped;
    g->stopped = NULL;
    if (st)
        rc = dk_resume_all(s, ctx, st, true);
    facts = set_facts(ctx, g, release_facts(st), ret);
    if (st)
        dk_stopped_free(s, st);
    return rc == BAKE_OK ? facts : rc;
}
