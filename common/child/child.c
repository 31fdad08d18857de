/* See child.h. */
#include "child/impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

struct start { /* what is only needed until it runs */
    const struct bkc_child_spec *spec;
    struct bkc_user user;
    struct bkc_words words;
    struct bkc_spawn spawn;
};

static int nomem(struct bake_ctx *ctx) { return bake_fail(ctx, BAKE_E_NOMEM, "out of memory"); }

/* ---- secrets --------------------------------------------------------------------------------- */

static int write_all(int fd, const char *text, size_t n)
{
    while (n > 0) {
        ssize_t put = write(fd, text, n);

        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return -1;
        text += put;
        n -= (size_t)put;
    }
    return 0;
}

/* A file in memory that nobody can change any more. */
static int secret_file(const struct start *s, const char *text)
{
    int fd = memfd_create("bakengine", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);

    if (fd < 0 && errno == EINVAL) /* an older kernel */
        fd = memfd_create("bakengine", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if ((fd = bkc_fd_above(fd)) < 0)
        return -1;
    if (fchmod(fd, 0600) < 0 || write_all(fd, text, strlen(text)) < 0 ||
        (s->user.change && fchown(fd, s->user.uid, s->user.gid) < 0) ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0) {
        int e = errno;
        (void)close(fd);
        errno = e;
        return -1;
    }
    return fd;
}

static int add_secret(struct bake_ctx *ctx, struct start *s, const struct bkc_child_secret *secret)
{
    int fd = secret_file(s, secret->text);
    char *text = NULL;

    if (fd < 0)
        return bake_fail(ctx, errno == ENOMEM ? BAKE_E_NOMEM : BAKE_E_IO,
                         "cannot make a file in memory for '%s': %s", s->words.argv[0],
                         strerror(errno));
    s->spawn.keep[s->spawn.n_keep++] = fd;
    if (secret->env) {
        if (asprintf(&text, "%s=/proc/self/fd/%d", secret->env, fd) < 0)
            return nomem(ctx);
        bkc_words_env(&s->words, text);
    }
    if (secret->argument) {
        if (asprintf(&text, "%s/proc/self/fd/%d", secret->argument, fd) < 0)
            return nomem(ctx);
        bkc_words_argument(&s->words, text);
    }
    return BAKE_OK;
}

/* ---- pipes ----------------------------------------------------------------------------------- */

/* theirs is 0 or 1: which end of the pipe the child gets. */
static int make_pipe(struct start *s, int number, int theirs, int *ret_ours)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return -1;
    *ret_ours = ends[1 - theirs];
    s->spawn.std[number] = bkc_fd_above(ends[theirs]);
    if (number != STDERR_FILENO)
        (void)fcntl(*ret_ours, F_SETPIPE_SZ, BKC_PIPE_SIZE); /* for speed, where it is allowed */
    return s->spawn.std[number] < 0 || fcntl(*ret_ours, F_SETFL, O_NONBLOCK) < 0 ? -1 : 0;
}

