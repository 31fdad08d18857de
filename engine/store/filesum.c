/* Digest of a file with holes. */
#include "store/filesum.h"

#include "base/digest.h"

#include <string.h>
#include <xxhash.h>

int bk_filesum_init(struct bk_filesum *s, struct bk_err *err)
{
    memset(s, 0, sizeof(*s));
    s->state = XXH3_createState();
    return s->state ? BAKE_OK : bk_nomem(err);
}

void bk_filesum_release(struct bk_filesum *s)
{
    (void)XXH3_freeState(s->state); /* NULL is fine */
    s->state = NULL;
}

void bk_filesum_begin(struct bk_filesum *s, const struct bake_entry *e)
{
    s->extents = e->extents;
    s->n_extents = e->n_extents;
    s->at = 0;
    s->in_extent = 0;
    s->position = 0;
    s->size = e->size;
    (void)XXH3_128bits_reset(s->state);
}

static void add_zeros(struct bk_filesum *s, uint64_t n)
{
    static const char zeros[64 << 10];

    s->position += n;
    while (n > 0) {
        size_t step = n < sizeof(zeros) ? (size_t)n : sizeof(zeros);

        (void)XXH3_128bits_update(s->state, zeros, step);
        n -= step;
    }
}

void bk_filesum_add(struct bk_filesum *s, const void *data, size_t n)
{
    const char *p = data;

    while (s->extents && n > 0 && s->at < s->n_extents) {
        const struct bake_extent *x = &s->extents[s->at];
        uint64_t left = x->length - s->in_extent;
        size_t step = n < left ? n : (size_t)left;

        if (s->in_extent == 0 && x->offset > s->position)
            add_zeros(s, x->offset - s->position);
        (void)XXH3_128bits_update(s->state, p, step);
        s->position += step;
        s->in_extent += step;
        p += step;
        n -= step;
        if (s->in_extent == x->length) {
            s->at++;
            s->in_extent = 0;
        }
    }
    (void)XXH3_128bits_update(s->state, p, n);
    s->position += n;
}

void bk_filesum_end(struct bk_filesum *s, char ret[BK_FILESUM_HEX])
{
    XXH128_canonical_t canonical;

    if (s->extents && s->size > s->position)
        add_zeros(s, s->size - s->position);
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(s->state));
    bk_hex(canonical.digest, sizeof(canonical.digest), ret);
}

uint64_t bk_entry_data_size(const struct bake_entry *e)
{
    uint64_t sum = 0;

    if (!e->extents)
        return e->size;
    for (size_t i = 0; i < e->n_extents; i++)
        sum += e->extents[i].length;
    return sum;
}
