/* The packs an index knows, and the places of their chunks. */
#include "store/index_private.h"

#include <stdlib.h>

int bk_index_rank(const struct bk_index *x, const struct bk_loc *loc)
{
    const struct bk_index_pack *p = loc->pack < x->n_packs ? &x->packs[loc->pack] : NULL;

    if (!p || !p->present)
        return BK_RANK_GONE;
    return p->counts ? BK_RANK_COUNTS : BK_RANK_PRESENT - (int)p->doubt;
}

struct bk_index_pack *bk_index_pack_of(const struct bk_index *x, const bk_id *pack)
{
    const struct bk_located *e = bk_table_find(&x->numbers, pack);

    return e ? &x->packs[e->loc.pack] : NULL;
}

static int room_for_pack(struct bk_index *x)
{
    size_t cap = x->cap_packs ? x->cap_packs * 2 : 64;
    struct bk_index_pack *more;

    if (x->n_packs < x->cap_packs)
        return BAKE_OK;
    more = realloc(x->packs, cap * sizeof(*more));
    if (!more)
        return BAKE_E_NOMEM;
    x->packs = more;
    x->cap_packs = cap;
    return BAKE_OK;
}

int bk_index_new_pack(struct bk_index *x, const bk_id *pack, uint64_t size, uint32_t head,
                      const struct bk_pack_table *table, int rank, uint32_t *ret_number,
                      struct bk_err *err)
{
    struct bk_located e = {*pack, {(uint32_t)x->n_packs, 0, 0, 1}};
    size_t n = table->n_segments * sizeof(*table->segments);
    struct bk_segment *segments = malloc(n + 1);

    if (!segments || room_for_pack(x) < 0 || bk_table_put(&x->numbers, &e) < 0) {
        free(segments);
        return bk_nomem(err);
    }
    memcpy(segments, table->segments, n);
    *ret_number = (uint32_t)x->n_packs;
    x->packs[x->n_packs++] = (struct bk_index_pack){
        .id = *pack,
        .size = size,
        .segments = segments,
        .n_segments = (uint32_t)table->n_segments,
        .head = head,
        .present = rank >= BK_RANK_PRESENT,
        .counts = rank == BK_RANK_COUNTS,
    };
    x->changed = true;
    return BAKE_OK;
}

/* Of two places of a chunk the table holds one: the better, of equals the younger. */
static int put_chunk(struct bk_index *x, const struct bk_located *e)
{
    const struct bk_located *old = bk_table_find(&x->table, &e->id);
    uint32_t pack = e->loc.pack;

    bk_table_remove(&x->coming, &e->id);
    if (old && old->loc.pack != pack) {
        bool keep = bk_index_rank(x, &old->loc) > bk_index_rank(x, &e->loc);

        x->packs[keep ? old->loc.pack : pack].hides = true;
        if (keep)
            return BAKE_OK;
    }
    return bk_table_put(&x->table, e);
}

int bk_index_put_chunks(struct bk_index *x, uint32_t number, const struct bk_pack_table *t,
                        struct bk_err *err)
{
    size_t at = 0;

    x->changed = true;
    for (uint32_t s = 0; s < t->n_segments; s++) {
        struct bk_located e = {.loc = {number, s, 0, 0}};

        for (uint32_t k = 0; k < t->segments[s].chunks; k++, at++) {
            e.id = t->ids[at];
            e.loc.length = t->lengths[at];
            if (put_chunk(x, &e) < 0)
                return bk_nomem(err);
            e.loc.offset += e.loc.length;
        }
    }
    return bk_index_spill(x, false, err);
}

void bk_index_reset(struct bk_index *x)
{
    bk_index_drop_runs(x);
    for (size_t i = 0; i < x->n_packs; i++) {
        free(x->packs[i].segments);
        free(x->packs[i].former);
    }
    free(x->packs);
    x->packs = NULL;
    x->n_packs = x->cap_packs = 0;
    bk_table_release(&x->numbers);
    bk_table_release(&x->table);
    bk_table_release(&x->coming);
    bk_strv_free(&x->objects);
    x->changed = true;
}
