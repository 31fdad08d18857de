/* See wait.h. */
#include "wait.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <time.h>

int64_t pg_now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int pg_wait(struct bake_ctx *ctx, int fd, bool write, int64_t ms)
{
    struct pollfd fds[2] = {
        {.fd = fd, .events = (short)(write ? POLLIN | POLLOUT : POLLIN)},
        {.fd = ctx->host->cancel_fd(ctx), .events = POLLIN},
    };
    int64_t end = ms < 0 ? 0 : pg_now_ms() + ms;
    for (;;) {
        int64_t left = ms < 0 ? -1 : end - pg_now_ms();
        if (ms >= 0 && left < 0)
            left = 0;
        int n = poll(fds, 2, left > INT_MAX ? INT_MAX : (int)left);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return BAKE_E_IO;
        if (fds[1].revents)
            return BAKE_E_CANCELLED;
        if (fds[0].revents)
            return BAKE_OK;
        if (ms >= 0 && pg_now_ms() >= end)
            return BAKE_E_TIMEOUT;
    }
}
