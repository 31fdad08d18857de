/* Where the data of a sparse file lie. */
#ifndef FILES_EXTENTS_H
#define FILES_EXTENTS_H

#include <bakengine/plugin.h>
#include <stdbool.h>

struct files_extents {
    struct bake_extent *items; /* not NULL once mapped */
    size_t n, cap;
    uint64_t bytes; /* of data */
    bool sparse;    /* false: there is no hole, or the file system does not tell */
};

/* Maps the first `size` bytes of fd with at most `max` extents (at least 2): beyond, the smallest
 * holes count as data. 0 or an errno. */
int files_extents_map(struct files_extents *x, int fd, uint64_t size, size_t max);
void files_extents_free(struct files_extents *x);

#endif
