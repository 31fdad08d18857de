/* Owner, mode, extended attributes and times of what was made. What cannot be set is reported,
 * never a failure: the data are there. */
#include "tree/impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#define ACL_ACCESS  "system.posix_acl_access"
#define ACL_DEFAULT "system.posix_acl_default"
#define NS          1000000000LL

void bkc_meta_of(struct bkc_extract *x, const struct bake_entry *e, struct bkc_meta *ret)
{
    memset(ret, 0, sizeof(*ret));
    ret->valid = e->valid;
    ret->mode = e->valid & BAKE_HAS_MODE ? e->mode & 07777 : x->parent_mode & 0666;
    ret->mtime_ns = e->mtime_ns;
    if (e->valid & BAKE_HAS_OWNER) {
        ret->uid = bkc_ids_user(x->ids, e->user, e->uid);
        ret->gid = bkc_ids_group(x->ids, e->group, e->gid);
    }
    if (e->valid & BAKE_HAS_XATTRS) {
        ret->xattrs = (void *)(uintptr_t)e->xattrs; /* only read */
        ret->xattrs_size = e->xattrs ? e->xattrs_size : 0;
    }
}

int bkc_meta_own(struct bkc_meta *m)
{
    void *copy;

    if (!m->xattrs_size) {
        m->xattrs = NULL;
        return 0;
    }
    copy = malloc(m->xattrs_size);
    if (!copy)
        return -1;
    memcpy(copy, m->xattrs, m->xattrs_size);
    m->xattrs = copy;
    return 0;
}

void bkc_obj_of(struct bkc_obj *o, const struct stat *st)
{
    o->uid = st->st_uid;
    o->gid = st->st_gid;
    o->mode = st->st_mode & 07777;
}

static int chown_obj(const struct bkc_obj *o, uid_t uid, gid_t gid)
{
    int rc = o->fd >= 0 ? fchown(o->fd, uid, gid)
                        : fchownat(o->dirfd, o->name, uid, gid, AT_SYMLINK_NOFOLLOW);

    return rc < 0 ? errno : 0;
}

static void owner_lost(struct bkc_extract *x, struct bkc_say *say, int e)
{
    bool told;

    (void)pthread_mutex_lock(&x->lock);
    told = x->owner_told;
    x->owner_told = true;
    (void)pthread_mutex_unlock(&x->lock);
    if (told)
        return;
    if (x->euid != 0)
        bake_report(say->ctx, BAKE_NOTICE, NULL, "owners are not restored: this needs root");
    else
        bake_report(say->ctx, BAKE_NOTICE, NULL, "some owners are not restored: %s", strerror(e));
}

/* True: the object belongs to whom the entry says. */
static bool set_owner(struct bkc_extract *x, struct bkc_say *say, const struct bkc_meta *m,
                      const struct bkc_obj *o)
{
    int e = EPERM;

    if (!(m->valid & BAKE_HAS_OWNER))
        return false;
    if (o->uid == m->uid && o->gid == m->gid)
        return true;
    /* an ordinary user may still choose among his groups */
    if (x->euid == 0 || o->uid == m->uid)
        e = chown_obj(o, o->uid == m->uid ? (uid_t)-1 : m->uid,
                      o->gid == m->gid ? (gid_t)-1 : m->gid);
    if (e == 0)
        return true;
    owner_lost(x, say, e);
    return false;
}

static void set_mode(struct bkc_extract *x, struct bkc_say *say, const struct bkc_meta *m,
                     const struct bkc_obj *o, bool owned)
{
    mode_t mode = m->mode;
    int rc;

    if (o->type == BAKE_SYMLINK)
        return;
    if (!owned && o->type != BAKE_DIR && (mode & (S_ISUID | S_ISGID))) {
        mode &= ~(mode_t)(S_ISUID | S_ISGID);
        bake_report(say->ctx, BAKE_WARNING, o->path,
                    "its set-id bits are dropped, as its owner is not restored");
    }
    if (o->fd >= 0) /* a change of owner may have cleared bits: then it is set again */
        rc = mode == o->mode && !(mode & 07000) ? 0 : fchmod(o->fd, mode);
    else
        rc = fchmodat(o->dirfd, o->name, mode, AT_SYMLINK_NOFOLLOW);
    if (rc < 0)
        bkc_once(x, say, "the mode", o->path, errno);
}

static int xattr_set(const struct bkc_obj *o, const char *name, const void *value, uint32_t n)
{
    char path[300];

    if (o->fd >= 0)
        return fsetxattr(o->fd, name, value, n, 0);
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", o->dirfd, o->name);
    return lsetxattr(path, name, value, n, 0);
}

static bool is_acl(const char *name)
{
    return strcmp(name, ACL_ACCESS) == 0 || strcmp(name, ACL_DEFAULT) == 0;
}

/* ACLs come after the mode; the others before it, as a mode without 'w' refuses user.* even to
 * the owner. */
static void set_xattrs(struct bkc_extract *x, struct bkc_say *say, const struct bkc_meta *m,
                       const struct bkc_obj *o, bool acls)
{
    const char *p = m->xattrs, *name;
    size_t left = m->xattrs_size;
    const void *value;
    uint32_t n;

    while (bkc_xattr_next(&p, &left, &name, &value, &n) > 0) {
        char what[300];

        if (is_acl(name) != acls || xattr_set(o, name, value, n) == 0)
            continue;
        (void)snprintf(what, sizeof(what), "attribute '%s'", name);
        bkc_once(x, say, what, o->path, errno);
    }
}

void bkc_acl_drop(int fd)
{
    (void)fremovexattr(fd, ACL_ACCESS); /* not being there, or not a directory, is fine */
    (void)fremovexattr(fd, ACL_DEFAULT);
}

bool bkc_acl_inherits(int fd) { return fgetxattr(fd, ACL_DEFAULT, NULL, 0) > 0; }

static void set_times(struct bkc_extract *x, struct bkc_say *say, const struct bkc_meta *m,
                      const struct bkc_obj *o)
{
    struct timespec t[2] = {{.tv_nsec = UTIME_OMIT}, {0}};
    int rc;

    if (!(m->valid & BAKE_HAS_MTIME))
        return;
    t[1].tv_sec = (time_t)(m->mtime_ns / NS);
    t[1].tv_nsec = (long)(m->mtime_ns % NS);
    if (t[1].tv_nsec < 0) {
        t[1].tv_nsec += NS;
        t[1].tv_sec--;
    }
    rc = o->fd >= 0 ? futimens(o->fd, t) : utimensat(o->dirfd, o->name, t, AT_SYMLINK_NOFOLLOW);
    if (rc < 0)
        bkc_once(x, say, "the time of change", o->path, errno);
}

void bkc_meta_set(struct bkc_extract *x, struct bkc_say *say, const struct bkc_meta *m,
                  const struct bkc_obj *o)
{
    bool owned = set_owner(x, say, m, o);

    if (m->xattrs_size)
        set_xattrs(x, say, m, o, false);
    if (o->drop_acl && o->fd >= 0 && (m->valid & BAKE_HAS_XATTRS))
        bkc_acl_drop(o->fd);
    set_mode(x, say, m, o, owned);
    if (m->xattrs_size)
        set_xattrs(x, say, m, o, true);
    set_times(x, say, m, o);
}
