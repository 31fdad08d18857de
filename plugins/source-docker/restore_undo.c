/* Undoing a restore from its obligation alone: old content back, what was made removed, containers
 * as they were. Every step may have been done already, or may never have been begun. */
#include "restore_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRIES  20
#define TRY_MS 1000

struct undo {
    struct dk_source *s;
    struct bake_ctx *ctx;
    const json_t *doc;
    bool dead;
    bool again; /* it will be tried again soon: failures are no news yet */
    int rc;     /* the first failure that leaves something undone */
};

static const char *text(const json_t *o, const char *key)
{
    const char *ret = json_string_value(json_object_get(o, key));
    return ret ? ret : "";
}

static void failed(struct undo *u, int rc, const char *subject, const char *why)
{
    if (u->rc == BAKE_OK)
        u->rc = rc;
    if (u->again)
        bake_log(u->ctx, BAKE_LOG_INFO, "'%s' cannot be put back yet: %s", subject, why);
    else
        bake_report(u->ctx, BAKE_PARTIAL, subject, "could not be put back as it was: %s", why);
}

static bool phase_is(const struct undo *u, const char *phase)
{
    return strcmp(text(u->doc, "phase"), phase) == 0;
}

/* Was anything exchanged, or may it have been? */
static bool switched(const struct undo *u)
{
    return !phase_is(u, "staging") && !phase_is(u, "stopping");
}

/* ---- has somebody else taken over? ----------------------------------------------------------- */

/* A container that was stopped for the restore runs, and it was not we who started it: its data are
 * in use, and may have changed since. Taking them away would be worse than what happened. */
static bool taken_over(struct undo *u, const char **ret_name)
{
    json_t *c;
    size_t i;
    json_array_foreach(json_object_get(u->doc, "containers"), i, c)
    {
        struct rs_state state;
        struct rs_hush h;
        rs_hush(&h, u->ctx);
        if (!json_is_true(json_object_get(c, "stopped")) ||
            json_is_true(json_object_get(c, "started")) || !json_object_get(c, "finished_at") ||
            rs_state(u->s, &h.ctx, text(c, "id"), &state) != BAKE_OK || !state.running)
            continue;
        *ret_name = text(c, "name");
        return true;
    }
    return false;
}

/* The same whenever the same document is redeemed: whoever does it may be killed as well. */
static char *kept_name(const struct undo *u)
{
    const char *noted = text(u->doc, "kept");
    const char *nonce = text(json_array_get(json_object_get(u->doc, "places"), 0), "nonce");
    char *ret = NULL;
    if (noted[0])
        return strdup(noted);
    if (!nonce[0])
        return rs_kept_name();
    return asprintf(&ret, RS_KEPT "%.12s", nonce) < 0 ? NULL : ret;
}

static int leave_it(struct undo *u, const char *name)
{
    char *kept = kept_name(u);
    int rc = kept ? rs_keep(u->s, u->ctx, kept, u->doc) : dk_nomem(u->ctx);
    free(kept);
    if (rc == BAKE_OK)
        bake_report(u->ctx, BAKE_WARNING, text(u->doc, "stack"),
                    "its restore was cut off, and container '%s' has been started since: nothing "
                    "is put back or started by itself. The content before the restore is kept\n"
                    "HINT: restore it again, or undo with --undo --stack %s",
                    name, text(u->doc, "stack"));
    return rc;
}

/* All data are in and were found good; only the start was cut off. Going on is nearer to what was
 * wanted, and by now the new data may be in use. */
static int go_on(struct undo *u)
{
    const json_t *list = json_object_get(u->doc, "containers");
    char *name = kept_name(u);
    json_t *doc = json_deep_copy(u->doc), *dropped = NULL;
    json_t *keep = doc ? rs_without_made(doc, &dropped) : NULL;
    int rc = keep && name ? rs_keep(u->s, u->ctx, name, keep) : dk_nomem(u->ctx);
    free(name);
    json_decref(doc);
    for (size_t i = json_array_size(list); i-- > 0 && rc == BAKE_OK;) {
        const json_t *c = json_array_get(list, i);
        struct rs_hush h;
        rs_hush(&h, u->ctx);
        int started = json_is_true(json_object_get(c, "run"))
                          ? dk_start(u->s->api, &h.ctx, text(c, "id"), NULL)
                          : BAKE_OK;
        if (started != BAKE_OK && started != BAKE_E_NOTFOUND)
            rc = bake_fail(u->ctx, started, "%s", h.text);
    }
    if (rc == BAKE_OK)
        rs_drop_places(u->s, u->ctx, dropped);
    json_decref(dropped);
    if (rc == BAKE_OK)
        bake_report(u->ctx, BAKE_WARNING, text(u->doc, "stack"),
                    "its restore was cut off when all was restored and the stack was being "
                    "started: it has been started now\n"
                    "HINT: see that it is well, or undo with --undo --stack %s",
                    text(u->doc, "stack"));
    return rc;
}

