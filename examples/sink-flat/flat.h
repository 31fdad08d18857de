/* sink-flat: what its files share. */
#ifndef FLAT_H
#define FLAT_H

#include <bakengine/plugin.h>

struct flat_config {
    const char *path;
};

/* One per `sinks:` entry; never changes after open, since puts and gets run at once. */
struct flat {
    char *path; /* for messages */
    int dir;    /* the directory, open: names are relative to it */
};

#define FLAT_FILE_CAP 256     /* a file's name with its NUL */
#define FLAT_TMP      ".tmp-" /* no object's file starts with a dot */

/* names.c: an object's name as a file's name: '/' and '%' and a leading '.' become %2F, %25, %2E.
 * Fails when it gets too long for a file. */
int flat_file_of(const struct flat *f, struct bake_ctx *ctx, const char *name,
                 char file[FLAT_FILE_CAP]);
/* The way back. 0: this file is not one of ours. */
int flat_name_of(const char *file, char name[FLAT_FILE_CAP]);

/* errors.c: bake_fail() for errno e, with the code that fits it. */
int flat_fail(const struct flat *f, struct bake_ctx *ctx, int e, const char *verb,
              const char *name);

/* put.c, get.c, manage.c: the ops of the same names in plugin.h */
int flat_put_begin(void *self, struct bake_ctx *ctx, const char *name, uint64_t size_or_0,
                   uint32_t flags, void **ret_put);
int flat_put_write(void *put, struct bake_in *in);
int flat_put_end(void *put);
void flat_put_abort(void *put);
int flat_get_begin(void *self, struct bake_ctx *ctx, const char *name, uint64_t offset,
                   uint64_t length_or_0, void **ret_get);
int flat_get_read(void *get, struct bake_out *out);
void flat_get_close(void *get);
int flat_list(void *self, struct bake_ctx *ctx, const char *prefix,
              int (*each)(void *arg, const char *name, uint64_t size, int64_t mtime_ns), void *arg);
int flat_stat(void *self, struct bake_ctx *ctx, const char *name, uint64_t *ret_size,
              int64_t *ret_mtime_ns);
int flat_remove(void *self, struct bake_ctx *ctx, const char *name);
int flat_space(void *self, struct bake_ctx *ctx, uint64_t *ret_free);
int flat_sweep(void *self, struct bake_ctx *ctx, uint64_t age_ms, uint64_t *ret_removed);

#endif
