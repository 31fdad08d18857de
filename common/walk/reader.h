/* One reader: the walk, the entry it is at, and its data. */
#ifndef BKC_WALK_READER_H
#define BKC_WALK_READER_H

#include "walk/extents.h"
#include "walk/walker.h"

struct bkc_walk {
    struct bake_ctx *ctx;
    struct bkc_walker walk;
    struct bkc_walk_links *links;
    struct bkc_walk_ids ids;
    struct bkc_walk_xattrs xattrs;
    bool no_xattrs; /* said once that they cannot be read here */
    char *link;     /* text of a symbolic link */
    size_t link_cap;
    struct bake_entry entry;
    /* of the file that was opened last */
    int fd;
    struct bkc_walk_stat before; /* as it was when its reading began */
    struct bkc_walk_extents extents;
    uint64_t size, data;  /* promised: logical size, and bytes to come */
    uint64_t done;        /* of data */
    size_t extent;        /* that is being read, */
    uint64_t in_extent;   /* and how far */
    unsigned char *whole; /* a small file's data */
    bool is_whole;
};

/* Fills the extended attributes of the entry: of name in dirfd, or (name "") of dirfd itself. */
int bkc_walk_entry_xattrs(struct bkc_walk *r, int dirfd, const char *name);
/* Everything of the entry that stat tells. BAKE_OK or BAKE_E_NOMEM. */
int bkc_walk_entry_stat(struct bkc_walk *r, const struct bkc_walk_stat *st);

#endif
