/* See scratch.h. */
#include "scratch/impl.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define NAMES_TRIED 100

static int nomem(struct bake_ctx *ctx) { return bake_fail(ctx, BAKE_E_NOMEM, "out of memory"); }

/* ---- the promise ----------------------------------------------------------------------------- */

int bkc_scratch_promise(struct bkc_scratch *s, struct bake_ctx *ctx)
{
    json_t *o =
        json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I}", "kind", "scratch", "path", s->path, "boot",
                  s->boot, "owner", (json_int_t)s->uid, "inode", (json_int_t)s->inode, "pid",
                  (json_int_t)s->pid, "started", (json_int_t)s->started);
    char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
    int rc;

    json_decref(o);
    if (!text)
        return nomem(ctx);
    rc = ctx->host->oblige(ctx, text, &s->duty);
    free(text);
    return rc;
}

/* ---- where ----------------------------------------------------------------------------------- */

bool bkc_scratch_split(const char *path, char **ret_dir, const char **ret_name)
{
    const char *slash = strrchr(path, '/');

    if (path[0] != '/' || !slash[1] || strcmp(slash + 1, ".") == 0 || strcmp(slash + 1, "..") == 0)
        return false;
    *ret_dir = slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
    *ret_name = slash + 1;
    return *ret_dir != NULL;
}

/* Can that user get there? Asked by going: who may pass is not only in the modes. */
static bool can_reach(struct bake_ctx *ctx, const char *dir, const char *user)
{
    const char *const argv[] = {"test", "-x", dir, NULL};
    struct bkc_child_spec spec = {.argv = argv, .user = user};
    struct bkc_child *c = NULL;
    int status = 0;

    if (bkc_child_start(ctx, &spec, &c) != BAKE_OK)
        return true; /* what then fails says why */
    if (bkc_child_wait(c, &status) != BAKE_OK)
        status = 0;
    bkc_child_free(c);
    return status == 0;
}

static int check_above(struct bake_ctx *ctx, const char *above, const struct bkc_user *user,
                       const struct bkc_scratch_spec *spec)
{
    struct statvfs fs;
    uint64_t have;
    json_t *text = json_string(above); /* as the promise has to say it */

    json_decref(text);
    if (above[0] != '/' || !text)
        return bake_fail(ctx, BAKE_E_CONFIG, "'%s' is not an absolute path in UTF-8", above);
    if (statvfs(above, &fs) < 0)
        return bake_fail(ctx, errno == ENOENT || errno == ENOTDIR ? BAKE_E_CONFIG : BAKE_E_IO,
                         "cannot use '%s' for what is thrown away later: %s", above,
                         strerror(errno));
    have = (uint64_t)fs.f_bavail * fs.f_frsize;
    if (spec->needs > have)
        return bake_fail(ctx, BAKE_E_NOSPACE,
                         "'%s' has %llu MiB left of the %llu MiB that are needed\n"
                         "HINT: name a larger directory, as the option 'scratch' or by TMPDIR",
                         above, (unsigned long long)(have >> 20),
                         (unsigned long long)(spec->needs >> 20) + 1);
    if (user->change && !can_reach(ctx, above, spec->user))
        return bake_fail(ctx, BAKE_E_CONFIG,
                         "user '%s' cannot reach '%s'\n"
                         "HINT: name a directory that it can, as the option 'scratch' or by TMPDIR",
                         spec->user, above);
    return BAKE_OK;
}

static const char *choose_above(struct bake_ctx *ctx, const struct bkc_scratch_spec *spec,
                                const struct bkc_user *user)
{
    const char *tmp = getenv("TMPDIR");

    if (spec->above)
        return spec->above;
    /* root's own is often closed to the user that the server runs as. */
    if (tmp && tmp[0] == '/' && (!user->change || can_reach(ctx, tmp, spec->user)))
        return tmp;
    return "/var/tmp";
}

/* ---- making ---------------------------------------------------------------------------------- */

static int name_it(struct bake_ctx *ctx, struct bkc_scratch *s, const char *above, const char *what)
{
    static const char set[] = "abcdefghijklmnopqrstuvwxyz012345";
    unsigned char raw[BKC_SCRATCH_RANDOM];
    char word[BKC_SCRATCH_RANDOM + 1] = "";

    if (getrandom(raw, sizeof(raw), 0) != (ssize_t)sizeof(raw))
        return bake_fail(ctx, BAKE_E_IO, "cannot get random bytes: %s", strerror(errno));
    for (size_t i = 0; i < sizeof(raw); i++)
        word[i] = set[raw[i] % 32];
    free(s->path);
    if (asprintf(&s->path, "%s/" BKC_SCRATCH_PREFIX "%s-%s", strcmp(above, "/") == 0 ? "" : above,
                 what, word) < 0) {
        s->path = NULL;
        return nomem(ctx);
    }
    return BAKE_OK;
}

