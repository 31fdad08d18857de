/* Content-defined cuts: a gear hash with normalised cut points, as FastCDC describes them (Xia et
 * al., USENIX ATC 2016). Where a cut falls depends on the 64 bytes before it alone, so that what
 * was inserted or removed moves the cuts near it and no others. */
#ifndef BK_CHUNKER_H
#define BK_CHUNKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BK_CHUNK_MIN (16u << 10)
#define BK_CHUNK_AVG (64u << 10)
#define BK_CHUNK_MAX (256u << 10)

struct bk_chunker {
    uint64_t gear[256];
    uint64_t strict, loose; /* masks before and after the average size */
};

/* seed: the store's own (bakengine.json), so that two stores need not cut alike. */
void bk_chunker_init(struct bk_chunker *c, uint64_t seed);
/* Length of the first chunk of data[0..n); 0: more bytes are needed to know. last: no more will
 * come, so the rest is a chunk. */
size_t bk_chunker_cut(const struct bk_chunker *c, const unsigned char *data, size_t n, bool last);

#endif
