/* Files and directories: small things that the way back needs. */
#include "base_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEEPEST 64

static int rc_of(int e)
{
    return e == ENOSPC || e == EDQUOT ? BAKE_E_NOSPACE : e == ENOMEM ? BAKE_E_NOMEM : BAKE_E_IO;
}

static int said(struct bake_ctx *ctx, const char *what, const char *path)
{
    int e = errno;
    return bake_fail(ctx, rc_of(e), "cannot %s '%s': %s", what, path, strerror(e));
}

/* ---- removing -------------------------------------------------------------------------------- */

/* errno, or 0. Takes fd over. */
static int remove_below(int fd, unsigned depth)
{
    DIR *dir = depth < DEEPEST ? fdopendir(fd) : NULL;
    int failed = 0;
    if (!dir) {
        failed = depth < DEEPEST ? errno : ELOOP;
        (void)close(fd);
        return failed;
    }
    for (const struct dirent *e; (e = readdir(dir));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (unlinkat(fd, e->d_name, 0) == 0 || errno == ENOENT)
            continue;
        int why = errno;
        int below = openat(fd, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (below >= 0) {
            why = remove_below(below, depth + 1);
            if (unlinkat(fd, e->d_name, AT_REMOVEDIR) == 0 || errno == ENOENT)
                why = 0;
            else if (!why)
                why = errno;
        }
        failed = failed ? failed : why;
    }
    (void)closedir(dir);
    return failed;
}

int pg_remove_tree(struct bake_ctx *ctx, const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return BAKE_OK;
    if (fd < 0)
        return said(ctx, "open", path);
    int why = remove_below(fd, 0);
    if (rmdir(path) == 0 || errno == ENOENT)
        return BAKE_OK;
    if (why)
        errno = why;
    return said(ctx, "remove", path);
}

/* ---- looking --------------------------------------------------------------------------------- */

int pg_is_empty(struct bake_ctx *ctx, const char *path, bool *ret_absent)
{
    *ret_absent = false;
    DIR *dir = opendir(path);
    if (!dir) {
        *ret_absent = errno == ENOENT;
        if (errno == ENOENT)
            return 1;
        return errno == ENOTDIR ? 0 : said(ctx, "open", path);
    }
    int empty = 1;
    for (const struct dirent *e; empty && (e = readdir(dir));)
        empty = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
                strcmp(e->d_name, "lost+found") == 0;
    (void)closedir(dir);
    return empty;
}

char *pg_parent_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return strdup(".");
    return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

/* The first line of postmaster.pid. 0: there is none. */
static pid_t pid_in(const char *directory)
{
    char path[4200], text[32] = "";
    int n = snprintf(path, sizeof(path), "%s/postmaster.pid", directory);
    int fd = n > 0 && (size_t)n < sizeof(path) ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
    if (fd < 0)
        return 0;
    ssize_t got = read(fd, text, sizeof(text) - 1);
    (void)close(fd);
    long pid = 0;
    for (ssize_t i = 0; i < got && text[i] >= '0' && text[i] <= '9' && pid < 100000000; i++)
        pid = 10 * pid + (text[i] - '0');
    return (pid_t)pid;
}

/* Is it the working directory of a process? 1, 0, or -1: that may not be known. */
static int works_in(const char *process, const struct stat *directory)
{
    char path[300];
    struct stat st;
    (void)snprintf(path, sizeof(path), "/proc/%s/cwd", process);
    if (stat(path, &st) == 0)
        return st.st_dev == directory->st_dev && st.st_ino == directory->st_ino;
    return errno == EACCES || errno == EPERM ? -1 : 0;
}

/* A server's pid file may be of another container, where numbers are others: so all processes are
 * looked at that can be. */
bool pg_in_use(const char *directory)
{
    struct stat st;
    char own[24];
    pid_t pid = pid_in(directory);
    if (stat(directory, &st) != 0)
        return false;
    (void)snprintf(own, sizeof(own), "%ld", (long)pid);
    bool used = pid > 0 && works_in(own, &st) == -1;
    DIR *all = opendir("/proc");
    for (const struct dirent *e; all && !used && (e = readdir(all));)
        used = e->d_name[0] >= '1' && e->d_name[0] <= '9' && works_in(e->d_name, &st) == 1;
    if (all)
        (void)closedir(all);
    return used;
}

/* ---- making ---------------------------------------------------------------------------------- */

int pg_make_dir(struct bake_ctx *ctx, const char *path, bool as_user, uint32_t uid, uint32_t gid)
{
    if (mkdir(path, 0700) != 0)
        return said(ctx, "make the directory", path);
    if (as_user && lchown(path, uid, gid) != 0)
        return said(ctx, "change the owner of", path);
    return BAKE_OK;
}

static int write_all(int fd, const char *text, size_t n)
{
    while (n > 0) {
        ssize_t done = write(fd, text, n);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return -1;
        text += done;
        n -= (size_t)done;
    }
    return 0;
}

int pg_write_file(struct bake_ctx *ctx, const char *path, const char *text, size_t n, bool as_user,
                  uint32_t uid, uint32_t gid)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return said(ctx, "write", path);
    int rc = BAKE_OK;
    if (write_all(fd, text, n) != 0 || (as_user && fchown(fd, uid, gid) != 0) || fsync(fd) != 0)
        rc = said(ctx, "write", path);
    if (close(fd) != 0 && rc == BAKE_OK)
        rc = said(ctx, "write", path);
    return rc;
}

