/* Which databases there are, what is known of them, and the components made of that. */
#ifndef MY_CATALOG_H
#define MY_CATALOG_H

#include "conn.h"

struct my_database {
    char *name, *component; /* as the server has it; "shop.sql": made safe */
    char *charset, *collation;
    char *facts; /* JSON, for the plan */
    uint64_t bytes;
};

struct my_list {
    struct my_database *items;
    size_t n, next; /* next: of plan() */
    char *users_facts, *base_facts;
    uint64_t base_bytes;
    char *binlog; /* that is written to while we plan: no dump of this run begins before it */
    char *server_version, *stream; /* stream: of its binlogs in the store */
    unsigned long version;         /* of the server, as libmariadb has it: 101119 */
    bool binlogs;                  /* they are on, and wanted */
};

int my_list_make(struct bake_ctx *ctx, const struct my_config *cfg, struct my_list **ret);
void my_list_free(struct my_list *l);
const struct my_database *my_list_find(const struct my_list *l, const char *component);

/* Is the table left out by exclude_tables? */
bool my_excluded(const struct my_config *cfg, const char *database, const char *table);

/* Bytes outside of [A-Za-z0-9_.-], and a '.' in front, as %XX; "users" as "%75sers"
 * (users.sql is another component); more than 200 bytes end in "%-" and a hash. To be freed. */
char *my_safe_name(const char *database);
char *my_true_name(
    const char *component); /* without its .sql; NULL: it was shortened, or no memory */

#endif
