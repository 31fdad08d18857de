/* The files source: files and directories of this machine, and the way back to where they were. */
#include "files.h"

#include "match/gitignore.h"
#include "roots.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct bake_option options[] = {
    {"paths", BAKE_T_PATHLIST, BAKE_OPT_REQUIRED,
     BAKE_MEMBER(struct files_config, paths, const struct bake_path *), NULL, 0, 0, NULL,
     "files and directories to back up; may hold * ? [ ]; {path: P, optional: true} where P may "
     "be absent"},
    {"exclude", BAKE_T_STRLIST, 0, BAKE_MEMBER(struct files_config, exclude, const char *const *),
     NULL, 0, 0, NULL,
     "patterns as in .gitignore of what to leave out; a leading / is the root of the file system"},
    {"exclude_caches", BAKE_T_BOOL, 0, BAKE_MEMBER(struct files_config, exclude_caches, int),
     "false", 0, 0, NULL,
     "leave out what lies in directories that a valid CACHEDIR.TAG marks as caches"},
    {"exclude_if_present", BAKE_T_STRLIST, 0,
     BAKE_MEMBER(struct files_config, exclude_if_present, const char *const *), NULL, 0, 0, NULL,
     "names of files; a directory that holds one is kept with nothing but that file"},
    {"one_file_system", BAKE_T_BOOL, 0, BAKE_MEMBER(struct files_config, one_file_system, int),
     "false", 0, 0, NULL, "keep mount points below a path as empty directories"},
    {0},
};

/* ---- for all parts --------------------------------------------------------------------------- */

void files_report(struct bake_ctx *ctx, int severity, const char *path, const char *fmt, ...)
{
    char *subject = malloc(strlen(path) + 2);
    va_list ap;
    if (subject) {
        subject[0] = '/';
        memcpy(subject + 1, path, strlen(path) + 1);
    }
    va_start(ap, fmt);
    ctx->host->vreport(ctx, severity, subject ? subject : path, fmt, ap);
    va_end(ap);
    free(subject);
}

int files_nomem(struct bake_ctx *ctx) { return bake_fail(ctx, BAKE_E_NOMEM, "out of memory"); }

/* ---- before anything is read ----------------------------------------------------------------- */

static int parse_excludes(struct bake_ctx *ctx, const struct files_config *cfg,
                          struct bkc_ignore **ret)
{
    size_t bad = 0;
    if (bkc_ignore_new(cfg->exclude, ret, &bad) == 0)
        return BAKE_OK;
    if (bad == BKC_IGNORE_NOMEM)
        return files_nomem(ctx);
    return bake_fail(ctx, BAKE_E_CONFIG,
                     "'exclude': '%s' can never match\n"
                     "HINT: close every '[', end no pattern in '\\', name something before '/'",
                     cfg->exclude[bad]);
}

static int validate(struct bake_ctx *ctx, const void *config)
{
    const struct files_config *cfg = config;
    if (!cfg->paths->path)
        return bake_fail(ctx, BAKE_E_CONFIG, "'paths' is empty, nothing would be backed up");
    for (const struct bake_path *p = cfg->paths; p->path; p++)
        if (p->path[0] != '/')
            return bake_fail(ctx, BAKE_E_CONFIG, "'paths': '%s' is not absolute", p->path);
    for (const char *const *tag = cfg->exclude_if_present; *tag; tag++)
        if (!**tag || strchr(*tag, '/'))
            return bake_fail(ctx, BAKE_E_CONFIG, "'exclude_if_present': '%s' is not a file's name",
                             *tag);
    struct bkc_ignore *ignore = NULL;
    int rc = parse_excludes(ctx, cfg, &ignore);
    if (rc == BAKE_OK)
        bkc_ignore_free(ignore);
    return rc;
}

struct probe {
    struct bake_ctx *ctx;
    char *first; /* path that is wrong, */
    int error;   /* how, */
    size_t n;    /* and how many there are */
};

static int note(struct probe *p, const char *path, int error)
{
    if (p->n++ > 0)
        return 0;
    p->error = error;
    p->first = strdup(path);
    return p->first ? 0 : ENOMEM;
}

