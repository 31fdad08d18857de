/* The guard: a process that waits for this one to end. If it ends without having said so, the guard
 * becomes `bakengine doctor --redeem`, so that what was stopped runs again within seconds. */
#ifndef BK_GUARD_H
#define BK_GUARD_H

#include "base/err.h"

#include <sys/types.h>

struct bk_guard {
    pid_t pid; /* 0: none */
    int tell;  /* the pipe that it waits at */
};

/* keep_fd: the locked file of obligations, which the guard holds open as well. Other threads may
 * exist: the child only makes calls that are safe then. */
int bk_guard_start(int keep_fd, struct bk_guard *ret, struct bk_err *err);
void bk_guard_stop(struct bk_guard *g); /* lets it go; NULL-safe when there is none */

#endif
