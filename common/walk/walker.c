/* The walk: which objects there are, and which of them belong to the backup. */
#include "walk/walker.h"

#include "match/gitignore.h"
#include "walk/level.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NOTHING = 2, EXCLUDED = 3 }; /* beside BAKE_OK and BAKE_END: this one is passed over */

/* ---- the path -------------------------------------------------------------------------------- */

int bkc_walk_nomem(struct bake_ctx *ctx) { return bake_fail(ctx, BAKE_E_NOMEM, "out of memory"); }

void bkc_walk_report(const struct bkc_walker *w, int severity, const char *path, const char *fmt,
                     ...)
{
    const char *shown = w->opts.shown ? w->opts.shown : "/";
    size_t n = strlen(shown), len = strlen(path) + 1;
    char *subject = malloc(n + 1 + len);
    va_list ap;
    if (subject) {
        memcpy(subject, shown, n);
        if (*path && n > 0 && shown[n - 1] != '/')
            subject[n++] = '/';
        memcpy(subject + n, path, len);
    }
    va_start(ap, fmt);
    w->ctx->host->vreport(w->ctx, severity, subject ? subject : path, fmt, ap);
    va_end(ap);
    free(subject);
}

static int set_path(struct bkc_walker *w, size_t dir_len, const char *name)
{
    size_t n = strlen(name) + 1;
    if (dir_len + 1 + n > w->path_cap) {
        size_t cap = (dir_len + 1 + n) * 2 + 256;
        char *path = realloc(w->path, cap);
        if (!path)
            return bkc_walk_nomem(w->ctx);
        w->path = path;
        w->path_cap = cap;
    }
    if (dir_len > 0)
        w->path[dir_len++] = '/';
    memcpy(w->path + dir_len, name, n);
    w->name = w->path + dir_len;
    return BAKE_OK;
}

int bkc_walker_dir(struct bkc_walker *w, struct bkc_walk_dir **ret_dir, const char **ret_name)
{
    struct bkc_walk_level *l = bkc_walk_level_top(w);
    const char *slash = strrchr(w->path, '/');
    size_t n = slash ? (size_t)(slash - w->path) : 0;
    if (!l->dir && bkc_walk_dir_new(w->path, n, &l->dir) != 0)
        return bkc_walk_nomem(w->ctx);
    *ret_dir = l->dir;
    *ret_name = slash ? slash + 1 : w->path;
    return BAKE_OK;
}

/* ---- what is left out ------------------------------------------------------------------------ */

/* The directory at the path is not looked into: roots that were named within it are walked all the
 * same, here, where they are in order. */
static int skip_dir(struct bkc_walker *w)
{
    size_t first = 0;
    while (first < w->n_roots && (strcmp(w->roots[first].entry, w->path) == 0 ||
                                  !bkc_path_within(w->path, w->roots[first].entry)))
        first++;
    size_t end = first;
    while (end < w->n_roots && bkc_path_within(w->path, w->roots[end].entry))
        end++;
    if (first == end)
        return BAKE_OK;
    struct bkc_walk_level level = {.fd = -1, .root = first, .root_end = end};
    level.path_len = strlen(w->path);
    return bkc_walk_level_push(w, &level);
}

static bool is_root(const struct bkc_walker *w)
{
    for (size_t i = 0; i < w->n_roots; i++)
        if (strcmp(w->roots[i].entry, w->path) == 0)
            return true;
    return false;
}

static bool ignored(const struct bkc_walker *w, bool is_dir)
{
    return *w->path && w->opts.ignore && bkc_ignored(w->opts.ignore, w->path, is_dir);
}

