/* What dead processes have left in the daemon: staging volumes that were never taken into use, and
 * helper containers. */
#include "hold.h"
#include "place_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *label(const json_t *thing, const char *name)
{
    return json_string_value(json_object_get(json_object_get(thing, "Labels"), name));
}

/* Is it a dead process's? Without an owner: nobody knows. */
static bool orphan(struct dk_source *s, struct bake_ctx *ctx, const json_t *thing)
{
    const char *owner = label(thing, DK_LABEL_OWNER);

    return owner && dk_owner_dead(s, ctx, owner);
}

/* Does any label of another volume tell of this nonce: a promise, a kept state, a mark that the
 * switch has begun? */
static bool spoken_for(const json_t *volumes, const char *nonce)
{
    const json_t *v, *text;
    const char *key;
    size_t i;

    json_array_foreach(volumes, i, v)
    {
        json_object_foreach(json_object_get(v, "Labels"), key,
                            text) if (strcmp(key, DK_LABEL_STAGE) != 0 && json_is_string(text) &&
                                      strstr(json_string_value(text), nonce)) return true;
    }
    return false;
}

static void tidy_volumes(struct dk_source *s, struct bake_ctx *ctx, const json_t *volumes)
{
    const json_t *v;
    size_t i;

    json_array_foreach(volumes, i, v)
    {
        const char *name = json_string_value(json_object_get(v, "Name"));
        const char *nonce = label(v, DK_LABEL_STAGE);

        if (name && label(v, DK_LABEL_HELPER) && strncmp(name, "bakengine-proof-", 16) == 0 &&
            orphan(s, ctx, v))
            (void)dk_volume_remove(s, ctx, name);
        if (!name || !nonce || strlen(nonce) != DK_NONCE - 1 || spoken_for(volumes, nonce) ||
            strncmp(name, "bakengine-stage-", 16) != 0 || !orphan(s, ctx, v))
            continue;
        if (dk_volume_remove(s, ctx, name) == BAKE_OK)
            bake_log(ctx, BAKE_LOG_INFO, "removed volume '%s' of a restore that was cut off", name);
    }
}

static void tidy_containers(struct dk_source *s, struct bake_ctx *ctx, const json_t *list)
{
    const json_t *c;
    size_t i;

    json_array_foreach(list, i, c)
    {
        const char *id = json_string_value(json_object_get(c, "Id"));
        const char *helper = label(c, DK_LABEL_HELPER);

        if (!id || !helper || !orphan(s, ctx, c))
            continue;
        if (dk_remove_container(s->api, ctx, id, true) == BAKE_OK)
            bake_log(ctx, BAKE_LOG_INFO, "removed helper container '%.12s' of a dead process", id);
    }
}

int dk_place_tidy(struct dk_source *s, struct bake_ctx *ctx)
{
    static const char filter[] = "{\"label\":[\"" DK_LABEL_HELPER "\"]}";
    char *quoted = dk_quote(filter), *path;
    json_t *containers = NULL, *volumes = NULL;
    int rc;

    path = quoted ? dk_text("/containers/json?all=1&filters=%s", quoted) : NULL;
    rc = path ? dk_get(s->api, ctx, path, &containers) : dk_nomem(ctx);
    if (rc == BAKE_OK) {
        tidy_containers(s, ctx, containers);
        rc = dk_get(s->api, ctx, "/volumes", &volumes);
    }
    if (rc == BAKE_OK)
        tidy_volumes(s, ctx, json_object_get(volumes, "Volumes"));
    json_decref(containers);
    json_decref(volumes);
    free(quoted);
    free(path);
    return rc;
}
