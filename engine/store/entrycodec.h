/* An entry of a tree as the repository stores it: metadata and references, one record after
 * another in the tree's own stream. docs/format.md has the fields. */
#ifndef BK_ENTRYCODEC_H
#define BK_ENTRYCODEC_H

#include "store/stream.h"

#define BK_ENTRY_UNSURE (1u << 0) /* read with a warning: read again next time */
#define BK_ENTRY_LIMIT  (16u << 20)

struct bk_stored_entry {
    struct bake_entry e; /* points into the record, and at extents below */
    uint32_t flags;
    struct bk_refs content; /* of files */
    struct bake_extent *extents;
    size_t cap_extents;
    const void *record; /* as it was parsed, without the length before it */
    size_t n_record;
};

/* Appends a record, its length first. */
int bk_entry_write(const struct bake_entry *e, uint32_t flags, const struct bk_refs *content,
                   struct bk_buf *out);
/* record: without the length before it; must live as long as ret is looked at. */
int bk_entry_parse(const void *record, size_t n, struct bk_stored_entry *ret, struct bk_err *err);
void bk_stored_entry_release(struct bk_stored_entry *s);

/* The order of a tree: a directory before what is in it, names in byte order. */
int bk_path_order(const char *a, const char *b);

#endif
