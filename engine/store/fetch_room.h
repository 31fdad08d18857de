/* The cache's memory: one mapping of a fixed size, given out in contiguous runs of pages, so that
 * what is resident is bounded whatever comes and goes. Not thread-safe. */
#ifndef BK_FETCH_ROOM_H
#define BK_FETCH_ROOM_H

#include "base/err.h"

#include <stdbool.h>

#define BK_ROOM_PAGE (64u << 10)

struct bk_room {
    unsigned char *base;
    bool *taken; /* a flag per page */
    size_t pages;
    size_t beyond; /* bytes given out that are not of the mapping */
    size_t used, peak;
};

int bk_room_init(struct bk_room *r, size_t bytes, struct bk_err *err);
void bk_room_release(struct bk_room *r); /* all was given back */
/* Long-lived small pieces are best taken from the high end. NULL: there is no such gap. */
void *bk_room_take(struct bk_room *r, size_t n, bool high);
/* From elsewhere, when it must be. NULL: out of memory. */
void *bk_room_take_beyond(struct bk_room *r, size_t n);
void bk_room_give(struct bk_room *r, void *p, size_t n);

#endif
