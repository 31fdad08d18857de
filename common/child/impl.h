/* Shared by the files of this folder. */
#ifndef BKC_CHILD_IMPL_H
#define BKC_CHILD_IMPL_H

#include "child/child.h"
#include "child/lines.h"
#include "child/spawn.h"

#include <stdatomic.h>

#define BKC_KEEP_MAX  ((size_t)64 << 10) /* of output, while it is written to */
#define BKC_PATIENCE  5000U              /* ms from SIGTERM to SIGKILL */
#define BKC_PIPE_SIZE (1 << 20)

struct bkc_child {
    struct bake_ctx *ctx;
    char *name; /* for messages: without the directory */
    pid_t pid;
    int pidfd;            /* -1: the system has none */
    int in, out, err;     /* our ends, not blocking; -1: none, or closed */
    int wake;             /* an eventfd */
    atomic_bool unwanted; /* interrupted */
    bool reaped, lost;    /* lost: someone else has reaped it */
    int status;           /* as of waitpid() */
    int failed;           /* once it was ended by us: for all calls that follow */
    uint64_t silence_ms, moved;
    char *keep; /* output that came while it was written to */
    size_t keep_at, keep_n;
    unsigned n_reads;
    struct bkc_lines lines;
};

enum { BKC_CAN_IN = 1, BKC_CAN_OUT = 2, BKC_ENDED = 4 };

/* Sleeps until one of `want` can be done, or nothing can yet (*ret_can 0: ask again). Reads what it
 * says meanwhile. When it is not to go on, it is ended: CANCELLED, TIMEOUT. */
int bkc_await(struct bkc_child *c, unsigned want, unsigned *ret_can);
/* OK unless it was cancelled or interrupted, or has failed before. */
int bkc_check(struct bkc_child *c);
void bkc_hear(struct bkc_child *c); /* reads what it says, without waiting */
void bkc_shut(int *fd);
/* What its pipe takes or has now: n > 0; 0: it closed its end; -1 with errno, as EAGAIN. */
ssize_t bkc_take(struct bkc_child *c, void *data, size_t n);
ssize_t bkc_give(struct bkc_child *c, const void *data, size_t n);
/* It stays to be reaped, so that its number is nobody else's meanwhile. */
bool bkc_has_ended(const struct bkc_child *c);
/* Once it has ended (which is not waited for): the rest of its group goes too, and it is reaped. */
void bkc_reap(struct bkc_child *c);
/* Ends it: SIGTERM, SIGKILL, and reaps it. */
void bkc_stop(struct bkc_child *c);
/* By how it ended. */
int bkc_verdict(struct bkc_child *c);

#endif
