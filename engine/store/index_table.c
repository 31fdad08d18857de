/* Open addressing; a digest's own bytes are its hash. */
#include "store/index_table.h"

#include "base/codec.h"

#include <stdlib.h>

static size_t home_of(const struct bk_table *t, const bk_id *id)
{
    return (size_t)bk_be64(id->b + 24) & (t->cap - 1);
}

static size_t slot_of(const struct bk_table *t, const bk_id *id)
{
    size_t at = home_of(t, id);

    while (t->slots[at].loc.length && !bk_id_eq(&t->slots[at].id, id))
        at = (at + 1) & (t->cap - 1);
    return at;
}

struct bk_located *bk_table_find(const struct bk_table *t, const bk_id *id)
{
    struct bk_located *e;

    if (t->n == 0)
        return NULL;
    e = &t->slots[slot_of(t, id)];
    return e->loc.length ? e : NULL;
}

static int resize(struct bk_table *t, size_t cap)
{
    struct bk_table bigger = {calloc(cap, sizeof(*bigger.slots)), t->n, cap};

    if (!bigger.slots)
        return BAKE_E_NOMEM;
    for (size_t i = 0; i < t->cap; i++)
        if (t->slots[i].loc.length)
            bigger.slots[slot_of(&bigger, &t->slots[i].id)] = t->slots[i];
    free(t->slots);
    *t = bigger;
    return BAKE_OK;
}

int bk_table_put(struct bk_table *t, const struct bk_located *e)
{
    struct bk_located *at;

    if (t->n * 4 >= t->cap * 3 && resize(t, t->cap ? t->cap * 2 : 1024) < 0)
        return BAKE_E_NOMEM;
    at = &t->slots[slot_of(t, &e->id)];
    t->n += at->loc.length == 0;
    *at = *e;
    return BAKE_OK;
}

/* Those behind it move up as long as that brings them nearer to where they belong, so that no
 * search ends at the gap. */
void bk_table_remove(struct bk_table *t, const bk_id *id)
{
    size_t gap, at;

    if (!bk_table_find(t, id))
        return;
    gap = at = slot_of(t, id);
    for (;;) {
        at = (at + 1) & (t->cap - 1);
        if (!t->slots[at].loc.length)
            break;
        if (((at - home_of(t, &t->slots[at].id)) & (t->cap - 1)) >= ((at - gap) & (t->cap - 1))) {
            t->slots[gap] = t->slots[at];
            gap = at;
        }
    }
    memset(&t->slots[gap], 0, sizeof(t->slots[gap]));
    t->n--;
}

static int by_id(const void *a, const void *b)
{
    return memcmp(((const struct bk_located *)a)->id.b, ((const struct bk_located *)b)->id.b,
                  sizeof(bk_id));
}

int bk_table_sorted(const struct bk_table *t, struct bk_located **ret)
{
    struct bk_located *out = malloc((t->n + 1) * sizeof(*out));
    size_t n = 0;

    if (!out)
        return BAKE_E_NOMEM;
    for (size_t i = 0; i < t->cap; i++)
        if (t->slots[i].loc.length)
            out[n++] = t->slots[i];
    qsort(out, n, sizeof(*out), by_id);
    *ret = out;
    return BAKE_OK;
}

void bk_table_release(struct bk_table *t)
{
    free(t->slots);
    memset(t, 0, sizeof(*t));
}
