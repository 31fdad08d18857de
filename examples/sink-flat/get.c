/* Getting: a range of an object's bytes. */
#include "flat.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct get {
    const struct flat *flat;
    struct bake_ctx *ctx;
    int fd;
    uint64_t offset, left;
    char file[FLAT_FILE_CAP];
};

static int too_short(struct get *g)
{
    return bake_fail(g->ctx, BAKE_E_CORRUPT, "'%s' in '%s' is shorter than expected", g->file,
                     g->flat->path);
}

static int open_range(struct get *g, uint64_t offset, uint64_t length_or_0)
{
    struct stat st;
    g->fd = openat(g->flat->dir, g->file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (g->fd < 0 || fstat(g->fd, &st) < 0)
        return flat_fail(g->flat, g->ctx, errno, "read", g->file);
    if (!S_ISREG(st.st_mode))
        return flat_fail(g->flat, g->ctx, EINVAL, "read", g->file);
    uint64_t size = (uint64_t)st.st_size;
    if (offset > size || length_or_0 > size - offset)
        return too_short(g);
    g->offset = offset;
    g->left = length_or_0 ? length_or_0 : size - offset;
    return BAKE_OK;
}

int flat_get_begin(void *self, struct bake_ctx *ctx, const char *name, uint64_t offset,
                   uint64_t length_or_0, void **ret_get)
{
    struct get *g = calloc(1, sizeof(*g));
    if (!g)
        return bake_fail(ctx, BAKE_E_NOMEM, "out of memory");
    g->flat = self;
    g->ctx = ctx;
    g->fd = -1;
    int rc = flat_file_of(g->flat, ctx, name, g->file);
    if (rc == BAKE_OK)
        rc = open_range(g, offset, length_or_0);
    if (rc != BAKE_OK) {
        flat_get_close(g);
        return rc;
    }
    *ret_get = g;
    return BAKE_OK;
}

int flat_get_read(void *get, struct bake_out *out)
{
    struct get *g = get;
    size_t want = out->size - out->pos;
    ssize_t n;
    if (g->left == 0)
        return BAKE_END;
    if (want > g->left)
        want = (size_t)g->left;
    do
        n = pread(g->fd, (char *)out->data + out->pos, want, (off_t)g->offset);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return flat_fail(g->flat, g->ctx, errno, "read", g->file);
    if (n == 0)
        return too_short(g);
    out->pos += (size_t)n;
    g->offset += (uint64_t)n;
    g->left -= (uint64_t)n;
    return BAKE_OK;
}

void flat_get_close(void *get)
{
    struct get *g = get;
    if (g->fd >= 0)
        (void)close(g->fd);
    free(g);
}
