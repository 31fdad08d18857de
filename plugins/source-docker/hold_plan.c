/* Who has to stand still so that what is read is one state: the containers that the data belong to,
 * and every other one on the host that can write there. */
#include "hold_impl.h"

#include <stdlib.h>
#include <string.h>

struct plan {
    struct bake_ctx *ctx;
    const struct dk_config *cfg;
    const struct dk_world *now;
    bool quiet;
    struct dk_hold_plan *p;
};

void dk_hold_plan_release(struct dk_hold_plan *p)
{
    free(p->list);
    free(p->keeps);
    memset(p, 0, sizeof(*p));
}

/* ---- where an item's files are --------------------------------------------------------------- */

/* The directory behind a volume that is made of one: local driver, {"o": "bind", "device": ...}. */
static const char *device_of(const struct dk_world *w, const struct dk_mount *m)
{
    const json_t *volume = m->name ? dk_volume_json(w->volumes, m->name) : NULL;
    const char *device = dk_json_text(json_object_get(volume, "Options"), "device");
    return *device ? device : NULL;
}

/* As dk_mounts_touch(), and through the devices of volumes. */
static bool touch(const struct dk_world *w, const struct dk_mount *a, const struct dk_mount *b)
{
    const char *x = device_of(w, a), *y = device_of(w, b);
    if (dk_mounts_touch(a, b))
        return true;
    if (!x && !y)
        return false;
    if (x && y && strcmp(x, y) == 0)
        return true;
    struct dk_mount p = {.source = (char *)(x ? x : a->source)};
    struct dk_mount q = {.source = (char *)(y ? y : b->source)};
    return dk_mounts_touch(&p, &q);
}

