/* Removing what is in a directory, however deep it is and whoever filled it. Part of the helper
 * program too. */
#include "place_fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEEP  24 /* levels that are open at once; what is deeper is moved up first */
#define TRIES 1000000

struct sweep {
    int top;
    unsigned moved; /* for names of what was moved up */
    uint64_t mount, dev;
    char *where;
    size_t size;
};

static int blame(struct sweep *w, const char *name, int e)
{
    size_t n = 0;

    for (; w->size > 1 && name[n] && n < w->size - 1; n++)
        w->where[n] = name[n] > 0x20 && name[n] < 0x7f ? name[n] : '?';
    if (w->size > 0)
        w->where[n] = '\0';
    return -e;
}

/* Out of the depths, into the directory that is swept again until nothing is in it. */
static int move_up(struct sweep *w, int dir, const char *name)
{
    char up[32];

    for (unsigned i = 0; i < TRIES; i++) {
        (void)snprintf(up, sizeof(up), ".bakengine-deep-%u", w->moved++);
        if (renameat2(dir, name, w->top, up, RENAME_NOREPLACE) == 0)
            return 0;
        if (errno != EEXIST)
            break;
    }
    return blame(w, name, errno);
}

static int empty(struct sweep *w, int dir, unsigned depth);

static int remove_dir(struct sweep *w, int dir, const char *name, unsigned depth)
{
    uint64_t mount, dev;
    int rc, fd;

    if (depth == DEEP)
        return move_up(w, dir, name);
    fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return blame(w, name, errno);
    rc = dk_fs_mount(fd, &mount, &dev);
    if (rc == 0 && (mount != w->mount || (!mount && dev != w->dev)))
        rc = -EBUSY; /* what is mounted there is not ours to remove */
    rc = rc < 0 ? blame(w, name, -rc) : empty(w, fd, depth + 1);
    (void)close(fd);
    if (rc == 0 && unlinkat(dir, name, AT_REMOVEDIR) < 0)
        rc = blame(w, name, errno);
    return rc;
}

static int remove_entry(struct sweep *w, int dir, const struct dirent *e, unsigned depth)
{
    struct stat st;

    if (e->d_type == DT_DIR)
        return remove_dir(w, dir, e->d_name, depth);
    if (e->d_type == DT_UNKNOWN) {
        if (fstatat(dir, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            return blame(w, e->d_name, errno);
        if (S_ISDIR(st.st_mode))
            return remove_dir(w, dir, e->d_name, depth);
    }
    return unlinkat(dir, e->d_name, 0) == 0 ? 0 : blame(w, e->d_name, errno);
}

/* Goes through it again until it is seen empty: removing while reading may hide names. */
static int empty(struct sweep *w, int dir, unsigned depth)
{
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *e;
    bool seen = true;

    if (!d) {
        rc = -errno;
        if (fd >= 0)
            (void)close(fd);
        return rc;
    }
    while (rc == 0 && seen) {
        seen = false;
        rewinddir(d);
        while (rc == 0 && (errno = 0, e = readdir(d))) {
            if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
                continue;
            seen = true;
            rc = remove_entry(w, dir, e, depth);
            rc = rc == -ENOENT ? 0 : rc;
        }
        if (rc == 0 && errno)
            rc = -errno;
    }
    (void)closedir(d);
    return rc;
}

int dk_fs_empty(int dir, char *where, size_t size)
{
    struct sweep w = {.top = dir, .where = where, .size = size};
    int rc = dk_fs_mount(dir, &w.mount, &w.dev);

    return rc < 0 ? rc : empty(&w, dir, 0);
}
