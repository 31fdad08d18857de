/* Where a directory of a container really is: its path without symbolic links, and the mount, the
 * volume or the image that holds it. */
#include "place_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define LINKS_MAX 32

/* ---- the path -------------------------------------------------------------------------------- */

struct walk {
    struct dk_place *p;
    struct bake_ctx *ctx;
    const char *id;
    char *at; /* so far, without symbolic links; "" is the root */
    unsigned links;
    bool absent; /* at is not there */
    uint32_t mode;
};

/* What the daemon says of w->at. A symbolic link is taken where it leads in the end. */
static int look(struct walk *w)
{
    struct dk_stat st;
    int rc = dk_archive_stat(w->p->s->api, w->ctx, w->id, w->at, &st);

    if (rc == BAKE_E_NOTFOUND) {
        w->absent = true;
        return BAKE_OK;
    }
    if (rc < 0)
        return rc;
    w->mode = st.mode;
    if (S_ISLNK(st.mode)) {
        if (!st.link[0] || st.link[0] != '/' || ++w->links > LINKS_MAX) {
            rc = bake_fail(w->ctx, BAKE_E_IO, "cannot follow the symbolic link '%s' of %s", w->at,
                           w->p->plan.what);
        } else {
            free(w->at);
            w->at = strdup(strcmp(st.link, "/") == 0 ? "" : st.link);
            rc = w->at ? look(w) : dk_nomem(w->ctx);
        }
    }
    dk_stat_release(&st);
    return rc;
}

static int step(struct walk *w, const char *part, size_t n)
{
    char *next;

    if (w->absent)
        return bake_fail(w->ctx, BAKE_E_NOTFOUND, "cannot restore %s: '%s' does not exist",
                         w->p->plan.what, w->at);
    next = dk_text("%s/%.*s", w->at, (int)n, part);
    if (!next)
        return dk_nomem(w->ctx);
    free(w->at);
    w->at = next;
    return look(w);
}

/* *ret: the path as it is without symbolic links; plan.absent and plan.file are set. */
static int canonical(struct dk_place *p, struct bake_ctx *ctx, const struct dk_place_spec *spec,
                     char **ret)
{
    struct walk w = {.p = p, .ctx = ctx, .id = spec->container->id, .at = strdup("")};
    const char *path = spec->path;
    int rc = w.at ? BAKE_OK : dk_nomem(ctx);

    while (rc == BAKE_OK && *path) {
        size_t n;

        path += strspn(path, "/");
        n = strcspn(path, "/");
        if (n > 0)
            rc = step(&w, path, n);
        path += n;
    }
    if (rc == BAKE_OK && !w.at[0])
        rc = bake_fail(ctx, BAKE_E_CONFIG, "refused to replace %s: that is all of the container",
                       p->plan.what);
    p->plan.absent = w.absent;
    p->plan.file = !w.absent && S_ISREG(w.mode);
    if (rc == BAKE_OK && !w.absent && !S_ISREG(w.mode) && !S_ISDIR(w.mode))
        rc = bake_fail(ctx, BAKE_E_UNSUPPORTED, "cannot restore %s: it is no directory and no file",
                       p->plan.what);
    if (rc == BAKE_OK)
        *ret = w.at;
    else
        free(w.at);
    return rc;
}

/* ---- what holds it --------------------------------------------------------------------------- */

static bool at_or_below(const char *path, const char *above)
{
    size_t n = strlen(above);

    while (n > 1 && above[n - 1] == '/')
        n--;
    return strncmp(path, above, n) == 0 && (!path[n] || path[n] == '/' || n == 1);
}

