/* Looking around and tidying up. */
#include "flat.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

static int64_t ns_of(const struct timespec *t)
{
    return (int64_t)t->tv_sec * 1000000000 + t->tv_nsec;
}

/* A stream of its own for each listing: several may run at once, and each has its position. */
static DIR *open_dir(const struct flat *f)
{
    int fd = openat(f->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    DIR *d = fdopendir(fd);
    if (!d) {
        int e = errno;
        (void)close(fd);
        errno = e;
    }
    return d;
}

/* Calls visit() for every regular file. Stops at the first that returns non-zero. */
static int each_file(const struct flat *f, struct bake_ctx *ctx,
                     int (*visit)(void *arg, const char *file, const struct stat *st), void *arg)
{
    DIR *d = open_dir(f);
    int rc = d ? BAKE_OK : flat_fail(f, ctx, errno, "list", ".");
    while (rc == BAKE_OK) {
        struct stat st;
        if (ctx->host->cancelled(ctx)) {
            rc = bake_fail(ctx, BAKE_E_CANCELLED, "cancelled");
            break;
        }
        errno = 0;
        const struct dirent *e = readdir(d);
        if (!e) {
            if (errno)
                rc = flat_fail(f, ctx, errno, "list", ".");
            break;
        }
        if (fstatat(f->dir, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
            if (S_ISREG(st.st_mode))
                rc = visit(arg, e->d_name, &st);
        } else if (errno != ENOENT) { /* removed meanwhile: not there */
            rc = flat_fail(f, ctx, errno, "look at", e->d_name);
        }
    }
    if (d)
        (void)closedir(d);
    return rc;
}

/* ---- list --------------------------------------------------------------------------------------
 */

struct listing {
    const char *prefix;
    int (*each)(void *arg, const char *name, uint64_t size, int64_t mtime_ns);
    void *arg;
};

static int list_file(void *arg, const char *file, const struct stat *st)
{
    const struct listing *l = arg;
    char name[FLAT_FILE_CAP];
    if (!flat_name_of(file, name) || strncmp(name, l->prefix, strlen(l->prefix)) != 0)
        return 0;
    return l->each(l->arg, name, (uint64_t)st->st_size, ns_of(&st->st_mtim));
}

int flat_list(void *self, struct bake_ctx *ctx, const char *prefix,
              int (*each)(void *arg, const char *name, uint64_t size, int64_t mtime_ns), void *arg)
{
    struct listing l = {prefix, each, arg};
    return each_file(self, ctx, list_file, &l);
}

/* ---- one object --------------------------------------------------------------------------------
 */

int flat_stat(void *self, struct bake_ctx *ctx, const char *name, uint64_t *ret_size,
              int64_t *ret_mtime_ns)
{
    const struct flat *f = self;
    char file[FLAT_FILE_CAP];
    struct stat st;
    int rc = flat_file_of(f, ctx, name, file);
    if (rc != BAKE_OK)
        return rc;
    if (fstatat(f->dir, file, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return flat_fail(f, ctx, errno, "look at", file);
    *ret_size = (uint64_t)st.st_size;
    *ret_mtime_ns = ns_of(&st.st_mtim);
    return BAKE_OK;
}

int flat_remove(void *self, struct bake_ctx *ctx, const char *name)
{
    const struct flat *f = self;
    char file[FLAT_FILE_CAP];
    int rc = flat_file_of(f, ctx, name, file);
    if (rc != BAKE_OK)
        return rc;
    if (unlinkat(f->dir, file, 0) < 0 || fsync(f->dir) < 0)
        return flat_fail(f, ctx, errno, "remove", file);
    return BAKE_OK;
}

/* ---- the whole ---------------------------------------------------------------------------------
 */

int flat_space(void *self, struct bake_ctx *ctx, uint64_t *ret_free)
{
    const struct flat *f = self;
    struct statvfs v;
    if (fstatvfs(f->dir, &v) < 0)
        return flat_fail(f, ctx, errno, "ask for the free space of", ".");
    *ret_free = (uint64_t)v.f_bavail * v.f_frsize;
    return BAKE_OK;
}

struct sweep {
    const struct flat *flat;
    int64_t before_ns;
    uint64_t removed;
};

static int sweep_file(void *arg, const char *file, const struct stat *st)
{
    struct sweep *s = arg;
    if (strncmp(file, FLAT_TMP, strlen(FLAT_TMP)) == 0 && ns_of(&st->st_mtim) < s->before_ns &&
        unlinkat(s->flat->dir, file, 0) == 0)
        s->removed++;
    return 0;
}

int flat_sweep(void *self, struct bake_ctx *ctx, uint64_t age_ms, uint64_t *ret_removed)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    struct sweep s = {self, ns_of(&now), 0};
    /* Older than the epoch is nothing; and the product must not overflow. */
    s.before_ns =
        age_ms > (uint64_t)s.before_ns / 1000000 ? 0 : s.before_ns - (int64_t)age_ms * 1000000;
    int rc = each_file(self, ctx, sweep_file, &s);
    if (rc == BAKE_OK)
        *ret_removed = s.removed;
    return rc;
}
