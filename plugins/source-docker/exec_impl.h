/* Inside exec*.c: one program that runs. */
#ifndef DOCKER_EXEC_IMPL_H
#define DOCKER_EXEC_IMPL_H

#include "exec.h"

#include "api_impl.h"
#include "exec_frames.h"
#include "exec_marks.h"
#include "http/line.h"

#define DK_TAIL_MAX (16U * 1024)

struct dk_tail {
    char text[DK_TAIL_MAX + 1];
    size_t n;
};

struct dk_exec {
    struct dk_api *api;
    struct bake_ctx *ctx;
    struct bkc_line *line;
    char *id, *container_id, *user;
    char name[64], container[80]; /* for people */
    void (*on_errors)(void *arg, const char *data, size_t n);
    void *arg;
    bool input, input_closed, let_go, eof, finished;
    int failed;     /* what was said already */
    unsigned quiet; /* times that the daemon said it runs no more, and nothing came */
    struct dk_frames frames;
    struct dk_marks marks;
    struct dk_tail errors, output;
    char in[64 * 1024];
};

/* Fails naming the program and the container. */
int dk_exec_said(struct dk_exec *e, int rc, const char *why);
/* Bytes of the stream. */
int dk_exec_feed(struct dk_exec *e, const char *data, size_t n);
/* The status of an answer's head, 0: it is none. */
long dk_head_status(const char *head, size_t n);
/* Asks the daemon. */
int dk_exec_state(struct dk_exec *e, bool *ret_running, int *ret_code);
/* With another exec; even when ctx is cancelled. What fails is not said. */
void dk_exec_kill(struct dk_exec *e);

#endif
