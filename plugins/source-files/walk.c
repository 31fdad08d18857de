/* The walk: which objects there are, and which of them belong to the backup. */
#include "walk.h"

#include "level.h"
#include "match/gitignore.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NOTHING = 2, EXCLUDED = 3 }; /* beside BAKE_OK and BAKE_END: this one is passed over */

/* ---- the path -------------------------------------------------------------------------------- */

static int set_path(struct files_walk *w, size_t dir_len, const char *name)
{
    size_t n = strlen(name) + 1;
    if (dir_len + 1 + n > w->path_cap) {
        size_t cap = (dir_len + 1 + n) * 2 + 256;
        char *path = realloc(w->path, cap);
        if (!path)
            return files_nomem(w->ctx);
        w->path = path;
        w->path_cap = cap;
    }
    if (dir_len > 0)
        w->path[dir_len++] = '/';
    memcpy(w->path + dir_len, name, n);
    w->name = w->path + dir_len;
    return BAKE_OK;
}

int files_walk_dir(struct files_walk *w, struct files_dir **ret_dir, const char **ret_name)
{
    struct files_level *l = files_level_top(w);
    const char *slash = strrchr(w->path, '/');
    size_t n = slash ? (size_t)(slash - w->path) : 0;
    if (!l->dir && files_dir_new(w->path, n, &l->dir) != 0)
        return files_nomem(w->ctx);
    *ret_dir = l->dir;
    *ret_name = slash ? slash + 1 : w->path;
    return BAKE_OK;
}

/* ---- what is left out ------------------------------------------------------------------------ */

/* The directory at the path is not looked into: roots that were named within it are walked all the
 * same, here, where they are in order. */
static int skip_dir(struct files_walk *w)
{
    size_t first = 0;
    while (first < w->roots.n && (strcmp(w->roots.items[first].entry, w->path) == 0 ||
                                  !files_path_within(w->path, w->roots.items[first].entry)))
        first++;
    size_t end = first;
    while (end < w->roots.n && files_path_within(w->path, w->roots.items[end].entry))
        end++;
    if (first == end)
        return BAKE_OK;
    struct files_level level = {.fd = -1, .root = first, .root_end = end};
    level.path_len = strlen(w->path);
    return files_level_push(w, &level);
}

static bool is_root(const struct files_walk *w)
{
    for (size_t i = 0; i < w->roots.n; i++)
        if (strcmp(w->roots.items[i].entry, w->path) == 0)
            return true;
    return false;
}

static bool ignored(const struct files_walk *w, bool is_dir)
{
    return *w->path && bkc_ignored(w->source->ignore, w->path, is_dir);
}