static bool beneath(const char *dir, const char *path)
{
    size_t n = strlen(dir);
    return strncmp(path, dir, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

/* Is m where the item's files are, wholly or in part? A path may have further mounts below it. */
static bool holds_item(const struct dk_item *item, const struct dk_container *owner,
                       const struct dk_mount *m)
{
    const char *rest;
    if (item->volume)
        return m->name && strcmp(m->name, item->volume) == 0;
    return dk_mount_of(owner, item->path, &rest) == m || beneath(item->path, m->destination);
}

static const struct dk_container *by_id(const struct dk_world *w, const char *id)
{
    for (size_t i = 0; i < w->n_containers; i++)
        if (strcmp(w->containers[i].id, id) == 0)
            return &w->containers[i];
    return NULL;
}

static bool writes(const struct dk_world *w, const struct dk_container *c,
                   const struct dk_mount *place)
{
    for (size_t i = 0; i < c->n_mounts; i++)
        if (c->mounts[i].writable && touch(w, &c->mounts[i], place))
            return true;
    return false;
}

static bool mounts(const struct dk_container *c, const char *volume)
{
    for (size_t i = 0; i < c->n_mounts; i++)
        if (c->mounts[i].name && strcmp(c->mounts[i].name, volume) == 0)
            return true;
    return false;
}

static bool reaches(const struct dk_world *w, const struct dk_container *c,
                    const struct dk_item *item, const struct dk_container *owner)
{
    for (size_t i = 0; owner && i < owner->n_mounts; i++)
        if (holds_item(item, owner, &owner->mounts[i]) && writes(w, c, &owner->mounts[i]))
            return true;
    if (item->volume) {
        struct dk_mount place = {
            .name = item->volume,
            .source = (char *)dk_json_text(dk_volume_json(w->volumes, item->volume), "Mountpoint")};
        /* of a volume by itself everybody is held who mounts it, be it only to read */
        return mounts(c, item->volume) || writes(w, c, &place);
    }
    return false;
}

/* ---- what is done to a container ------------------------------------------------------------- */

/* Stopping these is no way: the daemon would remove it, a job would be lost, a swarm would put
 * another in its place. */
static bool must_pause(const struct dk_container *c)
{
    const json_t *host = json_object_get(c->inspect, "HostConfig");
    return json_is_true(json_object_get(host, "AutoRemove")) || c->oneoff ||
           dk_label(c, "com.docker.swarm.task.id");
}

static struct dk_halt *find(const struct dk_hold_plan *p, const struct dk_container *c)
{
    for (size_t i = 0; i < p->n; i++)
        if (p->list[i].c == c)
            return &p->list[i];
    return NULL;
}

static void include(struct plan *b, const struct dk_container *c, bool pause)
{
    struct dk_halt *h = find(b->p, c);
    pause = pause || must_pause(c);
    if (h)
        h->pause = h->pause && pause;
    else
        b->p->list[b->p->n++] = (struct dk_halt){c, pause};
}

static void consider(struct plan *b, const struct dk_container *c, const struct dk_item *item,
                     const struct dk_container *owner)
{
    struct dk_config cfg = {.consistency = (int)item->consistency};
    bool is_owner = owner && c == owner;
    if (!c->running || c->paused || (!is_owner && !reaches(b->now, c, item, owner)))
        return;
    if (c->own || c->dumped) {
        if (!b->quiet)
            bake_report(b->ctx, BAKE_WARNING, item->name,
                        "container '%s' can write there and keeps running, %s", c->name,
                        c->own ? "as bakengine is in it" : "as its database is dumped");
        return;
    }
    enum dk_consistency how = dk_labels_consistency(b->ctx, &cfg, c, true);
    if (how != DK_NONE)
        include(b, c, how == DK_PAUSE);
}

/* A container in the network of another one has none any more once that one was stopped. */
static void include_lodgers(struct plan *b)
{
    for (size_t i = 0; i < b->p->n; i++) {
        for (size_t j = 0; j < b->now->n_containers && !b->p->list[i].pause; j++) {
            const struct dk_container *c = &b->now->containers[j];
            struct dk_halt *h = find(b->p, c);
            if (!c->running || c->own || (h && !h->pause) || !dk_lives_in(c, b->p->list[i].c))
                continue;
            if (c->dumped) {
                b->p->list[i].pause = true; /* it would cost the dump */
            } else if (h) {
                h->pause = false;
                i = (size_t)-1; /* from the start: it may have lodgers of its own */
                break;
            } else if (!c->paused) {
                b->p->list[b->p->n++] = (struct dk_halt){c, false};
            }
        }
    }
}

static int put_in_order(struct plan *b)
{
    struct dk_hold_plan *p = b->p;
    const struct dk_container **order = calloc(p->n + 1, sizeof(struct dk_container *));
    struct dk_halt *list = calloc(p->n + 1, sizeof(*list));
    if (!order || !list) {
        free(order);
        free(list);
        return dk_nomem(b->ctx);
    }
    for (size_t i = 0; i < p->n; i++)
        order[i] = p->list[i].c;
    dk_stop_order(order, p->n);
    for (size_t i = 0; i < p->n; i++)
        list[i] = *find(p, order[i]);
    free(order);
    free(p->list);
    p->list = list;
    return BAKE_OK;
}

static void find_keeps(struct plan *b, const char *stack)
{
    for (size_t i = 0; i < b->now->n_containers; i++) {
        const struct dk_container *c = &b->now->containers[i];
        if (c->running && strcmp(c->project, stack) == 0 && !find(b->p, c))
            b->p->keeps[b->p->n_keeps++] = c;
    }
}

int dk_hold_plan_make(struct bake_ctx *ctx, const struct dk_config *cfg, const struct dk_world *now,
                      const struct dk_item *const *items, size_t n, bool quiet,
                      struct dk_hold_plan *ret)
{
    struct dk_hold_plan p = {.list = calloc(now->n_containers + 1, sizeof(*p.list)),
                             .keeps = calloc(now->n_containers + 1, sizeof(struct dk_container *))};
    struct plan b = {.ctx = ctx, .cfg = cfg, .now = now, .quiet = quiet, .p = &p};
    int rc = p.list && p.keeps ? BAKE_OK : dk_nomem(ctx);
    for (size_t i = 0; i < n && rc == BAKE_OK; i++) {
        const struct dk_container *was = items[i]->container;
        const struct dk_container *owner = was ? by_id(now, was->id) : NULL;
        for (size_t j = 0; j < now->n_containers && items[i]->must_stand; j++)
            consider(&b, &now->containers[j], items[i], owner ? owner : was);
    }
    if (rc == BAKE_OK) {
        include_lodgers(&b);
        rc = put_in_order(&b);
    }
    if (rc == BAKE_OK && n > 0)
        find_keeps(&b, items[0]->stack);
    if (rc == BAKE_OK)
        *ret = p;
    else
        dk_hold_plan_release(&p);
    return rc;
}
