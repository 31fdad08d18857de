/* Containers: looking at them, and changing whether they run. */
#include "api_impl.h"
#include "exec_frames.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define OWN_STOP_S 10 /* the daemon's, where the container has none */
#define LOG_LINES  "5"

/* /containers/ID and what follows it. NULL: out of memory. */
static char *path_of(const char *id, const char *rest)
{
    char *quoted = dk_quote(id), *path = NULL;
    if (quoted && asprintf(&path, "/containers/%s%s", quoted, rest) < 0)
        path = NULL;
    free(quoted);
    return path;
}

static int inspect(struct dk_api *api, struct bake_ctx *ctx, const char *id, bool to_the_end,
                   json_t **ret)
{
    char what[128];
    char *path = path_of(id, "/json");
    *ret = NULL;
    if (!path)
        return dk_nomem(ctx);
    (void)snprintf(what, sizeof(what), "look at container '%s'", dk_called(api, id).text);
    struct dk_ask a = {.method = "GET", .path = path, .what = what, .to_the_end = to_the_end};
    int rc = dk_ask(api, ctx, &a, ret, NULL);
    free(path);
    if (rc == BAKE_OK && !json_is_object(json_object_get(*ret, "State"))) {
        json_decref(*ret);
        *ret = NULL;
        rc = bake_fail(ctx, BAKE_E_IO, "cannot %s: docker's answer has no state", what);
    }
    if (rc == BAKE_OK)
        dk_learn_name(api, *ret);
    return rc;
}

int dk_inspect(struct dk_api *api, struct bake_ctx *ctx, const char *id, json_t **ret)
{
    return inspect(api, ctx, id, false, ret);
}

/* ---- changes --------------------------------------------------------------------------------- */

struct change {
    const char *verb; /* as in the path and for people */
    char query[32];
    uint64_t extra_ms;                 /* that the daemon may take beyond the time limit */
    bool (*done)(const json_t *state); /* is it as wanted? */
};

static bool flag(const json_t *state, const char *name)
{
    return json_is_true(json_object_get(state, name));
}
static bool is_stopped(const json_t *s) { return !flag(s, "Running"); }
static bool is_running(const json_t *s) { return flag(s, "Running"); }
static bool is_paused(const json_t *s) { return flag(s, "Paused"); }
static bool is_unpaused(const json_t *s) { return flag(s, "Running") && !flag(s, "Paused"); }

static int is_done(struct dk_api *api, struct bake_ctx *ctx, const char *id, const struct change *c,
                   bool *ret)
{
    json_t *j = NULL;
    int rc = inspect(api, ctx, id, true, &j);
    *ret = rc == BAKE_OK && c->done(json_object_get(j, "State"));
    json_decref(j);
    return rc;
}

static void nap(uint64_t ms)
{
    struct timespec t = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
    (void)nanosleep(&t, NULL);
}

/* The daemon goes on with a call that nobody waits for any more: only its effect tells. */
static int until_known(struct dk_api *api, struct bake_ctx *ctx, const char *id,
                       const struct change *c)
{
    uint64_t end = bkc_http_now() + c->extra_ms + api->timeout_ms;
    for (;;) {
        bool done = false;
        int rc = is_done(api, ctx, id, c, &done);
        if (rc != BAKE_OK && rc != BAKE_E_TIMEOUT)
            return rc;
        if (done)
            return BAKE_OK;
        if (bkc_http_now() >= end)
            return bake_fail(ctx, BAKE_E_TIMEOUT,
                             "cannot %s container '%s': docker did not answer in time, and may "
                             "still do it later",
                             c->verb, dk_called(api, id).text);
        nap(200);
    }
}

