/* A source for the tests of what came with minor 2: its names stand below the source's, it inspects
 * and drills, restores parts and under other names, and its trees come in no order. Component
 * `shop.sql` is the file shop.sql in `dir`; a restore makes shop.sql.back. What begins with
 * "rotten" is not sound. What it is told is written down in `log`, line by line. Built once more,
 * as source-below-free, it owes nothing: it has no redeem(). */
#include "told.h"

#include <stdlib.h>

#ifdef FREE
#define OWES 0
#define NAME "below-free"
#else
#define OWES 1
#define NAME "below"
#endif

struct below_cfg {
    const char *const *trees, *const *blobs, *const *alone;
    const char *const *odd, *const *fail_writer, *const *fail_end, *const *skips;
    const char *const *hosts;
    const char *dir, *log, *wait_for, *password, *inspect_fails;
    int64_t port;
    int fail_open, fail_begin;
};

#define AT(member, ctype) .offset = BAKE_MEMBER(struct below_cfg, member, ctype)
#define LIST(member, text)                                                                         \
    {                                                                                              \
        .key = #member, .type = BAKE_T_STRLIST, AT(member, const char *const *), .help = (text)    \
    }
#define PATH(member, text)                                                                         \
    {                                                                                              \
        .key = #member, .type = BAKE_T_PATH, AT(member, const char *), .help = (text)              \
    }

static const struct bake_option options[] = {
    LIST(trees, "Trees without an order."),
    LIST(blobs, "Blobs."),
    LIST(alone, "Components of no group."),
    LIST(odd, "Components that are of a group 'odd'."),
    LIST(fail_writer, "Components that cannot be looked at: not supported."),
    LIST(fail_end, "Groups that are not well in the end."),
    LIST(skips, "Entries of trees that an inspection does not want."),
    LIST(hosts, "A list."),
    PATH(dir, "Where the files are."),
    PATH(log, "What was called."),
    PATH(wait_for, "Writing makes PATH.reached and goes on when PATH is there."),
    {.key = "password", .type = BAKE_T_SECRET, AT(password, const char *), .help = "A secret."},
    {.key = "inspect_fails",
     .type = BAKE_T_STRING,
     AT(inspect_fails, const char *),
     .help = "The component whose inspection fails for want of a tool."},
    {.key = "port",
     .type = BAKE_T_INT,
     .flags = BAKE_OPT_HAS_RANGE,
     .min = 1,
     .max = 65535,
     AT(port, int64_t),
     .fallback = "1",
     .help = "A number."},
    {.key = "fail_begin", .type = BAKE_T_BOOL, AT(fail_begin, int), .help = "No drill can begin."},
    {.key = "fail_open", .type = BAKE_T_BOOL, AT(fail_open, int), .help = "Cannot be opened."},
    {0},
};

struct below {
    struct bake_ctx *ctx;
    const struct below_cfg *cfg;
    size_t tree, blob; /* what plan() yields next */
    uint64_t promise;
};

struct file { /* a reader or a writer */
    struct bake_ctx *ctx;
    const struct below_cfg *cfg;
    char name[256];
    int fd, entry, purpose, rotten, any;
    size_t bytes;
};

