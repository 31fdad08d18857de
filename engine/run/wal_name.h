/* What PostgreSQL's logs are called and say of themselves. Names and layouts are those of its
 * src/include/access/xlog_internal.h (XLogFileName and its like, XLogLongPageHeaderData) and
 * src/include/catalog/pg_control.h. */
#ifndef BK_WAL_NAME_H
#define BK_WAL_NAME_H

#include "base/err.h"

#include <stdbool.h>

#define BK_PG_SEGMENT_SIZE (UINT64_C(16) << 20) /* unless the server was made with another */

enum bk_pg_kind {
    BK_PG_SEGMENT, /* 000000010000000000000005: timeline, log, segment; 8 hex digits each */
    BK_PG_PARTIAL, /* the same with .partial: where a timeline ended */
    BK_PG_LABEL,   /* ....00000028.backup: where a base backup began */
    BK_PG_HISTORY  /* 00000002.history: where a timeline came from */
};

struct bk_pg_name {
    enum bk_pg_kind kind;
    uint32_t timeline;
    uint32_t log, segment; /* not of a history */
};

/* False: this is not such a name. */
bool bk_pg_name_parse(const char *name, struct bk_pg_name *ret);
/* The same of "<timeline>/<name>", as they are called in the archive. */
bool bk_pg_archived_parse(const char *name, struct bk_pg_name *ret);
#define BK_PG_NAME_CAP 64
/* From "000000010000000000000005" to "00000001/000000010000000000000005". */
void bk_pg_archived_name(const struct bk_pg_name *n, const char *name, char ret[BK_PG_NAME_CAP]);

/* The segments of all logs in one row; false: there is no such segment with that size. */
bool bk_pg_number(const struct bk_pg_name *n, uint64_t segment_size, uint64_t *ret);
void bk_pg_segment_name(uint32_t timeline, uint64_t number, uint64_t segment_size,
                        char ret[BK_PG_NAME_CAP]);
bool bk_pg_segment_size_ok(uint64_t size);

/* Is the file the log that its name says? Segments tell by their first page's header, whose
 * cluster goes to *ret_system; of others it is left 0. */
int bk_pg_check(const char *path, const struct bk_pg_name *n, uint64_t *ret_system,
                struct bk_err *err);
/* The cluster's identifier, from global/pg_control beside the folder that a log stands in, or
 * below the working directory. */
int bk_pg_system(const char *path, uint64_t *ret, struct bk_err *err);

/* Of a timeline's history file: the timeline it comes from, and where (a position in bytes).
 * False: there is none, or the text is not one. */
bool bk_pg_parent(const char *text, uint32_t *ret_timeline, uint64_t *ret_position);

#endif