int pg_read_file(struct bake_ctx *ctx, const char *path, size_t most, char **ret)
{
    struct stat st;
    size_t have = 0;
    *ret = NULL;
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? BAKE_OK : said(ctx, "open", path);
    int rc = fstat(fd, &st) == 0 ? BAKE_OK : said(ctx, "look at", path);
    if (rc == BAKE_OK && (!S_ISREG(st.st_mode) || (uint64_t)st.st_size > most))
        rc = bake_fail(ctx, BAKE_E_CORRUPT, "'%s' is no file of a fit size", path);
    char *text = rc == BAKE_OK ? malloc((size_t)st.st_size + 1) : NULL;
    if (rc == BAKE_OK && !text)
        rc = bake_fail(ctx, BAKE_E_NOMEM, "out of memory");
    while (rc == BAKE_OK && have < (size_t)st.st_size) {
        ssize_t n = read(fd, text + have, (size_t)st.st_size - have);
        if (n == 0)
            break;
        if (n > 0)
            have += (size_t)n;
        else if (errno != EINTR)
            rc = said(ctx, "read", path);
    }
    (void)close(fd);
    if (rc != BAKE_OK) {
        free(text);
        return rc;
    }
    text[have] = '\0';
    *ret = text;
    return BAKE_OK;
}

int pg_sync_all(struct bake_ctx *ctx, const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return said(ctx, "open", path);
    int rc = syncfs(fd) == 0 ? BAKE_OK : said(ctx, "write to the disk what is in", path);
    (void)close(fd);
    return rc;
}

int pg_sync_dir(struct bake_ctx *ctx, const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return said(ctx, "open", path);
    int rc = fsync(fd) == 0 ? BAKE_OK : said(ctx, "write to the disk", path);
    (void)close(fd);
    return rc;
}

char *pg_shell_quoted(const char *text)
{
    size_t n = 3;
    for (const char *p = text; *p; p++)
        n += *p == '\'' ? 4 : 1;
    char *out = malloc(n), *to = out;
    if (!out)
        return NULL;
    *to++ = '\'';
    for (; *text; text++) {
        if (*text == '\'') {
            memcpy(to, "'\\''", 4);
            to += 4;
        } else {
            *to++ = *text;
        }
    }
    memcpy(to, "'", 2);
    return out;
}
