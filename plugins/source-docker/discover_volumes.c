/* Option `volumes`: volumes that are backed up without any label, as volumes/<name>. */
#include "discover.h"

#include <stdlib.h>
#include <string.h>

#define ANONYMOUS_LENGTH 64

static bool anonymous(const char *name)
{
    return strlen(name) == ANONYMOUS_LENGTH && strspn(name, "0123456789abcdef") == ANONYMOUS_LENGTH;
}

/* Anonymous volumes are mostly caches nobody named: only a glob that says something of the name
 * takes them. */
static bool wanted(const struct dk_config *cfg, const char *name)
{
    for (const char *const *glob = cfg->volumes; glob && *glob; glob++) {
        const char *const one[] = {*glob, NULL};
        bool everything = strcmp(*glob, "all") == 0 || strspn(*glob, "*") == strlen(*glob);
        if (everything ? !anonymous(name) : dk_globs_match(one, name))
            return true;
    }
    return false;
}

/* Ours: promises, staging areas, what a restore keeps. */
static bool ours(const json_t *volume)
{
    json_t *labels = json_object_get(volume, "Labels");
    for (void *i = json_object_iter(labels); i; i = json_object_iter_next(labels, i))
        if (strncmp(json_object_iter_key(i), "bakengine.", sizeof("bakengine.") - 1) == 0)
            return true;
    return false;
}

static const struct dk_mount *mount_by_name(const struct dk_container *c, const char *volume)
{
    for (size_t i = 0; i < c->n_mounts; i++)
        if (c->mounts[i].name && strcmp(c->mounts[i].name, volume) == 0)
            return &c->mounts[i];
    return NULL;
}

/* Why a volume need not be read: a label has all of it backed up already, or a dump does. */
static const char *held_elsewhere(const struct dk_world *w, const char *volume, char **ret_by)
{
    const char *rest;
    for (size_t i = 0; i < w->n_items; i++) {
        const struct dk_item *item = &w->items[i];
        const struct dk_mount *m =
            item->kind == DK_PATH ? dk_mount_of(item->container, item->path, &rest) : NULL;
        if (m && m->name && strcmp(m->name, volume) == 0 && *rest == '\0') {
            *ret_by = item->name;
            return "holds all of it";
        }
        if ((item->kind != DK_PG && item->kind != DK_MARIA) ||
            !mount_by_name(item->container, volume))
            continue;
        m = mount_by_name(item->container, volume);
        const char *dir =
            item->kind == DK_MARIA ? "/var/lib/mysql" : dk_env(item->container, "PGDATA");
        if (dk_mount_of(item->container, dir ? dir : "/var/lib/postgresql/data", &rest) == m) {
            *ret_by = item->name;
            return "is the dump of the database in it";
        }
    }
    return NULL;
}

/* The stack that Compose made it for, if it is there. */
static const char *stack_of(const struct dk_world *w, const json_t *volume)
{
    const char *project =
        dk_json_text(json_object_get(volume, "Labels"), "com.docker.compose.project");
    for (size_t i = 0; *project && i < w->n_containers; i++)
        if (w->containers[i].compose && strcmp(w->containers[i].project, project) == 0)
            return w->containers[i].project;
    return NULL;
}

static int add_volume(struct dk_build *b, const json_t *volume)
{
    const char *name = dk_json_text(volume, "Name"), *stack = stack_of(b->world, volume);
    char *safe = dk_safe_name(name), *by = NULL;
    const char *why = held_elsewhere(b->world, name, &by);
    if (why || (stack && !dk_stack_wanted(b->cfg, stack))) {
        if (why)
            bake_log(b->ctx, BAKE_LOG_DEBUG, "volume '%s' is not read by itself: '%s' %s", name, by,
                     why);
        free(safe);
        return BAKE_OK;
    }
    struct dk_item item = {
        .kind = DK_VOLUME,
        .name = safe ? dk_strf("volumes/%s", safe) : NULL,
        .group = !safe   ? NULL
                 : stack ? strdup(stack)
                         : dk_strf("volume-%s", safe),
        .volume = strdup(name),
        .must_stand = b->cfg->consistency != DK_NONE,
        .consistency = (enum dk_consistency)b->cfg->consistency,
    };
    item.stack = item.group ? strdup(item.group) : NULL;
    free(safe);
    return dk_build_add(b, &item, name);
}

static int by_name(const void *a, const void *b)
{
    const json_t *const *x = a, *const *y = b;
    return strcmp(dk_json_text(*x, "Name"), dk_json_text(*y, "Name"));
}

int dk_build_volumes(struct dk_build *b)
{
    size_t n = json_array_size(b->seen->volumes), used = 0;
    const json_t **list = calloc(n + 1, sizeof(*list));
    int rc = list ? BAKE_OK : dk_nomem(b->ctx);
    for (size_t i = 0; i < n && list; i++) {
        const json_t *volume = json_array_get(b->seen->volumes, i);
        if (*dk_json_text(volume, "Name") && !ours(volume) &&
            wanted(b->cfg, dk_json_text(volume, "Name")))
            list[used++] = volume;
    }
    if (used > 1)
        qsort(list, used, sizeof(*list), by_name);
    for (size_t i = 0; i < used && rc == BAKE_OK; i++)
        rc = add_volume(b, list[i]);
    free(list);
    return rc;
}
