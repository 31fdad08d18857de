/* From the daemon's inspections to containers: who they are, what they mount, on whom they depend.
 */
#include "discover.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define COMPOSE "com.docker.compose."

/* A copy of the text; NULL where there is none. *bad is set when memory is out. */
static char *copy(const char *text, bool *bad)
{
    char *s = text ? strdup(text) : NULL;
    *bad = *bad || (text && !s);
    return s;
}

static char *copy_filled(const char *text, bool *bad) { return *text ? copy(text, bad) : NULL; }

static char *copy_safe(const char *text, bool *bad)
{
    char *s = dk_safe_name(text);
    *bad = *bad || !s;
    return s;
}

/* A small number of digits alone; else 1. */
static int number_of(const char *text)
{
    int n = 0;
    for (; text && *text >= '0' && *text <= '9' && n < INT_MAX / 100; text++)
        n = n * 10 + (*text - '0');
    return text && *text == '\0' && n > 0 ? n : 1;
}

static int by_destination(const void *a, const void *b)
{
    const struct dk_mount *x = a, *y = b;
    return strcmp(x->destination, y->destination);
}

static bool read_mounts(struct dk_container *c)
{
    const json_t *mounts = json_object_get(c->inspect, "Mounts");
    size_t n = json_array_size(mounts);
    bool bad = false;
    c->mounts = calloc(n + 1, sizeof(*c->mounts));
    if (!c->mounts)
        return false;
    for (size_t i = 0; i < n; i++) {
        const json_t *m = json_array_get(mounts, i);
        struct dk_mount *to = &c->mounts[c->n_mounts];
        if (!*dk_json_text(m, "Destination"))
            continue;
        c->n_mounts++;
        to->type = copy(dk_json_text(m, "Type"), &bad);
        to->name = copy_filled(dk_json_text(m, "Name"), &bad);
        to->source = copy(dk_json_text(m, "Source"), &bad);
        to->destination = copy(dk_json_text(m, "Destination"), &bad);
        to->driver = copy_filled(dk_json_text(m, "Driver"), &bad);
        to->writable = json_is_true(json_object_get(m, "RW"));
    }
    if (!bad) /* their order differs from call to call */
        qsort(c->mounts, c->n_mounts, sizeof(*c->mounts), by_destination);
    return !bad;
}

/* "db:service_started:false,cache:service_healthy:true", as Compose 2 writes it. */
static bool read_depends(struct dk_container *c)
{
    const char *text = dk_label(c, COMPOSE "depends_on");
    size_t n = 1;
    for (const char *p = text; p && *p; p++)
        n += *p == ',';
    c->depends_on = calloc(n, sizeof(*c->depends_on));
    if (!c->depends_on)
        return false;
    for (const char *p = text; p && *p;) {
        size_t len = strcspn(p, ","), name = strcspn(p, ":,");
        char *service = strndup(p, name), *safe = service ? dk_safe_name(service) : NULL;
        free(service);
        if (!safe)
            return false;
        if (name > 0)
            c->depends_on[c->n_depends++] = safe;
        else
            free(safe);
        p += len;
        p += *p == ',';
    }
    return true;
}

static bool read_identity(struct dk_container *c)
{
    const json_t *config = json_object_get(c->inspect, "Config");
    const json_t *state = json_object_get(c->inspect, "State");
    const char *project = dk_label(c, COMPOSE "project"), *service = dk_label(c, COMPOSE "service");
    const char *oneoff = dk_label(c, COMPOSE "oneoff"), *name = dk_json_text(c->inspect, "Name");
    bool bad = false;
    name += *name == '/';
    c->compose = project && *project && service && *service;
    c->id = copy(dk_json_text(c->inspect, "Id"), &bad);
    c->name = copy(name, &bad);
    c->image = copy(dk_json_text(config, "Image"), &bad);
    c->image_id = copy(dk_json_text(c->inspect, "Image"), &bad);
    c->project = copy_safe(c->compose ? project : name, &bad);
    c->service = copy_safe(c->compose ? service : name, &bad);
    c->number = c->compose ? number_of(dk_label(c, COMPOSE "container-number")) : 1;
    c->oneoff = oneoff && strcasecmp(oneoff, "true") == 0;
    c->running = json_is_true(json_object_get(state, "Running"));
    c->paused = json_is_true(json_object_get(state, "Paused"));
    return !bad;
}

static int by_name(const void *a, const void *b)
{
    const struct dk_container *x = a, *y = b;
    int order = strcmp(x->name, y->name);
    return order ? order : strcmp(x->id, y->id);
}

int dk_build_containers(struct dk_build *b)
{
    struct dk_world *w = b->world;
    size_t n = json_array_size(b->seen->containers);
    w->containers = calloc(n + 1, sizeof(*w->containers));
    if (!w->containers)
        return dk_nomem(b->ctx);
    for (size_t i = 0; i < n; i++) {
        json_t *inspect = json_array_get(b->seen->containers, i);
        struct dk_container *c = &w->containers[w->n_containers];
        if (!*dk_json_text(inspect, "Id"))
            continue;
        w->n_containers++;
        c->inspect = json_incref(inspect);
        if (!read_identity(c) || !read_mounts(c) || !read_depends(c))
            return dk_nomem(b->ctx);
        c->own = b->seen->own && strcmp(b->seen->own, c->id) == 0;
    }
    qsort(w->containers, w->n_containers, sizeof(*w->containers), by_name);
    return BAKE_OK;
}
