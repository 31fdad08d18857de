/* How a child ends, by itself or because it has to. */
#include "child/impl.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

bool bkc_has_ended(const struct bkc_child *c)
{
    siginfo_t info;

    memset(&info, 0, sizeof(info));
    if (waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0)
        return info.si_pid != 0;
    return errno == ECHILD;
}

void bkc_reap(struct bkc_child *c)
{
    pid_t got;

    if (c->reaped)
        return;
    (void)kill(-c->pid, SIGKILL); /* what it started and left behind */
    do
        got = waitpid(c->pid, &c->status, 0);
    while (got < 0 && errno == EINTR);
    c->reaped = true;
    c->lost = got < 0;
    bkc_hear(c);
    bkc_lines_end(&c->lines);
    bkc_shut(&c->err);
    bkc_shut(&c->pidfd);
}

/* While it is given time to end, what it still writes is thrown away: it must not block. */
static void drain(struct bkc_child *c)
{
    char waste[16384];

    for (int i = 0; c->out >= 0 && i < 64 && bkc_take(c, waste, sizeof(waste)) > 0; i++)
        continue;
}

static void linger(struct bkc_child *c, uint64_t ms)
{
    uint64_t until = bkc_now_ms() + ms;

    while (!bkc_has_ended(c)) {
        uint64_t now = bkc_now_ms(), left = until > now ? until - now : 0;
        struct pollfd p[3] = {{.fd = c->pidfd, .events = POLLIN},
                              {.fd = c->err, .events = POLLIN},
                              {.fd = c->out, .events = POLLIN}};

        if (left == 0)
            return;
        if (c->pidfd < 0 && left > 20)
            left = 20;
        (void)poll(p, 3, (int)left);
        bkc_hear(c);
        drain(c);
        if (p[2].revents & (POLLHUP | POLLERR | POLLNVAL))
            bkc_shut(&c->out);
    }
}

void bkc_stop(struct bkc_child *c)
{
    if (c->reaped)
        return;
    if (!bkc_has_ended(c)) {
        (void)kill(-c->pid, SIGTERM);
        (void)kill(-c->pid, SIGCONT); /* one that is stopped gets it only then */
        linger(c, BKC_PATIENCE);
    }
    bkc_reap(c); /* with SIGKILL */
    /* Only now: the end of its input could look to it as if all had come. */
    bkc_shut(&c->in);
}

static int say(struct bkc_child *c, const char *how, int number, const char *more)
{
    const char *last = bkc_lines_last(&c->lines);

    return bake_fail(c->ctx, BAKE_E_CHILD, "%s %s %d%s%s%s", c->name, how, number, more,
                     last[0] ? ": " : "", last);
}

int bkc_verdict(struct bkc_child *c)
{
    if (c->lost)
        return bake_fail(c->ctx, BAKE_E_CHILD, "cannot wait for %s: it was reaped elsewhere",
                         c->name);
    if (WIFSIGNALED(c->status))
        return say(c, "ended by signal", WTERMSIG(c->status),
                   WTERMSIG(c->status) == SIGKILL ? " (SIGKILL)" : "");
    if (WEXITSTATUS(c->status) != 0)
        return say(c, "ended with exit status", WEXITSTATUS(c->status), "");
    return BAKE_OK;
}

int bkc_child_wait(struct bkc_child *c, int *ret_status)
{
    char waste[16384];
    unsigned can = 0;

    bkc_shut(&c->in);
    c->moved = bkc_now_ms();
    while (!c->reaped) {
        int rc = bkc_await(c, BKC_ENDED | BKC_CAN_OUT, &can);

        if (rc != BAKE_OK)
            return rc;
        if (can & BKC_CAN_OUT && bkc_take(c, waste, sizeof(waste)) == 0)
            bkc_shut(&c->out);
        if (can & BKC_ENDED)
            bkc_reap(c);
    }
    if (c->failed != BAKE_OK)
        return c->failed;
    if (ret_status)
        *ret_status = c->status;
    return ret_status && !c->lost ? BAKE_OK : bkc_verdict(c);
}
