/* Which chunks are live: a bit for each entry of each run. */
#include "store/index_private.h"

#include <stdlib.h>

struct place {
    size_t run;
    uint64_t at;
    int rank; /* BK_RANK_GONE: none was found */
    bool marked;
};

/* The best place of a chunk in the runs. An id may stand in several of them: its mark may be at
 * any, since which place is best can change between two calls. */
static int place_of(struct bk_index *x, const bk_id *id, struct place *ret, struct bk_err *err)
{
    *ret = (struct place){.rank = BK_RANK_GONE};
    for (size_t i = x->n_runs; i-- > 0;) {
        const unsigned char *marks = x->runs[i].marks;
        struct bk_loc loc;
        uint64_t at;
        int rank, rc = bk_run_find(x->runs[i].run, id, &loc, &at, err);

        if (rc < 0)
            return rc;
        if (rc == BAKE_END)
            continue;
        ret->marked |= marks && (marks[at >> 3] & 1u << (at & 7));
        rank = bk_index_rank(x, &loc);
        if (rank > ret->rank)
            *ret = (struct place){i, at, rank, ret->marked};
    }
    return BAKE_OK;
}

/* A run is damaged, now or earlier. */
static int lost(struct bk_index *x, struct bk_err *err)
{
    if (!x->marks_lost) {
        x->marks_lost = true;
        (void)bk_index_repair(x, NULL);
    }
    return bk_fail(err, BAKE_E_CORRUPT,
                   "what was marked is lost: the index cache was damaged\n"
                   "HINT: it is made anew; run this once more");
}

static int mark(struct bk_index *x, const bk_id *id, bool *ret_first, struct bk_err *err)
{
    const struct bk_located *new = bk_table_find(&x->table, id);
    struct bk_index_run *run;
    struct place p;
    int rc;

    x->marking = true;
    if (new &&bk_index_rank(x, &new->loc) > BK_RANK_GONE && (rc = bk_index_spill(x, true, err)) < 0)
        return rc;
    if (x->marks_lost)
        return lost(x, err);
    rc = place_of(x, id, &p, err);
    if (bk_index_is_damage(rc))
        return lost(x, err);
    if (rc < 0 || p.rank == BK_RANK_GONE) {
        char hex[2 * sizeof(*id) + 1];

        bk_hex(id->b, sizeof(id->b), hex);
        return rc < 0 ? rc
                      : bk_fail(err, BAKE_E_NOTFOUND, "chunk %.16s... is in no pack of the store",
                                hex);
    }
    run = &x->runs[p.run];
    if (!p.marked && !run->marks &&
        !(run->marks = calloc(1, (size_t)(bk_run_count(run->run) / 8) + 1)))
        return bk_nomem(err);
    if (!p.marked)
        run->marks[p.at >> 3] |= (unsigned char)(1u << (p.at & 7));
    if (ret_first)
        *ret_first = !p.marked;
    return BAKE_OK;
}

/* A chunk whose packs are all gone needs no mark. */
static int carry_run(struct bk_index *x, const struct bk_index_run *from)
{
    uint64_t n = bk_run_count(from->run);
    int rc = BAKE_OK;

    for (uint64_t at = 0; at < n && from->marks && rc >= 0; at++) {
        struct bk_located e;

        if (!(from->marks[at >> 3] & 1u << (at & 7)))
            continue;
        rc = bk_run_get(from->run, at, &e, NULL);
        if (rc >= 0)
            rc = mark(x, &e.id, NULL, NULL);
        if (rc == BAKE_E_NOTFOUND)
            rc = BAKE_OK;
    }
    return rc;
}

void bk_index_carry_marks(struct bk_index *x, const struct bk_index_run *from, size_t n)
{
    for (size_t i = 0; i < n && !x->marks_lost; i++)
        if (carry_run(x, &from[i]) < 0)
            x->marks_lost = true;
}

int bk_index_mark(struct bk_index *x, const bk_id *id, bool *ret_first, struct bk_err *err)
{
    int rc;

    pthread_mutex_lock(&x->lock);
    rc = mark(x, id, ret_first, err);
    pthread_mutex_unlock(&x->lock);
    return rc;
}

int bk_index_marked(struct bk_index *x, const bk_id *id, struct bk_err *err)
{
    struct place p;
    int rc;

    pthread_mutex_lock(&x->lock);
    rc = x->marks_lost ? BAKE_E_CORRUPT : place_of(x, id, &p, err);
    if (bk_index_is_damage(rc))
        rc = lost(x, err);
    else if (rc >= 0)
        rc = p.marked ? BAKE_OK : BAKE_END;
    pthread_mutex_unlock(&x->lock);
    return rc;
}

static int weigh_run(struct bk_index *x, const struct bk_index_run *r, uint64_t *live,
                     struct bk_err *err)
{
    uint64_t n = bk_run_count(r->run);

    for (uint64_t at = 0; at < n && r->marks; at++) {
        struct bk_located e;
        int rc;

        if (!(r->marks[at >> 3] & 1u << (at & 7)))
            continue;
        rc = bk_run_get(r->run, at, &e, err);
        if (rc < 0)
            return rc;
        if (e.loc.pack < x->n_packs)
            live[e.loc.pack] += e.loc.length;
    }
    return BAKE_OK;
}

int bk_index_weigh(struct bk_index *x, uint64_t **ret_live, size_t *ret_n, struct bk_err *err)
{
    uint64_t *live;
    int rc = BAKE_OK;

    pthread_mutex_lock(&x->lock);
    live = calloc(x->n_packs + 1, sizeof(*live));
    if (!live)
        rc = bk_nomem(err);
    else if (x->marks_lost)
        rc = lost(x, err);
    for (size_t i = 0; i < x->n_runs && rc >= 0; i++)
        rc = weigh_run(x, &x->runs[i], live, err);
    if (bk_index_is_damage(rc) && !x->marks_lost)
        rc = lost(x, err);
    if (rc >= 0) {
        *ret_live = live;
        *ret_n = x->n_packs;
        live = NULL;
    }
    pthread_mutex_unlock(&x->lock);
    free(live);
    return rc;
}
