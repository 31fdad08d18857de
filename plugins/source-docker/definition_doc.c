/* The document of a stack's definition, made from what the daemon says: what an object is created
 * with, nothing that changes by itself, so that an unchanged stack has unchanged bytes. */
#include "definition.h"

#include <stdlib.h>
#include <string.h>

/* Members of `from` that are worth keeping: neither absent nor null. */
static int copy_members(json_t *to, const json_t *from, const char *const *names)
{
    for (; *names; names++) {
        json_t *v = json_object_get(from, *names);
        if (v && !json_is_null(v) && json_object_set(to, *names, v) != 0)
            return -1;
    }
    return 0;
}

static int copy_all(json_t *to, const json_t *from, const char *const *without)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)from, key, v)
    {
        bool skip = json_is_null(v);
        for (const char *const *w = without; *w && !skip; w++)
            skip = strcmp(*w, key) == 0;
        if (!skip && json_object_set(to, key, v) != 0)
            return -1;
    }
    return 0;
}

static json_t *deep(const json_t *from, const char *const *without)
{
    json_t *shallow = json_object(), *ret = NULL;
    if (shallow && copy_all(shallow, from, without) == 0)
        ret = json_deep_copy(shallow);
    json_decref(shallow);
    return ret;
}

/* ---- containers ------------------------------------------------------------------------------ */

/* Another container by what it was named by: an id (or its first 12 digits) or a name. */
static const char *name_of(const struct dk_world *w, const char *ref)
{
    size_t n = strlen(ref);
    for (size_t i = 0; i < w->n_containers; i++) {
        if (n >= 12 && strncmp(w->containers[i].id, ref, n) == 0)
            return w->containers[i].name;
    }
    return ref;
}

static json_t *config_of(const struct dk_container *c)
{
    static const char *const without[] = {"MacAddress", NULL};
    const json_t *from = json_object_get(c->inspect, "Config");
    json_t *ret = deep(from, without);
    const char *hostname = json_string_value(json_object_get(ret, "Hostname"));
    /* Without one of its own a container has its id for a host name; the next has another. */
    if (hostname && strlen(hostname) >= 12 && strncmp(c->id, hostname, strlen(hostname)) == 0)
        (void)json_object_del(ret, "Hostname");
    return ret;
}

/* "container:<id>" of NetworkMode, IpcMode and PidMode: the other's name outlives its id. */
static int by_name(const struct dk_world *w, json_t *host)
{
    static const char *const modes[] = {"NetworkMode", "IpcMode", "PidMode", NULL};
    for (const char *const *m = modes; *m; m++) {
        const char *v = json_string_value(json_object_get(host, *m));
        if (!v || strncmp(v, "container:", 10) != 0)
            continue;
        if (json_object_set_new(host, *m, json_sprintf("container:%s", name_of(w, v + 10))) != 0)
            return -1;
    }
    json_t *from = json_object_get(host, "VolumesFrom"), *v;
    size_t i;
    json_array_foreach(from, i, v)
    {
        char id[80];
        const char *text = json_string_value(v), *colon = text ? strchr(text, ':') : NULL;
        size_t n = !text ? 0 : colon ? (size_t)(colon - text) : strlen(text);
        if (n == 0 || n >= sizeof(id))
            continue;
        memcpy(id, text, n);
        id[n] = '\0';
        if (json_array_set_new(from, i, json_sprintf("%s%s", name_of(w, id), colon ? colon : "")) !=
            0)
            return -1;
    }
    return 0;
}

/* "/shop_db_1:/shop_app_1/db", as inspect says it, was made from "shop_db_1:db". */
static int links(json_t *host)
{
    json_t *list = json_object_get(host, "Links"), *v;
    size_t i;
    json_array_foreach(list, i, v)
    {
        const char *text = json_string_value(v);
        const char *colon = text ? strchr(text, ':') : NULL;
        const char *alias = colon ? strrchr(colon, '/') : NULL;
        if (!alias || text[0] != '/')
            continue;
        if (json_array_set_new(
                list, i, json_sprintf("%.*s:%s", (int)(colon - text - 1), text + 1, alias + 1)) !=
            0)
            return -1;
    }
    return 0;
}

static json_t *host_of(const struct dk_world *w, const struct dk_container *c)
{
    static const char *const without[] = {"ContainerIDFile", "ConsoleSize", NULL};
    json_t *ret = deep(json_object_get(c->inspect, "HostConfig"), without);
    if (ret && by_name(w, ret) == 0 && links(ret) == 0)
        return ret;
    json_decref(ret);
    return NULL;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(json_string_value(*(json_t *const *)a), json_string_value(*(json_t *const *)b));
}

/* Aliases without the container's short id, which the daemon adds itself, in one order. */
static json_t *aliases_of(const struct dk_container *c, const json_t *from)
{
    json_t *kept[64], *v, *ret = json_array();
    size_t i, n = 0;
    json_array_foreach(from, i, v)
    {
        const char *text = json_string_value(v);
        bool id = text && strlen(text) >= 12 && strncmp(c->id, text, strlen(text)) == 0;
        if (text && !id && n < sizeof(kept) / sizeof(*kept))
            kept[n++] = v;
    }
    qsort(kept, n, sizeof(*kept), by_text);
    for (i = 0; i < n; i++) {
        if (!ret || json_array_append(ret, kept[i]) != 0) {
            json_decref(ret);
            return NULL;
        }
    }
    return ret;
}

