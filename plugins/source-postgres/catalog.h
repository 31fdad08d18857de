/* Which databases there are, what is known of them, and the components made of that. */
#ifndef PG_CATALOG_H
#define PG_CATALOG_H

#include "conn.h"

struct pg_database {
    char *name;      /* as the server has it */
    char *component; /* "shop.sql": its name made safe */
    char *owner, *encoding, *collate, *ctype;
    char *fingerprint; /* NULL: not to be relied on */
    char *facts;       /* JSON, for the plan */
    char *oid;
    uint64_t bytes;
    bool exists, allows; /* named in the options, but not there; allows no connections */
};

struct pg_list {
    struct pg_database *items;
    size_t n, next; /* next: of plan() */
    bool ended;     /* plan() has said all */
    char *globals_facts, *base_facts;
    char *server_version, *system_id;
    char *superuser, *preload; /* the first role; shared_preload_libraries, "" if not known */
    int version_num;
    bool replica;
};

int pg_list_make(struct bake_ctx *ctx, const struct pg_config *cfg, struct pg_list **ret);
void pg_list_free(struct pg_list *l);
/* By the component's name. NULL: none. */
const struct pg_database *pg_list_find(const struct pg_list *l, const char *component);

/* Bytes outside of [A-Za-z0-9_.-], and a '.' in front, as %XX; and back (NULL: not so made, or out
 * of memory). To be freed. */
char *pg_safe_name(const char *database);
char *pg_true_name(const char *component); /* without its .sql or .dump */

/* Globs of databases: '*' matches any character, '/' too. */
bool pg_glob(const char *glob, const char *database);
bool pg_glob_any(const char *const *globs, const char *database);
/* Does one of them, without any special character, name this one? */
bool pg_glob_names(const char *const *globs, const char *database);

#endif
