/* The packer's inside, shared by its two files. */
#ifndef BK_PACKER_LANE_H
#define BK_PACKER_LANE_H

#include "store/packer.h"

struct bk_building;

struct bk_filling { /* a segment that is being filled, then waits for a lane */
    struct bk_building *pack;
    size_t index, n;
    struct bk_filling *next;
    unsigned char data[];
};

struct bk_building { /* a pack that is not yet stored */
    enum bk_pack_kind kind;
    struct bk_pack_table table;
    struct bk_buf stored[BK_MAX_SEGMENTS]; /* segments as they will stand in it */
    struct bk_filling *filling;
    size_t pending; /* segments with the lanes */
    size_t plain;
    uint64_t serial;
    bool closed;
};

#define BK_PACKS_MAX 3 /* that exist and are not yet stored */

struct bk_packer {
    struct bk_store *store;
    struct bk_cancel *cancel;
    struct bk_cancel_sub sub;
    struct bk_packer_opts opts;
    pthread_mutex_t lock; /* over all that follows but storing */
    pthread_cond_t room, work;
    struct bk_building *open[BK_PACK_META + 1];
    struct bk_filling *queue, **queue_end;
    size_t n_segments, n_packs;        /* that exist */
    uint64_t begun;                    /* packs so far: the serial of the last */
    uint64_t unfinished[BK_PACKS_MAX]; /* serials of those that exist; 0: free */
    uint64_t stored_bytes;
    struct bk_err failed;
    bool ending;
    pthread_t *lanes;
    size_t n_lanes;
    pthread_mutex_t storing; /* one pack is announced at a time */
};

void *bk_packer_lane(void *packer); /* a lane's thread */
/* Under the lock: the pack is done with, stored or not. */
void bk_packer_drop(struct bk_packer *p, struct bk_building *b);

#endif
