/* A directory with all that is in it: removed, or given to somebody. Links are never followed, and
 * other file systems never entered. */
#include "scratch/impl.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEEPEST 200 /* one descriptor for each level */

struct walk {
    struct bake_ctx *ctx;
    const char *path; /* of the top, for messages */
    dev_t device;
    bool stoppable;
    /* A directory after what is in it. 0, or -1 with errno. */
    int (*visit)(const struct walk *w, int dir, const char *name, const struct stat *st);
    const struct bkc_user *user;
};

static int failed(const struct walk *w, const char *what, const char *name, int e)
{
    return bake_fail(w->ctx, e == ENOMEM ? BAKE_E_NOMEM : BAKE_E_IO, "cannot %s '%s' in '%s': %s",
                     what, name, w->path, strerror(e));
}

/* The mode of a directory of ours may bar us; root it does not. */
static int open_dir(int dir, const char *name)
{
    int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, fd = openat(dir, name, flags), at;
    char path[40];

    if (fd >= 0 || errno != EACCES)
        return fd;
    at = openat(dir, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (at < 0)
        return -1;
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", at);
    if (chmod(path, 0700) == 0)
        fd = openat(dir, name, flags);
    else
        errno = EACCES;
    int e = errno;
    (void)close(at);
    errno = e;
    return fd;
}

static int each(const struct walk *w, int fd, int depth);

static int one(const struct walk *w, int dir, const char *name, int depth)
{
    struct stat st;
    int rc = BAKE_OK, fd;

    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? BAKE_OK : failed(w, "look at", name, errno);
    if (S_ISDIR(st.st_mode)) {
        if (depth >= DEEPEST)
            return bake_fail(w->ctx, BAKE_E_IO, "'%s' is too deep: more than %d levels", w->path,
                             DEEPEST);
        fd = open_dir(dir, name);
        if (fd < 0)
            return errno == ENOENT ? BAKE_OK : failed(w, "open", name, errno);
        if (fstat(fd, &st) < 0)
            rc = failed(w, "look at", name, errno);
        else if (st.st_dev != w->device)
            rc = bake_fail(w->ctx, BAKE_E_IO, "'%s' in '%s' is on another file system", name,
                           w->path);
        else
            rc = each(w, fd, depth + 1);
        (void)close(fd);
    }
    if (rc != BAKE_OK)
        return rc;
    if (w->visit(w, dir, name, &st) < 0 && errno != ENOENT)
        return failed(w, w->user ? "change the owner of" : "remove", name, errno);
    return BAKE_OK;
}

/* Each entry of an open directory, whose offset is its own. */
static int each(const struct walk *w, int fd, int depth)
{
    int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = BAKE_OK;
    DIR *d = own < 0 ? NULL : fdopendir(own);
    struct dirent *e;

    if (!d) {
        rc = failed(w, "list", ".", errno);
        if (own >= 0)
            (void)close(own);
        return rc;
    }
    while (rc == BAKE_OK && (errno = 0, e = readdir(d))) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (w->stoppable && w->ctx->host->cancelled(w->ctx))
            rc = bake_fail(w->ctx, BAKE_E_CANCELLED, "cancelled");
        else
            rc = one(w, fd, e->d_name, depth);
    }
    if (rc == BAKE_OK && errno != 0)
        rc = failed(w, "list", ".", errno);
    (void)closedir(d);
    return rc;
}

/* ---- removing -------------------------------------------------------------------------------- */

static int drop(const struct walk *w, int dir, const char *name, const struct stat *st)
{
    (void)w;
    if (unlinkat(dir, name, S_ISDIR(st->st_mode) ? AT_REMOVEDIR : 0) == 0)
        return 0;
    /* Something that is about to end has put more there: the caller tries again. */
    return S_ISDIR(st->st_mode) && (errno == ENOTEMPTY || errno == EEXIST) ? 0 : -1;
}

int bkc_scratch_remove(struct bake_ctx *ctx, int parent, const char *name, int fd, const char *path)
{
    struct walk w = {.ctx = ctx, .path = path, .visit = drop};
    uint64_t until = bkc_now_ms() + 5000;
    struct stat st;

    if (fstat(fd, &st) < 0)
        return failed(&w, "look at", ".", errno);
    w.device = st.st_dev;
    for (;;) {
        int rc = each(&w, fd, 0);

        if (rc != BAKE_OK)
            return rc;
        if (unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
            return BAKE_OK;
        if ((errno != ENOTEMPTY && errno != EEXIST) || bkc_now_ms() > until)
            return bake_fail(ctx, BAKE_E_IO, "cannot remove '%s': %s", path, strerror(errno));
        (void)poll(NULL, 0, 20);
    }
}

/* ---- giving ---------------------------------------------------------------------------------- */

static int give(const struct walk *w, int dir, const char *name, const struct stat *st)
{
    if (st->st_uid == w->user->uid && st->st_gid == w->user->gid)
        return 0;
    return fchownat(dir, name, w->user->uid, w->user->gid, AT_SYMLINK_NOFOLLOW);
}

int bkc_scratch_own(struct bake_ctx *ctx, const char *path, const char *user)
{
    struct bkc_user who;
    struct walk w = {.ctx = ctx, .path = path, .visit = give, .user = &who, .stoppable = true};
    struct stat st;
    int fd, rc = bkc_user_find(ctx, user, &who);

    if (rc != BAKE_OK || !who.change)
        return rc;
    fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0) {
        rc = bake_fail(ctx, BAKE_E_IO, "cannot open '%s': %s", path, strerror(errno));
    } else {
        w.device = st.st_dev;
        rc = each(&w, fd, 0);
        /* Itself last: until then nobody else can move what is in it. */
        if (rc == BAKE_OK && fchown(fd, who.uid, who.gid) < 0)
            rc = failed(&w, "change the owner of", ".", errno);
    }
    if (fd >= 0)
        (void)close(fd);
    bkc_user_release(&who);
    return rc;
}
