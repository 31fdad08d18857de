/* Is a directory of this machine the one that a container has? */
#include "tree_impl.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TRIES    8 /* at what changes meanwhile */
#define CHILDREN 4 /* of a directory that are compared */

const char dk_why_replaced[] = "the container's processes have another directory there";

int dk_open_inside(int fd, const char *rest, int flags)
{
    int ret = bkc_open_inside(fd, rest, flags);
    return ret < 0 ? -errno : ret;
}

/* ---- comparing ------------------------------------------------------------------------------- */

static bool equal(const struct stat *a, const struct dk_stat *b)
{
    int64_t mtime = (int64_t)a->st_mtim.tv_sec * 1000000000 + a->st_mtim.tv_nsec;
    return (a->st_mode & (S_IFMT | 07777)) == (b->mode & (S_IFMT | 07777)) &&
           mtime == b->mtime_ns && (!S_ISREG(a->st_mode) || (uint64_t)a->st_size == b->size);
}

static bool still(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_mode == b->st_mode && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* What the container has at path and what name in fd is ("" for fd). OK: the same; BAKE_END: not;
 * BAKE_E_NOTFOUND: it changes too fast, or is gone. */
static int compare(struct dk_source *s, struct bake_ctx *ctx, const char *id, const char *path,
                   int fd, const char *name)
{
    int flags = AT_SYMLINK_NOFOLLOW | (*name ? 0 : AT_EMPTY_PATH);
    struct stat before, after;
    for (int tries = 0; tries < TRIES; tries++) {
        struct dk_stat there = {0};
        if (fstatat(fd, name, &before, flags) != 0)
            return BAKE_E_NOTFOUND;
        int rc = dk_archive_stat(s->api, ctx, id, path, &there);
        bool gone = fstatat(fd, name, &after, flags) != 0;
        bool match = rc == BAKE_OK && (equal(&before, &there) || (!gone && equal(&after, &there)));
        dk_stat_release(&there);
        if (rc != BAKE_OK && rc != BAKE_E_NOTFOUND)
            return rc;
        if (match)
            return BAKE_OK;
        if (gone)
            return BAKE_E_NOTFOUND;
        if (still(&before, &after))
            return BAKE_END;
    }
    return BAKE_E_NOTFOUND;
}

static int compare_child(struct dk_source *s, struct bake_ctx *ctx, const char *id,
                         const char *path, int fd, const char *name)
{
    char *child = NULL;
    if (asprintf(&child, "%s/%s", strcmp(path, "/") == 0 ? "" : path, name) < 0)
        return dk_nomem(ctx);
    int rc = compare(s, ctx, id, child, fd, name);
    free(child);
    return rc;
}

/* The directory fd and some of what is in it are, to the nanosecond, as the daemon says. */
static int compare_all(struct dk_source *s, struct bake_ctx *ctx, const char *id, const char *path,
                       int fd, const char **ret_why)
{
    *ret_why = "the directory of that name here is another one, or changes all the time";
    int rc = compare(s, ctx, id, path, fd, "");
    int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
    int readable = rc == BAKE_OK ? openat(fd, ".", flags | O_NOATIME) : -1;
    if (rc == BAKE_OK && readable < 0 && errno == EPERM)
        readable = openat(fd, ".", flags);
    DIR *d = readable >= 0 ? fdopendir(readable) : NULL;
    if (rc == BAKE_OK && !d) {
        *ret_why = "this process may not read the directory";
        rc = BAKE_END;
    }
    if (readable >= 0 && !d)
        (void)close(readable);
    struct dirent *e;
    for (int n = 0; rc == BAKE_OK && n < CHILDREN && (e = readdir(d)) != NULL;) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        rc = compare_child(s, ctx, id, path, fd, e->d_name);
        n++;
        if (rc == BAKE_E_NOTFOUND)
            rc = BAKE_OK; /* says nothing */
    }
    if (d)
        (void)closedir(d);
    return rc == BAKE_E_NOTFOUND ? BAKE_END : rc;
}

/* ---- where a mount's data are ---------------------------------------------------------------- */

/* Below volumes, without another mount on the way: what is mounted here may not be there. */
static int open_volume(int volumes, const char *name)
{
    struct open_how how = {
        .flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS,
    };
    char *path = NULL;
    if (strchr(name, '/') || asprintf(&path, "%s/_data", name) < 0) {
        errno = EINVAL;
        return -1;
    }
    int fd = (int)syscall(SYS_openat2, volumes, path, &how, sizeof(how));
    free(path);
    return fd;
}

static const char *why_not(int error)
{
    return error == EACCES || error == EPERM ? "this process may not look into it"
           : error == EXDEV                  ? "something is mounted on it here"
           : error == ENOSYS                 ? "this system lacks openat2()"
                                             : "it is not there in this process's view";
}

static const char *volume_elsewhere(const json_t *volume)
{
    const char *driver = json_string_value(json_object_get(volume, "Driver"));
    if (!driver || strcmp(driver, "local") != 0)
        return "the volume's driver keeps the data elsewhere";
    if (json_object_size(json_object_get(volume, "Options")) > 0)
        return "the volume is mounted by the daemon while it is used";
    return NULL;
}

