/* Regular files: made without a name, or under a temporary one, and in their place once they are
 * whole. Any thread; each file has one. */
#include "tree/impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TRIES 100

/* ---- the copy of an entry -------------------------------------------------------------------- */

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

/* One block for the file and all that it refers to. */
static struct bkc_file *file_alloc(const struct bake_entry *e, size_t path, size_t xattrs)
{
    size_t n = e->extents ? e->n_extents : 1;
    struct bkc_file *f;
    struct bake_extent *extents;

    if (n > SIZE_MAX / 4 / sizeof(*extents) || xattrs > SIZE_MAX / 4 || path > SIZE_MAX / 4)
        return NULL;
    f = malloc(sizeof(*f) + n * sizeof(*extents) + xattrs + path + 1);
    if (!f)
        return NULL;
    memset(f, 0, sizeof(*f));
    extents = (struct bake_extent *)(f + 1);
    if (!e->extents)
        extents[0] = (struct bake_extent){0, e->size};
    else if (n)
        memcpy(extents, e->extents, n * sizeof(*extents));
    f->extents = extents;
    f->n_extents = n;
    f->meta.xattrs = extents + n;
    f->path = (char *)f->meta.xattrs + xattrs;
    memcpy(f->path, e->path, path + 1);
    return f;
}

int bkc_file_new(struct bkc_extract *x, const struct bake_entry *e, struct bkc_file **ret)
{
    struct bkc_level *here = bkc_here(x);
    struct bkc_meta m;
    struct bkc_file *f;

    if (e->type != BAKE_FILE)
        return bake_fail(x->say.ctx, BAKE_E_INTERNAL, "an entry that is no file was put as one");
    if (!extents_ok(e))
        return bake_fail(x->say.ctx, BAKE_E_CORRUPT, "'%s' has an impossible size or map of holes",
                         bkc_show(&x->say, e->path));
    bkc_meta_of(x, e, &m);
    f = file_alloc(e, strlen(e->path), m.xattrs_size);
    if (!f)
        return bkc_nomem(&x->say);
    if (m.xattrs_size)
        memcpy(f->meta.xattrs, m.xattrs, m.xattrs_size);
    m.xattrs = f->meta.xattrs;
    f->meta = m;
    f->x = x;
    f->ctx = x->say.ctx;
    f->level = here;
    f->name = f->path + (x->name - x->path);
    f->fd = -1;
    f->size = e->size;
    f->dir_made = here->made;
    f->default_acl = here->default_acl;
    f->dirfd = here->fd;
    f->dev = here->st.st_dev;
    bkc_fly(f);
    *ret = f;
    return BAKE_OK;
}

const char *bkc_file_path(const struct bkc_file *f) { return f->path; }

/* ---- begin ----------------------------------------------------------------------------------- */

static void speak(const struct bkc_file *f, struct bkc_say *say)
{
    say->ctx = f->ctx;
    say->n_shown = 0;
}

/* The entry, as far as bkc_existing() asks. */
static struct bake_entry as_entry(const struct bkc_file *f)
{
    return (struct bake_entry){.struct_size = sizeof(struct bake_entry),
                               .type = BAKE_FILE,
                               .valid = f->meta.valid,
                               .path = f->path,
                               .size = f->size,
                               .mtime_ns = f->meta.mtime_ns};
}