static int change(struct dk_api *api, struct bake_ctx *ctx, const char *id, const struct change *c,
                  bool *ret_changed)
{
    char what[128], rest[64];
    long status = 0;
    (void)snprintf(what, sizeof(what), "%s container '%s'", c->verb, dk_called(api, id).text);
    (void)snprintf(rest, sizeof(rest), "/%s%s", c->verb, c->query);
    char *path = path_of(id, rest);
    if (!path)
        return dk_nomem(ctx);
    /* not given up when the run is cancelled: it happens anyway, and must be known to be undone */
    struct dk_ask a = {.method = "POST",
                       .path = path,
                       .what = what,
                       .silence_ms = api->timeout_ms ? api->timeout_ms + c->extra_ms : 0,
                       .to_the_end = true};
    int rc = dk_ask(api, ctx, &a, NULL, &status);
    free(path);
    bool changed = rc == BAKE_OK && status != 304;
    if (rc == BAKE_E_TIMEOUT) {
        rc = until_known(api, ctx, id, c);
        changed = rc == BAKE_OK;
    } else if (rc == BAKE_E_EXISTS || rc == BAKE_E_IO) {
        /* "is already paused" is 409, "is not paused" 500 */
        int first = rc;
        bool done = false;
        rc = is_done(api, ctx, id, c, &done) == BAKE_OK && done ? BAKE_OK : first;
    }
    if (ret_changed)
        *ret_changed = changed;
    return rc;
}

static uint64_t own_stop_ms(const json_t *inspected)
{
    const json_t *s = json_object_get(json_object_get(inspected, "Config"), "StopTimeout");
    json_int_t n = json_is_integer(s) ? json_integer_value(s) : OWN_STOP_S;
    return n > 0 && n < 1000000 ? (uint64_t)n * 1000 : OWN_STOP_S * 1000;
}

int dk_stop(struct dk_api *api, struct bake_ctx *ctx, const char *id, int64_t seconds,
            bool *ret_changed)
{
    struct change c = {.verb = "stop", .done = is_stopped};
    if (seconds >= 0) {
        (void)snprintf(c.query, sizeof(c.query), "?t=%lld", (long long)seconds);
        c.extra_ms = (uint64_t)seconds * 1000;
        return change(api, ctx, id, &c, ret_changed);
    }
    json_t *j = NULL;
    int rc = dk_inspect(api, ctx, id, &j);
    if (rc != BAKE_OK)
        return rc;
    c.extra_ms = own_stop_ms(j);
    json_decref(j);
    return change(api, ctx, id, &c, ret_changed);
}

int dk_start(struct dk_api *api, struct bake_ctx *ctx, const char *id, bool *ret_changed)
{
    const struct change c = {.verb = "start", .done = is_running};
    return change(api, ctx, id, &c, ret_changed);
}

int dk_pause(struct dk_api *api, struct bake_ctx *ctx, const char *id, bool *ret_changed)
{
    const struct change c = {.verb = "pause", .done = is_paused};
    return change(api, ctx, id, &c, ret_changed);
}

int dk_unpause(struct dk_api *api, struct bake_ctx *ctx, const char *id, bool *ret_changed)
{
    const struct change c = {.verb = "unpause", .done = is_unpaused};
    return change(api, ctx, id, &c, ret_changed);
}

/* Somebody else is removing it: until it is gone. END: nobody is. */
static int until_gone(struct dk_api *api, struct bake_ctx *ctx, const char *id)
{
    uint64_t end = bkc_http_now() + api->timeout_ms;
    for (;;) {
        json_t *j = NULL;
        int rc = dk_inspect(api, ctx, id, &j);
        const char *status =
            json_string_value(json_object_get(json_object_get(j, "State"), "Status"));
        bool going = status && strcmp(status, "removing") == 0;
        json_decref(j);
        if (rc != BAKE_OK)
            return rc == BAKE_E_NOTFOUND ? BAKE_OK : rc;
        if (!going || bkc_http_now() >= end)
            return BAKE_END;
        if ((rc = ctx->host->sleep_ms(ctx, 200)) != BAKE_OK)
            return rc;
    }
}

int dk_remove_container(struct dk_api *api, struct bake_ctx *ctx, const char *id, bool force)
{
    char what[128];
    char *path = path_of(id, force ? "?v=1&force=1" : "?v=1");
    if (!path)
        return dk_nomem(ctx);
    (void)snprintf(what, sizeof(what), "remove container '%s'", dk_called(api, id).text);
    /* what was made for a moment goes also when the run is cancelled */
    struct dk_ask a = {.method = "DELETE", .path = path, .what = what, .to_the_end = true};
    int rc = dk_ask(api, ctx, &a, NULL, NULL);
    free(path);
    if (rc == BAKE_E_EXISTS) {
        int gone = until_gone(api, ctx, id);
        rc = gone == BAKE_END ? rc : gone;
    }
    return rc == BAKE_E_NOTFOUND ? BAKE_OK : rc;
}

