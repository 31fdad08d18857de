/* The stack of directories of a walk, of which only the deepest are kept open. */
#ifndef FILES_LEVEL_H
#define FILES_LEVEL_H

#include "walk.h"

struct files_level {
    int fd;                  /* -1: closed for now, or a level of roots between two roots */
    uint64_t dev, ino;       /* of the directory */
    size_t path_len;         /* its entry's path is the walk's, cut here */
    struct files_list *list; /* NULL: a level of roots */
    size_t root, root_end;   /* of a level of roots: which comes next, and where it ends */
    struct files_dir *dir;   /* made when a link is found in it */
};

/* The deepest level; NULL when the walk is over. */
struct files_level *files_level_top(const struct files_walk *w);
/* Takes over fd and list, also when it fails. BAKE_OK or BAKE_E_NOMEM. */
int files_level_push(struct files_walk *w, const struct files_level *level);
/* Leaves the top; the directory below it is open again afterwards, or was reported and is over. */
void files_level_pop(struct files_walk *w);
void files_level_close_fd(struct files_level *l);
/* Opens the directory that a root's name is to be looked up in. Returns the name; NULL: errno. */
const char *files_root_open(const struct files_root *root, int *ret_fd);

#endif
