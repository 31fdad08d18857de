/* The store's binary logs that lead from a backup to a moment. */
#ifndef MY_AT_LOGS_H
#define MY_AT_LOGS_H

#include "restore.h"

#include "scratch/scratch.h"

struct my_chain {
    struct bkc_scratch *room;
    char **paths;
    size_t n;
};

/* Those from `from` on, up to the one that holds the moment, as files. BAKE_E_NOTFOUND: one is
 * missing, or they end before the moment; which is said. */
int my_chain_fetch(struct my_restore *r, const char *stream, const char *from,
                   struct my_chain *ret);
int my_chain_release(struct my_chain *c, struct bake_ctx *ctx);

/* Statements of a log that name the database but were run from another one, or from none: the tool
 * takes them for that one's. From `start` on (0: all) and before `at`; *where: of the first. */
int my_binlog_strays(struct bake_ctx *ctx, const char *path, const char *database, uint64_t start,
                     int64_t at, uint64_t *ret, uint64_t *where);

/* When its first and its last event were written, by the seconds in the events' heads; 0: unknown.
 * Pure but for reading. */
int my_binlog_times(struct bake_ctx *ctx, const char *path, int64_t *first, int64_t *last);

#endif
