/* Keeping and redeeming obligations. */
#include "run/duty.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "base/path.h"
#include "config/defaults.h"
#include "run/duty_file.h"
#include "run/guard.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>

#define TURN_MS 100 /* between two looks whether another process is done */

struct duty_source { /* what a context's calls come with */
    struct bk_duty *duty;
    const struct bk_part *part;
    struct bk_ctx_duty calls;
};

struct bk_duty {
    struct bk_session *session;
    char *pipeline; /* absolute */
    pthread_mutex_t lock;
    struct bk_duty_file file;
    struct bk_guard guard;
    struct duty_source *sources; /* one for each of the pipeline's */
};

/* ---- what sources ask for -------------------------------------------------------------------- */

static int oblige(void *arg, const char *what, uint64_t *id, struct bk_err *err)
{
    struct duty_source *ds = arg;
    struct bk_obligation o = {.id = *id,
                              .source = ds->part->name,
                              .plugin = (char *)ds->part->plugin->desc.name,
                              .pipeline = ds->duty->pipeline,
                              .set = ds->duty->session->pipeline->set,
                              .what = (char *)what};
    json_t *j BK_JSON = NULL;
    int rc = what ? bk_json_parse(what, strlen(what), "an obligation", &j, err)
                  : bk_fail(err, BAKE_E_INTERNAL, "an obligation without a text");

    if (rc < 0)
        return rc;
    pthread_mutex_lock(&ds->duty->lock);
    rc = bk_duty_file_add(&ds->duty->file, &o, err);
    pthread_mutex_unlock(&ds->duty->lock);
    if (rc >= 0)
        *id = o.id;
    return rc;
}

static int redeemed(void *arg, uint64_t id, struct bk_err *err)
{
    struct duty_source *ds = arg;
    int rc;

    pthread_mutex_lock(&ds->duty->lock);
    rc = bk_duty_file_drop(&ds->duty->file, id, err);
    pthread_mutex_unlock(&ds->duty->lock);
    return rc;
}

void bk_duty_attach(struct bk_duty *duty, struct bk_ctx *ctx, const struct bk_part *source)
{
    if (duty)
        ctx->duty = &duty->sources[source - duty->session->pipeline->sources].calls;
}

/* ---- redeeming ------------------------------------------------------------------------------- */

static void on_report(void *arg, int severity, const char *subject, const char *text)
{
    bk_event_note(arg, severity, NULL, subject, text);
}

static int call_redeem(const struct bk_plugin *plugin, const void *cfg, const char *source,
                       const char *what, struct bk_cancel *cancel, struct bk_reporter *reporter,
                       struct bk_err *err)
{
    struct bk_ctx ctx;
    int rc;

    if (!plugin->source.redeem)
        return bk_fail(err, BAKE_E_UNSUPPORTED, "source plugin '%s' cannot redeem what it promised",
                       plugin->desc.name);
    bk_ctx_init(&ctx, cancel, "source '%s'", source);
    ctx.report = on_report;
    ctx.report_arg = reporter;
    rc = plugin->source.redeem(&ctx.base, cfg, what);
    return rc < 0 ? bk_ctx_fail(&ctx, rc, err) : BAKE_OK;
}

/* Without the pipeline file, or with one that has changed: the options' defaults, as `what` says
 * the essential. */
static int redeem_default(struct bk_registry *reg, const struct bk_obligation *o,
                          struct bk_cancel *cancel, struct bk_reporter *reporter,
                          struct bk_err *err)
{
    const struct bk_plugin *plugin;
    struct bk_defaults d;
    int rc = bk_registry_get(reg, BK_SOURCE, o->plugin, &plugin, err);

    if (rc >= 0)
        rc = bk_defaults_make(plugin, &d, err);
    if (rc < 0)
        return rc;
    rc = call_redeem(plugin, d.cfg, o->source, o->what, cancel, reporter, err);
    bk_defaults_release(&d);
    return rc;
}

static const struct bk_part *source_of(const struct bk_pipeline *p, const struct bk_obligation *o)
{
    for (size_t i = 0; i < p->n_sources; i++)
        if (bk_streq(p->sources[i].name, o->source) &&
            bk_streq(p->sources[i].plugin->desc.name, o->plugin))
            return &p->sources[i];
    return NULL;
}

