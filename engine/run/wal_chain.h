/* Which logs the backups of a store need, and which of them are not there. No I/O. */
#ifndef BK_WAL_CHAIN_H
#define BK_WAL_CHAIN_H

#include "store/catalog.h"
#include "store/wal.h"

struct bk_wal_base { /* what one component of a backup needs; strings are the catalog's */
    const struct bk_backup *backup;
    struct bk_wal_need need;
};
struct bk_wal_bases {
    struct bk_wal_base *items; /* as in the catalog: oldest backup first */
    size_t n, cap;
};
/* Of every backup whose manifest can be read, but for those whose ids are in `without` (or NULL).
 * The catalog must outlive them. */
int bk_wal_bases_make(const struct bk_catalog *c, const struct bk_strv *without,
                      struct bk_wal_bases *ret, struct bk_err *err);
void bk_wal_bases_release(struct bk_wal_bases *b);
bool bk_wal_bases_name(const struct bk_wal_bases *b, const char *stream);

/* Was `log` written before `from`, for sure? PostgreSQL's by their positions, whatever timeline
 * they are of; its histories never. Others by the number at their end, where what stands before it
 * is the same. */
bool bk_wal_is_older(const char *log, const char *from);

struct bk_wal_gap {
    char first[BK_WAL_NAME_CAP]; /* the first log that is missing */
    uint64_t n;                  /* so many in a row */
    int64_t after_ns, until_ns;  /* these times cannot be reached; until 0: nor any later one */
};

struct bk_wal_parent { /* what a timeline's history says */
    uint32_t timeline, parent;
    uint64_t position; /* where it left its parent, in bytes */
};

/* Each gap from the oldest base on, oldest first, of one stream. logs: bk_wal_list's of that stream
 * alone, sorted; bases: of any, those of other streams are passed over. each() returns negative to
 * stop. Timelines that no history connects with a base are not looked at. */
struct bk_wal_stream {
    const char *stream;
    const struct bk_wal_log *logs;
    size_t n_logs;
    const struct bk_wal_bases *bases;
    const struct bk_wal_parent *parents;
    size_t n_parents;
};
int bk_wal_gaps(const struct bk_wal_stream *w,
                int (*each)(void *arg, const struct bk_wal_gap *gap, struct bk_err *err), void *arg,
                struct bk_err *err);

#endif
