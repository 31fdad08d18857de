/* A sink plugin's instance as the store uses it: small objects whole, retries, clear errors. */
#ifndef BK_SINK_H
#define BK_SINK_H

#include "base/buf.h"
#include "config/pipeline.h"
#include "plugin/ctx.h"

struct bk_sink {
    const struct bk_part *part;
    const struct bake_sink_ops *ops;
    void *self; /* NULL: not open */
    struct bk_cancel *cancel;
    struct bk_ctx ctx;        /* the instance's; each call below uses one of its own */
    struct bk_cancel_sub sub; /* a cancel interrupts what blocks in the plugin */
    char label[96];           /* "sink 'local'" */
};

/* ret must stay where it is until it is closed. */
int bk_sink_open(const struct bk_part *part, struct bk_cancel *cancel, struct bk_sink *ret,
                 struct bk_err *err);
void bk_sink_close(struct bk_sink *s);

/* A context for one call or put on this sink. */
void bk_sink_ctx(const struct bk_sink *s, struct bk_cancel *cancel, struct bk_ctx *ret);

/* For loops over get_read(): counts in *idle how often nothing came; BAKE_E_INTERNAL (said through
 * ctx) once the plugin is found to make no progress. */
int bk_sink_progress(struct bk_ctx *ctx, size_t got, int rc, int *idle);

/* A small object in one go. What is transient is tried again, at most 5 times in about 15 s. With
 * BAKE_PUT_IF_ABSENT an object that is already there with these very bytes counts as put. */
int bk_sink_put(struct bk_sink *s, const char *name, const void *data, size_t n, uint32_t flags,
                struct bk_err *err);
/* Appends the whole object to b; more than limit bytes is BAKE_E_CORRUPT. */
int bk_sink_get(struct bk_sink *s, const char *name, size_t limit, struct bk_buf *b,
                struct bk_err *err);
int bk_sink_stat(struct bk_sink *s, const char *name, uint64_t *ret_size, int64_t *ret_mtime_ns,
                 struct bk_err *err);
int bk_sink_list(struct bk_sink *s, const char *prefix,
                 int (*each)(void *arg, const char *name, uint64_t size, int64_t mtime_ns),
                 void *arg, struct bk_err *err);
int bk_sink_remove(struct bk_sink *s, const char *name, struct bk_err *err);

#endif
