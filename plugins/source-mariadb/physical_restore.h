/* Inside the way back of a copy of the whole server. */
#ifndef MY_PHYSICAL_RESTORE_H
#define MY_PHYSICAL_RESTORE_H

#include "drill.h"

struct my_way { /* a directory that is made beside its place and takes it at the end */
    char *stage, *aside, *target;
    uint64_t device, inode; /* of `stage`, so that it is known again */
    bool as_user, prepared;
    uint32_t uid, gid;
    json_t *facts;
};

enum my_step { MY_WAY_STAGING = 0, MY_WAY_SWITCHING = 1, MY_WAY_DONE = 2 };

/* ---- physical_restore_place.c ---- */

int my_way_owner(struct my_restore *r);
/* Finds out where it goes and whether it may; changes nothing. */
int my_way_place(struct my_restore *r, uint64_t needs);
int my_way_make(struct my_restore *r);
/* Takes away what points to tables' files outside of the data directory: those are another
 * server's, and the copies stand inside. */
int my_way_unlink(struct my_restore *r);
int my_way_switch(struct my_restore *r);
int my_way_undo(struct my_restore *r);
int my_way_redeem(struct bake_ctx *ctx, const char *what, bool *ret_mine);

#endif
