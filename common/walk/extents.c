/* Finding the data of sparse files with SEEK_DATA and SEEK_HOLE. */
#include "walk/extents.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static uint64_t hole_after(const struct bkc_walk_extents *x, size_t i)
{
    return x->items[i + 1].offset - (x->items[i].offset + x->items[i].length);
}

/* Closes the smaller half of the holes. */
static int merge(struct bkc_walk_extents *x)
{
    size_t holes = x->n - 1, kept = 0;
    uint64_t *sizes = malloc(holes * sizeof(*sizes));
    if (!sizes)
        return ENOMEM;
    for (size_t i = 0; i < holes; i++)
        sizes[i] = hole_after(x, i);
    qsort(sizes, holes, sizeof(*sizes), by_size);
    uint64_t limit = sizes[holes / 2];
    free(sizes);
    for (size_t i = 1; i < x->n; i++) {
        struct bake_extent *last = &x->items[kept], next = x->items[i];
        if (next.offset - (last->offset + last->length) <= limit)
            last->length = next.offset + next.length - last->offset;
        else
            x->items[++kept] = next;
    }
    x->n = kept + 1;
    return 0;
}

static int add(struct bkc_walk_extents *x, uint64_t from, uint64_t to, size_t max)
{
    if (x->n >= max && x->n > 1) {
        int rc = merge(x);
        if (rc != 0)
            return rc;
    }
    if (x->n == x->cap) {
        size_t cap = x->cap ? x->cap * 2 : 16;
        struct bake_extent *items = realloc(x->items, cap * sizeof(*items));
        if (!items)
            return ENOMEM;
        x->items = items;
        x->cap = cap;
    }
    x->items[x->n++] = (struct bake_extent){from, to - from};
    return 0;
}

static int map(struct bkc_walk_extents *x, int fd, uint64_t size, size_t max)
{
    for (uint64_t at = 0; at < size;) {
        off_t from = lseek(fd, (off_t)at, SEEK_DATA);
        if (from < 0 && errno == ENXIO)
            return 0; /* a hole to the end */
        off_t to = from < 0 ? from : lseek(fd, from, SEEK_HOLE);
        if (to < 0 && errno == ENXIO)
            return 0; /* the file was cut just now: noticed when it is read */
        if (to < 0)
            return errno;
        if ((uint64_t)from >= size)
            return 0;
        if ((uint64_t)to > size)
            to = (off_t)size;
        int rc = add(x, (uint64_t)from, (uint64_t)to, max);
        if (rc != 0)
            return rc;
        at = (uint64_t)to;
    }
    return 0;
}

int bkc_walk_extents_map(struct bkc_walk_extents *x, int fd, uint64_t size, size_t max)
{
    if (!x->items) { /* never NULL: no extents at all is a file that is one hole */
        x->items = calloc(16, sizeof(*x->items));
        if (!x->items)
            return ENOMEM;
        x->cap = 16;
    }
    x->n = 0;
    int rc = map(x, fd, size, max);
    if (rc == ENOMEM)
        return rc;
    if (rc != 0) { /* the file system cannot tell */
        x->n = 1;
        x->items[0] = (struct bake_extent){0, size};
    }
    x->bytes = 0;
    for (size_t i = 0; i < x->n; i++)
        x->bytes += x->items[i].length;
    x->sparse = x->bytes < size;
    return 0;
}

void bkc_walk_extents_free(struct bkc_walk_extents *x) { free(x->items); }
