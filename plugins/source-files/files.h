/* What the parts of the files source share: its options, one open source, limits. */
#ifndef FILES_H
#define FILES_H

#include "walk/walk.h"

struct files_config {
    const struct bake_path *paths;
    const char *const *exclude;
    const char *const *exclude_if_present;
    int exclude_caches;
    int one_file_system;
};

struct files_source { /* one open instance; read-only but for `planned` */
    struct bake_ctx *ctx;
    const struct files_config *cfg;
    struct bkc_ignore *ignore;
    struct bkc_walk_limits limits; /* tests lower them */
    int planned;
};

struct files_writer;

/* Reports about an entry of the component: `path` is relative to the root of the file system. */
void files_report(struct bake_ctx *ctx, int severity, const char *path, const char *fmt, ...)
    BAKE_PRINTF(4, 5);
int files_nomem(struct bake_ctx *ctx);

/* The operations, as in struct bake_source_ops. */
int files_reader_open(void *self, struct bake_ctx *ctx, const struct bake_component *c,
                      void **ret_reader);
int files_next(void *reader, struct bake_entry *ret);
int files_open_entry(void *reader, struct bake_entry *entry);
int files_read(void *reader, struct bake_out *out);
int files_finish(void *reader, struct bake_result *ret);
void files_reader_close(void *reader);

int files_writer_open(void *self, struct bake_ctx *ctx, const struct bake_component *c,
                      const struct bake_restore *how, void **ret_writer);
int files_put_entry(void *writer, const struct bake_entry *entry);
int files_write(void *writer, struct bake_in *in);
int files_entry_end(void *writer, int good);
int files_commit(void *writer);
void files_writer_close(void *writer);

#endif
