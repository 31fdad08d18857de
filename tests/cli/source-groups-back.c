/* A source for the tests of restores by groups. What it backs up are files in the folder live/ of
 * `dir`: component shop/a is live/shop+a, of group shop. Restored components are staged in stage/;
 * what they replace is kept in old/. Every call about a group is a line in the file `log`. */
#include "told.h"

#include <dirent.h>
#include <pthread.h>
#include <stdlib.h>

#define GROUPS_MAX 16

struct back_cfg {
    const char *const *trees, *const *blobs, *const *last, *const *gone, *const *lacking;
    const char *const *fail_write, *const *fail_commit, *const *fail_begin, *const *fail_switch;
    const char *const *fail_end, *const *fail_undo;
    const char *dir, *log, *wait_for, *wait_end;
    int64_t last_stage;
};

#define AT(member, ctype) .offset = BAKE_MEMBER(struct back_cfg, member, ctype)
#define LIST(name, text)                                                                           \
    {                                                                                              \
        .key = #name, .type = BAKE_T_STRLIST, AT(name, const char *const *), .help = (text)        \
    }

static const struct bake_option options[] = {
    LIST(trees, "Trees of one file 'data'."),
    LIST(blobs, "Blobs."),
    LIST(last, "Components that are written in the last stage."),
    LIST(gone, "Components that have no place any more."),
    LIST(lacking, "Components of which something is missing when they are restored."),
    LIST(fail_write, "Components that cannot be written."),
    LIST(fail_commit, "Components that cannot be taken into use."),
    LIST(fail_begin, "Groups whose restore cannot begin."),
    LIST(fail_switch, "Groups that cannot be switched."),
    LIST(fail_end, "Groups that are not well in the end."),
    LIST(fail_undo, "Groups that cannot be put back."),
    {.key = "dir",
     .type = BAKE_T_PATH,
     .flags = BAKE_OPT_REQUIRED,
     AT(dir, const char *),
     .help = "Where live/, stage/ and old/ are."},
    {.key = "log", .type = BAKE_T_PATH, AT(log, const char *), .help = "What was called."},
    {.key = "wait_for",
     .type = BAKE_T_PATH,
     AT(wait_for, const char *),
     .help = "Writing makes PATH.reached and goes on when PATH is there."},
    {.key = "wait_end",
     .type = BAKE_T_PATH,
     AT(wait_end, const char *),
     .help = "Putting back waits until PATH is there, or for an interrupt."},
    {.key = "last_stage",
     .type = BAKE_T_INT,
     AT(last_stage, int64_t),
     .fallback = "1",
     .help = "The number of the last stage."},
    {0},
};

struct promise {
    char group[64];
    uint64_t id;
};

struct back {
    struct bake_ctx *ctx;
    const struct back_cfg *cfg;
    size_t tree, blob; /* what plan() yields next */
    pthread_mutex_t lock;
    struct promise promises[GROUPS_MAX];
    char group[64];
    int interrupts;
};

struct file { /* a reader or a writer */
    struct bake_ctx *ctx;
    const struct back_cfg *cfg;
    char name[256];
    int fd, entry;
};

/* ---- what all need --------------------------------------------------------------------------- */

