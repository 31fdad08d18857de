/* Making a stack's networks, volumes and containers again from its definition. Nothing is started,
 * and nothing that is there is changed. */
#include "api.h"
#include "definition.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct make {
    struct dk_source *s;
    struct bake_ctx *ctx;
    const json_t *def;
    const struct dk_world *w;
    const struct dk_made *made;
    bool force;
    json_t *containers;         /* that are missing: NAME -> as in the document (borrowed) */
    json_t *volumes, *networks; /* names that they need */
    json_t *images;             /* NAME -> what to create with */
    size_t n_made;
};

static const char *stack_of(const struct make *m)
{
    return json_string_value(json_object_get(m->def, "stack"));
}

/* Is there such an object? BAKE_OK, BAKE_END: no. *ret may be NULL. */
static int look(const struct make *m, const char *what, const char *name, const char *after,
                json_t **ret)
{
    char *quoted = dk_quote(name), *path = NULL;
    json_t *got = NULL;
    int rc = quoted && asprintf(&path, "/%s/%s%s", what, quoted, after) >= 0
                 ? dk_get(m->s->api, m->ctx, path, &got)
                 : dk_nomem(m->ctx);
    free(quoted);
    free(path);
    if (rc == BAKE_OK && ret)
        *ret = got;
    else
        json_decref(got);
    return rc == BAKE_E_NOTFOUND ? BAKE_END : rc;
}

/* ---- what is missing, and can it be made? ---------------------------------------------------- */

static const struct dk_container *existing(const struct make *m, const json_t *c)
{
    const char *service = json_string_value(json_object_get(c, "service"));
    int number = (int)json_integer_value(json_object_get(c, "number"));
    for (size_t i = 0; i < m->w->n_containers; i++) {
        const struct dk_container *have = &m->w->containers[i];
        if (strcmp(have->project, stack_of(m)) == 0 && strcmp(have->service, service) == 0 &&
            have->number == number)
            return have;
    }
    return NULL;
}

static int check_name(const struct make *m, const char *name)
{
    for (size_t i = 0; i < m->w->n_containers; i++) {
        const struct dk_container *have = &m->w->containers[i];
        if (strcmp(have->name, name) == 0)
            return bake_fail(m->ctx, BAKE_E_EXISTS,
                             "cannot make container '%s' again: the name is taken by service '%s' "
                             "of '%s'\nHINT: remove or rename that container",
                             name, have->service, have->project);
    }
    return BAKE_OK;
}

static int check_image(struct make *m, const char *name, const json_t *c)
{
    const char *image = json_string_value(json_object_get(c, "image"));
    const char *id = json_string_value(json_object_get(c, "image_id")), *use = image;
    json_t *got = NULL;
    int rc = look(m, "images", image, "/json", &got);
    if (rc == BAKE_OK) {
        const char *have = json_string_value(json_object_get(got, "Id"));
        if (id && have && strcmp(id, have) != 0)
            bake_report(m->ctx, BAKE_WARNING, name,
                        "its image '%s' is not the one it was backed up with", image);
    } else if (rc == BAKE_END && id) {
        use = id;
        rc = look(m, "images", id, "/json", NULL);
    }
    json_decref(got);
    if (rc == BAKE_END)
        return bake_fail(m->ctx, BAKE_E_NOTFOUND,
                         "cannot make container '%s' again: its image '%s' is not there\n"
                         "HINT: docker pull %s",
                         name, image, image);
    if (rc == BAKE_OK && json_object_set_new(m->images, name, json_string(use)) != 0)
        return dk_nomem(m->ctx);
    return rc;
}

