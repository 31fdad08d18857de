/* Where the chosen components go: to a path of a container that is there now, by its label or as it
 * was recorded; else to a volume of the recorded name; else nowhere. */
#include "definition.h"
#include "restore_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- directories by one name ----------------------------------------------------------------- */

static char *joined(const char *kind, const char *what, const char *rest)
{
    char *ret = NULL;
    while (*rest == '/')
        rest++;
    if (asprintf(&ret, "%s:%s%s%s", kind, what, *rest ? "/" : "", rest) < 0)
        return NULL;
    for (size_t n = strlen(ret); n > 0 && ret[n - 1] == '/'; n--)
        ret[n - 1] = '\0';
    return ret;
}

char *rs_key(const struct dk_container *c, const char *path, const char *volume)
{
    const char *rest = "";
    if (!c)
        return joined("v", volume, "");
    const struct dk_mount *m = dk_mount_of(c, path, &rest);
    if (!m)
        return joined("c", c->id, path);
    return m->name ? joined("v", m->name, rest) : joined("b", m->source, rest);
}

bool rs_within(const char *inner, const char *outer)
{
    size_t n = strlen(outer);
    return strncmp(inner, outer, n) == 0 && (inner[n] == '\0' || inner[n] == '/');
}

bool rs_mounts(const struct dk_container *c, const char *key)
{
    bool sees = strncmp(key, "c:", 2) == 0 && rs_within(key + 2, c->id);
    for (size_t i = 0; i < c->n_mounts && !sees; i++) {
        const struct dk_mount *m = &c->mounts[i];
        const char *what = m->name ? m->name : m->source;
        if (!what || key[0] != (m->name ? 'v' : 'b'))
            continue;
        sees = rs_within(key + 2, what) || rs_within(what, key + 2);
    }
    return sees;
}

const struct dk_container *rs_service(const struct dk_world *w, const char *stack,
                                      const char *service)
{
    const struct dk_container *ret = NULL;
    for (size_t i = 0; i < w->n_containers; i++) {
        const struct dk_container *c = &w->containers[i];
        if (c->oneoff || strcmp(c->project, stack) != 0 || strcmp(c->service, service) != 0)
            continue;
        if (!ret || c->number < ret->number)
            ret = c;
    }
    return ret;
}

/* ---- one component --------------------------------------------------------------------------- */

/* The item that a backup of now would make of it. */
static const struct dk_item *item_of(const struct dk_restore *r, const struct rs_part *p)
{
    const char *rest = strchr(p->name, '/');
    char *name = NULL;
    if (!rest || asprintf(&name, "%s%s", r->as, rest) < 0)
        return NULL;
    const struct dk_item *ret = dk_world_item(rs_world(r), name);
    free(name);
    return ret && ret->kind == p->kind && ret->container ? ret : NULL;
}

/* "web-2" is the second container of service "web", if there is no service of that very name. */
static const struct dk_container *replica(const struct dk_restore *r, const char *service)
{
    const struct dk_world *w = rs_world(r);
    for (size_t i = 0; i < w->n_containers; i++) {
        const struct dk_container *c = &w->containers[i];
        size_t n = strlen(c->service);
        char number[16];
        (void)snprintf(number, sizeof(number), "-%d", c->number);
        if (!c->oneoff && strcmp(c->project, r->as) == 0 && strncmp(service, c->service, n) == 0 &&
            strcmp(service + n, number) == 0)
            return c;
    }
    return NULL;
}

static const struct dk_container *container_of(const struct dk_restore *r, const struct rs_part *p)
{
    const struct dk_container *c = rs_service(rs_world(r), r->as, p->service);
    if (!c)
        c = replica(r, p->service);
    if (!c && rs_fact(p, "service"))
        c = rs_service(rs_world(r), r->as, rs_fact(p, "service"));
    return c;
}

static int go(struct rs_part *p, struct bake_ctx *ctx, enum rs_found found,
              const struct dk_container *c, const char *path, const char *volume)
{
    p->found = found;
    p->container = c;
    p->path = path ? strdup(path) : NULL;
    p->volume = volume ? strdup(volume) : NULL;
    p->key = path || volume ? rs_key(c, path, volume) : NULL;
    return (path && !p->path) || (volume && !p->volume) || ((path || volume) && !p->key)
               ? dk_nomem(ctx)
               : BAKE_OK;
}

static BAKE_PRINTF(2, 3) int gone(struct rs_part *p, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(p->why, sizeof(p->why), fmt, ap);
    va_end(ap);
    p->found = RS_GONE;
    return BAKE_OK;
}

