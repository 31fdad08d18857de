/* Opening sources for a restore. */
#include "run/restore_source.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "base/path.h"
#include "run/lock.h"
#include "run/names.h"
#include "run/restore_component.h"
#include "run/wal.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

struct rsource {
    struct bk_rsource pub; /* first: what others see */
    struct bk_ctx ctx;
    struct bk_rsources *all;
    struct bk_cancel_sub sub;
    struct bk_err failed; /* rc != 0: it could not be opened */
    pthread_mutex_t lock; /* over what follows */
    size_t quiet;         /* how many do what must not be interrupted */
    bool missed;          /* an interrupt that came meanwhile */
};

struct bk_rsources {
    struct bk_session *session;
    struct bk_duty *duty;
    bool act, borrowed;     /* borrowed: the duty is somebody else's */
    int locked;             /* the pipeline's lock, or -1 */
    char *pipeline;         /* its file, absolute; or NULL */
    char program[PATH_MAX]; /* our own; "" if nobody knows */
    pthread_mutex_t lock;   /* over opening */
    struct rsource *items;  /* one per source of the pipeline */
};

const struct bk_part *bk_restore_part(const struct bk_pipeline *p, const struct bk_mcomp *c)
{
    for (size_t i = 0; i < p->n_sources; i++) {
        const struct bk_part *part = &p->sources[i];

        if (bk_streq(part->plugin->desc.name, c->plugin) &&
            (!c->source || bk_streq(part->name, c->source)))
            return part;
    }
    return NULL;
}

bool bk_restore_grouped(const struct bk_pipeline *p, const struct bk_mcomp *c)
{
    const struct bk_part *part = c->group ? bk_restore_part(p, c) : NULL;

    return part && part->plugin->source.restore_begin;
}

/* ---- what all of them share ------------------------------------------------------------------ */

static bool acts_on_groups(const struct bk_pipeline *p)
{
    for (size_t i = 0; i < p->n_sources; i++) {
        const struct bake_source_ops *ops = &p->sources[i].plugin->source;

        if (ops->hold || ops->restore_begin || ops->tidy)
            return true;
    }
    return false;
}

static int begin_duty(struct bk_rsources *all, struct bk_err *err)
{
    struct bk_session *s = all->session;
    size_t left;
    int rc;

    if (!all->act || all->borrowed)
        return BAKE_OK;
    if (!acts_on_groups(s->pipeline)) /* other pipelines' */
        return bk_duty_redeem(s->cancel, s->reporter, &left, err);
    rc = bk_lock_pipeline(s->pipeline->name, &all->locked, err);
    return rc < 0 ? rc : bk_duty_begin(s, &all->duty, err);
}

/* For what a plugin writes down to be called later. */
static int find_ourselves(struct bk_rsources *all, struct bk_err *err)
{
    ssize_t n = readlink("/proc/self/exe", all->program, sizeof(all->program) - 1);

    all->program[n > 0 ? n : 0] = '\0';
    if (all->session->by_address)
        return BAKE_OK;
    all->pipeline = bk_path_absolute(all->session->pipeline->file);
    return all->pipeline ? BAKE_OK : bk_nomem(err);
}

static int make(struct bk_session *s, const struct bk_rsources *how, struct bk_rsources **ret,
                struct bk_err *err)
{
    struct bk_rsources *all = malloc(sizeof(*all));
    int rc;

    if (!all)
        return bk_nomem(err);
    *all = *how;
    all->session = s;
    all->locked = -1;
    pthread_mutex_init(&all->lock, NULL);
    all->items = calloc(s->pipeline->n_sources + 1, sizeof(*all->items));
    for (size_t i = 0; all->items && i < s->pipeline->n_sources; i++)
        all->items[i].all = all;
    rc = all->items ? find_ourselves(all, err) : bk_nomem(err);
    if (rc >= 0)
        rc = begin_duty(all, err);
    if (rc < 0) {
        bk_rsources_free(all);
        return rc;
    }
    *ret = all;
    return BAKE_OK;
}

int bk_rsources_new(struct bk_session *s, bool act, struct bk_rsources **ret, struct bk_err *err)
{
    const struct bk_rsources how = {.act = act};

    return make(s, &how, ret, err);
}

int bk_rsources_within(struct bk_session *s, struct bk_duty *duty, struct bk_rsources **ret,
                       struct bk_err *err)
{
    const struct bk_rsources how = {.act = true, .borrowed = true, .duty = duty};

    return make(s, &how, ret, err);
}

static void close_source(struct rsource *r)
{
    if (!r->pub.self)
        return;
    if (r->pub.ops->interrupt)
        bk_cancel_unsubscribe(r->ctx.cancel, &r->sub);
    r->pub.ops->close(r->pub.self);
    pthread_mutex_destroy(&r->lock);
}

void bk_rsources_free(struct bk_rsources *all)
{
    if (!all)
        return;
    for (size_t i = 0; all->items && i < all->session->pipeline->n_sources; i++)
        close_source(&all->items[i]);
    if (!all->borrowed)
        bk_duty_end(all->duty);
    bk_close_p(&all->locked);
    free(all->items);
    free(all->pipeline);
    pthread_mutex_destroy(&all->lock);
    free(all);
}

/* ---- one source ------------------------------------------------------------------------------ */

/* What a source says while it is opened belongs to the source as a whole. */
static void on_report(void *arg, int severity, const char *subject, const char *text)
{
    struct bk_session *s = arg;

    bk_event_note(s->reporter, severity, NULL, subject, text);
}

static void interrupt(void *arg)
{
    struct rsource *r = arg;

    pthread_mutex_lock(&r->lock);
    if (r->quiet > 0)
        r->missed = true;
    else
        r->pub.ops->interrupt(r->pub.self);
    pthread_mutex_unlock(&r->lock);
}

