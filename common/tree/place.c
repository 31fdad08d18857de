/* Names: temporary ones, putting things in their place, what is there already; and whatever is
 * made by one call: links, devices, FIFOs. */
#include "tree/impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

void bkc_tmp_name(struct bkc_extract *x, char out[BKC_TMP_CAP])
{
    uint64_t z = x->random += 0x9e3779b97f4a7c15u; /* unlikely to repeat; O_EXCL does the rest */

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    (void)snprintf(out, BKC_TMP_CAP, ".bake-%08x.tmp", (unsigned)(z >> 32));
}

int bkc_place_new(struct bkc_extract *x, int dirfd, const char *tmp, const char *name)
{
    struct stat st;

    if (!x->no_noreplace) {
        if (renameat2(dirfd, tmp, dirfd, name, RENAME_NOREPLACE) == 0)
            return 0;
        if (errno != EINVAL && errno != ENOSYS)
            return errno;
        x->no_noreplace = true;
    }
    if (linkat(dirfd, tmp, dirfd, name, 0) == 0)
        return unlinkat(dirfd, tmp, 0) == 0 ? 0 : errno;
    if (errno == EEXIST)
        return EEXIST;
    /* a file system that knows neither: look, then rename */
    if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
        return EEXIST;
    return renameat(dirfd, tmp, dirfd, name) == 0 ? 0 : errno;
}

int bkc_place_over(int dirfd, const char *tmp, const char *name)
{
    if (renameat(dirfd, tmp, dirfd, name) == 0)
        return 0;
    if (errno != EISDIR)
        return errno;
    if (unlinkat(dirfd, name, AT_REMOVEDIR) < 0)
        return errno;
    return renameat(dirfd, tmp, dirfd, name) == 0 ? 0 : errno;
}

/* ---- what is there --------------------------------------------------------------------------- */

static bool same_link(const struct bake_entry *e, int dirfd, const char *name,
                      const struct stat *st)
{
    char text[4097];
    size_t n = strlen(e->link);
    ssize_t got;

    if (!S_ISLNK(st->st_mode) || n >= sizeof(text))
        return false;
    got = readlinkat(dirfd, name, text, sizeof(text));
    return got == (ssize_t)n && memcmp(text, e->link, n) == 0;
}

static bool same_inode(struct bkc_extract *x, const struct bake_entry *e, const struct stat *st)
{
    const char *target;
    struct stat first;
    int fd, own = -1;
    bool same = bkc_dirs_find(x, e->link, &fd, &own, &target) == 0 &&
                fstatat(fd, target, &first, AT_SYMLINK_NOFOLLOW) == 0 &&
                first.st_ino == st->st_ino && first.st_dev == st->st_dev;

    if (own >= 0)
        (void)close(own);
    return same;
}

