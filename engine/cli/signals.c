/* The thread that waits for signals. */
#include "cli/signals.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

struct bk_signals {
    struct bk_cancel *cancel, *ending;
    pthread_t thread;
    int fd;
    atomic_int caught;
};

static void *wait_for_signals(void *arg)
{
    struct bk_signals *s = arg;

    for (;;) {
        struct pollfd fds[2] = {{s->fd, POLLIN, 0}, {bk_cancel_fd(s->ending), POLLIN, 0}};
        struct signalfd_siginfo info;

        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            return NULL;
        if (fds[1].revents)
            return NULL;
        if (!fds[0].revents || read(s->fd, &info, sizeof(info)) != sizeof(info))
            continue;
        /* Asked twice: whoever asks does not want to wait for the clean way. */
        if (atomic_load(&s->caught))
            _exit(128 + (int)info.ssi_signo);
        atomic_store(&s->caught, (int)info.ssi_signo);
        bk_cancel_fire(s->cancel);
    }
}

int bk_signals_start(struct bk_cancel *cancel, struct bk_signals **ret, struct bk_err *err)
{
    struct bk_signals *s = calloc(1, sizeof(*s));
    sigset_t set;
    int rc, e;

    if (!s)
        return bk_nomem(err);
    s->cancel = cancel;
    (void)signal(SIGPIPE, SIG_IGN); /* a reader that goes away is a write error */
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGHUP);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
    s->fd = signalfd(-1, &set, SFD_CLOEXEC);
    if (s->fd < 0) {
        rc = bk_fail_errno(err, errno, "cannot wait for signals");
    } else if ((rc = bk_cancel_new(NULL, &s->ending, err)) >= 0) {
        e = pthread_create(&s->thread, NULL, wait_for_signals, s);
        if (e)
            rc = bk_fail_errno(err, e, "cannot start the thread that waits for signals");
    }
    if (rc < 0) {
        bk_cancel_free(s->ending);
        if (s->fd >= 0)
            (void)close(s->fd);
        free(s);
        return rc;
    }
    *ret = s;
    return BAKE_OK;
}

int bk_signals_caught(struct bk_signals *s) { return atomic_load(&s->caught); }

void bk_signals_stop(struct bk_signals *s)
{
    if (!s)
        return;
    bk_cancel_fire(s->ending);
    pthread_join(s->thread, NULL);
    bk_cancel_free(s->ending);
    (void)close(s->fd);
    free(s);
}
