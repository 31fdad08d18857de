/* One get: the bytes of an object or of a range of it. */
#include "local.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct get {
    struct local *s;
    struct bake_ctx *ctx;
    char *name;
    int fd;
    uint64_t offset, left;
};

uint64_t local_get_memory(void) { return sizeof(struct get) + LOCAL_NAME_MAX + 1; }

static int not_regular(const struct local *s, struct bake_ctx *ctx, const char *name)
{
    return bake_fail(ctx, BAKE_E_CORRUPT, "cannot read '%s/%s': not a regular file", s->root, name);
}

/* Opens the object's file without following links and without waiting (it might be a FIFO). */
static int open_object(struct local *s, struct bake_ctx *ctx, const char *name, uint64_t *ret_size)
{
    struct stat st;
    int fd, e, dir = local_walk(s, name, LOCAL_LOOK, NULL);

    if (dir < 0)
        return local_fail(s, ctx, dir == -ENOTDIR ? ENOENT : -dir, "read", name);
    fd = openat(dir, local_base(name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    e = errno;
    (void)close(dir);
    if (fd < 0 && (e == ENXIO || e == ENODEV)) /* a socket, a device without a driver */
        return not_regular(s, ctx, name);
    if (fd < 0)
        return local_fail(s, ctx, e, "read", name);
    if (fstat(fd, &st) != 0) {
        e = errno;
        (void)close(fd);
        return local_fail(s, ctx, e, "read", name);
    }
    if (S_ISREG(st.st_mode)) {
        *ret_size = (uint64_t)st.st_size;
        return fd;
    }
    (void)close(fd);
    if (S_ISDIR(st.st_mode)) /* objects stand below this name, none has it */
        return local_fail(s, ctx, ENOENT, "read", name);
    return not_regular(s, ctx, name);
}

static int too_short(const struct local *s, struct bake_ctx *ctx, const char *name)
{
    return bake_fail(ctx, BAKE_E_CORRUPT, "cannot read '%s/%s': object is shorter than expected",
                     s->root, name);
}

int local_get_begin(void *self, struct bake_ctx *ctx, const char *name, uint64_t offset,
                    uint64_t length_or_0, void **ret_get)
{
    struct local *s = self;
    struct get *g;
    uint64_t size = 0;
    int fd, rc = local_check_name(ctx, name);

    if (rc < 0)
        return rc;
    fd = open_object(s, ctx, name, &size);
    if (fd < 0)
        return fd;
    if (offset > size || length_or_0 > size - offset) {
        (void)close(fd);
        return too_short(s, ctx, name);
    }
    g = calloc(1, sizeof(*g));
    if (!g || !(g->name = strdup(name))) {
        free(g);
        (void)close(fd);
        return bake_fail(ctx, BAKE_E_NOMEM, "out of memory");
    }
    g->s = s;
    g->ctx = ctx;
    g->fd = fd;
    g->offset = offset;
    g->left = length_or_0 > 0 ? length_or_0 : size - offset;
    (void)posix_fadvise(fd, (off_t)offset, (off_t)g->left, POSIX_FADV_SEQUENTIAL);
    *ret_get = g;
    return BAKE_OK;
}

int local_get_read(void *get, struct bake_out *out)
{
    struct get *g = get;
    size_t n = out->size - out->pos;
    ssize_t got;

    if (g->left == 0)
        return BAKE_END;
    n = g->left < n ? (size_t)g->left : n;
    if (n == 0)
        return BAKE_OK;
    do
        got = pread(g->fd, (char *)out->data + out->pos, n, (off_t)g->offset);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return local_fail(g->s, g->ctx, errno, "read", g->name);
    if (got == 0)
        return too_short(g->s, g->ctx, g->name);
    out->pos += (size_t)got;
    g->offset += (uint64_t)got;
    g->left -= (uint64_t)got;
    return BAKE_OK;
}

void local_get_close(void *get)
{
    struct get *g = get;

    (void)close(g->fd);
    free(g->name);
    free(g);
}
