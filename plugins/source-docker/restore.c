/* Restoring a group: the operations that the engine calls, in their order. What is staged is taken
 * into use in one step, between stopping the stack and starting its databases; what fails before
 * the end, or at it, is undone as a whole. */
#include "restore.h"

#include "discover.h"
#include "restore_flow.h"
#include <stdlib.h>
#include <string.h>

/* ---- one restore ----------------------------------------------------------------------------- */

/* All but what the engine may still read. */
static void restore_clear(struct dk_restore *r, struct bake_ctx *ctx)
{
    for (size_t i = 0; i < r->n_spots; i++) {
        free(r->spots[i].key);
        if (r->spots[i].emptied) /* others are their parts' */
            dk_place_close(r->spots[i].place, ctx);
    }
    for (size_t i = 0; i < r->n_parts; i++)
        rs_part_release(&r->parts[i], ctx);
    rs_boxes_free(r->boxes, r->n_boxes);
    for (size_t i = 0; i < r->n_worlds; i++)
        dk_world_free(r->worlds[i]);
    if (r->lock) {
        (void)pthread_mutex_destroy(r->lock);
        free(r->lock);
    }
    json_decref(r->definition);
    json_decref(r->made);
    free(r->promise.volume);
    free(r->spots);
    free(r->parts);
    free(r->group);
    free(r->stack);
    free(r->as);
    free(r->backup);
    free(r->kept);
    *r = (struct dk_restore){.next = r->next, .facts = r->facts};
}

static void restore_free(struct dk_restore *r, struct bake_ctx *ctx)
{
    restore_clear(r, ctx);
    free(r->facts);
    free(r);
}

static struct dk_restore *find(struct dk_source *s, const char *group)
{
    (void)pthread_mutex_lock(&s->lock);
    struct dk_restore *r = s->restores;
    while (r && (!r->group || strcmp(r->group, group) != 0))
        r = r->next;
    (void)pthread_mutex_unlock(&s->lock);
    return r;
}

static void add(struct dk_source *s, struct dk_restore *r)
{
    (void)pthread_mutex_lock(&s->lock);
    r->next = s->restores;
    s->restores = r;
    (void)pthread_mutex_unlock(&s->lock);
}

static int restore_new(struct dk_source *s, struct bake_ctx *ctx, const struct bake_restore *how,
                       const char *group, const struct bake_component *const *chosen, size_t n,
                       struct dk_restore **ret)
{
    struct dk_restore *r = calloc(1, sizeof(*r));
    if (!r)
        return dk_nomem(ctx);
    *r = (struct dk_restore){
        .s = s,
        .group = strdup(group),
        .stack = strdup(group),
        .as = strdup(how->as_group ? how->as_group : group),
        .backup = strdup(how->backup ? how->backup : ""),
        .flags = how->flags,
        .force = how->force != 0,
        .renamed = how->as_group && strcmp(how->as_group, group) != 0,
        .parts = calloc(n + 1, sizeof(struct rs_part)),
        .made = json_pack("{s:{}, s:{}, s:{}}", "containers", "networks", "volumes"),
        .phase = "staging"};
    pthread_mutex_t *lock = malloc(sizeof(pthread_mutex_t));
    if (lock && pthread_mutex_init(lock, NULL) == 0)
        r->lock = lock;
    else
        free(lock);
    bool good = r->lock && r->group && r->stack && r->as && r->backup && r->parts && r->made;
    for (size_t i = 0; i < n && good; i++) {
        good = rs_part_init(&r->parts[i], chosen[i], group) == 0;
        r->n_parts++;
    }
    if (!good) {
        restore_free(r, ctx);
        return dk_nomem(ctx);
    }
    rs_stages(r->parts, n, r->has);
    *ret = r;
    return BAKE_OK;
}

/* Puts back whatever was done, and says so. The restore's own failure, if any, is already told. */
static int give_up(struct dk_restore *r, struct bake_ctx *ctx)
{
    struct rs_hush h;
    rs_calm(&h, ctx);
    json_t *doc = rs_document(r, r->phase);
    int rc = doc ? BAKE_OK : dk_nomem(&h.ctx);
    if (doc && (r->promised || r->used))
        rc = rs_undo(r->s, &h.ctx, doc, false);
    json_decref(doc);
    if (rc != BAKE_OK)
        return bake_fail(ctx, rc, "%s", h.text);
    rs_promise_done(r, &h.ctx);
    return rc;
}

