/* Stopping and pausing containers, each after it was promised that it will run again. Groups that
 * are held side by side may need the same container: it is stopped once, and started by the last.
 */
#include "hold_impl.h"

#include "api.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define GRACE       10    /* seconds: the daemon's own, where a container has none */
#define GRACE_MAX   86400 /* nobody waits longer than a day */
#define PAUSE_GRACE 2
#define PAUSE_TRIES 10

double dk_monotonic(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int dk_held_of(struct dk_source *s, struct bake_ctx *ctx, struct dk_held **ret)
{
    (void)pthread_mutex_lock(&s->lock);
    if (!s->held) {
        s->held = calloc(1, sizeof(*s->held));
        if (s->held && pthread_mutex_init(&s->held->promising, NULL) != 0) {
            free(s->held);
            s->held = NULL;
        }
    }
    *ret = s->held;
    (void)pthread_mutex_unlock(&s->lock);
    return *ret ? BAKE_OK : dk_nomem(ctx);
}

int64_t dk_grace(const struct dk_source *s, const json_t *inspect)
{
    const json_t *own = json_object_get(json_object_get(inspect, "Config"), "StopTimeout");
    json_int_t n = json_is_integer(own) ? json_integer_value(own) : GRACE;
    if (s->cfg->stop_timeout > 0)
        n = (json_int_t)(s->cfg->stop_timeout / 1000) + 1;
    return n >= 0 && n < GRACE_MAX ? n : GRACE_MAX;
}

/* ---- what is promised ------------------------------------------------------------------------ */

static bool owed(const struct dk_entry *e)
{
    return e->step != DK_STEP_NONE && e->step != DK_STEP_SHARED;
}

static int set_text(json_t *o, const char *key, const char *text)
{
    return text ? json_object_set_new(o, key, json_string(text)) : 0;
}

static json_t *entry_json(const struct dk_entry *e)
{
    json_t *o = json_pack("{s:s, s:s, s:s, s:I, s:b}", "id", e->id, "name", e->name, "action",
                          e->pause ? "unpause" : "start", "grace", (json_int_t)e->grace, "repause",
                          e->repause);
    if (o &&
        (set_text(o, "started_at", e->started_at) | set_text(o, "finished_at", e->finished_at) |
         json_object_set_new(o, "done", json_boolean(e->step >= DK_STEP_DONE)))) {
        json_decref(o);
        return NULL;
    }
    return o;
}

/* NULL: out of memory; *ret_n: containers that are owed. Under lock. */
static json_t *promise_json(const struct dk_stopped *st, size_t *ret_n)
{
    json_t *list = json_array();
    int bad = !list;
    *ret_n = 0;
    for (size_t i = 0; i < st->n && !bad; i++) {
        if (!owed(&st->list[i]))
            continue;
        bad = json_array_append_new(list, entry_json(&st->list[i])) < 0;
        ++*ret_n;
    }
    if (bad) {
        json_decref(list);
        return NULL;
    }
    return json_pack("{s:s, s:I, s:o}", "kind", "start", "at", (json_int_t)time(NULL), "containers",
                     list);
}

int dk_stopped_promise_locked(struct dk_source *s, struct bake_ctx *ctx, struct dk_stopped *st)
{
    size_t n = 0;
    (void)pthread_mutex_lock(&s->lock);
    json_t *what = promise_json(st, &n);
    (void)pthread_mutex_unlock(&s->lock);
    int rc = !what   ? dk_nomem(ctx)
             : n > 0 ? dk_promise(s, ctx, what, &st->promise)
                     : dk_promise_kept(s, ctx, &st->promise);
    json_decref(what);
    return rc;
}

int dk_stopped_promise(struct dk_source *s, struct bake_ctx *ctx, struct dk_stopped *st)
{
    (void)pthread_mutex_lock(&s->held->promising);
    int rc = dk_stopped_promise_locked(s, ctx, st);
    (void)pthread_mutex_unlock(&s->held->promising);
    return rc;
}

/* ---- the registry ---------------------------------------------------------------------------- */

static void entry_release(struct dk_entry *e)
{
    free(e->id);
    free(e->name);
    free(e->started_at);
    free(e->finished_at);
}

void dk_stopped_free(struct dk_source *s, struct dk_stopped *st)
{
    (void)pthread_mutex_lock(&s->held->promising);
    (void)pthread_mutex_lock(&s->lock);
    for (struct dk_stopped **p = &s->held->stopped; *p; p = &(*p)->next) {
        if (*p != st)
            continue;
        *p = st->next;
        break;
    }
    (void)pthread_mutex_unlock(&s->lock);
    (void)pthread_mutex_unlock(&s->held->promising);
    for (size_t i = 0; i < st->n; i++)
        entry_release(&st->list[i]);
    free(st->list);
    free(st->promise.volume);
    free(st);
}

static bool held_by_another(const struct dk_held *held, const char *id)
{
    for (const struct dk_stopped *st = held->stopped; st; st = st->next)
        for (size_t i = 0; i < st->n; i++)
            if (strcmp(st->list[i].id, id) == 0 && owed(&st->list[i]))
                return true;
    return false;
}

char **dk_held_ids(struct dk_source *s, uint64_t *ret_begun)
{
    size_t n = 0, cap = 1;
    char **ids;
    bool bad;
    (void)pthread_mutex_lock(&s->lock);
    for (const struct dk_stopped *st = s->held ? s->held->stopped : NULL; st; st = st->next)
        cap += st->n;
    *ret_begun = s->held ? s->held->begun : 0;
    ids = calloc(cap, sizeof(*ids));
    bad = !ids;
    for (const struct dk_stopped *st = s->held ? s->held->stopped : NULL; st; st = st->next)
        for (size_t i = 0; i < st->n && !bad; i++)
            if (owed(&st->list[i]))
                bad = !(ids[n++] = strdup(st->list[i].id));
    (void)pthread_mutex_unlock(&s->lock);
    if (bad && ids) {
        dk_ids_free(ids);
        ids = NULL;
    }
    return ids;
}

void dk_ids_free(char **ids)
{
    for (char **id = ids; id && *id; id++)
        free(*id);
    free(ids);
}

static int make(struct dk_source *s, struct bake_ctx *ctx, struct dk_held *held,
                const struct dk_halt *list, size_t n, struct dk_stopped **ret)
{
    struct dk_stopped *st = calloc(1, sizeof(*st));
    bool bad = !st || !(st->list = calloc(n + 1, sizeof(*st->list)));
    for (size_t i = 0; i < n && !bad; i++) {
        struct dk_entry *e = &st->list[st->n++];
        e->id = strdup(list[i].c->id);
        e->name = strdup(list[i].c->name);
        e->pause = list[i].pause;
        bad = !e->id || !e->name;
    }
    (void)pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < n && !bad; i++) {
        bool other = held_by_another(held, st->list[i].id);
        st->list[i].step = other ? DK_STEP_SHARED : DK_STEP_PLANNED;
    }
    if (!bad) {
        st->next = held->stopped;
        held->stopped = st;
        held->begun++;
    }
    (void)pthread_mutex_unlock(&s->lock);
    if (bad && st)
        dk_stopped_free(s, st);
    if (!bad)
        *ret = st;
    return bad ? dk_nomem(ctx) : BAKE_OK;
}

