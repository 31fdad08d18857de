/* From a choice to open places: volumes that are missing are made, staging areas opened (which
 * finds out about space), containers counted. Nothing that is there is changed. */
#include "definition.h"
#include "restore_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_tree(const struct rs_part *p)
{
    return p->known && (p->kind == DK_PATH || p->kind == DK_VOLUME);
}

static bool is_dump(const struct rs_part *p)
{
    return p->known && (p->kind == DK_PG || p->kind == DK_MARIA);
}

/* ---- volumes that are missing ---------------------------------------------------------------- */

static int make_volume(struct dk_restore *r, struct bake_ctx *ctx, const struct rs_part *p)
{
    const char *driver = rs_fact_of_mount(p, "driver");
    json_t *labels = json_object_get(json_object_get(p->facts, "mount"), "labels"), *got = NULL;
    labels = json_is_object(labels) ? json_deep_copy(labels) : json_object();
    if (r->renamed && json_object_get(labels, "com.docker.compose.project"))
        (void)json_object_set_new(labels, "com.docker.compose.project", json_string(r->as));
    json_t *body =
        json_pack("{s:s, s:s*, s:o}", "Name", p->volume, "Driver", driver, "Labels", labels);
    json_t *made = json_object_get(r->made, "volumes");
    int rc = body && json_object_set_new(made, p->volume, json_null()) == 0
                 ? rs_promise(r, ctx, "staging")
                 : dk_nomem(ctx);
    if (rc == BAKE_OK && (rc = dk_post(r->s->api, ctx, "/volumes/create", body, &got)) == BAKE_OK) {
        bake_log(ctx, BAKE_LOG_INFO, "made volume '%s'", p->volume);
        rc = json_object_set_new(made, p->volume, json_string(p->volume)) == 0
                 ? rs_promise(r, ctx, "staging")
                 : dk_nomem(ctx);
    }
    json_decref(body);
    json_decref(got);
    return rc;
}

static int want_volume(struct dk_restore *r, struct bake_ctx *ctx, const struct rs_part *p)
{
    char *quoted = dk_quote(p->volume), *path = NULL;
    json_t *got = NULL;
    struct rs_hush h;
    rs_hush(&h, ctx);
    int rc = quoted && asprintf(&path, "/volumes/%s", quoted) >= 0
                 ? dk_get(r->s->api, &h.ctx, path, &got)
                 : BAKE_E_NOMEM;
    free(quoted);
    free(path);
    json_decref(got);
    if (rc == BAKE_E_NOTFOUND)
        return make_volume(r, ctx, p);
    return rc == BAKE_OK ? rc : bake_fail(ctx, rc, "%s", h.text);
}

/* ---- places ---------------------------------------------------------------------------------- */

/* --skip-stop: nothing may run on what is exchanged beneath it. */
static int check_unused(struct dk_restore *r, struct bake_ctx *ctx, const char *name,
                        const char *key)
{
    const struct dk_world *w = rs_world(r);
    for (size_t i = 0; i < w->n_containers && (r->flags & BAKE_RESTORE_KEEP_RUNNING); i++) {
        const struct dk_container *c = &w->containers[i];
        if (c->running && !c->own && rs_mounts(c, key))
            return bake_fail(ctx, BAKE_E_UNAVAILABLE,
                             "'%s' cannot be restored while container '%s' runs on it\n"
                             "HINT: stop it, or leave out --skip-stop",
                             name, c->name);
    }
    return BAKE_OK;
}

static int add_spot(struct dk_restore *r, struct bake_ctx *ctx, const struct rs_part *p,
                    const char *key, struct dk_place *place, bool emptied)
{
    struct rs_spot *spot = &r->spots[r->n_spots];
    *spot = (struct rs_spot){.key = strdup(key), .place = place, .part = p, .emptied = emptied};
    if (!spot->key) {
        dk_place_close(place, ctx);
        return dk_nomem(ctx);
    }
    r->n_spots++;
    return BAKE_OK;
}

