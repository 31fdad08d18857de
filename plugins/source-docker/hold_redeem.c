/* Keeping what a process promised that cannot any more: in the guard that it left behind, or in a
 * later run. What somebody else has changed since is left as it is. */
#include "hold_impl.h"

#include "api.h"
#include "ops.h"
#include "promise.h"
#include "restore.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TRY_FOR     120.0 /* seconds: a daemon that restarts comes back */
#define TRY_START   60.0
#define SLACK       10 /* seconds beyond its grace in which a stop may still come */
#define PAUSE       500
#define PAUSE_WATCH 250

/* ---- what is to be done ---------------------------------------------------------------------- */

static bool same_time(const json_t *promised, const char *key, const json_t *state,
                      const char *state_key)
{
    const char *a = dk_json_text(promised, key), *b = dk_json_text(state, state_key);
    return *a && strcmp(a, b) == 0;
}

enum dk_redeem_act dk_redeem_decide(const json_t *promised, const json_t *inspect, bool in_flight)
{
    const json_t *state = json_object_get(inspect, "State");
    bool running = json_is_true(json_object_get(state, "Running"));
    bool paused = json_is_true(json_object_get(state, "Paused"));
    bool since = same_time(promised, "started_at", state, "StartedAt");
    if (!since)
        return DK_REDEEM_NOTHING; /* started again by somebody else */
    if (strcmp(dk_json_text(promised, "action"), "unpause") == 0) {
        if (paused)
            return DK_REDEEM_UNPAUSE;
        return running && in_flight ? DK_REDEEM_WATCH : DK_REDEEM_NOTHING;
    }
    if (running)
        return in_flight ? DK_REDEEM_WATCH : DK_REDEEM_NOTHING;
    if (*dk_json_text(promised, "finished_at") &&
        !same_time(promised, "finished_at", state, "FinishedAt"))
        return DK_REDEEM_NOTHING;
    return DK_REDEEM_START;
}

/* ---- doing it -------------------------------------------------------------------------------- */

struct redeem {
    struct dk_source *s;
    struct bake_ctx *ctx;
    const json_t *list;
    size_t flying; /* the container that was being stopped when all ended; list's size: none */
    int64_t at;    /* wall clock of the promise */
};

static int start_again(struct redeem *r, const json_t *promised, bool unpause)
{
    const char *id = dk_json_text(promised, "id");
    int rc =
        unpause ? dk_unpause(r->s->api, r->ctx, id, NULL) : dk_start(r->s->api, r->ctx, id, NULL);
    if (rc == BAKE_OK && !unpause && json_is_true(json_object_get(promised, "repause")))
        rc = dk_pause(r->s->api, r->ctx, id, NULL);
    if (rc == BAKE_OK)
        bake_log(r->ctx, BAKE_LOG_WARN, "started container '%s' again, which a run had left %s",
                 dk_json_text(promised, "name"), unpause ? "paused" : "stopped");
    return rc == BAKE_E_NOTFOUND ? BAKE_OK : rc;
}

/* END: it still runs, and a stop may come. */
static int redeem_one(struct redeem *r, size_t i, bool in_flight)
{
    const json_t *promised = json_array_get(r->list, i);
    json_t *inspect = NULL;
    int rc = dk_inspect(r->s->api, r->ctx, dk_json_text(promised, "id"), &inspect);
    if (rc == BAKE_E_NOTFOUND)
        return BAKE_OK;
    if (rc != BAKE_OK)
        return rc;
    enum dk_redeem_act act = dk_redeem_decide(promised, inspect, in_flight);
    json_decref(inspect);
    if (act == DK_REDEEM_NOTHING)
        return BAKE_OK;
    return act == DK_REDEEM_WATCH ? BAKE_END : start_again(r, promised, act == DK_REDEEM_UNPAUSE);
}

