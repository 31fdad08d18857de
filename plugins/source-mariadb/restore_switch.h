/* Inside the exchange of databases. */
#ifndef MY_RESTORE_SWITCH_H
#define MY_RESTORE_SWITCH_H

#include "restore.h"

/* The comment of a database that is not finished; that of a new target says of which restore. */
#define MY_OURS "bakengine: made by a restore"
char *my_ours(const struct my_swap *s); /* to be freed; NULL: no memory */

struct my_sql { /* a statement that grows */
    char *text;
    size_t n, cap;
    bool failed;
};
BAKE_PRINTF(2, 3) void my_sql(struct my_sql *s, const char *fmt, ...);

/* ---- restore_keep.c ---- */

/* ", `from`.`table` TO `to`.`table`" */
void my_add_move(struct my_sql *s, const char *from, const char *to, const char *table);
/* A statement about one database, its name between `before` and `after`. */
int my_about(struct my_conn *c, const char *what, const char *database, const char *before,
             const char *after);
char *my_charset_of(const json_t *facts); /* to be freed; NULL: no memory */
int my_make_database(struct my_conn *c, const char *name, const json_t *facts, const char *why);
int my_drop_database(struct my_conn *c, const char *name); /* only what is named as ours */
json_t *my_without_marks(json_t *names);
/* Makes the database for the old tables, with all in it that the way back needs. */
int my_keep(struct my_restore *r, struct my_conn *c, const struct my_rdb *db);
int my_keep_value(struct my_conn *c, const char *old, const char *what, const char *data, size_t n);
/* *ret: NULL when it was not kept; else to be freed, NUL behind it. */
int my_kept(struct my_conn *c, const char *old, const char *what, char **ret, size_t *n);

/* ---- restore_rights.c ---- */

/* Rights on the target's single routines, which end with them. */
int my_rights_keep(struct my_conn *c, const struct my_swap *s);
/* To those routines of the target that are there. */
int my_rights_give(struct my_conn *c, const struct my_swap *s);

/* ---- restore_back.c ---- */

/* Up to that phase it got: all is as it was, or (MY_DONE) as it is to be; nothing of ours stays. */
int my_swap_back(struct my_restore *r, struct my_conn *c, enum my_phase phase);
/* Until the connection ends, on the server. */
int my_swap_lock(struct my_restore *r, struct my_conn *c);

#endif
