/* Regular files: written under a temporary name, in their place once they are whole. */
#include "tree/impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TRIES 100

/* Ascending, apart, within the file. */
static bool extents_ok(const struct bake_entry *e)
{
    uint64_t end = 0;

    if (e->size > INT64_MAX)
        return false;
    for (size_t i = 0; e->extents && i < e->n_extents; i++) {
        const struct bake_extent *x = &e->extents[i];

        if (x->offset < end || x->offset > e->size || x->length > e->size - x->offset)
            return false;
        end = x->offset + x->length;
    }
    return true;
}

static int keep_extents(struct bkc_extract *x, const struct bake_entry *e)
{
    struct bkc_file *f = &x->cur;
    size_t n = e->extents ? e->n_extents : 1, bytes = f->cap_extents * sizeof(*f->extents);

    if (n > SIZE_MAX / sizeof(*f->extents) ||
        bkc_grow((void **)&f->extents, &bytes, n * sizeof(*f->extents)) < 0)
        return bkc_nomem(x);
    f->cap_extents = bytes / sizeof(*f->extents);
    if (!e->extents)
        f->extents[0] = (struct bake_extent){0, e->size};
    else if (n)
        memcpy(f->extents, e->extents, n * sizeof(*f->extents));
    f->n_extents = n;
    f->at = 0;
    f->at_done = 0;
    f->size = e->size;
    f->end = 0;
    return BAKE_OK;
}

static int keep_meta(struct bkc_extract *x, const struct bake_entry *e)
{
    struct bkc_file *f = &x->cur;

    bkc_meta_of(x, e, &f->meta);
    if (!f->meta.xattrs_size)
        return BAKE_OK;
    if (bkc_grow(&x->xattrs, &x->cap_xattrs, f->meta.xattrs_size) < 0)
        return bkc_nomem(x);
    memcpy(x->xattrs, f->meta.xattrs, f->meta.xattrs_size);
    f->meta.xattrs = x->xattrs;
    return BAKE_OK;
}