static int redeem_flying(struct redeem *r)
{
    const json_t *promised = json_array_get(r->list, r->flying);
    int64_t grace = json_integer_value(json_object_get(promised, "grace")) + SLACK;
    int64_t left = r->at + grace - (int64_t)time(NULL);
    double until = dk_monotonic() + (double)(left > grace ? grace : left);
    int rc;
    while ((rc = redeem_one(r, r->flying, dk_monotonic() < until)) == BAKE_END)
        if ((rc = r->ctx->host->sleep_ms(r->ctx, PAUSE_WATCH)) != BAKE_OK)
            return rc;
    return rc;
}

static int redeem_all(struct redeem *r)
{
    int worst = BAKE_OK, rc;
    for (size_t i = json_array_size(r->list); i-- > 0;)
        if (i != r->flying && (rc = redeem_one(r, i, false)) != BAKE_OK)
            worst = rc;
    if (r->flying < json_array_size(r->list) && (rc = redeem_flying(r)) != BAKE_OK)
        worst = rc;
    return worst;
}

int dk_redeem_start(struct dk_source *s, struct bake_ctx *ctx, const json_t *what)
{
    struct redeem r = {.s = s,
                       .ctx = ctx,
                       .list = json_object_get(what, "containers"),
                       .at = json_integer_value(json_object_get(what, "at"))};
    double begin = dk_monotonic();
    int rc;
    while (r.flying < json_array_size(r.list) &&
           json_is_true(json_object_get(json_array_get(r.list, r.flying), "done")))
        r.flying++;
    while ((rc = redeem_all(&r)) != BAKE_OK && rc != BAKE_E_CANCELLED && rc != BAKE_E_NOMEM) {
        double limit = rc == BAKE_E_UNAVAILABLE ? TRY_FOR : TRY_START;
        if (dk_monotonic() - begin >= limit || ctx->host->sleep_ms(ctx, 2 * PAUSE) != BAKE_OK)
            break;
    }
    return rc;
}

/* ---- in another process ---------------------------------------------------------------------- */

int dk_redeem_with(struct dk_source *s, struct bake_ctx *ctx, const json_t *what)
{
    const char *kind = dk_json_text(what, "kind"), *nonce = dk_json_text(what, "nonce");
    int rc;
    if (strcmp(kind, "start") == 0)
        rc = dk_redeem_start(s, ctx, what);
    else if (strcmp(kind, "restore") == 0)
        rc = dk_restore_redeem(s, ctx, what);
    else
        rc = bake_fail(ctx, BAKE_E_UNSUPPORTED,
                       "promises of kind '%s' are not known here\n"
                       "HINT: a newer bakengine made it; let that one redeem it",
                       kind);
    return rc == BAKE_OK && *nonce ? dk_promise_forget_all(s, ctx, nonce) : rc;
}

static int connect_again(struct bake_ctx *ctx, const void *cfg, const char *host,
                         struct dk_source **ret)
{
    double begin = dk_monotonic();
    for (bool said = false;;) {
        int rc = dk_source_new(ctx, cfg, host, ret);
        if ((rc != BAKE_E_UNAVAILABLE && rc != BAKE_E_TIMEOUT && rc != BAKE_E_IO) ||
            dk_monotonic() - begin >= TRY_FOR)
            return rc;
        if (!said)
            bake_log(ctx, BAKE_LOG_WARN,
                     "the Docker daemon does not answer; trying on, as containers are to be "
                     "started again");
        said = true;
        if (ctx->host->sleep_ms(ctx, PAUSE) != BAKE_OK)
            return rc;
    }
}

int dk_redeem(struct bake_ctx *ctx, const void *cfg, const char *what)
{
    json_t *o = json_loads(what, 0, NULL);
    struct dk_source *s = NULL;
    if (!json_is_object(o)) {
        json_decref(o);
        return bake_fail(ctx, BAKE_E_CORRUPT, "a promise is not a JSON object");
    }
    const char *host = json_string_value(json_object_get(o, "host"));
    int rc = connect_again(ctx, cfg, host, &s);
    if (rc == BAKE_OK)
        rc = dk_redeem_with(s, ctx, o);
    dk_source_free(s);
    json_decref(o);
    return rc;
}
