/* A source for the tests of groups: a component's group is what stands before the first '/' of its
 * name. It holds and releases as it is told and writes down, line by line, what it was asked. */
#include "told.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

struct groups_cfg {
    const char *const *trees, *const *blobs;
    const char *const *fail_read, *const *fail_hold, *const *fail_release, *const *torn,
                                                                               *const *odd;
    const char *const *changed, *const *waits;
    const char *log, *wait_for, *fingerprint;
    uint64_t size, read_time, hold_time, release_time;
    int fail_tidy;
};

#define AT(member, ctype) .offset = BAKE_MEMBER(struct groups_cfg, member, ctype)
#define LIST(member, text)                                                                         \
    {                                                                                              \
        .key = #member, .type = BAKE_T_STRLIST, AT(member, const char *const *), .help = (text)    \
    }
#define TIME(member, text)                                                                         \
    {                                                                                              \
        .key = #member, .type = BAKE_T_DURATION, AT(member, uint64_t), .fallback = "0",            \
        .help = (text)                                                                             \
    }

static const struct bake_option options[] = {
    LIST(trees, "Trees of one file 'data'."),
    LIST(blobs, "Blobs."),
    LIST(fail_read, "Components that cannot be read."),
    LIST(fail_hold, "Groups that cannot be held."),
    LIST(fail_release, "Groups that cannot be released."),
    LIST(torn, "Groups of which something is missing when they are held."),
    LIST(odd, "Groups whose facts are no JSON object."),
    LIST(changed, "Components whose fingerprint is never that of the last time."),
    {.key = "log",
     .type = BAKE_T_PATH,
     .flags = BAKE_OPT_REQUIRED,
     AT(log, const char *),
     .help = "Where it writes what it was asked."},
    {.key = "wait_for",
     .type = BAKE_T_PATH,
     AT(wait_for, const char *),
     .help = "Reading makes PATH.reached and goes on when PATH is there."},
    LIST(waits, "Components that do so; all, if none is given."),
    {.key = "fingerprint", .type = BAKE_T_STRING, AT(fingerprint, const char *), .help = "Of all."},
    {.key = "size",
     .type = BAKE_T_SIZE,
     AT(size, uint64_t),
     .fallback = "64 B",
     .help = "Of each blob and file: the component's name and a newline, again and again."},
    TIME(read_time, "How long each component is read."),
    TIME(hold_time, "How long it takes to hold."),
    TIME(release_time, "How long it takes to release."),
    {.key = "fail_tidy", .type = BAKE_T_BOOL, AT(fail_tidy, int), .help = "Cannot tidy up."},
    {0},
};

struct groups {
    struct bake_ctx *ctx;
    const struct groups_cfg *cfg;
    size_t tree, blob; /* what plan() yields next */
    char group[256], mark[64];
    pthread_mutex_t lock;
    char facts[512];
};

struct reader {
    struct bake_ctx *ctx;
    const struct groups_cfg *cfg;
    char name[256];
    int entry; /* what next() yields next */
    uint64_t pos;
};

/* ---- writing down --------------------------------------------------------------------------- */