void bk_rsource_quiet(struct bk_rsource *src)
{
    struct rsource *r = (struct rsource *)(void *)src;

    pthread_mutex_lock(&r->lock);
    r->quiet++;
    pthread_mutex_unlock(&r->lock);
}

void bk_rsource_loud(struct bk_rsource *src)
{
    struct rsource *r = (struct rsource *)(void *)src;

    pthread_mutex_lock(&r->lock);
    if (--r->quiet == 0 && r->missed) {
        r->missed = false;
        r->pub.ops->interrupt(r->pub.self);
    }
    pthread_mutex_unlock(&r->lock);
}

void bk_rsource_ctx(struct bk_rsource *src, struct bk_cancel *cancel, struct bk_ctx *ret,
                    const char *label_fmt, ...)
{
    struct rsource *r = (struct rsource *)(void *)src;
    char label[sizeof(ret->label)];
    va_list ap;

    va_start(ap, label_fmt);
    (void)vsnprintf(label, sizeof(label), label_fmt, ap);
    va_end(ap);
    bk_ctx_init(ret, cancel, "%s", label);
    bk_duty_attach(r->all->duty, ret, src->part);
    bk_wal_attach(r->all->session, ret);
}

/* What it kept elsewhere and cannot remove now is no reason not to restore. */
static void tidy(struct rsource *r)
{
    struct bk_err why = {0};
    int rc;

    if (!r->all->act || !r->pub.ops->tidy)
        return;
    rc = r->pub.ops->tidy(r->pub.self, &r->ctx.base);
    if (rc < 0 && bk_ctx_fail(&r->ctx, rc, &why) != BAKE_E_CANCELLED)
        bk_event_note(r->all->session->reporter, BAKE_WARNING, NULL, NULL, why.text);
}

static int open_source(struct rsource *r, const struct bk_part *part, struct bk_err *err)
{
    struct bk_session *s = r->all->session;
    int rc;

    r->pub.part = part;
    r->pub.ops = &part->plugin->source;
    bk_rsource_ctx(&r->pub, s->cancel, &r->ctx, "source '%s'", part->name);
    r->ctx.report = on_report;
    r->ctx.report_arg = s;
    rc = r->pub.ops->open(&r->ctx.base, part->cfg, &r->pub.self);
    if (rc < 0) {
        r->pub.self = NULL;
        return bk_ctx_fail(&r->ctx, rc, err);
    }
    pthread_mutex_init(&r->lock, NULL);
    r->sub.wake = interrupt;
    r->sub.arg = r;
    if (r->pub.ops->interrupt)
        bk_cancel_subscribe(s->cancel, &r->sub);
    tidy(r);
    return BAKE_OK;
}

int bk_rsource_get(struct bk_rsources *all, const struct bk_part *part, struct bk_rsource **ret,
                   struct bk_err *err)
{
    struct rsource *r = &all->items[part - all->session->pipeline->sources];

    pthread_mutex_lock(&all->lock);
    if (!r->pub.self && r->failed.rc == 0)
        (void)open_source(r, part, &r->failed);
    pthread_mutex_unlock(&all->lock);
    if (r->failed.rc < 0) {
        *err = r->failed;
        return err->rc;
    }
    *ret = &r->pub;
    return BAKE_OK;
}

/* ---- what a plugin is told ------------------------------------------------------------------- */

int bk_restore_describe(const struct bk_part *part, const struct bk_mcomp *c,
                        struct bake_component *ret, char **ret_facts, struct bk_err *err)
{
    const char *name = bk_name_to_source(part, c->name);
    const char *group = c->group ? bk_group_to_source(part, c->group) : NULL;
    char *facts = NULL;

    if (!name || (c->group && !group))
        return bk_fail(err, BAKE_E_CORRUPT,
                       "component '%s' of group '%s' cannot be of source '%s', as the backup says",
                       c->name, c->group ? c->group : "", part->name);
    if (c->facts && !(facts = json_dumps(c->facts, JSON_COMPACT)))
        return bk_nomem(err);
    memset(ret, 0, sizeof(*ret));
    ret->struct_size = sizeof(*ret);
    ret->name = name;
    ret->group = group;
    ret->kind = c->kind;
    ret->size_hint = c->bytes_in;
    ret->fingerprint = c->fingerprint;
    ret->facts = facts;
    ret->flags = c->unordered ? BAKE_UNORDERED : 0;
    *ret_facts = facts;
    return BAKE_OK;
}

struct bake_restore bk_restore_how(const struct bk_restore_env *env, const struct bk_part *part)
{
    const struct bk_restore_opts *opts = env->opts;
    uint32_t traits = part->plugin->source.traits;
    struct bake_restore how = {.struct_size = sizeof(how), .purpose = BAKE_RESTORE};

    if (env->purpose)
        how.purpose = env->purpose;
    else if (opts->dry_run)
        how.purpose = BAKE_INSPECT;
    how.force = opts->force;
    how.flags = (opts->skip_stop ? BAKE_RESTORE_KEEP_RUNNING : 0) |
                (opts->skip_start ? BAKE_RESTORE_KEEP_STOPPED : 0);
    how.backup = env->manifest->id;
    how.as_group = opts->as_project;
    how.as_name = opts->as_name;
    if (traits & BAKE_HAS_PARTS && opts->paths.n > 0)
        how.parts = (const char *const *)opts->paths.items;
    if (traits & BAKE_HAS_LOGS && opts->at_ns > 0)
        how.at_ns = opts->at_ns;
    if (env->sources) {
        how.pipeline = env->sources->pipeline;
        how.program = env->sources->program[0] ? env->sources->program : NULL;
    }
    return how;
}
