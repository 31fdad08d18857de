/* What the manifest says of a component, in clear: never anything of a container's environment, of
 * its labels, or of a volume's options, which may all hold passwords. */
#include "discover.h"

#include <stdlib.h>
#include <string.h>

const json_t *dk_volume_json(const json_t *volumes, const char *name)
{
    for (size_t i = 0; i < json_array_size(volumes); i++)
        if (strcmp(dk_json_text(json_array_get(volumes, i), "Name"), name) == 0)
            return json_array_get(volumes, i);
    return NULL;
}

static int set_text(json_t *o, const char *key, const char *text)
{
    return text && *text ? json_object_set_new(o, key, json_string(text)) : 0;
}

static int set_labels(json_t *o, const json_t *volume)
{
    json_t *labels = json_object_get(volume, "Labels");
    return json_object_size(labels) > 0 ? json_object_set(o, "labels", labels) : 0;
}

static int set_mount(json_t *facts, const struct dk_mount *m, const json_t *volumes)
{
    json_t *o = json_object();
    int bad = set_text(o, "type", m->type) | set_text(o, "name", m->name) |
              set_text(o, "driver", m->driver) | set_text(o, "destination", m->destination);
    if (strcmp(m->type, "bind") == 0)
        bad |= set_text(o, "source", m->source);
    if (m->name)
        bad |= set_labels(o, dk_volume_json(volumes, m->name));
    return json_object_set_new(facts, "mount", o) | bad;
}

static int set_volume(json_t *facts, const char *name, const json_t *volumes)
{
    const json_t *volume = dk_volume_json(volumes, name);
    json_t *o = json_object();
    int bad = set_text(o, "type", "volume") | set_text(o, "name", name) |
              set_text(o, "driver", dk_json_text(volume, "Driver")) | set_labels(o, volume);
    return json_object_set_new(facts, "mount", o) | bad;
}

static int set_container(json_t *facts, const struct dk_item *item, const json_t *volumes)
{
    const struct dk_container *c = item->container;
    const char *rest;
    const struct dk_mount *m = item->path ? dk_mount_of(c, item->path, &rest) : NULL;
    int bad = set_text(facts, "service", c->service) | set_text(facts, "container", c->name) |
              set_text(facts, "image", c->image) | set_text(facts, "image_id", c->image_id) |
              set_text(facts, "path", item->path);
    return m ? set_mount(facts, m, volumes) | bad : bad;
}

int dk_build_facts(struct dk_build *b, struct dk_item *item)
{
    json_t *facts = json_object();
    int bad = set_text(facts, "engine", b->seen->engine) | set_text(facts, "arch", b->seen->arch);
    if (item->container)
        bad |= set_container(facts, item, b->seen->volumes);
    if (item->volume)
        bad |= set_volume(facts, item->volume, b->seen->volumes);
    item->facts = bad ? NULL : json_dumps(facts, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(facts);
    return item->facts ? BAKE_OK : dk_nomem(b->ctx);
}