/* The same, when a failure has just been told of that must not be lost. */
static int fail_and_undo(struct dk_restore *r, struct bake_ctx *ctx, int rc)
{
    struct rs_hush h;
    rs_hush(&h, ctx);
    if (give_up(r, &h.ctx) != BAKE_OK)
        bake_report(ctx, BAKE_PARTIAL, r->as, "%s", h.text);
    return rc;
}

/* ---- the beginning --------------------------------------------------------------------------- */

static bool stack_exists(const struct dk_world *w, const char *stack)
{
    for (size_t i = 0; i < w->n_containers; i++) {
        if (strcmp(w->containers[i].project, stack) == 0)
            return true;
    }
    return false;
}

static int check_name(const struct dk_restore *r, struct bake_ctx *ctx)
{
    if (!r->renamed)
        return BAKE_OK;
    if (r->as[0] == '\0' ||
        strspn(r->as, "abcdefghijklmnopqrstuvwxyz0123456789_-") != strlen(r->as) ||
        r->as[0] == '_' || r->as[0] == '-')
        return bake_fail(ctx, BAKE_E_CONFIG,
                         "'%s' is no name for a project: small letters, digits, '_' and '-', of "
                         "which the last two not at the beginning",
                         r->as);
    if (!r->has[RS_DEFINE])
        return bake_fail(ctx, BAKE_E_UNSUPPORTED,
                         "'%s' can be made as '%s' only with its definition\n"
                         "HINT: restore all of the stack, from a backup that has "
                         "'%s/definition.json'",
                         r->stack, r->as, r->stack);
    if (stack_exists(rs_world(r), r->as))
        return bake_fail(ctx, BAKE_E_EXISTS,
                         "'%s' cannot be restored as '%s': there is such a stack\n"
                         "HINT: remove it, or choose another name",
                         r->stack, r->as);
    return BAKE_OK;
}

static int begin(struct dk_restore *r, struct bake_ctx *ctx)
{
    int rc = dk_discover_quietly(r->s, ctx, &r->worlds[0]);
    r->n_worlds = rc == BAKE_OK;
    if (rc == BAKE_OK)
        rc = check_name(r, ctx);
    if (rc == BAKE_OK)
        rc = rs_check_facts(r, ctx);
    if (rc == BAKE_OK && !r->has[RS_DEFINE])
        rc = rs_look(r, ctx);
    r->at = r->has[RS_DEFINE] ? RS_DEFINE : RS_FILL;
    return rc;
}

static bool all_there(const struct dk_restore *r)
{
    bool all = !r->renamed;
    for (size_t i = 0; i < r->n_parts && all; i++) {
        const struct rs_part *p = &r->parts[i];
        all = !p->known || !p->service[0] || rs_service(rs_world(r), r->as, p->service);
    }
    return all;
}

/* A dry run: what could not be restored as things are is said. Where something will have to be made
 * first, only that can tell. */
static int inspect(struct dk_restore *r, struct bake_ctx *ctx)
{
    int rc = begin(r, ctx);
    if (rc == BAKE_OK && all_there(r))
        rc = rs_look(r, ctx);
    for (size_t i = 0; i < r->n_parts && rc == BAKE_OK; i++) {
        const struct rs_part *p = &r->parts[i];
        if (p->found == RS_GONE)
            bake_report(ctx, BAKE_WARNING, p->name, "would not be restored: %s", p->why);
        else if (p->found == RS_ALONE)
            bake_report(ctx, BAKE_WARNING, p->name,
                        "service '%s' of '%s' is not there any more: only its volume '%s' would be "
                        "restored",
                        p->service, r->as, p->volume);
    }
    return rc;
}

