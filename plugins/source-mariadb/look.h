/* What a database holds by the server's own word, before and after a dump: what both times was
 * there must be in it. */
#ifndef MY_LOOK_H
#define MY_LOOK_H

#include "conn.h"
#include "scan.h"

#include <jansson.h>

struct my_look {
    uint64_t routines, events, triggers, views;
    json_t *tables;    /* names that a dump has to hold */
    json_t *ignored;   /* "database.table": left out by exclude_tables */
    json_t *engines;   /* name: how many tables */
    json_t *unsafe;    /* tables that are not transactional */
    json_t *remote;    /* tables whose rows stand elsewhere: they are not dumped */
    json_t *versioned; /* tables with a history */
    json_t *definers;  /* "user@host" */
};

int my_look_make(struct my_conn *c, const struct my_config *cfg, const char *database,
                 struct my_look *ret);
void my_look_release(struct my_look *l);
/* BAKE_E_CORRUPT: the dump lacks what was there before as well as after it. */
int my_look_compare(struct bake_ctx *ctx, const char *database, const struct my_look *before,
                    const struct my_look *after, const struct my_scan *dump);

#endif
