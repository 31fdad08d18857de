/* stat and the names of users and groups. */
#include "walk/meta.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* ---- stat ------------------------------------------------------------------------------------ */

static int64_t nanoseconds(const struct statx_timestamp *t)
{
    return (int64_t)((uint64_t)t->tv_sec * 1000000000u + t->tv_nsec);
}

int bkc_walk_stat(int fd, const char *name, struct bkc_walk_stat *ret)
{
    struct statx sx;
    int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | (*name ? 0 : AT_EMPTY_PATH);
    if (statx(fd, name, flags, STATX_BASIC_STATS | STATX_BTIME, &sx) != 0)
        return errno;
    *ret = (struct bkc_walk_stat){
        .mode = sx.stx_mode,
        .uid = sx.stx_uid,
        .gid = sx.stx_gid,
        .dev = makedev(sx.stx_dev_major, sx.stx_dev_minor),
        .rdev = makedev(sx.stx_rdev_major, sx.stx_rdev_minor),
        .ino = sx.stx_ino,
        .nlink = sx.stx_nlink,
        .size = sx.stx_size,
        .allocated = sx.stx_blocks * 512,
        .mtime_ns = nanoseconds(&sx.stx_mtime),
        .ctime_ns = nanoseconds(&sx.stx_ctime),
        .born_ns = (sx.stx_mask & STATX_BTIME) ? nanoseconds(&sx.stx_btime) : 0,
        /* kernels before 5.8 do not say: there another device is taken for a mount */
        .mount = !(sx.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) ||
                 (sx.stx_attributes & STATX_ATTR_MOUNT_ROOT),
    };
    return 0;
}

int bkc_walk_open_quiet(int dirfd, const char *name, int flags)
{
    flags |= O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    int fd = openat(dirfd, name, flags | O_NOATIME);
    return fd < 0 && errno == EPERM ? openat(dirfd, name, flags) : fd;
}

bool bkc_walk_same_object(const struct bkc_walk_stat *a, const struct bkc_walk_stat *b)
{
    return a->dev == b->dev && a->ino == b->ino && a->born_ns == b->born_ns &&
           (a->mode & S_IFMT) == (b->mode & S_IFMT);
}

bool bkc_walk_unchanged(const struct bkc_walk_stat *a, const struct bkc_walk_stat *b)
{
    return bkc_walk_same_object(a, b) && a->size == b->size && a->mtime_ns == b->mtime_ns &&
           a->ctime_ns == b->ctime_ns;
}

void bkc_walk_stat_entry(const struct bkc_walk_stat *st, struct bake_entry *e)
{
    e->valid |= BAKE_HAS_MODE | BAKE_HAS_OWNER | BAKE_HAS_MTIME | BAKE_HAS_CTIME | BAKE_HAS_INODE;
    e->mode = st->mode & 07777;
    e->uid = st->uid;
    e->gid = st->gid;
    e->size = S_ISREG(st->mode) ? st->size : 0;
    e->inode = st->ino;
    e->device = st->dev;
    e->nlink = st->nlink;
    e->mtime_ns = st->mtime_ns;
    e->ctime_ns = st->ctime_ns;
    if (S_ISCHR(st->mode) || S_ISBLK(st->mode)) {
        e->dev_major = major(st->rdev);
        e->dev_minor = minor(st->rdev);
    }
}

/* ---- users and groups ------------------------------------------------------------------------ */

/* 0, with *ret NULL when the system does not know the id; or ENOMEM. */
static int look_up(uint32_t id, bool group, char **ret)
{
    size_t cap = 1024;
    for (;;) {
        char *buf = malloc(cap);
        if (!buf)
            return ENOMEM;
        struct passwd pw, *user = NULL;
        struct group gr, *grp = NULL;
        int rc = group ? getgrgid_r(id, &gr, buf, cap, &grp) : getpwuid_r(id, &pw, buf, cap, &user);
        const char *name = grp ? grp->gr_name : user ? user->pw_name : NULL;
        if (rc == ERANGE && cap < (1u << 24)) { /* a group with very many members */
            free(buf);
            cap *= 4;
            continue;
        }
        *ret = rc == 0 && name ? strdup(name) : NULL;
        free(buf);
        return rc == 0 && name && !*ret ? ENOMEM : 0;
    }
}

static int name_of(struct bkc_walk_id *slots, uint32_t id, bool group, const char **ret)
{
    struct bkc_walk_id *slot = &slots[(id ^ id >> 6) % BKC_WALK_ID_SLOTS];
    if (!slot->known || slot->id != id) {
        char *name = NULL;
        int rc = look_up(id, group, &name);
        if (rc != 0)
            return rc;
        free(slot->name);
        *slot = (struct bkc_walk_id){.id = id, .known = true, .name = name};
    }
    *ret = slot->name;
    return 0;
}

int bkc_walk_ids_entry(struct bkc_walk_ids *ids, struct bake_entry *e)
{
    int rc = name_of(ids->users, e->uid, false, &e->user);
    return rc != 0 ? rc : name_of(ids->groups, e->gid, true, &e->group);
}

void bkc_walk_ids_free(struct bkc_walk_ids *ids)
{
    for (size_t i = 0; i < BKC_WALK_ID_SLOTS; i++) {
        free(ids->users[i].name);
        free(ids->groups[i].name);
    }
}
