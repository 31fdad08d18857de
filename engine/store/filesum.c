/* Digest of a file with holes. */
#include "store/filesum.h"

#include <string.h>

int bk_filesum_init(struct bk_filesum *s, struct bk_err *err)
{
    memset(s, 0, sizeof(*s));
    return bk_sha256_new(&s->sha, err);
}

void bk_filesum_release(struct bk_filesum *s)
{
    bk_sha256_free(s->sha);
    s->sha = NULL;
}

void bk_filesum_begin(struct bk_filesum *s, const struct bake_entry *e)
{
    s->extents = e->extents;
    s->n_extents = e->n_extents;
    s->at = 0;
    s->in_extent = 0;
    s->position = 0;
    s->size = e->size;
}

static void add_zeros(struct bk_filesum *s, uint64_t n)
{
    static const char zeros[64 << 10];

    s->position += n;
    while (n > 0) {
        size_t step = n < sizeof(zeros) ? (size_t)n : sizeof(zeros);

        bk_sha256_add(s->sha, zeros, step);
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
        bk_sha256_add(s->sha, p, step);
        s->position += step;
        s->in_extent += step;
        p += step;
        n -= step;
        if (s->in_extent == x->length) {
            s->at++;
            s->in_extent = 0;
        }
    }
    bk_sha256_add(s->sha, p, n);
    s->position += n;
}

void bk_filesum_end(struct bk_filesum *s, char ret[BK_SHA256_HEX])
{
    if (s->extents && s->size > s->position)
        add_zeros(s, s->size - s->position);
    bk_sha256_end_hex(s->sha, ret);
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
