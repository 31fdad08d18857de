/* The gear hash. */
#include "store/chunker.h"

#define WINDOW 64u /* bytes that a 64-bit gear hash remembers */

/* splitmix64 (Steele, Lea, Flood, OOPSLA 2014): fills the table from the seed. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

void bk_chunker_init(struct bk_chunker *c, uint64_t seed)
{
    for (int i = 0; i < 256; i++)
        c->gear[i] = next_random(&seed);
    /* 64 KiB is 16 bits; two more before it, two fewer after it: sizes gather around it. The
     * highest bits are those that all of the window went into. */
    c->strict = ~0ull << (64 - 18);
    c->loose = ~0ull << (64 - 14);
}

/* Rolls over data[from..to): where the hash meets the mask, one byte behind it, else 0. Four bytes
 * at a time: this loop sees every byte of a backup. */
static size_t scan(const uint64_t gear[256], const unsigned char *data, size_t from, size_t to,
                   uint64_t mask, uint64_t *hash)
{
    uint64_t h = *hash;
    size_t i = from;

    for (; i + 4 <= to; i += 4) {
        h = (h << 1) + gear[data[i]];
        if (!(h & mask))
            return i + 1;
        h = (h << 1) + gear[data[i + 1]];
        if (!(h & mask))
            return i + 2;
        h = (h << 1) + gear[data[i + 2]];
        if (!(h & mask))
            return i + 3;
        h = (h << 1) + gear[data[i + 3]];
        if (!(h & mask))
            return i + 4;
    }
    for (; i < to; i++) {
        h = (h << 1) + gear[data[i]];
        if (!(h & mask))
            return i + 1;
    }
    *hash = h;
    return 0;
}

size_t bk_chunker_cut(const struct bk_chunker *c, const unsigned char *data, size_t n, bool last)
{
    size_t end = n < BK_CHUNK_MAX ? n : BK_CHUNK_MAX;
    size_t middle = end < BK_CHUNK_AVG ? end : BK_CHUNK_AVG, at;
    uint64_t h = 0;

    if (n <= BK_CHUNK_MIN)
        return last ? n : 0;
    for (size_t i = BK_CHUNK_MIN - WINDOW; i < BK_CHUNK_MIN; i++)
        h = (h << 1) + c->gear[data[i]];
    if ((at = scan(c->gear, data, BK_CHUNK_MIN, middle, c->strict, &h)) ||
        (at = scan(c->gear, data, middle, end, c->loose, &h)))
        return at;
    return end == BK_CHUNK_MAX || last ? end : 0;
}
