/* Putting: into a temporary file, which gets its name only when it is whole and on the disk. */
#include "flat.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

struct put {
    const struct flat *flat;
    struct bake_ctx *ctx;
    uint32_t flags;
    int fd;
    char tmp[32], file[FLAT_FILE_CAP];
};

static void free_put(struct put *p)
{
    if (p->fd >= 0)
        (void)close(p->fd);
    free(p);
}

static int open_tmp(struct put *p)
{
    for (int tries = 0; tries < 10; tries++) {
        uint64_t random = 0;
        if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
            return flat_fail(p->flat, p->ctx, errno, "name", p->file);
        (void)snprintf(p->tmp, sizeof(p->tmp), FLAT_TMP "%016" PRIx64, random);
        p->fd = openat(p->flat->dir, p->tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
        if (p->fd >= 0)
            return BAKE_OK;
        if (errno != EEXIST)
            break;
    }
    return flat_fail(p->flat, p->ctx, errno, "create", p->file);
}

int flat_put_begin(void *self, struct bake_ctx *ctx, const char *name, uint64_t size_or_0,
                   uint32_t flags, void **ret_put)
{
    (void)size_or_0;
    struct put *p = calloc(1, sizeof(*p));
    if (!p)
        return bake_fail(ctx, BAKE_E_NOMEM, "out of memory");
    p->flat = self;
    p->ctx = ctx;
    p->flags = flags;
    p->fd = -1;
    int rc = flat_file_of(p->flat, ctx, name, p->file);
    if (rc == BAKE_OK)
        rc = open_tmp(p);
    if (rc != BAKE_OK) {
        free_put(p);
        return rc;
    }
    *ret_put = p;
    return BAKE_OK;
}

int flat_put_write(void *put, struct bake_in *in)
{
    struct put *p = put;
    while (in->pos < in->size) {
        ssize_t n = write(p->fd, (const char *)in->data + in->pos, in->size - in->pos);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return flat_fail(p->flat, p->ctx, n < 0 ? errno : ENOSPC, "write", p->file);
        in->pos += (size_t)n;
    }
    return BAKE_OK;
}

static int close_file(struct put *p)
{
    int fd = p->fd;
    p->fd = -1;
    return close(fd) == 0 || errno == EINTR ? 0 : -1; /* EINTR: it is closed all the same */
}

/* link() never replaces: of two writers one wins, as BAKE_PUT_IF_ABSENT asks. */
static int publish(const struct put *p)
{
    int dir = p->flat->dir;
    if (!(p->flags & BAKE_PUT_IF_ABSENT))
        return renameat(dir, p->tmp, dir, p->file);
    if (linkat(dir, p->tmp, dir, p->file, 0) < 0)
        return -1;
    (void)unlinkat(dir, p->tmp, 0); /* should it stay: a second name, which sweep() takes away */
    return 0;
}

int flat_put_end(void *put)
{
    struct put *p = put;
    int rc = BAKE_OK;
    if (fsync(p->fd) < 0 || close_file(p) < 0 || publish(p) < 0) {
        rc = flat_fail(p->flat, p->ctx, errno, "store", p->file);
        flat_put_abort(p);
        return rc;
    }
    if (fsync(p->flat->dir) < 0) /* before this the name is not durable */
        rc = flat_fail(p->flat, p->ctx, errno, "store", p->file);
    free_put(p);
    return rc;
}

void flat_put_abort(void *put)
{
    struct put *p = put;
    (void)unlinkat(p->flat->dir, p->tmp, 0);
    free_put(p);
}
