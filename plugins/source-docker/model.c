/* What there is on the host: looking things up in it. */
#include "model.h"

#include "discover.h"
#include <stdlib.h>
#include <string.h>

int dk_nomem(struct bake_ctx *ctx) { return bake_fail(ctx, BAKE_E_NOMEM, "out of memory"); }

static void container_release(struct dk_container *c)
{
    free(c->id);
    free(c->name);
    free(c->image);
    free(c->image_id);
    free(c->project);
    free(c->service);
    for (size_t i = 0; i < c->n_depends; i++)
        free(c->depends_on[i]);
    free(c->depends_on);
    for (size_t i = 0; i < c->n_mounts; i++) {
        free(c->mounts[i].type);
        free(c->mounts[i].name);
        free(c->mounts[i].source);
        free(c->mounts[i].destination);
        free(c->mounts[i].driver);
    }
    free(c->mounts);
    json_decref(c->inspect);
}

static void item_release(struct dk_item *i)
{
    free(i->name);
    free(i->group);
    free(i->stack);
    free(i->path);
    free(i->volume);
    free(i->facts);
}

void dk_world_free(struct dk_world *w)
{
    if (!w)
        return;
    for (size_t i = 0; i < w->n_containers; i++)
        container_release(&w->containers[i]);
    for (size_t i = 0; i < w->n_items; i++)
        item_release(&w->items[i]);
    free(w->containers);
    free(w->items);
    json_decref(w->volumes);
    free(w);
}

const struct dk_item *dk_world_item(const struct dk_world *w, const char *component)
{
    for (size_t i = 0; w && i < w->n_items; i++)
        if (strcmp(w->items[i].name, component) == 0)
            return &w->items[i];
    return NULL;
}

/* What of path is at or below dir: "", or what follows the '/'; NULL: it is elsewhere. */
static const char *below(const char *dir, const char *path)
{
    size_t n = strlen(dir);
    while (n > 0 && dir[n - 1] == '/')
        n--;
    if (strncmp(path, dir, n) != 0 || (path[n] != '\0' && path[n] != '/'))
        return NULL;
    while (path[n] == '/')
        n++;
    return path + n;
}

const struct dk_mount *dk_mount_of(const struct dk_container *c, const char *path,
                                   const char **ret_rest)
{
    const struct dk_mount *best = NULL;
    const char *rest = NULL;
    for (size_t i = 0; i < c->n_mounts; i++) {
        const char *at = below(c->mounts[i].destination, path);
        if (!at || (best && strlen(c->mounts[i].destination) < strlen(best->destination)))
            continue;
        best = &c->mounts[i];
        rest = at;
    }
    if (best && ret_rest)
        *ret_rest = rest;
    return best;
}

const char *dk_env(const struct dk_container *c, const char *name)
{
    const json_t *env = json_object_get(json_object_get(c->inspect, "Config"), "Env");
    size_t n = strlen(name);
    /* of two the last one counts, as for the program itself */
    for (size_t i = json_array_size(env); i-- > 0;) {
        const char *text = json_string_value(json_array_get(env, i));
        if (text && strncmp(text, name, n) == 0 && text[n] == '=')
            return text + n + 1;
    }
    return NULL;
}

const char *dk_label(const struct dk_container *c, const char *name)
{
    const json_t *labels = json_object_get(json_object_get(c->inspect, "Config"), "Labels");
    return json_string_value(json_object_get(labels, name));
}

bool dk_mounts_touch(const struct dk_mount *a, const struct dk_mount *b)
{
    if (a->name && b->name && strcmp(a->name, b->name) == 0)
        return true;
    /* a bind may lie in another bind, or in the directory of a volume */
    if (!a->source || !b->source || a->source[0] != '/' || b->source[0] != '/')
        return false;
    return below(a->source, b->source) || below(b->source, a->source);
}
