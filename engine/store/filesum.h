/* The XXH128 of a file's logical content, fed with the bytes of its extents: holes are hashed as
 * the zeros that they read as.
 *
 * Whether a component is what was written is for SHA-256 to say, over the object and over the plain
 * stream. This digest only has to tell which file a damage has hit. A third SHA-256 over every
 * byte would cost more than reading the files does; XXH128 (libxxhash) costs next to nothing. */
#ifndef BK_FILESUM_H
#define BK_FILESUM_H

#include "base/err.h"

#define BK_FILESUM_HEX 33 /* with the NUL: as xxhsum -H128 prints it */

struct bk_filesum {
    struct XXH3_state_s *state;
    const struct bake_extent *extents; /* borrowed; NULL: all data */
    size_t n_extents, at;              /* extent that comes next */
    uint64_t in_extent;                /* bytes of it that were added */
    uint64_t position, size;           /* logical */
};

int bk_filesum_init(struct bk_filesum *s, struct bk_err *err);
/* The entry's extents must live until bk_filesum_end(). */
void bk_filesum_begin(struct bk_filesum *s, const struct bake_entry *e);
void bk_filesum_add(struct bk_filesum *s, const void *data, size_t n);
void bk_filesum_end(struct bk_filesum *s, char ret[BK_FILESUM_HEX]);
void bk_filesum_release(struct bk_filesum *s);

/* How many bytes read() yields for this entry: its size, or the sum of its extents. */
uint64_t bk_entry_data_size(const struct bake_entry *e);

#endif
