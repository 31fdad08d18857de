/* The Compose files of a stack and its .env, as the labels of its containers name them: only those
 * files, and only where the daemon's paths are proven to be ours. */
#include "tree_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define LABEL "com.docker.compose.project."
#define OUTSIDE                                                                                    \
    ".outside" /* entries' folder for files that are not below the working directory               \
                */

struct files { /* what to read */
    struct bkc_walk_root *items;
    size_t n;
    const char *dir; /* the project's working directory */
};

static void files_free(struct files *f)
{
    for (size_t i = 0; i < f->n; i++) {
        free(f->items[i].path);
        free(f->items[i].entry);
    }
    free(f->items);
}

/* The entry of an absolute path. NULL: no memory. */
static char *entry_of(const struct files *f, const char *path)
{
    char *ret = NULL;
    size_t n = strlen(f->dir);
    if (bkc_path_within(f->dir, path) && path[n] == '/')
        return strdup(path + n + 1);
    return asprintf(&ret, OUTSIDE "%s", path) < 0 ? NULL : ret;
}

static int add(struct dk_tree *t, struct files *f, const char *path)
{
    /* a link is read where it leads: what Compose reads is wanted, not where it came from */
    char *real = realpath(path, NULL), *entry = entry_of(f, path);
    struct bkc_walk_root *more = realloc(f->items, (f->n + 1) * sizeof(*more));
    if (more)
        f->items = more;
    if (!real || !entry || !more) {
        free(real);
        free(entry);
        return dk_nomem(t->ctx);
    }
    for (size_t i = 0; i < f->n; i++)
        if (strcmp(f->items[i].entry, entry) == 0) {
            free(real);
            free(entry);
            return BAKE_OK;
        }
    size_t at = f->n++;
    for (; at > 0 && bkc_path_cmp(f->items[at - 1].entry, entry) > 0; at--)
        f->items[at] = f->items[at - 1];
    f->items[at] = (struct bkc_walk_root){.path = real, .entry = entry};
    return BAKE_OK;
}

/* Without "/./", "//" and "x/..", in place; links in it count for nothing. */
static void tidy(char *path)
{
    char *out = path;
    for (const char *p = path; *p;) {
        p += strspn(p, "/");
        size_t n = strcspn(p, "/");
        if (n == 2 && p[0] == '.' && p[1] == '.') {
            while (out > path && *--out != '/')
                ;
        } else if (n > 0 && !(n == 1 && p[0] == '.')) {
            *out++ = '/';
            memmove(out, p, n);
            out += n;
        }
        p += n;
    }
    if (out == path)
        *out++ = '/';
    *out = '\0';
}

