/* Volumes of places: made with their labels, which cannot be changed later, and removed. */
#include "place_impl.h"

#include <stdlib.h>

int dk_volume_make(struct dk_source *s, struct bake_ctx *ctx, const char *name, json_t *labels)
{
    json_t *spec = labels ? json_pack("{s:s, s:O}", "Name", name, "Labels", labels) : NULL;
    int rc = spec ? dk_post(s->api, ctx, "/volumes/create", spec, NULL) : dk_nomem(ctx);

    json_decref(spec);
    json_decref(labels);
    return rc;
}

/* Helper containers of a process that was killed keep a volume in use. */
static int remove_users(struct dk_source *s, struct bake_ctx *ctx, const char *name)
{
    json_t *filters = json_pack("{s:[s], s:[s]}", "volume", name, "label", DK_LABEL_HELPER);
    char *text = filters ? json_dumps(filters, JSON_COMPACT) : NULL;
    char *quoted = text ? dk_quote(text) : NULL, *path;
    json_t *list = NULL, *c;
    size_t i;
    int rc;

    path = quoted ? dk_text("/containers/json?all=1&filters=%s", quoted) : NULL;
    rc = path ? dk_get(s->api, ctx, path, &list) : dk_nomem(ctx);
    json_array_foreach(list, i, c)
    {
        const char *id = json_string_value(json_object_get(c, "Id"));

        if (rc == BAKE_OK && id)
            rc = dk_remove_container(s->api, ctx, id, true);
    }
    json_decref(list);
    json_decref(filters);
    free(text);
    free(quoted);
    free(path);
    return rc;
}

int dk_volume_remove(struct dk_source *s, struct bake_ctx *ctx, const char *name)
{
    char *path = dk_text("/volumes/%s", name);
    int rc = path ? dk_delete(s->api, ctx, path) : dk_nomem(ctx);

    if (rc == BAKE_E_EXISTS && remove_users(s, ctx, name) == BAKE_OK)
        rc = dk_delete(s->api, ctx, path);
    free(path);
    return rc == BAKE_E_NOTFOUND ? BAKE_OK : rc;
}

int dk_volume_there(struct dk_source *s, struct bake_ctx *ctx, const char *name, bool *ret)
{
    char *path = dk_text("/volumes/%s", name);
    json_t *j = NULL;
    int rc = path ? dk_get(s->api, ctx, path, &j) : dk_nomem(ctx);

    *ret = rc == BAKE_OK;
    json_decref(j);
    free(path);
    return rc == BAKE_E_NOTFOUND ? BAKE_OK : rc;
}
