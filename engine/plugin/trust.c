/* Who could have written a plugin: code is loaded only from files and directories that nobody but
 * root and the user who runs the engine can change. */
#include "base/cleanup.h"
#include "base/path.h"
#include "plugin/load.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

/* what: "plugin '/a/b.so'" or "directory '/a' of plugin '/a/b.so'" */
static int check_owner(const struct stat *st, const char *what, const char *path,
                       struct bk_err *err)
{
    uid_t me = geteuid();
    if (st->st_uid != 0 && st->st_uid != me)
        return bk_fail(err, BAKE_E_CONFIG,
                       "%s belongs to user %u, not to root or to user %u who runs the engine\n"
                       "HINT: if you trust what is in it: chown %u '%s'",
                       what, (unsigned)st->st_uid, (unsigned)me, (unsigned)me, path);
    /* The sticky bit excuses nothing: it lets others add files. */
    if (st->st_mode & (S_IWGRP | S_IWOTH))
        return bk_fail(err, BAKE_E_CONFIG,
                       "%s can be written to by others (mode %04o)\n"
                       "HINT: if you trust what is in it: chmod go-w '%s'",
                       what, (unsigned)(st->st_mode & 07777), path);
    return 0;
}

static int cannot(struct bk_err *err, int e, const char *verb, const char *path)
{
    (void)bk_fail_errno(err, e, "cannot %s plugin '%s'", verb, path);
    if (err)
        err->rc = BAKE_E_CONFIG; /* its name was found: it is unsound, not absent */
    return BAKE_E_CONFIG;
}

/* Opens and checks the directory that holds `path`. */
static int open_dir(const char *path, int *ret_fd, struct bk_err *err)
{
    char *dir BK_FREE = bk_path_dir(path);
    char *what BK_FREE = dir ? bk_asprintf("directory '%s' of plugin '%s'", dir, path) : NULL;
    if (!what)
        return bk_nomem(err);
    int fd BK_CLOSE = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return cannot(err, errno, "look for", path);
    int rc = check_owner(&st, what, dir, err);
    if (rc == 0) {
        *ret_fd = fd;
        fd = -1;
    }
    return rc;
}

static int open_file(int dir, const char *real, int *ret_fd, struct bk_err *err)
{
    /* O_NONBLOCK: a FIFO must not make us wait. */
    int fd BK_CLOSE =
        openat(dir, bk_path_base(real), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return cannot(err, errno, "open", real);
    if (!S_ISREG(st.st_mode))
        return bk_fail(err, BAKE_E_CONFIG,
                       "plugin '%s' is not a regular file\n"
                       "HINT: put the shared object itself there",
                       real);
    char *what BK_FREE = bk_asprintf("plugin '%s'", real);
    if (!what)
        return bk_nomem(err);
    int rc = check_owner(&st, what, real, err);
    if (rc == 0) {
        *ret_fd = fd;
        fd = -1;
    }
    return rc;
}

int bk_trust_open(const char *path, char **ret_real, int *ret_fd, struct bk_err *err)
{
    /* Whoever can write to the directory of a symbolic link chooses what it points at. */
    int link_dir BK_CLOSE = -1;
    int rc = open_dir(path, &link_dir, err);
    if (rc < 0)
        return rc;
    char *real BK_FREE = realpath(path, NULL);
    if (!real)
        return cannot(err, errno, "resolve", path);
    int real_dir BK_CLOSE = -1;
    rc = open_dir(real, &real_dir, err);
    if (rc < 0)
        return rc;
    int fd = -1;
    rc = open_file(real_dir, real, &fd, err);
    if (rc < 0)
        return rc;
    *ret_real = BK_STEAL(real);
    *ret_fd = fd;
    return 0;
}
