/* Pushing and popping of directories, and finding one again that was closed in between. */
#include "level.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* For *at() calls alone: needs no right to read, and touches no time. */
#define AS_BASE (O_PATH | O_DIRECTORY | O_CLOEXEC)

struct files_level *files_level_top(const struct files_walk *w)
{
    return w->n > 0 ? &w->levels[w->n - 1] : NULL;
}

void files_level_close_fd(struct files_level *l)
{
    if (l->fd >= 0)
        (void)close(l->fd);
    l->fd = -1;
}

static void level_clear(struct files_level *l)
{
    files_level_close_fd(l);
    files_list_free(l->list);
    files_dir_unref(l->dir);
}

int files_level_push(struct files_walk *w, const struct files_level *level)
{
    struct files_level new_level = *level;
    if (w->n == w->cap) {
        size_t cap = w->cap ? w->cap * 2 : 32;
        struct files_level *levels = realloc(w->levels, cap * sizeof(*levels));
        if (!levels) {
            level_clear(&new_level);
            return files_nomem(w->ctx);
        }
        w->levels = levels;
        w->cap = cap;
    }
    size_t keep = w->source->limits.levels;
    if (w->n > 0 && !files_level_top(w)->list)
        files_level_close_fd(files_level_top(w)); /* the next root opens its own */
    if (w->n >= keep)
        files_level_close_fd(&w->levels[w->n - keep]);
    w->levels[w->n++] = new_level;
    return BAKE_OK;
}

const char *files_root_open(const struct files_root *root, int *ret_fd)
{
    size_t n = strlen(root->path);
    const char *name = ".";
    char *dir = NULL;
    if (root->path[n - 1] == '/') {
        dir = strdup(root->path);
    } else {
        const char *slash = strrchr(root->path, '/');
        name = slash + 1;
        dir = strndup(root->path, (size_t)(name - root->path));
    }
    int fd = dir ? open(dir, AS_BASE) : -1; /* links above a root are followed */
    int error = dir ? errno : ENOMEM;
    free(dir);
    errno = error;
    if (fd < 0)
        return NULL;
    *ret_fd = fd;
    return name;
}

static bool is_level(int fd, const struct files_level *l)
{
    struct files_stat st;
    return files_stat(fd, "", &st) == 0 && st.dev == l->dev && st.ino == l->ino;
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
static int from_root(const struct files_walk *w, size_t at)
{
    size_t base = at;
    while (w->levels[base].list)
        base--;
    /* the root that is being walked is the nearest one before the next that holds this path */
    size_t i = w->levels[base].root;
    int fd = -1;
    while (i-- > 0) {
        const struct files_root *root = &w->roots.items[i];
        if (strlen(root->entry) != w->levels[base + 1].path_len ||
            strncmp(root->entry, w->path, w->levels[base + 1].path_len) != 0)
            continue;
        const char *name = files_root_open(root, &fd);
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

static int open_again(const struct files_walk *w, size_t at, int child)
{
    const struct files_level *l = &w->levels[at];
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

void files_level_pop(struct files_walk *w)
{
    struct files_level *top = files_level_top(w);
    size_t below = w->n - 2;
    if (w->n > 1 && w->levels[below].list && w->levels[below].fd < 0) {
        struct files_level *l = &w->levels[below];
        l->fd = open_again(w, below, top->fd);
        w->path[l->path_len] = '\0';
        if (l->fd < 0)
            files_report(w->ctx, BAKE_PARTIAL, w->path,
                         "was moved or removed while it was read, the rest of it is left out");
    }
    level_clear(top);
    w->n--;
}
