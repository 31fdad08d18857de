/* Pushing and popping of directories, and finding one again that was closed in between. */
#include "walk/level.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* For *at() calls alone: needs no right to read, and touches no time. */
#define AS_BASE (O_PATH | O_DIRECTORY | O_CLOEXEC)

struct bkc_walk_level *bkc_walk_level_top(const struct bkc_walker *w)
{
    return w->n > 0 ? &w->levels[w->n - 1] : NULL;
}

void bkc_walk_level_close_fd(struct bkc_walk_level *l)
{
    if (l->fd >= 0)
        (void)close(l->fd);
    l->fd = -1;
}

static void level_clear(struct bkc_walk_level *l)
{
    bkc_walk_level_close_fd(l);
    bkc_walk_list_free(l->list);
    bkc_walk_dir_unref(l->dir);
}

int bkc_walk_level_push(struct bkc_walker *w, const struct bkc_walk_level *level)
{
    struct bkc_walk_level new_level = *level;
    if (w->n == w->cap) {
        size_t cap = w->cap ? w->cap * 2 : 32;
        struct bkc_walk_level *levels = realloc(w->levels, cap * sizeof(*levels));
        if (!levels) {
            level_clear(&new_level);
            return bkc_walk_nomem(w->ctx);
        }
        w->levels = levels;
        w->cap = cap;
    }
    size_t keep = w->opts.limits.levels;
    if (w->n > 0 && !bkc_walk_level_top(w)->list)
        bkc_walk_level_close_fd(bkc_walk_level_top(w)); /* the next root opens its own */
    if (w->n >= keep)
        bkc_walk_level_close_fd(&w->levels[w->n - keep]);
    w->levels[w->n++] = new_level;
    return BAKE_OK;
}

const char *bkc_walk_root_open(const struct bkc_walker *w, const struct bkc_walk_root *root,
                               int *ret_fd)
{
    size_t n = strlen(root->path);
    const char *slash = strrchr(root->path, '/'), *name = ".";
    char *dir = NULL;
    if (strcmp(root->path, ".") == 0 || root->path[n - 1] == '/') {
        dir = strdup(root->path);
    } else {
        name = slash ? slash + 1 : root->path;
        dir = name > root->path ? strndup(root->path, (size_t)(name - root->path)) : strdup(".");
    }
    int fd = -1, error = ENOMEM;
    if (dir) {
        fd = w->opts.at == AT_FDCWD ? open(dir, AS_BASE) /* links above a root are followed */
                                    : bkc_open_inside(w->opts.at, dir, AS_BASE);
        error = errno;
    }
    free(dir);
    errno = error;
    if (fd < 0)
        return NULL;
    *ret_fd = fd;
    return name;
}

static bool is_level(int fd, const struct bkc_walk_level *l)
{
    struct bkc_walk_stat st;
    return bkc_walk_stat(fd, "", &st) == 0 && st.dev == l->dev && st.ino == l->ino;
}

/* The directory `name` (n bytes) in *fd, which is closed. */
static void step(int *fd, const char *name, size_t n)
{
    char *part = strndup(name, n);
    int below = part ? openat(*fd, part, AS_BASE | O_NOFOLLOW) : -1;
    free(part);
    (void)close(*fd);
    *fd = below;
}

/* Goes to level `at` again from the root it belongs to. -1: it is not there any more. */
static int from_root(const struct bkc_walker *w, size_t at)
{
    size_t base = at;
    while (w->levels[base].list)
        base--;
    /* the root that is being walked is the nearest one before the next that holds this path */
    size_t i = w->levels[base].root;
    int fd = -1;
    while (i-- > 0) {
        const struct bkc_walk_root *root = &w->roots[i];
        if (strlen(root->entry) != w->levels[base + 1].path_len ||
            strncmp(root->entry, w->path, w->levels[base + 1].path_len) != 0)
            continue;
        const char *name = bkc_walk_root_open(w, root, &fd);
        if (name)
            step(&fd, name, strlen(name));
        break;
    }
    for (size_t level = base + 2; level <= at && fd >= 0; level++) {
        size_t start = w->levels[level - 1].path_len;
        start += start > 0;
        step(&fd, w->path + start, w->levels[level].path_len - start);
    }
    return fd;
}

static int open_again(const struct bkc_walker *w, size_t at, int child)
{
    const struct bkc_walk_level *l = &w->levels[at];
    int fd = child >= 0 ? openat(child, "..", AS_BASE) : -1;
    if (fd >= 0 && is_level(fd, l))
        return fd;
    if (fd >= 0)
        (void)close(fd); /* the child was moved elsewhere */
    fd = from_root(w, at);
    if (fd >= 0 && is_level(fd, l))
        return fd;
    if (fd >= 0)
        (void)close(fd);
    return -1;
}

void bkc_walk_level_pop(struct bkc_walker *w)
{
    struct bkc_walk_level *top = bkc_walk_level_top(w);
    size_t below = w->n - 2;
    if (w->n > 1 && w->levels[below].list && w->levels[below].fd < 0) {
        struct bkc_walk_level *l = &w->levels[below];
        l->fd = open_again(w, below, top->fd);
        w->path[l->path_len] = '\0';
        if (l->fd < 0)
            bkc_walk_report(w, BAKE_PARTIAL, w->path,
                            "was moved or removed while it was read, the rest of it is left out");
    }
    level_clear(top);
    w->n--;
}