/* Volumes lie on one file system, most of the time: what the others take is asked for as well. */
static uint64_t room(uint64_t *total, const char *key, uint64_t bytes)
{
    if (key[0] != 'v')
        return bytes;
    *total = *total > UINT64_MAX - bytes ? UINT64_MAX : *total + bytes;
    return *total;
}

static int promise_place(void *arg, struct bake_ctx *ctx, const json_t *place)
{
    struct dk_restore *r = arg;
    r->opening = place;
    int rc = rs_promise(r, ctx, "staging");
    r->opening = NULL;
    return rc;
}

static int open_tree(struct dk_restore *r, struct bake_ctx *ctx, struct rs_part *p, uint64_t *total)
{
    int rc = check_unused(r, ctx, p->name, p->key);
    if (rc == BAKE_OK && p->volume)
        rc = want_volume(r, ctx, p);
    if (rc != BAKE_OK)
        return rc;
    struct dk_place_spec spec = {.container = p->container,
                                 .path = p->path,
                                 .volume = p->volume,
                                 .backup = r->backup,
                                 .promise = promise_place,
                                 .arg = r};
    struct dk_place *place = NULL;
    rc = dk_place_open(r->s, ctx, &spec, room(total, p->key, p->bytes), &place);
    if (rc == BAKE_OK && (rc = add_spot(r, ctx, p, p->key, place, false)) == BAKE_OK)
        p->place = place;
    return rc;
}

/* ---- databases' directories ------------------------------------------------------------------ */

static bool was_made(const struct dk_restore *r, const char *kind, const char *name)
{
    return name && json_object_get(json_object_get(r->made, kind), name);
}

static bool is_taken(const struct dk_restore *r, const char *key)
{
    for (size_t i = 0; i < r->n_spots; i++) {
        if (rs_within(key, r->spots[i].key) || rs_within(r->spots[i].key, key))
            return true;
    }
    return false;
}

static int open_emptied(struct dk_restore *r, struct bake_ctx *ctx, const struct rs_part *p,
                        const char *path, uint64_t *total)
{
    struct dk_place_spec spec = {.container = p->container,
                                 .path = path,
                                 .backup = r->backup,
                                 .empty = true,
                                 .promise = promise_place,
                                 .arg = r};
    struct dk_place *place = NULL;
    char *key = rs_key(p->container, path, NULL);
    int rc = key ? check_unused(r, ctx, p->name, key) : dk_nomem(ctx);
    if (rc == BAKE_OK && !is_taken(r, key))
        rc = dk_place_open(r->s, ctx, &spec, room(total, key, p->bytes), &place);
    if (rc == BAKE_OK && place)
        rc = add_spot(r, ctx, p, key, place, true);
    free(key);
    return rc;
}

static int no_undo(struct bake_ctx *ctx, struct rs_part *p, const char *why)
{
    p->into_running = true;
    bake_report(ctx, BAKE_WARNING, p->name,
                "is loaded into the server of container '%s' as it is, which cannot be undone: %s",
                p->container->name, why);
    return BAKE_OK;
}

static int open_database(struct dk_restore *r, struct bake_ctx *ctx, struct rs_part *p,
                         uint64_t *total)
{
    const char *dir = dk_database_dir(p->container, p->kind), *rest = "";
    const struct dk_mount *m = dir ? dk_mount_of(p->container, dir, &rest) : NULL;
    if (m && r->renamed && strcmp(m->type, "bind") == 0) {
        p->found = RS_GONE;
        (void)snprintf(p->why, sizeof(p->why),
                       "its server keeps its data in a directory of the host that '%s' has as well",
                       r->stack);
        return BAKE_OK;
    }
    if ((r->flags & BAKE_RESTORE_KEEP_RUNNING) && p->container->running)
        return no_undo(ctx, p, "it is to be kept running");
    if (!m)
        return no_undo(ctx, p, "its data lie in the container itself");
    /* Nothing old is in what was just made, and what was made goes as a whole. */
    if (was_made(r, "volumes", m->name) || was_made(r, "containers", p->container->name))
        return BAKE_OK;
    struct rs_hush h;
    rs_hush(&h, ctx);
    int rc = open_emptied(r, &h.ctx, p, dir, total);
    if (rc == BAKE_E_NOTFOUND && *rest)
        return open_emptied(r, ctx, p, m->destination, total); /* it is not there yet */
    return rc == BAKE_OK ? rc : bake_fail(ctx, rc, "%s", h.text);
}

