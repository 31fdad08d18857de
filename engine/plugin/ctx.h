/* The engine's side of struct bake_ctx: what a plugin instance, reader, writer or put reports goes
 * through one of these. */
#ifndef BK_CTX_H
#define BK_CTX_H

#include "base/cancel.h"
#include "base/err.h"

/* A thing met on the way (bake_report). Called on the plugin's thread; text is masked and
 * printable, subject likewise ("" when there is none). */
typedef void bk_report_fn(void *arg, int severity, const char *subject, const char *text);

/* What keeps a source's obligations (run/duty.h). Any thread. */
struct bk_ctx_duty {
    int (*oblige)(void *arg, const char *what, uint64_t *id, struct bk_err *err);
    int (*redeemed)(void *arg, uint64_t id, struct bk_err *err);
    void *arg;
};

/* The store's log archive, for sources (run/wal.h). Any thread. */
struct bk_ctx_logs {
    int (*put)(void *arg, const char *stream, const char *name, const char *path,
               struct bk_err *err);
    int (*get)(void *arg, const char *stream, const char *name, const char *path,
               struct bk_err *err);
    /* Returns what each() does once that is not 0. */
    int (*list)(void *arg, const char *stream,
                int (*each)(void *each_arg, const char *name, uint64_t size), void *each_arg,
                struct bk_err *err);
    void *arg;
};

struct bk_ctx {
    struct bake_ctx base;     /* first: a struct bake_ctx * is a struct bk_ctx * */
    char label[96];           /* "source 'system' (files)": names it in messages */
    struct bk_cancel *cancel; /* borrowed */
    bk_report_fn *report;     /* NULL: reports become log messages */
    void *report_arg;
    const struct bk_ctx_duty *duty; /* NULL: nothing can be promised here (oblige() fails) */
    const struct bk_ctx_logs *logs; /* NULL: there is no log archive here (log_put() fails) */
    struct bk_err err; /* of the last failure; the caller of the plugin takes and clears it */
};

void bk_ctx_init(struct bk_ctx *ctx, struct bk_cancel *cancel, const char *label_fmt, ...)
    BAKE_PRINTF(3, 4);

/* Turns a plugin's negative result into err: "<label>: <text>", or a text for the code when the
 * plugin gave none (and says that this is the plugin's fault). Clears ctx->err. Returns rc. */
int bk_ctx_fail(struct bk_ctx *ctx, int rc, struct bk_err *err);

const char *bk_rc_text(int rc); /* "not found", "no space left", ... */

#endif
