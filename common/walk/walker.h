/* The walk over the roots: one object after the other, in the order of a component. */
#ifndef BKC_WALK_WALKER_H
#define BKC_WALK_WALKER_H

#include "walk/links.h"
#include "walk/list.h"
#include "walk/meta.h"
#include "walk/walk.h"

struct bkc_walk_level;

struct bkc_walker {
    struct bake_ctx *ctx;
    struct bkc_walk_opts opts;   /* with all limits set */
    struct bkc_walk_root *roots; /* copies */
    size_t n_roots;
    struct bkc_walk_level *levels; /* from the roots down to where the walk is */
    size_t n, cap;
    struct bkc_walk_budget budget;
    size_t path_cap;
    /* the object the walk is at */
    char *path;       /* its entry's path; "" for the root of the system */
    const char *name; /* its name in dirfd */
    int dirfd;        /* a directory that is open, for *at() calls */
    struct bkc_walk_stat st;
    bool enter; /* it is a directory, to be looked into next */
};

int bkc_walker_open(struct bkc_walker *w, struct bake_ctx *ctx, const struct bkc_walk_opts *opts);
/* BAKE_OK | BAKE_END, or an error that ends the walk. What cannot be read or is left out by rule is
 * reported and passed over. Sockets are never given. */
int bkc_walker_next(struct bkc_walker *w);
/* For the table of links: directory and name of the entry. BAKE_OK or BAKE_E_NOMEM. */
int bkc_walker_dir(struct bkc_walker *w, struct bkc_walk_dir **ret_dir, const char **ret_name);
void bkc_walker_close(struct bkc_walker *w);

/* Of the open file or directory fd: a file system that shows the kernel and holds no data. */
bool bkc_walk_pseudo(int fd);
/* The test for names that empty their directory, with the options as its argument; or NULL. */
bkc_walk_is_tag_fn *bkc_walk_tagging(const struct bkc_walk_opts *opts);
/* Reports about the entry of this path ("" is the root of all). */
void bkc_walk_report(const struct bkc_walker *w, int severity, const char *path, const char *fmt,
                     ...) BAKE_PRINTF(4, 5);
int bkc_walk_nomem(struct bake_ctx *ctx);

#endif
