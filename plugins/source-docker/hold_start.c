/* Starting again what was stopped: every container is tried, also after failures, and none waits
 * for another one's health. What cannot be started stays promised. */
#include "hold_impl.h"

#include "api.h"
#include <stdlib.h>
#include <string.h>

#define TRY_FOR       60.0  /* seconds to try a start that fails */
#define TRY_FOR_AWAY  120.0 /* the same while the daemon itself is not there, as it restarts */
#define PAUSE_FIRST   500   /* ms between tries, doubled each time */
#define PAUSE_LONGEST 2000

/* ---- other groups ---------------------------------------------------------------------------- */

static struct dk_entry *sharer(struct dk_held *held, const struct dk_stopped * not, const char *id,
                               struct dk_stopped **ret)
{
    for (struct dk_stopped *st = held->stopped; st; st = st->next)
        for (size_t i = 0; st != not &&i < st->n; i++)
            if (st->list[i].step == DK_STEP_SHARED && strcmp(st->list[i].id, id) == 0) {
                *ret = st;
                return &st->list[i];
            }
    return NULL;
}

static void swap_text(char **a, char **b)
{
    char *t = *a;
    *a = *b;
    *b = t;
}

/* Another group needs it to stand: that one starts it. *ret: it took it. */
static int pass_on(struct dk_source *s, struct bake_ctx *ctx, struct dk_stopped *st,
                   struct dk_entry *e, bool *ret)
{
    struct dk_stopped *heir = NULL;
    (void)pthread_mutex_lock(&s->held->promising);
    (void)pthread_mutex_lock(&s->lock);
    struct dk_entry *to = sharer(s->held, st, e->id, &heir);
    *ret = to && e->step != DK_STEP_DOING;
    if (!to && e->step == DK_STEP_DONE)
        e->step = DK_STEP_STARTING;
    if (*ret) {
        swap_text(&to->started_at, &e->started_at);
        swap_text(&to->finished_at, &e->finished_at);
        to->grace = e->grace;
        to->pause = e->pause;
        to->repause = e->repause;
        to->well = e->well;
        to->since = e->since;
        to->step = DK_STEP_DONE;
        e->step = DK_STEP_NONE;
        e->seconds = dk_monotonic() - e->since;
        if (heir->first == 0)
            heir->first = e->since;
    }
    (void)pthread_mutex_unlock(&s->lock);
    int rc = *ret ? dk_stopped_promise_locked(s, ctx, heir) : BAKE_OK;
    (void)pthread_mutex_unlock(&s->held->promising);
    return rc;
}

/* ---- one container --------------------------------------------------------------------------- */

static void over(struct dk_source *s, struct dk_stopped *st, struct dk_entry *e, bool started)
{
    st->last = dk_monotonic();
    e->seconds = st->last - e->since;
    (void)pthread_mutex_lock(&s->lock);
    e->step = DK_STEP_NONE;
    (void)pthread_mutex_unlock(&s->lock);
    e->started = started;
}

/* It does not stand paused any more: it has ended meanwhile, and not by us. */
static bool has_ended(struct dk_source *s, struct bake_ctx *ctx, const struct dk_entry *e)
{
    json_t *inspect = NULL;
    int rc = dk_inspect(s->api, ctx, e->id, &inspect);
    bool ended = rc == BAKE_OK &&
                 !json_is_true(json_object_get(json_object_get(inspect, "State"), "Running"));
    json_decref(inspect);
    return ended;
}

/* Somebody else has started it since, and it has ended again: then it is to stand. */
static bool ran_since(struct dk_source *s, struct bake_ctx *ctx, struct dk_entry *e)
{
    json_t *inspect = NULL;
    if (e->pause || e->tried || !e->finished_at)
        return false;
    int rc = dk_inspect(s->api, ctx, e->id, &inspect);
    const json_t *state = json_object_get(inspect, "State");
    bool ran = rc == BAKE_OK && !json_is_true(json_object_get(state, "Running")) &&
               strcmp(dk_json_text(state, "FinishedAt"), e->finished_at) != 0;
    json_decref(inspect);
    return ran;
}

static int start(struct dk_source *s, struct bake_ctx *ctx, struct dk_stopped *st,
                 struct dk_entry *e)
{
    if (ran_since(s, ctx, e)) {
        bake_report(ctx, BAKE_WARNING, e->name,
                    "somebody else has started this container while it was held, and it has ended "
                    "since: it is left so");
        over(s, st, e, false);
        return BAKE_OK;
    }
    e->tried = true;
    int rc = e->pause ? dk_unpause(s->api, ctx, e->id, NULL) : dk_start(s->api, ctx, e->id, NULL);
    if (rc == BAKE_E_NOTFOUND) {
        bake_report(ctx, BAKE_WARNING, e->name, "this container was removed while it was held");
        over(s, st, e, false);
        return BAKE_OK;
    }
    if (rc != BAKE_OK && e->pause && has_ended(s, ctx, e)) {
        bake_report(ctx, BAKE_WARNING, e->name, "this container has ended while it was paused");
        over(s, st, e, false);
        return BAKE_OK;
    }
    if (rc == BAKE_OK && e->repause)
        rc = dk_pause(s->api, ctx, e->id, NULL);
    if (rc == BAKE_OK) {
        bake_log(ctx, BAKE_LOG_INFO, "%s container '%s' again", e->pause ? "resumed" : "started",
                 e->name);
        over(s, st, e, !e->repause);
    }
    return rc;
}

