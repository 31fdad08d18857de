/* The SHA-256 of a file's logical content, fed with the bytes of its extents: holes are hashed as
 * the zeros that they read as. */
#ifndef BK_FILESUM_H
#define BK_FILESUM_H

#include "base/digest.h"

struct bk_filesum {
    struct bk_sha256 *sha;
    const struct bake_extent *extents; /* borrowed; NULL: all data */
    size_t n_extents, at;              /* extent that comes next */
    uint64_t in_extent;                /* bytes of it that were added */
    uint64_t position, size;           /* logical */
};

int bk_filesum_init(struct bk_filesum *s, struct bk_err *err);
/* The entry's extents must live until bk_filesum_end(). */
void bk_filesum_begin(struct bk_filesum *s, const struct bake_entry *e);
void bk_filesum_add(struct bk_filesum *s, const void *data, size_t n);
void bk_filesum_end(struct bk_filesum *s, char ret[BK_SHA256_HEX]);
void bk_filesum_release(struct bk_filesum *s);

/* How many bytes read() yields for this entry: its size, or the sum of its extents. */
uint64_t bk_entry_data_size(const struct bake_entry *e);

#endif
