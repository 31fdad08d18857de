/* The way from the root to the current directory, as a stack of open directories. Every step is
 * one openat() of one name that does not follow symbolic links, so nothing leads out of the root,
 * and paths may be of any length. */
#include "tree/impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DIR_FLAGS (O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

/* Opens the level below the top again, if it was closed: the parent of the top, and it must be
 * the one that it was. */
static int reopen(struct bkc_extract *x)
{
    struct bkc_level *l = bkc_here(x), *up = x->levels[x->depth - 1];
    struct stat st;

    up->fd = openat(l->fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (up->fd < 0 && errno == EACCES)
        up->fd = openat(l->fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (up->fd < 0)
        return bkc_fail_errno(&x->say, errno, "cannot go back from directory '%s'",
                              bkc_show(&x->say, x->dir));
    if (fstat(up->fd, &st) == 0 && st.st_ino == up->st.st_ino && st.st_dev == up->st.st_dev)
        return BAKE_OK;
    return bake_fail(x->say.ctx, BAKE_E_IO, "directory '%s' was moved while it was written to",
                     bkc_show(&x->say, x->dir));
}

static void abandon(struct bkc_extract *x)
{
    bake_report(x->say.ctx, BAKE_WARNING, x->dir,
                "modes and times of the directories on this path are not restored");
    for (; x->depth > 0; x->depth--) {
        bkc_await_level(x, bkc_here(x));
        bkc_level_free(bkc_here(x));
    }
    x->dir[0] = '\0';
}

int bkc_dirs_leave(struct bkc_extract *x)
{
    int rc = BAKE_OK;

    if (x->levels[x->depth - 1]->fd < 0)
        rc = reopen(x); /* before the mode is set, which may forbid it */
    if (rc < 0) {
        bkc_await_level(x, bkc_here(x));
        bkc_level_settle(x, bkc_here(x), x->dir);
        abandon(x);
        return rc;
    }
    bkc_level_pop(x);
    return BAKE_OK;
}

/* ---- steps down ------------------------------------------------------------------------------ */

static bool unlock_path(int fd, mode_t mode)
{
    char path[40];

    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return chmod(path, mode) == 0;
}

/* -1 with errno. A directory that cannot be read may do as a place to make things in; one that we
 * have locked ourselves is opened up (*ret_unlocked). */
static int open_dir(struct bkc_extract *x, const char *name, struct stat *st, bool *ret_unlocked)
{
    int up = bkc_here(x)->fd, fd = openat(up, name, O_RDONLY | DIR_FLAGS), e;

    *ret_unlocked = false;
    if (fd < 0 && errno == EACCES)
        fd = openat(up, name, O_PATH | DIR_FLAGS);
    if (fd < 0)
        return -1;
    if (fstat(fd, st) < 0 || (bkc_left_again(x, st) && fstat(fd, st) < 0)) {
        e = errno;
        (void)close(fd);
        errno = e;
        return -1;
    }
    if ((st->st_mode & 0700) == 0700 || !(bkc_seen_get(&x->seen, st) & BKC_SEEN_LOCKED) ||
        !unlock_path(fd, (st->st_mode & 07777) | 0700))
        return fd;
    *ret_unlocked = true;
    e = openat(fd, ".", O_RDONLY | DIR_FLAGS);
    if (e < 0)
        return fd;
    (void)close(fd);
    return e;
}

/* Enters a directory that is there. 0 (with *rc set), or errno when it could not be opened. */
static int enter_found(struct bkc_extract *x, const char *name, int *rc)
{
    bool unlocked;
    struct stat st;
    int fd = open_dir(x, name, &st, &unlocked);

    if (fd < 0)
        return errno;
    *rc = bkc_level_push(x, name, fd, &st, false);
    if (*rc == BAKE_OK) {
        bkc_here(x)->unlocked = unlocked;
        bkc_here(x)->default_acl = bkc_acl_inherits(fd);
    }
    return 0;
}

/* Enters the directory that was just made as name. */
static int enter_made(struct bkc_extract *x, const char *name, bool exact_acl)
{
    bool inherits = bkc_here(x)->default_acl, unlocked;
    struct stat st;
    int fd, rc;

    bkc_here(x)->touched = true;
    fd = open_dir(x, name, &st, &unlocked);
    if (fd < 0)
        return bkc_fail_errno(&x->say, errno, "cannot open the new directory '%s'",
                              bkc_show(&x->say, x->path));
    if (inherits && exact_acl)
        bkc_acl_drop(fd);
    rc = bkc_level_push(x, name, fd, &st, true);
    if (rc == BAKE_OK)
        bkc_here(x)->default_acl = inherits && !exact_acl;
    return rc;
}

/* A part of a path that cannot be entered. */
static int no_way(struct bkc_extract *x, const char *name, int e)
{
    struct stat st;

    if ((e == ENOTDIR || e == ELOOP) &&
        fstatat(bkc_here(x)->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
        return bake_fail(x->say.ctx, BAKE_E_IO,
                         "refused '%s': '%s' on its way is %s, not a directory",
                         bkc_show(&x->say, x->path), bkc_show(&x->say, name),
                         S_ISLNK(st.st_mode) ? "a symbolic link" : "something else");
    return bkc_fail_errno(&x->say, e, "cannot enter '%s' on the way to '%s'",
                          bkc_show(&x->say, name), bkc_show(&x->say, x->path));
}

/* One part of a parent's path: found, or made as nobody has said yet what it is like. */
static int step(struct bkc_extract *x, const char *name)
{
    int rc = BAKE_OK, e = enter_found(x, name, &rc);

    if (e == 0)
        return rc;
    if (e != ENOENT)
        return no_way(x, name, e);
    if (mkdirat(bkc_here(x)->fd, name, 0700) < 0)
        return bkc_fail_errno(&x->say, errno, "cannot make directory '%s' for '%s'",
                              bkc_show(&x->say, name), bkc_show(&x->say, x->path));
    rc = enter_made(x, name, false);
    if (rc < 0)
        return rc;
    bkc_here(x)->has_meta = true;
    bkc_here(x)->meta.valid = BAKE_HAS_MODE;
    bkc_here(x)->meta.mode = x->parent_mode;
    bkc_seen_add(&x->seen, &bkc_here(x)->st, BKC_SEEN_IMPLICIT);
    bkc_count(x, &x->counts.dirs, 1);
    return BAKE_OK;
}

/* How many levels below the root the current path shares with path[0..n). */
static size_t shared(const struct bkc_extract *x, const char *path, size_t n)
{
    size_t k = 0;

    for (; k < x->depth; k++) {
        size_t from = x->levels[k]->end, to = x->levels[k + 1]->end;

        if (to > n || memcmp(x->dir + from, path + from, to - from) != 0 ||
            (to < n && path[to] != '/'))
            break;
    }
    return k;
}

static size_t part(const char *path, size_t n, size_t *at, char name[256])
{
    const char *p = path + *at + (*at ? 1 : 0), *end = memchr(p, '/', (size_t)(path + n - p));
    size_t len = (size_t)((end ? end : path + n) - p);

    *at = (size_t)(p - path) + len;
    if (len < 256) {
        memcpy(name, p, len);
        name[len] = '\0';
    }
    return len;
}

int bkc_dirs_enter(struct bkc_extract *x, const char *path, size_t n)
{
    size_t keep = shared(x, path, n), at;
    char name[256];
    int rc = BAKE_OK;

    while (rc == BAKE_OK && x->depth > keep)
        rc = bkc_dirs_leave(x);
    at = bkc_here(x)->end;
    while (rc == BAKE_OK && at < n)
        rc = part(path, n, &at, name) < sizeof(name)
                 ? step(x, name)
                 : bkc_fail_errno(&x->say, ENAMETOOLONG, "cannot make '%s'",
                                  bkc_show(&x->say, x->path));
    return rc;
}

int bkc_dirs_find(struct bkc_extract *x, const char *path, int *ret_fd, int *ret_close,
                  const char **ret_name)
{
    const char *slash = strrchr(path, '/');
    size_t n = slash ? (size_t)(slash - path) : 0, k = shared(x, path, n), at;
    char name[256];

    while (x->levels[k]->fd < 0)
        k--;
    *ret_fd = x->levels[k]->fd;
    *ret_close = -1;
    *ret_name = slash ? slash + 1 : path;
    for (at = x->levels[k]->end; at < n;) {
        int fd, e;

        errno = ENAMETOOLONG;
        fd = part(path, n, &at, name) < sizeof(name) ? openat(*ret_fd, name, O_PATH | DIR_FLAGS)
                                                     : -1;
        e = errno;
        if (*ret_close >= 0)
            (void)close(*ret_close);
        *ret_fd = *ret_close = fd;
        if (fd < 0)
            return e;
    }
    return 0;
}

/* ---- entries --------------------------------------------------------------------------------- */

/* Puts a new directory where something else stands. 0 or an errno. */
static int replace(struct bkc_extract *x, const char *name)
{
    int up = bkc_here(x)->fd, e;
    char tmp[BKC_TMP_CAP];

    bkc_tmp_name(x, tmp);
    if (mkdirat(up, tmp, 0700) < 0)
        return errno;
    if (renameat2(up, tmp, up, name, RENAME_EXCHANGE) == 0)
        return unlinkat(up, tmp, 0) == 0 ? 0 : errno;
    if (unlinkat(up, name, 0) == 0 && renameat(up, tmp, up, name) == 0)
        return 0;
    e = errno;
    (void)unlinkat(up, tmp, AT_REMOVEDIR);
    return e;
}

static int in_the_way(struct bkc_extract *x, const struct bake_entry *e)
{
    struct stat st;
    int rc;

    if (fstatat(bkc_here(x)->fd, x->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return bkc_fail_errno(&x->say, errno, "cannot look at '%s'", bkc_show(&x->say, x->path));
    if (!x->force)
        return bkc_existing(x, &x->say, e, bkc_here(x)->fd, x->name, &st);
    rc = replace(x, x->name);
    if (rc != 0)
        return bkc_fail_errno(&x->say, rc, "cannot replace '%s' by a directory",
                              bkc_show(&x->say, x->path));
    return enter_made(x, x->name, e->valid & BAKE_HAS_XATTRS);
}

/* Makes or enters x->name. */
static int make_or_enter(struct bkc_extract *x, const struct bake_entry *e)
{
    int rc = BAKE_OK, no;

    if (mkdirat(bkc_here(x)->fd, x->name, 0700) == 0)
        return enter_made(x, x->name, e->valid & BAKE_HAS_XATTRS);
    if (errno != EEXIST)
        return bkc_fail_errno(&x->say, errno, "cannot make directory '%s'",
                              bkc_show(&x->say, x->path));
    no = enter_found(x, x->name, &rc);
    if (no == 0)
        return rc;
    if (no == ENOTDIR || no == ELOOP)
        return in_the_way(x, e);
    return bkc_fail_errno(&x->say, no, "cannot enter directory '%s'", bkc_show(&x->say, x->path));
}

static int want_meta(struct bkc_extract *x, const struct bake_entry *e)
{
    struct bkc_level *l = bkc_here(x);
    struct bkc_meta m;

    bkc_meta_of(x, e, &m);
    if (!(m.valid & BAKE_HAS_MODE))
        m.mode = l->made ? x->parent_mode : l->st.st_mode & 07777;
    if (bkc_meta_own(&m) < 0)
        return bkc_nomem(&x->say);
    free(l->meta.xattrs);
    l->meta = m;
    l->has_meta = true;
    return BAKE_OK;
}

int bkc_dirs_put(struct bkc_extract *x, const struct bake_entry *e)
{
    struct bkc_level *l;
    int rc;

    if (strcmp(e->path, ".") == 0) {
        rc = bkc_dirs_enter(x, "", 0);
        return rc == BAKE_OK && (x->force || x->root_was_empty) ? want_meta(x, e) : rc;
    }
    rc = make_or_enter(x, e);
    if (rc < 0)
        return rc;
    l = bkc_here(x);
    bkc_count(x, &x->counts.dirs, l->made);
    if (!x->force && !l->made && !(bkc_seen_get(&x->seen, &l->st) & BKC_SEEN_IMPLICIT))
        return BAKE_OK;
    bkc_seen_clear(&x->seen, &l->st, BKC_SEEN_IMPLICIT);
    return want_meta(x, e);
}

/* ---- the root -------------------------------------------------------------------------------- */

int bkc_dirs_open(struct bkc_extract *x, const char *root)
{
    struct bkc_level *l = calloc(1, sizeof(*l));

    if (!l)
        return bkc_nomem(&x->say);
    l->fd = -1;
    if (bkc_grow((void **)&x->levels, &x->cap_levels, sizeof(struct bkc_level *)) < 0) {
        free(l);
        return bkc_nomem(&x->say);
    }
    x->levels[0] = l;
    if (bkc_grow((void **)&x->dir, &x->cap_dir, 1) < 0)
        return bkc_nomem(&x->say);
    x->dir[0] = '\0';
    l->fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (l->fd < 0 || fstat(l->fd, &l->st) < 0)
        return bkc_fail_errno(&x->say, errno, "cannot open directory '%s'",
                              bkc_show(&x->say, root));
    x->root_was_empty = l->made = bkc_dir_empty(l->fd, ".");
    l->default_acl = bkc_acl_inherits(l->fd);
    return BAKE_OK;
}

int bkc_dirs_finish(struct bkc_extract *x)
{
    struct bkc_level *root = x->levels[0];
    int rc = bkc_dirs_enter(x, "", 0);

    bkc_left_settle(x, true);
    bkc_await_level(x, root);
    bkc_level_settle(x, root, x->dir);
    root->has_meta = false;
    if (rc < 0)
        return rc;
    if (syncfs(root->fd) < 0)
        return bkc_fail_errno(&x->say, errno, "cannot write out what was restored");
    return BAKE_OK;
}

void bkc_dirs_close(struct bkc_extract *x)
{
    for (struct bkc_level *l = x->left, *next; l; l = next) {
        next = l->next;
        bkc_level_free(l);
    }
    for (size_t i = 0; x->cap_levels && i <= x->depth; i++)
        bkc_level_free(x->levels[i]);
    free(x->levels);
    free(x->dir);
    free(x->seen.slots);
}