/* A stop whose answer never came may still be carried out: the start must come after it. */
static int settle(struct dk_source *s, struct bake_ctx *ctx, const struct dk_entry *e)
{
    double until = e->since + (double)e->grace + 5;
    for (;;) {
        json_t *inspect = NULL;
        int rc = dk_inspect(s->api, ctx, e->id, &inspect);
        const json_t *state = json_object_get(inspect, "State");
        bool runs = json_is_true(json_object_get(state, "Running")) &&
                    !json_is_true(json_object_get(state, "Paused"));
        json_decref(inspect);
        if (rc != BAKE_OK || !runs || dk_monotonic() >= until)
            return rc == BAKE_E_NOTFOUND ? BAKE_OK : rc;
        if ((rc = ctx->host->sleep_ms(ctx, 250)) != BAKE_OK)
            return rc;
    }
}

/* ---- all ------------------------------------------------------------------------------------- */

/* Once through all that is still owed, last stopped first. Of several failures the last is said. */
static int pass(struct dk_source *s, struct bake_ctx *ctx, struct dk_stopped *st, bool doubtful)
{
    int worst = BAKE_OK;
    for (size_t i = st->n; i-- > 0;) {
        struct dk_entry *e = &st->list[i];
        bool taken = false;
        int rc = BAKE_OK;
        if (e->step < DK_STEP_DOING || (e->step == DK_STEP_DOING && !doubtful))
            continue;
        rc = pass_on(s, ctx, st, e, &taken);
        if (!taken && e->step == DK_STEP_DOING && e->doubt)
            rc = settle(s, ctx, e);
        if (!taken && rc == BAKE_OK)
            rc = start(s, ctx, st, e);
        if (rc != BAKE_OK)
            worst = rc;
    }
    return worst;
}

/* First of all, so that from here on no other group passes anything on to this one. */
static void drop_idle(struct dk_source *s, struct dk_stopped *st)
{
    (void)pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < st->n; i++)
        if (st->list[i].step == DK_STEP_PLANNED || st->list[i].step == DK_STEP_SHARED)
            st->list[i].step = DK_STEP_NONE;
    (void)pthread_mutex_unlock(&s->lock);
}

static int start_all(struct dk_source *s, struct bake_ctx *ctx, struct dk_stopped *st)
{
    double begin = dk_monotonic();
    uint32_t pause = PAUSE_FIRST;
    int rc = pass(s, ctx, st, false), other = pass(s, ctx, st, true);
    rc = rc == BAKE_OK ? other : rc;
    while (rc != BAKE_OK && rc != BAKE_E_CANCELLED && rc != BAKE_E_NOMEM) {
        double limit = rc == BAKE_E_UNAVAILABLE ? TRY_FOR_AWAY : TRY_FOR;
        if (dk_monotonic() - begin >= limit || ctx->host->sleep_ms(ctx, pause) != BAKE_OK)
            break;
        pause = pause * 2 > PAUSE_LONGEST ? PAUSE_LONGEST : pause * 2;
        rc = pass(s, ctx, st, true);
    }
    return rc;
}

/* Each that does not come up is named; the first failure is the result. */
static int await_health(struct dk_source *s, struct bake_ctx *ctx, const struct dk_stopped *st)
{
    double until = dk_monotonic() + (double)s->cfg->health_timeout / 1000;
    const char *who = NULL;
    int first = BAKE_OK;
    for (size_t i = st->n; i-- > 0 && s->cfg->health_timeout > 0;) {
        const struct dk_entry *e = &st->list[i];
        double left = until - dk_monotonic();
        if (!e->started || !e->well)
            continue;
        int rc = dk_wait_healthy(s->api, ctx, e->id, left > 0.25 ? (uint64_t)(left * 1000) : 250);
        if (rc == BAKE_E_CANCELLED)
            return rc;
        if (rc == BAKE_E_NOTFOUND)
            rc = BAKE_OK; /* somebody has removed it since */
        if (rc != BAKE_OK && first != BAKE_OK)
            bake_report(ctx, BAKE_WARNING, e->name, "is not healthy after it was started again");
        if (rc != BAKE_OK && first == BAKE_OK) {
            first = rc;
            who = e->name;
        }
    }
    if (first == BAKE_OK)
        return BAKE_OK;
    return bake_fail(ctx, first,
                     "container '%s' was started again, but does not run as it did before\n"
                     "HINT: look at its log",
                     who);
}

int dk_resume_all(struct dk_source *s, struct bake_ctx *ctx, struct dk_stopped *st, bool wait)
{
    drop_idle(s, st);
    int rc = start_all(s, ctx, st);
    bool running = rc == BAKE_OK;
    int kept = dk_stopped_promise(s, ctx, st);
    if (kept != BAKE_OK && running)
        return kept;
    if (!running) {
        for (size_t i = 0; i < st->n; i++)
            if (st->list[i].step != DK_STEP_NONE)
                bake_report(ctx, BAKE_PARTIAL, st->list[i].name,
                            "this container could not be started again\nHINT: docker start %s",
                            st->list[i].name);
        return rc;
    }
    return wait ? await_health(s, ctx, st) : BAKE_OK;
}

int dk_start_again(struct dk_source *s, struct bake_ctx *ctx, struct dk_stopped *st, bool wait,
                   double *ret_seconds)
{
    if (ret_seconds)
        *ret_seconds = 0;
    if (!st)
        return BAKE_OK;
    int rc = dk_resume_all(s, ctx, st, wait);
    if (ret_seconds && st->first > 0 && st->last > st->first)
        *ret_seconds = st->last - st->first;
    dk_stopped_free(s, st);
    return rc;
}

int dk_leave_stopped(struct dk_source *s, struct bake_ctx *ctx, struct dk_stopped *st)
{
    if (!st)
        return BAKE_OK;
    (void)pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < st->n; i++)
        st->list[i].step = DK_STEP_NONE;
    (void)pthread_mutex_unlock(&s->lock);
    int rc = dk_stopped_promise(s, ctx, st);
    dk_stopped_free(s, st);
    return rc;
}
