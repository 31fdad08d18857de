/* sink-local: objects as files below one directory. The description, the checks, open and close. */
#include "local.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OPT(key, member, type, ctype, flags, fallback, help)                                       \
    {                                                                                              \
        key, type, flags, BAKE_MEMBER(struct local_cfg, member, ctype), fallback, 0, 0, NULL, help \
    }

static const struct bake_option options[] = {
    OPT("path", path, BAKE_T_PATH, const char *, BAKE_OPT_REQUIRED, NULL,
        "The directory that holds the store."),
    OPT("create", create, BAKE_T_BOOL, int, 0, "true",
        "Make the directory when it is missing; set it to false where a disk that is not mounted "
        "must be an error."),
    OPT("dir_mode", dir_mode, BAKE_T_STRING, const char *, 0, "0750",
        "Mode of the directories that are made, in octal, whatever the umask is."),
    OPT("file_mode", file_mode, BAKE_T_STRING, const char *, 0, "0640",
        "Mode of the files that are written, in octal, whatever the umask is."),
    OPT("owner", owner, BAKE_T_STRING, const char *, 0, NULL,
        "User (name or number) who shall own what is written; needs privileges."),
    OPT("group", group, BAKE_T_STRING, const char *, 0, NULL,
        "Group (name or number) of what is written; needs to be a member of it, or privileges."),
    OPT("min_free", min_free, BAKE_T_SIZE, uint64_t, 0, "0",
        "Refuse to write what would leave less than this free on the file system."),
    OPT("fsync", fsync, BAKE_T_BOOL, int, 0, "true",
        "Wait until each object is on the disk; without it a crash of the machine shortly after a "
        "backup can leave objects that are empty, cut or missing though the backup was reported "
        "good."),
    {0}};

/* "0750" -> 0750; at most four octal digits. */
static bool parse_mode(const char *s, mode_t *ret)
{
    mode_t mode = 0;
    size_t n = strlen(s);

    if (n == 0 || n > 4 || strspn(s, "01234567") != n)
        return false;
    while (*s)
        mode = mode << 3 | (mode_t)(*s++ - '0');
    *ret = mode;
    return true;
}

/* need: the bits without which we could not work with our own files. */
static int check_mode(struct bake_ctx *ctx, const char *key, const char *text, mode_t need,
                      mode_t may, mode_t *ret)
{
    if (!parse_mode(text, ret) || (*ret & ~may) != 0)
        return bake_fail(ctx, BAKE_E_CONFIG, "'%s' must be an octal mode such as 0%o, got '%s'",
                         key, (unsigned)(need | (need >> 3 & 050)), text);
    if ((*ret & need) != need)
        return bake_fail(ctx, BAKE_E_CONFIG, "'%s' must give the owner at least 0%o, got '%s'", key,
                         (unsigned)need, text);
    return BAKE_OK;
}

static int modes(struct bake_ctx *ctx, const struct local_cfg *c, mode_t *dir, mode_t *file)
{
    int rc = check_mode(ctx, "dir_mode", c->dir_mode, 0700, 07777, dir);

    return rc < 0 ? rc : check_mode(ctx, "file_mode", c->file_mode, 0600, 0777, file);
}

static int validate(struct bake_ctx *ctx, const void *cfg)
{
    const struct local_cfg *c = cfg;
    mode_t dir, file;

    if (c->path[0] != '/')
        return bake_fail(ctx, BAKE_E_CONFIG, "'path' must be absolute, got '%s'", c->path);
    return modes(ctx, c, &dir, &file);
}

/* A whole decimal number below 2^32 - 1 (which means "leave it" to chown). */
static bool parse_id(const char *s, uint32_t *ret)
{
    uint64_t n = 0;

    if (!*s)
        return false;
    for (; *s; s++) {
        if (*s < '0' || *s > '9')
            return false;
        n = n * 10 + (uint64_t)(*s - '0');
        if (n >= UINT32_MAX)
            return false;
    }
    *ret = (uint32_t)n;
    return true;
}

#define LOOKUP_CAP (64u << 10)

static int find_owner(struct bake_ctx *ctx, const char *name, char *buf, uid_t *ret)
{
    struct passwd pw, *found = NULL;
    int e;

    if (!name || parse_id(name, ret))
        return BAKE_OK;
    e = getpwnam_r(name, &pw, buf, LOOKUP_CAP, &found);
    if (!found)
        return bake_fail(ctx, BAKE_E_CONFIG, "'owner': there is no user '%s'%s", name,
                         e ? " (the user database cannot be read)" : "");
    *ret = found->pw_uid;
    return BAKE_OK;
}

static int find_group(struct bake_ctx *ctx, const char *name, char *buf, gid_t *ret)
{
    struct group gr, *found = NULL;
    int e;

    if (!name || parse_id(name, ret))
        return BAKE_OK;
    e = getgrnam_r(name, &gr, buf, LOOKUP_CAP, &found);
    if (!found)
        return bake_fail(ctx, BAKE_E_CONFIG, "'group': there is no group '%s'%s", name,
                         e ? " (the group database cannot be read)" : "");
    *ret = found->gr_gid;
    return BAKE_OK;
}

