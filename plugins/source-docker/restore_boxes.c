/* Containers around a restore: which must not run while content is exchanged, stopping them, and
 * running the stack at the end. */
#include "discover.h"
#include "restore_impl.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now_s(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- which ----------------------------------------------------------------------------------- */

static bool sees_any(const struct dk_container *c, const char *const *keys, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (rs_mounts(c, keys[i]))
            return true;
    }
    return false;
}

static bool in_stack(const struct dk_container *c, const char *stack)
{
    return stack && strcmp(c->project, stack) == 0;
}

static int add_box(struct bake_ctx *ctx, const struct dk_container *c, const char *stack,
                   bool concerned, struct rs_box *box, size_t *n)
{
    if (c->own) {
        if (concerned)
            bake_report(ctx, BAKE_WARNING, c->name,
                        "is this program's own container and is not stopped, though it has a "
                        "directory that is restored");
        return BAKE_OK;
    }
    const json_t *host = json_object_get(c->inspect, "HostConfig");
    if (c->running && json_is_true(json_object_get(host, "AutoRemove")))
        return bake_fail(ctx, BAKE_E_UNSUPPORTED,
                         "cannot stop container '%s': it runs with --rm and would be removed\n"
                         "HINT: end it first",
                         c->name);
    box[(*n)++] =
        (struct rs_box){.c = c, .ran = c->running, .paused = c->paused, .ours = in_stack(c, stack)};
    return BAKE_OK;
}

int rs_boxes_find(struct bake_ctx *ctx, const struct dk_world *w, const char *stack,
                  const char *const *keys, size_t n_keys, struct rs_box **ret, size_t *ret_n)
{
    const struct dk_container **list = calloc(w->n_containers + 1, sizeof(*list));
    struct rs_box *boxes = calloc(w->n_containers + 1, sizeof(*boxes));
    size_t n = 0, n_boxes = 0;
    int rc = list && boxes ? BAKE_OK : dk_nomem(ctx);
    for (size_t i = 0; i < w->n_containers && rc == BAKE_OK; i++) {
        const struct dk_container *c = &w->containers[i];
        bool concerned = sees_any(c, keys, n_keys);
        /* A one-off command that has ended is nobody's to start. */
        if (in_stack(c, stack) ? !c->oneoff || c->running : concerned && c->running)
            list[n++] = c;
    }
    dk_stop_order(list, n);
    for (size_t i = 0; i < n && rc == BAKE_OK; i++)
        rc = add_box(ctx, list[i], stack, sees_any(list[i], keys, n_keys), boxes, &n_boxes);
    free(list);
    if (rc != BAKE_OK) {
        free(boxes);
        return rc;
    }
    *ret = boxes;
    *ret_n = n_boxes;
    return BAKE_OK;
}

void rs_boxes_free(struct rs_box *boxes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(boxes[i].started_at);
        free(boxes[i].finished_at);
    }
    free(boxes);
}

struct rs_box *rs_box_of(struct dk_restore *r, const struct dk_container *c)
{
    for (size_t i = 0; i < r->n_boxes; i++) {
        if (r->boxes[i].c == c)
            return &r->boxes[i];
    }
    return NULL;
}

static void copy_text(char *to, size_t size, const json_t *from)
{
    const char *text = json_string_value(from);
    if (text && strlen(text) < size)
        memcpy(to, text, strlen(text) + 1);
}

int rs_state(struct dk_source *s, struct bake_ctx *ctx, const char *id, struct rs_state *ret)
{
    struct rs_hush h;
    json_t *got = NULL;
    rs_hush(&h, ctx);
    int rc = dk_inspect(s->api, &h.ctx, id, &got);
    if (rc == BAKE_E_NOTFOUND)
        return BAKE_END;
    if (rc != BAKE_OK)
        return bake_fail(ctx, rc, "%s", h.text);
    const json_t *state = json_object_get(got, "State");
    *ret = (struct rs_state){
        .running = json_is_true(json_object_get(state, "Running")),
        .paused = json_is_true(json_object_get(state, "Paused")),
        .restarting = json_is_true(json_object_get(state, "Restarting")),
        .exit_code = json_integer_value(json_object_get(state, "ExitCode")),
        .restarts = json_integer_value(json_object_get(got, "RestartCount")),
    };
    copy_text(ret->started_at, sizeof(ret->started_at), json_object_get(state, "StartedAt"));
    copy_text(ret->finished_at, sizeof(ret->finished_at), json_object_get(state, "FinishedAt"));
    json_decref(got);
    return BAKE_OK;
}

/* ---- stopping -------------------------------------------------------------------------------- */

static int64_t stop_seconds(const struct dk_source *s)
{
    return s->cfg->stop_timeout ? (int64_t)((s->cfg->stop_timeout + 999) / 1000) : -1;
}

