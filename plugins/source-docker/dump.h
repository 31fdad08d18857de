/* Dumps of databases by exec inside their containers, and loading them again. */
#ifndef DOCKER_DUMP_H
#define DOCKER_DUMP_H

#include "exec.h"
#include "model.h"

/* ---- backing up ------------------------------------------------------------------------------ */

struct dk_dump; /* a reader of DK_PG or DK_MARIA: one blob */

int dk_dump_open(struct dk_source *s, struct bake_ctx *ctx, const struct dk_item *item,
                 struct dk_dump **ret);
int dk_dump_read(struct dk_dump *d, struct bake_out *out);
/* Exit status, standard error and the dump's end mark decide. facts: the item's, with
 * "server_version", "tool", "databases". */
int dk_dump_finish(struct dk_dump *d, struct bake_result *ret);
void dk_dump_close(struct dk_dump *d);

/* ---- restoring ------------------------------------------------------------------------------- */

/* Waits until the server takes connections over TCP with its password (not the temporary server of
 * an image that is still initialising), by asking it; at most timeout_ms. */
int dk_database_ready(struct dk_source *s, struct bake_ctx *ctx, const struct dk_container *c,
                      enum dk_kind kind, uint64_t timeout_ms);
/* The running server's version, "15.8"; the caller's. */
int dk_database_version(struct dk_source *s, struct bake_ctx *ctx, const struct dk_container *c,
                        enum dk_kind kind, char **ret);

struct dk_load; /* psql or mariadb, fed */
int dk_load_open(struct dk_source *s, struct bake_ctx *ctx, const struct dk_container *c,
                 enum dk_kind kind, struct dk_load **ret);
int dk_load_write(struct dk_load *l, const void *data, size_t n);
/* The end: did all statements run? PostgreSQL: the two errors that every pg_dumpall --clean has are
 * allowed, anything else is a failure that quotes the first one. */
int dk_load_finish(struct dk_load *l);
void dk_load_close(struct dk_load *l); /* without finish: the program is ended */

/* Where the server keeps its data: a directory in the container. */
const char *dk_database_dir(const struct dk_container *c, enum dk_kind kind);

#endif
