/* Bytes to and from a child, and the waiting in between. */
#include "child/impl.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define HEAR_EVERY 32         /* reads: what it says is not left lying while its output flows */
#define FEW        (64 << 10) /* bytes: not worth a turn */

void bkc_shut(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

static int end_it(struct bkc_child *c, int rc)
{
    bkc_stop(c);
    c->failed = rc;
    return rc;
}

int bkc_check(struct bkc_child *c)
{
    if (c->failed != BAKE_OK)
        return c->failed;
    if (atomic_load(&c->unwanted) || c->ctx->host->cancelled(c->ctx))
        return end_it(c, bake_fail(c->ctx, BAKE_E_CANCELLED, "cancelled"));
    return BAKE_OK;
}

void bkc_hear(struct bkc_child *c)
{
    char text[4096];
    ssize_t n;

    /* Bounded, so that a child that talks for ever does not keep us from all else. */
    for (int i = 0; c->err >= 0 && i < 64; i++) {
        do
            n = read(c->err, text, sizeof(text));
        while (n < 0 && errno == EINTR);
        if (n > 0) {
            c->moved = bkc_now_ms();
            bkc_lines_feed(&c->lines, text, (size_t)n);
            continue;
        }
        if (n == 0 || errno != EAGAIN) {
            bkc_lines_end(&c->lines);
            bkc_shut(&c->err);
        }
        return;
    }
}

ssize_t bkc_take(struct bkc_child *c, void *data, size_t n)
{
    ssize_t got;

    do
        got = read(c->out, data, n);
    while (got < 0 && errno == EINTR);
    if (got > 0)
        c->moved = bkc_now_ms();
    return got;
}

ssize_t bkc_give(struct bkc_child *c, const void *data, size_t n)
{
    static const struct timespec at_once = {0, 0};
    sigset_t pipe_only, old, pending;
    ssize_t put;
    int e;

    /* A child that has gone is an error here, not a signal: whatever the process does with it. */
    (void)sigemptyset(&pipe_only);
    (void)sigaddset(&pipe_only, SIGPIPE);
    (void)sigpending(&pending);
    (void)pthread_sigmask(SIG_BLOCK, &pipe_only, &old);
    do
        put = write(c->in, data, n);
    while (put < 0 && errno == EINTR);
    e = errno;
    if (put < 0 && e == EPIPE && !sigismember(&pending, SIGPIPE))
        while (sigtimedwait(&pipe_only, NULL, &at_once) < 0 && errno == EINTR)
            continue;
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    errno = e;
    if (put > 0)
        c->moved = bkc_now_ms();
    return put;
}

/* How long to sleep; 0: it was silent for too long. */
static int sleep_ms(const struct bkc_child *c, unsigned want)
{
    uint64_t ms = 1000, silent = bkc_now_ms() - c->moved;

    if (c->silence_ms) {
        if (silent >= c->silence_ms)
            return 0;
        if (c->silence_ms - silent < ms)
            ms = c->silence_ms - silent;
    }
    if (c->pidfd < 0 && want & BKC_ENDED && ms > 20)
        ms = 20;
    return (int)ms;
}

int bkc_await(struct bkc_child *c, unsigned want, unsigned *ret_can)
{
    int rc = bkc_check(c), ms;

    *ret_can = 0;
    if (rc != BAKE_OK)
        return rc;
    if ((ms = sleep_ms(c, want)) == 0)
        return end_it(c, bake_fail(c->ctx, BAKE_E_TIMEOUT, "nothing was heard of %s for %llu s",
                                   c->name, (unsigned long long)(c->silence_ms + 999) / 1000));
    struct pollfd p[6] = {{.fd = c->err, .events = POLLIN},
                          {.fd = c->wake, .events = POLLIN},
                          {.fd = c->ctx->host->cancel_fd(c->ctx), .events = POLLIN},
                          {.fd = want & BKC_CAN_IN ? c->in : -1, .events = POLLOUT},
                          {.fd = want & BKC_CAN_OUT ? c->out : -1, .events = POLLIN},
                          {.fd = want & BKC_ENDED ? c->pidfd : -1, .events = POLLIN}};
    if (poll(p, 6, ms) < 0)
        return errno == EINTR ? BAKE_OK
                              : bake_fail(c->ctx, BAKE_E_IO, "cannot wait for %s: %s", c->name,
                                          strerror(errno));
    if (p[0].revents)
        bkc_hear(c);
    if (p[3].revents)
        *ret_can |= BKC_CAN_IN;
    if (p[4].revents)
        *ret_can |= BKC_CAN_OUT;
    if (want & BKC_ENDED && (p[5].revents || (c->pidfd < 0 && bkc_has_ended(c))))
        *ret_can |= BKC_ENDED;
    return BAKE_OK;
}

static int read_failed(struct bkc_child *c)
{
    return bake_fail(c->ctx, BAKE_E_IO, "cannot read what %s writes: %s", c->name, strerror(errno));
}

static bool from_keep(struct bkc_child *c, struct bake_out *out)
{
    size_t room = out->size - out->pos, n = c->keep_n < room ? c->keep_n : room;

    if (n == 0)
        return false;
    memcpy((char *)out->data + out->pos, c->keep + c->keep_at, n);
    c->keep_at += n;
    c->keep_n -= n;
    out->pos += n;
    return true;
}

/* Tools write 4 KiB at a time. Woken for each of these, reader and writer would mostly change
 * places; the pipe holds what comes within a millisecond many times over. */
static void let_gather(const struct bkc_child *c)
{
    static const struct timespec moment = {0, 1000000};
    int n;

    if (ioctl(c->out, FIONREAD, &n) == 0 && n > 0 && n < FEW)
        (void)nanosleep(&moment, NULL);
}

int bkc_child_read(struct bkc_child *c, struct bake_out *out)
{
    int rc = bkc_check(c);
    unsigned can;

    if (rc != BAKE_OK)
        return rc;
    if (out->pos >= out->size)
        return bake_fail(c->ctx, BAKE_E_INTERNAL, "no room to read what %s writes", c->name);
    if (from_keep(c, out))
        return BAKE_OK;
    if (++c->n_reads % HEAR_EVERY == 0)
        bkc_hear(c);
    c->moved = bkc_now_ms();
    while (c->out >= 0) {
        ssize_t n = bkc_take(c, (char *)out->data + out->pos, out->size - out->pos);

        if (n > 0) {
            out->pos += (size_t)n;
            return BAKE_OK;
        }
        if (n == 0)
            bkc_shut(&c->out);
        else if (errno != EAGAIN)
            return read_failed(c);
        else if ((rc = bkc_await(c, BKC_CAN_OUT, &can)) != BAKE_OK)
            return rc;
        else if (can & BKC_CAN_OUT)
            let_gather(c);
    }
    return BAKE_END;
}

/* What it writes while it is written to: else both would wait for each other. */
static int keep_some(struct bkc_child *c)
{
    char probe;
    ssize_t n;

    if (!c->keep && !(c->keep = malloc(BKC_KEEP_MAX)))
        return bake_fail(c->ctx, BAKE_E_NOMEM, "out of memory");
    if (c->keep_at > 0) {
        memmove(c->keep, c->keep + c->keep_at, c->keep_n);
        c->keep_at = 0;
    }
    if (c->keep_n < BKC_KEEP_MAX)
        n = bkc_take(c, c->keep + c->keep_n, BKC_KEEP_MAX - c->keep_n);
    else if ((n = bkc_take(c, &probe, 1)) > 0)
        return end_it(c, bake_fail(c->ctx, BAKE_E_CHILD,
                                   "%s writes more than %zu bytes while it is written to", c->name,
                                   BKC_KEEP_MAX));
    if (n > 0)
        c->keep_n += (size_t)n;
    else if (n == 0)
        bkc_shut(&c->out);
    else if (errno != EAGAIN)
        return read_failed(c);
    return BAKE_OK;
}

/* It reads no more. Why is what it says or how it ends, mostly a moment later. */
static int gone(struct bkc_child *c)
{
    uint64_t until = bkc_now_ms() + BKC_PATIENCE;
    unsigned can = 0;
    const char *last;
    int rc;

    bkc_shut(&c->in);
    while (!c->reaped && bkc_now_ms() < until) {
        if ((rc = bkc_await(c, BKC_ENDED, &can)) != BAKE_OK)
            return rc;
        if (can & BKC_ENDED)
            bkc_reap(c);
    }
    if (c->reaped && (rc = bkc_verdict(c)) != BAKE_OK)
        return rc;
    last = bkc_lines_last(&c->lines);
    return bake_fail(c->ctx, BAKE_E_CHILD, "%s closed its input before the end%s%s", c->name,
                     last[0] ? ": " : "", last);
}

int bkc_child_write(struct bkc_child *c, const void *data, size_t n)
{
    const char *p = data;
    unsigned can;
    int rc = bkc_check(c);

    c->moved = bkc_now_ms();
    while (rc == BAKE_OK && n > 0) {
        ssize_t put;

        if (c->in < 0)
            return bake_fail(c->ctx, BAKE_E_CHILD, "the input of %s is closed", c->name);
        put = bkc_give(c, p, n);
        if (put > 0) {
            p += put;
            n -= (size_t)put;
        } else if (put < 0 && errno == EPIPE) {
            return gone(c);
        } else if (put < 0 && errno != EAGAIN) {
            return bake_fail(c->ctx, BAKE_E_IO, "cannot write to %s: %s", c->name, strerror(errno));
        } else if ((rc = bkc_await(c, BKC_CAN_IN | BKC_CAN_OUT, &can)) == BAKE_OK &&
                   can & BKC_CAN_OUT) {
            rc = keep_some(c);
        }
    }
    return rc;
}

int bkc_child_close_in(struct bkc_child *c)
{
    bkc_shut(&c->in);
    return BAKE_OK;
}
