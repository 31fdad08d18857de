/* Orders about directories below one root. Plain C library only: the helper program is made of it
 * too. */
#include "place_fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#define PART_MAX 255
#define WALK     (O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
#define LIST     (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

struct spot {                /* a name in an open directory */
    int dir;                 /* -1: none */
    char name[PART_MAX + 1]; /* "": the root itself */
};

static void leave(struct spot *s)
{
    if (s->dir >= 0)
        (void)close(s->dir);
    s->dir = -1;
}

/* The next part of the path; 0, or -EINVAL, -ENAMETOOLONG. */
static int part_of(const char **path, char name[PART_MAX + 1])
{
    size_t n = strcspn(*path, "/");

    if (n > PART_MAX)
        return -ENAMETOOLONG;
    if (n == 0 || (n == 1 && **path == '.') || (n == 2 && memcmp(*path, "..", 2) == 0))
        return -EINVAL;
    memcpy(name, *path, n);
    name[n] = '\0';
    *path += n;
    if (**path == '/' && (*path)[1])
        (*path)++;
    return 0;
}

/* Goes to the directory that holds the path's last part. make: what is missing is made. */
static int go(int root, const char *path, bool make, struct spot *ret)
{
    int rc = 0, next;

    ret->name[0] = '\0';
    ret->dir = openat(root, ".", WALK);
    if (ret->dir < 0)
        return -errno;
    if (!path)
        return 0;
    while (rc == 0 && *path) {
        if (ret->name[0]) {
            if (make && mkdirat(ret->dir, ret->name, 0700) < 0 && errno != EEXIST)
                return -errno;
            next = openat(ret->dir, ret->name, WALK);
            if (next < 0)
                return -errno;
            (void)close(ret->dir);
            ret->dir = next;
        }
        rc = part_of(&path, ret->name);
    }
    return rc;
}

/* The directory itself. Negative: -errno. */
static int open_spot(const struct spot *s, int flags)
{
    int fd = openat(s->dir, s->name[0] ? s->name : ".", flags);

    return fd < 0 ? -errno : fd;
}

/* ret_ino 0: nothing is there. What is no directory is an error. */
static int look(const struct spot *s, uint64_t *ret_ino)
{
    struct stat st;

    *ret_ino = 0;
    if (fstatat(s->dir, s->name, &st, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISDIR(st.st_mode))
        return S_ISLNK(st.st_mode) ? -ELOOP : -ENOTDIR;
    *ret_ino = st.st_ino;
    return 0;
}

static int sync_dir(int dir)
{
    int fd = openat(dir, ".", LIST), rc;

    if (fd < 0)
        return -errno;
    rc = fsync(fd) == 0 || errno == EINVAL || errno == ENOTSUP ? 0 : -errno;
    (void)close(fd);
    return rc;
}

/* ---- stat ------------------------------------------------------------------------------------ */

int dk_fs_mount(int fd, uint64_t *ret_mount, uint64_t *ret_dev)
{
    struct statx st;

    if (statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_MNT_ID, &st) < 0)
        return -errno;
    *ret_dev = (uint64_t)st.stx_dev_major << 32 | st.stx_dev_minor;
    *ret_mount = st.stx_mask & STATX_MNT_ID ? st.stx_mnt_id : 0;
    return 0;
}

static bool same_mount(int a, int b)
{
    uint64_t mount[2], dev[2];

    return dk_fs_mount(a, &mount[0], &dev[0]) == 0 && dk_fs_mount(b, &mount[1], &dev[1]) == 0 &&
           mount[0] == mount[1] && dev[0] == dev[1];
}

/* A path as /proc/self/mountinfo spells it: the characters that separate are octal there. */
static size_t spell(const char *path, char *out, size_t size)
{
    size_t n = 0;

    for (; *path && n + 5 < size; path++) {
        if (strchr(" \t\n\\", *path))
            n += (size_t)snprintf(out + n, size - n, "\\%03o", (unsigned)(unsigned char)*path);
        else
            out[n++] = *path;
    }
    out[n] = '\0';
    return *path ? 0 : n;
}

