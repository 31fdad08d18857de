/* The way back of a base backup, from restore_begin() to restore_end(): what its parts share. */
#ifndef PG_BASE_WAY_H
#define PG_BASE_WAY_H

#include "base_facts.h"
#include "base_manifest.h"
#include "ops.h"

#include "scratch/scratch.h"

struct bkc_extract;

/* A directory that is made beside its place and takes that place at the end. */
struct pg_stage {
    char *stage, *aside;    /* new; where what it replaces is kept meanwhile */
    char *target;           /* its place; of a tablespace known once its first entry has come */
    char *root, *oid;       /* of a tablespace: its location, its number; else NULL */
    bool made_root;         /* the location was made by us */
    bool full;              /* there was something, which may be replaced */
    uint64_t device, inode; /* of `stage`, so that it is known again; */
    int64_t born;           /* with the time it was made at, as numbers are used again */
    char *version;          /* of a tablespace: the only name in it, "PG_15_202209061" */
    struct bkc_extract *extract;
};

struct pg_way {
    struct bake_ctx *ctx;
    const struct pg_config *cfg;
    struct pg_base_known known;
    char *backup, *program, *pipeline;
    int64_t at_ns, began_ms;
    bool drill, force;
    struct pg_stage *stages; /* the data directory, then the tablespaces */
    size_t n_stages;
    uint64_t duty; /* the obligation's id, or 0 */
    bool as_user;  /* uid and gid count */
    uint32_t uid, gid;
    struct bkc_scratch *scratch; /* of a drill */
    bool committed;
    char *facts; /* restore_end()'s */
};

void pg_way_free(struct pg_way *w); /* when the source closes; NULL is fine */

/* ---- base_place.c: where it goes ---- */

/* Whose the new server's files are. */
int pg_way_owner(struct pg_way *w);
/* Finds out where everything goes and whether it may. Changes nothing. */
int pg_way_places(struct pg_way *w);
/* May it still? Time has passed. */
int pg_way_places_again(struct pg_way *w);
/* Makes the directories, once the obligation stands. */
int pg_way_make(struct pg_way *w);

/* ---- base_switch.c ---- */

enum pg_phase { PG_STAGING = 0, PG_SWITCHING = 1, PG_DONE = 2 };

int pg_way_oblige(struct pg_way *w, enum pg_phase phase);
/* Everything takes its place; what was there is removed. On failure all is as it was. */
int pg_way_switch(struct pg_way *w);
/* Removes what was made. */
int pg_way_undo(struct pg_way *w);
int pg_way_redeem(struct bake_ctx *ctx, const char *what, bool *ret_mine);

/* What the directory is known by; all 0: there is none. */
void pg_stage_mark(const char *path, uint64_t *ret_device, uint64_t *ret_inode, int64_t *ret_born);

/* ---- base_conf.c: what the new server reads when it starts ---- */

int pg_way_conf(struct pg_way *w);

/* ---- base_drill.c ---- */

/* Are the server's own programs there? */
int pg_way_can_drill(struct pg_way *w);
/* Starts it, waits, asks, stops. Sets w->facts. */
int pg_way_drill(struct pg_way *w);

#endif
