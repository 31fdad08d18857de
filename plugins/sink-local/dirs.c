/* Walking to directories by descriptor, never through a symbolic link below the root; making the
 * missing ones durably; removing the empty ones. */
#include "local.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DIR_FLAGS (O_DIRECTORY | O_CLOEXEC)
#define TRIES     64 /* how often somebody else may remove what we have just made */

int local_open_root(const struct local *s)
{
    int fd = open(s->root, O_RDONLY | DIR_FLAGS);

    return fd < 0 ? -errno : fd;
}

int local_sync_dir(const struct local *s, int fd)
{
    if (!s->fsync || fsync(fd) == 0)
        return 0;
    /* Some network file systems know no fsync of directories; all of it is more than asked. */
    if (errno != EINVAL && errno != ENOTSUP && errno != EBADF)
        return -errno;
    return syncfs(fd) == 0 ? 0 : -errno;
}

int local_give(const struct local *s, int fd, mode_t mode)
{
    if ((s->uid != (uid_t)-1 || s->gid != (gid_t)-1) && fchown(fd, s->uid, s->gid) != 0)
        return -errno;
    return fchmod(fd, mode) == 0 ? 0 : -errno;
}

/* Owner and mode of a directory that we have just made. 0 or -errno, when it is gone again. */
static int dress(const struct local *s, int parent, const char *part)
{
    int e, fd = openat(parent, part, O_RDONLY | O_NOFOLLOW | DIR_FLAGS);

    if (fd < 0)
        return errno == ENOENT ? 0 : -errno; /* removed again: the walk comes back */
    e = local_give(s, fd, s->dir_mode);
    (void)close(fd);
    if (e < 0)
        (void)unlinkat(parent, part, AT_REMOVEDIR);
    return e;
}

/* Makes one directory, and its entry durable, also when somebody else was faster: they may not be
 * that far yet. 0 or -errno. */
static int make(const struct local *s, int parent, const char *part)
{
    int fd, e = 0;

    if (mkdirat(parent, part, s->dir_mode & 0777) == 0)
        e = dress(s, parent, part);
    else if (errno != EEXIST)
        e = -errno;
    if (e < 0)
        return e;
    fd = openat(parent, ".", O_RDONLY | DIR_FLAGS); /* `parent` may be open for walking only */
    if (fd < 0)
        return errno == EACCES ? 0 : -errno; /* may write there, may not read: cannot be fsynced */
    e = local_sync_dir(s, fd);
    (void)close(fd);
    return e;
}

/* parent/part, made if asked; takes over (closes) parent. */
static int enter(const struct local *s, int parent, const char *part, int flags, bool *made)
{
    int fd = -ENOENT;

    for (int i = 0; i < TRIES; i++) {
        int e;

        fd = openat(parent, part, flags | DIR_FLAGS);
        fd = fd < 0 ? -errno : fd;
        if (fd != -ENOENT || !made)
            break;
        e = make(s, parent, part);
        if (e < 0) {
            fd = e;
            break;
        }
        *made = true;
    }
    (void)close(parent);
    return fd;
}

/* Follows path part by part from fd (taken over). The last directory is opened with `last`. */
static int follow(const struct local *s, int fd, const char *path, size_t n, int last, int flags,
                  bool *made)
{
    while (n > 0 && fd >= 0) {
        char part[LOCAL_PART_MAX + 1];
        size_t len = strcspn(path, "/");

        len = len < n ? len : n;
        if (len > LOCAL_PART_MAX) {
            (void)close(fd);
            return -ENAMETOOLONG;
        }
        memcpy(part, path, len);
        part[len] = '\0';
        path += len;
        n -= len;
        while (n > 0 && *path == '/') {
            path++;
            n--;
        }
        fd = enter(s, fd, part, flags | (n == 0 ? last : O_PATH), made);
    }
    return fd;
}

/* The root is the user's: links on the way to it are theirs as well and are followed. */
static int make_root(const struct local *s, bool *made)
{
    const char *path = s->root + strspn(s->root, "/");
    int fd = open("/", O_PATH | DIR_FLAGS);

    return fd < 0 ? -errno : follow(s, fd, path, strlen(path), O_RDONLY, 0, made);
}

static int walk_once(const struct local *s, const char *name, enum local_walk how, bool *made)
{
    int fd = local_open_root(s);

    if (fd == -ENOENT && how == LOCAL_MAKE && s->create)
        fd = make_root(s, made);
    if (fd < 0)
        return fd;
    return follow(s, fd, name, (size_t)(local_base(name) - name),
                  how == LOCAL_LOOK ? O_PATH : O_RDONLY, O_NOFOLLOW,
                  how == LOCAL_MAKE ? made : NULL);
}

/* Opening a symbolic link as a directory says ENOTDIR: tell it from a file in the way. */
static int is_link_in(const struct local *s, const char *name)
{
    char path[LOCAL_NAME_MAX + 1];
    int root = local_open_root(s), found = 0;

    if (root < 0)
        return 0;
    for (const char *p = strchr(name, '/'); p && !found; p = strchr(p + 1, '/')) {
        struct stat st;
        size_t n = (size_t)(p - name);

        memcpy(path, name, n);
        path[n] = '\0';
        found = fstatat(root, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode);
    }
    (void)close(root);
    return found;
}

int local_walk(struct local *s, const char *name, enum local_walk how, bool *ret_made)
{
    bool made = false;
    int fd;

    /* The lock keeps a second put from using a directory before the first, who made it, has made
     * it durable. */
    (void)pthread_mutex_lock(&s->walking);
    fd = walk_once(s, name, how, &made);
    for (int i = 0; fd == -ENOENT && how == LOCAL_MAKE && i < TRIES; i++) {
        if (!s->create && access(s->root, F_OK) != 0)
            break;
        fd = walk_once(s, name, how, &made);
    }
    (void)pthread_mutex_unlock(&s->walking);
    if (fd == -ENOTDIR && is_link_in(s, name))
        fd = -ELOOP;
    if (ret_made)
        *ret_made = made;
    return fd;
}

bool local_drop_empty(struct local *s, const char *name)
{
    char path[LOCAL_NAME_MAX + 1];
    char *slash;
    int last = -1;

    memcpy(path, name, strlen(name) + 1);
    while ((slash = strrchr(path, '/'))) {
        int fd;

        *slash = '\0';
        fd = local_walk(s, path, LOCAL_READ, NULL);
        if (fd < 0)
            break;
        if (unlinkat(fd, local_base(path), AT_REMOVEDIR) != 0) {
            (void)close(fd);
            break;
        }
        if (last >= 0)
            (void)close(last);
        last = fd;
    }
    if (last < 0)
        return false;
    /* What is not durable here is an empty directory that comes back: no harm. */
    (void)local_sync_dir(s, last);
    (void)close(last);
    return true;
}