/* Memory that is empty whenever the container starts. */
static bool on_tmpfs(const struct dk_container *c, const char *path)
{
    const json_t *host = json_object_get(c->inspect, "HostConfig");
    const json_t *list = json_object_get(host, "Mounts"), *m, *v;
    json_t *map = json_object_get(host, "Tmpfs");
    const char *key;
    size_t i;

    json_object_foreach(map, key, v) if (at_or_below(path, key)) return true;
    json_array_foreach(list, i, m)
    {
        const char *type = json_string_value(json_object_get(m, "Type"));
        const char *target = json_string_value(json_object_get(m, "Target"));

        if (type && target && strcmp(type, "tmpfs") == 0 && at_or_below(path, target))
            return true;
    }
    return false;
}

/* Within the image: what is mounted below it cannot be cleared away, and these are the daemon's. */
static bool has_mounts(const struct dk_container *c, const char *path)
{
    static const char *const always[] = {"/etc/hosts", "/dev/null", "/proc/self", "/sys/fs"};

    for (size_t i = 0; i < sizeof(always) / sizeof(*always); i++)
        if (at_or_below(always[i], path))
            return true;
    for (size_t i = 0; i < c->n_mounts; i++)
        if (at_or_below(c->mounts[i].destination, path))
            return true;
    return at_or_below(path, "/dev") || at_or_below(path, "/proc") || at_or_below(path, "/sys");
}

static int keep(struct bake_ctx *ctx, char **ret, const char *text)
{
    *ret = strdup(text);
    return *ret ? BAKE_OK : dk_nomem(ctx);
}

static int find_in(struct dk_place *p, struct bake_ctx *ctx, const struct dk_place_spec *spec,
                   const char *path, const struct dk_mount **ret)
{
    struct dk_plan *plan = &p->plan;
    const char *rest = "";
    const struct dk_mount *m = dk_mount_of(spec->container, path, &rest);
    int rc;

    *ret = m;
    if (!m && on_tmpfs(spec->container, path))
        return bake_fail(ctx, BAKE_E_UNSUPPORTED,
                         "cannot restore %s: it is on a tmpfs, which is empty at every start",
                         plan->what);
    if (!m && has_mounts(spec->container, path))
        return bake_fail(ctx, BAKE_E_UNSUPPORTED,
                         "cannot restore %s: other file systems are mounted within it", plan->what);
    rest += strspn(rest, "/");
    if (m && m->name && strcmp(m->type, "volume") == 0) {
        rc = keep(ctx, &plan->volume, m->name);
    } else if (m && strcmp(m->type, "bind") == 0 && m->source && m->source[0] == '/') {
        rc = keep(ctx, &plan->bind, m->source);
    } else {
        *ret = NULL;
        rest = path;
        rc = keep(ctx, &plan->container, spec->container->id);
    }
    return rc == BAKE_OK ? keep(ctx, &plan->path, rest) : rc;
}

static int name_it(struct dk_place *p, struct bake_ctx *ctx, const struct dk_place_spec *spec)
{
    char nonce[DK_NONCE];
    int rc = dk_place_nonce(ctx, nonce);

    if (rc < 0)
        return rc;
    p->plan.nonce = strdup(nonce);
    p->plan.what = spec->container
                       ? dk_text("'%s' of container '%s'", spec->path, spec->container->name)
                       : dk_text("volume '%s'", spec->volume);
    return p->plan.nonce && p->plan.what ? BAKE_OK : dk_nomem(ctx);
}

static int check_copy(struct dk_place *p, struct bake_ctx *ctx)
{
    const char *lacks = dk_helper_lacks(p->s);

    /* A file that is mounted by itself is replaced in the directory that holds it. */
    if (p->plan.file && p->plan.bind && !p->plan.path[0]) {
        char *slash = strrchr(p->plan.bind, '/');

        if (slash == p->plan.bind || !slash[1])
            return bake_fail(ctx, BAKE_E_UNSUPPORTED, "cannot restore %s: '%s' is mounted there",
                             p->plan.what, p->plan.bind);
        free(p->plan.path);
        p->plan.path = strdup(slash + 1);
        *slash = '\0';
        return p->plan.path ? BAKE_OK : dk_nomem(ctx);
    }
    if (p->plan.container || p->plan.path[0] || !lacks)
        return BAKE_OK;
    return bake_fail(ctx, BAKE_E_UNSUPPORTED,
                     "cannot clear %s before it is restored: its directory cannot be reached from "
                     "here, and no helper container can be used: %s",
                     p->plan.what, lacks);
}