/* A file that something else is mounted on, or a socket. */
static bool left_out(struct bkc_walker *w, const struct bkc_walk_level *l)
{
    bool is_mount = l->list && w->st.dev != l->dev && w->st.mount;
    if (S_ISSOCK(w->st.mode)) {
        bkc_walk_report(w, BAKE_NOTICE, w->path, "is a socket, skipped");
        return true;
    }
    if (S_ISDIR(w->st.mode) || !is_mount)
        return false;
    int fd = openat(w->dirfd, w->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    bool pseudo = fd >= 0 && bkc_walk_pseudo(fd);
    if (fd >= 0)
        (void)close(fd);
    if (!pseudo && !w->opts.one_file_system)
        return false;
    bkc_walk_report(w, BAKE_NOTICE, w->path, "is on another file system, skipped");
    return true;
}

/* ---- one object ------------------------------------------------------------------------------ */

/* skip_dir(), and what it is skipped for. */
static int skip(struct bkc_walker *w, int why)
{
    int rc = w->n_roots > 1 ? skip_dir(w) : BAKE_OK;
    return rc == BAKE_OK ? why : rc;
}

/* A symbolic link with roots beneath it: entries cannot lie in a link, so it gives way to them. */
static int link_over_roots(struct bkc_walker *w, bool *ret)
{
    size_t depth = w->n;
    int rc = S_ISLNK(w->st.mode) && w->n_roots > 1 ? skip_dir(w) : BAKE_OK;
    *ret = w->n > depth;
    if (*ret)
        bkc_walk_report(
            w, BAKE_WARNING, w->path,
            "is a symbolic link and 'paths' names what lies beneath it, the link itself "
            "is left out");
    return rc;
}

/* Looks at the object whose path and name are set. */
static int look(struct bkc_walker *w, const struct bkc_walk_level *l)
{
    bool as_file = ignored(w, false), gives_way = false;
    if (as_file && ignored(w, true))
        return skip(w, EXCLUDED);
    int error = bkc_walk_stat(w->dirfd, w->name, &w->st);
    if (error == ENOENT) {
        bkc_walk_report(w, BAKE_WARNING, w->path, "vanished before it could be read, skipped");
        return NOTHING;
    }
    if (error != 0) {
        bkc_walk_report(w, BAKE_PARTIAL, w->path, "cannot be read: %s", strerror(error));
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

static int next_name(struct bkc_walker *w, struct bkc_walk_level *l)
{
    const char *name = NULL;
    int error = l->fd >= 0 ? bkc_walk_list_next(l->list, &name) : ENOENT;
    if (error == ENOMEM)
        return bkc_walk_nomem(w->ctx);
    if (error != 0) {
        w->path[l->path_len] = '\0';
        if (error != ENOENT)
            bkc_walk_report(w, BAKE_PARTIAL, w->path,
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
static void remark(struct bkc_walker *w, const struct bkc_walk_root *root)
{
    struct stat st;
    if (root->named && S_ISLNK(w->st.mode) && stat(root->path, &st) == 0 && S_ISDIR(st.st_mode))
        bkc_walk_report(w, BAKE_WARNING, w->path,
                        "is a symbolic link to a directory, only the link is backed up\n"
                        "HINT: name the directory itself in 'paths'");
}

/* Roots within this one are met on the way, or where the way does not lead into a directory. */
static void pass_inner(const struct bkc_walker *w, struct bkc_walk_level *l,
                       const struct bkc_walk_root *root)
{
    while (l->root < l->root_end && bkc_path_within(root->entry, w->roots[l->root].entry))
        l->root++;
}

static int next_root(struct bkc_walker *w, struct bkc_walk_level *l)
{
    bkc_walk_level_close_fd(l);
    bkc_walk_dir_unref(l->dir);
    l->dir = NULL;
    if (l->root == l->root_end)
        return BAKE_END;
    const struct bkc_walk_root *root = &w->roots[l->root++];
    int rc = set_path(w, 0, root->entry);
    if (rc != BAKE_OK)
        return rc;
    w->name = bkc_walk_root_open(w, root, &l->fd);
    w->dirfd = l->fd;
    if (!w->name) {
        bkc_walk_report(w, BAKE_PARTIAL, w->path, "cannot be read: %s", strerror(errno));
        return NOTHING;
    }
    size_t at = w->n - 1; /* looking may move the levels */
    rc = look(w, l);
    if (rc == EXCLUDED && root->named)
        bkc_walk_report(w, BAKE_WARNING, w->path,
                        "is named in 'paths' and matched by 'exclude', it is left out");
    if (rc == BAKE_OK)
        remark(w, root);
    if (w->n - 1 > at || (rc == BAKE_OK && w->enter))
        pass_inner(w, &w->levels[at], root);
    return rc;
}

/* ---- directories ----------------------------------------------------------------------------- */

static void report_unopened(struct bkc_walker *w, int error)
{
    if (error == ENOENT)
        bkc_walk_report(w, BAKE_WARNING, w->path, "vanished before it could be read");
    else if (error == ELOOP || error == ENOTDIR)
        bkc_walk_report(w, BAKE_WARNING, w->path, "was replaced before it could be read");
    else
        bkc_walk_report(w, BAKE_PARTIAL, w->path, "this directory cannot be read: %s",
                        strerror(error));
}

static bool holds_itself(const struct bkc_walker *w, const struct bkc_walk_stat *st)
{
    for (size_t i = 0; i < w->n; i++)
        if (w->levels[i].list && w->levels[i].dev == st->dev && w->levels[i].ino == st->ino)
            return true;
    return false;
}

/* Is this open directory to stay an empty one in the backup? */
static bool keep_empty(struct bkc_walker *w, int fd, const struct bkc_walk_stat *st)
{
    const struct bkc_walk_level *l = bkc_walk_level_top(w);
    if (!l->list)
        return false; /* a root is what somebody asked for */
    if (st->mount && holds_itself(w, st)) {
        bkc_walk_report(w, BAKE_NOTICE, w->path,
                        "is a directory above it mounted again, kept empty");
        return true;
    }
    if (st->dev == l->dev || is_root(w))
        return false;
    if (bkc_walk_pseudo(fd)) {
        bkc_walk_report(w, BAKE_NOTICE, w->path,
                        "is a file system of the kernel that holds no data, kept empty");
        return true;
    }
    return w->opts.one_file_system;
}

/* Goes into the directory the walk is at. */
static int enter(struct bkc_walker *w)
{
    struct bkc_walk_level level = {.path_len = strlen(w->path)};
    struct bkc_walk_stat st;
    level.fd = bkc_walk_open_quiet(w->dirfd, w->name, O_DIRECTORY);
    int error = level.fd < 0 ? errno : bkc_walk_stat(level.fd, "", &st);
    if (error == 0 && keep_empty(w, level.fd, &st)) {
        (void)close(level.fd);
        return skip_dir(w);
    }
    if (error == 0)
        error = bkc_walk_list_read(level.fd, &w->budget, bkc_walk_tagging(&w->opts), &w->opts,
                                   &level.list);
    if (error != 0) {
        bkc_walk_level_close_fd(&level);
        if (error == ENOMEM)
            return bkc_walk_nomem(w->ctx);
        report_unopened(w, error);
        return skip_dir(w);
    }
    level.dev = st.dev;
    level.ino = st.ino;
    return bkc_walk_level_push(w, &level);
}

/* ---- the walk -------------------------------------------------------------------------------- */

int bkc_walker_next(struct bkc_walker *w)
{
    int rc = BAKE_OK;
    if (w->enter)
        rc = enter(w);
    w->enter = false;
    while (rc == BAKE_OK || rc == NOTHING || rc == EXCLUDED) {
        if (w->ctx->host->cancelled(w->ctx))
            return bake_fail(w->ctx, BAKE_E_CANCELLED, "cancelled");
        struct bkc_walk_level *l = bkc_walk_level_top(w);
        if (!l)
            return BAKE_END;
        rc = l->list ? next_name(w, l) : next_root(w, l);
        if (rc == BAKE_OK)
            return rc;
        if (rc == BAKE_END) {
            bkc_walk_level_pop(w);
            rc = BAKE_OK;
        }
    }
    return rc;
}

/* ---- opening --------------------------------------------------------------------------------- */

static void free_roots(struct bkc_walker *w)
{
    for (size_t i = 0; i < w->n_roots; i++) {
        free(w->roots[i].path);
        free(w->roots[i].entry);
    }
    free(w->roots);
}

static int copy_roots(struct bkc_walker *w, const struct bkc_walk_opts *opts)
{
    w->roots = calloc(opts->n_roots + 1, sizeof(*w->roots));
    if (!w->roots)
        return bkc_walk_nomem(w->ctx);
    for (size_t i = 0; i < opts->n_roots; i++) {
        struct bkc_walk_root *to = &w->roots[w->n_roots++];
        *to = (struct bkc_walk_root){strdup(opts->roots[i].path), strdup(opts->roots[i].entry),
                                     opts->roots[i].named};
        if (!to->path || !to->entry)
            return bkc_walk_nomem(w->ctx);
    }
    return BAKE_OK;
}

static int copy_base(struct bkc_walker *w, int at)
{
    if (at == AT_FDCWD)
        return BAKE_OK;
    w->opts.at = fcntl(at, F_DUPFD_CLOEXEC, 0);
    if (w->opts.at >= 0)
        return BAKE_OK;
    return bake_fail(w->ctx, BAKE_E_IO, "cannot keep the directory open: %s", strerror(errno));
}

int bkc_walker_open(struct bkc_walker *w, struct bake_ctx *ctx, const struct bkc_walk_opts *opts)
{
    static const struct bkc_walk_limits usual = {
        .names = 8u << 20, .levels = 48, .whole = 256u << 10, .extents = 65536};
    *w = (struct bkc_walker){.ctx = ctx, .opts = *opts, .dirfd = -1};
    w->opts.at = AT_FDCWD;
    if (w->opts.limits.names == 0)
        w->opts.limits = usual;
    w->budget.limit = w->opts.limits.names;
    struct bkc_walk_level level = {.fd = -1, .root_end = opts->n_roots};
    int rc = copy_base(w, opts->at);
    if (rc == BAKE_OK)
        rc = copy_roots(w, opts);
    if (rc == BAKE_OK)
        rc = bkc_walk_level_push(w, &level);
    if (rc != BAKE_OK)
        bkc_walker_close(w);
    return rc;
}

void bkc_walker_close(struct bkc_walker *w)
{
    while (w->n > 0) {
        struct bkc_walk_level *l = bkc_walk_level_top(w);
        bkc_walk_level_close_fd(l);
        bkc_walk_list_free(l->list);
        bkc_walk_dir_unref(l->dir);
        w->n--;
    }
    free(w->levels);
    free(w->path);
    free_roots(w);
    if (w->opts.at >= 0)
        (void)close(w->opts.at);
}
