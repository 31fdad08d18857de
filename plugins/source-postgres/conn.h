/* Connections to the server, for questions (libpq). A connection is for one thread; a cancelled
 * context breaks off what it waits for. */
#ifndef PG_CONN_H
#define PG_CONN_H

#include "options.h"

#include <libpq-fe.h>

struct pg_conn {
    PGconn *pg;
    struct bake_ctx *ctx;
    int version;      /* PQserverVersion: 150018 */
    uint64_t timeout; /* ms that an answer may take; 0: for ever */
};

/* Where to connect instead of where the options say: a throw-away server. */
struct pg_place {
    const char *host; /* directory of the socket */
    int port;
    const char *user;
};

/* database NULL: the maintenance database. place NULL: as the options say. The password goes
 * through PQconnectdbParams, never through a string that is logged. Sets application_name
 * 'bakengine', lock_timeout, statement_timeout 0, client_encoding UTF8, search_path empty.
 * BAKE_E_AUTH: refused (28xxx); NOTFOUND: no such database (3D000); UNAVAILABLE: no server,
 * starting up; each with a HINT. */
int pg_conn_open(struct bake_ctx *ctx, const struct pg_config *cfg, const struct pg_place *place,
                 const char *database, struct pg_conn *ret);
/* replication=true, for physical work; a logical_database NULL. */
int pg_conn_open_replication(struct bake_ctx *ctx, const struct pg_config *cfg,
                             struct pg_conn *ret);
void pg_conn_close(struct pg_conn *c);
/* Does a throw-away server take connections? Blocks for at most a few seconds. */
bool pg_conn_answers(const struct pg_config *cfg, const struct pg_place *place,
                     const char *database);

/* Waits for the result by poll() with the context's cancel_fd; cancels the query when cancelled.
 * params: NULL-able texts; with n 0 several statements are fine, and the last one's result is what
 * is returned, as is one that begins a COPY. OK: *ret is to be PQclear()ed; else it is NULL and the
 * failure is said:
 * "<what>: <server's message>" plus its DETAIL and HINT. */
int pg_query(struct pg_conn *c, PGresult **ret, const char *what, const char *sql, int n,
             const char *const *params);
int pg_exec(struct pg_conn *c, const char *what, const char *sql); /* without a result */
/* The first column of the first row; *ret "" when there is no row. To be freed. */
int pg_value(struct pg_conn *c, char **ret, const char *what, const char *sql, int n,
             const char *const *params);
/* "name" quoted as an identifier; to be freed; NULL: out of memory. */
char *pg_quoted(struct pg_conn *c, const char *name);
/* The failure of the last call on c, as a BAKE_E_* by its SQLSTATE. */
int pg_rc_of_state(const char *sqlstate);

#endif
