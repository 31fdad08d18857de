/* fork() and exec: what the child does until it is another program. */
#include "child/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FALLBACK_MAX 65536U

enum step { STEP_USER = 1, STEP_DIRECTORY, STEP_READY, STEP_EXEC };

struct word { /* what the child says when it cannot go on */
    int step, why;
};

uint64_t bkc_now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

const char *bkc_base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

int bkc_pidfd(pid_t pid)
{
#ifdef SYS_pidfd_open
    return (int)syscall(SYS_pidfd_open, pid, 0U); /* close-on-exec by itself */
#else
    (void)pid;
    return -1;
#endif
}

int bkc_fd_above(int fd)
{
    if (fd < 0 || fd > 2)
        return fd;
    int more = fcntl(fd, F_DUPFD_CLOEXEC, 3), e = errno;
    (void)close(fd);
    errno = e;
    return more;
}

/* ---- in the child: nothing here may allocate or lock ------------------------------------------
 */

static _Noreturn void give_up(int report, int step)
{
    struct word w = {.step = step, .why = errno};
    ssize_t n;
    do
        n = write(report, &w, sizeof(w));
    while (n < 0 && errno == EINTR);
    _exit(127);
}

static void close_between(unsigned first, unsigned last)
{
    struct rlimit lim;

    if (first > last)
        return;
#ifdef SYS_close_range
    if (syscall(SYS_close_range, first, last, 0U) == 0)
        return;
#endif
    if (last > FALLBACK_MAX) /* an older kernel: one by one, as far as that is reasonable */
        last = FALLBACK_MAX;
    if (getrlimit(RLIMIT_NOFILE, &lim) == 0 && lim.rlim_cur <= last)
        last = (unsigned)lim.rlim_cur;
    for (unsigned fd = first; fd <= last; fd++)
        (void)close((int)fd);
}

/* Closes all above 2 but what is to stay. */
static void close_rest(const struct bkc_spawn *s, int report)
{
    int stay[BKC_SPAWN_KEEP + 2];
    size_t n = 0;
    unsigned from = 3;

    for (size_t i = 0; i < s->n_keep; i++)
        stay[n++] = s->keep[i];
    stay[n++] = report;
    if (s->gate >= 0)
        stay[n++] = s->gate;
    for (size_t i = 1; i < n; i++)
        for (size_t k = i; k > 0 && stay[k - 1] > stay[k]; k--) {
            int higher = stay[k - 1];
            stay[k - 1] = stay[k];
            stay[k] = higher;
        }
    for (size_t i = 0; i < n; i++) {
        close_between(from, (unsigned)stay[i] - 1);
        from = (unsigned)stay[i] + 1;
    }
    close_between(from, ~0U);
}

static void signals_as_new(void)
{
    struct sigaction sa;

    memset(&sa, 0, sizeof(sa));
    sa.sa_handler = SIG_DFL;
    for (int i = 1; i <= SIGRTMAX; i++)
        if (i != SIGKILL && i != SIGSTOP)
            (void)sigaction(i, &sa, NULL);
}

/* The bare system calls: the library's tell all threads, of which there is only this one now. */
#ifdef SYS_setresuid32
#define SET_GROUPS SYS_setgroups32
#define SET_GID    SYS_setresgid32
#define SET_UID    SYS_setresuid32
#else
#define SET_GROUPS SYS_setgroups
#define SET_GID    SYS_setresgid
#define SET_UID    SYS_setresuid
#endif

static int become(const struct bkc_user *u)
{
    if (!u->change)
        return 0;
    if (syscall(SET_GROUPS, (size_t)u->n_groups, u->groups) < 0 ||
        syscall(SET_GID, u->gid, u->gid, u->gid) < 0 ||
        syscall(SET_UID, u->uid, u->uid, u->uid) < 0)
        return -1;
    return 0;
}

static void await_gate(int gate)
{
    char c;
    ssize_t n;

    do
        n = read(gate, &c, 1);
    while (n < 0 && errno == EINTR);
    if (n != 1)
        _exit(127); /* whoever started it has died, or does not want it any more */
    (void)close(gate);
}