/* ---- health ---------------------------------------------------------------------------------- */

/* The last lines of its log, in one line; "" when they cannot be had. */
static void last_words(struct dk_api *api, struct bake_ctx *ctx, const char *id, bool tty,
                       char *out, size_t cap)
{
    char *path = path_of(id, "/logs?stdout=1&stderr=1&tail=" LOG_LINES), *body = NULL;
    struct dk_ask a = {.method = "GET", .path = path ? path : ""};
    struct dk_frames frames = {.n_head = 0};
    struct dk_piece piece;
    size_t n = 0, used = 0;

    out[0] = '\0';
    if (path && dk_ask_open(api, ctx, &a) == BAKE_OK && dk_ask_answer(api, ctx, &a) == BAKE_OK)
        (void)bkc_call_collect(a.call, 64U * 1024, &body, &n);
    dk_ask_close(&a);
    free(path);
    const char *at = body;
    while (n > 0 && used + 1 < cap) {
        if (tty)
            piece = (struct dk_piece){.stream = 1, .data = at, .n = n};
        if (!tty && dk_frames_next(&frames, &at, &n, &piece) != BAKE_OK)
            break;
        for (size_t i = 0; i < piece.n && used + 1 < cap; i++)
            out[used++] = piece.data[i] == '\n' ? ' ' : piece.data[i];
        if (tty)
            break;
    }
    while (used > 0 && out[used - 1] == ' ')
        used--;
    out[used] = '\0';
    free(body);
}

static struct dk_short name_of(const json_t *inspected, const char *id)
{
    const char *name = json_string_value(json_object_get(inspected, "Name"));
    return dk_short(name && name[0] == '/' ? name + 1 : id);
}

static int has_ended(struct dk_api *api, struct bake_ctx *ctx, const char *id,
                     const json_t *inspected)
{
    char words[400];
    const json_t *state = json_object_get(inspected, "State");
    bool tty = flag(json_object_get(inspected, "Config"), "Tty");
    long long code = (long long)json_integer_value(json_object_get(state, "ExitCode"));
    last_words(api, ctx, id, tty, words, sizeof(words));
    return bake_fail(ctx, BAKE_E_CHILD, "container '%s' has ended with exit code %lld%s%s%s",
                     name_of(inspected, id).text, code, words[0] ? ": '" : "", words,
                     words[0] ? "'" : "");
}

/* OK: it runs and is healthy; END: not yet. */
static int health_of(struct dk_api *api, struct bake_ctx *ctx, const char *id,
                     const json_t *inspected, const char **ret_how)
{
    const json_t *state = json_object_get(inspected, "State");
    const char *status = json_string_value(json_object_get(state, "Status"));
    const char *health =
        json_string_value(json_object_get(json_object_get(state, "Health"), "Status"));
    if (status && (strcmp(status, "exited") == 0 || strcmp(status, "dead") == 0))
        return has_ended(api, ctx, id, inspected);
    *ret_how = "not running";
    if (!is_unpaused(state) || flag(state, "Restarting"))
        return BAKE_END;
    *ret_how = health && strcmp(health, "unhealthy") == 0 ? "unhealthy" : "still starting";
    return !health || strcmp(health, "healthy") == 0 || strcmp(health, "none") == 0 ? BAKE_OK
                                                                                    : BAKE_END;
}

int dk_wait_healthy(struct dk_api *api, struct bake_ctx *ctx, const char *id, uint64_t timeout_ms)
{
    uint64_t start = bkc_http_now();
    for (;;) {
        json_t *j = NULL;
        const char *how = "";
        int rc = dk_inspect(api, ctx, id, &j);
        if (rc != BAKE_OK)
            return rc;
        rc = health_of(api, ctx, id, j, &how);
        struct dk_short name = name_of(j, id);
        json_decref(j);
        if (rc != BAKE_END)
            return rc;
        if (bkc_http_now() - start >= timeout_ms)
            return bake_fail(ctx, BAKE_E_TIMEOUT, "container '%s' is %s after %llu s", name.text,
                             how, (unsigned long long)(timeout_ms + 999) / 1000);
        if ((rc = ctx->host->sleep_ms(ctx, 250)) != BAKE_OK)
            return rc;
    }
}
