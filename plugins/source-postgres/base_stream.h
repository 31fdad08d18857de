/* BASE_BACKUP on a replication connection: the server's own protocol for a copy of all of its
 * files (PostgreSQL's documentation, "Streaming Replication Protocol"; from version 15 on, all
 * archives come in one COPY). */
#ifndef PG_BASE_STREAM_H
#define PG_BASE_STREAM_H

#include "conn.h"

struct pg_tablespace {
    char *oid;  /* digits */
    char *path; /* absolute; or relative to the data: it lies within */
};

struct pg_base_info { /* what the server said of itself and of the backup */
    char *system_id, *start_lsn, *end_lsn;
    uint32_t timeline, end_timeline;
    uint64_t segment_size;
    int version;
    struct pg_tablespace *tablespaces;
    size_t n_tablespaces;
    uint64_t bytes; /* an estimate, by the server */
    void *settings; /* json_t: name -> text, those that we may see */
};

enum pg_piece {
    PG_PIECE_ARCHIVE = 1, /* a new archive: data is its tablespace's oid, NUL-ended; "" the base */
    PG_PIECE_MANIFEST = 2,
    PG_PIECE_DATA = 3
};

struct pg_stream;

/* Connects and starts the backup; returns once the server has begun to send. ctx must outlive it.
 */
int pg_stream_open(struct bake_ctx *ctx, const struct pg_config *cfg, struct pg_stream **ret);
/* Closes the connection, whatever the server is at. NULL is fine. */
void pg_stream_free(struct pg_stream *s);
/* OK | END: the server has said that all is sent. What *ret_data points at lives until the next
 * call. */
int pg_stream_next(struct pg_stream *s, enum pg_piece *ret_piece, const char **ret_data,
                   size_t *ret_n);
/* end_lsn and end_timeline only after END. */
const struct pg_base_info *pg_stream_info(const struct pg_stream *s);

/* The name of the log segment that holds a position: "00000001/000000010000000000000005". OK, or
 * BAKE_E_CORRUPT when lsn is none. */
#define PG_SEGMENT_NAME 40
int pg_segment_of(const char *lsn, uint32_t timeline, uint64_t segment_size,
                  char ret[PG_SEGMENT_NAME]);

#endif