static int redeem_one(struct bk_registry *reg, const struct bk_obligation *o,
                      struct bk_cancel *cancel, struct bk_reporter *reporter, struct bk_err *err)
{
    struct bk_diags *diags = NULL;
    struct bk_pipeline *p = NULL;
    struct bk_err ignored = {0};
    const struct bk_part *part;
    int rc;

    if (bk_diags_new(o->pipeline, &diags, &ignored) < 0 ||
        bk_pipeline_load_set(reg, o->pipeline, BK_LOAD_ALL, &o->set, diags, &p, &ignored) < 0)
        p = NULL;
    bk_diags_free(diags);
    part = p ? source_of(p, o) : NULL;
    if (part)
        rc = call_redeem(part->plugin, part->cfg, part->name, o->what, cancel, reporter, err);
    else
        rc = redeem_default(reg, o, cancel, reporter, err);
    bk_pipeline_free(p);
    return rc;
}

struct redeem {
    struct bk_cancel *cancel;
    struct bk_reporter *reporter;
    struct bk_registry *reg;
    size_t left;
};

static void not_redeemed(struct redeem *r, struct bk_err *why)
{
    r->left++;
    bk_prefix(why, "what an earlier run left cannot be put back");
    if (!why->hint[0])
        bk_hint(why, "once the cause is gone: bakengine doctor --redeem");
    bk_event_error(r->reporter, NULL, why);
}

static void redeem_file(struct redeem *r, const char *path)
{
    struct bk_duty_file f = BK_DUTY_FILE_INIT;
    struct bk_err why = {0};
    int rc = bk_duty_file_take(path, &f, &why);

    if (rc < 0)
        not_redeemed(r, &why);
    if (rc != BAKE_OK)
        return;
    for (size_t i = f.n; i-- > 0;) { /* the last promise first */
        uint64_t id = f.items[i].id;

        bk_err_clear(&why);
        rc = redeem_one(r->reg, &f.items[i], r->cancel, r->reporter, &why);
        if (rc >= 0)
            rc = bk_duty_file_drop(&f, id, &why);
        if (rc < 0)
            not_redeemed(r, &why);
    }
    bk_duty_file_close(&f);
}

/* Each file of the directory; a directory that is not there has none. */
static int each_file(void (*each)(void *arg, const char *path), void *arg, struct bk_err *err)
{
    char *dir BK_FREE = NULL;
    struct dirent *e;
    DIR *d;
    int rc = bk_duty_dir(&dir, err);

    if (rc < 0)
        return rc;
    d = opendir(dir);
    if (!d)
        return errno == ENOENT ? BAKE_OK : bk_fail_errno(err, errno, "cannot read '%s'", dir);
    while ((e = readdir(d))) {
        char *path BK_FREE = e->d_name[0] == '.' ? NULL : bk_path_join(dir, e->d_name);

        if (path)
            each(arg, path);
    }
    (void)closedir(d);
    return BAKE_OK;
}

static void redeem_each(void *arg, const char *path) { redeem_file(arg, path); }

/* One at a time: a run that begins while a guard is at work must not look at the containers before
 * it is done, or they would be started in the middle of its reading. The directory itself is
 * locked: that needs no room. *ret -1: there is no directory, so there is nothing to do. */
static int take_turn(struct bk_cancel *cancel, int *ret, struct bk_err *err)
{
    char *dir BK_FREE = NULL;
    int rc = bk_duty_dir(&dir, err);

    if (rc < 0)
        return rc;
    *ret = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*ret < 0)
        return errno == ENOENT ? BAKE_OK : bk_fail_errno(err, errno, "cannot open '%s'", dir);
    for (bool said = false; flock(*ret, LOCK_EX | LOCK_NB) < 0; said = true) {
        if (errno != EWOULDBLOCK)
            return bk_fail_errno(err, errno, "cannot lock '%s'", dir);
        if (!said)
            bk_log(BAKE_LOG_INFO, "another process puts back what a run had stopped: waiting");
        if (bk_cancel_sleep(cancel, TURN_MS))
            return bk_fail(err, BAKE_E_CANCELLED, "cancelled");
    }
    return BAKE_OK;
}

