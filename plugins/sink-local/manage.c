/* stat, remove, space and sweep. */
#include "local.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static int64_t mtime_of(const struct stat *st)
{
    return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

/* The object's directory (to be closed) and stat data. */
static int find(struct local *s, struct bake_ctx *ctx, const char *name, enum local_walk how,
                const char *verb, struct stat *ret)
{
    int e, dir, rc = local_check_name(ctx, name);

    if (rc < 0)
        return rc;
    dir = local_walk(s, name, how, NULL);
    if (dir < 0)
        return local_fail(s, ctx, dir == -ENOTDIR ? ENOENT : -dir, verb, name);
    e = fstatat(dir, local_base(name), ret, AT_SYMLINK_NOFOLLOW) != 0 ? errno : 0;
    if (e == 0 && S_ISDIR(ret->st_mode))
        e = ENOENT; /* objects stand below this name, none has it */
    if (e == 0 && S_ISREG(ret->st_mode))
        return dir;
    (void)close(dir);
    if (e)
        return local_fail(s, ctx, e, verb, name);
    return bake_fail(ctx, BAKE_E_CORRUPT, "cannot %s '%s/%s': not a regular file", verb, s->root,
                     name);
}

int local_stat(void *self, struct bake_ctx *ctx, const char *name, uint64_t *ret_size,
               int64_t *ret_mtime_ns)
{
    struct stat st;
    int dir = find(self, ctx, name, LOCAL_LOOK, "look at", &st);

    if (dir < 0)
        return dir;
    (void)close(dir);
    *ret_size = (uint64_t)st.st_size;
    *ret_mtime_ns = mtime_of(&st);
    return BAKE_OK;
}

int local_remove(void *self, struct bake_ctx *ctx, const char *name)
{
    struct local *s = self;
    struct stat st;
    int e = 0, dir = find(s, ctx, name, LOCAL_READ, "remove", &st);

    if (dir < 0)
        return dir;
    if (unlinkat(dir, local_base(name), 0) != 0)
        e = errno;
    /* one fsync: of the directory, or of the one that held the topmost empty one removed */
    else if (!local_drop_empty(s, name))
        e = -local_sync_dir(s, dir);
    (void)close(dir);
    return e ? local_fail(s, ctx, e, "remove", name) : BAKE_OK;
}

bool local_free_bytes(int fd, uint64_t *ret)
{
    struct statvfs v;

    if (fstatvfs(fd, &v) != 0 || v.f_blocks == 0)
        return false;
    *ret = (uint64_t)v.f_bavail * v.f_frsize;
    return true;
}

/* The root, or the nearest directory above that exists. */
static int nearest(const struct local *s)
{
    char *path = strdup(s->root);
    int fd = -1;

    while (path && fd < 0) {
        char *slash = strrchr(path, '/');

        fd = open(*path ? path : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd >= 0 || errno != ENOENT || !slash)
            break;
        *slash = '\0';
    }
    free(path);
    return fd;
}

int local_space(void *self, struct bake_ctx *ctx, uint64_t *ret_free)
{
    struct local *s = self;
    uint64_t room;
    int fd = nearest(s);
    bool known;

    if (fd < 0)
        return local_fail(s, ctx, errno, "look at", "");
    known = local_free_bytes(fd, &room);
    (void)close(fd);
    if (!known)
        return bake_fail(ctx, BAKE_E_UNSUPPORTED,
                         "the file system of '%s' does not say how much is free", s->root);
    *ret_free = room > s->min_free ? room - s->min_free : 0;
    return BAKE_OK;
}

/* What the clock of the store's file system shows: the time of a file made just now. */
static int now_there(const struct local *s, struct bake_ctx *ctx, int64_t *ret_ns)
{
    char tmp[LOCAL_TMP_CAP];
    struct stat st;
    int e = -local_tmp_name(tmp), fd, dir = local_open_root(s);

    if (dir == -ENOENT)
        return BAKE_END;
    if (dir < 0)
        return local_fail(s, ctx, -dir, "sweep", "");
    fd = e ? -1 : openat(dir, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        e = e ? e : errno;
    else {
        e = fstat(fd, &st) != 0 ? errno : 0;
        (void)close(fd);
        (void)unlinkat(dir, tmp, 0);
    }
    (void)close(dir);
    if (e)
        return local_fail(s, ctx, e, "sweep", "");
    *ret_ns = mtime_of(&st);
    return BAKE_OK;
}

struct sweeping {
    struct local *s;
    struct bake_ctx *ctx;
    int64_t before_ns;
    uint64_t removed;
};

static int sweep_one(void *arg, const char *name, uint64_t size, int64_t mtime_ns)
{
    struct sweeping *w = arg;
    int dir, e;

    (void)size;
    if (mtime_ns > w->before_ns)
        return 0;
    dir = local_walk(w->s, name, LOCAL_LOOK, NULL);
    if (dir < 0)
        return 0; /* gone meanwhile */
    e = unlinkat(dir, local_base(name), 0) != 0 ? errno : 0;
    (void)close(dir);
    if (e == ENOENT)
        return 0;
    if (e)
        return local_fail(w->s, w->ctx, e, "remove", name);
    w->removed++;
    (void)local_drop_empty(w->s, name);
    return 0;
}

int local_sweep(void *self, struct bake_ctx *ctx, uint64_t age_ms, uint64_t *ret_removed)
{
    struct sweeping w = {self, ctx, 0, 0};
    const struct local_visit v = {ctx, "", true, sweep_one, &w};
    int64_t now = 0;
    int rc = now_there(self, ctx, &now);

    if (rc < 0)
        return rc;
    /* an age beyond the epoch: nothing is that old */
    if (rc == BAKE_OK && now > 0 && age_ms <= (uint64_t)now / 1000000) {
        w.before_ns = now - (int64_t)(age_ms * 1000000);
        rc = local_visit(self, &v);
        if (rc < 0)
            return rc;
    }
    *ret_removed = w.removed;
    return BAKE_OK;
}
