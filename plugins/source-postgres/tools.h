/* The server's own tools: which ones, and how they are told where to connect. */
#ifndef PG_TOOLS_H
#define PG_TOOLS_H

#include "conn.h"

#include "child/child.h"

/* The path of "pg_dump" for a server of this version: from the option `bin`; else the directory
 * /usr/lib/postgresql/<major>/bin of the smallest major that is not lower than the server's (a
 * lower pg_dump refuses); else PATH. version_num 0: any, the highest. Checks `--version`:
 * BAKE_E_NOTFOUND names the tool and what to install; a lower major is BAKE_E_UNSUPPORTED with a
 * HINT. *ret_path to be freed; *ret_version, if not NULL: "15.18", to be freed. */
int pg_tool(struct bake_ctx *ctx, const struct pg_config *cfg, const char *name, int version_num,
            char **ret_path, char **ret_version);

/* From what `--version` says: "15.18" and 15. False: it says something else. */
bool pg_tool_version(const char *said, char *ret, size_t cap, int *ret_major);

struct pg_call { /* a tool's arguments and environment while they are put together */
    const char **argv, **env;
    char **owned;
    size_t n_argv, n_env, n_owned;
    char *passfile; /* text of a pgpass file, or NULL: libpq's own ways */
    bool failed;    /* out of memory */
};

/* Host, port, user, database and TLS go by PG* variables (PGHOST ...), the password by PGPASSFILE
 * (a file in memory; '*' for host, port and database). place as for pg_conn_open(). With a database
 * the first argument is also `--dbname=...`, which all of the tools that connect know: only so is
 * any name taken as it is, and preferred to what a service's file says. NULL: no such argument. */
void pg_call_begin(struct pg_call *call, const struct pg_config *cfg, const struct pg_place *place,
                   const char *tool_path, const char *database);
void pg_call_arg(struct pg_call *call, const char *arg); /* copied */
BAKE_PRINTF(2, 3) void pg_call_argf(struct pg_call *call, const char *fmt, ...);
/* Fills spec from it; `call` must live until the child has started. */
int pg_call_spec(struct bake_ctx *ctx, struct pg_call *call, struct bkc_child_spec *spec);
void pg_call_release(struct pg_call *call);

/* "dbname='a=b' host='...'": everything but the password and the service. To be freed; NULL: out of
 * memory. */
char *pg_conninfo(const struct pg_config *cfg, const struct pg_place *place, const char *database);
/* The text of a pgpass file with one password for every server. To be wiped and freed. */
char *pg_passfile(const char *password);

#endif