static int check_source(const struct make *m, const char *name, const char *path, size_t n)
{
    char *text = strndup(path, n);
    if (!text)
        return dk_nomem(m->ctx);
    int rc = BAKE_OK;
    if (access(text, F_OK) != 0 && errno == ENOENT) {
        if (!m->force)
            rc = bake_fail(m->ctx, BAKE_E_NOTFOUND,
                           "cannot make container '%s' again: '%s', which it mounts, is not there\n"
                           "HINT: put it back first, or use --force to get an empty directory",
                           name, text);
        else
            bake_report(m->ctx, BAKE_WARNING, name,
                        "'%s', which it mounts, is not there: Docker makes an empty directory",
                        text);
    }
    free(text);
    return rc;
}

static int check_binds(const struct make *m, const char *name, const json_t *c)
{
    const json_t *host = json_object_get(c, "host_config");
    json_t *v;
    size_t i;
    int rc = BAKE_OK;
    if (m->s->where.away || !dk_api_local(m->s->api))
        return BAKE_OK; /* its files are not ours to see */
    json_array_foreach(json_object_get(host, "Binds"), i, v)
    {
        const char *text = json_string_value(v), *colon = text ? strchr(text, ':') : NULL;
        if (rc == BAKE_OK && colon && text[0] == '/')
            rc = check_source(m, name, text, (size_t)(colon - text));
    }
    json_array_foreach(json_object_get(host, "Mounts"), i, v)
    {
        const char *type = json_string_value(json_object_get(v, "Type"));
        const char *source = json_string_value(json_object_get(v, "Source"));
        if (rc == BAKE_OK && type && source && strcmp(type, "bind") == 0)
            rc = check_source(m, name, source, strlen(source));
    }
    return rc;
}

static int find_missing(struct make *m)
{
    const char *name;
    json_t *c;
    int rc = BAKE_OK;
    json_object_foreach(json_object_get(m->def, "containers"), name, c)
    {
        if (existing(m, c))
            continue;
        if ((rc = check_name(m, name)) != BAKE_OK || (rc = check_image(m, name, c)) != BAKE_OK ||
            (rc = check_binds(m, name, c)) != BAKE_OK)
            return rc;
        if (json_object_set(m->containers, name, c) != 0 ||
            dk_def_needs(c, m->volumes, m->networks) != 0)
            return dk_nomem(m->ctx);
    }
    return rc;
}

/* ---- networks and volumes -------------------------------------------------------------------- */

static int note(struct make *m, const char *kind, const char *name, const char *id)
{
    m->n_made += id != NULL;
    return m->made->note(m->made->arg, m->ctx, kind, name, id);
}

static json_t *body_of(const struct make *m, const char *kind, const char *name)
{
    const json_t *create =
        json_object_get(json_object_get(json_object_get(m->def, kind), name), "create");
    json_t *body = create ? json_deep_copy(create) : json_object();
    if (body && json_object_set_new(body, "Name", json_string(name)) != 0) {
        json_decref(body);
        return NULL;
    }
    return body;
}

/* A network's addresses are often not chosen but given, and may be another's by now. */
static int make_network_anew(struct make *m, const char *name, json_t *body, json_t **ret)
{
    int rc = dk_post(m->s->api, m->ctx, "/networks/create", body, ret);
    json_t *ipam = json_object_get(body, "IPAM");
    if (rc == BAKE_OK || rc == BAKE_E_CANCELLED ||
        json_array_size(json_object_get(ipam, "Config")) == 0)
        return rc;
    (void)json_object_del(ipam, "Config");
    rc = dk_post(m->s->api, m->ctx, "/networks/create", body, ret);
    if (rc == BAKE_OK)
        bake_report(m->ctx, BAKE_NOTICE, name,
                    "the network has other addresses than it had: its own are not free");
    return rc;
}

