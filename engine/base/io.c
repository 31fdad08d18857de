/* Files, whole. */
#include "base/io.h"
#include "base/cleanup.h"
#include "base/digest.h"
#include "base/num.h"
#include "base/path.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* True if the call that failed is worth another try, once the descriptor is ready. */
static bool try_again(int fd, short events)
{
    if (errno == EINTR)
        return true;
    if (errno != EAGAIN)
        return false;
    struct pollfd p = {.fd = fd, .events = events};
    return poll(&p, 1, -1) >= 0 || errno == EINTR;
}

ssize_t bk_read_full(int fd, void *data, size_t n)
{
    size_t done = 0;
    while (done < n) {
        ssize_t got = read(fd, (char *)data + done, n - done);
        if (got > 0)
            done += (size_t)got;
        else if (got == 0)
            break;
        else if (!try_again(fd, POLLIN))
            return -1;
    }
    return (ssize_t)done;
}

int bk_write_full(int fd, const void *data, size_t n)
{
    size_t done = 0;
    while (done < n) {
        ssize_t put = write(fd, (const char *)data + done, n - done);
        if (put > 0) {
            done += (size_t)put;
        } else if (put == 0) {
            errno = ENOSPC;
            return -1;
        } else if (!try_again(fd, POLLOUT)) {
            return -1;
        }
    }
    return 0;
}

static int check_kind(int fd, const char *path, struct stat *st, struct bk_err *err)
{
    if (fstat(fd, st) != 0)
        return bk_fail_errno(err, errno, "cannot read '%s'", path);
    if (S_ISDIR(st->st_mode))
        return bk_fail_errno(err, EISDIR, "cannot read '%s'", path);
    if (!S_ISREG(st->st_mode) && !S_ISFIFO(st->st_mode))
        return bk_fail(err, BAKE_E_IO, "cannot read '%s': not a file", path);
    return 0;
}

/* Everything that comes from fd; one byte more than the limit tells that it is exceeded. */
static int read_all(int fd, const char *path, size_t limit, size_t guess, struct bk_buf *b,
                    struct bk_err *err)
{
    size_t total = 0;
    for (;;) {
        size_t want = guess > total ? guess - total : 16384;
        if (want > limit - total)
            want = limit - total;
        want += limit < SIZE_MAX;
        if (bk_buf_reserve(b, want) != 0)
            return bk_nomem(err);
        ssize_t got = bk_read_full(fd, b->data + b->len, want);
        if (got < 0)
            return bk_fail_errno(err, errno, "cannot read '%s'", path);
        b->len += (size_t)got;
        total += (size_t)got;
        b->data[b->len] = '\0';
        if (total > limit) {
            char size[32];
            return bk_fail(err, BAKE_E_IO, "cannot read '%s': it is larger than %s", path,
                           bk_format_size(size, sizeof(size), limit));
        }
        if ((size_t)got < want)
            return 0;
    }
}

int bk_read_file(const char *path, size_t limit, struct bk_buf *b, struct bk_err *err)
{
    /* O_NONBLOCK: a FIFO that nobody writes to must not stop us. */
    int fd BK_CLOSE = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return bk_fail_errno(err, errno, "cannot open '%s'", path);
    struct stat st;
    int rc = check_kind(fd, path, &st, err);
    if (rc)
        return rc;
    size_t before = b->len;
    size_t guess = st.st_size > 0 && (uint64_t)st.st_size < limit ? (size_t)st.st_size : 0;
    rc = read_all(fd, path, limit, guess, b, err);
    if (rc && b->data) {
        explicit_bzero(b->data + before, b->len - before);
        b->len = before;
    }
    return rc;
}

static int fill(int fd, const void *data, size_t n, mode_t mode)
{
    if (bk_write_full(fd, data, n) != 0 || fchmod(fd, mode) != 0 || fsync(fd) != 0)
        return -1;
    return 0;
}

/* A new file beside path, for this process alone until it gets its name. */
static char *make_temp(const char *dir, int *ret_fd, struct bk_err *err)
{
    for (int tries = 0; tries < 100; tries++) {
        unsigned char random[8];
        char hex[2 * sizeof(random) + 1];
        if (bk_random(random, sizeof(random), err) != 0)
            return NULL;
        bk_hex(random, sizeof(random), hex);
        char *temp = bk_asprintf("%s/.bakengine-%s.tmp", dir, hex);
        if (!temp) {
            (void)bk_nomem(err);
            return NULL;
        }
        *ret_fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (*ret_fd >= 0)
            return temp;
        free(temp);
        if (errno != EEXIST)
            break;
    }
    (void)bk_fail_errno(err, errno, "cannot write to directory '%s'", dir);
    return NULL;
}

int bk_write_file(const char *path, const void *data, size_t n, mode_t mode, struct bk_err *err)
{
    struct bk_err local;
    err = err ? err : &local; /* its rc is what we return */
    char *dir BK_FREE = bk_path_dir(path);
    if (!dir)
        return bk_nomem(err);
    int fd = -1;
    char *temp BK_FREE = make_temp(dir, &fd, err);
    if (!temp)
        return err->rc;
    int failed = fill(fd, data, n, mode) != 0 ? errno : 0;
    if (close(fd) != 0 && !failed)
        failed = errno;
    if (!failed && rename(temp, path) != 0)
        failed = errno;
    if (failed) {
        (void)unlink(temp);
        return bk_fail_errno(err, failed, "cannot write '%s'", path);
    }
    return bk_fsync_dir(dir, err);
}

/* One directory; one that is there is fine. The mode is exact, whatever the umask. */
static int make_dir(const char *path, mode_t mode)
{
    if (mkdir(path, mode & 0700) == 0)
        return chmod(path, mode);
    if (errno != EEXIST)
        return -1;
    struct stat st;
    if (stat(path, &st) != 0)
        return -1;
    if (S_ISDIR(st.st_mode))
        return 0;
    errno = ENOTDIR;
    return -1;
}

int bk_mkdir_p(const char *path, mode_t mode, struct bk_err *err)
{
    if (path[0] == '\0')
        return bk_fail_errno(err, ENOENT, "cannot create directory ''");
    char *copy BK_FREE = bk_strdup(path);
    if (!copy)
        return bk_nomem(err);
    char *p = copy + strspn(copy, "/");
    while (*p) {
        p += strcspn(p, "/");
        char *next = p + strspn(p, "/");
        *p = '\0';
        if (make_dir(copy, mode) != 0)
            return bk_fail_errno(err, errno, "cannot create directory '%s'", copy);
        if (!*next)
            break;
        *p = '/';
        p = next;
    }
    return 0;
}

int bk_fsync_dir(const char *path, struct bk_err *err)
{
    int fd BK_CLOSE = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return bk_fail_errno(err, errno, "cannot open directory '%s'", path);
    /* EINVAL: a file system where directories need no fsync. */
    if (fsync(fd) != 0 && errno != EINVAL)
        return bk_fail_errno(err, errno, "cannot sync directory '%s'", path);
    return 0;
}
