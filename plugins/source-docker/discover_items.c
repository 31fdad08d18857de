/* From what labels wish for to components: names, replicas, claims that collide. */
#include "discover.h"

#include <stdlib.h>
#include <string.h>

#define COMPOSE_DIR "com.docker.compose.project.working_dir"

bool dk_stack_wanted(const struct dk_config *cfg, const char *stack)
{
    if (dk_globs_match(cfg->exclude_projects, stack))
        return false;
    return !cfg->projects || !cfg->projects[0] || dk_globs_match(cfg->projects, stack);
}

/* ---- adding one ------------------------------------------------------------------------------ */

static bool above(const char *dir, const char *name)
{
    size_t n = strlen(dir);
    return strncmp(name, dir, n) == 0 && (name[n] == '/' || name[n] == '\0');
}

static const struct dk_item *rival(const struct dk_world *w, const char *name)
{
    for (size_t i = 0; i < w->n_items; i++)
        if (above(w->items[i].name, name) || above(name, w->items[i].name))
            return &w->items[i];
    return NULL;
}

static void item_drop(struct dk_item *item)
{
    free(item->name);
    free(item->group);
    free(item->stack);
    free(item->path);
    free(item->volume);
    free(item->facts);
}

static bool complete(const struct dk_item *item)
{
    if (!item->name || !item->group || !item->stack)
        return false;
    return (item->kind != DK_PATH || item->path) && (item->kind != DK_VOLUME || item->volume);
}

int dk_build_add(struct dk_build *b, struct dk_item *item, const char *who)
{
    struct dk_world *w = b->world;
    int rc = complete(item) ? dk_build_facts(b, item) : dk_nomem(b->ctx);
    const struct dk_item *other = rc == BAKE_OK ? rival(w, item->name) : NULL;
    if (other && !b->seen->quiet)
        bake_report(b->ctx, BAKE_PARTIAL, item->name,
                    "is not backed up for '%s': '%s' of '%s' has that name, or stands in its way\n"
                    "HINT: give the label, or the service, another name",
                    who, other->name, other->container ? other->container->name : other->stack);
    if (rc == BAKE_OK && !other && w->n_items == b->cap) {
        size_t cap = b->cap ? b->cap * 2 : 16;
        struct dk_item *more = realloc(w->items, cap * sizeof(*more));
        if (more) {
            w->items = more;
            b->cap = cap;
        } else {
            rc = dk_nomem(b->ctx);
        }
    }
    if (rc != BAKE_OK || other)
        item_drop(item);
    else
        w->items[w->n_items++] = *item;
    return rc;
}

/* ---- replicas -------------------------------------------------------------------------------- */

static bool same_service(const struct dk_container *a, const struct dk_container *b)
{
    return a->compose && b->compose && !a->oneoff && !b->oneoff &&
           strcmp(a->project, b->project) == 0 && strcmp(a->service, b->service) == 0;
}

static bool wishes(const struct dk_wish *w) { return w->n_paths > 0 || w->pg || w->maria; }

/* Of a service's containers that wish for something the one with the lowest number speaks for it.
 */
static size_t speaker(const struct dk_build *b, size_t at)
{
    const struct dk_container *list = b->world->containers;
    size_t best = at;
    for (size_t i = 0; i < b->world->n_containers; i++)
        if (same_service(&list[i], &list[at]) && wishes(&b->wishes[i]) &&
            list[i].number < list[best].number)
            best = i;
    return best;
}

static bool same_mount(const struct dk_mount *a, const struct dk_mount *b)
{
    if (!a || !b || strcmp(a->destination, b->destination) != 0)
        return false;
    if (a->name || b->name)
        return a->name && b->name && strcmp(a->name, b->name) == 0;
    return *a->source && strcmp(a->source, b->source) == 0;
}

/* Does the speaker's component already hold what this path is? */
static bool covered(const struct dk_build *b, size_t at, size_t first, const char *path)
{
    const struct dk_wish *wish = &b->wishes[first];
    const struct dk_container *list = b->world->containers;
    const char *rest;
    for (size_t i = 0; i < wish->n_paths; i++)
        if (strcmp(wish->paths[i].path, path) == 0)
            return same_mount(dk_mount_of(&list[at], path, &rest),
                              dk_mount_of(&list[first], path, &rest));
    return false;
}