static int make_network(struct make *m, const char *name)
{
    int rc = look(m, "networks", name, "", NULL);
    if (rc != BAKE_END)
        return rc;
    json_t *body = body_of(m, "networks", name), *got = NULL;
    if (!body || json_object_set_new(body, "CheckDuplicate", json_true()) != 0)
        rc = dk_nomem(m->ctx);
    else if ((rc = note(m, "networks", name, NULL)) == BAKE_OK &&
             (rc = make_network_anew(m, name, body, &got)) == BAKE_OK) {
        const char *id = json_string_value(json_object_get(got, "Id"));
        rc = note(m, "networks", name, id ? id : name);
        bake_log(m->ctx, BAKE_LOG_INFO, "made network '%s'", name);
    }
    json_decref(body);
    json_decref(got);
    return rc;
}

static int make_volume(struct make *m, const char *name)
{
    int rc = look(m, "volumes", name, "", NULL);
    if (rc != BAKE_END)
        return rc;
    json_t *body = body_of(m, "volumes", name), *got = NULL;
    if (!body)
        rc = dk_nomem(m->ctx);
    else if ((rc = note(m, "volumes", name, NULL)) == BAKE_OK &&
             (rc = dk_post(m->s->api, m->ctx, "/volumes/create", body, &got)) == BAKE_OK) {
        rc = note(m, "volumes", name, name);
        bake_log(m->ctx, BAKE_LOG_INFO, "made volume '%s'", name);
    }
    json_decref(body);
    json_decref(got);
    return rc;
}

/* ---- containers ------------------------------------------------------------------------------ */

static bool endpoint(json_t *networks, const char *name, const json_t *e)
{
    json_t *copy = json_deep_copy(e);
    /* The daemon's own bridge takes no aliases, not even none. */
    if (copy && json_array_size(json_object_get(copy, "Aliases")) == 0)
        (void)json_object_del(copy, "Aliases");
    return copy && json_object_set_new(networks, name, copy) == 0;
}

/* The network that it is created in: its NetworkMode's; an older API takes just one. */
static const char *first_network(const json_t *c)
{
    const json_t *networks = json_object_get(c, "networks");
    const char *mode =
        json_string_value(json_object_get(json_object_get(c, "host_config"), "NetworkMode"));
    if (mode && json_object_get(networks, mode))
        return mode;
    return json_object_iter_key(json_object_iter((json_t *)networks));
}

static json_t *container_body(const struct make *m, const char *name, const json_t *c)
{
    const char *first = first_network(c);
    json_t *ret = json_deep_copy(json_object_get(c, "config")), *networks = json_object();
    if (ret && networks &&
        (!first ||
         endpoint(networks, first, json_object_get(json_object_get(c, "networks"), first))) &&
        json_object_set(ret, "Image", json_object_get(m->images, name)) == 0 &&
        json_object_set(ret, "HostConfig", json_object_get(c, "host_config")) == 0 &&
        json_object_set_new(ret, "NetworkingConfig",
                            json_pack("{s:O}", "EndpointsConfig", networks)) == 0) {
        json_decref(networks);
        return ret;
    }
    json_decref(ret);
    json_decref(networks);
    return NULL;
}

static int connect_one(struct make *m, const char *id, const char *network, const json_t *e)
{
    json_t *one = json_object(), *got = NULL;
    char *quoted = dk_quote(network), *path = NULL;
    int rc = BAKE_OK;
    json_t *body = NULL;
    if (!quoted || !one || !endpoint(one, network, e) ||
        asprintf(&path, "/networks/%s/connect", quoted) < 0 ||
        !(body = json_pack("{s:s, s:O}", "Container", id, "EndpointConfig",
                           json_object_get(one, network))))
        rc = dk_nomem(m->ctx);
    else
        rc = dk_post(m->s->api, m->ctx, path, body, &got);
    json_decref(one);
    json_decref(body);
    json_decref(got);
    free(quoted);
    free(path);
    return rc;
}

static int connect_rest(struct make *m, const char *id, const json_t *c)
{
    const char *network, *first = first_network(c);
    json_t *e;
    int rc = BAKE_OK;
    json_object_foreach(json_object_get(c, "networks"), network,
                        e) if (rc == BAKE_OK && strcmp(network, first) != 0) rc =
        connect_one(m, id, network, e);
    return rc;
}

