/* One reader: the walk, the entry it is at, and its data. */
#ifndef FILES_READER_H
#define FILES_READER_H

#include "extents.h"
#include "walk.h"

struct files_reader {
    struct bake_ctx *ctx;
    const struct files_source *source;
    struct files_walk walk;
    struct files_links *links;
    struct files_ids ids;
    struct files_xattrs xattrs;
    bool no_xattrs; /* said once that they cannot be read here */
    char *link;     /* text of a symbolic link */
    size_t link_cap;
    struct bake_entry entry;
    /* of the file that was opened last */
    int fd;
    struct files_stat before; /* as it was when its reading began */
    struct files_extents extents;
    uint64_t size, data;  /* promised: logical size, and bytes to come */
    uint64_t done;        /* of data */
    size_t extent;        /* that is being read, */
    uint64_t in_extent;   /* and how far */
    unsigned char *whole; /* a small file's data */
    bool is_whole;
};

/* Fills the extended attributes of the entry: of name in dirfd, or (name "") of dirfd itself. */
int files_entry_xattrs(struct files_reader *r, int dirfd, const char *name);
/* Everything of the entry that stat tells. BAKE_OK or BAKE_E_NOMEM. */
int files_entry_stat(struct files_reader *r, const struct files_stat *st);

#endif