/* Do two replicas of a database have the same data? */
static bool same_data(const struct dk_container *a, const struct dk_container *b)
{
    size_t n = 0;
    for (size_t i = 0; i < a->n_mounts; i++) {
        const char *rest;
        const struct dk_mount *m = &a->mounts[i];
        if (!m->writable)
            continue;
        if (!same_mount(m, dk_mount_of(b, m->destination, &rest)))
            return false;
        n++;
    }
    return n > 0;
}

/* ---- the components of a container ----------------------------------------------------------- */

static int add_path(struct dk_build *b, struct dk_container *c, const char *service,
                    const struct dk_wished_path *wish)
{
    struct dk_item item = {
        .kind = DK_PATH,
        .name = dk_strf("%s/%s/volumes/%s", c->project, service, wish->name),
        .group = strdup(c->project),
        .stack = strdup(c->project),
        .container = c,
        .path = strdup(wish->path),
        .consistency = dk_labels_consistency(b->ctx, b->cfg, c, true),
    };
    item.must_stand = item.consistency != DK_NONE;
    return dk_build_add(b, &item, c->name);
}

static int add_dump(struct dk_build *b, struct dk_container *c, const char *service,
                    enum dk_kind kind)
{
    const char *rest = kind == DK_PG ? "database/pg_dumpall.sql" : "mariadb_dump/all_databases.sql";
    struct dk_item item = {
        .kind = kind,
        .name = dk_strf("%s/%s/%s", c->project, service, rest),
        .group = strdup(c->project),
        .stack = strdup(c->project),
        .container = c,
        .consistency = DK_NONE,
    };
    c->dumped = true;
    return dk_build_add(b, &item, c->name);
}

static int add_dumps(struct dk_build *b, struct dk_container *c, const char *service,
                     const struct dk_wish *w)
{
    int rc = BAKE_OK;
    if (w->n_paths > 0 && (w->pg || w->maria)) {
        if (!b->seen->quiet)
            bake_report(b->ctx, BAKE_WARNING, c->name,
                        "asks for a dump of its database and for paths: the dump is skipped, "
                        "since the container is stopped for its paths\n"
                        "HINT: choose one of both for a service, or split it");
        return BAKE_OK;
    }
    if (w->pg)
        rc = add_dump(b, c, service, DK_PG);
    if (rc == BAKE_OK && w->maria)
        rc = add_dump(b, c, service, DK_MARIA);
    return rc;
}

static int add_container(struct dk_build *b, size_t at)
{
    struct dk_container *c = &b->world->containers[at];
    const struct dk_wish *w = &b->wishes[at];
    size_t first = speaker(b, at);
    const struct dk_container *lead = &b->world->containers[first];
    char *service = first == at ? strdup(c->service) : dk_strf("%s-%d", c->service, c->number);
    int rc = service ? BAKE_OK : dk_nomem(b->ctx);
    for (size_t i = 0; i < w->n_paths && rc == BAKE_OK; i++)
        if (first == at || !covered(b, at, first, w->paths[i].path))
            rc = add_path(b, c, service, &w->paths[i]);
    if (rc == BAKE_OK && (first == at || !same_data(c, lead)))
        rc = add_dumps(b, c, service, w);
    free(service);
    return rc;
}

/* ---- what the wishes are --------------------------------------------------------------------- */

/* The old label stands on any container of a stack and names the service to dump. */
static int grant_old_database(struct dk_build *b, size_t at)
{
    const struct dk_container *list = b->world->containers, *c = &list[at];
    char *name = dk_safe_name(b->wishes[at].db_service);
    size_t best = b->world->n_containers;
    if (!name)
        return dk_nomem(b->ctx);
    for (size_t i = 0; i < b->world->n_containers; i++)
        if (!list[i].oneoff && strcmp(list[i].project, c->project) == 0 &&
            (strcmp(list[i].service, name) == 0 || strcmp(list[i].name, name) == 0) &&
            (best == b->world->n_containers || list[i].number < list[best].number))
            best = i;
    free(name);
    if (best == b->world->n_containers) {
        if (!b->seen->quiet)
            bake_report(b->ctx, BAKE_PARTIAL, c->name,
                        "label 'backup.db.service': stack '%s' has no service '%s', it is not "
                        "backed up",
                        c->project, b->wishes[at].db_service);
        return BAKE_OK;
    }
    if (b->wishes[best].pg || b->wishes[best].maria)
        return BAKE_OK;
    if (dk_is_maria(&list[best]))
        b->wishes[best].maria = true;
    else
        b->wishes[best].pg = true;
    return BAKE_OK;
}

