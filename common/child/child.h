/* Programs that plugins run: pipes, secrets, an end whatever happens. One thread per child, unless
 * said otherwise.
 *
 * A child gets: its own process group; SIGTERM if this process dies; no descriptors but its pipes
 * and secrets; signals at their defaults; LC_ALL=C.UTF-8, so that its messages can be read. It
 * never goes through a shell. A cancelled context ends it: SIGTERM, then SIGKILL after a few
 * seconds; so does its end, for what it has started and left in its group.
 *
 * The SIGTERM comes when the thread that started it ends, too: start it on the thread that uses it.
 * And if this process is killed, the end of its input may reach it before the signal does: what is
 * fed must not take the end of its input alone for a success (psql --single-transaction does). */
#ifndef BKC_CHILD_H
#define BKC_CHILD_H

#include <bakengine/plugin.h>

#include <stdbool.h>
#include <sys/types.h>

struct bkc_child;

#define BKC_CHILD_SECRETS 4

struct bkc_child_secret { /* bytes that only the child may read, as a file of mode 0600 in memory */
    const char *text;
    /* Where its path ("/proc/self/fd/N") goes: an environment variable, or an argument that begins
     * with this, as "--defaults-extra-file=". Arguments made so come first, behind the name. */
    const char *env, *argument;
};

struct bkc_child_spec {
    const char *const *argv; /* NULL-ended; argv[0] is looked up in PATH unless it has a '/' */
    const char *const
        *env; /* added to, or instead of, this process's; "NAME" alone removes; NULL */
    struct bkc_child_secret secrets[BKC_CHILD_SECRETS]; /* ended by a NULL text */
    const char *directory;                              /* to start in; or NULL */
    /* To run as, when we are root; or NULL. Starts in "/" then, unless a directory is named, with
     * that user's HOME, USER and LOGNAME, and without TMPDIR. BAKE_E_CONFIG: there is no such user.
     */
    const char *user;
    bool in, out; /* a pipe to its standard input, from its output; else /dev/null */
    int out_fd;   /* > 0 without `out`: its standard output (duplicated) */
    /* Each line of its standard error, without the end, cleaned of control characters; called on
     * the thread that reads, writes or waits. NULL: only the last lines are kept. */
    void (*said)(void *arg, const char *line);
    void *arg;
    uint64_t silence_ms; /* > 0: BAKE_E_TIMEOUT when nothing moves for so long */
};

/* BAKE_E_NOTFOUND: there is no such program. ctx must outlive the child. Strings are copied. */
int bkc_child_start(struct bake_ctx *ctx, const struct bkc_child_spec *spec,
                    struct bkc_child **ret);
/* From its output, as it comes: at least one byte unless END. OK | END. Reads what it says on
 * standard error meanwhile. */
int bkc_child_read(struct bkc_child *c, struct bake_out *out);
/* To its standard input, all of it. When it has ended or closed its input: BAKE_E_CHILD with what
 * it said. What it writes meanwhile on its output (if `out`) is kept up to 64 KiB. */
int bkc_child_write(struct bkc_child *c, const void *data, size_t n);
int bkc_child_close_in(struct bkc_child *c);
/* Closes its input, reads the rest of what it says, waits. OK: it ended with 0. BAKE_E_CHILD: the
 * failure names the program, how it ended and its last line ("pg_dump ended with exit status 1:
 * ..."). ret_status, if not NULL: as of waitpid(); then OK unless it could not be waited for. */
int bkc_child_wait(struct bkc_child *c, int *ret_status);
/* The last lines that it said on standard error, up to 2 KiB, '\n' between them; "" if none. */
const char *bkc_child_said(const struct bkc_child *c);
pid_t bkc_child_pid(const struct bkc_child *c);
/* Any thread: wakes what blocks and has the child ended. */
void bkc_child_interrupt(struct bkc_child *c);
/* Ends it if it runs, and reaps it. NULL is fine. */
void bkc_child_free(struct bkc_child *c);

/* Runs to the end; its output, at most `limit` bytes (more: BAKE_E_CHILD), NUL-ended, goes to
 * *ret_out (to be freed; NULL: thrown away, or to out_fd). `input` may be NULL; that it is not read
 * to its end is no failure: how the program ends decides. spec's in and out do not count. */
int bkc_child_run(struct bake_ctx *ctx, const struct bkc_child_spec *spec, const char *input,
                  size_t limit, char **ret_out);

#endif