static int probe_missing(void *arg, const struct bake_path *path, const char *at, int error)
{
    bool absent = error == ENOENT || error == ENOTDIR;
    return absent && path->optional ? 0 : note(arg, at, error);
}

/* Can the root be read? A link need not be: its text always can. */
static int probe_root(struct probe *p, const char *path)
{
    size_t n = strlen(path);
    int flags = path[n - 1] == '/' ? O_DIRECTORY : O_NOFOLLOW;
    int fd = open(path, O_PATH | O_CLOEXEC | flags);
    struct stat st;
    int error = fd < 0 || fstat(fd, &st) != 0 ? errno : 0;
    if (fd >= 0)
        (void)close(fd);
    if (error == 0 && (S_ISDIR(st.st_mode) || S_ISREG(st.st_mode)) &&
        faccessat(AT_FDCWD, path, S_ISDIR(st.st_mode) ? R_OK | X_OK : R_OK, AT_EACCESS) != 0)
        error = errno;
    return error == 0 ? 0 : note(p, path, error);
}

static int probe(struct bake_ctx *ctx, const void *config)
{
    const struct files_config *cfg = config;
    struct probe p = {.ctx = ctx};
    struct files_roots roots = {0};
    int error = files_roots_expand(cfg->paths, probe_missing, &p, &roots);
    for (size_t i = 0; i < roots.n && error == 0; i++)
        error = probe_root(&p, roots.items[i].path);
    files_roots_free(&roots);
    int rc = error != 0 ? files_nomem(ctx) : BAKE_OK;
    if (rc == BAKE_OK && p.n == 1)
        rc = bake_fail(ctx, p.error == ENOENT ? BAKE_E_NOTFOUND : BAKE_E_IO, "cannot read '%s': %s",
                       p.first, strerror(p.error));
    else if (rc == BAKE_OK && p.n > 1)
        rc = bake_fail(ctx, p.error == ENOENT ? BAKE_E_NOTFOUND : BAKE_E_IO,
                       "cannot read '%s' and %zu more of 'paths': %s", p.first, p.n - 1,
                       strerror(p.error));
    free(p.first);
    return rc;
}

/* ---- the source ------------------------------------------------------------------------------ */

static int source_open(struct bake_ctx *ctx, const void *config, void **ret_self)
{
    struct files_source *s = calloc(1, sizeof(*s));
    if (!s)
        return files_nomem(ctx);
    s->ctx = ctx;
    s->cfg = config;
    int rc = parse_excludes(ctx, s->cfg, &s->ignore);
    if (rc != BAKE_OK) {
        free(s);
        return rc;
    }
    *ret_self = s;
    return BAKE_OK;
}

static int plan(void *self, struct bake_component *ret)
{
    struct files_source *s = self;
    s->planned = !s->planned;
    if (!s->planned)
        return BAKE_END;
    *ret = (struct bake_component){.struct_size = sizeof(*ret), .name = ".", .kind = BAKE_TREE};
    return BAKE_OK;
}

static void source_close(void *self)
{
    struct files_source *s = self;
    bkc_ignore_free(s->ignore);
    free(s);
}

static const struct bake_source_ops ops = {
    .struct_size = sizeof(ops),
    .open = source_open,
    .plan = plan,
    .reader_open = files_reader_open,
    .next = files_next,
    .open_entry = files_open_entry,
    .read = files_read,
    .finish = files_finish,
    .reader_close = files_reader_close,
    .writer_open = files_writer_open,
    .put_entry = files_put_entry,
    .write = files_write,
    .entry_end = files_entry_end,
    .commit = files_commit,
    .writer_close = files_writer_close,
    .close = source_close,
};

static const struct bake_plugin plugin = {
    BAKE_PLUGIN_HEAD,     .name = "files",
    .version = "1.0",     .summary = "files and directories of this machine",
    .options = options,   .config_size = sizeof(struct files_config),
    .validate = validate, .probe = probe,
    .source = &ops,
};

BAKE_PLUGIN(plugin)
