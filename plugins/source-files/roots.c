/* Expansion of the paths a source names, and their order. */
#include "roots.h"

#include "match/gitignore.h"
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void root_clear(struct bkc_walk_root *r)
{
    free(r->path);
    free(r->entry);
}

void files_roots_free(struct files_roots *r)
{
    for (size_t i = 0; i < r->n; i++)
        root_clear(&r->items[i]);
    free(r->items);
    *r = (struct files_roots){0};
}

/* path without the slashes and "/." at its end */
static size_t stem(const char *path)
{
    size_t n = strlen(path);
    for (;;) {
        if (n > 0 && path[n - 1] == '/')
            n--;
        else if (n > 1 && path[n - 1] == '.' && path[n - 2] == '/')
            n -= 2;
        else
            return n;
    }
}

static int add_root(struct files_roots *r, const char *path, bool named)
{
    if (r->n == r->cap) {
        size_t cap = r->cap ? r->cap * 2 : 16;
        struct bkc_walk_root *items = realloc(r->items, cap * sizeof(*items));
        if (!items)
            return ENOMEM;
        r->items = items;
        r->cap = cap;
    }
    size_t n = stem(path);
    struct bkc_walk_root root = {.named = named};
    root.entry = n > 1 ? strndup(path + 1, n - 1) : strdup("");
    root.path = strndup(path, path[n] ? n + 1 : n);
    if (!root.path || !root.entry) {
        root_clear(&root);
        return ENOMEM;
    }
    r->items[r->n++] = root;
    return 0;
}

static int by_entry(const void *a, const void *b)
{
    const struct bkc_walk_root *x = a, *y = b;
    int order = bkc_path_cmp(x->entry, y->entry);
    if (order == 0) /* of two spellings the one that follows a link, then the one that is named */
        order = (int)strlen(y->path) - (int)strlen(x->path);
    return order != 0 ? order : (int)y->named - (int)x->named;
}

static void sort_and_drop(struct files_roots *r)
{
    size_t kept = 0;
    if (r->n > 1)
        qsort(r->items, r->n, sizeof(*r->items), by_entry);
    for (size_t i = 0; i < r->n; i++) {
        if (kept > 0 && strcmp(r->items[kept - 1].entry, r->items[i].entry) == 0)
            root_clear(&r->items[i]);
        else
            r->items[kept++] = r->items[i];
    }
    r->n = kept;
}

/* ---- globs ----------------------------------------------------------------------------------- */

struct expansion {
    const struct bake_path *from;
    files_roots_missing_fn *missing;
    void *arg;
    struct files_roots *roots;
};

static char *joined(const char *dir, const char *part, size_t n)
{
    size_t len = strlen(dir);
    char *path = malloc(len + n + 1);
    if (path) {
        memcpy(path, dir, len);
        memcpy(path + len, part, n);
        path[len + n] = '\0';
    }
    return path;
}

static int expand(struct expansion *x, const char *dir, const char *rest);

/* One part of the path with glob characters, against all that is in dir. */
static int expand_part(struct expansion *x, const char *dir, const char *part, size_t n)
{
    char *glob = strndup(part, n);
    DIR *d = glob ? opendir(dir) : NULL;
    int rc = 0;
    if (!glob)
        return ENOMEM;
    if (!d) {
        rc = errno == ENOENT || errno == ENOTDIR ? 0 : x->missing(x->arg, x->from, dir, errno);
        free(glob);
        return rc;
    }
    for (struct dirent *e; rc == 0 && (errno = 0, e = readdir(d));) {
        bool dots = e->d_name[0] == '.' && *glob != '.';
        if (dots || strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
            !bkc_glob(glob, e->d_name))
            continue;
        char *path = joined(dir, e->d_name, strlen(e->d_name));
        rc = path ? expand(x, path, part + n) : ENOMEM;
        free(path);
    }
    if (rc == 0 && errno != 0)
        rc = x->missing(x->arg, x->from, dir, errno);
    (void)closedir(d);
    free(glob);
    return rc;
}

/* dir stands as it is; rest is what follows: "" or "/part...". */
static int expand(struct expansion *x, const char *dir, const char *rest)
{
    size_t slashes = strspn(rest, "/"), n = strcspn(rest + slashes, "/");
    if (!*rest || n == 0) {
        struct stat st;
        char *path = joined(dir, rest, *rest ? 1 : 0);
        int rc = !path ? ENOMEM : lstat(path, &st) == 0 ? add_root(x->roots, path, false) : 0;
        free(path);
        return rc;
    }
    bool special = memchr(rest + slashes, '*', n) || memchr(rest + slashes, '?', n) ||
                   memchr(rest + slashes, '[', n);
    char *path = joined(dir, rest, slashes + (special ? 0 : n));
    if (!path)
        return ENOMEM;
    int rc =
        special ? expand_part(x, path, rest + slashes, n) : expand(x, path, rest + slashes + n);
    free(path);
    return rc;
}

static int expand_path(struct expansion *x)
{
    struct stat st;
    size_t before = x->roots->n;
    /* a name that has such characters in it and is there is meant as it stands */
    int error = lstat(x->from->path, &st) == 0 ? 0 : errno;
    if (error == 0)
        return add_root(x->roots, x->from->path, true);
    if (strpbrk(x->from->path, "*?[")) {
        int rc = expand(x, "", x->from->path);
        if (rc != 0 || x->roots->n > before)
            return rc;
        error = ENOENT;
    }
    return x->missing(x->arg, x->from, x->from->path, error);
}

int files_roots_expand(const struct bake_path *paths, files_roots_missing_fn *missing, void *arg,
                       struct files_roots *ret)
{
    struct files_roots roots = {0};
    int rc = 0;
    for (; paths->path && rc == 0; paths++) {
        struct expansion x = {paths, missing, arg, &roots};
        rc = expand_path(&x);
    }
    if (rc != 0) {
        files_roots_free(&roots);
        return rc;
    }
    sort_and_drop(&roots);
    *ret = roots;
    return 0;
}
