/* Walking the store: for list(), and for sweep(), which wants what list() hides. */
#include "local.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct walk {
    struct local *s;
    const struct local_visit *v;
    size_t prefix_len;
    char name[LOCAL_NAME_MAX + 1]; /* of what is being looked at */
};

static int visit_dir(struct walk *w, int fd, size_t len);

/* Can anything at or below name (a directory's ends in '/') start with the prefix? */
static bool may_match(const struct walk *w, size_t len)
{
    size_t n = len < w->prefix_len ? len : w->prefix_len;

    return memcmp(w->name, w->v->prefix, n) == 0;
}

static int fail(const struct walk *w, int e)
{
    return local_fail(w->s, w->v->ctx, e, "list", w->name);
}

static int visit_file(struct walk *w, size_t len, const struct stat *st)
{
    if (local_is_tmp(local_base(w->name)) != w->v->tmp || len < w->prefix_len)
        return 0;
    return w->v->each(w->v->arg, w->name, (uint64_t)st->st_size,
                      (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec);
}

static int descend(struct walk *w, int dir, const char *part, size_t len)
{
    int fd, rc;

    if (len + 1 > LOCAL_NAME_MAX)
        return 0; /* too deep to be of ours */
    w->name[len] = '/';
    w->name[len + 1] = '\0';
    if (!may_match(w, len + 1))
        return 0;
    fd = openat(dir, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    w->name[len] = '\0';
    if (fd < 0) /* gone, or replaced, since its name was read */
        return errno == ENOENT || errno == ENOTDIR ? 0 : fail(w, errno);
    w->name[len] = '/';
    rc = visit_dir(w, fd, len + 1);
    w->name[len] = '\0';
    return rc;
}

/* One name in the directory whose own name takes up the first len bytes of w->name. */
static int visit_name(struct walk *w, int dir, const struct dirent *d, size_t len)
{
    size_t n = strlen(d->d_name);
    struct stat st;

    if (len + n > LOCAL_NAME_MAX)
        return 0;
    memcpy(w->name + len, d->d_name, n + 1);
    /* Foreign names are no objects; the file system's own folder is not for us to open. */
    if (!local_is_tmp(d->d_name) && !local_name_ok(d->d_name))
        return 0;
    if (len == 0 && strcmp(d->d_name, "lost+found") == 0)
        return 0;
    if (!may_match(w, len + n))
        return 0;
    if (d->d_type == DT_DIR)
        return descend(w, dir, d->d_name, len + n);
    if (d->d_type != DT_REG && d->d_type != DT_UNKNOWN)
        return 0;
    if (fstatat(dir, d->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? 0 : fail(w, errno);
    if (S_ISDIR(st.st_mode))
        return descend(w, dir, d->d_name, len + n);
    return S_ISREG(st.st_mode) ? visit_file(w, len + n, &st) : 0;
}

/* Takes over fd. */
static int visit_dir(struct walk *w, int fd, size_t len)
{
    DIR *dir = fdopendir(fd);
    int rc = 0;

    if (!dir) {
        rc = fail(w, errno);
        (void)close(fd);
        return rc;
    }
    while (rc == 0) {
        const struct dirent *d;

        if (w->v->ctx->host->cancelled(w->v->ctx)) {
            rc = bake_fail(w->v->ctx, BAKE_E_CANCELLED, "cancelled");
            break;
        }
        errno = 0;
        d = readdir(dir);
        if (!d) {
            w->name[len] = '\0';
            rc = errno ? fail(w, errno) : 0;
            break;
        }
        rc = visit_name(w, fd, d, len);
        w->name[len] = '\0';
    }
    (void)closedir(dir);
    return rc;
}

/* How much of the prefix names directories that can be opened straight away: up to the last '/'
 * of what is well-formed. */
static size_t whole_dirs(const char *prefix)
{
    const char *slash = strrchr(prefix, '/');

    return slash ? (size_t)(slash + 1 - prefix) : 0;
}

int local_visit(struct local *s, const struct local_visit *v)
{
    struct walk *w;
    size_t len = whole_dirs(v->prefix);
    int rc = 0, fd;

    if (strlen(v->prefix) > LOCAL_NAME_MAX)
        return 0; /* longer than any name */
    w = calloc(1, sizeof(*w));
    if (!w)
        return bake_fail(v->ctx, BAKE_E_NOMEM, "out of memory");
    w->s = s;
    w->v = v;
    w->prefix_len = strlen(v->prefix);
    memcpy(w->name, v->prefix, len);
    if (len > 0) {
        w->name[len - 1] = '\0';
        if (!local_name_ok(w->name)) { /* no object's name starts like this */
            free(w);
            return 0;
        }
        w->name[len - 1] = '/';
    }
    fd = local_walk(s, w->name, LOCAL_READ, NULL);
    if (fd >= 0)
        rc = visit_dir(w, fd, len);
    else if (fd != -ENOENT && fd != -ENOTDIR)
        rc = fail(w, -fd);
    free(w);
    return rc;
}

int local_list(void *self, struct bake_ctx *ctx, const char *prefix,
               int (*each)(void *arg, const char *name, uint64_t size, int64_t mtime_ns), void *arg)
{
    const struct local_visit v = {ctx, prefix, false, each, arg};

    return local_visit(self, &v);
}
