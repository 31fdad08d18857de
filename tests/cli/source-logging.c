/* A source for the command-line tests of the log archive: one blob whose facts say which logs it
 * needs, logs from a folder, and a receiver that stores what appears there. */
#include "told.h"

#include <dirent.h>
#include <stdlib.h>

struct logging_cfg {
    const char *stream, *dir, *back, *from, *end;
};

#define AT(member, ctype) .offset = BAKE_MEMBER(struct logging_cfg, member, ctype)

static const struct bake_option options[] = {
    {.key = "stream",
     .type = BAKE_T_STRING,
     AT(stream, const char *),
     .fallback = "s",
     .help = "Whose logs they are."},
    {.key = "dir",
     .type = BAKE_T_PATH,
     AT(dir, const char *),
     .help = "Its files are put when the logs are pulled; '+' in their names stands for '/'."},
    {.key = "back",
     .type = BAKE_T_PATH,
     AT(back, const char *),
     .help = "After a pull all that the archive has is put here."},
    {.key = "from", .type = BAKE_T_STRING, AT(from, const char *), .help = "The facts' 'from'."},
    {.key = "end", .type = BAKE_T_STRING, AT(end, const char *), .help = "The facts' 'end'."},
    {0},
};

struct logging {
    struct bake_ctx *ctx;
    const struct logging_cfg *cfg;
    int planned;
    char facts[500];
};

static int logging_open(struct bake_ctx *ctx, const void *cfg, void **ret_self)
{
    struct logging *s = calloc(1, sizeof(*s));

    if (!s)
        return bake_fail(ctx, BAKE_E_NOMEM, "out of memory");
    s->ctx = ctx;
    s->cfg = cfg;
    if (s->cfg->from)
        (void)snprintf(s->facts, sizeof(s->facts),
                       "{\"wal\": {\"stream\": \"%s\", \"from\": \"%s\", \"end\": \"%s\"}}",
                       s->cfg->stream, s->cfg->from,
                       s->cfg->end ? s->cfg->end : "2025-11-05T12:00:00Z");
    *ret_self = s;
    return BAKE_OK;
}

static int logging_plan(void *self, struct bake_component *ret)
{
    struct logging *s = self;

    if (s->planned) {
        s->planned = 0;
        return BAKE_END;
    }
    s->planned = 1;
    ret->name = ".";
    ret->kind = BAKE_BLOB;
    ret->facts = s->facts[0] ? s->facts : NULL;
    return BAKE_OK;
}

static int reader_open(void *self, struct bake_ctx *ctx, const struct bake_component *component,
                       void **ret_reader)
{
    uint64_t *pos = calloc(1, sizeof(*pos));

    (void)self;
    (void)component;
    if (!pos)
        return bake_fail(ctx, BAKE_E_NOMEM, "out of memory");
    *ret_reader = pos;
    return BAKE_OK;
}

static int read_bytes(void *reader, struct bake_out *out)
{
    uint64_t *pos = reader;

    told_fill("base\n", 5, pos, out);
    return *pos < 5 ? BAKE_OK : BAKE_END;
}

/* ---- logs ------------------------------------------------------------------------------------ */

static int put_one(const struct logging *s, struct bake_ctx *ctx, const char *file, int take)
{
    char path[4400], name[300];
    int rc;

    (void)snprintf(path, sizeof(path), "%s/%s", s->cfg->dir, file);
    (void)snprintf(name, sizeof(name), "%s", file);
    for (char *p = name; *p; p++)
        *p = *p == '+' ? '/' : *p;
    rc = ctx->host->log_put(ctx, s->cfg->stream, name, path);
    if (rc >= 0 && take)
        (void)unlink(path);
    return rc;
}

/* Files that are being written have a name that begins with a dot. */
static int put_all(const struct logging *s, struct bake_ctx *ctx, int take)
{
    struct dirent *e;
    DIR *d = opendir(s->cfg->dir);
    int rc = BAKE_OK;

    if (!d)
        return bake_fail(ctx, BAKE_E_IO, "cannot open '%s'", s->cfg->dir);
    while (rc >= 0 && (e = readdir(d)))
        if (e->d_name[0] != '.')
            rc = put_one(s, ctx, e->d_name, take);
    (void)closedir(d);
    return rc;
}

struct back {
    const struct logging *s;
    struct bake_ctx *ctx;
};

static int get_one(void *arg, const char *name, uint64_t size)
{
    struct back *b = arg;
    char path[4400];
    size_t at = strlen(b->s->cfg->back) + 1;

    (void)snprintf(path, sizeof(path), "%s/%s", b->s->cfg->back, name);
    for (char *p = path + at; *p; p++)
        *p = *p == '/' ? '+' : *p;
    return size > 0 ? b->ctx->host->log_get(b->ctx, b->s->cfg->stream, name, path) : BAKE_E_CORRUPT;
}

static int logs_pull(void *self, struct bake_ctx *ctx)
{
    const struct logging *s = self;
    struct back b = {s, ctx};
    int rc = s->cfg->dir ? put_all(s, ctx, 0) : BAKE_OK;

    if (rc >= 0 && s->cfg->back)
        rc = ctx->host->log_list(ctx, s->cfg->stream, get_one, &b);
    return rc;
}

static int logs_follow(void *self, struct bake_ctx *ctx, const char *spool)
{
    const struct logging *s = self;
    char mark[4400];

    (void)snprintf(mark, sizeof(mark), "%s/began", spool);
    if (!s->cfg->dir)
        return bake_fail(ctx, BAKE_E_IO, "there is no folder");
    for (;;) {
        int rc = put_all(s, ctx, 1);
        FILE *f = fopen(mark, "we");

        if (f)
            (void)fclose(f);
        if (rc == BAKE_E_EXISTS || rc == BAKE_E_CANCELLED)
            return rc;
        if (rc < 0)
            bake_log(ctx, BAKE_LOG_WARN, "not stored, trying again");
        if (ctx->host->sleep_ms(ctx, 20) != BAKE_OK)
            return bake_fail(ctx, BAKE_E_CANCELLED, "cancelled");
    }
}

static void release(void *self) { free(self); }

static const struct bake_source_ops source = {
    .struct_size = sizeof(source),
    .open = logging_open,
    .plan = logging_plan,
    .reader_open = reader_open,
    .read = read_bytes,
    .finish = told_finish,
    .reader_close = release,
    .close = release,
    .logs_pull = logs_pull,
    .logs_follow = logs_follow,
};

static const struct bake_plugin logging = {
    BAKE_PLUGIN_HEAD,   .name = "logging",
    .version = "1.0",   .summary = "A base and its logs.",
    .options = options, .config_size = sizeof(struct logging_cfg),
    .source = &source,
};

BAKE_PLUGIN(logging)