/* Is something mounted below this directory? When in doubt: yes. */
static bool mounts_below(int fd)
{
    char link[40], path[4096], spelled[4096 * 4 + 8], *line = NULL;
    size_t cap = 0, n;
    bool found = false;
    ssize_t len;
    FILE *f;

    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    len = readlink(link, path, sizeof(path) - 1);
    f = len > 0 ? fopen("/proc/self/mountinfo", "re") : NULL;
    if (!f)
        return true;
    path[len] = '\0';
    n = spell(path, spelled, sizeof(spelled));
    n = n == 1 ? 0 : n; /* "/": everything is below it */
    while (!found && getline(&line, &cap, f) > 0) {
        const char *p = line; /* "36 35 98:0 /root /mount/point options..." */

        for (int i = 0; p && i < 4; i++)
            p = strchr(p, ' ') ? strchr(p, ' ') + 1 : NULL;
        found = p && strncmp(p, spelled, n) == 0 && p[n] == '/' && p[n + 1] != ' ';
    }
    free(line);
    (void)fclose(f);
    return found;
}

/* What a is; if it is not there, what would hold it. */
static int describe(int root, const struct spot *at, struct dk_fs_answer *ret)
{
    int fd, rc = look(at, &ret->ino);
    uint64_t mount;
    struct statvfs v;

    if (rc < 0)
        return rc;
    fd = ret->ino ? open_spot(at, WALK) : openat(at->dir, ".", WALK);
    if (fd < 0)
        return ret->ino ? fd : -errno;
    rc = dk_fs_mount(fd, &mount, &ret->dev);
    ret->movable = same_mount(fd, root);
    ret->mounts = ret->ino && mounts_below(fd);
    if (rc == 0 && fstatvfs(fd, &v) == 0)
        ret->room = (uint64_t)v.f_bavail * v.f_frsize;
    else if (rc == 0)
        rc = -errno;
    (void)close(fd);
    return rc;
}

static int do_stat(int root, const struct dk_fs_order *o, struct dk_fs_answer *ret)
{
    struct spot at;
    int rc = go(root, o->a, false, &at);

    if (rc == 0)
        rc = describe(root, &at, ret);
    leave(&at);
    return rc;
}

/* ---- acts ------------------------------------------------------------------------------------ */

static int move(const struct spot *from, const struct spot *to)
{
    return renameat2(from->dir, from->name, to->dir, to->name, RENAME_NOREPLACE) == 0 ? 0 : -errno;
}

static int exchange(const struct dk_fs_order *o, const struct spot *a, const struct spot *b)
{
    uint64_t ino_a, ino_b;
    int rc = look(a, &ino_a);

    if (rc == 0)
        rc = look(b, &ino_b);
    if (rc < 0)
        return rc;
    if (ino_a == o->ino_b && ino_b == o->ino_a)
        return 0;
    if (ino_a != o->ino_a || ino_b != o->ino_b || !a->name[0] || !b->name[0])
        return -ESTALE;
    if (!ino_a)
        return move(b, a);
    if (!ino_b)
        return move(a, b);
    return renameat2(a->dir, a->name, b->dir, b->name, RENAME_EXCHANGE) == 0 ? 0 : -errno;
}

static int do_exchange(int root, const struct dk_fs_order *o)
{
    struct spot a, b = {.dir = -1};
    int rc = go(root, o->a, false, &a);

    if (rc == 0)
        rc = go(root, o->b, false, &b);
    if (rc == 0)
        rc = exchange(o, &a, &b);
    if (rc == 0)
        rc = sync_dir(a.dir);
    if (rc == 0)
        rc = sync_dir(b.dir);
    leave(&a);
    leave(&b);
    return rc;
}

static int empty_at(const struct spot *at, struct dk_fs_answer *ret)
{
    int rc, fd = open_spot(at, LIST);

    if (fd < 0)
        return fd;
    rc = dk_fs_empty(fd, ret->where, sizeof(ret->where));
    (void)close(fd);
    return rc;
}

static int do_clear(int root, const struct dk_fs_order *o, struct dk_fs_answer *ret)
{
    struct spot at;
    int rc = go(root, o->a, false, &at);

    if (rc == 0)
        rc = empty_at(&at, ret);
    leave(&at);
    return rc;
}

