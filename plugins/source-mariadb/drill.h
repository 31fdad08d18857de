/* Servers that are thrown away: for drills, and for applying binary logs. */
#ifndef MY_DRILL_H
#define MY_DRILL_H

#include "restore.h"

#include "scratch/scratch.h"

struct my_server {
    struct bkc_scratch *room;
    struct my_place place;
    char *mariadbd, *version, *data, *socket, *user, *password;
    bool started;
};

/* A directory and the programs; nothing runs yet. `series`: the version that it must be of
 * ("10.11.19-MariaDB"), exactly or (`newer`) at least. */
int my_server_new(struct my_restore *r, const char *what, const char *series, bool newer,
                  uint64_t needs, struct my_server **ret);
/* An empty one in its own directory. */
int my_server_install(struct my_restore *r, struct my_server *s);
/* On `data`, or NULL: what was installed. */
int my_server_start(struct my_restore *r, struct my_server *s, const char *data);
/* Ends it as one should; its own account is gone then. */
int my_server_stop(struct my_restore *r, struct my_server *s);
/* Ends it at once, removes its directory. NULL is fine. */
int my_server_end(struct my_server *s, struct bake_ctx *ctx);

/* The statements of `check`; into a JSON array. */
int my_checks_run(struct my_restore *r, const struct my_place *place, json_t *list);
/* All databases of a logical drill: views and more, accounts, counts, checks. */
int my_drill_end(struct my_restore *r);
/* Everything in a physical one. */
int my_base_drill(struct my_restore *r, const char *data);
/* Tables, rows, checks and what else there is to say, as text. */
int my_drill_facts(struct my_restore *r, uint64_t tables, uint64_t rows, json_t *checks);

/* ---- at.c ---- */

/* Applies the store's binary logs from where `facts` says up to r->at_ns. database NULL: all. */
int my_at_apply(struct my_restore *r, const json_t *facts, const char *database);
/* Logical: the databases in r->server are brought to that moment, and from there into the target.
 */
int my_at_end(struct my_restore *r);

#endif