/* What stands at the file's name decides whether its data are wanted at all. */
static int may_put(struct bkc_file *f, struct bkc_say *say)
{
    struct bake_entry e = as_entry(f);
    struct stat st;

    if (f->dir_made) /* nothing can be there but an entry's double, which the end finds */
        return BAKE_OK;
    if (fstatat(f->dirfd, f->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT
                   ? BAKE_OK
                   : bkc_fail_errno(say, errno, "cannot look at '%s'", bkc_show(say, f->path));
    if (!f->x->force)
        return bkc_existing(f->x, say, &e, f->dirfd, f->name, &st);
    if (!S_ISDIR(st.st_mode) || bkc_dir_empty(f->dirfd, f->name))
        return BAKE_OK;
    return bkc_keep_dir(f->x, say, f->path);
}

/* Gives a file without a name a temporary one. 0 or an errno. */
static int name_it(struct bkc_file *f)
{
    int e = EEXIST;

    for (int i = 0; i < TRIES && e == EEXIST; i++) {
        bkc_tmp_name(f->x, f->tmp);
        e = linkat(f->fd, "", f->dirfd, f->tmp, AT_EMPTY_PATH) == 0 ? 0 : errno;
    }
    if (e != 0)
        f->tmp[0] = '\0';
    return e;
}

/* Without a name, where that works: cheaper, and nothing is left behind by a crash. On the first
 * file it is found out, by giving it one at once. */
static bool open_unnamed(struct bkc_file *f, mode_t mode)
{
    int way = bkc_unnamed(f->x, f->dev);
    bool works;

    if (way == BKC_NO)
        return false;
    f->fd = openat(f->dirfd, ".", O_WRONLY | O_TMPFILE | O_CLOEXEC, mode);
    if (way == BKC_YES)
        return f->fd >= 0;
    works = f->fd >= 0 && name_it(f) == 0;
    bkc_unnamed_learn(f->x, f->dev, works);
    if (works)
        return true;
    if (f->fd >= 0)
        (void)close(f->fd);
    f->fd = -1;
    return false;
}

static void open_named(struct bkc_file *f, mode_t mode)
{
    for (int i = 0; i < TRIES && f->fd < 0; i++) {
        bkc_tmp_name(f->x, f->tmp);
        f->fd =
            openat(f->dirfd, f->tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
        if (f->fd < 0 && errno != EEXIST)
            return;
    }
}

/* What it is like now: as the others in its directory, or looked at. */
static int know(struct bkc_file *f, mode_t asked)
{
    struct bkc_extract *x = f->x;
    struct stat st;

    f->obj.fd = f->fd;
    f->obj.dirfd = -1;
    f->obj.path = f->path;
    f->obj.type = BAKE_FILE;
    f->obj.drop_acl = f->default_acl;
    f->obj.mode = asked & ~x->umask;
    if (f->knows_owner && x->knows_umask && !f->default_acl)
        return 0;
    if (fstat(f->fd, &st) < 0)
        return errno;
    bkc_obj_of(&f->obj, &st);
    bkc_owner_known(f);
    return 0;
}

int bkc_file_begin(struct bkc_file *f, struct bake_ctx *ctx)
{
    mode_t mode = 0600; /* nobody else can open what has no name; attributes need 'w' */
    struct bkc_say say;
    int rc, e;

    f->ctx = ctx;
    speak(f, &say);
    rc = may_put(f, &say);
    if (rc != BAKE_OK)
        return rc;
    if (!f->meta.xattrs_size && bkc_unnamed(f->x, f->dev) == BKC_YES)
        mode = f->meta.mode & 0777;
    if (!open_unnamed(f, mode)) {
        mode = 0600;
        open_named(f, mode);
    }
    if (f->fd < 0)
        return bkc_fail_errno(&say, errno, "cannot make '%s'", bkc_show(&say, f->path));
    f->touched = true;
    e = know(f, mode);
    return e == 0 ? BAKE_OK
                  : bkc_fail_errno(&say, e, "cannot look at '%s'", bkc_show(&say, f->path));
}

/* ---- data ------------------------------------------------------------------------------------ */

int bkc_file_write(struct bkc_file *f, struct bake_in *in)
{
    struct bkc_say say;

    speak(f, &say);
    while (in->pos < in->size) {
        const struct bake_extent *e;
        uint64_t n = in->size - in->pos;
        ssize_t put;

        for (; f->at < f->n_extents && f->at_done == f->extents[f->at].length; f->at++)
            f->at_done = 0;
        if (f->at == f->n_extents)
            return bake_fail(f->ctx, BAKE_E_CORRUPT, "'%s' has more data than its size says",
                             bkc_show(&say, f->path));
        e = &f->extents[f->at];
        if (n > e->length - f->at_done)
            n = e->length - f->at_done;
        put = pwrite(f->fd, (const char *)in->data + in->pos, n, (off_t)(e->offset + f->at_done));
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return bkc_fail_errno(&say, put < 0 ? errno : ENOSPC, "cannot write '%s'",
                                  bkc_show(&say, f->path));
        in->pos += (size_t)put;
        f->at_done += (uint64_t)put;
        f->end = e->offset + f->at_done;
        f->bytes += (uint64_t)put;
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

/* ---- end ------------------------------------------------------------------------------------- */

static int found_late(struct bkc_file *f, struct bkc_say *say)
{
    struct bake_entry e = as_entry(f);
    struct stat st;

    if (fstatat(f->dirfd, f->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return bkc_fail_errno(say, errno, "cannot look at '%s'", bkc_show(say, f->path));
    if (bkc_existing(f->x, say, &e, f->dirfd, f->name, &st) < 0)
        return BAKE_E_EXISTS;
    return bake_fail(f->ctx, BAKE_E_EXISTS, "'%s' is there already", bkc_show(say, f->path));
}

/* 0 or an errno. */
static int to_its_name(struct bkc_file *f)
{
    int e;

    if (!f->tmp[0]) {
        e = linkat(f->fd, "", f->dirfd, f->name, AT_EMPTY_PATH) == 0 ? 0 : errno;
        if (e != EEXIST || !f->x->force)
            return e;
        e = name_it(f);
        if (e != 0)
            return e;
    }
    return f->x->force ? bkc_place_over(f->dirfd, f->tmp, f->name)
                       : bkc_place_new(f->x, f->dirfd, f->tmp, f->name);
}

static int place(struct bkc_file *f, struct bkc_say *say)
{
    int e = to_its_name(f);

    f->placed = e == 0;
    if (e == 0)
        return BAKE_OK;
    if (e == EEXIST && !f->x->force)
        return found_late(f, say);
    if (e == EEXIST || e == ENOTEMPTY)
        return bkc_keep_dir(f->x, say, f->path);
    return bkc_fail_errno(say, e, "cannot put '%s' in its place", bkc_show(say, f->path));
}

static int finish(struct bkc_file *f, struct bkc_say *say)
{
    int rc;

    if (!complete(f))
        return bake_fail(f->ctx, BAKE_E_CORRUPT, "'%s' has less data than its size says",
                         bkc_show(say, f->path));
    if (f->size > f->end && ftruncate(f->fd, (off_t)f->size) < 0)
        return bkc_fail_errno(say, errno, "cannot set the size of '%s'", bkc_show(say, f->path));
    bkc_meta_set(f->x, say, &f->meta, &f->obj);
    rc = place(f, say);
    if (rc < 0)
        return rc;
    rc = close(f->fd);
    f->fd = -1;
    if (rc < 0 && errno != EINTR) {
        rc = errno;
        (void)unlinkat(f->dirfd, f->name, 0);
        f->placed = false;
        return bkc_fail_errno(say, rc, "cannot finish '%s'", bkc_show(say, f->path));
    }
    return BAKE_OK;
}

/* Closes it and lets go of its directory; one that is not in its place goes. */
static void let_go(struct bkc_file *f)
{
    if (f->fd >= 0) {
        (void)close(f->fd);
        if (f->tmp[0])
            (void)unlinkat(f->dirfd, f->tmp, 0);
    }
    f->fd = -1;
    bkc_land(f);
}

int bkc_file_end(struct bkc_file *f, int good)
{
    struct bkc_say say;
    int rc = BAKE_OK;

    speak(f, &say);
    if (f->fd < 0)
        rc = bake_fail(f->ctx, BAKE_E_INTERNAL, "a file was ended that was not begun");
    else if (good)
        rc = finish(f, &say);
    let_go(f);
    return rc;
}

void bkc_file_free(struct bkc_file *f)
{
    if (!f)
        return;
    let_go(f);
    free(f);
}
