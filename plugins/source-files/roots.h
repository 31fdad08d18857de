/* The paths a source names, globs expanded: where its walks start. */
#ifndef FILES_ROOTS_H
#define FILES_ROOTS_H

#include "files.h"
#include <stdbool.h>

struct files_roots { /* by entry, parts compared one by one; no entry twice */
    struct bkc_walk_root *items;
    size_t n, cap;
};

/* A path that leads to nothing, and why. */
typedef int files_roots_missing_fn(void *arg, const struct bake_path *path, const char *at,
                                   int error);
/* Expands all paths. missing() is told of each that matches nothing, and of each directory that a
 * glob could not look into; when it returns an error, that ends it. 0, ENOMEM or that error. */
int files_roots_expand(const struct bake_path *paths, files_roots_missing_fn *missing, void *arg,
                       struct files_roots *ret);
void files_roots_free(struct files_roots *r);

#endif
