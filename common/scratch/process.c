/* Processes that may be nobody's child any more: who they are, and their end. */
#include "scratch/impl.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static bool read_text(const char *path, char *room, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t n = 0;
    ssize_t got = 0;

    if (fd < 0)
        return false;
    do {
        got = read(fd, room + n, size - 1 - n);
        if (got > 0)
            n += (size_t)got;
    } while (got > 0 || (got < 0 && errno == EINTR));
    (void)close(fd);
    room[n] = '\0';
    return n > 0;
}

void bkc_boot_id(char *room, size_t size)
{
    if (!read_text("/proc/sys/kernel/random/boot_id", room, size))
        room[0] = '\0';
    room[strcspn(room, "\n")] = '\0';
}

bool bkc_start_time(pid_t pid, uint64_t *ret)
{
    char path[40], text[1024], *p;
    unsigned long long t = 0;

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    if (!read_text(path, text, sizeof(text)) || !(p = strrchr(text, ')')))
        return false;
    /* Behind the name, which may hold anything: the state, and at last field 22. */
    if (p[1] != ' ' || p[2] == 'Z' || p[2] == 'X')
        return false;
    p += 2;
    for (int field = 3; field < 22; field++) {
        p = strchr(p, ' ');
        if (!p)
            return false;
        p++;
    }
    for (; *p >= '0' && *p <= '9'; p++)
        t = t * 10 + (unsigned long long)(*p - '0');
    *ret = t;
    return true;
}

static bool still(pid_t pid, uint64_t started)
{
    uint64_t now;
    return bkc_start_time(pid, &now) && now == started;
}

bool bkc_end_process(pid_t pid, int pidfd, uint64_t started, int signal, uint64_t wait_ms)
{
    uint64_t until = bkc_now_ms() + wait_ms;
    struct pollfd p = {.fd = pidfd, .events = POLLIN};

    if (!still(pid, started))
        return true;
#ifdef SYS_pidfd_send_signal
    if (pidfd >= 0)
        (void)syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0U);
#endif
    if (pidfd < 0)
        (void)kill(pid, signal);
    while (still(pid, started)) {
        uint64_t now = bkc_now_ms(), left = until > now ? until - now : 0;

        if (left == 0)
            return false;
        (void)poll(&p, 1, pidfd >= 0 ? (int)(left < 1000 ? left : 1000) : 20);
    }
    return true;
}
