/* The guard process. */
#include "run/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the terminal or an administrator sends to the whole group is not for the guard: it must
 * outlive the worker. */
static void set_signals(void (*handler)(int))
{
    static const int those[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGUSR1, SIGUSR2};
    struct sigaction sa;
    sigset_t none;

    memset(&sa, 0, sizeof(sa));
    sa.sa_handler = handler;
    for (size_t i = 0; i < sizeof(those) / sizeof(those[0]); i++)
        (void)sigaction(those[i], &sa, NULL);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Two descriptors are all it keeps, below the rest: the worker's other locks must go with it. */
static void keep_only(int wait_fd, int keep_fd)
{
    int null = open("/dev/null", O_RDWR);

    if (null >= 0) { /* whoever reads our standard output is not to wait for the guard */
        (void)dup2(null, STDIN_FILENO);
        (void)dup2(null, STDOUT_FILENO);
    }
    for (int fd = 3; fd < 5; fd++) /* moved out of the way of the two below */
        if (fd == wait_fd || fd == keep_fd) {
            wait_fd = fcntl(wait_fd, F_DUPFD, 5);
            keep_fd = fcntl(keep_fd, F_DUPFD, 5);
            break;
        }
    (void)dup2(wait_fd, 3);
    (void)dup2(keep_fd, 4);
    (void)syscall(SYS_close_range, 5U, ~0U, 0U);
}

static _Noreturn void guard(int wait_fd, int keep_fd)
{
    char c;
    ssize_t n;

    set_signals(SIG_IGN);
    (void)setsid();
    (void)prctl(PR_SET_NAME, "bakengine-guard");
    keep_only(wait_fd, keep_fd);
    do
        n = read(3, &c, 1);
    while (n < 0 && errno == EINTR);
    if (n == 1)
        _exit(0);
    (void)close(3);
    (void)close(4); /* the lock: whoever comes next redeems */
    set_signals(SIG_DFL);
    (void)execl("/proc/self/exe", "bakengine", "doctor", "--redeem", "--quiet", (char *)NULL);
    _exit(1); /* the next run redeems */
}

int bk_guard_start(int keep_fd, struct bk_guard *ret, struct bk_err *err)
{
    int ends[2];
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return bk_fail_errno(err, errno, "cannot make a pipe for the guard process");
    pid = fork();
    if (pid == 0) {
        (void)close(ends[1]);
        guard(ends[0], keep_fd);
    }
    (void)close(ends[0]);
    if (pid < 0) {
        int e = errno;

        (void)close(ends[1]);
        return bk_fail_errno(err, e, "cannot start the guard process");
    }
    ret->pid = pid;
    ret->tell = ends[1];
    return BAKE_OK;
}

void bk_guard_stop(struct bk_guard *g)
{
    ssize_t n;

    if (g->pid == 0)
        return;
    do
        n = write(g->tell, "q", 1);
    while (n < 0 && errno == EINTR);
    (void)close(g->tell);
    while (waitpid(g->pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    g->pid = 0;
}