static bool is_file(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* name as a label has it: absolute; or, by old versions, relative to where Compose was called,
 * which is not known: its last parts are looked for in the working directory. NULL: no memory. */
static char *locate(const struct files *f, const char *name)
{
    char *path = NULL;
    if (*name == '/') {
        path = strdup(name);
        if (path)
            tidy(path);
        return path;
    }
    for (const char *part = name; part; part = strchr(part, '/')) {
        part += strspn(part, "/");
        free(path);
        if (asprintf(&path, "%s/%s", f->dir, part) < 0)
            return NULL;
        tidy(path);
        if (is_file(path))
            break;
    }
    return path;
}

static int add_named(struct dk_tree *t, struct files *f, const char *name)
{
    char *path = locate(f, name);
    if (!path)
        return dk_nomem(t->ctx);
    int rc = BAKE_OK;
    if (is_file(path))
        rc = add(t, f, path);
    else
        bake_report(t->ctx, BAKE_PARTIAL, path,
                    "is not there, though a label of the stack names it");
    free(path);
    return rc;
}

/* A list with commas between. */
static int add_list(struct dk_tree *t, struct files *f, const char *list)
{
    char *names = strdup(list ? list : ""), *rest = NULL;
    int rc = names ? BAKE_OK : dk_nomem(t->ctx);
    for (char *name = names ? strtok_r(names, ",", &rest) : NULL; name && rc == BAKE_OK;
         name = strtok_r(NULL, ",", &rest))
        rc = add_named(t, f, name);
    free(names);
    return rc;
}

/* A label that an image brings along was not written by Compose: an image could name any file of
 * the host. */
static int image_says(struct dk_tree *t, const struct dk_container *c, bool *ret)
{
    char path[200], *id = dk_quote(c->image_id ? c->image_id : "");
    json_t *image = NULL;
    if (!id)
        return dk_nomem(t->ctx);
    (void)snprintf(path, sizeof(path), "/images/%s/json", id);
    free(id);
    int rc = dk_get(t->s->api, t->ctx, path, &image);
    const json_t *labels = json_object_get(json_object_get(image, "Config"), "Labels");
    *ret = rc != BAKE_OK || json_object_get(labels, LABEL "working_dir") ||
           json_object_get(labels, LABEL "config_files") ||
           json_object_get(labels, LABEL "environment_file");
    json_decref(image);
    return rc == BAKE_E_NOTFOUND ? BAKE_OK : rc;
}

/* A container of the stack that Compose made and whose labels are its own. */
static int find_container(struct dk_tree *t, const struct dk_container **ret)
{
    const struct dk_world *w = t->s->world;
    for (size_t i = 0; w && i < w->n_containers; i++) {
        const struct dk_container *c = &w->containers[i];
        const char *dir = dk_label(c, LABEL "working_dir");
        bool theirs = true;
        if (!c->compose || strcmp(c->project, t->item->stack) != 0 || !dir || *dir != '/')
            continue;
        int rc = image_says(t, c, &theirs);
        if (rc != BAKE_OK)
            return rc;
        if (!theirs) {
            *ret = c;
            return BAKE_OK;
        }
    }
    return bake_fail(t->ctx, BAKE_E_NOTFOUND,
                     "no container of stack '%s' says where its Compose files are", t->item->stack);
}

static int find_files(struct dk_tree *t, const struct dk_container *c, struct files *f)
{
    char *env = NULL;
    int rc = add_list(t, f, dk_label(c, LABEL "config_files"));
    if (rc == BAKE_OK)
        rc = add_list(t, f, dk_label(c, LABEL "environment_file"));
    if (rc == BAKE_OK && asprintf(&env, "%s/.env", f->dir) < 0)
        return dk_nomem(t->ctx);
    if (rc == BAKE_OK && is_file(env))
        rc = add(t, f, env);
    free(env);
    if (rc == BAKE_OK && f->n == 0)
        rc = bake_fail(t->ctx, BAKE_E_NOTFOUND, "none of the Compose files of stack '%s' is there",
                       t->item->stack);
    return rc;
}

static int read_files(struct dk_tree *t, const struct dk_container *c)
{
    char *dir = strdup(dk_label(c, LABEL "working_dir"));
    if (!dir)
        return dk_nomem(t->ctx);
    tidy(dir);
    struct files f = {.dir = strcmp(dir, "/") == 0 ? "" : dir};
    int rc = find_files(t, c, &f);
    const struct bkc_walk_opts opts = {
        .at = AT_FDCWD, .roots = f.items, .n_roots = f.n, .shown = dir};
    if (rc == BAKE_OK)
        rc = bkc_walk_open(t->ctx, &opts, &t->walk);
    free(t->shown);
    t->shown = dir; /* the walk's reports begin with it */
    files_free(&f);
    return rc;
}

int dk_direct_config(struct dk_tree *t)
{
    enum dk_proof level = DK_PROOF_UNKNOWN;
    const struct dk_container *c = NULL;
    const char *why = NULL;
    if (t->s->cfg->read == DK_READ_API)
        return bake_fail(t->ctx, BAKE_E_UNSUPPORTED,
                         "the Compose files of stack '%s' are on the daemon's host and cannot be "
                         "had through it, as 'read: api' asks",
                         t->item->stack);
    int rc = dk_proof_level(t->s, t->ctx, &level, &why);
    if (rc != BAKE_OK)
        return rc;
    if (level != DK_PROOF_NAMESPACE)
        return bake_fail(t->ctx, BAKE_E_UNSUPPORTED,
                         "the Compose files of stack '%s' are on the daemon's host and cannot be "
                         "read from here: %s\nHINT: run bakengine on that host, or leave out "
                         "'config'",
                         t->item->stack, why);
    rc = find_container(t, &c);
    return rc == BAKE_OK ? read_files(t, c) : rc;
}