static bool same_file(const struct bake_entry *e, const struct stat *st)
{
    return S_ISREG(st->st_mode) && (e->valid & BAKE_HAS_MTIME) &&
           (uint64_t)st->st_size == e->size &&
           (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec == e->mtime_ns;
}

static bool same(struct bkc_extract *x, const struct bake_entry *e, int dirfd, const char *name,
                 const struct stat *st)
{
    switch (e->type) {
    case BAKE_FILE:
        return same_file(e, st);
    case BAKE_SYMLINK:
        return same_link(e, dirfd, name, st);
    case BAKE_HARDLINK:
        return same_inode(x, e, st);
    case BAKE_CHARDEV:
        return S_ISCHR(st->st_mode) && st->st_rdev == makedev(e->dev_major, e->dev_minor);
    case BAKE_BLOCKDEV:
        return S_ISBLK(st->st_mode) && st->st_rdev == makedev(e->dev_major, e->dev_minor);
    case BAKE_FIFO:
        return S_ISFIFO(st->st_mode);
    default:
        return false;
    }
}

int bkc_existing(struct bkc_extract *x, const struct bake_entry *e, int dirfd, const char *name,
                 const struct stat *st)
{
    if (same(x, e, dirfd, name, st)) {
        x->counts.same++;
        return BAKE_END;
    }
    x->counts.kept++;
    return bake_fail(x->ctx, BAKE_E_EXISTS, "'%s' exists and is kept", bkc_show(x, e->path));
}

/* ---- made by one call ------------------------------------------------------------------------ */

/* 0 or an errno. */
static int make_hard_link(struct bkc_extract *x, const struct bake_entry *e, const char *name)
{
    const char *target;
    struct stat st;
    int fd, own = -1, no = bkc_dirs_find(x, e->link, &fd, &own, &target);

    if (no == 0 && fstatat(fd, target, &st, AT_SYMLINK_NOFOLLOW) < 0)
        no = errno;
    if (no == 0 && S_ISDIR(st.st_mode))
        no = EISDIR;
    if (no == 0 && linkat(fd, target, bkc_here(x)->fd, name, 0) < 0)
        no = errno;
    if (own >= 0)
        (void)close(own);
    return no;
}

static int make(struct bkc_extract *x, const struct bake_entry *e, const char *name)
{
    int fd = bkc_here(x)->fd, rc;
    mode_t type = e->type == BAKE_CHARDEV ? S_IFCHR : e->type == BAKE_BLOCKDEV ? S_IFBLK : S_IFIFO;

    if (e->type == BAKE_HARDLINK)
        return make_hard_link(x, e, name);
    if (e->type == BAKE_SYMLINK)
        rc = symlinkat(e->link, fd, name);
    else
        rc = mknodat(fd, name, type | 0600,
                     type == S_IFIFO ? 0 : makedev(e->dev_major, e->dev_minor));
    return rc == 0 ? 0 : errno;
}

static int cannot_make(struct bkc_extract *x, const struct bake_entry *e, int no)
{
    const char *path = bkc_show(x, e->path);

    switch (e->type) {
    case BAKE_HARDLINK:
        if (no == ENOTDIR || no == ELOOP)
            return bake_fail(x->ctx, BAKE_E_IO,
                             "refused hard link '%s': the way to '%s' is not made of directories",
                             path, bkc_show(x, e->link));
        return bkc_fail_errno(x, no, "cannot make hard link '%s' to '%s'", path,
                              bkc_show(x, e->link));
    case BAKE_SYMLINK:
        return bkc_fail_errno(x, no, "cannot make symbolic link '%s'", path);
    case BAKE_FIFO:
        return bkc_fail_errno(x, no, "cannot make FIFO '%s'", path);
    default:
        if (no == EPERM && x->euid != 0)
            return bake_fail(x->ctx, BAKE_E_IO, "cannot make device '%s': this needs root", path);
        return bkc_fail_errno(x, no, "cannot make device '%s'", path);
    }
}

static void set_meta(struct bkc_extract *x, const struct bake_entry *e, const char *name)
{
    struct bkc_obj o = {
        .fd = -1, .dirfd = bkc_here(x)->fd, .name = name, .path = e->path, .type = e->type};
    struct bkc_meta m;
    struct stat st;

    if (e->type == BAKE_HARDLINK) /* its first name has them */
        return;
    bkc_meta_of(x, e, &m);
    if (fstatat(o.dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        bkc_obj_of(&o, &st);
        bkc_meta_set(x, &m, &o);
    }
}

/* With force, where something stands: made under another name first. */
static int node_over(struct bkc_extract *x, const struct bake_entry *e)
{
    int fd = bkc_here(x)->fd, no;
    char tmp[BKC_TMP_CAP];

    do {
        bkc_tmp_name(x, tmp);
        no = make(x, e, tmp);
    } while (no == EEXIST);
    if (no != 0)
        return cannot_make(x, e, no);
    set_meta(x, e, tmp);
    no = bkc_place_over(fd, tmp, x->name);
    if (no != 0 ||
        e->type == BAKE_HARDLINK) /* renaming one name of a file to another does nothing */
        (void)unlinkat(fd, tmp, 0);
    if (no == ENOTEMPTY || no == EEXIST) {
        x->counts.kept++;
        return bake_fail(x->ctx, BAKE_E_EXISTS, "'%s' is a directory that is not empty and is kept",
                         bkc_show(x, e->path));
    }
    return no == 0 ? BAKE_OK : cannot_make(x, e, no);
}

int bkc_node_put(struct bkc_extract *x, const struct bake_entry *e)
{
    int fd = bkc_here(x)->fd, rc = BAKE_OK, no;
    struct stat st;

    no = make(x, e, x->name);
    if (no == EEXIST && !x->force && fstatat(fd, x->name, &st, AT_SYMLINK_NOFOLLOW) == 0)
        return bkc_existing(x, e, fd, x->name, &st);
    if (no == EEXIST)
        rc = node_over(x, e);
    else if (no != 0)
        return cannot_make(x, e, no);
    else
        set_meta(x, e, x->name);
    if (rc < 0)
        return rc;
    bkc_here(x)->touched = true;
    if (e->type == BAKE_SYMLINK || e->type == BAKE_HARDLINK)
        x->counts.links++;
    else
        x->counts.others++;
    return BAKE_OK;
}
