/* The obligation of a restore: all that must be known to put things back, in this process or in
 * another one. It is renewed before each step that changes something. */
#include "restore_impl.h"

#include <time.h>

static json_t *container_of(const struct dk_restore *r, const struct rs_box *b)
{
    return json_pack("{s:s, s:s, s:s, s:b, s:b, s:b, s:s*, s:s*}", "id", b->c->id, "name",
                     b->c->name, "was",
                     b->paused ? "paused"
                     : b->ran  ? "running"
                               : "stopped",
                     "stopped", b->stopped, "started", b->started, "run", rs_shall_run(r, b),
                     "started_at", b->started_at, "finished_at", b->finished_at);
}

static json_t *containers_of(const struct dk_restore *r)
{
    json_t *ret = json_array();
    for (size_t i = 0; i < r->n_boxes; i++) {
        if (json_array_append_new(ret, container_of(r, &r->boxes[i])) != 0) {
            json_decref(ret);
            return NULL;
        }
    }
    return ret;
}

static json_t *places_of(const struct dk_restore *r, json_t *keys)
{
    json_t *ret = json_array();
    for (size_t i = 0; i < r->n_spots; i++) {
        const struct rs_spot *spot = &r->spots[i];
        /* What a component did not get to is not switched either. */
        if (r->used && !spot->emptied && !spot->part->staged)
            continue;
        if (json_array_append_new(ret, dk_place_json(spot->place)) != 0 ||
            json_array_append_new(keys, json_string(spot->key)) != 0) {
            json_decref(ret);
            return NULL;
        }
    }
    if (r->opening &&
        (json_array_append(ret, (json_t *)r->opening) != 0 ||
         json_array_append_new(keys, json_sprintf("o:%s", json_string_value(json_object_get(
                                                              r->opening, "what")))) != 0)) {
        json_decref(ret);
        return NULL;
    }
    return ret;
}

static json_t *files_of(const struct dk_restore *r)
{
    json_t *ret = json_array();
    for (size_t i = 0; i < r->n_parts; i++) {
        if (r->parts[i].files &&
            json_array_append_new(ret, rs_files_json(r->parts[i].files)) != 0) {
            json_decref(ret);
            return NULL;
        }
    }
    return ret;
}

json_t *rs_document(const struct dk_restore *r, const char *phase)
{
    char at[32] = "";
    time_t now = time(NULL);
    struct tm tm;
    if (gmtime_r(&now, &tm))
        (void)strftime(at, sizeof(at), "%Y-%m-%dT%H:%M:%SZ", &tm);
    json_t *keys = json_array(), *ret = NULL;
    json_t *containers = containers_of(r), *places = places_of(r, keys), *files = files_of(r);
    if (keys && containers && places && files)
        ret = json_pack("{s:s, s:s, s:s, s:s, s:s*, s:s, s:O, s:O, s:O, s:O, s:O*, s:s*}", "kind",
                        "restore", "host", dk_api_host(r->s->api), "phase", phase, "stack", r->as,
                        "backup", r->backup, "at", at, "containers", containers, "places", places,
                        "keys", keys, "files", files, "made", r->made, "kept", r->kept);
    json_decref(keys);
    json_decref(containers);
    json_decref(places);
    json_decref(files);
    return ret;
}

int rs_promise(struct dk_restore *r, struct bake_ctx *ctx, const char *phase)
{
    json_t *doc = rs_document(r, phase);
    if (!doc)
        return dk_nomem(ctx);
    int rc = dk_promise(r->s, ctx, doc, &r->promise);
    json_decref(doc);
    if (rc == BAKE_OK) {
        r->promised = true;
        r->phase = phase;
    }
    return rc;
}

void rs_promise_done(struct dk_restore *r, struct bake_ctx *ctx)
{
    struct rs_hush h;
    rs_hush(&h, ctx);
    if (!r->promised)
        return;
    r->promised = false;
    if (dk_promise_kept(r->s, &h.ctx, &r->promise) != BAKE_OK)
        bake_log(ctx, BAKE_LOG_WARN, "the obligation of '%s' could not be dropped: %s", r->as,
                 h.text);
}