/* Its service is gone; a volume that it had is still something to hold the data. */
static int alone(struct dk_restore *r, struct bake_ctx *ctx, struct rs_part *p)
{
    const char *type = rs_fact_of_mount(p, "type"), *name = rs_fact_of_mount(p, "name");
    const char *path = rs_fact(p, "path"), *at = rs_fact_of_mount(p, "destination");
    if (!type || strcmp(type, "volume") != 0 || !name)
        return gone(p, "service '%s' of '%s' is not there, and it had no volume for this",
                    p->service, r->as);
    if (!path || !at || strcmp(path, at) != 0)
        return gone(p,
                    "service '%s' of '%s' is not there, and this is only a part of its volume "
                    "'%s'",
                    p->service, r->as, name);
    char *to = r->renamed ? dk_def_new_name(r->stack, r->as, name) : strdup(name);
    int rc = to ? go(p, ctx, RS_ALONE, NULL, NULL, to) : dk_nomem(ctx);
    free(to);
    return rc;
}

/* A bind mount's directory is the same one under whatever name the stack is made. */
static bool shared_with_old(const struct dk_restore *r, const struct dk_container *c,
                            const char *path)
{
    const char *rest;
    const struct dk_mount *m = r->renamed ? dk_mount_of(c, path, &rest) : NULL;
    return m && strcmp(m->type, "bind") == 0;
}

static int find_path(struct dk_restore *r, struct bake_ctx *ctx, struct rs_part *p)
{
    const struct dk_item *item = item_of(r, p);
    const struct dk_container *c = item ? item->container : container_of(r, p);
    const char *path = item ? item->path : rs_fact(p, "path"), *recorded = rs_fact(p, "path");
    char label[300];
    (void)snprintf(label, sizeof(label), "backup.volume-path.%s", p->label);
    if (!c)
        return alone(r, ctx, p);
    if (!path)
        path = dk_label(c, label);
    if (!path || path[0] != '/')
        return gone(p, "container '%s' has no label '%s' that says where it belongs", c->name,
                    label);
    if (item && recorded && strcmp(recorded, path) != 0)
        bake_report(ctx, BAKE_NOTICE, p->name, "goes to '%s', as its label says now; it was '%s'",
                    path, recorded);
    if (shared_with_old(r, c, path))
        return gone(p, "'%s' of container '%s' is a directory of the host that '%s' has as well",
                    path, c->name, r->stack);
    return go(p, ctx, RS_HERE, c, path, NULL);
}

static int find_volume(struct dk_restore *r, struct bake_ctx *ctx, struct rs_part *p)
{
    const char *name = rs_fact_of_mount(p, "name") ? rs_fact_of_mount(p, "name") : p->label;
    if (!r->renamed)
        return go(p, ctx, RS_HERE, NULL, NULL, name);
    char *to = dk_def_new_name(r->stack, r->as, name);
    int rc = to ? go(p, ctx, RS_HERE, NULL, NULL, to) : dk_nomem(ctx);
    free(to);
    return rc;
}

static int find_one(struct dk_restore *r, struct bake_ctx *ctx, struct rs_part *p)
{
    if (!p->known)
        return gone(p, "its name does not say where it belongs");
    switch (p->kind) {
    case DK_PATH:
        return find_path(r, ctx, p);
    case DK_VOLUME:
        return find_volume(r, ctx, p);
    case DK_PG:
    case DK_MARIA: {
        const struct dk_item *item = item_of(r, p);
        const struct dk_container *c = item ? item->container : container_of(r, p);
        return c ? go(p, ctx, RS_HERE, c, NULL, NULL)
                 : gone(p, "service '%s' of '%s', which it is of, is not there", p->service, r->as);
    }
    case DK_CONFIG:
    case DK_DEFINITION:
        break;
    }
    p->found = RS_HERE;
    return BAKE_OK;
}

/* Of two components for one directory, or one inside the other, the outer one has it all: both were
 * read while the stack stood still. */
static void find_doubles(struct dk_restore *r)
{
    for (size_t i = 0; i < r->n_parts; i++) {
        struct rs_part *p = &r->parts[i];
        for (size_t j = 0; j < r->n_parts && p->key; j++) {
            const struct rs_part *o = &r->parts[j];
            if (i == j || !o->key || o->found == RS_WITHIN || !rs_within(p->key, o->key))
                continue;
            if (strcmp(p->key, o->key) == 0 && i < j)
                continue; /* the first of equals is the one */
            p->found = RS_WITHIN;
            (void)snprintf(p->why, sizeof(p->why), "its content comes with '%s'", o->name);
            break;
        }
    }
}

int rs_find(struct dk_restore *r, struct bake_ctx *ctx)
{
    int rc = BAKE_OK;
    for (size_t i = 0; i < r->n_parts && rc == BAKE_OK; i++) {
        if (!r->parts[i].known || r->parts[i].kind != DK_DEFINITION)
            rc = find_one(r, ctx, &r->parts[i]);
    }
    if (rc == BAKE_OK)
        find_doubles(r);
    return rc;
}
