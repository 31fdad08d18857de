/* What the tests of common/child and common/scratch share. */
#ifndef CHILD_KIT_H
#define CHILD_KIT_H

#include "child/child.h"

#include "fakehost.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* sh -c script */
#define SHELL(name, script)                                                                        \
    const char *const name##_argv[] = {"sh", "-c", script, NULL};                                  \
    struct bkc_child_spec name = {.argv = name##_argv}

static inline uint64_t now_ms(void)
{
    struct timespec t;
    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &t), 0);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static inline void nap_ms(long ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    while (nanosleep(&t, &t) < 0 && errno == EINTR)
        continue;
}

/* It has gone: nobody has this number, and it is no zombie of ours. */
static inline void assert_gone(pid_t pid)
{
    assert_int_equal(kill(pid, 0), -1);
    assert_int_equal(errno, ESRCH);
}

/* 'R', 'S' ..., or 0: there is none. */
static inline char state_of(pid_t pid)
{
    char path[40], text[300] = "", *p;

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    FILE *f = fopen(path, "re");
    if (!f)
        return 0;
    if (!fgets(text, sizeof(text), f))
        text[0] = '\0';
    (void)fclose(f);
    p = strrchr(text, ')');
    return p && p[1] ? p[2] : 0;
}

/* One that waits to be reaped by whoever is to do it here runs no more. */
static inline bool runs(pid_t pid)
{
    char state = state_of(pid);
    return state && state != 'Z' && state != 'X';
}

/* Soon: one that is not our child is reaped by someone else. */
static inline void assert_soon_gone(pid_t pid)
{
    for (int i = 0; runs(pid) && i < 300; i++)
        nap_ms(10);
    assert_false(runs(pid));
}

#endif
