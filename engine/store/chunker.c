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

size_t bk_chunker_cut(const struct bk_chunker *c, const unsigned char *data, size_t n, bool last)
{
    size_t end = n < BK_CHUNK_MAX ? n : BK_CHUNK_MAX;
    size_t middle = end < BK_CHUNK_AVG ? end : BK_CHUNK_AVG, i = BK_CHUNK_MIN - WINDOW;
    uint64_t h = 0;

    if (n <= BK_CHUNK_MIN)
        return last ? n : 0;
    for (; i < BK_CHUNK_MIN; i++)
        h = (h << 1) + c->gear[data[i]];
    for (; i < middle; i++) {
        h = (h << 1) + c->gear[data[i]];
        if (!(h & c->strict))
            return i + 1;
    }
    for (; i < end; i++) {
        h = (h << 1) + c->gear[data[i]];
        if (!(h & c->loose))
            return i + 1;
    }
    return end == BK_CHUNK_MAX || last ? end : 0;
}
