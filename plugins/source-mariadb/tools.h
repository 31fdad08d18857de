/* The server's own tools: which ones, and how they are told where to connect. */
#ifndef MY_TOOLS_H
#define MY_TOOLS_H

#include "conn.h"

#include "child/child.h"

/* The path of "mariadb-dump" (older names, as mysqldump, count where they are MariaDB's): from the
 * option `bin`, else PATH and /usr/sbin. BAKE_E_NOTFOUND names the tool and what to install; a
 * major below the server's is BAKE_E_UNSUPPORTED with a HINT. version 0: any. ret_version may be
 * NULL;
 * "" where the tool does not say it. */
int my_tool(struct bake_ctx *ctx, const struct my_config *cfg, const char *name,
            unsigned long version, char **ret_path, char **ret_version);

struct my_call { /* a tool's arguments while they are put together */
    const char *argv[256];
    char *owned[256];
    size_t n_argv, n_owned;
    char *options; /* text of an option file: host, port, socket, user, password, TLS */
    bool failed;
};

/* All that says where to connect goes into the option file (a file in memory), which the tool reads
 * instead of the user's: what those say in [client] is in it. */
void my_call_begin(struct my_call *call, const struct my_config *cfg, const struct my_place *place,
                   const char *tool_path);
void my_call_arg(struct my_call *call, const char *arg); /* copied */
BAKE_PRINTF(2, 3) void my_call_argf(struct my_call *call, const char *fmt, ...);
int my_call_spec(struct bake_ctx *ctx, struct my_call *call, struct bkc_child_spec *spec);
/* One more line of the option file, as "ignore-table": for what may be too many arguments. */
void my_call_option(struct my_call *call, const char *key, const char *value);
void my_call_release(struct my_call *call);

#endif
