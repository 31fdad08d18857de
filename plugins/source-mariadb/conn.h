/* Connections to the server, for questions (libmariadb). A connection is for one thread; a
 * cancelled context breaks off what it waits for. */
#ifndef MY_CONN_H
#define MY_CONN_H

#include "options.h"

#include <mysql.h>

struct my_conn {
    MYSQL *my;
    struct bake_ctx *ctx;
    unsigned long version; /* mysql_get_server_version: 101106 */
    bool mariadb;          /* else MySQL, which is refused */
    uint64_t silence;      /* ms that the server may be silent */
    int broken;            /* BAKE_E_CANCELLED, BAKE_E_TIMEOUT: broken off */
};

struct my_place { /* where to connect instead of where the options say: a throw-away server */
    const char *socket, *user, *password;
};

/* database may be NULL. place NULL: as the options say. utf8mb4. BAKE_E_AUTH: refused; NOTFOUND: no
 * such database; UNAVAILABLE: no server; each with a HINT. The user's own option files count
 * ([client]), ours go before them. */
int my_conn_open(struct bake_ctx *ctx, const struct my_config *cfg, const struct my_place *place,
                 const char *database, struct my_conn *ret);
void my_conn_close(struct my_conn *c);

/* OK: *ret is to be mysql_free_result()ed (NULL when the statement has no result); else the failure
 * is said: "<what>: <server's message>". ret NULL: a result is thrown away. */
int my_query(struct my_conn *c, MYSQL_RES **ret, const char *what, const char *sql);
BAKE_PRINTF(4, 5)
int my_queryf(struct my_conn *c, MYSQL_RES **ret, const char *what, const char *fmt, ...);
/* The same without saying a failure: for what may well be refused, and for other threads than the
 * one that the plugin was called on. */
int my_try(struct my_conn *c, MYSQL_RES **ret, const char *sql);
/* The first column of the first row, "" when there is none; to be freed. */
int my_value(struct my_conn *c, char **ret, const char *what, const char *sql);
char *my_quoted(const char *name);                     /* `a``b`; to be freed */
char *my_literal(struct my_conn *c, const char *text); /* 'it''s'; to be freed */
/* The server's clock as RFC 3339. */
#define MY_NOW_SQL "SELECT DATE_FORMAT(UTC_TIMESTAMP(6), '%Y-%m-%dT%H:%i:%s.%fZ')"
int my_rc_of_errno(unsigned error);

#endif
