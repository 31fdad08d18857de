/* Asking the daemon what there is: every container and every volume of the host. */
#include "discover.h"

#include "api.h"
#include <stdlib.h>
#include <string.h>

int dk_world_build(struct bake_ctx *ctx, const struct dk_config *cfg, const struct dk_seen *seen,
                   struct dk_world **ret)
{
    struct dk_world *w = calloc(1, sizeof(*w));
    struct dk_build b = {.ctx = ctx, .cfg = cfg, .seen = seen, .world = w};
    if (!w)
        return dk_nomem(ctx);
    w->volumes = seen->volumes ? json_incref((json_t *)seen->volumes) : json_array();
    int rc = w->volumes ? dk_build_containers(&b) : dk_nomem(ctx);
    if (rc == BAKE_OK)
        rc = dk_build_items(&b);
    if (rc != BAKE_OK) {
        dk_world_free(w);
        return rc;
    }
    *ret = w;
    return BAKE_OK;
}

/* ---- containers ------------------------------------------------------------------------------ */

static json_t *state_of(const json_t *listed)
{
    const char *state = dk_json_text(listed, "State");
    bool paused = strcmp(state, "paused") == 0;
    return json_pack("{s:b, s:b}", "Running",
                     paused || strcmp(state, "running") == 0 || strcmp(state, "restarting") == 0,
                     "Paused", paused);
}

/* What the list says of a container that cannot be inspected: enough to hold it for others, but its
 * own labels are left out, as nothing could be read of it. */
static json_t *from_list(const json_t *listed)
{
    const char *name = json_string_value(json_array_get(json_object_get(listed, "Names"), 0));
    json_t *mounts = json_object_get(listed, "Mounts"), *labels = json_object();
    json_t *all = json_object_get(listed, "Labels");
    for (void *i = json_object_iter(all); i; i = json_object_iter_next(all, i))
        if (strncmp(json_object_iter_key(i), "com.docker.", sizeof("com.docker.") - 1) == 0)
            json_object_set(labels, json_object_iter_key(i), json_object_iter_value(i));
    return json_pack("{s:s, s:s, s:s, s:o, s:O?, s:{s:s, s:o}}", "Id", dk_json_text(listed, "Id"),
                     "Name", name ? name : "", "Image", dk_json_text(listed, "ImageID"), "State",
                     state_of(listed), "Mounts", mounts, "Config", "Image",
                     dk_json_text(listed, "Image"), "Labels", labels);
}

/* All but its state is as it was when it was inspected for the plan. Not asking again is not only
 * quicker: while a container's files are read through the daemon it would not answer. */
static json_t *from_plan(const struct dk_source *s, const json_t *listed)
{
    const char *id = dk_json_text(listed, "Id");
    for (size_t i = 0; s->world && i < s->world->n_containers; i++) {
        if (strcmp(s->world->containers[i].id, id) != 0)
            continue;
        json_t *inspect = json_copy(s->world->containers[i].inspect);
        if (inspect && json_object_set_new(inspect, "State", state_of(listed)) < 0) {
            json_decref(inspect);
            return NULL;
        }
        return inspect;
    }
    return NULL;
}

static int look_at(struct dk_source *s, struct bake_ctx *ctx, const json_t *listed, bool quiet,
                   json_t *list)
{
    const char *name = json_string_value(json_array_get(json_object_get(listed, "Names"), 0));
    const json_t *labels = json_object_get(listed, "Labels");
    if (json_object_get(labels, "bakengine.helper"))
        return BAKE_OK; /* ours */
    json_t *inspect = quiet ? from_plan(s, listed) : NULL;
    int rc = inspect ? BAKE_OK : dk_inspect(s->api, ctx, dk_json_text(listed, "Id"), &inspect);
    if (rc == BAKE_E_NOTFOUND)
        return BAKE_OK; /* removed since it was listed */
    if (rc == BAKE_E_CANCELLED || rc == BAKE_E_NOMEM || rc == BAKE_E_UNAVAILABLE)
        return rc;
    if (rc != BAKE_OK) {
        bool asked = strcasecmp(dk_json_text(labels, "backup.enable"), "true") == 0;
        if (!quiet)
            bake_report(ctx, asked ? BAKE_PARTIAL : BAKE_WARNING, name ? name + 1 : "",
                        "the Docker daemon does not answer for this container%s",
                        asked ? ", nothing of it is backed up" : "");
        inspect = from_list(listed);
    }
    return inspect && json_array_append_new(list, inspect) == 0 ? BAKE_OK : dk_nomem(ctx);
}

static int look_at_all(struct dk_source *s, struct bake_ctx *ctx, bool quiet, json_t **ret)
{
    json_t *listed = NULL, *list = json_array();
    int rc = list ? dk_get(s->api, ctx, "/containers/json?all=1", &listed) : dk_nomem(ctx);
    if (rc == BAKE_OK && !json_is_array(listed))
        rc = bake_fail(ctx, BAKE_E_IO, "the Docker daemon's list of containers is no list");
    for (size_t i = 0; rc == BAKE_OK && i < json_array_size(listed); i++)
        rc = look_at(s, ctx, json_array_get(listed, i), quiet, list);
    json_decref(listed);
    if (rc == BAKE_OK)
        *ret = list;
    else
        json_decref(list);
    return rc;
}

/* ---- volumes --------------------------------------------------------------------------------- */

/* A volume driver that hangs must not keep the rest from being backed up. */
static int list_volumes(struct dk_source *s, struct bake_ctx *ctx, bool quiet, json_t **ret)
{
    json_t *answer = NULL, *list;
    int rc = dk_get(s->api, ctx, "/volumes", &answer);
    bool needed = s->cfg->volumes && s->cfg->volumes[0];
    if (rc == BAKE_E_CANCELLED || rc == BAKE_E_NOMEM || (rc < 0 && needed))
        return rc;
    if (rc < 0 && !quiet)
        bake_report(ctx, BAKE_WARNING, "",
                    "the Docker daemon cannot list its volumes: their labels are not kept");
    list = json_incref(json_object_get(answer, "Volumes"));
    if (!json_is_array(list)) { /* none is null */
        json_decref(list);
        list = json_array();
    }
    json_decref(answer);
    if (!list)
        return dk_nomem(ctx);
    *ret = list;
    return BAKE_OK;
}

/* ---- both ------------------------------------------------------------------------------------ */

static int discover(struct dk_source *s, struct bake_ctx *ctx, bool quiet, struct dk_world **ret)
{
    json_t *containers = NULL, *volumes = NULL;
    int rc = look_at_all(s, ctx, quiet, &containers);
    if (rc == BAKE_OK)
        rc = list_volumes(s, ctx, quiet, &volumes);
    struct dk_seen seen = {.containers = containers,
                           .volumes = volumes,
                           .engine = dk_api_engine(s->api),
                           .arch = dk_api_arch(s->api),
                           .own = s->where.container,
                           .quiet = quiet};
    if (rc == BAKE_OK)
        rc = dk_world_build(ctx, s->cfg, &seen, ret);
    json_decref(containers);
    json_decref(volumes);
    return rc;
}

int dk_discover(struct dk_source *s, struct bake_ctx *ctx, struct dk_world **ret)
{
    return discover(s, ctx, false, ret);
}

int dk_discover_quietly(struct dk_source *s, struct bake_ctx *ctx, struct dk_world **ret)
{
    return discover(s, ctx, true, ret);
}
