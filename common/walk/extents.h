/* Where the data of a sparse file lie. */
#ifndef BKC_WALK_EXTENTS_H
#define BKC_WALK_EXTENTS_H

#include <bakengine/plugin.h>
#include <stdbool.h>

struct bkc_walk_extents {
    struct bake_extent *items; /* not NULL once mapped */
    size_t n, cap;
    uint64_t bytes; /* of data */
    bool sparse;    /* false: there is no hole, or the file system does not tell */
};

/* Maps the first `size` bytes of fd with at most `max` extents (at least 2): beyond, the smallest
 * holes count as data. 0 or an errno. */
int bkc_walk_extents_map(struct bkc_walk_extents *x, int fd, uint64_t size, size_t max);
void bkc_walk_extents_free(struct bkc_walk_extents *x);

#endif