int dk_place_find(struct dk_place *p, struct bake_ctx *ctx, const struct dk_place_spec *spec,
                  struct dk_fs_answer *ret)
{
    const struct dk_mount *m = NULL;
    char *path = NULL;
    int rc = name_it(p, ctx, spec);

    memset(ret, 0, sizeof(*ret));
    p->plan.way = DK_WAY_COPY;
    if (rc == BAKE_OK && spec->container) {
        rc = canonical(p, ctx, spec, &path);
        if (rc == BAKE_OK)
            rc = find_in(p, ctx, spec, path, &m);
        free(path);
    } else if (rc == BAKE_OK) {
        rc = keep(ctx, &p->plan.volume, spec->volume);
        if (rc == BAKE_OK)
            rc = keep(ctx, &p->plan.path, "");
    }
    if (rc == BAKE_OK && !p->plan.container && !p->plan.file)
        rc = dk_ground_find(p, ctx, spec, m, ret);
    if (rc == BAKE_OK && p->plan.way == DK_WAY_COPY)
        rc = check_copy(p, ctx);
    return rc;
}

/* ---- who uses it ----------------------------------------------------------------------------- */

/* Is one of two paths at or below the other? */
static bool related(const char *a, const char *b) { return at_or_below(a, b) || at_or_below(b, a); }

static bool uses(const struct dk_plan *p, const char *whole, const json_t *mount)
{
    const char *name = json_string_value(json_object_get(mount, "Name"));
    const char *source = json_string_value(json_object_get(mount, "Source"));

    if (p->volume)
        return name && strcmp(name, p->volume) == 0;
    /* What mounts a directory far above (a monitor of the whole host) goes by the path. */
    return p->bind && source && at_or_below(source, p->bind) && related(source, whole);
}

static bool user(const struct dk_plan *p, const char *whole, const json_t *c)
{
    const char *id = json_string_value(json_object_get(c, "Id"));
    const json_t *m;
    size_t i;

    if (p->container)
        return id && strcmp(id, p->container) == 0;
    json_array_foreach(json_object_get(c, "Mounts"), i, m) if (uses(p, whole, m)) return true;
    return false;
}

static int refuse_user(struct dk_source *s, struct bake_ctx *ctx, const struct dk_plan *p,
                       const json_t *c)
{
    const char *id = json_string_value(json_object_get(c, "Id"));
    const char *name = json_string_value(json_array_get(json_object_get(c, "Names"), 0));

    name = name ? name + (*name == '/') : "";
    if (id && s->where.container && strcmp(id, s->where.container) == 0) {
        bake_report(ctx, BAKE_WARNING, NULL,
                    "%s: this program's own container has it mounted, and goes on seeing what was "
                    "there before",
                    p->what);
        return BAKE_OK;
    }
    return bake_fail(ctx, BAKE_E_UNAVAILABLE,
                     "cannot replace %s: container '%s' is running and uses it\nHINT: stop it, and "
                     "try again",
                     p->what, name);
}

int dk_place_unused(struct dk_source *s, struct bake_ctx *ctx, const struct dk_plan *p)
{
    char *whole = p->bind ? dk_text("%s%s%s", p->bind, p->path[0] ? "/" : "", p->path) : strdup("");
    json_t *list = NULL, *c;
    size_t i;
    int rc = whole ? dk_get(s->api, ctx, "/containers/json", &list) : dk_nomem(ctx);

    json_array_foreach(list, i, c) if (rc == BAKE_OK && user(p, whole, c)) rc =
        refuse_user(s, ctx, p, c);
    json_decref(list);
    free(whole);
    return rc;
}
