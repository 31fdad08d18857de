/* What a good restore replaced is kept for a time: an index volume without content, whose labels
 * say where it is. `restore --undo` puts it back, dk_restore_tidy() drops it when its time is over.
 */
#include "discover.h"
#include "restore_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define LABEL       "bakengine.kept"
#define LABEL_STACK "bakengine.kept-stack"
#define LABEL_UNTIL "bakengine.kept-until"

char *rs_kept_name(void)
{
    unsigned char b[6];
    char *ret = NULL;
    if (getrandom(b, sizeof(b), 0) != (ssize_t)sizeof(b) ||
        asprintf(&ret, RS_KEPT "%02x%02x%02x%02x%02x%02x", b[0], b[1], b[2], b[3], b[4], b[5]) < 0)
        return NULL;
    return ret;
}

static void write_time(int64_t t, char *ret, size_t size)
{
    time_t at = (time_t)t;
    struct tm tm;
    if (!gmtime_r(&at, &tm) || strftime(ret, size, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        ret[0] = '\0';
}

/* Times of this form compare as texts. */
static bool is_over(const char *until)
{
    char now[32];
    write_time((int64_t)time(NULL), now, sizeof(now));
    return until && until[0] && strcmp(until, now) < 0;
}

int rs_keep(struct dk_source *s, struct bake_ctx *ctx, const char *name, const json_t *doc)
{
    char until[32];
    write_time((int64_t)time(NULL) + (int64_t)(s->cfg->keep_previous / 1000), until, sizeof(until));
    const char *stack = json_string_value(json_object_get(doc, "stack"));
    json_t *index =
        json_pack("{s:i, s:O*, s:O*, s:O*, s:O*, s:O*, s:O*}", "version", 1, "stack",
                  json_object_get(doc, "stack"), "backup", json_object_get(doc, "backup"), "at",
                  json_object_get(doc, "at"), "places", json_object_get(doc, "places"), "keys",
                  json_object_get(doc, "keys"), "files", json_object_get(doc, "files"));
    char *text = index ? json_dumps(index, JSON_COMPACT) : NULL;
    json_t *body = text && stack ? json_pack("{s:s, s:{s:s, s:s, s:s}}", "Name", name, "Labels",
                                             LABEL, text, LABEL_STACK, stack, LABEL_UNTIL, until)
                                 : NULL;
    json_t *got = NULL;
    int rc = body ? dk_post(s->api, ctx, "/volumes/create", body, &got) : dk_nomem(ctx);
    json_decref(index);
    json_decref(body);
    json_decref(got);
    free(text);
    return rc;
}

int rs_volume_remove(struct dk_source *s, struct bake_ctx *ctx, const char *name)
{
    char *quoted = dk_quote(name), *path = NULL;
    int rc = quoted && asprintf(&path, "/volumes/%s", quoted) >= 0 ? dk_delete(s->api, ctx, path)
                                                                   : dk_nomem(ctx);
    free(quoted);
    free(path);
    return rc == BAKE_E_NOTFOUND ? BAKE_OK : rc;
}

/* Is the directory in a volume or container that the restore made? */
static bool is_made(const json_t *made, const char *key)
{
    const char *kind = key[0] == 'v' ? "volumes" : "containers", *name;
    json_t *id;
    if (key[0] == 'b')
        return false;
    size_t n = strcspn(key + 2, "/");
    json_object_foreach(json_object_get(made, kind), name, id)
    {
        const char *what = key[0] == 'v' ? name : json_string_value(id);
        if (what && strlen(what) == n && strncmp(what, key + 2, n) == 0)
            return true;
    }
    return false;
}

json_t *rs_without_made(json_t *doc, json_t **ret)
{
    json_t *places = json_object_get(doc, "places"), *keys = json_object_get(doc, "keys");
    const json_t *made = json_object_get(doc, "made");
    json_t *out = json_array();
    for (size_t i = json_array_size(places); i-- > 0 && out;) {
        const char *key = json_string_value(json_array_get(keys, i));
        if (!key || !key[0] || !key[1] || !is_made(made, key))
            continue;
        if (json_array_append(out, json_array_get(places, i)) != 0) {
            json_decref(out);
            return NULL;
        }
        (void)json_array_remove(places, i);
        (void)json_array_remove(keys, i);
    }
    *ret = out;
    return out ? doc : NULL;
}

void rs_drop_places(struct dk_source *s, struct bake_ctx *ctx, const json_t *places)
{
    json_t *v;
    size_t i;
    json_array_foreach(places, i, v)
    {
        struct rs_hush h;
        rs_calm(&h, ctx);
        if (dk_place_drop(s, &h.ctx, v) != BAKE_OK)
            bake_report(ctx, BAKE_NOTICE, "staging area", "could not be removed: %s", h.text);
    }
}

/* ---- finding --------------------------------------------------------------------------------- */

struct kept {
    char *name, *until;
    json_t *index;
};

static void kept_release(struct kept *k)
{
    free(k->name);
    free(k->until);
    json_decref(k->index);
    *k = (struct kept){0};
}

static const char *label_of(const json_t *volume, const char *label)
{
    return json_string_value(json_object_get(json_object_get(volume, "Labels"), label));
}

static int read_kept(struct bake_ctx *ctx, const json_t *volume, struct kept *ret)
{
    json_error_t why;
    const char *name = json_string_value(json_object_get(volume, "Name"));
    const char *text = label_of(volume, LABEL), *until = label_of(volume, LABEL_UNTIL);
    ret->index = text ? json_loads(text, 0, &why) : NULL;
    ret->name = name ? strdup(name) : NULL;
    ret->until = strdup(until ? until : "");
    if (ret->name && ret->until && ret->index)
        return BAKE_OK;
    bake_report(ctx, BAKE_WARNING, name ? name : "?", "its labels make no sense, it is left alone");
    kept_release(ret);
    return BAKE_END;
}

static int list_kept(struct dk_source *s, struct bake_ctx *ctx, json_t **ret)
{
    char *quoted = dk_quote("{\"label\":[\"" LABEL "\"]}"), *path = NULL;
    int rc = quoted && asprintf(&path, "/volumes?filters=%s", quoted) >= 0
                 ? dk_get(s->api, ctx, path, ret)
                 : dk_nomem(ctx);
    free(quoted);
    free(path);
    return rc;
}

static bool is_newer(const struct kept *a, const struct kept *b)
{
    const char *at_a = json_string_value(json_object_get(a->index, "at"));
    const char *at_b = json_string_value(json_object_get(b->index, "at"));
    return at_a && (!at_b || strcmp(at_a, at_b) > 0);
}

/* The newest of a stack. BAKE_END: none. */
static int newest(struct dk_source *s, struct bake_ctx *ctx, const char *stack, struct kept *ret)
{
    json_t *list = NULL, *v;
    size_t i;
    int rc = list_kept(s, ctx, &list);
    if (rc != BAKE_OK)
        return rc;
    json_array_foreach(json_object_get(list, "Volumes"), i, v)
    {
        const char *of = label_of(v, LABEL_STACK);
        struct kept k = {0};
        if (!of || strcmp(of, stack) != 0 || read_kept(ctx, v, &k) != BAKE_OK)
            continue;
        if (!ret->index || is_newer(&k, ret)) {
            kept_release(ret);
            *ret = k;
        } else {
            kept_release(&k);
        }
    }
    json_decref(list);
    return ret->index ? BAKE_OK : BAKE_END;
}

/* ---- dropping -------------------------------------------------------------------------------- */

int rs_drop(struct dk_source *s, struct bake_ctx *ctx, const char *name, const json_t *doc)
{
    json_t *v;
    size_t i;
    int rc = BAKE_OK;
    json_array_foreach(json_object_get(doc, "places"), i, v) if (rc == BAKE_OK) rc =
        dk_place_drop(s, ctx, v);
    json_array_foreach(json_object_get(doc, "files"), i, v) if (rc == BAKE_OK) rc =
        rs_files_drop(ctx, v);
    return rc == BAKE_OK ? rs_volume_remove(s, ctx, name) : rc;
}

int dk_restore_tidy(struct dk_source *s, struct bake_ctx *ctx)
{
    json_t *list = NULL, *v;
    size_t i;
    int rc = list_kept(s, ctx, &list);
    json_array_foreach(json_object_get(list, "Volumes"), i, v)
    {
        struct kept k = {0};
        struct rs_hush h;
        rs_hush(&h, ctx);
        if (read_kept(ctx, v, &k) != BAKE_OK)
            continue;
        if (is_over(k.until)) {
            bake_log(ctx, BAKE_LOG_INFO,
                     "dropping what a restore of '%s' replaced: it was kept "
                     "until %s",
                     label_of(v, LABEL_STACK), k.until);
            if (rs_drop(s, &h.ctx, k.name, k.index) != BAKE_OK)
                bake_report(ctx, BAKE_NOTICE, k.name, "could not be dropped yet: %s", h.text);
        }
        kept_release(&k);
    }
    json_decref(list);
    return rc == BAKE_OK ? dk_place_tidy(s, ctx) : rc;
}

/* ---- undoing --------------------------------------------------------------------------------- */

/* The obligation of an undo: that of a restore that stands before its end. */
static int undo_document(struct dk_source *s, struct bake_ctx *ctx, const char *stack,
                         const struct kept *k, json_t **ret)
{
    const json_t *list = json_object_get(k->index, "keys");
    size_t n = json_array_size(list), n_boxes = 0;
    const char **keys = calloc(n + 1, sizeof(*keys));
    struct dk_world *w = NULL;
    struct rs_box *boxes = NULL;
    int rc = keys ? dk_discover_quietly(s, ctx, &w) : dk_nomem(ctx);
    for (size_t i = 0; i < n && rc == BAKE_OK; i++) {
        keys[i] = json_string_value(json_array_get(list, i));
        keys[i] = keys[i] ? keys[i] : "";
    }
    if (rc == BAKE_OK)
        rc = rs_boxes_find(ctx, w, stack, keys, n, &boxes, &n_boxes);
    json_t *containers = json_array();
    for (size_t i = 0; i < n_boxes && rc == BAKE_OK; i++) {
        const struct rs_box *b = &boxes[i];
        json_t *c = json_pack("{s:s, s:s, s:s}", "id", b->c->id, "name", b->c->name, "was",
                              b->paused ? "paused"
                              : b->ran  ? "running"
                                        : "stopped");
        if (json_array_append_new(containers, c) != 0)
            rc = dk_nomem(ctx);
    }
    if (rc == BAKE_OK) {
        json_t *doc =
            json_pack("{s:s, s:s, s:s, s:s, s:O}", "kind", "restore", "host", dk_api_host(s->api),
                      "phase", "undoing", "kept", k->name, "containers", containers);
        if (!doc || json_object_update_missing(doc, k->index) != 0) {
            json_decref(doc);
            rc = dk_nomem(ctx);
        } else {
            *ret = doc;
        }
    }
    json_decref(containers);
    rs_boxes_free(boxes, n_boxes);
    dk_world_free(w);
    free(keys);
    return rc;
}

int dk_undo_group(void *self, struct bake_ctx *ctx, const char *group)
{
    struct dk_source *s = self;
    struct kept k = {0};
    struct dk_promise promise = {0};
    json_t *doc = NULL;
    int rc = newest(s, ctx, group, &k);
    if (rc == BAKE_END)
        return bake_fail(ctx, BAKE_E_NOTFOUND,
                         "nothing is kept of '%s' from before a restore\n"
                         "HINT: 'keep_previous' says for how long it is kept",
                         group);
    if (rc == BAKE_OK)
        rc = undo_document(s, ctx, group, &k, &doc);
    if (rc == BAKE_OK)
        rc = dk_promise(s, ctx, doc, &promise);
    if (rc == BAKE_OK) {
        struct rs_hush h;
        rs_calm(&h, ctx); /* what has begun is ended */
        if ((rc = rs_undo(s, &h.ctx, doc, false)) == BAKE_OK)
            rc = dk_promise_kept(s, &h.ctx, &promise);
        if (rc != BAKE_OK)
            rc = bake_fail(ctx, rc, "%s", h.text);
    }
    json_decref(doc);
    kept_release(&k);
    free(promise.volume);
    return rc;
}