/* A file that something else is mounted on, or a socket. */
static bool left_out(struct files_walk *w, const struct files_level *l)
{
    bool is_mount = l->list && w->st.dev != l->dev && w->st.mount;
    if (S_ISSOCK(w->st.mode)) {
        files_report(w->ctx, BAKE_NOTICE, w->path, "is a socket, skipped");
        return true;
    }
    if (S_ISDIR(w->st.mode) || !is_mount)
        return false;
    int fd = openat(w->dirfd, w->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    bool pseudo = fd >= 0 && files_pseudo(fd);
    if (fd >= 0)
        (void)close(fd);
    if (!pseudo && !w->source->cfg->one_file_system)
        return false;
    files_report(w->ctx, BAKE_NOTICE, w->path, "is on another file system, skipped");
    return true;
}

/* ---- one object ------------------------------------------------------------------------------ */

/* skip_dir(), and what it is skipped for. */
static int skip(struct files_walk *w, int why)
{
    int rc = w->roots.n > 1 ? skip_dir(w) : BAKE_OK;
    return rc == BAKE_OK ? why : rc;
}

/* A symbolic link with roots beneath it: entries cannot lie in a link, so it gives way to them. */
static int link_over_roots(struct files_walk *w, bool *ret)
{
    size_t depth = w->n;
    int rc = S_ISLNK(w->st.mode) && w->roots.n > 1 ? skip_dir(w) : BAKE_OK;
    *ret = w->n > depth;
    if (*ret)
        files_report(w->ctx, BAKE_WARNING, w->path,
                     "is a symbolic link and 'paths' names what lies beneath it, the link itself "
                     "is left out");
    return rc;
}

/* Looks at the object whose path and name are set. */
static int look(struct files_walk *w, const struct files_level *l)
{
    bool as_file = ignored(w, false), gives_way = false;
    if (as_file && ignored(w, true))
        return skip(w, EXCLUDED);
    int error = files_stat(w->dirfd, w->name, &w->st);
    if (error == ENOENT) {
        files_report(w->ctx, BAKE_WARNING, w->path, "vanished before it could be read, skipped");
        return NOTHING;
    }
    if (error != 0) {
        files_report(w->ctx, BAKE_PARTIAL, w->path, "cannot be read: %s", strerror(error));
        return NOTHING;
    }
    bool is_dir = S_ISDIR(w->st.mode);
    if (is_dir ? ignored(w, true) : as_file)
        return is_dir ? skip(w, EXCLUDED) : EXCLUDED;
    if (left_out(w, l))
        return NOTHING;
    int rc = link_over_roots(w, &gives_way);
    if (rc != BAKE_OK || gives_way)
        return rc != BAKE_OK ? rc : NOTHING;
    w->enter = is_dir;
    return BAKE_OK;
}

static int next_name(struct files_walk *w, struct files_level *l)
{
    const char *name = NULL;
    int error = l->fd >= 0 ? files_list_next(l->list, &name) : ENOENT;
    if (error == ENOMEM)
        return files_nomem(w->ctx);
    if (error != 0) {
        w->path[l->path_len] = '\0';
        if (error != ENOENT)
            files_report(w->ctx, BAKE_PARTIAL, w->path,
                         "the rest of this directory is left out, its listing cannot be read "
                         "back: %s",
                         strerror(error));
        return BAKE_END;
    }
    int rc = set_path(w, l->path_len, name);
    if (rc != BAKE_OK)
        return rc;
    w->dirfd = l->fd;
    return look(w, l);
}

/* Says of a root that the user wrote down what he may not expect. */
static void remark(struct files_walk *w, const struct files_root *root)
{
    struct stat st;
    if (root->named && S_ISLNK(w->st.mode) && stat(root->path, &st) == 0 && S_ISDIR(st.st_mode))
        files_report(w->ctx, BAKE_WARNING, w->path,
                     "is a symbolic link to a directory, only the link is backed up\n"
                     "HINT: name the directory itself in 'paths'");
}

/* Roots within this one are met on the way, or where the way does not lead into a directory. */
static void pass_inner(const struct files_walk *w, struct files_level *l,
                       const struct files_root *root)
{
    while (l->root < l->root_end && files_path_within(root->entry, w->roots.items[l->root].entry))
        l->root++;
}

static int next_root(struct files_walk *w, struct files_level *l)
{
    files_level_close_fd(l);
    files_dir_unref(l->dir);
    l->dir = NULL;
    if (l->root == l->root_end)
        return BAKE_END;
    const struct files_root *root = &w->roots.items[l->root++];
    int rc = set_path(w, 0, root->entry);
    if (rc != BAKE_OK)
        return rc;
    w->name = files_root_open(root, &l->fd);
    w->dirfd = l->fd;
    if (!w->name) {
        files_report(w->ctx, BAKE_PARTIAL, w->path, "cannot be read: %s", strerror(errno));
        return NOTHING;
    }
    size_t at = w->n - 1; /* looking may move the levels */
    rc = look(w, l);
    if (rc == EXCLUDED && root->named)
        files_report(w->ctx, BAKE_WARNING, w->path,
                     "is named in 'paths' and matched by 'exclude', it is left out");
    if (rc == BAKE_OK)
        remark(w, root);
    if (w->n - 1 > at || (rc == BAKE_OK && w->enter))
        pass_inner(w, &w->levels[at], root);
    return rc;
}

/* ---- directories ----------------------------------------------------------------------------- */

static void report_unopened(struct files_walk *w, int error)
{
    if (error == ENOENT)
        files_report(w->ctx, BAKE_WARNING, w->path, "vanished before it could be read");
    else if (error == ELOOP || error == ENOTDIR)
        files_report(w->ctx, BAKE_WARNING, w->path, "was replaced before it could be read");
    else
        files_report(w->ctx, BAKE_PARTIAL, w->path, "this directory cannot be read: %s",
                     strerror(error));
}

static bool holds_itself(const struct files_walk *w, const struct files_stat *st)
{
    for (size_t i = 0; i < w->n; i++)
        if (w->levels[i].list && w->levels[i].dev == st->dev && w->levels[i].ino == st->ino)
            return true;
    return false;
}

/* Is this open directory to stay an empty one in the backup? */
static bool keep_empty(struct files_walk *w, int fd, const struct files_stat *st)
{
    const struct files_level *l = files_level_top(w);
    if (!l->list)
        return false; /* a root is what somebody asked for */
    if (st->mount && holds_itself(w, st)) {
        files_report(w->ctx, BAKE_NOTICE, w->path,
                     "is a directory above it mounted again, kept empty");
        return true;
    }
    if (st->dev == l->dev || is_root(w))
        return false;
    if (files_pseudo(fd)) {
        files_report(w->ctx, BAKE_NOTICE, w->path,
                     "is a file system of the kernel that holds no data, kept empty");
        return true;
    }
    return w->source->cfg->one_file_system;
}

/* Goes into the directory the walk is at. */
static int enter(struct files_walk *w)
{
    struct files_level level = {.path_len = strlen(w->path)};
    struct files_stat st;
    level.fd = files_open_quiet(w->dirfd, w->name, O_DIRECTORY);
    int error = level.fd < 0 ? errno : files_stat(level.fd, "", &st);
    if (error == 0 && keep_empty(w, level.fd, &st)) {
        (void)close(level.fd);
        return skip_dir(w);
    }
    if (error == 0)
        error =
            files_list_read(level.fd, &w->budget, files_tagging(w->source), w->source, &level.list);
    if (error != 0) {
        files_level_close_fd(&level);
        if (error == ENOMEM)
            return files_nomem(w->ctx);
        report_unopened(w, error);
        return skip_dir(w);
    }
    level.dev = st.dev;
    level.ino = st.ino;
    return files_level_push(w, &level);
}

/* ---- the walk -------------------------------------------------------------------------------- */

int files_walk_next(struct files_walk *w)
{
    int rc = BAKE_OK;
    if (w->enter)
        rc = enter(w);
    w->enter = false;
    while (rc == BAKE_OK || rc == NOTHING || rc == EXCLUDED) {
        if (w->ctx->host->cancelled(w->ctx))
            return bake_fail(w->ctx, BAKE_E_CANCELLED, "cancelled");
        struct files_level *l = files_level_top(w);
        if (!l)
            return BAKE_END;
        rc = l->list ? next_name(w, l) : next_root(w, l);
        if (rc == BAKE_OK)
            return rc;
        if (rc == BAKE_END) {
            files_level_pop(w);
            rc = BAKE_OK;
        }
    }
    return rc;
}

static int report_missing(void *arg, const struct bake_path *path, const char *at, int error)
{
    struct bake_ctx *ctx = arg;
    bool is_glob = strcmp(at, path->path) == 0 && strpbrk(at, "*?[");
    if (strcmp(at, path->path) != 0)
        files_report(ctx, BAKE_PARTIAL, at + strspn(at, "/"),
                     "this directory cannot be searched for '%s': %s", path->path, strerror(error));
    else if (error != ENOENT && error != ENOTDIR)
        files_report(ctx, BAKE_PARTIAL, at + 1, "cannot be read: %s", strerror(error));
    else
        files_report(ctx, path->optional ? BAKE_NOTICE : BAKE_PARTIAL, at + 1, "%s",
                     is_glob ? "matches nothing" : "is not there");
    return 0;
}

int files_walk_open(struct files_walk *w, struct bake_ctx *ctx, const struct files_source *source)
{
    *w = (struct files_walk){.ctx = ctx, .source = source, .dirfd = -1};
    w->budget.limit = source->limits.names;
    if (files_roots_expand(source->cfg->paths, report_missing, ctx, &w->roots) != 0)
        return files_nomem(ctx);
    struct files_level level = {.fd = -1, .root_end = w->roots.n};
    int rc = files_level_push(w, &level);
    if (rc != BAKE_OK)
        files_walk_close(w);
    return rc;
}

void files_walk_close(struct files_walk *w)
{
    while (w->n > 0) {
        struct files_level *l = files_level_top(w);
        files_level_close_fd(l);
        files_list_free(l->list);
        files_dir_unref(l->dir);
        w->n--;
    }
    free(w->levels);
    free(w->path);
    files_roots_free(&w->roots);
}