static _Noreturn void child(const struct bkc_spawn *s, int report, pid_t parent)
{
    static const struct rlimit no_core = {0, 0};
    sigset_t none;

    signals_as_new();
    if (s->stays)
        (void)setsid();
    else
        (void)setpgid(0, 0);
    for (int i = 0; i < 3; i++)
        if (dup2(s->std[i], i) < 0)
            give_up(report, STEP_READY);
    for (size_t i = 0; i < s->n_keep; i++)
        if (fcntl(s->keep[i], F_SETFD, 0) < 0)
            give_up(report, STEP_READY);
    close_rest(s, report);
    (void)setrlimit(RLIMIT_CORE, &no_core); /* it would hold data and secrets */
    if (become(s->user) < 0)
        give_up(report, STEP_USER);
    if (s->directory && chdir(s->directory) < 0)
        give_up(report, STEP_DIRECTORY);
    if (s->stays)
        (void)umask(077);
    else if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0) /* a change of user takes it away: after that */
        give_up(report, STEP_READY);
    else if (getppid() != parent)
        _exit(127); /* it died before that */
    if (s->gate >= 0)
        await_gate(s->gate);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)execve(s->words->path, (char *const *)s->words->argv, (char *const *)s->words->env);
    give_up(report, STEP_EXEC);
}

/* ---- in this process ------------------------------------------------------------------------- */

int bkc_spawn(struct bake_ctx *ctx, const struct bkc_spawn *s, pid_t *ret_pid, int *ret_report)
{
    sigset_t all, old;
    int ends[2], e;
    pid_t parent = getpid(), pid;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return bake_fail(ctx, BAKE_E_IO, "cannot make a pipe for '%s': %s", s->words->argv[0],
                         strerror(errno));
    if ((ends[1] = bkc_fd_above(ends[1])) < 0) {
        e = errno;
        (void)close(ends[0]);
        return bake_fail(ctx, BAKE_E_IO, "cannot make a pipe for '%s': %s", s->words->argv[0],
                         strerror(e));
    }
    (void)sigfillset(&all); /* no handler of ours may run in the child */
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    pid = fork();
    if (pid == 0)
        child(s, ends[1], parent);
    e = errno;
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    (void)close(ends[1]);
    if (pid < 0) {
        (void)close(ends[0]);
        return bake_fail(ctx, e == ENOMEM ? BAKE_E_NOMEM : BAKE_E_UNAVAILABLE,
                         "cannot start '%s': %s", s->words->argv[0], strerror(e));
    }
    if (!s->stays)
        (void)setpgid(pid, pid); /* both do it: neither need wait for the other */
    *ret_pid = pid;
    *ret_report = ends[0];
    return BAKE_OK;
}

static int say(struct bake_ctx *ctx, const struct bkc_spawn *s, const struct word *w)
{
    const char *name = s->words->argv[0], *why = strerror(w->why);

    if (w->step == STEP_USER)
        return bake_fail(ctx, BAKE_E_CHILD, "cannot run '%s' as user '%s': %s", name, s->user->name,
                         why);
    if (w->step == STEP_DIRECTORY)
        return bake_fail(ctx, BAKE_E_CHILD, "cannot run '%s' in '%s': %s", name, s->directory, why);
    if (w->step != STEP_EXEC)
        return bake_fail(ctx, BAKE_E_CHILD, "cannot start '%s': %s", name, why);
    if (w->why == ENOENT && s->words->path[0] == '/' && access(s->words->path, F_OK) == 0)
        return bake_fail(ctx, BAKE_E_CHILD,
                         "cannot run '%s': the program that its first line names is missing", name);
    if (w->why == ENOENT || w->why == ENOTDIR)
        return bake_fail(ctx, BAKE_E_NOTFOUND, "there is no program '%s'", name);
    return bake_fail(ctx, w->why == ENOMEM ? BAKE_E_NOMEM : BAKE_E_CHILD, "cannot run '%s': %s",
                     name, why);
}

/* Where its program stands may be a file system that hangs. */
static int await_report(struct bake_ctx *ctx, int report)
{
    struct pollfd p[2] = {{.fd = report, .events = POLLIN},
                          {.fd = ctx->host->cancel_fd(ctx), .events = POLLIN}};

    while (!ctx->host->cancelled(ctx))
        if (poll(p, 2, 1000) > 0 && p[0].revents)
            return BAKE_OK;
    return bake_fail(ctx, BAKE_E_CANCELLED, "cancelled");
}

static void reap(pid_t pid)
{
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        continue;
}

int bkc_spawn_ran(struct bake_ctx *ctx, const struct bkc_spawn *s, pid_t pid, int report)
{
    struct word w;
    ssize_t n;

    if (await_report(ctx, report) != BAKE_OK) {
        (void)kill(pid, SIGKILL);
        (void)close(report);
        reap(pid);
        return BAKE_E_CANCELLED;
    }
    do
        n = read(report, &w, sizeof(w));
    while (n < 0 && errno == EINTR);
    (void)close(report);
    if (n == 0)
        return BAKE_OK;
    reap(pid);
    if (n != (ssize_t)sizeof(w))
        return bake_fail(ctx, BAKE_E_CHILD, "cannot start '%s': it ended at once",
                         s->words->argv[0]);
    return say(ctx, s, &w);
}