static BAKE_PRINTF(2, 3) void note(const struct back_cfg *c, const char *fmt, ...)
{
    char line[600];
    va_list ap;
    int fd = c->log ? open(c->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;

    if (fd < 0)
        return;
    va_start(ap, fmt);
    (void)vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    if (write(fd, line, strlen(line)) < 0)
        perror(c->log);
    (void)close(fd);
}

/* "<dir>/<folder>/<name>", with '+' for '/' in the name */
static void path_of(const struct back_cfg *c, const char *folder, const char *name, char *out,
                    size_t cap)
{
    size_t at;

    (void)snprintf(out, cap, "%s/%s/", c->dir, folder);
    at = strlen(out);
    (void)snprintf(out + at, cap - at, "%s", name);
    for (char *p = out + at; *p; p++)
        *p = *p == '/' ? '+' : *p;
}

/* Calls each(c, file's name) for the files of a group in a folder; how many there were. */
static size_t each_of(const struct back_cfg *c, const char *folder, const char *group,
                      void (*each)(const struct back_cfg *, const char *))
{
    char path[4200];
    size_t n = 0, len = strlen(group);
    struct dirent *e;
    DIR *d;

    (void)snprintf(path, sizeof(path), "%s/%s", c->dir, folder);
    d = opendir(path);
    while (d && (e = readdir(d)) != NULL) {
        if (strncmp(e->d_name, group, len) != 0 || e->d_name[len] != '+')
            continue;
        each(c, e->d_name);
        n++;
    }
    if (d)
        (void)closedir(d);
    return n;
}

static void take(const struct back_cfg *c, const char *name)
{
    char stage[4200], live[4200], old[4200];

    path_of(c, "stage", name, stage, sizeof(stage));
    path_of(c, "live", name, live, sizeof(live));
    path_of(c, "old", name, old, sizeof(old));
    if (rename(live, old) < 0 || rename(stage, live) < 0)
        note(c, "cannot take %s: %s\n", name, strerror(errno));
}

static void put_back(const struct back_cfg *c, const char *name)
{
    char live[4200], old[4200];

    path_of(c, "live", name, live, sizeof(live));
    path_of(c, "old", name, old, sizeof(old));
    if (rename(old, live) < 0)
        note(c, "cannot put back %s: %s\n", name, strerror(errno));
}

static void drop(const struct back_cfg *c, const char *name, const char *folder)
{
    char path[4200];

    path_of(c, folder, name, path, sizeof(path));
    (void)unlink(path);
}

static void drop_stage(const struct back_cfg *c, const char *name) { drop(c, name, "stage"); }
static void drop_old(const struct back_cfg *c, const char *name) { drop(c, name, "old"); }

static int back_open(struct bake_ctx *ctx, const void *cfg, void **ret_self)
{
    struct back *b = calloc(1, sizeof(*b));

    if (!b)
        return bake_fail(ctx, BAKE_E_NOMEM, "out of memory");
    b->ctx = ctx;
    b->cfg = cfg;
    pthread_mutex_init(&b->lock, NULL);
    note(b->cfg, "open\n");
    *ret_self = b;
    return BAKE_OK;
}

static void back_close(void *self)
{
    struct back *b = self;

    note(b->cfg, "close\n");
    pthread_mutex_destroy(&b->lock);
    free(b);
}

/* ---- reading --------------------------------------------------------------------------------- */

static int plan(void *self, struct bake_component *ret)
{
    struct back *b = self;

    if (b->cfg->trees[b->tree]) {
        ret->name = b->cfg->trees[b->tree++];
        ret->kind = BAKE_TREE;
    } else if (b->cfg->blobs[b->blob]) {
        ret->name = b->cfg->blobs[b->blob++];
        ret->kind = BAKE_BLOB;
    } else {
        b->tree = b->blob = 0;
        return BAKE_END;
    }
    ret->facts = "{\"colour\":\"green\"}";
    if (!strchr(ret->name, '/'))
        return BAKE_OK;
    (void)snprintf(b->group, sizeof(b->group), "%.*s", (int)strcspn(ret->name, "/"), ret->name);
    ret->group = b->group;
    return BAKE_OK;
}

static struct file *file_of(const struct back *b, struct bake_ctx *ctx,
                            const struct bake_component *c)
{
    struct file *f = calloc(1, sizeof(*f));

    if (!f)
        return NULL;
    f->ctx = ctx;
    f->cfg = b->cfg;
    f->fd = -1;
    (void)snprintf(f->name, sizeof(f->name), "%s", c->name);
    return f;
}

static void file_close(void *p)
{
    struct file *f = p;

    if (f->fd >= 0)
        (void)close(f->fd);
    free(f);
}

static int reader_open(void *self, struct bake_ctx *ctx, const struct bake_component *c,
                       void **ret_reader)
{
    struct file *f = file_of(self, ctx, c);
    char path[4200];

    if (!f)
        return bake_fail(ctx, BAKE_E_NOMEM, "out of memory");
    path_of(f->cfg, "live", f->name, path, sizeof(path));
    f->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (f->fd < 0) {
        free(f);
        return bake_fail(ctx, BAKE_E_IO, "cannot open '%s': %s", path, strerror(errno));
    }
    *ret_reader = f;
    return BAKE_OK;
}

static int next(void *reader, struct bake_entry *ret)
{
    struct file *f = reader;

    if (f->entry++ > 0)
        return BAKE_END;
    ret->type = BAKE_FILE;
    ret->path = "data";
    ret->size = (uint64_t)lseek(f->fd, 0, SEEK_END);
    ret->mode = 0644;
    ret->valid = BAKE_HAS_MODE;
    return BAKE_OK;
}

static int open_entry(void *reader, struct bake_entry *entry)
{
    (void)entry;
    (void)lseek(((struct file *)reader)->fd, 0, SEEK_SET);
    return BAKE_OK;
}

static int read_bytes(void *reader, struct bake_out *out)
{
    struct file *f = reader;
    ssize_t n = read(f->fd, (char *)out->data + out->pos, out->size - out->pos);

    if (n < 0)
        return bake_fail(f->ctx, BAKE_E_IO, "cannot read: %s", strerror(errno));
    out->pos += (size_t)n;
    return n > 0 ? BAKE_OK : BAKE_END;
}

static int hold(void *self, struct bake_ctx *ctx, const char *group,
                const struct bake_component *const *chosen, size_t n, uint32_t flags,
                struct bake_result *ret)
{
    (void)ctx;
    (void)chosen;
    (void)ret;
    if (!(flags & BAKE_HOLD_PREVIEW))
        note(((struct back *)self)->cfg, "hold %s %zu\n", group, n);
    return BAKE_OK;
}

static int release(void *self, struct bake_ctx *ctx, const char *group, struct bake_result *ret)
{
    (void)ctx;
    (void)ret;
    note(((struct back *)self)->cfg, "release %s\n", group);
    return BAKE_OK;
}

/* ---- writing --------------------------------------------------------------------------------- */

static int writer_open(void *self, struct bake_ctx *ctx, const struct bake_component *c,
                       const struct bake_restore *how, void **ret_writer)
{
    struct back *b = self;
    struct file *f;
    char path[4200];

    (void)how;
    if (told_listed(b->cfg->gone, c->name))
        return bake_fail(ctx, BAKE_E_NOTFOUND, "its service is not there any more");
    f = file_of(b, ctx, c);
    if (!f)
        return bake_fail(ctx, BAKE_E_NOMEM, "out of memory");
    path_of(f->cfg, c->group ? "stage" : "live", f->name, path, sizeof(path));
    f->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (f->fd < 0) {
        free(f);
        return bake_fail(ctx, BAKE_E_IO, "cannot open '%s': %s", path, strerror(errno));
    }
    if (told_listed(b->cfg->lacking, c->name))
        bake_report(ctx, BAKE_PARTIAL, c->name, "its owner is gone");
    *ret_writer = f;
    return BAKE_OK;
}

static int put_entry(void *writer, const struct bake_entry *entry)
{
    (void)writer;
    (void)entry;
    return BAKE_OK;
}

static int write_bytes(void *writer, struct bake_in *in)
{
    struct file *f = writer;
    ssize_t n;

    if (told_listed(f->cfg->fail_write, f->name))
        return bake_fail(f->ctx, BAKE_E_IO, "the disk is broken");
    if (f->cfg->wait_for && told_wait(f->ctx, f->cfg->wait_for) < 0)
        return BAKE_E_CANCELLED;
    n = write(f->fd, (const char *)in->data + in->pos, in->size - in->pos);
    if (n < 0)
        return bake_fail(f->ctx, BAKE_E_IO, "cannot write: %s", strerror(errno));
    in->pos += (size_t)n;
    return BAKE_OK;
}

static int entry_end(void *writer, int good)
{
    (void)writer;
    (void)good;
    return BAKE_OK;
}

static int commit(void *writer)
{
    struct file *f = writer;

    if (told_listed(f->cfg->fail_commit, f->name))
        return bake_fail(f->ctx, BAKE_E_IO, "it does not come up");
    note(f->cfg, "commit %s\n", f->name);
    return BAKE_OK;
}

/* ---- groups ---------------------------------------------------------------------------------- */

static int promise(struct back *b, struct bake_ctx *ctx, const char *group)
{
    char what[128];
    int rc = BAKE_E_NOMEM;

    (void)snprintf(what, sizeof(what), "{\"group\":\"%s\"}", group);
    pthread_mutex_lock(&b->lock);
    for (size_t i = 0; i < GROUPS_MAX; i++) {
        struct promise *p = &b->promises[i];

        if (p->id)
            continue;
        (void)snprintf(p->group, sizeof(p->group), "%s", group);
        rc = ctx->host->oblige(ctx, what, &p->id);
        break;
    }
    pthread_mutex_unlock(&b->lock);
    return rc;
}

static void promise_kept(struct back *b, struct bake_ctx *ctx, const char *group)
{
    pthread_mutex_lock(&b->lock);
    for (size_t i = 0; i < GROUPS_MAX; i++) {
        struct promise *p = &b->promises[i];

        if (!p->id || strcmp(p->group, group) != 0)
            continue;
        (void)ctx->host->redeemed(ctx, p->id);
        p->id = 0;
    }
    pthread_mutex_unlock(&b->lock);
}

static int restore_begin(void *self, struct bake_ctx *ctx, const struct bake_restore *how,
                         const char *group, const struct bake_component *const *chosen, size_t n,
                         uint32_t *ret_stage)
{
    struct back *b = self;
    int look = how->purpose == BAKE_INSPECT;

    note(b->cfg, "%s %s backup=%s as=%s force=%d flags=%u facts=%s\n", look ? "look" : "begin",
         group, how->backup, how->as_group ? how->as_group : "", how->force, how->flags,
         chosen[0]->facts ? chosen[0]->facts : "");
    for (size_t i = 0; i < n; i++) {
        ret_stage[i] =
            told_listed(b->cfg->last, chosen[i]->name) ? (uint32_t)b->cfg->last_stage : 0;
        note(b->cfg, "  %s\n", chosen[i]->name);
    }
    if (told_listed(b->cfg->fail_begin, group))
        return bake_fail(ctx, BAKE_E_UNSUPPORTED, "it is of another architecture");
    if (look)
        return BAKE_OK;
    (void)each_of(b->cfg, "old", group, drop_old);
    return promise(b, ctx, group);
}

static int switch_group(void *self, struct bake_ctx *ctx, const char *group)
{
    struct back *b = self;

    note(b->cfg, "switch %s\n", group);
    if (told_listed(b->cfg->fail_switch, group))
        return bake_fail(ctx, BAKE_E_IO, "it does not stop");
    (void)each_of(b->cfg, "stage", group, take);
    return BAKE_OK;
}

static void undo(const struct back_cfg *c, const char *group)
{
    (void)each_of(c, "stage", group, drop_stage);
    (void)each_of(c, "old", group, put_back);
}

/* As if it were a call that an interrupt breaks off. */
static int wait_end(struct back *b)
{
    while (b->cfg->wait_end && access(b->cfg->wait_end, F_OK) < 0) {
        int broken;

        pthread_mutex_lock(&b->lock);
        broken = b->interrupts;
        pthread_mutex_unlock(&b->lock);
        if (broken)
            return -1;
        (void)usleep(10000);
    }
    return 0;
}

static void back_interrupt(void *self)
{
    struct back *b = self;

    pthread_mutex_lock(&b->lock);
    b->interrupts++;
    pthread_mutex_unlock(&b->lock);
    note(b->cfg, "interrupt\n");
}

static int restore_end(void *self, struct bake_ctx *ctx, const char *group, int good,
                       struct bake_result *ret)
{
    struct back *b = self;

    note(b->cfg, "end %s good=%d cancelled=%d\n", group, good, ctx->host->cancelled(ctx));
    if (good)
        (void)each_of(b->cfg, "stage", group, take);
    if (!good && wait_end(b) < 0)
        return bake_fail(ctx, BAKE_E_IO, "interrupted");
    if (!good && told_listed(b->cfg->fail_undo, group))
        return bake_fail(ctx, BAKE_E_IO, "it cannot be undone");
    if (good && told_listed(b->cfg->fail_end, group) && told_listed(b->cfg->fail_undo, group)) {
        bake_report(ctx, BAKE_PARTIAL, NULL, "nor can that be undone");
        return bake_fail(ctx, BAKE_E_TIMEOUT, "it does not become healthy");
    }
    if (!good || told_listed(b->cfg->fail_end, group))
        undo(b->cfg, group);
    promise_kept(b, ctx, group);
    if (good && told_listed(b->cfg->fail_end, group))
        return bake_fail(ctx, BAKE_E_TIMEOUT, "it does not become healthy");
    ret->facts = good ? "{\"started\":2}" : NULL;
    return BAKE_OK;
}

static int undo_group(void *self, struct bake_ctx *ctx, const char *group)
{
    struct back *b = self;

    note(b->cfg, "undo %s\n", group);
    if (told_listed(b->cfg->fail_undo, group))
        return bake_fail(ctx, BAKE_E_IO, "it cannot be undone");
    if (each_of(b->cfg, "old", group, put_back) == 0)
        return bake_fail(ctx, BAKE_E_NOTFOUND, "nothing is kept of '%s'", group);
    return BAKE_OK;
}

static int redeem(struct bake_ctx *ctx, const void *cfg, const char *what)
{
    const char *at = strstr(what, "\"group\"");
    char group[64];

    at = at ? strchr(at, ':') : NULL;
    at = at ? strchr(at, '"') : NULL;
    if (!at)
        return bake_fail(ctx, BAKE_E_INTERNAL, "no group in '%s'", what);
    (void)snprintf(group, sizeof(group), "%.*s", (int)strcspn(at + 1, "\""), at + 1);
    undo(cfg, group);
    note(cfg, "redeem %s\n", group);
    return BAKE_OK;
}

static int tidy(void *self, struct bake_ctx *ctx)
{
    (void)ctx;
    note(((struct back *)self)->cfg, "tidy\n");
    return BAKE_OK;
}

static const struct bake_source_ops source = {
    .struct_size = sizeof(source),
    .open = back_open,
    .plan = plan,
    .reader_open = reader_open,
    .next = next,
    .open_entry = open_entry,
    .read = read_bytes,
    .finish = told_finish,
    .reader_close = file_close,
    .writer_open = writer_open,
    .put_entry = put_entry,
    .write = write_bytes,
    .entry_end = entry_end,
    .commit = commit,
    .writer_close = file_close,
    .interrupt = back_interrupt,
    .close = back_close,
    .hold = hold,
    .release = release,
    .redeem = redeem,
    .tidy = tidy,
    .restore_begin = restore_begin,
    .switch_group = switch_group,
    .restore_end = restore_end,
    .undo_group = undo_group,
};

static const struct bake_plugin back = {
    BAKE_PLUGIN_HEAD,   .name = "groups-back",
    .version = "1.0",   .summary = "Groups that are restored as a whole or not at all.",
    .options = options, .config_size = sizeof(struct back_cfg),
    .source = &source,
};

BAKE_PLUGIN(back)
