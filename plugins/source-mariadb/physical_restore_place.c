/* Where a copy of the whole server goes: made beside its place, and renamed at the end in steps
 * that can be taken back at any moment, by this process or from the obligation by another one. */
#include "physical_restore.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define KIND    "mariadb-base"
#define DEEPEST 64

static const char *const phases[] = {"staging", "switching", "done"};

static int said(struct bake_ctx *ctx, const char *what, const char *path)
{
    int e = errno;
    return bake_fail(ctx, e == ENOSPC || e == EDQUOT ? BAKE_E_NOSPACE : BAKE_E_IO,
                     "cannot %s '%s': %s", what, path, strerror(e));
}

/* ---- files ----------------------------------------------------------------------------------- */

static char *parent_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == path ? strdup("/") : strndup(path, slash ? (size_t)(slash - path) : 0);
}

static bool exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

/* errno, or 0. Takes fd over. What is mounted in there is not of the server's files: it stays. */
static int remove_below(int fd, dev_t device, unsigned depth)
{
    struct stat st;
    int failed = depth >= DEEPEST ? ELOOP : fstat(fd, &st) == 0 && st.st_dev != device ? EXDEV : 0;
    DIR *dir = failed ? NULL : fdopendir(fd);
    if (!dir) {
        failed = failed ? failed : errno;
        (void)close(fd);
        return failed;
    }
    for (const struct dirent *e; (e = readdir(dir));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
            unlinkat(fd, e->d_name, 0) == 0 || errno == ENOENT)
            continue;
        int why = errno,
            below = openat(fd, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (below >= 0) {
            why = remove_below(below, device, depth + 1);
            if (unlinkat(fd, e->d_name, AT_REMOVEDIR) == 0 || errno == ENOENT)
                why = 0;
            else if (!why)
                why = errno;
        }
        failed = failed ? failed : why;
    }
    (void)closedir(dir);
    return failed;
}

static int remove_tree(struct bake_ctx *ctx, const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return BAKE_OK;
    if (fd < 0)
        return said(ctx, "open", path);
    struct stat st;
    if (fstat(fd, &st) != 0) {
        int rc = said(ctx, "look at", path);
        (void)close(fd);
        return rc;
    }
    int why = remove_below(fd, st.st_dev, 0);
    if (rmdir(path) == 0 || errno == ENOENT)
        return BAKE_OK;
    errno = why ? why : errno;
    return said(ctx, "remove", path);
}

/* Of one database's directory. Takes fd over. */
static int drop_links(int fd, size_t *n)
{
    static const char end[] = ".isl";
    DIR *dir = fdopendir(fd);
    int failed = dir ? 0 : errno;
    if (!dir)
        (void)close(fd);
    for (const struct dirent *e; dir && !failed && (e = readdir(dir));) {
        size_t length = strlen(e->d_name);
        if (length <= strlen(end) || strcmp(e->d_name + length - strlen(end), end) != 0)
            continue;
        failed = unlinkat(fd, e->d_name, 0) == 0 ? 0 : errno;
        *n += !failed;
    }
    if (dir)
        (void)closedir(dir);
    return failed;
}

int my_way_unlink(struct my_restore *r)
{
    const char *stage = r->way->stage;
    DIR *dir = opendir(stage);
    size_t n = 0;
    if (!dir)
        return said(r->ctx, "open", stage);
    int failed = 0;
    for (const struct dirent *e; !failed && (e = readdir(dir));) {
        if (e->d_name[0] == '.')
            continue;
        int fd = openat(dirfd(dir), e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd >= 0)
            failed = drop_links(fd, &n);
    }
    (void)closedir(dir);
    errno = failed;
    if (failed)
        return said(r->ctx, "remove a link in", stage);
    if (n)
        bake_report(r->ctx, BAKE_NOTICE, r->way->target ? r->way->target : MY_BASE,
                    "%zu tables had their files in directories of their own ('DATA DIRECTORY'): "
                    "they stand with the others now",
                    n);
    return BAKE_OK;
}

static int sync_directory(struct bake_ctx *ctx, const char *path, bool all)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return said(ctx, "open", path);
    int rc = (all ? syncfs(fd) : fsync(fd)) == 0 ? BAKE_OK : said(ctx, "write to the disk", path);
    (void)close(fd);
    return rc;
}

/* ---- who and where --------------------------------------------------------------------------- */

int my_way_owner(struct my_restore *r)
{
    struct passwd pw, *found = NULL;
    char buffer[4096];
    const char *name = r->cfg->owner;
    if (geteuid() != 0 || !name || !*name)
        return BAKE_OK;
    int e = getpwnam_r(name, &pw, buffer, sizeof(buffer), &found);
    if (!found)
        return bake_fail(r->ctx, BAKE_E_CONFIG,
                         "there is no user '%s' for the restored server%s%s\n"
                         "HINT: name one by 'owner'",
                         name, e ? ": " : "", e ? strerror(e) : "");
    r->way->as_user = true;
    r->way->uid = pw.pw_uid;
    r->way->gid = pw.pw_gid;
    return BAKE_OK;
}

