/* What the YAML says of a PostgreSQL server, and what all parts of the plugin share. */
#ifndef PG_OPTIONS_H
#define PG_OPTIONS_H

#include <bakengine/plugin.h>

#include <stdbool.h>

enum pg_mode { PG_LOGICAL = 0, PG_PHYSICAL = 1 };
enum pg_format { PG_PLAIN = 0, PG_CUSTOM = 1 };

struct pg_config { /* as the engine fills it */
    const char *host, *user, *password, *database, *service;
    const char *sslmode, *sslrootcert, *sslcert, *sslkey;
    int64_t port; /* 0: libpq's */
    const char *bin, *data_directory, *owner, *scratch, *slot;
    int mode, format, globals, fast_checkpoint;
    const char *const *databases, *const *exclude_databases;
    const char *const *schemas, *const *exclude_schemas;
    const char *const *tables, *const *exclude_tables, *const *exclude_table_data;
    const char *const *check;       /* "DATABASE: SELECT ..." */
    const char *const *tablespaces; /* "OLD=NEW" */
    uint64_t lock_timeout, timeout; /* ms */
};

struct pg_source { /* the instance: immutable once open, so that readers and writers may share it */
    struct bake_ctx *ctx; /* the instance's */
    const struct pg_config *cfg;
    struct pg_list *list;       /* plan's (catalog.h) */
    struct pg_restore *restore; /* what restore_begin() makes (restore.h), or NULL */
    const struct pg_back *back; /* of the restore that goes on (ops.h) */
    struct pg_way *way;         /* of a base backup's (base_way.h), or NULL */
};

#endif