/* OK: *ret_fd is the volume's root, as far as the name says. */
static int volume_root(struct dk_source *s, struct bake_ctx *ctx, const char *name,
                       enum dk_proof level, int *ret_fd, const char **ret_why)
{
    json_t *volume = NULL;
    char *quoted = dk_quote(name), *path = NULL;
    if (!quoted || asprintf(&path, "/volumes/%s", quoted) < 0)
        path = NULL;
    free(quoted);
    int rc = path ? dk_get(s->api, ctx, path, &volume) : dk_nomem(ctx);
    free(path);
    if (rc != BAKE_OK)
        return rc;
    const char *mountpoint = json_string_value(json_object_get(volume, "Mountpoint"));
    *ret_why = volume_elsewhere(volume);
    if (!*ret_why) {
        int volumes = level == DK_PROOF_VOLUMES ? dk_proof_volumes_fd(s) : -1;
        *ret_fd = level == DK_PROOF_VOLUMES
                      ? open_volume(volumes, name)
                      : open(mountpoint ? mountpoint : "", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (*ret_fd < 0)
            *ret_why = why_not(errno);
        if (volumes >= 0)
            (void)close(volumes);
    }
    json_decref(volume);
    return *ret_why ? BAKE_END : BAKE_OK;
}

static int mount_root(struct dk_source *s, struct bake_ctx *ctx, const struct dk_mount *m,
                      int *ret_fd, const char **ret_why)
{
    enum dk_proof level = DK_PROOF_UNKNOWN;
    int rc = dk_proof_level(s, ctx, &level, ret_why);
    if (rc != BAKE_OK || level == DK_PROOF_NONE)
        return rc != BAKE_OK ? rc : BAKE_END;
    if (m->name && strcmp(m->type, "volume") == 0)
        return volume_root(s, ctx, m->name, level, ret_fd, ret_why);
    if (strcmp(m->type, "bind") != 0 || !m->source || *m->source != '/') {
        *ret_why = "it is on a mount of another kind";
        return BAKE_END;
    }
    if (level != DK_PROOF_NAMESPACE)
        return BAKE_END;
    *ret_fd = open(m->source, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (*ret_fd < 0)
        *ret_why = errno == ENOTDIR ? "a single file is mounted there" : why_not(errno);
    return *ret_fd < 0 ? BAKE_END : BAKE_OK;
}

/* ---- the proofs ------------------------------------------------------------------------------ */

/* Other mounts of the container below path are not in the directory, as the host has it. */
static bool has_mounts_below(const struct dk_container *c, const char *path)
{
    for (size_t i = 0; i < c->n_mounts; i++) {
        const char *at = c->mounts[i].destination;
        if (strcmp(at, path) != 0 && bkc_path_within(strcmp(path, "/") == 0 ? "" : path, at))
            return true;
    }
    return false;
}

static int agree(struct dk_source *s, struct bake_ctx *ctx, const struct dk_container *c,
                 const char *path, int fd, const char **ret_why)
{
    int rc = dk_proof_process(c, path, fd);
    if (rc == BAKE_E_NOTFOUND)
        return compare_all(s, ctx, c->id, path, fd, ret_why);
    if (rc == BAKE_END)
        *ret_why = dk_why_replaced;
    return rc;
}

int dk_prove_directory(struct dk_source *s, struct bake_ctx *ctx, const struct dk_container *c,
                       const char *path, int *ret_fd, const char **ret_why)
{
    const char *rest = NULL, *why = NULL;
    const struct dk_mount *m = dk_mount_of(c, path, &rest);
    int root = -1, fd = -1, rc = BAKE_END;
    if (!m)
        why = "it lies in the container's image";
    else if (has_mounts_below(c, path))
        why = "other mounts of the container lie below it";
    else
        rc = mount_root(s, ctx, m, &root, &why);
    if (rc == BAKE_OK) {
        fd = bkc_open_inside(root, rest, O_PATH | O_DIRECTORY);
        if (fd < 0) {
            why = why_not(errno);
            rc = BAKE_END;
        }
    }
    if (rc == BAKE_OK)
        rc = agree(s, ctx, c, path, fd, &why);
    if (root >= 0)
        (void)close(root);
    if (rc == BAKE_OK)
        *ret_fd = fd;
    else if (fd >= 0)
        (void)close(fd);
    if (ret_why)
        *ret_why = rc == BAKE_END ? why : NULL;
    return rc;
}

/* Where not all paths are the daemon's, it may see something mounted on the volume that we do not:
 * a container of our own asks. */
static int agree_volume(struct dk_source *s, struct bake_ctx *ctx, const char *volume, int fd,
                        const char **ret_why)
{
    char *helper = NULL;
    int rc = dk_helper_make(s, ctx, volume, &helper);
    if (rc == BAKE_OK)
        rc = compare_all(s, ctx, helper, DK_HELPER_TARGET, fd, ret_why);
    dk_helper_remove(s, ctx, helper);
    return rc;
}

int dk_prove_volume(struct dk_source *s, struct bake_ctx *ctx, const char *volume, int *ret_fd,
                    const char **ret_why)
{
    enum dk_proof level = DK_PROOF_UNKNOWN;
    const char *why = NULL;
    int fd = -1;
    int rc = dk_proof_level(s, ctx, &level, &why);
    if (rc == BAKE_OK && level == DK_PROOF_NONE)
        rc = BAKE_END;
    if (rc == BAKE_OK)
        rc = volume_root(s, ctx, volume, level, &fd, &why);
    if (rc == BAKE_OK && level != DK_PROOF_NAMESPACE)
        rc = agree_volume(s, ctx, volume, fd, &why);
    if (rc == BAKE_OK)
        *ret_fd = fd;
    else if (fd >= 0)
        (void)close(fd);
    if (ret_why)
        *ret_why = rc == BAKE_END ? why : NULL;
    return rc;
}