static int real_path(struct my_restore *r, const char *path, char **ret)
{
    *ret = realpath(path, NULL);
    if (*ret || errno != ENOENT)
        return *ret ? BAKE_OK : said(r->ctx, "look at", path);
    char *parent = parent_of(path), *real = parent ? realpath(parent, NULL) : NULL;
    int rc = real ? BAKE_OK : said(r->ctx, "restore to", path);
    if (real &&
        !(*ret = my_text("%s/%s", strcmp(real, "/") == 0 ? "" : real, strrchr(path, '/') + 1)))
        rc = my_nomem(r->ctx);
    free(parent);
    free(real);
    return rc;
}

static int is_empty(struct my_restore *r, const char *path, bool *ret)
{
    DIR *dir = opendir(path);
    *ret = true;
    if (!dir)
        return errno == ENOENT ? BAKE_OK : said(r->ctx, "open", path);
    for (const struct dirent *e; *ret && (e = readdir(dir));)
        *ret = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
               strcmp(e->d_name, "lost+found") == 0;
    (void)closedir(dir);
    return BAKE_OK;
}

/* Is it the working directory of a process, as it is of a server that runs there? */
static bool in_use(const char *path)
{
    struct stat own, st;
    char cwd[300];
    bool used = false;
    DIR *all = opendir("/proc");
    bool known = stat(path, &own) == 0;
    for (const struct dirent *e; all && known && !used && (e = readdir(all));) {
        if (e->d_name[0] < '1' || e->d_name[0] > '9')
            continue;
        (void)snprintf(cwd, sizeof(cwd), "/proc/%s/cwd", e->d_name);
        used = stat(cwd, &st) == 0 && st.st_dev == own.st_dev && st.st_ino == own.st_ino;
    }
    if (all)
        (void)closedir(all);
    return used;
}

static int check_target(struct my_restore *r, const char *target, uint64_t needs)
{
    struct stat own, above;
    struct statvfs fs;
    bool empty = true;
    int rc = is_empty(r, target, &empty);
    if (rc != BAKE_OK)
        return rc;
    if (!empty && in_use(target))
        return bake_fail(r->ctx, BAKE_E_EXISTS,
                         "a server is running in '%s'\n"
                         "HINT: stop it, or restore elsewhere by 'data_directory'",
                         target);
    if (!empty && !r->force)
        return bake_fail(r->ctx, BAKE_E_EXISTS,
                         "'%s' is not empty\nHINT: give --force to replace what is there, or "
                         "restore elsewhere by 'data_directory'",
                         target);
    char *parent = parent_of(target);
    if (!parent)
        return my_nomem(r->ctx);
    if (stat(target, &own) == 0 && stat(parent, &above) == 0 &&
        (own.st_dev != above.st_dev || own.st_ino == above.st_ino))
        rc = bake_fail(r->ctx, BAKE_E_CONFIG,
                       "'%s' is a mount point, whose place nothing else can take\n"
                       "HINT: give a directory in it as 'data_directory'",
                       target);
    else if (statvfs(parent, &fs) == 0 && (uint64_t)fs.f_bavail * fs.f_frsize < needs)
        rc = bake_fail(r->ctx, BAKE_E_NOSPACE, "'%s' has %llu MiB left of the %llu MiB needed",
                       parent, (unsigned long long)((uint64_t)fs.f_bavail * fs.f_frsize >> 20),
                       (unsigned long long)(needs >> 20) + 1);
    free(parent);
    return rc;
}

int my_way_place(struct my_restore *r, uint64_t needs)
{
    struct my_way *w = r->way;
    unsigned char b[3];
    if (!r->cfg->data_directory)
        return bake_fail(r->ctx, BAKE_E_CONFIG,
                         "where the server's files are to be restored is not said\n"
                         "HINT: set 'data_directory'");
    if (getrandom(b, sizeof(b), 0) != (ssize_t)sizeof(b))
        return bake_fail(r->ctx, BAKE_E_IO, "cannot get random bytes: %s", strerror(errno));
    int rc = real_path(r, r->cfg->data_directory, &w->target);
    if (rc == BAKE_OK)
        rc = check_target(r, w->target, needs);
    if (rc != BAKE_OK)
        return rc;
    w->stage = my_text("%s.bakengine-new-%02x%02x%02x", w->target, b[0], b[1], b[2]);
    w->aside = my_text("%s.bakengine-old-%02x%02x%02x", w->target, b[0], b[1], b[2]);
    return w->stage && w->aside ? BAKE_OK : my_nomem(r->ctx);
}

/* ---- the obligation -------------------------------------------------------------------------- */

static int oblige(struct my_restore *r, enum my_step step)
{
    const struct my_way *w = r->way;
    json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:I}", "kind", KIND, "phase",
                          phases[step], "stage", w->stage, "aside", w->aside, "target", w->target,
                          "device", (json_int_t)w->device, "inode", (json_int_t)w->inode);
    char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
    int rc = text ? r->ctx->host->oblige(r->ctx, text, &r->duty) : my_nomem(r->ctx);
    json_decref(o);
    free(text);
    return rc;
}