/* ---- the steps ------------------------------------------------------------------------------- */

static void stop(struct undo *u, const char *id, const char *name)
{
    struct rs_hush h;
    rs_hush(&h, u->ctx);
    int rc = dk_stop(u->s->api, &h.ctx, id, -1, NULL);
    if (rc != BAKE_OK && rc != BAKE_E_NOTFOUND)
        failed(u, rc, name, h.text);
}

static void stop_all(struct undo *u)
{
    json_t *c;
    size_t i;
    const char *name;
    json_array_foreach(json_object_get(u->doc, "containers"), i, c)
        stop(u, text(c, "id"), text(c, "name"));
    json_object_foreach(json_object_get(json_object_get(u->doc, "made"), "containers"), name,
                        c) if (json_is_string(c)) stop(u, json_string_value(c), name);
}

static void put_back(struct undo *u)
{
    const json_t *places = json_object_get(u->doc, "places");
    const json_t *files = json_object_get(u->doc, "files"), *keys = json_object_get(u->doc, "keys");
    struct rs_hush h;
    for (size_t i = json_array_size(places); i-- > 0;) {
        const char *key = json_string_value(json_array_get(keys, i));
        rs_hush(&h, u->ctx);
        int rc = dk_place_undo(u->s, &h.ctx, json_array_get(places, i));
        if (rc != BAKE_OK)
            failed(u, rc, key ? key + 2 : "", h.text);
    }
    for (size_t i = json_array_size(files); i-- > 0;) {
        rs_hush(&h, u->ctx);
        int rc = rs_files_undo(&h.ctx, json_array_get(files, i));
        if (rc != BAKE_OK)
            failed(u, rc, text(u->doc, "stack"), h.text);
    }
}

static bool never_ran(struct undo *u, const char *id)
{
    struct rs_hush h;
    json_t *got = NULL;
    rs_hush(&h, u->ctx);
    bool ret = dk_inspect(u->s->api, &h.ctx, id, &got) == BAKE_OK &&
               strcmp(text(json_object_get(got, "State"), "Status"), "created") == 0;
    json_decref(got);
    return ret;
}

/* id null: it was to be made, and nobody knows whether it was, and by whom: then only what is
 * without use and without content goes. */
static void remove_containers(struct undo *u)
{
    const char *name;
    json_t *id;
    json_object_foreach(json_object_get(json_object_get(u->doc, "made"), "containers"), name, id)
    {
        struct rs_hush h;
        rs_hush(&h, u->ctx);
        if (!json_is_string(id) && !never_ran(u, name))
            continue;
        int rc = dk_remove_container(u->s->api, &h.ctx,
                                     json_is_string(id) ? json_string_value(id) : name, true);
        if (rc != BAKE_OK)
            failed(u, rc, name, h.text);
    }
}

static void remove_networks(struct undo *u)
{
    const char *name;
    json_t *id;
    json_object_foreach(json_object_get(json_object_get(u->doc, "made"), "networks"), name, id)
    {
        struct rs_hush h;
        char path[200];
        rs_hush(&h, u->ctx);
        if (!json_is_string(id))
            continue;
        (void)snprintf(path, sizeof(path), "/networks/%s", json_string_value(id));
        int rc = dk_delete(u->s->api, &h.ctx, path);
        if (rc != BAKE_OK && rc != BAKE_E_NOTFOUND)
            bake_report(u->ctx, BAKE_NOTICE, name, "the network stays: %s", h.text);
    }
}

static void remove_volumes(struct undo *u)
{
    const char *name;
    json_t *id;
    json_object_foreach(json_object_get(json_object_get(u->doc, "made"), "volumes"), name, id)
    {
        struct rs_hush h;
        rs_hush(&h, u->ctx);
        if (json_is_string(id) && rs_volume_remove(u->s, &h.ctx, name) != BAKE_OK)
            bake_report(u->ctx, BAKE_NOTICE, name, "the volume stays: %s", h.text);
    }
}

/* ---- running as before ----------------------------------------------------------------------- */

static bool was(const json_t *c, const char *how) { return strcmp(text(c, "was"), how) == 0; }

/* Only what was stopped for the restore, and what still is as that left it. */
static bool to_start(struct undo *u, const json_t *c, bool all)
{
    struct rs_state state;
    struct rs_hush h;
    rs_hush(&h, u->ctx);
    if (was(c, "stopped") || (!all && !json_is_true(json_object_get(c, "stopped"))) ||
        rs_state(u->s, &h.ctx, text(c, "id"), &state) != BAKE_OK)
        return false;
    if (all || !u->dead)
        return true;
    if (!json_object_get(c, "finished_at")) /* its stop may not be over yet */
        return !state.running || strcmp(state.started_at, text(c, "started_at")) == 0;
    return !state.running && strcmp(state.finished_at, text(c, "finished_at")) == 0;
}

