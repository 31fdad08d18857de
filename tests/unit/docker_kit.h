/* What the tests of Docker discovery share: worlds made of JSON. */
#ifndef DOCKER_KIT_H
#define DOCKER_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "discover.h"
#include "fakehost.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNUSED __attribute__((unused))

struct kit {
    struct fakehost host;
    struct dk_config cfg;
    const char *list[8]; /* for an option of cfg */
    json_t *containers, *volumes;
    const char *own;
    bool quiet;
    struct dk_world *world;
};

static int setup(void **state)
{
    struct kit *k = calloc(1, sizeof(*k));
    fakehost_init(&k->host);
    k->containers = json_array();
    k->volumes = json_array();
    *state = k;
    return 0;
}

static int teardown(void **state)
{
    struct kit *k = *state;
    dk_world_free(k->world);
    json_decref(k->containers);
    json_decref(k->volumes);
    fakehost_free(&k->host);
    free(k);
    return 0;
}

/* A container that runs. labels: "key=value" each, NULL-ended; Compose's are made of project and
 * service where those are given. */
static UNUSED json_t *add(struct kit *k, const char *name, const char *project, const char *service,
                          const char *const *labels)
{
    json_t *l = json_object();
    for (; labels && *labels; labels++) {
        const char *eq = strchr(*labels, '=');
        char *key = strndup(*labels, (size_t)(eq - *labels));
        json_object_set_new(l, key, json_string(eq + 1));
        free(key);
    }
    if (project) {
        json_object_set_new(l, "com.docker.compose.project", json_string(project));
        json_object_set_new(l, "com.docker.compose.service", json_string(service));
    }
    char slash[128];
    (void)snprintf(slash, sizeof(slash), "/%s", name);
    json_t *c =
        json_pack("{s:s, s:s, s:s, s:{s:b, s:b}, s:[], s:{s:s, s:[], s:o}, s:{}}", "Id", name,
                  "Name", slash, "Image", "sha256:1", "State", "Running", 1, "Paused", 0, "Mounts",
                  "Config", "Image", "team/app:1", "Env", "Labels", l, "HostConfig");
    assert_non_null(c);
    json_array_append_new(k->containers, c);
    return c;
}

static UNUSED void label(json_t *c, const char *key, const char *value)
{
    json_t *labels = json_object_get(json_object_get(c, "Config"), "Labels");
    json_object_set_new(labels, key, json_string(value));
}

static UNUSED void env(json_t *c, const char *text)
{
    json_array_append_new(json_object_get(json_object_get(c, "Config"), "Env"), json_string(text));
}

/* A volume when source has no '/', else a bind. */
static UNUSED void mount(json_t *c, const char *source, const char *destination, bool writable)
{
    char at[256];
    bool bind = source[0] == '/';
    (void)snprintf(at, sizeof(at), bind ? "%s" : "/var/lib/docker/volumes/%s/_data", source);
    json_t *m = json_pack("{s:s, s:s, s:s, s:b}", "Type", bind ? "bind" : "volume", "Source", at,
                          "Destination", destination, "RW", writable);
    if (!bind) {
        json_object_set_new(m, "Name", json_string(source));
        json_object_set_new(m, "Driver", json_string("local"));
    }
    json_array_append_new(json_object_get(c, "Mounts"), m);
}

static UNUSED void volume(struct kit *k, const char *name, const char *project)
{
    json_t *v = json_pack("{s:s, s:s, s:n}", "Name", name, "Driver", "local", "Labels");
    if (project)
        json_object_set_new(v, "Labels", json_pack("{s:s}", "com.docker.compose.project", project));
    json_array_append_new(k->volumes, v);
}

static UNUSED void build(struct kit *k)
{
    struct dk_seen seen = {.containers = k->containers,
                           .volumes = k->volumes,
                           .engine = "20.10.24",
                           .arch = "amd64",
                           .own = k->own,
                           .quiet = k->quiet};
    dk_world_free(k->world);
    k->world = NULL;
    assert_int_equal(dk_world_build(&k->host.ctx, &k->cfg, &seen, &k->world), BAKE_OK);
}

static UNUSED const struct dk_item *item(struct kit *k, const char *name)
{
    const struct dk_item *i = dk_world_item(k->world, name);
    if (!i) {
        fakehost_print(&k->host);
        for (size_t n = 0; n < k->world->n_items; n++)
            (void)fprintf(stderr, "there is '%s'\n", k->world->items[n].name);
        fail_msg("no component '%s'", name);
    }
    return i;
}

static UNUSED const struct dk_container *container(struct kit *k, const char *name)
{
    for (size_t i = 0; i < k->world->n_containers; i++)
        if (strcmp(k->world->containers[i].name, name) == 0)
            return &k->world->containers[i];
    fail_msg("no container '%s'", name);
    return NULL;
}

/* Exactly one report of this kind. */
static UNUSED void said(struct kit *k, int severity, const char *subject, const char *text)
{
    if (fakehost_count(&k->host, severity, subject, text) != 1) {
        fakehost_print(&k->host);
        fail_msg("not said once: %d '%s': %s", severity, subject, text);
    }
}

#define LABELS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define ENABLE      "backup.enable=true"

#endif