static json_t *networks_of(const struct dk_container *c)
{
    static const char *const members[] = {"IPAMConfig", "Links", "DriverOpts", NULL};
    const json_t *from =
        json_object_get(json_object_get(c->inspect, "NetworkSettings"), "Networks");
    json_t *ret = json_object(), *v;
    const char *name;
    json_object_foreach((json_t *)from, name, v)
    {
        json_t *one = json_object();
        if (strcmp(name, "host") == 0 || strcmp(name, "none") == 0) {
            json_decref(one);
            continue;
        }
        if (json_object_set_new(ret, name, one) != 0 || copy_members(one, v, members) != 0 ||
            json_object_set_new(one, "Aliases", aliases_of(c, json_object_get(v, "Aliases"))) !=
                0) {
            json_decref(ret);
            return NULL;
        }
    }
    return ret;
}

json_t *dk_def_container(const struct dk_world *w, const struct dk_container *c)
{
    json_t *config = config_of(c), *host = host_of(w, c), *networks = networks_of(c), *ret = NULL;
    if (config && host && networks)
        ret = json_pack("{s:s, s:i, s:s, s:s, s:O, s:O, s:O}", "service", c->service, "number",
                        c->number, "image", c->image, "image_id", c->image_id, "config", config,
                        "host_config", host, "networks", networks);
    json_decref(config);
    json_decref(host);
    json_decref(networks);
    return ret;
}

/* ---- networks and volumes -------------------------------------------------------------------- */

static bool is_own(const json_t *labels, const char *stack)
{
    const char *v = json_string_value(json_object_get(labels, "com.docker.compose.project"));
    return v && strcmp(v, stack) == 0;
}

static json_t *described(const json_t *inspect, const char *stack, const char *const *members)
{
    json_t *create = json_object();
    json_t *ret = json_pack("{s:b, s:O*}", "own", is_own(json_object_get(inspect, "Labels"), stack),
                            "create", create);
    if (!create || !ret || copy_members(create, inspect, members) != 0) {
        json_decref(ret);
        ret = NULL;
    }
    json_decref(create);
    return ret;
}

json_t *dk_def_network(const json_t *inspect, const char *stack)
{
    static const char *const members[] = {"Driver",     "EnableIPv6", "IPAM",   "Internal",
                                          "Attachable", "Options",    "Labels", NULL};
    return described(inspect, stack, members);
}

json_t *dk_def_volume(const json_t *inspect, const char *stack)
{
    static const char *const members[] = {"Driver", "Labels", NULL};
    json_t *ret = described(inspect, stack, members);
    json_t *options = json_object_get(inspect, "Options");
    if (ret && json_is_object(options) &&
        json_object_set(json_object_get(ret, "create"), "DriverOpts", options) != 0) {
        json_decref(ret);
        return NULL;
    }
    return ret;
}

/* ---- what a container needs ------------------------------------------------------------------ */

static int need(json_t *set, const char *name, size_t n)
{
    json_t *key = json_stringn(name, n);
    int rc = key ? json_object_set_new(set, json_string_value(key), json_true()) : -1;
    json_decref(key);
    return rc;
}

static int need_volumes(const json_t *host, json_t *volumes)
{
    json_t *v;
    size_t i;
    json_array_foreach(json_object_get(host, "Binds"), i, v)
    {
        const char *text = json_string_value(v), *colon = text ? strchr(text, ':') : NULL;
        if (!colon || text[0] == '/')
            continue;
        if (need(volumes, text, (size_t)(colon - text)) != 0)
            return -1;
    }
    json_array_foreach(json_object_get(host, "Mounts"), i, v)
    {
        const char *type = json_string_value(json_object_get(v, "Type"));
        const char *source = json_string_value(json_object_get(v, "Source"));
        if (!type || strcmp(type, "volume") != 0 || !source || source[0] == '\0')
            continue;
        if (need(volumes, source, strlen(source)) != 0)
            return -1;
    }
    return 0;
}

int dk_def_needs(const json_t *container, json_t *volumes, json_t *networks)
{
    const char *name;
    json_t *v;
    json_object_foreach(json_object_get(container, "networks"), name, v)
    {
        /* bridge is the daemon's own */
        if (strcmp(name, "bridge") != 0 && json_object_set_new(networks, name, json_true()) != 0)
            return -1;
    }
    return need_volumes(json_object_get(container, "host_config"), volumes);
}

const char *dk_def_check(const json_t *def)
{
    static const char *const objects[] = {"containers", "networks", "volumes", "images", NULL};
    if (!json_is_object(def))
        return "it is no JSON object";
    if (json_integer_value(json_object_get(def, "version")) != 1)
        return "its version is not 1";
    if (!json_is_string(json_object_get(def, "stack")))
        return "it does not say which stack it is of";
    for (const char *const *o = objects; *o; o++) {
        const char *key;
        json_t *v;
        if (!json_is_object(json_object_get(def, *o)))
            return "a part of it is missing";
        json_object_foreach(json_object_get(def, *o), key, v)
        {
            if (!json_is_object(v))
                return "a part of it is no JSON object";
        }
    }
    const char *key;
    json_t *v;
    json_object_foreach(json_object_get(def, "containers"), key, v)
    {
        if (!json_is_object(json_object_get(v, "config")) ||
            !json_is_object(json_object_get(v, "host_config")) ||
            !json_is_object(json_object_get(v, "networks")) ||
            !json_is_string(json_object_get(v, "service")) ||
            !json_is_string(json_object_get(v, "image")))
            return "a container is not described in full";
    }
    return NULL;
}