static void set_step(struct dk_source *s, struct dk_entry *e, enum dk_step step)
{
    (void)pthread_mutex_lock(&s->lock);
    e->step = step;
    (void)pthread_mutex_unlock(&s->lock);
}

static enum dk_step step_of(struct dk_source *s, const struct dk_entry *e)
{
    (void)pthread_mutex_lock(&s->lock);
    enum dk_step step = e->step;
    (void)pthread_mutex_unlock(&s->lock);
    return step;
}

/* ---- one container --------------------------------------------------------------------------- */

static void gone(struct bake_ctx *ctx, const struct dk_entry *e)
{
    bake_report(ctx, BAKE_WARNING, e->name, "this container was removed meanwhile");
}

/* Takes the text of the state into *to. */
static int keep_time(struct dk_source *s, struct bake_ctx *ctx, const json_t *inspect,
                     const char *key, char **to)
{
    char *text = strdup(dk_json_text(json_object_get(inspect, "State"), key));
    (void)pthread_mutex_lock(&s->lock);
    free(*to);
    *to = text;
    (void)pthread_mutex_unlock(&s->lock);
    return text ? BAKE_OK : dk_nomem(ctx);
}

/* How it is before anything is done: what does not run is left alone. */
static int look(struct dk_source *s, struct bake_ctx *ctx, struct dk_entry *e)
{
    json_t *inspect = NULL;
    int rc = dk_inspect(s->api, ctx, e->id, &inspect);
    if (rc == BAKE_E_NOTFOUND) {
        gone(ctx, e);
        set_step(s, e, DK_STEP_NONE);
        return BAKE_OK;
    }
    if (rc != BAKE_OK)
        return rc;
    const json_t *state = json_object_get(inspect, "State");
    bool paused = json_is_true(json_object_get(state, "Paused"));
    if (!json_is_true(json_object_get(state, "Running")) || (e->pause && paused))
        set_step(s, e, DK_STEP_NONE);
    e->repause = paused;
    e->well = strcmp(dk_json_text(json_object_get(state, "Health"), "Status"), "unhealthy") != 0;
    e->grace = e->pause ? PAUSE_GRACE : dk_grace(s, inspect);
    rc = keep_time(s, ctx, inspect, "StartedAt", &e->started_at);
    json_decref(inspect);
    return rc;
}

