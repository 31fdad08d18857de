/* Open addressing; a digest's own bytes are its hash. */
#include "store/index_table.h"

#include "base/codec.h"

#include <stdlib.h>

static size_t slot_of(const struct bk_table *t, const bk_id *id)
{
    size_t at = (size_t)bk_be64(id->b + 24) & (t->cap - 1);

    while (t->slots[at].loc.length && !bk_id_eq(&t->slots[at].id, id))
        at = (at + 1) & (t->cap - 1);
    return at;
}

struct bk_located *bk_table_find(const struct bk_table *t, const bk_id *id)
{
    struct bk_located *e;

    if (t->cap == 0)
        return NULL;
    e = &t->slots[slot_of(t, id)];
    return e->loc.length ? e : NULL;
}

static int resize(struct bk_table *t, size_t cap)
{
    struct bk_table bigger = {calloc(cap, sizeof(*bigger.slots)), t->n, cap, t->coming};

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
    if (!at->loc.length)
        t->n++;
    else if (at->loc.pack == BK_PACK_COMING)
        t->coming--;
    t->coming += e->loc.pack == BK_PACK_COMING;
    *at = *e;
    return BAKE_OK;
}

static int by_id(const void *a, const void *b)
{
    return memcmp(((const struct bk_located *)a)->id.b, ((const struct bk_located *)b)->id.b,
                  sizeof(bk_id));
}

int bk_table_drain(struct bk_table *t, struct bk_located **ret, size_t *ret_n)
{
    struct bk_located *out = malloc((t->n - t->coming + 1) * sizeof(*out));
    struct bk_table rest = {NULL, 0, 0, 0};
    size_t n = 0;

    for (size_t i = 0; out && i < t->cap; i++) {
        if (!t->slots[i].loc.length)
            continue;
        if (t->slots[i].loc.pack != BK_PACK_COMING) {
            out[n++] = t->slots[i];
        } else if (bk_table_put(&rest, &t->slots[i]) < 0) {
            free(out);
            out = NULL;
        }
    }
    if (!out) {
        bk_table_release(&rest);
        return BAKE_E_NOMEM;
    }
    bk_table_release(t);
    *t = rest;
    qsort(out, n, sizeof(*out), by_id);
    *ret = out;
    *ret_n = n;
    return BAKE_OK;
}

void bk_table_release(struct bk_table *t)
{
    free(t->slots);
    memset(t, 0, sizeof(*t));
}