static int resolve(struct bake_ctx *ctx, const struct local_cfg *c, struct local *s)
{
    char *buf = malloc(LOOKUP_CAP);
    int rc;

    if (!buf)
        return bake_fail(ctx, BAKE_E_NOMEM, "out of memory");
    rc = find_owner(ctx, c->owner, buf, &s->uid);
    if (rc == BAKE_OK)
        rc = find_group(ctx, c->group, buf, &s->gid);
    free(buf);
    return rc;
}

/* The root may be missing (the first put makes it), but what is there must be a directory. */
static int check_root(const struct local *s, struct bake_ctx *ctx)
{
    struct stat st;

    if (stat(s->root, &st) == 0)
        return S_ISDIR(st.st_mode)
                   ? BAKE_OK
                   : bake_fail(ctx, BAKE_E_CONFIG, "'%s' is not a directory", s->root);
    if (errno == ENOTDIR)
        return bake_fail(ctx, BAKE_E_CONFIG, "a part of '%s' is not a directory", s->root);
    if (errno != ENOENT)
        return local_fail(s, ctx, errno, "look at", "");
    if (!s->create) /* a disk that is not mounted today: other sinks go on without it */
        return bake_fail(ctx, BAKE_E_UNAVAILABLE,
                         "'%s' does not exist and 'create' is false\n"
                         "HINT: mount it or make the directory, then try again",
                         s->root);
    return BAKE_OK;
}

static void close_instance(void *self)
{
    struct local *s = self;

    (void)pthread_mutex_destroy(&s->walking);
    free(s->root);
    free(s);
}

static int open_instance(struct bake_ctx *ctx, const void *cfg, void **ret_self)
{
    const struct local_cfg *c = cfg;
    struct local *s = calloc(1, sizeof(*s));
    int rc;

    if (!s || !(s->root = strdup(c->path))) {
        free(s);
        return bake_fail(ctx, BAKE_E_NOMEM, "out of memory");
    }
    (void)pthread_mutex_init(&s->walking, NULL); /* cannot fail for a plain mutex on Linux */
    s->uid = (uid_t)-1;
    s->gid = (gid_t)-1;
    s->min_free = c->min_free;
    s->create = c->create != 0;
    s->fsync = c->fsync != 0;
    rc = modes(ctx, c, &s->dir_mode, &s->file_mode);
    if (rc == BAKE_OK)
        rc = resolve(ctx, c, s);
    if (rc == BAKE_OK)
        rc = check_root(s, ctx);
    if (rc < 0) {
        close_instance(s);
        return rc;
    }
    *ret_self = s;
    return BAKE_OK;
}

/* The root is missing: may we make it where its nearest parent is? */
static int try_making(const struct local *s, struct bake_ctx *ctx)
{
    char *path = strdup(s->root);
    char *slash;
    int e = 0;

    if (!path)
        return bake_fail(ctx, BAKE_E_NOMEM, "out of memory");
    while ((slash = strrchr(path, '/')) && slash != path) {
        *slash = '\0';
        if (access(path, F_OK) == 0)
            break;
    }
    if (access(slash == path ? "/" : path, W_OK | X_OK) != 0)
        e = errno;
    free(path);
    return e ? local_fail(s, ctx, e, "make", "") : BAKE_OK;
}

/* Writes and removes a file with the owner and mode that objects will have. */
static int try_writing(const struct local *s, struct bake_ctx *ctx)
{
    char tmp[LOCAL_TMP_CAP];
    int e = -local_tmp_name(tmp), dir, fd;

    dir = local_open_root(s);
    if (dir == -ENOENT)
        return try_making(s, ctx);
    if (dir < 0 || e > 0) {
        if (dir >= 0)
            (void)close(dir);
        return local_fail(s, ctx, dir < 0 ? -dir : e, "open", "");
    }
    fd = openat(dir, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    e = fd < 0 ? errno : -local_give(s, fd, s->file_mode);
    if (fd >= 0) {
        (void)close(fd);
        (void)unlinkat(dir, tmp, 0);
    }
    (void)close(dir);
    return e ? local_fail(s, ctx, e, "write to", "") : BAKE_OK;
}

static int probe(struct bake_ctx *ctx, const void *cfg)
{
    void *self;
    int rc = open_instance(ctx, cfg, &self);

    if (rc < 0)
        return rc;
    rc = try_writing(self, ctx);
    close_instance(self);
    return rc;
}

static uint64_t memory(const void *cfg, int dir)
{
    (void)cfg;
    return dir == BAKE_FORWARD ? local_put_memory() : local_get_memory();
}

static const struct bake_sink_ops ops = {
    .struct_size = sizeof(ops),
    .open = open_instance,
    .memory = memory,
    .put_begin = local_put_begin,
    .put_write = local_put_write,
    .put_end = local_put_end,
    .put_abort = local_put_abort,
    .get_begin = local_get_begin,
    .get_read = local_get_read,
    .get_close = local_get_close,
    .list = local_list,
    .stat = local_stat,
    .remove = local_remove,
    .space = local_space,
    .sweep = local_sweep,
    .close = close_instance,
};

static const struct bake_plugin plugin = {
    BAKE_PLUGIN_HEAD,
    .name = "local",
    .version = BAKE_VERSION,
    .summary = "keeps the store in a directory of this machine or of a mounted file system",
    .options = options,
    .config_size = sizeof(struct local_cfg),
    .validate = validate,
    .probe = probe,
    .sink = &ops,
};

BAKE_PLUGIN(plugin)