/* Freezing a container whose processes fork just then can fail, and works a moment later. */
static int freeze(struct dk_source *s, struct bake_ctx *ctx, const struct dk_entry *e)
{
    int rc = BAKE_E_IO;
    for (int i = 0; i < PAUSE_TRIES && rc == BAKE_E_IO; i++) {
        int slept = i > 0 ? ctx->host->sleep_ms(ctx, 200) : BAKE_OK;
        if (slept != BAKE_OK)
            return slept;
        rc = dk_pause(s->api, ctx, e->id, NULL);
    }
    return rc;
}

static int act(struct dk_source *s, struct bake_ctx *ctx, struct dk_entry *e)
{
    uint64_t ms = s->cfg->stop_timeout;
    bake_log(ctx, BAKE_LOG_INFO, "%s container '%s'", e->pause ? "pausing" : "stopping", e->name);
    if (e->pause)
        return freeze(s, ctx, e);
    return dk_stop(s->api, ctx, e->id, ms > 0 ? (int64_t)((ms + 999) / 1000) : -1, NULL);
}

static int halt(struct dk_source *s, struct bake_ctx *ctx, struct dk_stopped *st,
                struct dk_entry *e)
{
    json_t *inspect = NULL;
    (void)pthread_mutex_lock(&s->lock);
    e->since = dk_monotonic();
    if (st->first == 0)
        st->first = e->since;
    e->step = DK_STEP_DOING;
    (void)pthread_mutex_unlock(&s->lock);
    int rc = act(s, ctx, e);
    e->doubt = rc == BAKE_E_TIMEOUT || rc == BAKE_E_UNAVAILABLE || rc == BAKE_E_CANCELLED;
    if (rc == BAKE_OK)
        rc = dk_inspect(s->api, ctx, e->id, &inspect);
    if (rc == BAKE_E_NOTFOUND) {
        gone(ctx, e);
        set_step(s, e, DK_STEP_NONE);
        return dk_stopped_promise(s, ctx, st);
    }
    if (rc == BAKE_OK) /* one that always restarts may have done so since it was looked at */
        rc = keep_time(s, ctx, inspect, "StartedAt", &e->started_at);
    if (rc == BAKE_OK)
        rc = keep_time(s, ctx, inspect, "FinishedAt", &e->finished_at);
    json_decref(inspect);
    if (rc != BAKE_OK)
        return rc;
    set_step(s, e, DK_STEP_DONE);
    return dk_stopped_promise(s, ctx, st);
}

