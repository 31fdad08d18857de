/* A stack's definition under another project's name: what belongs to the stack gets new names, what
 * would collide with the old stack (ports, fixed addresses) is left out. */
#include "definition.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LABEL_PROJECT "com.docker.compose.project"

struct names { /* old -> new */
    json_t *containers, *networks, *volumes;
};

char *dk_def_new_name(const char *stack, const char *to, const char *name)
{
    size_t n = strlen(stack);
    char *ret = NULL;
    int rc;
    if (strncmp(name, stack, n) == 0 && (name[n] == '\0' || name[n] == '_' || name[n] == '-'))
        rc = asprintf(&ret, "%s%s", to, name + n);
    else
        rc = asprintf(&ret, "%s_%s", to, name);
    return rc < 0 ? NULL : ret;
}

/* ---- the names ------------------------------------------------------------------------------- */

static int add_name(json_t *set, const char *stack, const char *to, const char *name)
{
    char *text = dk_def_new_name(stack, to, name);
    int rc = text ? json_object_set_new(set, name, json_string(text)) : -1;
    free(text);
    return rc;
}

/* A container_name of its own cannot be had twice: then Compose's way of naming. */
static int add_container(json_t *set, const char *stack, const char *to, const char *name,
                         const json_t *c)
{
    const json_t *labels = json_object_get(json_object_get(c, "config"), "Labels");
    const char *version = json_string_value(json_object_get(labels, "com.docker.compose.version"));
    size_t n = strlen(stack);
    if (!version || (strncmp(name, stack, n) == 0 && (name[n] == '_' || name[n] == '-')))
        return add_name(set, stack, to, name);
    const char *sep = version[0] == '1' ? "_" : "-";
    return json_object_set_new(set, name,
                               json_sprintf("%s%s%s%s%d", to, sep,
                                            json_string_value(json_object_get(c, "service")), sep,
                                            (int)json_integer_value(json_object_get(c, "number"))));
}

static int names_init(struct names *n, const json_t *def, const char *stack, const char *to)
{
    const char *key;
    json_t *v;
    *n = (struct names){
        .containers = json_object(), .networks = json_object(), .volumes = json_object()};
    if (!n->containers || !n->networks || !n->volumes)
        return -1;
    json_object_foreach(json_object_get(def, "containers"), key,
                        v) if (add_container(n->containers, stack, to, key, v) != 0) return -1;
    json_object_foreach(json_object_get(def, "networks"), key,
                        v) if (json_is_true(json_object_get(v, "own")) &&
                               add_name(n->networks, stack, to, key) != 0) return -1;
    json_object_foreach(json_object_get(def, "volumes"), key,
                        v) if (add_name(n->volumes, stack, to, key) != 0) return -1;
    return 0;
}

static void names_release(struct names *n)
{
    json_decref(n->containers);
    json_decref(n->networks);
    json_decref(n->volumes);
}

/* The new name of n bytes of text, or NULL: it keeps the one it has. */
static const char *renamed(const json_t *set, const char *text, size_t n)
{
    json_t *key = json_stringn(text, n);
    const char *ret = key ? json_string_value(json_object_get(set, json_string_value(key))) : NULL;
    json_decref(key);
    return ret;
}

/* ---- a container ----------------------------------------------------------------------------- */

static int map_labels(json_t *labels, const char *to)
{
    if (!json_is_object(labels))
        return 0;
    /* Compose compares this with its own idea of the container, whose name is another. */
    (void)json_object_del(labels, "com.docker.compose.config-hash");
    (void)json_object_del(labels, "com.docker.compose.replace");
    return json_object_get(labels, LABEL_PROJECT)
               ? json_object_set_new(labels, LABEL_PROJECT, json_string(to))
               : 0;
}

/* The first part of "name:rest" in a list of texts. */
static int map_firsts(json_t *list, const json_t *set)
{
    json_t *v;
    size_t i;
    json_array_foreach(list, i, v)
    {
        const char *text = json_string_value(v), *colon = text ? strchr(text, ':') : NULL;
        if (!text)
            continue;
        const char *to = renamed(set, text, colon ? (size_t)(colon - text) : strlen(text));
        if (to && json_array_set_new(list, i, json_sprintf("%s%s", to, colon ? colon : "")) != 0)
            return -1;
    }
    return 0;
}

static int map_mode(json_t *host, const char *key, const struct names *n)
{
    const char *v = json_string_value(json_object_get(host, key)), *to;
    if (!v)
        return 0;
    if (strncmp(v, "container:", 10) == 0) {
        to = renamed(n->containers, v + 10, strlen(v + 10));
        return to ? json_object_set_new(host, key, json_sprintf("container:%s", to)) : 0;
    }
    to = strcmp(key, "NetworkMode") == 0 ? renamed(n->networks, v, strlen(v)) : NULL;
    return to ? json_object_set_new(host, key, json_string(to)) : 0;
}

