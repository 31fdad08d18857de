/* The server's binary logs: which there are, and one as a whole file. */
#ifndef MY_BINLOG_H
#define MY_BINLOG_H

#include "child/child.h"
#include "ops.h"

struct my_binlog {
    char *name;
    uint64_t size;
};

struct my_binlog_list {
    struct my_binlog *items; /* as the server lists them: oldest first, the last is written to */
    size_t n;
};

int my_binlogs_list(struct my_conn *c, struct my_binlog_list *ret);
void my_binlogs_release(struct my_binlog_list *b);
const struct my_binlog *my_binlogs_find(const struct my_binlog_list *b, const char *name);

/* Their order: by number ("binlog.1000000" comes after "binlog.999999"); < 0, 0, > 0. Pure. */
int my_binlog_compare(const char *a, const char *b);
/* A name that may stand in a store and a directory: letters, digits, '-', '_', '.'; a number at
 * its end. Pure. */
bool my_binlog_name(const char *name);

/* What the store has of a stream. */
struct my_stored {
    char **names;
    size_t n;
    char *least, *most; /* NULL: nothing */
};
int my_stored_list(struct bake_ctx *ctx, const char *stream, struct my_stored *ret);
void my_stored_release(struct my_stored *s);
bool my_stored_has(const struct my_stored *s, const char *name);

/* OK when the file is a binary log of this size (0: any). BAKE_E_CORRUPT. */
int my_binlog_check(struct bake_ctx *ctx, const char *path, const char *name, uint64_t size);
/* Into the store; what stands there with other bytes is a server that began anew. */
int my_binlog_keep(struct bake_ctx *ctx, const char *stream, const char *name, const char *path);
/* Starts mariadb-binlog, which writes the server's logs from `name` on (forever: else that one)
 * into files; result: the directory with a '/' behind it. */
int my_binlog_call(struct bake_ctx *ctx, const struct my_source *src, const char *tool,
                   const char *result, bool forever, const char *name, struct bkc_child **ret);

#endif