static long long now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (long long)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void note(const struct groups_cfg *c, const char *what, const char *about)
{
    char line[1024];
    int n = snprintf(line, sizeof(line), "%lld %s %s\n", now_ms(), what, about);
    int fd = open(c->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    if (fd < 0)
        return;
    if (write(fd, line, (size_t)n) != n)
        (void)fprintf(stderr, "cannot write to '%s'\n", c->log);
    (void)close(fd);
}

/* ---- what there is -------------------------------------------------------------------------- */

static int groups_open(struct bake_ctx *ctx, const void *cfg, void **ret_self)
{
    struct groups *s = calloc(1, sizeof(*s));

    if (!s || pthread_mutex_init(&s->lock, NULL)) {
        free(s);
        return bake_fail(ctx, BAKE_E_NOMEM, "out of memory");
    }
    s->ctx = ctx;
    s->cfg = cfg;
    note(s->cfg, "open", "");
    *ret_self = s;
    return BAKE_OK;
}

static void groups_close(void *self)
{
    struct groups *s = self;

    (void)pthread_mutex_destroy(&s->lock);
    free(s);
}

static int groups_tidy(void *self, struct bake_ctx *ctx)
{
    struct groups *s = self;

    note(s->cfg, "tidy", "");
    return s->cfg->fail_tidy ? bake_fail(ctx, BAKE_E_IO, "too much dust") : BAKE_OK;
}

static int groups_plan(void *self, struct bake_component *ret)
{
    struct groups *s = self;
    const char *slash;

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
    slash = strchr(ret->name, '/');
    if (slash) {
        (void)snprintf(s->group, sizeof(s->group), "%.*s", (int)(slash - ret->name), ret->name);
        ret->group = s->group;
    }
    ret->fingerprint = s->cfg->fingerprint;
    if (told_listed(s->cfg->changed, ret->name)) {
        (void)snprintf(s->mark, sizeof(s->mark), "%lld", now_ms());
        ret->fingerprint = s->mark;
    }
    return BAKE_OK;
}

/* ---- groups --------------------------------------------------------------------------------- */

static int pass(struct bake_ctx *ctx, uint64_t ms)
{
    return ms == 0 || ctx->host->sleep_ms(ctx, (uint32_t)ms) == BAKE_OK
               ? BAKE_OK
               : bake_fail(ctx, BAKE_E_CANCELLED, "cancelled");
}

static int groups_hold(void *self, struct bake_ctx *ctx, const char *group,
                       const struct bake_component *const *chosen, size_t n, uint32_t flags,
                       struct bake_result *ret)
{
    struct groups *s = self;
    char about[512];
    size_t used = (size_t)snprintf(about, sizeof(about), "%s", group);
    uint64_t promise = 0;

    for (size_t i = 0; i < n && used < sizeof(about); i++)
        used += (size_t)snprintf(about + used, sizeof(about) - used, " %s", chosen[i]->name);
    note(s->cfg, flags & BAKE_HOLD_PREVIEW ? "preview" : "hold", about);
    ret->facts =
        told_listed(s->cfg->odd, group) ? "[1]" : "{\"stops\":[\"web\",\"db\"],\"keeps\":[]}";
    if (flags & BAKE_HOLD_PREVIEW)
        return BAKE_OK;
    if (ctx->host->oblige(ctx, "{\"kind\":\"start\"}", &promise) != BAKE_OK)
        return BAKE_E_INTERNAL;
    if (pass(ctx, s->cfg->hold_time) < 0)
        return BAKE_E_CANCELLED;
    if (told_listed(s->cfg->fail_hold, group))
        return bake_fail(ctx, BAKE_E_CHILD, "'%s' does not stop", group);
    if (told_listed(s->cfg->torn, group))
        bake_report(ctx, BAKE_PARTIAL, group, "a part of it does not stand still");
    note(s->cfg, "held", group);
    return ctx->host->redeemed(ctx, promise);
}

static int groups_release(void *self, struct bake_ctx *ctx, const char *group,
                          struct bake_result *ret)
{
    struct groups *s = self;

    note(s->cfg, ctx->host->cancelled(ctx) ? "release-cancelled" : "release", group);
    if (pass(ctx, s->cfg->release_time) < 0)
        return BAKE_E_CANCELLED;
    if (told_listed(s->cfg->fail_release, group))
        return bake_fail(ctx, BAKE_E_CHILD, "'%s' does not start", group);
    note(s->cfg, "released", group);
    ret->facts = "{\"stopped_seconds\":1.5,\"stopped\":{\"web\":1.5,\"db\":0.5}}";
    return BAKE_OK;
}

static int groups_redeem(struct bake_ctx *ctx, const void *cfg, const char *what)
{
    (void)ctx;
    note(cfg, "redeem", what);
    return BAKE_OK;
}

/* ---- reading -------------------------------------------------------------------------------- */

static int reader_open(void *self, struct bake_ctx *ctx, const struct bake_component *component,
                       void **ret_reader)
{
    struct groups *s = self;
    struct reader *r = calloc(1, sizeof(*r));

    if (!r)
        return bake_fail(ctx, BAKE_E_NOMEM, "out of memory");
    r->ctx = ctx;
    r->cfg = s->cfg;
    (void)snprintf(r->name, sizeof(r->name), "%s\n", component->name);
    note(r->cfg, "read", component->name);
    *ret_reader = r;
    return BAKE_OK;
}

static int next(void *reader, struct bake_entry *ret)
{
    struct reader *r = reader;

    return told_next(&r->entry, r->cfg->size, ret);
}

static int begin(struct reader *r)
{
    char name[sizeof(r->name)];

    (void)snprintf(name, sizeof(name), "%.*s", (int)strlen(r->name) - 1, r->name);
    if (r->cfg->wait_for && (!*r->cfg->waits || told_listed(r->cfg->waits, name)) &&
        told_wait(r->ctx, r->cfg->wait_for) < 0)
        return BAKE_E_CANCELLED;
    if (pass(r->ctx, r->cfg->read_time) < 0)
        return BAKE_E_CANCELLED;
    if (told_listed(r->cfg->fail_read,
                    name)) /* a file that fails is that file's: this is all of it */
        return bake_fail(r->ctx, BAKE_E_INTERNAL, "'%s' broke off", name);
    return BAKE_OK;
}

static int read_bytes(void *reader, struct bake_out *out)
{
    struct reader *r = reader;
    int rc = r->pos == 0 ? begin(r) : BAKE_OK;

    if (rc < 0)
        return rc;
    told_fill(r->name, r->cfg->size, &r->pos, out);
    return r->pos < r->cfg->size ? BAKE_OK : BAKE_END;
}

static void reader_close(void *reader)
{
    struct reader *r = reader;

    r->name[strlen(r->name) - 1] = '\0';
    note(r->cfg, "read-end", r->name);
    free(r);
}

static const struct bake_source_ops source = {
    .struct_size = sizeof(source),
    .open = groups_open,
    .plan = groups_plan,
    .reader_open = reader_open,
    .next = next,
    .open_entry = told_open_entry,
    .read = read_bytes,
    .finish = told_finish,
    .reader_close = reader_close,
    .close = groups_close,
    .hold = groups_hold,
    .release = groups_release,
    .redeem = groups_redeem,
    .tidy = groups_tidy,
};

static const struct bake_plugin groups = {
    BAKE_PLUGIN_HEAD,   .name = "groups",
    .version = "1.0",   .summary = "Groups that do as they are told.",
    .options = options, .config_size = sizeof(struct groups_cfg),
    .source = &source,
};

BAKE_PLUGIN(groups)