int dk_restore_begin(void *self, struct bake_ctx *ctx, const struct bake_restore *how,
                     const char *group, const struct bake_component *const *chosen, size_t n,
                     uint32_t *ret_stage)
{
    struct dk_source *s = self;
    struct dk_restore *r = NULL;
    bool look = how->purpose == BAKE_INSPECT;
    if (how->purpose != BAKE_RESTORE && !look)
        return bake_fail(ctx, BAKE_E_UNSUPPORTED,
                         "stacks are restored to use them, not to try them");
    if (find(s, group))
        return bake_fail(ctx, BAKE_E_INTERNAL, "'%s' is being restored already", group);
    int rc = restore_new(s, ctx, how, group, chosen, n, &r);
    if (rc != BAKE_OK)
        return rc;
    rc = look ? inspect(r, ctx) : begin(r, ctx);
    if (rc != BAKE_OK && !look)
        rc = fail_and_undo(r, ctx, rc);
    for (size_t i = 0; i < n && rc == BAKE_OK; i++)
        ret_stage[i] = r->parts[i].stage;
    if (rc == BAKE_OK && !look)
        add(s, r);
    else
        restore_free(r, ctx);
    return rc;
}

/* ---- taking it into use ---------------------------------------------------------------------- */

static int switch_places(struct dk_restore *r, struct bake_ctx *ctx)
{
    int rc = BAKE_OK;
    for (size_t i = 0; i < r->n_spots && rc == BAKE_OK; i++) {
        const struct rs_spot *spot = &r->spots[i];
        if (spot->emptied || spot->part->staged)
            rc = dk_place_switch(spot->place, ctx);
    }
    for (size_t i = 0; i < r->n_parts && rc == BAKE_OK; i++) {
        if (r->parts[i].files && r->parts[i].staged)
            rc = rs_files_switch(r->parts[i].files, ctx);
    }
    return rc;
}

/* Does anything take the place of something? Else the stack need not stand still. */
static bool replaces(const struct dk_restore *r)
{
    bool any = r->n_spots > 0;
    for (size_t i = 0; i < r->n_parts && !any; i++)
        any = r->parts[i].files || (r->parts[i].known && r->parts[i].found == RS_HERE &&
                                    (r->parts[i].kind == DK_PG || r->parts[i].kind == DK_MARIA));
    return any;
}

static int take_into_use(struct dk_restore *r, struct bake_ctx *ctx)
{
    int rc = BAKE_OK;
    r->used = true;
    if (!replaces(r))
        return rc;
    if (!(r->flags & BAKE_RESTORE_KEEP_RUNNING))
        rc = rs_stop_all(r, ctx);
    if (rc == BAKE_OK)
        rc = rs_promise(r, ctx, "switching");
    if (rc != BAKE_OK)
        return rc;
    if (r->n_spots > 0)
        bake_log(ctx, BAKE_LOG_INFO, "taking the content of '%s' into use (%zu director%s)", r->as,
                 r->n_spots, r->n_spots == 1 ? "y" : "ies");
    return switch_places(r, ctx);
}

/* Up to where the next components are written. */
static int advance(struct dk_restore *r, struct bake_ctx *ctx, enum rs_step to)
{
    int rc = BAKE_OK;
    if (!r->ready)
        rc = r->at == RS_DEFINE ? rs_define(r, ctx) : rs_prepare(r, ctx);
    if (rc == BAKE_OK && to >= RS_LOAD && !r->used)
        rc = take_into_use(r, ctx);
    if (rc == BAKE_OK && to == RS_LOAD)
        rc = rs_databases_up(r, ctx);
    r->at = to;
    return rc;
}

static enum rs_step next_step(const struct dk_restore *r)
{
    enum rs_step to = r->at + 1;
    while (to < RS_LOAD && !r->has[to])
        to++;
    return to;
}

int dk_switch_group(void *self, struct bake_ctx *ctx, const char *group)
{
    struct dk_restore *r = find(self, group);
    if (!r)
        return bake_fail(ctx, BAKE_E_INTERNAL, "'%s' is not being restored", group);
    return advance(r, ctx, next_step(r));
}

/* ---- the end --------------------------------------------------------------------------------- */