/* What stands at the file's name decides whether its data are wanted at all. */
static int may_put(struct bkc_extract *x, const struct bake_entry *e)
{
    int fd = bkc_here(x)->fd;
    struct stat st;

    if (bkc_here(x)->made) /* nothing can be there but an entry's double, which the end finds */
        return BAKE_OK;
    if (fstatat(fd, x->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT
                   ? BAKE_OK
                   : bkc_fail_errno(x, errno, "cannot look at '%s'", bkc_show(x, e->path));
    if (!x->force)
        return bkc_existing(x, e, fd, x->name, &st);
    if (!S_ISDIR(st.st_mode) || bkc_dir_empty(fd, x->name))
        return BAKE_OK;
    x->counts.kept++;
    return bake_fail(x->ctx, BAKE_E_EXISTS, "'%s' is a directory that is not empty and is kept",
                     bkc_show(x, e->path));
}

int bkc_file_put(struct bkc_extract *x, const struct bake_entry *e)
{
    struct bkc_file *f = &x->cur;
    struct stat st;
    int rc;

    if (!extents_ok(e))
        return bake_fail(x->ctx, BAKE_E_CORRUPT, "'%s' has an impossible size or map of holes",
                         bkc_show(x, e->path));
    rc = may_put(x, e);
    if (rc == BAKE_OK)
        rc = keep_extents(x, e);
    if (rc == BAKE_OK)
        rc = keep_meta(x, e);
    if (rc != BAKE_OK)
        return rc;
    f->fd = -1;
    for (int i = 0; i < TRIES && f->fd < 0; i++) {
        bkc_tmp_name(x, f->tmp);
        f->fd = openat(bkc_here(x)->fd, f->tmp,
                       O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (f->fd < 0 && errno != EEXIST)
            break;
    }
    if (f->fd < 0)
        return bkc_fail_errno(x, errno, "cannot make '%s'", bkc_show(x, e->path));
    bkc_here(x)->touched = true;
    f->obj = (struct bkc_obj){.fd = f->fd, .dirfd = -1, .path = x->path, .type = BAKE_FILE};
    f->obj.drop_acl = bkc_here(x)->default_acl;
    if (fstat(f->fd, &st) < 0) {
        rc = bkc_fail_errno(x, errno, "cannot look at '%s'", bkc_show(x, e->path));
        bkc_file_drop(x);
        return rc;
    }
    bkc_obj_of(&f->obj, &st);
    return BAKE_OK;
}

int bkc_extract_write(struct bkc_extract *x, struct bake_in *in)
{
    struct bkc_file *f = &x->cur;

    if (f->type != BAKE_FILE && in->pos < in->size)
        return bake_fail(x->ctx, BAKE_E_INTERNAL, "data were written where no file is open");
    while (in->pos < in->size) {
        const struct bake_extent *e;
        uint64_t n = in->size - in->pos;
        ssize_t put;

        for (; f->at < f->n_extents && f->at_done == f->extents[f->at].length; f->at++)
            f->at_done = 0;
        if (f->at == f->n_extents)
            return bake_fail(x->ctx, BAKE_E_CORRUPT, "'%s' has more data than its size says",
                             bkc_show(x, x->path));
        e = &f->extents[f->at];
        if (n > e->length - f->at_done)
            n = e->length - f->at_done;
        put = pwrite(f->fd, (const char *)in->data + in->pos, n, (off_t)(e->offset + f->at_done));
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return bkc_fail_errno(x, put < 0 ? errno : ENOSPC, "cannot write '%s'",
                                  bkc_show(x, x->path));
        in->pos += (size_t)put;
        f->at_done += (uint64_t)put;
        f->end = e->offset + f->at_done;
        x->counts.bytes += (uint64_t)put;
    }
    return BAKE_OK;
}

static bool complete(const struct bkc_file *f)
{
    for (size_t i = f->at; i < f->n_extents; i++)
        if (f->extents[i].length > (i == f->at ? f->at_done : 0))
            return false;
    return true;
}

/* The entry that is being written, as far as bkc_existing() asks. */
static int found_late(struct bkc_extract *x)
{
    struct bkc_file *f = &x->cur;
    struct bake_entry e = {.struct_size = sizeof(e),
                           .type = BAKE_FILE,
                           .valid = f->meta.valid,
                           .path = x->path,
                           .size = f->size,
                           .mtime_ns = f->meta.mtime_ns};
    struct stat st;

    if (fstatat(bkc_here(x)->fd, x->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return bkc_fail_errno(x, errno, "cannot look at '%s'", bkc_show(x, x->path));
    if (bkc_existing(x, &e, bkc_here(x)->fd, x->name, &st) < 0)
        return BAKE_E_EXISTS;
    return bake_fail(x->ctx, BAKE_E_EXISTS, "'%s' is there already", bkc_show(x, x->path));
}

static int place(struct bkc_extract *x)
{
    int dirfd = bkc_here(x)->fd;
    int e = x->force ? bkc_place_over(dirfd, x->cur.tmp, x->name)
                     : bkc_place_new(x, dirfd, x->cur.tmp, x->name);

    if (e == 0)
        return BAKE_OK;
    if (e == EEXIST && !x->force)
        return found_late(x);
    if (e == EEXIST || e == ENOTEMPTY) {
        x->counts.kept++;
        return bake_fail(x->ctx, BAKE_E_EXISTS, "'%s' is a directory that is not empty and is kept",
                         bkc_show(x, x->path));
    }
    return bkc_fail_errno(x, e, "cannot put '%s' in its place", bkc_show(x, x->path));
}

int bkc_file_end(struct bkc_extract *x)
{
    struct bkc_file *f = &x->cur;
    int rc;

    if (!complete(f))
        return bake_fail(x->ctx, BAKE_E_CORRUPT, "'%s' has less data than its size says",
                         bkc_show(x, x->path));
    if (f->size > f->end && ftruncate(f->fd, (off_t)f->size) < 0)
        return bkc_fail_errno(x, errno, "cannot set the size of '%s'", bkc_show(x, x->path));
    bkc_meta_set(x, &f->meta, &f->obj);
    rc = place(x);
    if (rc < 0)
        return rc;
    rc = close(f->fd);
    f->fd = -1;
    if (rc < 0 && errno != EINTR) {
        rc = errno;
        (void)unlinkat(bkc_here(x)->fd, x->name, 0);
        return bkc_fail_errno(x, rc, "cannot finish '%s'", bkc_show(x, x->path));
    }
    x->counts.files++;
    return BAKE_OK;
}

void bkc_file_drop(struct bkc_extract *x)
{
    if (x->cur.fd < 0)
        return;
    (void)close(x->cur.fd);
    x->cur.fd = -1;
    (void)unlinkat(bkc_here(x)->fd, x->cur.tmp, 0);
}
