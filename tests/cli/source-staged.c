/* A source for the command-line tests: components by name, of any size, that wait, fail or blurt
 * out the password when told to. It cannot put anything back. */
#include "told.h"

#include <stdlib.h>

struct staged_cfg {
    const char *const *trees, *const *blobs, *const *fail;
    uint64_t size;
    const char *wait_for, *password, *fingerprint;
    int closed, leak;
};

#define AT(member, ctype) .offset = BAKE_MEMBER(struct staged_cfg, member, ctype)

static const struct bake_option options[] = {
    {.key = "trees",
     .type = BAKE_T_STRLIST,
     AT(trees, const char *const *),
     .help = "Trees of one file 'data'."},
    {.key = "blobs", .type = BAKE_T_STRLIST, AT(blobs, const char *const *), .help = "Blobs."},
    {.key = "fail",
     .type = BAKE_T_STRLIST,
     AT(fail, const char *const *),
     .help = "Components that break off after half of their bytes."},
    {.key = "size",
     .type = BAKE_T_SIZE,
     AT(size, uint64_t),
     .fallback = "64 B",
     .help = "Of each blob and file: the component's name and a newline, again and again."},
    {.key = "wait_for",
     .type = BAKE_T_PATH,
     AT(wait_for, const char *),
     .help = "Reading makes PATH.reached and goes on when PATH is there."},
    {.key = "fingerprint",
     .type = BAKE_T_STRING,
     AT(fingerprint, const char *),
     .help = "Of every component: equal to the last time's, nothing has changed."},
    {.key = "closed", .type = BAKE_T_BOOL, AT(closed, int), .help = "Cannot be opened."},
    {.key = "password", .type = BAKE_T_SECRET, AT(password, const char *), .help = "A secret."},
    {.key = "leak", .type = BAKE_T_BOOL, AT(leak, int), .help = "Says the password everywhere."},
    {0},
};

struct staged {
    struct bake_ctx *ctx;
    const struct staged_cfg *cfg;
    size_t tree, blob; /* what plan() yields next */
};

struct reader {
    struct bake_ctx *ctx;
    const struct staged_cfg *cfg;
    char name[256];
    int entry; /* what next() yields next */
    int fails;
    uint64_t pos;
};

/* ---- what there is --------------------------------------------------------------------------- */

static int blurt(struct bake_ctx *ctx, const struct staged_cfg *c)
{
    const char *secret = c->password ? c->password : "(none)";

    bake_log(ctx, BAKE_LOG_INFO, "logged in with %s", secret);
    bake_log(ctx, BAKE_LOG_DEBUG, "url: http://backup:%s@db/", secret);
    bake_report(ctx, BAKE_WARNING, secret, "the server said: unknown option '%s'", secret);
    return bake_fail(ctx, BAKE_E_IO, "the server refused '%s'\nHINT: do not use '%s'", secret,
                     secret);
}

static int staged_open(struct bake_ctx *ctx, const void *cfg, void **ret_self)
{
    const struct staged_cfg *c = cfg;
    struct staged *s;

    if (c->closed)
        return c->leak ? blurt(ctx, c) : bake_fail(ctx, BAKE_E_UNAVAILABLE, "it is closed");
    s = calloc(1, sizeof(*s));
    if (!s)
        return bake_fail(ctx, BAKE_E_NOMEM, "out of memory");
    s->ctx = ctx;
    s->cfg = c;
    *ret_self = s;
    return BAKE_OK;
}

static int staged_probe(struct bake_ctx *ctx, const void *cfg)
{
    const struct staged_cfg *c = cfg;

    return c->closed ? bake_fail(ctx, BAKE_E_UNAVAILABLE, "it is closed") : BAKE_OK;
}

static int staged_plan(void *self, struct bake_component *ret)
{
    struct staged *s = self;

    if (s->cfg->trees[s->tree]) {
        ret->name = s->cfg->trees[s->tree++];
        ret->kind = BAKE_TREE;
    } else if (s->cfg->blobs[s->blob]) {
        ret->name = s->cfg->blobs[s->blob++];
        ret->kind = BAKE_BLOB;
    } else {
        s->tree = s->blob = 0;
        return BAKE_END;
    }
    ret->fingerprint = s->cfg->fingerprint;
    return BAKE_OK;
}

/* ---- reading --------------------------------------------------------------------------------- */

static int reader_open(void *self, struct bake_ctx *ctx, const struct bake_component *component,
                       void **ret_reader)
{
    struct staged *s = self;
    struct reader *r = calloc(1, sizeof(*r));

    if (!r)
        return bake_fail(ctx, BAKE_E_NOMEM, "out of memory");
    r->ctx = ctx;
    r->cfg = s->cfg;
    r->fails = told_listed(s->cfg->fail, component->name);
    (void)snprintf(r->name, sizeof(r->name), "%s\n", component->name);
    *ret_reader = r;
    return BAKE_OK;
}

static int next(void *reader, struct bake_entry *ret)
{
    struct reader *r = reader;

    return told_next(&r->entry, r->cfg->size, ret);
}

static int read_bytes(void *reader, struct bake_out *out)
{
    struct reader *r = reader;

    if (r->pos == 0 && r->cfg->wait_for && told_wait(r->ctx, r->cfg->wait_for) < 0)
        return BAKE_E_CANCELLED;
    if (r->fails && r->pos >= r->cfg->size / 2)
        return r->cfg->leak ? blurt(r->ctx, r->cfg)
                            : bake_fail(r->ctx, BAKE_E_IO, "the connection broke off");
    told_fill(r->name, r->fails ? r->cfg->size / 2 : r->cfg->size, &r->pos, out);
    return r->pos < r->cfg->size ? BAKE_OK : BAKE_END;
}

static void release(void *self) { free(self); }

static const struct bake_source_ops source = {
    .struct_size = sizeof(source),
    .open = staged_open,
    .plan = staged_plan,
    .reader_open = reader_open,
    .next = next,
    .open_entry = told_open_entry,
    .read = read_bytes,
    .finish = told_finish,
    .reader_close = release,
    .close = release,
};

static const struct bake_plugin staged = {
    BAKE_PLUGIN_HEAD,      .name = "staged",
    .version = "1.0",      .summary = "Components that do as they are told.",
    .options = options,    .config_size = sizeof(struct staged_cfg),
    .probe = staged_probe, .source = &source,
};

BAKE_PLUGIN(staged)