/* The index of what is kept, unless nothing is. *ret_drop: what need not be kept. */
static int keep_previous(struct dk_restore *r, struct bake_ctx *ctx, json_t **ret_drop)
{
    json_t *all = rs_document(r, r->phase);
    json_t *doc = all ? rs_without_made(all, ret_drop) : NULL;
    const json_t *places = json_object_get(doc, "places");
    int rc = doc ? BAKE_OK : dk_nomem(ctx);
    if (rc == BAKE_OK && r->s->cfg->keep_previous == 0) {
        rc = json_array_extend(*ret_drop, (json_t *)places) == 0 ? BAKE_OK : dk_nomem(ctx);
    } else if (rc == BAKE_OK && (json_array_size(places) > 0 ||
                                 json_array_size(json_object_get(doc, "files")) > 0)) {
        r->kept = rs_kept_name();
        rc = r->kept ? rs_promise(r, ctx, r->phase) : dk_nomem(ctx);
        if (rc == BAKE_OK)
            rc = rs_keep(r->s, ctx, r->kept, doc);
    }
    json_decref(all);
    return rc;
}

static void drop_files(struct dk_restore *r, struct bake_ctx *ctx)
{
    for (size_t i = 0; i < r->n_parts && r->s->cfg->keep_previous == 0; i++) {
        json_t *files = r->parts[i].files ? rs_files_json(r->parts[i].files) : NULL;
        struct rs_hush h;
        rs_calm(&h, ctx);
        if (files && rs_files_drop(&h.ctx, files) != BAKE_OK)
            bake_report(ctx, BAKE_NOTICE, r->parts[i].name, "%s", h.text);
        json_decref(files);
    }
}

static int finish(struct dk_restore *r, struct bake_ctx *ctx)
{
    json_t *drop = NULL;
    int rc = advance(r, ctx, RS_STEPS);
    if (rc == BAKE_OK)
        rc = rs_run_stack(r, ctx);
    if (rc == BAKE_OK)
        rc = keep_previous(r, ctx, &drop);
    if (rc == BAKE_OK) { /* it is good, whatever comes */
        rs_promise_done(r, ctx);
        rs_drop_places(r->s, ctx, drop);
        drop_files(r, ctx);
    }
    json_decref(drop);
    return rc;
}

static int say_facts(struct dk_restore *r, struct bake_ctx *ctx, struct bake_result *ret)
{
    size_t made = json_object_size(json_object_get(r->made, "containers"));
    json_t *facts = json_pack("{s:s, s:i, s:i, s:f, s:b}", "stack", r->as, "directories",
                              (int)r->n_spots, "made", (int)made, "stopped_seconds",
                              r->stopped_seconds, "kept", r->kept != NULL);
    r->facts = facts ? json_dumps(facts, JSON_COMPACT | JSON_REAL_PRECISION(6)) : NULL;
    json_decref(facts);
    ret->facts = r->facts;
    return r->facts ? BAKE_OK : dk_nomem(ctx);
}

int dk_restore_end(void *self, struct bake_ctx *ctx, const char *group, int good,
                   struct bake_result *ret)
{
    struct dk_source *s = self;
    struct dk_restore *r = find(s, group);
    if (!r)
        return bake_fail(ctx, BAKE_E_INTERNAL, "'%s' is not being restored", group);
    int rc;
    if (!good)
        rc = give_up(r, ctx);
    else if ((rc = finish(r, ctx)) != BAKE_OK)
        rc = fail_and_undo(r, ctx, rc);
    else
        rc = say_facts(r, ctx, ret);
    (void)pthread_mutex_lock(&s->lock);
    struct dk_restore done = *r;
    *r = (struct dk_restore){.next = r->next, .facts = r->facts};
    (void)pthread_mutex_unlock(&s->lock);
    restore_clear(&done, ctx);
    return rc;
}

/* ---- the rest -------------------------------------------------------------------------------- */

int dk_restore_redeem(struct dk_source *s, struct bake_ctx *ctx, const json_t *what)
{
    int rc = rs_undo(s, ctx, what, true);
    if (rc == BAKE_OK) { /* helpers that it was using; what fails is left to the next run */
        struct rs_hush h;
        rs_hush(&h, ctx);
        (void)dk_place_tidy(s, &h.ctx);
    }
    return rc;
}

void dk_restores_free(struct dk_source *s)
{
    while (s->restores) {
        struct dk_restore *r = s->restores;
        s->restores = r->next;
        restore_free(r, s->ctx);
    }
}
