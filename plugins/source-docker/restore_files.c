/* A project's Compose files and .env: staged beside where they belong, exchanged one by one, as the
 * directory has other files too. Only where the project's directory is on this very machine. */
#include "place_fs.h"
#include "restore_impl.h"
#include "tree/extract.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

struct rs_files {
    char *dir;
    char stage[40]; /* name of the staging directory in it */
    int dirfd, stagefd;
    struct bkc_extract *x;
    json_t *files; /* [{"path", "ino"}]; ino: of what was staged */
    bool switched;
};

/* ---- below a directory, never out of it ------------------------------------------------------ */

/* The directory that holds path, and its last part. Links are not followed. Negative: -errno. */
static int open_parent(int root, const char *path, bool make, const char **ret_base)
{
    int fd = openat(root, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    const char *slash;
    while (fd >= 0 && (slash = strchr(path, '/'))) {
        char part[256];
        size_t n = (size_t)(slash - path);
        int next = -1;
        errno = ENAMETOOLONG;
        if (n < sizeof(part)) {
            memcpy(part, path, n);
            part[n] = '\0';
            if (!make || mkdirat(fd, part, 0755) == 0 || errno == EEXIST)
                next = openat(fd, part, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        }
        int saved = errno;
        (void)close(fd);
        errno = saved;
        fd = next;
        path = slash + 1;
    }
    *ret_base = path;
    return fd < 0 ? -errno : fd;
}

static uint64_t ino_of(int dir, const char *base)
{
    struct stat st;
    return fstatat(dir, base, &st, AT_SYMLINK_NOFOLLOW) == 0 ? st.st_ino : 0;
}

static int swap(int from, int to, const char *base, bool both)
{
    unsigned flags = both ? RENAME_EXCHANGE : RENAME_NOREPLACE;
    return renameat2(from, base, to, base, flags) == 0 ? 0 : -errno;
}

/* Brings one staged file into use (back: out of it). Idempotent. 0 or -errno. */
static int move_one(int dir, int stage, const char *path, uint64_t ino, bool back)
{
    const char *base = "";
    int to = open_parent(dir, path, !back, &base), from = open_parent(stage, path, false, &base);
    int rc = to < 0 ? to : from < 0 ? from : 0;
    if (rc == 0) {
        uint64_t here = ino_of(to, base), there = ino_of(from, base);
        bool in_use = here == ino;
        if (in_use != back || (!back && there != ino))
            rc = in_use || back ? 0 : -ESTALE; /* done already, or never begun */
        else if (!back)
            rc = swap(from, to, base, here != 0);
        else
            rc = swap(to, from, base, there != 0);
    }
    if (to >= 0)
        (void)close(to);
    if (from >= 0)
        (void)close(from);
    return back && rc == -ENOENT ? 0 : rc;
}

static int remove_stage(int dir, const char *stage)
{
    char where[200] = "";
    int fd = openat(dir, stage, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    int rc = dk_fs_empty(fd, where, sizeof(where));
    (void)close(fd);
    return rc == 0 && unlinkat(dir, stage, AT_REMOVEDIR) != 0 && errno != ENOENT ? -errno : rc;
}

/* ---- staging --------------------------------------------------------------------------------- */

static const char *working_dir(const struct dk_restore *r)
{
    const struct dk_world *w = rs_world(r);
    for (size_t i = 0; i < w->n_containers; i++) {
        const char *dir =
            strcmp(w->containers[i].project, r->as) == 0
                ? dk_label(&w->containers[i], "com.docker.compose.project.working_dir")
                : NULL;
        if (dir && dir[0] == '/')
            return dir;
    }
    return NULL;
}

static int make_dirs(const char *dir)
{
    const char *base = "";
    int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    int fd = root < 0 ? -errno : open_parent(root, dir + 1, true, &base);
    int rc = fd < 0 ? fd : *base && mkdirat(fd, base, 0755) != 0 && errno != EEXIST ? -errno : 0;
    if (fd >= 0)
        (void)close(fd);
    if (root >= 0)
        (void)close(root);
    return rc;
}

static int open_stage(struct rs_files *f, struct bake_ctx *ctx)
{
    unsigned char b[6];
    char root[64];
    f->dirfd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (f->dirfd < 0 && errno == ENOENT && make_dirs(f->dir) == 0)
        f->dirfd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (getrandom(b, sizeof(b), 0) != (ssize_t)sizeof(b))
        return bake_fail(ctx, BAKE_E_IO, "cannot make a name: no random numbers");
    (void)snprintf(f->stage, sizeof(f->stage), ".bakengine-%02x%02x%02x%02x%02x%02x", b[0], b[1],
                   b[2], b[3], b[4], b[5]);
    if (f->dirfd < 0 || mkdirat(f->dirfd, f->stage, 0700) != 0 ||
        (f->stagefd = openat(f->dirfd, f->stage, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
        return bake_fail(ctx, errno == ENOSPC ? BAKE_E_NOSPACE : BAKE_E_IO,
                         "cannot stage the project's files in '%s': %s", f->dir, strerror(errno));
    (void)snprintf(root, sizeof(root), "/proc/self/fd/%d", f->stagefd);
    struct bkc_extract_opts opts = {.root = root, .parent_mode = 0755};
    return bkc_extract_open(ctx, &opts, &f->x);
}

int rs_files_new(struct bake_ctx *ctx, const char *dir, struct rs_files **ret)
{
    struct rs_files *f = *ret = calloc(1, sizeof(*f));
    if (!f)
        return dk_nomem(ctx);
    *f = (struct rs_files){.dir = strdup(dir), .dirfd = -1, .stagefd = -1, .files = json_array()};
    return f->dir && f->files ? open_stage(f, ctx) : dk_nomem(ctx);
}

static int unplaced(struct rs_part *p, const char *why)
{
    p->found = RS_GONE;
    (void)snprintf(p->why, sizeof(p->why), "%s", why);
    return BAKE_OK;
}

int rs_files_open(struct dk_restore *r, struct bake_ctx *ctx, struct rs_part *p)
{
    const char *dir = working_dir(r);
    if (r->renamed) { /* and the new stack runs without */
        p->found = RS_WITHIN;
        (void)snprintf(p->why, sizeof(p->why), "is left out: the files belong to stack '%s'",
                       r->stack);
        return BAKE_OK;
    }
    if (r->s->where.away || !dk_api_local(r->s->api))
        return unplaced(p, "the project's directory is on another machine than this program; "
                           "restore --target writes its files to a directory of your choice");
    if (!dir)
        return unplaced(p, "no container of the stack says in which directory its project is");
    return rs_files_new(ctx, dir, &p->files);
}

int rs_files_put(struct rs_files *f, struct bake_ctx *ctx, const struct bake_entry *entry)
{
    if (entry->type == BAKE_DIR)
        return BAKE_END; /* they are there, or made as needed */
    if (entry->type != BAKE_FILE && entry->type != BAKE_SYMLINK)
        return bake_fail(ctx, BAKE_E_UNSUPPORTED, "'%s' is no file", entry->path);
    int rc = bkc_extract_put(f->x, entry);
    if (rc == BAKE_OK &&
        json_array_append_new(f->files, json_pack("{s:s}", "path", entry->path)) != 0)
        return bake_fail(ctx, BAKE_E_UNSUPPORTED, "a file's name is not UTF-8");
    return rc;
}

int rs_files_write(struct rs_files *f, struct bake_in *in) { return bkc_extract_write(f->x, in); }

int rs_files_entry_end(struct rs_files *f, int good) { return bkc_extract_end(f->x, good); }

int rs_files_staged(struct rs_files *f, struct bake_ctx *ctx)
{
    json_t *v;
    size_t i;
    int rc = bkc_extract_finish(f->x);
    bkc_extract_close(f->x);
    f->x = NULL;
    if (rc != BAKE_OK)
        return rc;
    json_array_foreach(f->files, i, v)
    {
        const char *base = "";
        int fd =
            open_parent(f->stagefd, json_string_value(json_object_get(v, "path")), false, &base);
        uint64_t ino = fd < 0 ? 0 : ino_of(fd, base);
        if (fd >= 0)
            (void)close(fd);
        if (json_object_set_new(v, "ino", json_integer((json_int_t)ino)) != 0)
            return dk_nomem(ctx);
    }
    return syncfs(f->stagefd) == 0
               ? BAKE_OK
               : bake_fail(ctx, BAKE_E_IO, "cannot write out the files staged in '%s': %s", f->dir,
                           strerror(errno));
}

/* ---- taking into use, and back --------------------------------------------------------------- */

static int move_all(int dir, int stage, const json_t *files, bool back, const char **ret_path)
{
    json_t *v;
    size_t i;
    json_array_foreach(files, i, v)
    {
        const char *path = json_string_value(json_object_get(v, "path"));
        uint64_t ino = (uint64_t)json_integer_value(json_object_get(v, "ino"));
        int rc = path && ino ? move_one(dir, stage, path, ino, back) : 0;
        if (rc != 0) {
            *ret_path = path;
            return rc;
        }
    }
    return 0;
}

int rs_files_switch(struct rs_files *f, struct bake_ctx *ctx)
{
    const char *path = "";
    f->switched = true;
    int rc = move_all(f->dirfd, f->stagefd, f->files, false, &path);
    if (rc == 0 && fsync(f->dirfd) != 0)
        rc = -errno;
    return rc == 0 ? BAKE_OK
                   : bake_fail(ctx, BAKE_E_IO, "cannot put '%s' into '%s': %s", path, f->dir,
                               strerror(-rc));
}

json_t *rs_files_json(const struct rs_files *f)
{
    json_t *copy = json_deep_copy(f->files);
    return copy ? json_pack("{s:s, s:s, s:o}", "dir", f->dir, "stage", f->stage, "files", copy)
                : NULL;
}

void rs_files_close(struct rs_files *f)
{
    if (!f)
        return;
    bkc_extract_close(f->x);
    if (f->dirfd >= 0 && !f->switched && f->stage[0])
        (void)remove_stage(f->dirfd, f->stage);
    if (f->stagefd >= 0)
        (void)close(f->stagefd);
    if (f->dirfd >= 0)
        (void)close(f->dirfd);
    json_decref(f->files);
    free(f->dir);
    free(f);
}

static int by_json(struct bake_ctx *ctx, const json_t *files, bool undo)
{
    const char *dir = json_string_value(json_object_get(files, "dir")), *path = "";
    const char *stage = json_string_value(json_object_get(files, "stage"));
    if (!dir || !stage || strncmp(stage, ".bakengine-", 11) != 0 || strchr(stage, '/'))
        return bake_fail(ctx, BAKE_E_CORRUPT, "what is said of a project's files makes no sense");
    int dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;
    if (dirfd < 0)
        return errno == ENOENT
                   ? BAKE_OK
                   : bake_fail(ctx, BAKE_E_IO, "cannot open '%s': %s", dir, strerror(errno));
    int stagefd = openat(dirfd, stage, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (undo && stagefd >= 0)
        rc = move_all(dirfd, stagefd, json_object_get(files, "files"), true, &path);
    if (stagefd >= 0)
        (void)close(stagefd);
    if (rc == 0)
        rc = remove_stage(dirfd, stage);
    (void)close(dirfd);
    return rc == 0 ? BAKE_OK
                   : bake_fail(ctx, BAKE_E_IO, "cannot put back or remove '%s' of '%s': %s", path,
                               dir, strerror(-rc));
}

int rs_files_undo(struct bake_ctx *ctx, const json_t *files) { return by_json(ctx, files, true); }

int rs_files_drop(struct bake_ctx *ctx, const json_t *files) { return by_json(ctx, files, false); }
