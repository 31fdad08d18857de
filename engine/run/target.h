/* Where a restored component goes: below a directory, or back through its source plugin. The same
 * calls for trees and blobs; one thread. */
#ifndef BK_TARGET_H
#define BK_TARGET_H

#include "run/session.h"
#include "tree/extract.h"

struct bk_target;

struct bk_target_opts {
    const char *dir; /* --target; NULL: back where it came from */
    int force;
    struct bk_cancel *cancel;
    bk_report_fn *report;
    void *report_arg;
};

/* With dir: trees go to <dir>/<component>/, a blob becomes the file <dir>/<component>. */
int bk_target_open(struct bk_session *s, const struct bk_mcomp *c,
                   const struct bk_target_opts *opts, struct bk_target **ret, struct bk_err *err);
/* Trees; as bake_source_ops.put_entry: OK, BAKE_END when it is there already, BAKE_E_EXISTS when
 * something else is there and kept. */
int bk_target_put(struct bk_target *t, const struct bake_entry *e, struct bk_err *err);
int bk_target_write(struct bk_target *t, const void *data, size_t n, struct bk_err *err);
int bk_target_entry_end(struct bk_target *t, int good, struct bk_err *err);
int bk_target_commit(struct bk_target *t, struct bk_err *err);
void bk_target_close(
    struct bk_target *t); /* without commit: what is half there goes; NULL is fine */

#endif
