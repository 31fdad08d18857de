/* Reads files that may hold secrets. */
#include "config/private_file.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/num.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

static int check(int fd, const char *path, size_t limit, struct stat *st, struct bk_err *err)
{
    char size[32];
    if (fstat(fd, st) < 0)
        return bk_fail_errno(err, errno, "cannot stat '%s'", path);
    if (S_ISDIR(st->st_mode))
        return bk_fail_errno(err, EISDIR, "cannot read '%s'", path);
    if (!S_ISREG(st->st_mode))
        return bk_fail(err, BAKE_E_CONFIG, "cannot read '%s': not a regular file", path);
    if ((uint64_t)st->st_size > limit)
        return bk_fail(err, BAKE_E_CONFIG, "'%s' is larger than %s", path,
                       bk_format_size(size, sizeof(size), limit));
    return 0;
}

int bk_read_private(const char *path, size_t limit, struct bk_buf *b, mode_t *ret_mode,
                    struct bk_err *err)
{
    struct stat st;
    int fd BK_CLOSE = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return bk_fail_errno(err, errno, "cannot read '%s'", path);
    int rc = check(fd, path, limit, &st, err);
    if (rc < 0)
        return rc;
    size_t room = (size_t)st.st_size;
    if (bk_buf_reserve(b, room + 1) < 0)
        return bk_nomem(err);
    ssize_t n = bk_read_full(fd, b->data + b->len, room);
    if (n < 0)
        return bk_fail_errno(err, errno, "cannot read '%s'", path);
    b->len += (size_t)n;
    b->data[b->len] = '\0';
    *ret_mode = st.st_mode;
    return 0;
}