static int take_over(struct bake_ctx *ctx, struct bkc_scratch *s, const struct bkc_user *user)
{
    int fd = open(s->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), e = 0;
    struct stat st;

    if (fd < 0 || (user->change && fchown(fd, user->uid, user->gid) < 0) || fchmod(fd, 0700) < 0 ||
        fstat(fd, &st) < 0)
        e = errno;
    else
        s->inode = st.st_ino;
    if (fd >= 0)
        (void)close(fd);
    if (e)
        return bake_fail(ctx, BAKE_E_IO, "cannot prepare '%s': %s", s->path, strerror(e));
    /* From here on it is known by more than its name. */
    return bkc_scratch_promise(s, ctx);
}

/* Promised first: without an inode, which only lets an empty directory be removed. */
static int make(struct bake_ctx *ctx, struct bkc_scratch *s, const char *above, const char *what,
                const struct bkc_user *user)
{
    for (int i = 0; i < NAMES_TRIED; i++) {
        int rc = name_it(ctx, s, above, what);

        if (rc != BAKE_OK || (rc = bkc_scratch_promise(s, ctx)) != BAKE_OK)
            return rc;
        if (mkdir(s->path, 0700) == 0) {
            if ((rc = take_over(ctx, s, user)) != BAKE_OK)
                (void)rmdir(s->path);
            return rc;
        }
        if (errno != EEXIST)
            break;
    }
    return bake_fail(ctx, errno == ENOSPC || errno == EDQUOT ? BAKE_E_NOSPACE : BAKE_E_IO,
                     "cannot make '%s': %s", s->path, strerror(errno));
}

static void scratch_free(struct bkc_scratch *s)
{
    if (s->pidfd >= 0)
        (void)close(s->pidfd);
    free(s->path);
    free(s->user);
    free(s);
}

static int new_one(struct bake_ctx *ctx, const struct bkc_scratch_spec *spec,
                   const struct bkc_user *user, struct bkc_scratch **ret)
{
    struct bkc_scratch *s = calloc(1, sizeof(*s));
    const char *above;
    int rc;

    if (!s)
        return nomem(ctx);
    s->pidfd = -1;
    s->uid = user->change ? user->uid : geteuid();
    bkc_boot_id(s->boot, sizeof(s->boot));
    if (user->change && !(s->user = strdup(spec->user))) {
        scratch_free(s);
        return nomem(ctx);
    }
    above = choose_above(ctx, spec, user);
    rc = check_above(ctx, above, user, spec);
    if (rc == BAKE_OK)
        rc = make(ctx, s, above, spec->what, user);
    if (rc != BAKE_OK) {
        if (s->duty)
            (void)ctx->host->redeemed(ctx, s->duty);
        scratch_free(s);
        return rc;
    }
    *ret = s;
    return BAKE_OK;
}

int bkc_scratch_new(struct bake_ctx *ctx, const struct bkc_scratch_spec *spec,
                    struct bkc_scratch **ret)
{
    struct bkc_user user;
    int rc = bkc_user_find(ctx, spec->user, &user);

    *ret = NULL;
    if (rc == BAKE_OK)
        rc = new_one(ctx, spec, &user, ret);
    bkc_user_release(&user);
    return rc;
}

const char *bkc_scratch_path(const struct bkc_scratch *s) { return s->path; }

/* ---- the end --------------------------------------------------------------------------------- */

static void stop_server(struct bkc_scratch *s, int signal, uint64_t wait_ms)
{
    if (s->pid == 0)
        return;
    /* Not reaped before this: its number is nobody else's. */
    if (!bkc_end_process(s->pid, s->pidfd, s->started, signal, wait_ms))
        (void)bkc_end_process(s->pid, s->pidfd, s->started, SIGKILL, 60000);
    (void)kill(-s->pid, SIGKILL); /* what it left in its group */
    while (waitpid(s->pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    s->pid = 0;
}

static int remove_it(struct bkc_scratch *s, struct bake_ctx *ctx)
{
    char *dir = NULL;
    const char *name;
    int parent, fd = -1, rc = BAKE_OK;

    if (!bkc_scratch_split(s->path, &dir, &name))
        return nomem(ctx);
    parent = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (parent >= 0)
        fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0)
        rc = bkc_scratch_remove(ctx, parent, name, fd, s->path);
    else if (errno != ENOENT)
        rc = bake_fail(ctx, BAKE_E_IO, "cannot open '%s' to remove it: %s", s->path,
                       strerror(errno));
    if (fd >= 0)
        (void)close(fd);
    if (parent >= 0)
        (void)close(parent);
    free(dir);
    return rc;
}

int bkc_scratch_end(struct bkc_scratch *s, struct bake_ctx *ctx, int signal, uint64_t wait_ms)
{
    int rc;

    if (!s)
        return BAKE_OK;
    stop_server(s, signal, wait_ms);
    rc = remove_it(s, ctx);
    if (rc == BAKE_OK) /* else it stays promised: a later redeem() tries again */
        rc = ctx->host->redeemed(ctx, s->duty);
    scratch_free(s);
    return rc;
}