/* Was its stop asked for, without anybody knowing that it is over? */
static bool in_flight(const json_t *c)
{
    return json_is_true(json_object_get(c, "stopped")) && !json_object_get(c, "finished_at");
}

static void start(struct undo *u, const json_t *c)
{
    struct rs_hush h;
    rs_hush(&h, u->ctx);
    int rc = dk_start(u->s->api, &h.ctx, text(c, "id"), NULL);
    if (rc == BAKE_OK && was(c, "paused")) {
        struct rs_state state;
        rc = rs_state(u->s, &h.ctx, text(c, "id"), &state);
        if (rc == BAKE_OK && !state.paused)
            rc = dk_pause(u->s->api, &h.ctx, text(c, "id"), NULL);
    }
    if (rc != BAKE_OK && rc != BAKE_E_NOTFOUND && rc != BAKE_END)
        failed(u, rc, text(c, "name"), h.text);
}

/* The daemon carries out a stop that was asked for though nobody waits for it any more: what runs
 * now may be stopped in a moment. That is waited for, so that the start comes after it; the others
 * need not wait. */
static void start_some(struct undo *u, bool stopped_by_us, bool flying)
{
    const json_t *list = json_object_get(u->doc, "containers");
    for (size_t i = json_array_size(list); i-- > 0;) {
        const json_t *c = json_array_get(list, i);
        bool flies = !stopped_by_us && in_flight(c);
        if (flies != flying || !to_start(u, c, stopped_by_us))
            continue;
        if (flies)
            stop(u, text(c, "id"), text(c, "name"));
        start(u, c);
    }
}

static void start_all(struct undo *u, bool stopped_by_us)
{
    const json_t *list = json_object_get(u->doc, "containers");
    start_some(u, stopped_by_us, false);
    start_some(u, stopped_by_us, true);
    for (size_t i = json_array_size(list); i-- > 0 && !u->dead;) {
        const json_t *c = json_array_get(list, i);
        struct rs_hush h;
        rs_hush(&h, u->ctx);
        if (was(c, "stopped") || was(c, "paused") ||
            (!stopped_by_us && !json_is_true(json_object_get(c, "stopped"))))
            continue;
        if (dk_wait_healthy(u->s->api, &h.ctx, text(c, "id"), u->s->cfg->health_timeout) != BAKE_OK)
            bake_report(u->ctx, BAKE_WARNING, text(c, "name"),
                        "runs again as before the restore, but is not well: %s", h.text);
    }
}

static int undo_once(struct dk_source *s, struct bake_ctx *ctx, const json_t *doc, bool dead,
                     bool again)
{
    struct undo u = {.s = s, .ctx = ctx, .doc = doc, .dead = dead, .again = again};
    const char *name = "";
    bool all = switched(&u);
    /* First of all: what runs then may have been started by a redeemer that was killed as well. */
    if (dead && phase_is(&u, "starting"))
        return go_on(&u);
    if (dead && all && taken_over(&u, &name))
        return leave_it(&u, name);
    bake_log(ctx, BAKE_LOG_INFO, "putting '%s' back as it was", text(doc, "stack"));
    if (all)
        stop_all(&u);
    put_back(&u);
    if (u.rc != BAKE_OK) /* half old, half new: nothing may run on that */
        return bake_fail(ctx, u.rc,
                         "'%s' could not be put back as it was before its restore; what was "
                         "replaced is kept, and it is tried again at the next run or restore",
                         text(doc, "stack"));
    remove_containers(&u);
    remove_networks(&u);
    remove_volumes(&u);
    if (text(doc, "kept")[0]) {
        struct rs_hush h;
        rs_hush(&h, ctx);
        int rc = rs_volume_remove(s, &h.ctx, text(doc, "kept"));
        if (rc != BAKE_OK)
            failed(&u, rc, text(doc, "kept"), h.text);
    }
    start_all(&u, all);
    return u.rc == BAKE_OK
               ? BAKE_OK
               : bake_fail(ctx, u.rc, "'%s' has its old content again, but not all of its state",
                           text(doc, "stack"));
}

/* Of somebody who is dead the daemon may still be carrying out what was asked of it last, or be
 * restarting itself: that passes. */
int rs_undo(struct dk_source *s, struct bake_ctx *ctx, const json_t *doc, bool dead)
{
    for (int i = 0;; i++) {
        bool again = dead && i < TRIES;
        int rc = undo_once(s, ctx, doc, dead, again);
        if (rc == BAKE_OK || rc == BAKE_E_CANCELLED || rc == BAKE_E_NOMEM || !again ||
            ctx->host->sleep_ms(ctx, TRY_MS) != BAKE_OK)
            return rc;
    }
}
