/* The components that were chosen: what their names say, and in which stage each is written. */
#include "restore_impl.h"

#include <stdlib.h>
#include <string.h>

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n > m && strcmp(text + n - m, end) == 0;
}

static int set(struct rs_part *p, enum dk_kind kind, const char *service, size_t n,
               const char *label)
{
    p->known = true;
    p->kind = kind;
    p->service = strndup(service, n);
    p->label = strdup(label);
    return p->service && p->label ? 0 : -1;
}

/* What follows "<stack>/": "<service>/volumes/<name>" and the like. */
static int parse_inner(struct rs_part *p, const char *inner)
{
    const char *slash = strchr(inner, '/');
    if (strcmp(inner, "config") == 0)
        return set(p, DK_CONFIG, "", 0, "");
    if (strcmp(inner, "definition.json") == 0)
        return set(p, DK_DEFINITION, "", 0, "");
    if (!slash)
        return 0;
    const char *what = slash + 1, *last = strchr(what, '/');
    size_t n = (size_t)(slash - inner), m = last ? (size_t)(last - what) : 0;
    if (!last || last[1] == '\0')
        return 0;
    if (m == 7 && strncmp(what, "volumes", m) == 0)
        return set(p, DK_PATH, inner, n, last + 1);
    if (m == 8 && strncmp(what, "database", m) == 0 && ends_with(what, ".sql"))
        return set(p, DK_PG, inner, n, "");
    if (m == 12 && strncmp(what, "mariadb_dump", m) == 0 && ends_with(what, ".sql"))
        return set(p, DK_MARIA, inner, n, "");
    return 0;
}

static int parse(struct rs_part *p, const char *group)
{
    size_t n = strlen(group);
    /* "volumes/x" is a volume, unless it is of a stack that is called "volumes". */
    if (strncmp(p->name, group, n) == 0 && p->name[n] == '/')
        return parse_inner(p, p->name + n + 1);
    if (strncmp(p->name, "volumes/", 8) == 0 && p->name[8] && !strchr(p->name + 8, '/'))
        return set(p, DK_VOLUME, "", 0, p->name + 8);
    const char *slash = strchr(p->name, '/');
    return slash ? parse_inner(p, slash + 1) : 0;
}

int rs_part_init(struct rs_part *p, const struct bake_component *c, const char *group)
{
    json_error_t why;
    *p = (struct rs_part){.name = strdup(c->name), .bytes = c->size_hint};
    if (!p->name || parse(p, group) != 0)
        return -1;
    /* Facts that cannot be read are as good as none: archives of others have none. */
    p->facts = c->facts ? json_loads(c->facts, JSON_REJECT_DUPLICATES, &why) : NULL;
    return 0;
}

void rs_part_release(struct rs_part *p, struct bake_ctx *ctx)
{
    if (p->text)
        explicit_bzero(p->text, p->size);
    dk_place_close(p->place, ctx);
    rs_files_close(p->files);
    json_decref(p->facts);
    free(p->text);
    free(p->name);
    free(p->service);
    free(p->label);
    free(p->path);
    free(p->volume);
    free(p->key);
}

static enum rs_step step_of(const struct rs_part *p)
{
    if (p->known && p->kind == DK_DEFINITION)
        return RS_DEFINE;
    return p->known && (p->kind == DK_PG || p->kind == DK_MARIA) ? RS_LOAD : RS_FILL;
}

void rs_stages(struct rs_part *parts, size_t n, bool has[RS_STEPS])
{
    uint32_t stage[RS_STEPS], next = 0;
    for (int i = 0; i < RS_STEPS; i++)
        has[i] = false;
    for (size_t i = 0; i < n; i++)
        has[step_of(&parts[i])] = true;
    /* Nothing is needed from the first stage before dumps can be loaded, but the switch is. */
    if (has[RS_LOAD] && !has[RS_DEFINE])
        has[RS_FILL] = true;
    for (int i = 0; i < RS_STEPS; i++) {
        stage[i] = next;
        next += has[i];
    }
    for (size_t i = 0; i < n; i++)
        parts[i].stage = stage[step_of(&parts[i])];
}

const char *rs_fact(const struct rs_part *p, const char *key)
{
    return json_string_value(json_object_get(p->facts, key));
}

const char *rs_fact_of_mount(const struct rs_part *p, const char *key)
{
    return json_string_value(json_object_get(json_object_get(p->facts, "mount"), key));
}

struct rs_part *rs_part_named(struct dk_restore *r, const char *name)
{
    for (size_t i = 0; i < r->n_parts; i++) {
        if (strcmp(r->parts[i].name, name) == 0)
            return &r->parts[i];
    }
    return NULL;
}