static int redeemed(struct my_restore *r)
{
    if (r->duty == 0)
        return BAKE_OK;
    int rc = r->ctx->host->redeemed(r->ctx, r->duty);
    r->duty = 0;
    return rc;
}

/* In a drill it lies in a directory that is promised already. */
int my_way_make(struct my_restore *r)
{
    struct my_way *w = r->way;
    struct stat st;
    int rc = r->drill ? BAKE_OK : oblige(r, MY_WAY_STAGING);
    if (rc != BAKE_OK)
        return rc;
    if (mkdir(w->stage, 0700) != 0)
        return said(r->ctx, "make the directory", w->stage);
    if (w->as_user && lchown(w->stage, w->uid, w->gid) != 0)
        return said(r->ctx, "change the owner of", w->stage);
    if (lstat(w->stage, &st) != 0)
        return said(r->ctx, "look at", w->stage);
    w->device = (uint64_t)st.st_dev;
    w->inode = (uint64_t)st.st_ino;
    return r->drill ? BAKE_OK : oblige(r, MY_WAY_STAGING);
}

/* ---- forth and back -------------------------------------------------------------------------- */

static int move(struct bake_ctx *ctx, const char *from, const char *to)
{
    return rename(from, to) == 0 ? BAKE_OK : said(ctx, "rename", from);
}

static bool is_ours(const char *path, const struct my_way *w)
{
    struct stat st;
    return lstat(path, &st) == 0 && (uint64_t)st.st_dev == w->device &&
           (uint64_t)st.st_ino == w->inode;
}

/* However far it got: what was there stands there again, what we made is gone. */
static int back(struct bake_ctx *ctx, const struct my_way *w)
{
    int rc = BAKE_OK;
    if (!exists(w->stage) && w->inode && is_ours(w->target, w))
        rc = move(ctx, w->target, w->stage);
    if (rc == BAKE_OK && exists(w->aside) && !exists(w->target))
        rc = move(ctx, w->aside, w->target);
    return rc == BAKE_OK ? remove_tree(ctx, w->stage) : rc;
}

int my_way_switch(struct my_restore *r)
{
    struct my_way *w = r->way;
    char *parent = parent_of(w->target);
    int rc = parent ? sync_directory(r->ctx, w->stage, true) : my_nomem(r->ctx);
    if (rc == BAKE_OK && exists(w->target) && in_use(w->target))
        rc = bake_fail(r->ctx, BAKE_E_EXISTS, "a server was started in '%s' meanwhile", w->target);
    if (rc == BAKE_OK)
        rc = oblige(r, MY_WAY_SWITCHING);
    if (rc == BAKE_OK && exists(w->target))
        rc = move(r->ctx, w->target, w->aside);
    if (rc == BAKE_OK)
        rc = move(r->ctx, w->stage, w->target);
    if (rc == BAKE_OK)
        rc = sync_directory(r->ctx, parent, false);
    if (rc == BAKE_OK)
        rc = oblige(r, MY_WAY_DONE);
    free(parent);
    if (rc != BAKE_OK)
        return rc;
    if (remove_tree(r->ctx, w->aside) == BAKE_OK)
        return redeemed(r);
    bake_report(r->ctx, BAKE_WARNING, w->aside,
                "what was replaced could not be removed; it is tried again later");
    r->duty = 0; /* the obligation stands */
    return BAKE_OK;
}

int my_way_undo(struct my_restore *r)
{
    if (r->duty == 0)
        return BAKE_OK;
    int rc = back(r->ctx, r->way);
    return rc == BAKE_OK ? redeemed(r) : rc;
}

static char *copy_of(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text ? strdup(text) : NULL;
}

int my_way_redeem(struct bake_ctx *ctx, const char *what, bool *ret_mine)
{
    json_t *o = json_loads(what, JSON_REJECT_DUPLICATES, NULL);
    const char *kind = json_string_value(json_object_get(o, "kind")),
               *phase = json_string_value(json_object_get(o, "phase"));
    int rc = BAKE_OK;
    *ret_mine = kind && strcmp(kind, KIND) == 0;
    if (*ret_mine) {
        struct my_way w = {.stage = copy_of(o, "stage"),
                           .aside = copy_of(o, "aside"),
                           .target = copy_of(o, "target"),
                           .device = (uint64_t)json_integer_value(json_object_get(o, "device")),
                           .inode = (uint64_t)json_integer_value(json_object_get(o, "inode"))};
        bool done = phase && strcmp(phase, phases[MY_WAY_DONE]) == 0;
        if (!w.stage || !w.aside || !w.target || !strstr(w.stage, ".bakengine-new-") ||
            !strstr(w.aside, ".bakengine-old-"))
            rc = bake_fail(ctx, BAKE_E_CORRUPT, "an obligation of a restore is not understood");
        else
            rc = done ? remove_tree(ctx, w.aside) : back(ctx, &w);
        free(w.stage);
        free(w.aside);
        free(w.target);
    }
    json_decref(o);
    return rc;
}
