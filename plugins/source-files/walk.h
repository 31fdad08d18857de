/* The walk over a source's roots: one object after the other, in the order of a component. */
#ifndef FILES_WALK_H
#define FILES_WALK_H

#include "files.h"
#include "links.h"
#include "list.h"
#include "meta.h"
#include "roots.h"
#include <stdbool.h>

struct files_level;

struct files_walk {
    struct bake_ctx *ctx;
    const struct files_source *source;
    struct files_roots roots;
    struct files_level *levels; /* from the roots down to where the walk is */
    size_t n, cap;
    struct files_budget budget;
    size_t path_cap;
    /* the object the walk is at */
    char *path;       /* its entry's path; "" for the root of the system */
    const char *name; /* its name in dirfd */
    int dirfd;        /* a directory that is open, for *at() calls */
    struct files_stat st;
    bool enter; /* it is a directory, to be looked into next */
};

int files_walk_open(struct files_walk *w, struct bake_ctx *ctx, const struct files_source *source);
/* BAKE_OK | BAKE_END, or an error that ends the walk. What cannot be read or is left out by rule is
 * reported and passed over. Sockets are never given. */
int files_walk_next(struct files_walk *w);
/* For the table of links: directory and name of the entry. BAKE_OK or BAKE_E_NOMEM. */
int files_walk_dir(struct files_walk *w, struct files_dir **ret_dir, const char **ret_name);
void files_walk_close(struct files_walk *w);

/* Of the open file or directory fd: a file system that shows the kernel and holds no data. */
bool files_pseudo(int fd);
/* The test for names that empty their directory, with the source as its argument; or NULL. */
files_is_tag_fn *files_tagging(const struct files_source *source);

#endif
