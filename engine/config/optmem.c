/* An arena: blocks in a list, each used from its start; wiped when freed. */
#include "config/optmem.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_BYTES ((size_t)8192)

struct block {
    struct block *next;
    size_t size, used; /* of what follows the header */
    alignas(max_align_t) char data[];
};

struct bk_optmem {
    struct block *blocks; /* the newest first */
};

int bk_optmem_new(struct bk_optmem **ret, struct bk_err *err)
{
    struct bk_optmem *m = calloc(1, sizeof(*m));
    if (!m)
        return bk_nomem(err);
    *ret = m;
    return 0;
}

void bk_optmem_free(struct bk_optmem *m)
{
    if (!m)
        return;
    for (struct block *b = m->blocks; b;) {
        struct block *next = b->next;
        explicit_bzero(b->data, b->used);
        free(b);
        b = next;
    }
    free(m);
}

static struct block *add_block(struct bk_optmem *m, size_t n)
{
    size_t size = n > BLOCK_BYTES ? n : BLOCK_BYTES;
    struct block *b = calloc(1, sizeof(*b) + size);
    if (!b)
        return NULL;
    b->size = size;
    b->next = m->blocks;
    m->blocks = b;
    return b;
}

void *bk_optmem_alloc(struct bk_optmem *m, size_t n)
{
    const size_t align = alignof(max_align_t);
    if (n > SIZE_MAX / 2)
        return NULL;
    n = n ? (n + align - 1) / align * align : align;
    struct block *b = m->blocks;
    if (!b || b->size - b->used < n)
        b = add_block(m, n);
    if (!b)
        return NULL;
    void *p = b->data + b->used;
    b->used += n;
    return p;
}

void *bk_optmem_array(struct bk_optmem *m, size_t n, size_t size)
{
    if (size && n > SIZE_MAX / size)
        return NULL;
    return bk_optmem_alloc(m, n * size);
}

char *bk_optmem_text(struct bk_optmem *m, const char *s, size_t n)
{
    if (n == SIZE_MAX)
        return NULL;
    char *copy = bk_optmem_alloc(m, n + 1);
    if (copy && n)
        memcpy(copy, s, n);
    return copy;
}
