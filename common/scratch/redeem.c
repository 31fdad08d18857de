/* What another process promised and could not keep. */
#include "scratch/impl.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TIME_TO_END 5000

struct duty { /* as promised */
    const char *path, *boot;
    json_int_t owner, inode, pid, started;
};

static void end_server(const struct duty *d)
{
    char boot[64];
    pid_t pid = (pid_t)d->pid;
    int pidfd;

    bkc_boot_id(boot, sizeof(boot));
    if (d->pid <= 1 || d->pid != pid || strcmp(boot, d->boot) != 0)
        return;
    pidfd = bkc_pidfd(pid); /* first: what is asked and told from here on is the same process */
    uint64_t started, was = (uint64_t)d->started;
    if (bkc_start_time(pid, &started) && started == was) {
        /* Databases take SIGQUIT as: at once, and with all that belongs to you. */
        if (!bkc_end_process(pid, pidfd, was, SIGQUIT, TIME_TO_END)) {
            (void)kill(-pid, SIGKILL);
            (void)bkc_end_process(pid, pidfd, was, SIGKILL, TIME_TO_END);
        }
    }
    if (pidfd >= 0)
        (void)close(pidfd);
}

/* "bakengine-<word>-<6 characters>" */
static bool is_ours(const char *name)
{
    size_t n = strlen(name), head = strlen(BKC_SCRATCH_PREFIX);

    return n > head + 1 + BKC_SCRATCH_RANDOM && strncmp(name, BKC_SCRATCH_PREFIX, head) == 0 &&
           name[n - BKC_SCRATCH_RANDOM - 1] == '-';
}

static int leave(struct bake_ctx *ctx, const struct duty *d, const char *why)
{
    bake_report(ctx, BAKE_NOTICE, d->path, "%s: left as it is", why);
    return BAKE_OK;
}

static int remove_opened(struct bake_ctx *ctx, const struct duty *d, int parent, const char *name,
                         int fd)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return bake_fail(ctx, BAKE_E_IO, "cannot look at '%s': %s", d->path, strerror(errno));
    if (d->inode == 0) { /* it died before it knew more than the name */
        if (unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
            return BAKE_OK;
        return leave(ctx, d, "a directory that may be somebody else's");
    }
    if ((json_int_t)st.st_ino != d->inode || (json_int_t)st.st_uid != d->owner)
        return leave(ctx, d, "a directory of somebody else");
    return bkc_scratch_remove(ctx, parent, name, fd, d->path);
}

static int remove_directory(struct bake_ctx *ctx, const struct duty *d)
{
    char *dir = NULL;
    const char *name;
    int parent, fd = -1, rc;

    if (!bkc_scratch_split(d->path, &dir, &name))
        return leave(ctx, d, "not a path that was made here");
    if (!is_ours(name)) {
        free(dir);
        return leave(ctx, d, "not a name that is given here");
    }
    parent = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (parent >= 0)
        fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0)
        rc = remove_opened(ctx, d, parent, name, fd);
    else if (errno == ENOENT)
        rc = BAKE_OK;
    else if (errno == ENOTDIR || errno == ELOOP)
        rc = leave(ctx, d, "not a directory");
    else
        rc = bake_fail(ctx, BAKE_E_IO, "cannot open '%s' to remove it: %s", d->path,
                       strerror(errno));
    if (fd >= 0)
        (void)close(fd);
    if (parent >= 0)
        (void)close(parent);
    free(dir);
    return rc;
}

int bkc_scratch_redeem(struct bake_ctx *ctx, const char *what, bool *ret_mine)
{
    json_t *o = json_loads(what, 0, NULL);
    const char *kind = json_string_value(json_object_get(o, "kind"));
    struct duty d = {0};
    int rc = BAKE_OK;

    *ret_mine = kind && strcmp(kind, "scratch") == 0;
    if (*ret_mine) {
        d.path = json_string_value(json_object_get(o, "path"));
        d.boot = json_string_value(json_object_get(o, "boot"));
        d.owner = json_integer_value(json_object_get(o, "owner"));
        d.inode = json_integer_value(json_object_get(o, "inode"));
        d.pid = json_integer_value(json_object_get(o, "pid"));
        d.started = json_integer_value(json_object_get(o, "started"));
        if (!d.path || !d.boot) {
            rc = bake_fail(ctx, BAKE_E_CORRUPT, "an obligation without a path: '%s'", what);
        } else {
            end_server(&d);
            rc = remove_directory(ctx, &d);
        }
    }
    json_decref(o);
    return rc;
}
