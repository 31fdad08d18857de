/* What the YAML says of a MariaDB server, and what all parts of the plugin share. */
#ifndef MY_OPTIONS_H
#define MY_OPTIONS_H

#include <bakengine/plugin.h>

#include <stdbool.h>

enum my_mode { MY_LOGICAL = 0, MY_PHYSICAL = 1 };
enum my_tls { MY_TLS_PREFERRED = 0, MY_TLS_REQUIRED = 1, MY_TLS_VERIFY = 2, MY_TLS_OFF = 3 };
enum my_binlogs { MY_BINLOGS_AUTO = 0, MY_BINLOGS_TRUE = 1, MY_BINLOGS_FALSE = 2 };

struct my_config { /* as the engine fills it */
    const char *host, *socket, *user, *password;
    int64_t port; /* 0: the library's */
    int tls;
    const char *ca, *cert, *key;
    const char *bin, *data_directory, *owner, *scratch;
    int mode, users, routines, events, triggers, binlogs;
    const char *const *databases, *const *exclude_databases, *const *exclude_tables;
    const char *const *check;       /* "DATABASE: SELECT ..." */
    uint64_t lock_timeout, timeout; /* ms */
};

int my_nomem(struct bake_ctx *ctx); /* fails: BAKE_E_NOMEM */

struct my_back;
struct my_source { /* the instance: immutable once open, so that readers and writers may share it */
    struct bake_ctx *ctx;
    const struct my_config *cfg;
    struct my_list *list;       /* plan's (catalog.h) */
    struct my_restore *restore; /* what restore_begin() makes (restore.h), or NULL */
    struct my_calls *calls;     /* what interrupt() has to wake (calls.h) */
    const struct my_back *back; /* the way back of the restore that has begun (ops.h) */
};

#endif
