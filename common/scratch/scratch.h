/* Private directories and servers that are thrown away: for drills, and for what must be prepared
 * beside what is in use. What is made here is promised to the engine first (an obligation), so that
 * it goes away even if this process dies. */
#ifndef BKC_SCRATCH_H
#define BKC_SCRATCH_H

#include "child/child.h"

struct bkc_scratch;

struct bkc_scratch_spec {
    const char *above; /* the directory to make it in; NULL: $TMPDIR, else /var/tmp */
    const char *what;  /* a word for its name: "<above>/bakengine-<what>-XXXXXX" */
    const char *user;  /* whose it is, when we are root; NULL: ours */
    uint64_t needs;    /* bytes that must be free there; 0: not checked (BAKE_E_NOSPACE) */
};

/* Makes it, mode 0700, after oblige(): {"kind":"scratch","path":...,"boot":...}. */
int bkc_scratch_new(struct bake_ctx *ctx, const struct bkc_scratch_spec *spec,
                    struct bkc_scratch **ret);
const char *bkc_scratch_path(const struct bkc_scratch *s);
/* Starts a server that stays: not bound to the calling thread. Its output goes to "log" in the
 * directory. Its pid and start time are added to the obligation before it runs anything (the child
 * waits for that). BAKE_E_NOTFOUND. */
int bkc_scratch_serve(struct bkc_scratch *s, struct bake_ctx *ctx, const char *const *argv,
                      const char *const *env);
bool bkc_scratch_alive(const struct bkc_scratch *s); /* the server */
/* The last lines of the log, for messages; to be freed. */
char *bkc_scratch_log(const struct bkc_scratch *s);
/* Stops the server (`signal`, then SIGKILL after wait_ms), removes the directory, whosever the
 * files in it are and without following links, and redeems. NULL is fine. OK even when cancelled.
 */
int bkc_scratch_end(struct bkc_scratch *s, struct bake_ctx *ctx, int signal, uint64_t wait_ms);
/* redeem(): *ret_mine false: this is another kind of obligation. A pid is only killed if it started
 * when it was written down; a path is only removed if its name is one of ours, it is a directory
 * and its owner is the one named. */
int bkc_scratch_redeem(struct bake_ctx *ctx, const char *what, bool *ret_mine);
/* Changes owner (when root) of everything below path to user's; nothing when user is NULL. */
int bkc_scratch_own(struct bake_ctx *ctx, const char *path, const char *user);

#endif