/* Until another group stands by it. If none does any more, it is ours to stop: PLANNED. */
static int await(struct dk_source *s, struct bake_ctx *ctx, struct dk_held *held,
                 struct dk_entry *e)
{
    for (;;) {
        bool busy = false, stands = false;
        (void)pthread_mutex_lock(&s->lock);
        for (const struct dk_stopped *st = held->stopped; st; st = st->next)
            for (size_t i = 0; i < st->n; i++) {
                const struct dk_entry *o = &st->list[i];
                bool same = o != e && strcmp(o->id, e->id) == 0 && owed(o);
                stands = stands || (same && o->step == DK_STEP_DONE);
                busy = busy || (same && o->step != DK_STEP_DONE);
            }
        if (e->step == DK_STEP_SHARED && !busy && !stands)
            e->step = DK_STEP_PLANNED;
        bool over = e->step != DK_STEP_SHARED || !busy;
        (void)pthread_mutex_unlock(&s->lock);
        if (over)
            return BAKE_OK;
        int rc = ctx->host->sleep_ms(ctx, 50);
        if (rc != BAKE_OK)
            return rc;
    }
}

/* One that another group held when this one began. */
static int halt_shared(struct dk_source *s, struct bake_ctx *ctx, struct dk_held *held,
                       struct dk_stopped *st, struct dk_entry *e)
{
    int rc = await(s, ctx, held, e);
    if (rc == BAKE_OK && step_of(s, e) == DK_STEP_PLANNED)
        rc = look(s, ctx, e);
    if (rc != BAKE_OK || step_of(s, e) != DK_STEP_PLANNED)
        return rc;
    rc = dk_stopped_promise(s, ctx, st);
    return rc == BAKE_OK ? halt(s, ctx, st, e) : rc;
}

int dk_halt_all(struct dk_source *s, struct bake_ctx *ctx, const struct dk_halt *list, size_t n,
                struct dk_stopped **ret)
{
    struct dk_held *held = NULL;
    struct dk_stopped *st = NULL;
    *ret = NULL;
    int rc = dk_held_of(s, ctx, &held);
    if (rc == BAKE_OK)
        rc = make(s, ctx, held, list, n, &st);
    if (rc != BAKE_OK)
        return rc;
    *ret = st;
    for (size_t i = 0; i < n && rc == BAKE_OK; i++)
        if (step_of(s, &st->list[i]) == DK_STEP_PLANNED)
            rc = look(s, ctx, &st->list[i]);
    if (rc == BAKE_OK)
        rc = dk_stopped_promise(s, ctx, st);
    for (size_t i = 0; i < n && rc == BAKE_OK; i++) {
        if (ctx->host->cancelled(ctx))
            return bake_fail(ctx, BAKE_E_CANCELLED, "cancelled");
        if (step_of(s, &st->list[i]) == DK_STEP_PLANNED)
            rc = halt(s, ctx, st, &st->list[i]);
    }
    /* only then: two groups that wait for each other must both have done their part */
    for (size_t i = 0; i < n && rc == BAKE_OK; i++)
        if (step_of(s, &st->list[i]) == DK_STEP_SHARED)
            rc = halt_shared(s, ctx, held, st, &st->list[i]);
    return rc;
}

int dk_stop_all(struct dk_source *s, struct bake_ctx *ctx, const struct dk_container *const *list,
                size_t n, enum dk_consistency how, struct dk_stopped **ret)
{
    struct dk_halt *halts = calloc(n + 1, sizeof(*halts));
    size_t used = 0;
    int rc = halts ? BAKE_OK : dk_nomem(ctx);
    *ret = NULL;
    for (size_t i = 0; i < n && rc == BAKE_OK; i++) {
        const json_t *host = json_object_get(list[i]->inspect, "HostConfig");
        if (list[i]->own || how == DK_NONE)
            continue;
        if (how == DK_STOP && list[i]->running && json_is_true(json_object_get(host, "AutoRemove")))
            rc = bake_fail(ctx, BAKE_E_UNSUPPORTED,
                           "container '%s' would be removed when it is stopped (--rm)\n"
                           "HINT: let it end first",
                           list[i]->name);
        halts[used++] = (struct dk_halt){list[i], how == DK_PAUSE};
    }
    if (rc == BAKE_OK)
        rc = dk_halt_all(s, ctx, halts, used, ret);
    free(halts);
    return rc;
}
