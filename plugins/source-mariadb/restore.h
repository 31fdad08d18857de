/* The way back, from restore_begin() to restore_end(): what its parts share. */
#ifndef MY_RESTORE_H
#define MY_RESTORE_H

#include "ops.h"
#include "restore_split.h"

#include <jansson.h>

struct my_server;
struct my_way;

#define MY_MARK "bakengine_mark" /* stands in the old database once the tables were exchanged */
#define MY_KEEP "bakengine_keep" /* what is needed to put the old database together again */

struct my_swap { /* a database that takes another's place */
    char *target, *fresh, *old;
    bool made; /* there was no target before */
};

struct my_rdb {             /* a database of the restore */
    char *component, *name; /* name: as it was called when it was dumped */
    struct my_swap swap;
    json_t *facts;
    uint64_t bytes;
    struct my_script extras, events; /* for when its tables are in place */
    bool loaded;
};

struct my_rusers { /* the statements of users.sql */
    char **lines;
    size_t n;
};

struct my_restore {
    struct bake_ctx *ctx; /* of the call that goes on */
    struct my_source *src;
    const struct my_config *cfg;
    bool drill, force, has_users;
    int64_t at_ns, began_ms;
    char **parts; /* NULL: all */
    char *tool;   /* mariadb */
    bool sandbox; /* it knows --sandbox */
    unsigned long version;
    struct my_rdb *dbs;
    size_t n;
    struct my_rusers users;
    json_t *accounts; /* those that this restore makes: statements that remove them */
    uint64_t duty;
    struct my_server *server; /* drill.h; where binlogs are applied, too */
    struct my_way *way;       /* of a physical backup */
    char *facts;              /* restore_end()'s */
};

void my_restore_free(struct my_restore *r);            /* NULL is fine */
void my_way_free(struct my_way *way);                  /* physical_restore.c */
BAKE_PRINTF(1, 2) char *my_text(const char *fmt, ...); /* to be freed; NULL: no memory */
int64_t my_now_ms(void);

/* ---- restore_calm.c: a context that is never cancelled, for what must be done to its end ---- */

struct my_calm {
    struct bake_ctx ctx; /* first */
    struct bake_ctx *to;
};
void my_calm(struct my_calm *c, struct bake_ctx *to);

struct my_hush {         /* likewise; failures go into its text */
    struct bake_ctx ctx; /* first */
    struct bake_ctx *to;
    char text[1000];
};
void my_hush(struct my_hush *h, struct bake_ctx *to);

/* ---- restore_check.c: may it be? ---- */

/* Fills r->dbs from what was chosen. */
int my_restore_choose(struct my_restore *r, const struct bake_restore *how,
                      const struct bake_component *const *chosen, size_t n);
/* Asks the server; changes nothing. */
int my_restore_check(struct my_restore *r);

/* ---- restore_load.c: statements into a server ---- */

struct my_load;
/* place NULL: as the options say. */
int my_load_start(struct my_restore *r, struct bake_ctx *ctx, const struct my_place *place,
                  const char *database, const struct my_rdb *db, struct my_load **ret);
int my_load_feed(struct my_load *l, const void *data, size_t n);
/* All went well, and the dump was whole. What was held back goes to db. */
int my_load_end(struct my_load *l, struct my_rdb *db);
void my_load_free(struct my_load *l); /* NULL is fine */
/* Runs a script in a database; `what` is for messages. */
int my_script_run(struct my_restore *r, const struct my_place *place, const char *database,
                  const struct my_script *script, const char *what);
/* Reads a database by mariadb-dump and gives it to each(). */
int my_redump(struct my_restore *r, const struct my_place *place, const char *database,
              const char *const *arguments, int (*each)(void *arg, const void *data, size_t n),
              void *arg);
/* Rows of every table, exactly, compared with what was recorded (or `counts`, of another server).
 * Adds to *tables and *rows. */
int my_count(struct my_restore *r, struct my_conn *c, const char *database, const struct my_rdb *db,
             const json_t *counts, uint64_t *tables, uint64_t *rows);
/* {"table": rows} */
int my_counts_of(struct my_conn *c, const char *database, json_t **ret);

/* ---- restore_names.c: what there is in a database ---- */

/* Tables and sequences; an array of strings. */
int my_tables_of(struct my_conn *c, const char *database, json_t **ret);
/* Drops events, triggers, views and routines; of `tables` (a JSON array), if not NULL, only their
 * triggers. */
int my_drop_extras(struct my_conn *c, const char *database, const json_t *tables);
int my_has_database(struct my_conn *c, const char *database, bool *ret);
int my_has_table(struct my_conn *c, const char *database, const char *table, bool *ret);
bool my_in_list(const json_t *list, const char *text);
/* Is the table chosen by how->parts? */
bool my_part_wanted(char *const *parts, const char *database, const char *table);

/* ---- restore_keys.c ---- */

/* Foreign keys of the new databases that name tables elsewhere name what will be in their place. */
int my_keys_point(struct my_restore *r, struct my_conn *c);

/* ---- restore_users.c ---- */

/* From the text of users.sql. */
int my_users_take(struct my_restore *r, struct bake_ctx *ctx, const char *text, size_t n);
/* Accounts that are not there; promised first. */
int my_users_make(struct my_restore *r, struct my_conn *c);
/* What they may do; with force, existing accounts become as recorded. */
int my_users_grant_all(struct my_restore *r, struct my_conn *c);
void my_users_release(struct my_restore *r);

/* ---- restore_switch.c ---- */

enum my_phase { MY_STAGING = 0, MY_SWITCHING = 1, MY_DONE = 2 };

int my_oblige(struct my_restore *r, struct bake_ctx *ctx, enum my_phase phase);
int my_fresh_make(struct my_restore *r, struct my_conn *c, const struct my_rdb *db);
/* All of it; on failure everything is as it was. */
int my_switch(struct my_restore *r, struct bake_ctx *ctx);
/* Nothing was switched yet: removes what was made. */
int my_unstage(struct my_restore *r, struct bake_ctx *ctx);
int my_switch_redeem(struct bake_ctx *ctx, const struct my_config *cfg, const char *what,
                     bool *ret_mine);

#endif