static BAKE_PRINTF(2, 3) void note(const struct below_cfg *c, const char *fmt, ...)
{
    char line[1200];
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

static void path_of(const struct below_cfg *c, const char *name, const char *end, char *out,
                    size_t cap)
{
    (void)snprintf(out, cap, "%s/%s%s", c->dir, name, end);
}

/* ---- what there is --------------------------------------------------------------------------- */

static int below_open(struct bake_ctx *ctx, const void *cfg, void **ret_self)
{
    const struct below_cfg *c = cfg;
    struct below *b;

    if (c->fail_open)
        return bake_fail(ctx, BAKE_E_UNAVAILABLE, "the server is down");
    b = calloc(1, sizeof(*b));
    if (!b)
        return bake_fail(ctx, BAKE_E_NOMEM, "out of memory");
    b->ctx = ctx;
    b->cfg = cfg;
    note(c, "open port=%lld hosts=%s password=%s\n", (long long)c->port,
         c->hosts[0] ? c->hosts[0] : "", c->password ? "given" : "");
    *ret_self = b;
    return BAKE_OK;
}

static void below_close(void *self) { free(self); }

static int plan(void *self, struct bake_component *ret)
{
    struct below *b = self;

    if (b->cfg->trees[b->tree]) {
        ret->name = b->cfg->trees[b->tree++];
        ret->kind = BAKE_TREE;
        ret->flags = BAKE_UNORDERED;
    } else if (b->cfg->blobs[b->blob]) {
        ret->name = b->cfg->blobs[b->blob++];
        ret->kind = BAKE_BLOB;
    } else {
        b->tree = b->blob = 0;
        return BAKE_END;
    }
    ret->facts = "{\"colour\":\"green\"}";
    if (!told_listed(b->cfg->alone, ret->name))
        ret->group = told_listed(b->cfg->odd, ret->name) ? "odd" : ".";
    return BAKE_OK;
}

/* ---- reading --------------------------------------------------------------------------------- */

static struct file *file_of(const struct below *b, struct bake_ctx *ctx,
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
    path_of(f->cfg, f->name, "", path, sizeof(path));
    f->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (f->fd < 0) {
        free(f);
        return bake_fail(ctx, BAKE_E_IO, "cannot open '%s': %s", path, strerror(errno));
    }
    note(f->cfg, "read %s\n", f->name);
    *ret_reader = f;
    return BAKE_OK;
}

/* Directories before what is in them, but else as it comes; each file has the same content. */
static int next(void *reader, struct bake_entry *ret)
{
    static const char *const paths[] = {".", "z", "m", "m/b", "m/a", "c"};
    static const uint32_t types[] = {BAKE_DIR,  BAKE_FILE, BAKE_DIR,
                                     BAKE_FILE, BAKE_FILE, BAKE_FILE};
    struct file *f = reader;

    if (f->entry == 6)
        return BAKE_END;
    ret->path = paths[f->entry];
    ret->type = types[f->entry++];
    ret->mode = ret->type == BAKE_DIR ? 0755 : 0644;
    ret->valid = BAKE_HAS_MODE | BAKE_HAS_MTIME | BAKE_HAS_CTIME | BAKE_HAS_INODE;
    ret->mtime_ns = ret->ctime_ns = INT64_C(1700000000000000001);
    ret->inode = (uint64_t)f->entry;
    ret->size = ret->type == BAKE_FILE ? (uint64_t)lseek(f->fd, 0, SEEK_END) : 0;
    return BAKE_OK;
}

static int open_entry(void *reader, struct bake_entry *entry)
{
    struct file *f = reader;

    note(f->cfg, "entry %s\n", entry->path);
    (void)lseek(f->fd, 0, SEEK_SET);
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

/* ---- writing --------------------------------------------------------------------------------- */

static const char *purpose_name(int purpose)
{
    return purpose == BAKE_RESTORE ? "restore" : purpose == BAKE_INSPECT ? "inspect" : "drill";
}

static int writer_open(void *self, struct bake_ctx *ctx, const struct bake_component *c,
                       const struct bake_restore *how, void **ret_writer)
{
    struct below *b = self;
    struct file *f;
    char path[4200];

    note(b->cfg, "writer %s group=%s %s flags=%u facts=%s\n", c->name, c->group ? c->group : "",
         purpose_name(how->purpose), c->flags, c->facts ? c->facts : "");
    if (told_listed(b->cfg->fail_writer, c->name))
        return bake_fail(ctx, BAKE_E_UNSUPPORTED, "there is no tool for this");
    f = file_of(b, ctx, c);
    if (!f)
        return bake_fail(ctx, BAKE_E_NOMEM, "out of memory");
    f->purpose = how->purpose;
    path_of(f->cfg, f->name, ".back", path, sizeof(path));
    if (how->purpose == BAKE_RESTORE)
        f->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    *ret_writer = f;
    return BAKE_OK;
}

static int put_entry(void *writer, const struct bake_entry *entry)
{
    struct file *f = writer;

    f->any = 0;
    if (f->purpose == BAKE_INSPECT && told_listed(f->cfg->skips, entry->path))
        return BAKE_END;
    note(f->cfg, "put %s\n", entry->path);
    return BAKE_OK;
}

static int write_bytes(void *writer, struct bake_in *in)
{
    struct file *f = writer;
    const char *data = (const char *)in->data + in->pos;
    size_t n = in->size - in->pos;

    if (f->purpose == BAKE_DRILL && f->cfg->wait_for && told_wait(f->ctx, f->cfg->wait_for) < 0)
        return BAKE_E_CANCELLED;
    if (!f->any && n >= 6 && memcmp(data, "rotten", 6) == 0)
        f->rotten = 1;
    f->any = 1;
    if (f->purpose == BAKE_INSPECT && f->cfg->inspect_fails &&
        strcmp(f->cfg->inspect_fails, f->name) == 0)
        return bake_fail(f->ctx, BAKE_E_CHILD, "the tool broke down");
    if (f->fd >= 0 && write(f->fd, data, n) != (ssize_t)n)
        return bake_fail(f->ctx, BAKE_E_IO, "cannot write: %s", strerror(errno));
    f->bytes += n;
    in->pos = in->size;
    return BAKE_OK;
}

static int entry_end(void *writer, int good)
{
    struct file *f = writer;

    if (!good)
        note(f->cfg, "bad entry\n");
    return BAKE_OK;
}

static int commit(void *writer)
{
    struct file *f = writer;

    note(f->cfg, "commit %s %zu\n", f->name, f->bytes);
    if (f->rotten && f->purpose != BAKE_RESTORE)
        return bake_fail(f->ctx, BAKE_E_CORRUPT, "the end mark of the dump is missing");
    return BAKE_OK;
}

/* ---- groups ---------------------------------------------------------------------------------- */

static const char *base(const char *path)
{
    const char *slash = path ? strrchr(path, '/') : NULL;

    return slash && path[0] == '/' ? slash + 1 : "(none)";
}

static int restore_begin(void *self, struct bake_ctx *ctx, const struct bake_restore *how,
                         const char *group, const struct bake_component *const *chosen, size_t n,
                         uint32_t *ret_stage)
{
    struct below *b = self;

    note(b->cfg, "begin %s %s backup=%s as=%s at=%lld pipeline=%s program=%s parts=", group,
         purpose_name(how->purpose), how->backup, how->as_name ? how->as_name : "",
         (long long)how->at_ns, base(how->pipeline), base(how->program));
    for (size_t i = 0; how->parts && how->parts[i]; i++)
        note(b->cfg, "%s;", how->parts[i]);
    note(b->cfg, "\n");
    for (size_t i = 0; i < n; i++) {
        note(b->cfg, "  %s\n", chosen[i]->name);
        ret_stage[i] = 0;
    }
    if (b->cfg->fail_begin && how->purpose == BAKE_DRILL)
        return bake_fail(ctx, BAKE_E_NOTFOUND, "there is no server to be had");
    if (how->as_name && n != 1)
        return bake_fail(ctx, BAKE_E_CONFIG, "'%s' can only be the name of one database",
                         how->as_name);
    b->promise = 0;
    return how->purpose == BAKE_INSPECT || !OWES
               ? BAKE_OK
               : ctx->host->oblige(ctx, "{\"kind\":\"half\"}", &b->promise);
}

static int switch_group(void *self, struct bake_ctx *ctx, const char *group)
{
    (void)self;
    (void)ctx;
    (void)group;
    return BAKE_OK;
}

static int restore_end(void *self, struct bake_ctx *ctx, const char *group, int good,
                       struct bake_result *ret)
{
    struct below *b = self;
    int rc;

    note(b->cfg, "end %s good=%d\n", group, good);
    rc = OWES ? ctx->host->redeemed(ctx, b->promise) : BAKE_OK;
    if (rc < 0)
        return rc;
    if (good && told_listed(b->cfg->fail_end, group))
        return bake_fail(ctx, BAKE_E_CORRUPT, "table 'orders' has 7 rows and not 8");
    ret->facts = good ? "{\"tables\":2,\"rows\":8}" : NULL;
    return BAKE_OK;
}

static int undo_group(void *self, struct bake_ctx *ctx, const char *group)
{
    (void)ctx;
    note(((struct below *)self)->cfg, "undo %s\n", group);
    return BAKE_OK;
}

#if OWES
static int redeem(struct bake_ctx *ctx, const void *cfg, const char *what)
{
    const struct below_cfg *c = cfg;

    (void)ctx;
    note(c, "redeem %s port=%lld\n", what, (long long)c->port);
    return BAKE_OK;
}
#endif

static const struct bake_source_ops source = {
    .struct_size = sizeof(source),
    .open = below_open,
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
    .close = below_close,
#if OWES
    .redeem = redeem,
#endif
    .restore_begin = restore_begin,
    .switch_group = switch_group,
    .restore_end = restore_end,
    .undo_group = undo_group,
    .traits = BAKE_NAMES_BELOW | BAKE_INSPECTS | BAKE_DRILLS | BAKE_HAS_PARTS | BAKE_HAS_LOGS,
};

static const struct bake_plugin below = {
    BAKE_PLUGIN_HEAD,   .name = NAME,
    .version = "1.0",   .summary = "Names below its own, inspections and drills.",
    .options = options, .config_size = sizeof(struct below_cfg),
    .source = &source,
};

BAKE_PLUGIN(below)
