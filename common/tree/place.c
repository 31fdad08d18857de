/* Names: temporary ones, putting things in their place, what is there already. */
#include "tree/impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

void bkc_tmp_name(struct bkc_extract *x, char out[BKC_TMP_CAP])
{
    const uint64_t step = 0x9e3779b97f4a7c15u; /* unlikely to repeat; O_EXCL does the rest */
    uint64_t z = atomic_fetch_add(&x->random, step) + step;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    (void)snprintf(out, BKC_TMP_CAP, ".bake-%08x.tmp", (unsigned)(z >> 32));
}

int bkc_place_new(struct bkc_extract *x, int dirfd, const char *tmp, const char *name)
{
    struct stat st;

    if (!atomic_load(&x->no_noreplace)) {
        if (renameat2(dirfd, tmp, dirfd, name, RENAME_NOREPLACE) == 0)
            return 0;
        if (errno != EINVAL && errno != ENOSYS)
            return errno;
        atomic_store(&x->no_noreplace, true);
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

int bkc_existing(struct bkc_extract *x, struct bkc_say *say, const struct bake_entry *e, int dirfd,
                 const char *name, const struct stat *st)
{
    if (same(x, e, dirfd, name, st)) {
        bkc_count(x, &x->counts.same, 1);
        return BAKE_END;
    }
    bkc_count(x, &x->counts.kept, 1);
    return bake_fail(say->ctx, BAKE_E_EXISTS, "'%s' exists and is kept", bkc_show(say, e->path));
}

int bkc_keep_dir(struct bkc_extract *x, struct bkc_say *say, const char *path)
{
    bkc_count(x, &x->counts.kept, 1);
    return bake_fail(say->ctx, BAKE_E_EXISTS, "'%s' is a directory that is not empty and is kept",
                     bkc_show(say, path));
}