static int read_wishes(struct dk_build *b)
{
    struct dk_world *w = b->world;
    bool quiet = b->seen->quiet;
    int rc = BAKE_OK;
    for (size_t i = 0; i < w->n_containers && rc == BAKE_OK; i++) {
        struct dk_container *c = &w->containers[i];
        if (c->oneoff || !dk_stack_wanted(b->cfg, c->project))
            continue;
        c->enabled = dk_labels_enabled(b->ctx, c, quiet);
        if (!c->enabled)
            continue;
        (void)dk_labels_consistency(b->ctx, b->cfg, c, quiet);
        rc = dk_labels_read(b->ctx, b->cfg, c, quiet, &b->wishes[i]);
    }
    for (size_t i = 0; i < w->n_containers && rc == BAKE_OK; i++)
        if (b->wishes[i].db_service)
            rc = grant_old_database(b, i);
    for (size_t i = 0; i < w->n_containers && !quiet; i++)
        if (w->containers[i].enabled && !wishes(&b->wishes[i]) && !b->wishes[i].db_service)
            bake_report(b->ctx, BAKE_NOTICE, w->containers[i].name,
                        "has 'backup.enable=true', but no label says what to back up of it");
    return rc;
}

/* ---- what belongs to a whole stack ----------------------------------------------------------- */

static int add_stack_item(struct dk_build *b, const char *stack, enum dk_kind kind)
{
    struct dk_item item = {
        .kind = kind,
        .name = dk_strf("%s/%s", stack, kind == DK_CONFIG ? "config" : "definition.json"),
        .group = strdup(stack),
        .stack = strdup(stack),
        .consistency = DK_NONE,
    };
    return dk_build_add(b, &item, stack);
}

static bool has_files(const struct dk_world *w, const char *stack)
{
    for (size_t i = 0; i < w->n_containers; i++)
        if (w->containers[i].compose && strcmp(w->containers[i].project, stack) == 0 &&
            dk_label(&w->containers[i], COMPOSE_DIR))
            return true;
    return false;
}

static bool first_of_stack(const struct dk_world *w, size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (strcmp(w->containers[i].project, w->containers[at].project) == 0)
            return false;
    return true;
}

static bool has_item(const struct dk_world *w, const char *stack)
{
    for (size_t i = 0; i < w->n_items; i++)
        if (strcmp(w->items[i].stack, stack) == 0)
            return true;
    return false;
}

static int add_stacks(struct dk_build *b)
{
    struct dk_world *w = b->world;
    int rc = BAKE_OK;
    for (size_t i = 0; i < w->n_containers && rc == BAKE_OK; i++) {
        const char *stack = w->containers[i].project;
        if (!first_of_stack(w, i) || !has_item(w, stack))
            continue;
        if (b->cfg->config && has_files(w, stack))
            rc = add_stack_item(b, stack, DK_CONFIG);
        if (rc == BAKE_OK && b->cfg->definition)
            rc = add_stack_item(b, stack, DK_DEFINITION);
    }
    return rc;
}

static int by_group(const void *a, const void *b)
{
    const struct dk_item *x = a, *y = b;
    int order = strcmp(x->group, y->group);
    return order ? order : strcmp(x->name, y->name);
}

int dk_build_items(struct dk_build *b)
{
    struct dk_world *w = b->world;
    b->wishes = calloc(w->n_containers + 1, sizeof(*b->wishes));
    int rc = b->wishes ? read_wishes(b) : dk_nomem(b->ctx);
    for (size_t i = 0; i < w->n_containers && rc == BAKE_OK; i++)
        if (wishes(&b->wishes[i]))
            rc = add_container(b, i);
    if (rc == BAKE_OK)
        rc = dk_build_volumes(b);
    if (rc == BAKE_OK)
        rc = add_stacks(b);
    for (size_t i = 0; b->wishes && i < w->n_containers; i++)
        dk_wish_release(&b->wishes[i]);
    free(b->wishes);
    b->wishes = NULL;
    if (rc == BAKE_OK && w->n_items > 1)
        qsort(w->items, w->n_items, sizeof(*w->items), by_group);
    return rc;
}
