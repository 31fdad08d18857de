/* The PostgreSQL source: dumps of databases, and base backups with their WAL. */
#include "ops.h"

#define LIST(member)   BAKE_MEMBER(struct pg_config, member, const char *const *)
#define TEXT(member)   BAKE_MEMBER(struct pg_config, member, const char *)
#define NUMBER(member) BAKE_MEMBER(struct pg_config, member, int)
#define TIME(member)   BAKE_MEMBER(struct pg_config, member, uint64_t)

#define SECOND 1000
#define DAY    (24 * 3600 * (int64_t)SECOND)

static const char *const modes[] = {"logical", "physical", NULL};
static const char *const formats[] = {"plain", "custom", NULL};

static const struct bake_option options[] = {
    {"host", BAKE_T_STRING, 0, TEXT(host), NULL, 0, 0, NULL,
     "the server's name or address, or the directory of its socket; by default as libpq has it "
     "(PGHOST, else the socket of this machine)"},
    {"port", BAKE_T_INT, BAKE_OPT_HAS_RANGE, BAKE_MEMBER(struct pg_config, port, int64_t), NULL, 1,
     65535, NULL, "its port; by default as libpq has it (PGPORT, else 5432)"},
    {"user", BAKE_T_STRING, 0, TEXT(user), NULL, 0, 0, NULL,
     "who to log in as; by default as libpq has it (PGUSER, else the name of this user)"},
    {"password", BAKE_T_SECRET, 0, TEXT(password), NULL, 0, 0, NULL,
     "the password; without one, .pgpass and the other ways of libpq count"},
    {"database", BAKE_T_STRING, 0, TEXT(database), "postgres", 0, 0, NULL,
     "the database that questions about the whole server are asked in"},
    {"service", BAKE_T_STRING, 0, TEXT(service), NULL, 0, 0, NULL,
     "a service of pg_service.conf instead of host, port, user and TLS"},
    {"sslmode", BAKE_T_STRING, 0, TEXT(sslmode), NULL, 0, 0, NULL,
     "TLS: disable, allow, prefer, require, verify-ca or verify-full, as libpq has them"},
    {"sslrootcert", BAKE_T_PATH, 0, TEXT(sslrootcert), NULL, 0, 0, NULL,
     "TLS: PEM file of the authority that signed the server's certificate"},
    {"sslcert", BAKE_T_PATH, 0, TEXT(sslcert), NULL, 0, 0, NULL,
     "TLS: PEM file of our own certificate"},
    {"sslkey", BAKE_T_PATH, 0, TEXT(sslkey), NULL, 0, 0, NULL,
     "TLS: PEM file of the key of `sslcert`"},
    {"bin", BAKE_T_PATH, 0, TEXT(bin), NULL, 0, 0, NULL,
     "directory of PostgreSQL's tools; by default the one that fits the server's version"},
    {"mode", BAKE_T_ENUM, 0, NUMBER(mode), "logical", 0, 0, modes,
     "logical: a dump of each database; physical: one base backup of the whole server"},
    {"databases", BAKE_T_STRLIST, 0, LIST(databases), NULL, 0, 0, NULL,
     "globs of the databases to dump; by default all that allow connections but the templates"},
    {"exclude_databases", BAKE_T_STRLIST, 0, LIST(exclude_databases), NULL, 0, 0, NULL,
     "globs of databases to leave out"},
    {"format", BAKE_T_ENUM, 0, NUMBER(format), "plain", 0, 0, formats,
     "of dumps: plain SQL for psql, or pg_dump's own for pg_restore, not compressed by it"},
    {"globals", BAKE_T_BOOL, 0, NUMBER(globals), "true", 0, 0, NULL,
     "dump roles and tablespaces as well, as globals.sql"},
    {"schemas", BAKE_T_STRLIST, 0, LIST(schemas), NULL, 0, 0, NULL,
     "patterns of pg_dump of the schemas to dump; by default all"},
    {"exclude_schemas", BAKE_T_STRLIST, 0, LIST(exclude_schemas), NULL, 0, 0, NULL,
     "patterns of pg_dump of schemas to leave out"},
    {"tables", BAKE_T_STRLIST, 0, LIST(tables), NULL, 0, 0, NULL,
     "patterns of pg_dump of the tables to dump; by default all"},
    {"exclude_tables", BAKE_T_STRLIST, 0, LIST(exclude_tables), NULL, 0, 0, NULL,
     "patterns of pg_dump of tables to leave out"},
    {"exclude_table_data", BAKE_T_STRLIST, 0, LIST(exclude_table_data), NULL, 0, 0, NULL,
     "patterns of pg_dump of tables that are dumped without their rows"},
    {"lock_timeout", BAKE_T_DURATION, BAKE_OPT_HAS_RANGE, TIME(lock_timeout), "30s", 0, DAY, NULL,
     "how long to wait for a lock that somebody else holds on a table; 0: for ever"},
    {"timeout", BAKE_T_DURATION, BAKE_OPT_HAS_RANGE, TIME(timeout), "30m", 0, DAY, NULL,
     "how long the server may be silent; 0: for ever"},
    {"fast_checkpoint", BAKE_T_BOOL, 0, NUMBER(fast_checkpoint), "true", 0, 0, NULL,
     "physical: begin at once with a checkpoint, instead of waiting for one that is spread out"},
    {"slot", BAKE_T_STRING, 0, TEXT(slot), NULL, 0, 0, NULL,
     "physical: the replication slot that wal-receive holds WAL back with"},
    {"check", BAKE_T_STRLIST, 0, LIST(check), NULL, 0, 0, NULL,
     "\"DATABASE: SELECT ...\" that a drill runs: the first value must not be false, 0 or NULL"},
    {"data_directory", BAKE_T_PATH, 0, TEXT(data_directory), NULL, 0, 0, NULL,
     "where a physical backup is restored to: the server's data directory"},
    {"tablespaces", BAKE_T_STRLIST, 0, LIST(tablespaces), NULL, 0, 0, NULL,
     "\"/OLD=/NEW\": where a physical restore puts the tablespace that was in /OLD"},
    {"owner", BAKE_T_STRING, 0, TEXT(owner), "postgres", 0, 0, NULL,
     "the user that restored and throw-away servers belong to, when this runs as root"},
    {"scratch", BAKE_T_PATH, 0, TEXT(scratch), NULL, 0, 0, NULL,
     "directory for the throw-away servers of drills; by default $TMPDIR, else /var/tmp"},
    {0},
};

static const struct bake_plugin plugin = {
    BAKE_PLUGIN_HEAD,         .name = "postgres",
    .version = "1.0",         .summary = "PostgreSQL: dumps of databases, base backups, WAL",
    .options = options,       .config_size = sizeof(struct pg_config),
    .validate = pg_validate,  .probe = pg_probe,
    .source = &pg_source_ops,
};

BAKE_PLUGIN(plugin)