int bk_duty_redeem(struct bk_cancel *cancel, struct bk_reporter *reporter, size_t *ret_left,
                   struct bk_err *err)
{
    struct redeem r = {.cancel = cancel, .reporter = reporter};
    int turn BK_CLOSE = -1;
    int rc = take_turn(cancel, &turn, err);

    *ret_left = 0;
    if (rc < 0 || turn < 0 || (rc = bk_registry_new(&r.reg, err)) < 0)
        return rc;
    rc = each_file(redeem_each, &r, err);
    bk_registry_free(r.reg);
    *ret_left = r.left;
    return rc;
}

static void count_left(void *arg, const char *path)
{
    struct bk_duty_file f = BK_DUTY_FILE_INIT;
    size_t *left = arg;

    if (bk_duty_file_take(path, &f, NULL) == BAKE_OK)
        *left += f.n;
    bk_duty_file_close(&f);
}

void bk_duty_warn(void)
{
    size_t left = 0;

    if (each_file(count_left, &left, NULL) >= 0 && left > 0) {
        bk_log(BAKE_LOG_WARN, "an earlier run ended without putting back what it had stopped");
        bk_log(BAKE_LOG_WARN, "HINT: bakengine doctor --redeem");
    }
}

/* ---- a verb that acts ------------------------------------------------------------------------ */

static bool may_hold(const struct bk_pipeline *p)
{
    for (size_t i = 0; i < p->n_sources; i++)
        if (p->sources[i].plugin->source.redeem)
            return true;
    return false;
}

static int duty_new(struct bk_session *s, struct bk_duty **ret, struct bk_err *err)
{
    struct bk_duty *d = calloc(1, sizeof(*d));

    if (!d)
        return bk_nomem(err);
    *ret = d;
    d->session = s;
    d->file.fd = -1;
    pthread_mutex_init(&d->lock, NULL);
    d->pipeline = bk_path_absolute(s->pipeline->file);
    d->sources = calloc(s->pipeline->n_sources + 1, sizeof(*d->sources));
    if (!d->pipeline || !d->sources)
        return bk_nomem(err);
    for (size_t i = 0; i < s->pipeline->n_sources; i++) {
        struct duty_source *ds = &d->sources[i];

        *ds = (struct duty_source){.duty = d, .part = &s->pipeline->sources[i]};
        ds->calls = (struct bk_ctx_duty){oblige, redeemed, ds};
    }
    return bk_duty_file_new(&d->file, err);
}

int bk_duty_begin(struct bk_session *s, struct bk_duty **ret, struct bk_err *err)
{
    size_t left;
    int rc;

    *ret = NULL;
    rc = bk_duty_redeem(s->cancel, s->reporter, &left, err);
    if (rc < 0 || !may_hold(s->pipeline))
        return rc;
    rc = duty_new(s, ret, err);
    if (rc >= 0)
        rc = bk_guard_start((*ret)->file.fd, &(*ret)->guard, err);
    if (rc < 0) {
        bk_duty_end(*ret);
        *ret = NULL;
    }
    return rc;
}

/* Not cancelled by what ended the run: it must be tried. */
static void try_again(struct bk_duty *d)
{
    struct redeem r = {.reporter = d->session->reporter, .reg = d->session->registry};

    for (size_t i = d->file.n; i-- > 0;) {
        const struct bk_obligation *o = &d->file.items[i];
        const struct bk_part *part = source_of(d->session->pipeline, o);
        struct bk_err why = {0};
        int rc = call_redeem(part->plugin, part->cfg, part->name, o->what, NULL, r.reporter, &why);

        if (rc >= 0)
            rc = bk_duty_file_drop(&d->file, o->id, &why);
        if (rc < 0)
            not_redeemed(&r, &why);
    }
}

void bk_duty_end(struct bk_duty *d)
{
    if (!d)
        return;
    if (d->file.fd >= 0 && d->file.n > 0)
        try_again(d);
    bk_guard_stop(&d->guard);
    bk_duty_file_close(&d->file);
    pthread_mutex_destroy(&d->lock);
    free(d->sources);
    free(d->pipeline);
    free(d);
}
