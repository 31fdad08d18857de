/* In which order containers are stopped: whoever needs another first, databases last. */
#include "discover.h"

#include <stdlib.h>
#include <string.h>

static bool has(const char *text, const char *part) { return strstr(text, part) != NULL; }

/* "registry:5000/team/postgres:15" -> "postgres:15" */
static const char *image_base(const struct dk_container *c)
{
    const char *slash = strrchr(c->image, '/');
    return slash ? slash + 1 : c->image;
}

bool dk_is_maria(const struct dk_container *c)
{
    const char *base = image_base(c);
    return has(base, "mariadb") || has(base, "mysql") || has(base, "percona") ||
           dk_env(c, "MARIADB_VERSION") || dk_env(c, "MYSQL_VERSION") ||
           dk_env(c, "MARIADB_ROOT_PASSWORD") || dk_env(c, "MYSQL_ROOT_PASSWORD") ||
           dk_env(c, "MARIADB_ROOT_PASSWORD_FILE") || dk_env(c, "MYSQL_ROOT_PASSWORD_FILE");
}

bool dk_is_database(const struct dk_container *c)
{
    static const char *const names[] = {"postgres", "postgis", "timescale", "mongo", "redis",
                                        "valkey",   "qdrant",  "influxdb",  NULL};
    const char *base = image_base(c);
    for (const char *const *name = names; *name; name++)
        if (has(base, *name))
            return true;
    return c->dumped || dk_env(c, "PGDATA") || dk_is_maria(c);
}

/* "container:ID" or "container:NAME" */
static bool joins(const char *mode, const struct dk_container *other)
{
    static const char prefix[] = "container:";
    if (strncmp(mode, prefix, sizeof(prefix) - 1) != 0)
        return false;
    mode += sizeof(prefix) - 1;
    return strcmp(mode, other->id) == 0 || strcmp(mode, other->name) == 0;
}

bool dk_lives_in(const struct dk_container *c, const struct dk_container *other)
{
    static const char *const modes[] = {"NetworkMode", "PidMode", "IpcMode", NULL};
    const json_t *host = json_object_get(c->inspect, "HostConfig");
    for (const char *const *mode = modes; *mode; mode++)
        if (joins(dk_json_text(host, *mode), other))
            return true;
    return false;
}

/* "/shop_db_1:/shop_app_1/db": the old links; the linked container has to be there first. */
static bool links_to(const struct dk_container *c, const struct dk_container *other)
{
    const json_t *links = json_object_get(json_object_get(c->inspect, "HostConfig"), "Links");
    size_t n = strlen(other->name);
    for (size_t i = 0; i < json_array_size(links); i++) {
        const char *text = json_string_value(json_array_get(links, i));
        if (text && text[0] == '/' && strncmp(text + 1, other->name, n) == 0 && text[n + 1] == ':')
            return true;
    }
    return false;
}

static bool depends(const struct dk_container *c, const struct dk_container *other)
{
    if (c == other)
        return false;
    if (dk_lives_in(c, other) || links_to(c, other))
        return true;
    if (strcmp(c->project, other->project) != 0 || c->compose != other->compose)
        return false;
    for (size_t i = 0; i < c->n_depends; i++)
        if (strcmp(c->depends_on[i], other->service) == 0)
            return true;
    return false;
}

static bool needed(const struct dk_container *c, const struct dk_container *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (depends(list[i], c))
            return true;
    return false;
}

/* Which of those that nobody needs any more is to go first? */
static bool before(const struct dk_container *a, const struct dk_container *b)
{
    bool a_db = dk_is_database(a), b_db = dk_is_database(b);
    if (a_db != b_db)
        return b_db;
    return strcmp(a->name, b->name) < 0;
}

void dk_stop_order(const struct dk_container **list, size_t n)
{
    for (size_t at = 0; at < n; at++) {
        size_t best = n;
        for (size_t i = at; i < n; i++)
            if (!needed(list[i], list + at, n - at) && (best == n || before(list[i], list[best])))
                best = i;
        bool circle = best == n; /* any order is as good */
        for (size_t i = at; circle && i < n; i++)
            if (best == n || before(list[i], list[best]))
                best = i;
        const struct dk_container *c = list[best];
        memmove(list + at + 1, list + at, (best - at) * sizeof(struct dk_container *));
        list[at] = c;
    }
}

size_t dk_stack_order(const struct dk_world *w, const char *stack, const struct dk_container **ret)
{
    size_t n = 0;
    for (size_t i = 0; i < w->n_containers; i++)
        if (strcmp(w->containers[i].project, stack) == 0)
            ret[n++] = &w->containers[i];
    dk_stop_order(ret, n);
    return n;
}