static int map_host(json_t *host, const struct names *n)
{
    json_t *v;
    size_t i;
    if (map_firsts(json_object_get(host, "Binds"), n->volumes) != 0 ||
        map_firsts(json_object_get(host, "VolumesFrom"), n->containers) != 0 ||
        map_firsts(json_object_get(host, "Links"), n->containers) != 0 ||
        map_mode(host, "NetworkMode", n) != 0 || map_mode(host, "IpcMode", n) != 0 ||
        map_mode(host, "PidMode", n) != 0)
        return -1;
    json_array_foreach(json_object_get(host, "Mounts"), i, v)
    {
        const char *type = json_string_value(json_object_get(v, "Type"));
        const char *source = json_string_value(json_object_get(v, "Source"));
        const char *to = type && source && strcmp(type, "volume") == 0
                             ? renamed(n->volumes, source, strlen(source))
                             : NULL;
        if (to && json_object_set_new(v, "Source", json_string(to)) != 0)
            return -1;
    }
    return 0;
}

static bool drop_ports(json_t *host)
{
    bool had = json_object_size(json_object_get(host, "PortBindings")) > 0 ||
               json_is_true(json_object_get(host, "PublishAllPorts"));
    (void)json_object_del(host, "PortBindings");
    (void)json_object_del(host, "PublishAllPorts");
    return had;
}

static json_t *map_networks(const json_t *from, const struct names *n, bool *had_address)
{
    json_t *ret = json_object(), *v;
    const char *key;
    json_object_foreach((json_t *)from, key, v)
    {
        const char *to = renamed(n->networks, key, strlen(key));
        *had_address |= json_object_size(json_object_get(v, "IPAMConfig")) > 0;
        (void)json_object_del(v, "IPAMConfig");
        if (map_firsts(json_object_get(v, "Aliases"), n->containers) != 0 ||
            map_firsts(json_object_get(v, "Links"), n->containers) != 0 ||
            json_object_set(ret, to ? to : key, v) != 0) {
            json_decref(ret);
            return NULL;
        }
    }
    return ret;
}

static int map_container(json_t *c, const struct names *n, const char *to, struct dk_renamed *ret)
{
    json_t *host = json_object_get(c, "host_config");
    bool address = false;
    json_t *networks = map_networks(json_object_get(c, "networks"), n, &address);
    if (!networks || json_object_set_new(c, "networks", networks) != 0 || map_host(host, n) != 0 ||
        map_labels(json_object_get(json_object_get(c, "config"), "Labels"), to) != 0)
        return -1;
    ret->ports += drop_ports(host);
    ret->addresses += address;
    return 0;
}

/* ---- the whole ------------------------------------------------------------------------------- */

/* Puts the object under a member's new names in its place. */
static int rekey(json_t *def, const char *member, const json_t *set)
{
    json_t *to = json_object(), *v;
    const char *key;
    json_object_foreach(json_object_get(def, member), key, v)
    {
        const char *name = json_string_value(json_object_get(set, key));
        if (json_object_set(to, name ? name : key, v) != 0) {
            json_decref(to);
            return -1;
        }
    }
    return json_object_set_new(def, member, to);
}

static int map_created(json_t *def, const char *to)
{
    const char *key;
    json_t *v;
    json_object_foreach(json_object_get(def, "networks"), key, v)
    {
        json_t *create = json_object_get(v, "create");
        if (!json_is_true(json_object_get(v, "own")))
            continue; /* another's: used by both */
        /* The old stack has these addresses. */
        (void)json_object_del(json_object_get(create, "IPAM"), "Config");
        if (map_labels(json_object_get(create, "Labels"), to) != 0)
            return -1;
    }
    json_object_foreach(json_object_get(def, "volumes"), key,
                        v) if (map_labels(json_object_get(json_object_get(v, "create"), "Labels"),
                                          to) != 0) return -1;
    return 0;
}

static bool is_elsewhere(const json_t *volume)
{
    const json_t *options = json_object_get(json_object_get(volume, "create"), "DriverOpts");
    const char *type = json_string_value(json_object_get(options, "type"));
    return json_object_size(options) > 0 && !(type && strcmp(type, "tmpfs") == 0);
}

json_t *dk_def_rename(const json_t *def, const char *to, struct dk_renamed *ret)
{
    const char *stack = json_string_value(json_object_get(def, "stack")), *key;
    struct names names;
    json_t *copy = json_deep_copy(def), *v;
    *ret = (struct dk_renamed){0};
    int rc = names_init(&names, def, stack, to);
    json_object_foreach(json_object_get(def, "volumes"), key, v)
    {
        if (rc == 0 && is_elsewhere(v)) {
            ret->elsewhere = strdup(key);
            rc = -1;
        }
    }
    json_object_foreach(json_object_get(copy, "containers"), key, v) if (rc == 0) rc =
        map_container(v, &names, to, ret);
    if (rc == 0)
        rc = map_created(copy, to);
    if (!copy || rc != 0 || rekey(copy, "containers", names.containers) != 0 ||
        rekey(copy, "networks", names.networks) != 0 ||
        rekey(copy, "volumes", names.volumes) != 0 ||
        json_object_set_new(copy, "stack", json_string(to)) != 0) {
        json_decref(copy);
        copy = NULL;
    }
    names_release(&names);
    return copy;
}
