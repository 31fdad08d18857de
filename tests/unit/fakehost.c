/* The engine as a plugin sees it, for tests. */
#include "fakehost.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct fakehost *of(struct bake_ctx *ctx) { return (struct fakehost *)(void *)ctx; }

static BAKE_PRINTF(1, 0) char *text_of(const char *fmt, va_list ap)
{
    char *text = NULL;
    if (vasprintf(&text, fmt, ap) < 0)
        abort();
    return text;
}

static BAKE_PRINTF(3, 0) void fake_vlog(struct bake_ctx *ctx, int level, const char *fmt,
                                        va_list ap)
{
    struct fakehost *f = of(ctx);
    (void)level;
    free(text_of(fmt, ap)); /* the format and its arguments are to fit, whatever they say */
    pthread_mutex_lock(&f->lock);
    f->n_logs++;
    pthread_mutex_unlock(&f->lock);
}

static int fake_cancelled(struct bake_ctx *ctx) { return atomic_load(&of(ctx)->cancelled); }
static int fake_cancel_fd(struct bake_ctx *ctx) { return of(ctx)->cancel_pipe[0]; }

static BAKE_PRINTF(4, 0) void fake_vreport(struct bake_ctx *ctx, int severity, const char *subject,
                                           const char *fmt, va_list ap)
{
    struct fakehost *f = of(ctx);
    pthread_mutex_lock(&f->lock);
    if (f->n_reports == f->cap) {
        f->cap = f->cap ? f->cap * 2 : 16;
        f->reports = realloc(f->reports, f->cap * sizeof(*f->reports));
        if (!f->reports)
            abort();
    }
    f->reports[f->n_reports++] = (struct fakehost_report){
        .severity = severity, .subject = strdup(subject), .text = text_of(fmt, ap)};
    pthread_mutex_unlock(&f->lock);
}

static BAKE_PRINTF(3, 0) int fake_vfail(struct bake_ctx *ctx, int rc, const char *fmt, va_list ap)
{
    struct fakehost *f = of(ctx);
    char *text = text_of(fmt, ap);
    pthread_mutex_lock(&f->lock);
    f->failed = rc;
    (void)snprintf(f->fail, sizeof(f->fail), "%s", text);
    pthread_mutex_unlock(&f->lock);
    free(text);
    return rc;
}

static int fake_sleep_ms(struct bake_ctx *ctx, uint32_t ms)
{
    struct pollfd p = {.fd = of(ctx)->cancel_pipe[0], .events = POLLIN};
    return poll(&p, 1, (int)ms) > 0 ? BAKE_E_CANCELLED : BAKE_OK;
}

static int fake_oblige(struct bake_ctx *ctx, const char *what, uint64_t *id)
{
    struct fakehost *f = of(ctx);
    pthread_mutex_lock(&f->lock);
    if (*id == 0)
        *id = ++f->last_duty;
    if (*id <= FAKEHOST_DUTIES) {
        free(f->duties[*id - 1]);
        f->duties[*id - 1] = strdup(what);
    }
    pthread_mutex_unlock(&f->lock);
    return *id <= FAKEHOST_DUTIES ? BAKE_OK : BAKE_E_NOMEM;
}

static int fake_redeemed(struct bake_ctx *ctx, uint64_t id)
{
    struct fakehost *f = of(ctx);
    bool known;
    pthread_mutex_lock(&f->lock);
    known = id > 0 && id <= FAKEHOST_DUTIES && f->duties[id - 1];
    if (known) {
        free(f->duties[id - 1]);
        f->duties[id - 1] = NULL;
    }
    pthread_mutex_unlock(&f->lock);
    return known ? BAKE_OK : BAKE_E_INTERNAL;
}

static const struct bake_host host = {
    .struct_size = sizeof(host),
    .abi_major = BAKE_ABI_MAJOR,
    .abi_minor = BAKE_ABI_MINOR,
    .vlog = fake_vlog,
    .cancelled = fake_cancelled,
    .cancel_fd = fake_cancel_fd,
    .vreport = fake_vreport,
    .vfail = fake_vfail,
    .sleep_ms = fake_sleep_ms,
    .oblige = fake_oblige,
    .redeemed = fake_redeemed,
};

void fakehost_init(struct fakehost *f)
{
    memset(f, 0, sizeof(*f));
    f->ctx.host = &host;
    if (pthread_mutex_init(&f->lock, NULL) != 0 || pipe2(f->cancel_pipe, O_CLOEXEC) != 0)
        abort();
}

void fakehost_clear(struct fakehost *f)
{
    pthread_mutex_lock(&f->lock);
    for (size_t i = 0; i < f->n_reports; i++) {
        free(f->reports[i].subject);
        free(f->reports[i].text);
    }
    f->n_reports = 0;
    f->failed = 0;
    f->fail[0] = '\0';
    pthread_mutex_unlock(&f->lock);
}

void fakehost_free(struct fakehost *f)
{
    fakehost_clear(f);
    for (size_t i = 0; i < FAKEHOST_DUTIES; i++)
        free(f->duties[i]);
    free(f->reports);
    (void)close(f->cancel_pipe[0]);
    (void)close(f->cancel_pipe[1]);
    (void)pthread_mutex_destroy(&f->lock);
}

void fakehost_cancel(struct fakehost *f)
{
    atomic_store(&f->cancelled, 1);
    while (write(f->cancel_pipe[1], "x", 1) < 0 && errno == EINTR)
        ;
}

size_t fakehost_count(struct fakehost *f, int severity, const char *subject, const char *text)
{
    size_t n = 0;
    pthread_mutex_lock(&f->lock);
    for (size_t i = 0; i < f->n_reports; i++) {
        const struct fakehost_report *r = &f->reports[i];
        n += (severity == 0 || r->severity == severity) &&
             (!subject || strstr(r->subject, subject)) && (!text || strstr(r->text, text));
    }
    pthread_mutex_unlock(&f->lock);
    return n;
}

void fakehost_print(struct fakehost *f)
{
    for (size_t i = 0; i < f->n_reports; i++)
        (void)fprintf(stderr, "report %d '%s': %s\n", f->reports[i].severity, f->reports[i].subject,
                      f->reports[i].text);
    if (f->failed)
        (void)fprintf(stderr, "failed %d: %s\n", f->failed, f->fail);
}