static int stop_box(struct dk_restore *r, struct bake_ctx *ctx, struct rs_box *b)
{
    struct rs_state state;
    int rc = rs_state(r->s, ctx, b->c->id, &state);
    if (rc == BAKE_END)
        return BAKE_OK; /* removed meanwhile: it does not run */
    if (rc != BAKE_OK || !state.running)
        return rc;
    b->ran = true;
    b->paused = state.paused;
    if (r->stopped_at <= 0)
        r->stopped_at = now_s();
    b->stopped = true; /* or as good as: the daemon goes on with it when we are gone */
    free(b->started_at);
    if (!(b->started_at = strdup(state.started_at)))
        return dk_nomem(ctx);
    if ((rc = rs_promise(r, ctx, "stopping")) != BAKE_OK ||
        (rc = dk_stop(r->s->api, ctx, b->c->id, stop_seconds(r->s), NULL)) != BAKE_OK ||
        (rc = rs_state(r->s, ctx, b->c->id, &state)) == BAKE_END)
        return rc == BAKE_E_NOTFOUND || rc == BAKE_END ? BAKE_OK : rc;
    if (rc == BAKE_OK) {
        free(b->finished_at);
        b->finished_at = strdup(state.finished_at);
        rc = b->finished_at ? BAKE_OK : dk_nomem(ctx);
    }
    return rc;
}

int rs_stop_all(struct dk_restore *r, struct bake_ctx *ctx)
{
    size_t running = 0;
    for (size_t i = 0; i < r->n_boxes; i++)
        running += r->boxes[i].ran;
    if (running > 0)
        bake_log(ctx, BAKE_LOG_INFO, "stopping stack '%s' (%zu container%s)", r->as, running,
                 running == 1 ? "" : "s");
    int rc = BAKE_OK;
    for (size_t i = 0; i < r->n_boxes && rc == BAKE_OK; i++)
        rc = stop_box(r, ctx, &r->boxes[i]);
    return rc;
}

/* ---- running --------------------------------------------------------------------------------- */

int rs_start_box(struct dk_restore *r, struct bake_ctx *ctx, struct rs_box *b)
{
    int rc = BAKE_OK;
    if (!b->started) {
        b->started = true;
        rc = rs_promise(r, ctx, r->phase);
    }
    return rc == BAKE_OK ? dk_start(r->s->api, ctx, b->c->id, NULL) : rc;
}

bool rs_shall_run(const struct dk_restore *r, const struct rs_box *b)
{
    return b->ran || (b->ours && !b->c->oneoff && !(r->flags & BAKE_RESTORE_KEEP_STOPPED));
}

static int start_all(struct dk_restore *r, struct bake_ctx *ctx)
{
    int rc = BAKE_OK;
    for (size_t i = r->n_boxes; i-- > 0 && rc == BAKE_OK;) {
        struct rs_box *b = &r->boxes[i];
        if (!rs_shall_run(r, b))
            continue;
        rc = rs_start_box(r, ctx, b);
        if (rc == BAKE_E_NOTFOUND) {
            bake_report(ctx, BAKE_WARNING, b->c->name, "was removed while '%s' was restored",
                        r->as);
            rc = BAKE_OK;
        }
    }
    return rc;
}

/* A container that has done its work and ended well (a migration, say) is as it should be. */
static bool ended_well(struct dk_restore *r, struct bake_ctx *ctx, const struct rs_box *b)
{
    struct rs_state state;
    return rs_state(r->s, ctx, b->c->id, &state) != BAKE_OK ||
           (!state.running && state.exit_code == 0);
}

static int check_health(struct dk_restore *r, struct bake_ctx *ctx)
{
    for (size_t i = r->n_boxes; i-- > 0;) {
        struct rs_box *b = &r->boxes[i];
        struct rs_hush h;
        if (!rs_shall_run(r, b))
            continue;
        bake_log(ctx, BAKE_LOG_INFO, "waiting for container '%s'", b->c->name);
        rs_hush(&h, ctx);
        int rc = dk_wait_healthy(r->s->api, &h.ctx, b->c->id, r->s->cfg->health_timeout);
        if (rc == BAKE_OK ||
            ((rc == BAKE_E_CHILD || rc == BAKE_E_NOTFOUND) && ended_well(r, ctx, b)))
            continue;
        return bake_fail(ctx, rc, "%s", h.text);
    }
    return BAKE_OK;
}

/* What did not run before stands again, what was paused is paused: --skip-start. */
static int as_before(struct dk_restore *r, struct bake_ctx *ctx)
{
    int rc = BAKE_OK;
    for (size_t i = 0; i < r->n_boxes && rc == BAKE_OK; i++) {
        struct rs_box *b = &r->boxes[i];
        if (b->started && !b->ran)
            rc = dk_stop(r->s->api, ctx, b->c->id, stop_seconds(r->s), NULL);
        else if (b->started && b->paused)
            rc = dk_pause(r->s->api, ctx, b->c->id, NULL);
    }
    return rc;
}

int rs_run_stack(struct dk_restore *r, struct bake_ctx *ctx)
{
    bake_log(ctx, BAKE_LOG_INFO, "starting stack '%s'", r->as);
    int rc = rs_promise(r, ctx, "starting");
    if (rc == BAKE_OK)
        rc = start_all(r, ctx);
    if (r->stopped_at > 0)
        r->stopped_seconds = now_s() - r->stopped_at;
    if (rc == BAKE_OK)
        rc = check_health(r, ctx);
    if (rc == BAKE_OK && (r->flags & BAKE_RESTORE_KEEP_STOPPED))
        rc = as_before(r, ctx);
    return rc;
}