static int make_ends(struct bake_ctx *ctx, struct start *s, struct bkc_child *c)
{
    const struct bkc_child_spec *spec = s->spec;
    int *std = s->spawn.std, bad = 0;

    if (spec->in)
        bad = make_pipe(s, STDIN_FILENO, 0, &c->in);
    else
        std[0] = bkc_fd_above(open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (spec->out && !bad)
        bad = make_pipe(s, STDOUT_FILENO, 1, &c->out);
    else if (spec->out_fd > 0)
        std[1] = fcntl(spec->out_fd, F_DUPFD_CLOEXEC, 3);
    else
        std[1] = bkc_fd_above(open("/dev/null", O_WRONLY | O_CLOEXEC));
    if (!bad)
        bad = make_pipe(s, STDERR_FILENO, 1, &c->err);
    if (!bad && std[0] >= 0 && std[1] >= 0 && (c->wake = eventfd(0, EFD_CLOEXEC)) >= 0)
        return BAKE_OK;
    return bake_fail(ctx, BAKE_E_IO, "cannot make pipes for '%s': %s", s->words.argv[0],
                     strerror(errno));
}

/* ---- start and end --------------------------------------------------------------------------- */

static int prepare(struct bake_ctx *ctx, struct start *s, struct bkc_child *c)
{
    const struct bkc_child_spec *spec = s->spec;
    int rc = bkc_user_find(ctx, spec->user, &s->user);

    if (rc == BAKE_OK)
        rc = bkc_words_make(ctx, spec->argv, spec->env, &s->user, BKC_CHILD_SECRETS, &s->words);
    if (rc == BAKE_OK && !(c->name = strdup(bkc_base_name(spec->argv[0]))))
        rc = nomem(ctx);
    for (size_t i = 0; rc == BAKE_OK && i < BKC_CHILD_SECRETS && spec->secrets[i].text; i++)
        rc = add_secret(ctx, s, &spec->secrets[i]);
    if (rc == BAKE_OK)
        rc = make_ends(ctx, s, c);
    s->spawn.words = &s->words;
    s->spawn.user = &s->user;
    s->spawn.directory = spec->directory;
    if (!spec->directory && s->user.change)
        s->spawn.directory = "/"; /* ours may be barred to that user */
    s->spawn.gate = -1;
    return rc;
}

static void forget(struct start *s)
{
    for (int i = 0; i < 3; i++)
        bkc_shut(&s->spawn.std[i]);
    for (size_t i = 0; i < s->spawn.n_keep; i++)
        bkc_shut(&s->spawn.keep[i]);
    bkc_words_release(&s->words);
    bkc_user_release(&s->user);
}

static int spawn(struct bake_ctx *ctx, const struct start *s, struct bkc_child *c)
{
    int report, rc = bkc_spawn(ctx, &s->spawn, &c->pid, &report);

    if (rc != BAKE_OK)
        return rc;
    rc = bkc_spawn_ran(ctx, &s->spawn, c->pid, report);
    if (rc != BAKE_OK)
        return rc;
    c->reaped = false;
    c->pidfd = bkc_pidfd(c->pid);
    c->moved = bkc_now_ms();
    return BAKE_OK;
}

int bkc_child_start(struct bake_ctx *ctx, const struct bkc_child_spec *spec, struct bkc_child **ret)
{
    struct start s = {.spec = spec, .spawn = {.std = {-1, -1, -1}}};
    struct bkc_child *c = calloc(1, sizeof(*c));
    int rc;

    *ret = NULL;
    if (!c)
        return nomem(ctx);
    c->ctx = ctx;
    c->pidfd = c->in = c->out = c->err = c->wake = -1;
    c->reaped = true;
    c->silence_ms = spec->silence_ms;
    c->lines.said = spec->said;
    c->lines.arg = spec->arg;
    atomic_init(&c->unwanted, false);
    if (ctx->host->cancelled(ctx))
        rc = bake_fail(ctx, BAKE_E_CANCELLED, "cancelled");
    else
        rc = prepare(ctx, &s, c);
    if (rc == BAKE_OK)
        rc = spawn(ctx, &s, c);
    forget(&s);
    if (rc != BAKE_OK) {
        bkc_child_free(c);
        return rc;
    }
    *ret = c;
    return BAKE_OK;
}

const char *bkc_child_said(const struct bkc_child *c) { return c->lines.tail; }
pid_t bkc_child_pid(const struct bkc_child *c) { return c->pid; }

void bkc_child_interrupt(struct bkc_child *c)
{
    static const uint64_t one = 1;

    atomic_store(&c->unwanted, true);
    while (write(c->wake, &one, sizeof(one)) < 0 && errno == EINTR)
        continue;
}

void bkc_child_free(struct bkc_child *c)
{
    if (!c)
        return;
    bkc_stop(c);
    bkc_shut(&c->in);
    bkc_shut(&c->out);
    bkc_shut(&c->err);
    bkc_shut(&c->wake);
    bkc_shut(&c->pidfd);
    free(c->keep);
    free(c->name);
    free(c);
}
