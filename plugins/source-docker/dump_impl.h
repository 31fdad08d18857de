/* Inside dump*.c and load*.c: a database server in a container, as it was found. */
#ifndef DOCKER_DUMP_IMPL_H
#define DOCKER_DUMP_IMPL_H

#include "dump.h"

#define DK_DUMP_TAIL 1024 /* of a dump, its end mark is in there */

/* Which variables of the container's environment say who to be; the names, not the values, which
 * are read in the container. */
struct dk_login {
    const char *user;     /* NULL: root, or postgres */
    const char *password; /* NULL: there is none */
    bool own_only;        /* MariaDB: no root; the user's databases only */
    const char *why;      /* what to say when the server refuses */
};

struct dk_server {
    enum dk_kind kind;
    struct dk_login login;
    bool tcp; /* reached over TCP, else by its socket */
    char *version, *tool;
    char *user;        /* as the server calls us */
    json_t *databases; /* names */
};
void dk_server_release(struct dk_server *sv);

/* BAKE_END: not ready yet, which is said too. */
int dk_server_ask(struct dk_source *s, struct bake_ctx *ctx, const struct dk_container *c,
                  enum dk_kind kind, struct dk_server *ret);
/* Until it is ready. */
int dk_server_wait(struct dk_source *s, struct bake_ctx *ctx, const struct dk_container *c,
                   enum dk_kind kind, uint64_t timeout_ms, struct dk_server *ret);

/* ---- parts, apart for tests ------------------------------------------------------------------ */

struct dk_login dk_login_of(const struct dk_container *c, enum dk_kind kind);
/* What the script that asks said. */
int dk_server_parse(struct bake_ctx *ctx, const char *container, char *said, struct dk_server *ret);
/* Has a dump this end? */
bool dk_dump_complete(enum dk_kind kind, const char *tail, size_t n);
/* The line of a program's errors that says most: the first with "error" in it, else the first; into
 * out, "" when there is none. */
void dk_first_error(const char *errors, char *out, size_t cap);

enum dk_line { DK_LINE_FINE, DK_LINE_EXPECTED, DK_LINE_BAD };
/* A line of psql's errors: the two that the dump of a cluster always has are expected. */
enum dk_line dk_psql_line(const char *line, const char *user);

/* ---- scripts, run by sh -c ------------------------------------------------------------------- */

/* Arguments: what is in the login, else "". They set u and the password's variable. */
extern const char dk_pg_login[], dk_maria_login[];
/* login script + rest; the caller's; NULL: out of memory. */
char *dk_script(enum dk_kind kind, const char *rest);

#endif
