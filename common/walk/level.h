/* The stack of directories of a walk, of which only the deepest are kept open. */
#ifndef BKC_WALK_LEVEL_H
#define BKC_WALK_LEVEL_H

#include "walk/walker.h"

struct bkc_walk_level {
    int fd;                     /* -1: closed for now, or a level of roots between two roots */
    uint64_t dev, ino;          /* of the directory */
    size_t path_len;            /* its entry's path is the walk's, cut here */
    struct bkc_walk_list *list; /* NULL: a level of roots */
    size_t root, root_end;      /* of a level of roots: which comes next, and where it ends */
    struct bkc_walk_dir *dir;   /* made when a link is found in it */
};

/* The deepest level; NULL when the walk is over. */
struct bkc_walk_level *bkc_walk_level_top(const struct bkc_walker *w);
/* Takes over fd and list, also when it fails. BAKE_OK or BAKE_E_NOMEM. */
int bkc_walk_level_push(struct bkc_walker *w, const struct bkc_walk_level *level);
/* Leaves the top; the directory below it is open again afterwards, or was reported and is over. */
void bkc_walk_level_pop(struct bkc_walker *w);
void bkc_walk_level_close_fd(struct bkc_walk_level *l);
/* Opens the directory that a root's name is to be looked up in. Returns the name; NULL: errno. */
const char *bkc_walk_root_open(const struct bkc_walker *w, const struct bkc_walk_root *root,
                               int *ret_fd);

#endif
