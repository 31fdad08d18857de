/* What is made by one call: links, devices, FIFOs. */
#include "tree/impl.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

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
    const char *path = bkc_show(&x->say, e->path);

    switch (e->type) {
    case BAKE_HARDLINK:
        if (no == ENOTDIR || no == ELOOP)
            return bake_fail(x->say.ctx, BAKE_E_IO,
                             "refused hard link '%s': the way to '%s' is not made of directories",
                             path, bkc_show(&x->say, e->link));
        return bkc_fail_errno(&x->say, no, "cannot make hard link '%s' to '%s'", path,
                              bkc_show(&x->say, e->link));
    case BAKE_SYMLINK:
        return bkc_fail_errno(&x->say, no, "cannot make symbolic link '%s'", path);
    case BAKE_FIFO:
        return bkc_fail_errno(&x->say, no, "cannot make FIFO '%s'", path);
    default:
        if (no == EPERM && x->euid != 0)
            return bake_fail(x->say.ctx, BAKE_E_IO, "cannot make device '%s': this needs root",
                             path);
        return bkc_fail_errno(&x->say, no, "cannot make device '%s'", path);
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
        bkc_meta_set(x, &x->say, &m, &o);
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
    if (no == ENOTEMPTY || no == EEXIST)
        return bkc_keep_dir(x, &x->say, e->path);
    return no == 0 ? BAKE_OK : cannot_make(x, e, no);
}

int bkc_node_put(struct bkc_extract *x, const struct bake_entry *e)
{
    int fd = bkc_here(x)->fd, rc = BAKE_OK, no;
    struct stat st;

    if (e->type == BAKE_HARDLINK)
        bkc_await_path(x, e->link);
    no = make(x, e, x->name);
    if (no == EEXIST && !x->force && fstatat(fd, x->name, &st, AT_SYMLINK_NOFOLLOW) == 0)
        return bkc_existing(x, &x->say, e, fd, x->name, &st);
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
        bkc_count(x, &x->counts.links, 1);
    else
        bkc_count(x, &x->counts.others, 1);
    return BAKE_OK;
}