static int do_remove(int root, const struct dk_fs_order *o, struct dk_fs_answer *ret)
{
    struct spot at;
    uint64_t ino = 0;
    int rc = go(root, o->a, false, &at);

    if (rc == 0 && !at.name[0])
        rc = -EBUSY;
    if (rc == 0)
        rc = look(&at, &ino);
    if (rc == 0 && ino)
        rc = empty_at(&at, ret);
    if (rc == 0 && ino && unlinkat(at.dir, at.name, AT_REMOVEDIR) < 0)
        rc = -errno;
    if (rc == 0 && ino)
        rc = sync_dir(at.dir);
    leave(&at);
    return rc == -ENOENT ? 0 : rc;
}

static int do_mkdir(int root, const struct dk_fs_order *o, struct dk_fs_answer *ret)
{
    struct spot at;
    int rc = go(root, o->a, true, &at);

    if (rc == 0 && mkdirat(at.dir, at.name, 0700) < 0)
        rc = -errno;
    if (rc == 0)
        rc = sync_dir(at.dir);
    if (rc == 0)
        rc = describe(root, &at, ret);
    leave(&at);
    return rc;
}

/* One attribute. What the file system or our rights do not allow is left. */
static int copy_xattr(int from, int to, const char *name)
{
    ssize_t n = fgetxattr(from, name, NULL, 0);
    char *value;
    int rc = 0;

    if (n < 0)
        return 0;
    value = malloc((size_t)n + 1);
    if (!value)
        return -ENOMEM;
    n = fgetxattr(from, name, value, (size_t)n);
    if (n >= 0 && fsetxattr(to, name, value, (size_t)n, 0) < 0 && errno != EPERM &&
        errno != ENOTSUP && errno != EACCES)
        rc = -errno;
    free(value);
    return rc;
}

static int copy_xattrs(int from, int to)
{
    ssize_t n = flistxattr(from, NULL, 0);
    char *names;
    int rc = 0;

    if (n <= 0)
        return n == 0 || errno == ENOTSUP ? 0 : -errno;
    names = malloc((size_t)n + 1);
    if (!names)
        return -ENOMEM;
    n = flistxattr(from, names, (size_t)n);
    for (ssize_t i = 0; rc == 0 && i < n; i += (ssize_t)strlen(names + i) + 1)
        rc = copy_xattr(from, to, names + i);
    free(names);
    return rc;
}

static int copy_meta(int from, int to)
{
    struct stat st;

    if (fstat(from, &st) < 0 || fchown(to, st.st_uid, st.st_gid) < 0 ||
        fchmod(to, st.st_mode & 07777) < 0)
        return -errno;
    return copy_xattrs(from, to);
}

static int do_meta(int root, const struct dk_fs_order *o, struct dk_fs_answer *ret)
{
    struct spot a, b = {.dir = -1};
    int from = -1, to = -1, rc = go(root, o->a, false, &a);

    if (rc == 0)
        rc = go(root, o->b, false, &b);
    if (rc == 0)
        rc = from = open_spot(&a, LIST);
    if (rc >= 0)
        rc = to = open_spot(&b, LIST);
    if (rc >= 0)
        rc = copy_meta(from, to);
    if (rc == 0)
        rc = describe(root, &b, ret);
    if (from >= 0)
        (void)close(from);
    if (to >= 0)
        (void)close(to);
    leave(&a);
    leave(&b);
    return rc;
}

static int do_sync(int root, const struct dk_fs_order *o)
{
    struct spot at;
    int fd, rc = go(root, o->a, false, &at);

    if (rc == 0) {
        fd = open_spot(&at, LIST);
        rc = fd < 0 ? fd : syncfs(fd) == 0 ? 0 : -errno;
        if (fd >= 0)
            (void)close(fd);
    }
    leave(&at);
    return rc;
}

void dk_fs_do(int root, const struct dk_fs_order *order, struct dk_fs_answer *ret)
{
    int rc = -EINVAL;

    memset(ret, 0, sizeof(*ret));
    switch (order->verb) {
    case DK_FS_STAT:
        rc = do_stat(root, order, ret);
        break;
    case DK_FS_EXCHANGE:
        rc = do_exchange(root, order);
        break;
    case DK_FS_CLEAR:
        rc = do_clear(root, order, ret);
        break;
    case DK_FS_REMOVE:
        rc = do_remove(root, order, ret);
        break;
    case DK_FS_MKDIR:
        rc = do_mkdir(root, order, ret);
        break;
    case DK_FS_META:
        rc = do_meta(root, order, ret);
        break;
    case DK_FS_SYNC:
        rc = do_sync(root, order);
        break;
    }
    ret->error = -rc;
}
