/* Running a program inside a container: POST /containers/ID/exec and /exec/ID/start, hijacked. A
 * shell in the container (there must be one) runs it between two marks, so that what the daemon
 * says itself is never taken for output, no tail is lost unseen, and a program whose client is gone
 * ends; one with input reads the end of it then, and is killed by dk_exec_close(). */
#ifndef DOCKER_EXEC_H
#define DOCKER_EXEC_H

#include "api.h"

struct dk_exec;

struct dk_exec_opts {
    const char *const *argv; /* NULL-ended; shown in the daemon's events: never a secret */
    const char *const *env;  /* NULL-ended "K=V"; or NULL. Not shown anywhere by the daemon */
    const char *user;        /* or NULL: the container's own */
    const char *name;        /* what errors call it; NULL: argv[0] */
    bool input;              /* dk_exec_write() will be used */
    /* All of standard error as it comes, beside dk_exec_errors(); or NULL. */
    void (*on_errors)(void *arg, const char *data, size_t n);
    void *arg;
};

int dk_exec_start(struct dk_api *api, struct bake_ctx *ctx, const char *container,
                  const struct dk_exec_opts *opts, struct dk_exec **ret);
/* Standard output. OK | END. Standard error is kept meanwhile (its end, bounded). */
int dk_exec_read(struct dk_exec *e, struct bake_out *out);
/* Standard input: takes all, reading what comes out meanwhile (kept, bounded) so that nothing
 * blocks. A program that ended early is no failure here: dk_exec_finish() has its status. */
int dk_exec_write(struct dk_exec *e, const void *data, size_t n);
int dk_exec_close_input(struct dk_exec *e);
/* Has it ended, as far as is known by now? */
bool dk_exec_ended(const struct dk_exec *e);
/* Reads what is left. BAKE_OK: *ret_code is its exit status (126: could not be started, or was
 * killed; the text of that is in dk_exec_errors()). */
int dk_exec_finish(struct dk_exec *e, int *ret_code);
const char *dk_exec_errors(const struct dk_exec *e); /* the last 16 KiB of standard error */
const char *dk_exec_output(const struct dk_exec *e); /* what was kept of standard output while
                                                        writing: its last 16 KiB */
void dk_exec_close(struct dk_exec *e);               /* ends the program if it runs; NULL is fine */

/* Short commands: all of standard output, at most limit bytes, NUL-ended, the caller's; the end of
 * standard error instead where it failed and wrote nothing. */
int dk_exec_run(struct dk_api *api, struct bake_ctx *ctx, const char *container,
                const struct dk_exec_opts *opts, size_t limit, char **ret_out, int *ret_code);

#endif