/* ---- all ------------------------------------------------------------------------------------- */

static int open_files(struct dk_restore *r, struct bake_ctx *ctx, struct rs_part *p)
{
    int rc = rs_files_open(r, ctx, p);
    return rc == BAKE_OK && p->files ? rs_promise(r, ctx, "staging") : rc;
}

static int open_all(struct dk_restore *r, struct bake_ctx *ctx)
{
    uint64_t total = 0;
    int rc = BAKE_OK;
    r->spots = calloc(r->n_parts + 1, sizeof(*r->spots));
    if (!r->spots)
        return dk_nomem(ctx);
    for (size_t i = 0; i < r->n_parts && rc == BAKE_OK; i++) {
        struct rs_part *p = &r->parts[i];
        bool here = p->found == RS_HERE || p->found == RS_ALONE;
        if (here && is_tree(p))
            rc = open_tree(r, ctx, p, &total);
        else if (here && p->known && p->kind == DK_CONFIG)
            rc = open_files(r, ctx, p);
    }
    for (size_t i = 0; i < r->n_parts && rc == BAKE_OK; i++) {
        if (r->parts[i].found == RS_HERE && is_dump(&r->parts[i]))
            rc = open_database(r, ctx, &r->parts[i], &total);
    }
    return rc;
}

static int find_boxes(struct dk_restore *r, struct bake_ctx *ctx)
{
    const char **keys = calloc(r->n_spots + 1, sizeof(*keys));
    if (!keys)
        return dk_nomem(ctx);
    for (size_t i = 0; i < r->n_spots; i++)
        keys[i] = r->spots[i].key;
    int rc = rs_boxes_find(ctx, rs_world(r), r->as, keys, r->n_spots, &r->boxes, &r->n_boxes);
    free(keys);
    return rc;
}

/* What a running container uses is said before any work is done. */
int rs_look(struct dk_restore *r, struct bake_ctx *ctx)
{
    if (r->looked)
        return BAKE_OK;
    r->looked = true;
    int rc = rs_find(r, ctx);
    for (size_t i = 0; i < r->n_parts && rc == BAKE_OK; i++) {
        const struct rs_part *p = &r->parts[i];
        if (p->key && (p->found == RS_HERE || p->found == RS_ALONE))
            rc = check_unused(r, ctx, p->name, p->key);
    }
    if (rc == BAKE_OK)
        rc = find_boxes(r, ctx); /* as will what cannot be stopped */
    rs_boxes_free(r->boxes, r->n_boxes);
    r->boxes = NULL;
    r->n_boxes = 0;
    return rc;
}

static int prepare(struct dk_restore *r, struct bake_ctx *ctx)
{
    int rc = rs_look(r, ctx);
    if (rc == BAKE_OK)
        rc = open_all(r, ctx);
    if (rc == BAKE_OK)
        rc = find_boxes(r, ctx);
    return rc == BAKE_OK ? rs_promise(r, ctx, "staging") : rc;
}

int rs_prepare(struct dk_restore *r, struct bake_ctx *ctx)
{
    (void)pthread_mutex_lock(r->lock);
    int rc = r->broken;
    if (rc != BAKE_OK)
        rc = bake_fail(ctx, rc, "the restore of '%s' could not be prepared", r->as);
    else if (!r->ready)
        rc = r->broken = prepare(r, ctx);
    r->ready = rc == BAKE_OK;
    (void)pthread_mutex_unlock(r->lock);
    return rc;
}