static int make_container(struct make *m, const char *name, const json_t *c)
{
    json_t *body = container_body(m, name, c), *got = NULL;
    char *quoted = dk_quote(name), *path = NULL;
    int rc = body && quoted && asprintf(&path, "/containers/create?name=%s", quoted) >= 0
                 ? note(m, "containers", name, NULL)
                 : dk_nomem(m->ctx);
    if (rc == BAKE_OK)
        rc = dk_post(m->s->api, m->ctx, path, body, &got);
    const char *id = json_string_value(json_object_get(got, "Id"));
    if (rc == BAKE_OK && !id)
        rc = bake_fail(m->ctx, BAKE_E_IO, "the daemon made container '%s' without saying its id",
                       name);
    if (rc == BAKE_OK && (rc = note(m, "containers", name, id)) == BAKE_OK)
        rc = connect_rest(m, id, c);
    if (rc == BAKE_OK)
        bake_log(m->ctx, BAKE_LOG_INFO, "made container '%s'", name);
    json_decref(body);
    json_decref(got);
    free(quoted);
    free(path);
    return rc;
}

/* Does it share something with a container that is still to be made? */
static bool must_wait(const struct make *m, const json_t *c)
{
    static const char *const modes[] = {"NetworkMode", "IpcMode", "PidMode", NULL};
    const json_t *host = json_object_get(c, "host_config");
    json_t *v;
    size_t i;
    for (const char *const *mode = modes; *mode; mode++) {
        const char *text = json_string_value(json_object_get(host, *mode));
        if (text && strncmp(text, "container:", 10) == 0 &&
            json_object_get(m->containers, text + 10))
            return true;
    }
    json_array_foreach(json_object_get(host, "VolumesFrom"), i, v)
    {
        const char *text = json_string_value(v);
        json_t *key = text ? json_stringn(text, strcspn(text, ":")) : NULL;
        bool wait = key && json_object_get(m->containers, json_string_value(key));
        json_decref(key);
        if (wait)
            return true;
    }
    return false;
}

static int make_containers(struct make *m)
{
    while (json_object_size(m->containers) > 0) {
        const char *name;
        json_t *c;
        void *next;
        size_t before = json_object_size(m->containers);
        json_object_foreach_safe(m->containers, next, name, c)
        {
            if (must_wait(m, c))
                continue;
            int rc = make_container(m, name, c);
            if (rc != BAKE_OK)
                return rc;
            (void)json_object_del(m->containers, name);
        }
        if (json_object_size(m->containers) == before)
            return bake_fail(m->ctx, BAKE_E_CORRUPT,
                             "the definition of '%s' has containers that wait for each other",
                             stack_of(m));
    }
    return BAKE_OK;
}

static int make_all(struct make *m)
{
    const char *name;
    json_t *v;
    int rc = find_missing(m);
    json_object_foreach(m->networks, name, v) if (rc == BAKE_OK) rc = make_network(m, name);
    json_object_foreach(m->volumes, name, v) if (rc == BAKE_OK) rc = make_volume(m, name);
    return rc == BAKE_OK ? make_containers(m) : rc;
}

int dk_def_make(struct dk_source *s, struct bake_ctx *ctx, const json_t *def,
                const struct dk_world *w, bool force, const struct dk_made *made, size_t *ret_made)
{
    struct make m = {.s = s,
                     .ctx = ctx,
                     .def = def,
                     .w = w,
                     .made = made,
                     .force = force,
                     .containers = json_object(),
                     .volumes = json_object(),
                     .networks = json_object(),
                     .images = json_object()};
    int rc = m.containers && m.volumes && m.networks && m.images ? make_all(&m) : dk_nomem(ctx);
    json_decref(m.containers);
    json_decref(m.volumes);
    json_decref(m.networks);
    json_decref(m.images);
    *ret_made = m.n_made;
    return rc;
}
