/* Where a restored component goes: below a directory, or back through its source plugin. The same
 * calls for trees and blobs; one thread, but for files below a directory, which several may make.
 */
#ifndef BK_TARGET_H
#define BK_TARGET_H

#include "run/restore_component.h"
#include "tree/extract.h"

struct bk_target;

struct bk_target_opts {
    const char *dir; /* --target; NULL: back where it came from */
    const struct bk_restore_env *env;
    bk_report_fn *report;
    void *report_arg;
};

/* With dir: trees go to <dir>/<component>/, a blob becomes the file <dir>/<component>. *ret_gone:
 * it failed since its source has no place for it any more. */
int bk_target_open(const struct bk_mcomp *c, const struct bk_target_opts *opts,
                   struct bk_target **ret, bool *ret_gone, struct bk_err *err);
/* Trees; as bake_source_ops.put_entry: OK, BAKE_END when it is there already, BAKE_E_EXISTS when
 * something else is there and kept. */
int bk_target_put(struct bk_target *t, const struct bake_entry *e, struct bk_err *err);
int bk_target_write(struct bk_target *t, const void *data, size_t n, struct bk_err *err);
int bk_target_entry_end(struct bk_target *t, int good, struct bk_err *err);

/* May files be made apart from the others? */
bool bk_target_apart(const struct bk_target *t);
/* A file of a tree instead of put and entry_end: nothing is made yet. bkc_file_free() it, on any
 * thread, before commit. */
int bk_target_file(struct bk_target *t, const struct bake_entry *e, struct bkc_file **ret,
                   struct bk_err *err);
/* On any one thread: put, write and entry_end. ctx is that thread's. */
void bk_target_ctx(const struct bk_target *t, struct bk_ctx *ret);
int bk_target_file_begin(struct bkc_file *f, struct bk_ctx *ctx, struct bk_err *err);
int bk_target_file_write(struct bkc_file *f, struct bk_ctx *ctx, const void *data, size_t n,
                         struct bk_err *err);
int bk_target_file_end(struct bkc_file *f, struct bk_ctx *ctx, int good, struct bk_err *err);

int bk_target_commit(struct bk_target *t, struct bk_err *err);
void bk_target_close(
    struct bk_target *t); /* without commit: what is half there goes; NULL is fine */

#endif
