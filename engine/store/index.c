/* Looking chunks up, claiming them, and adding packs. */
#include "store/index.h"

#include "base/log.h"
#include "store/index_private.h"
#include "store/sealed.h"

#include <stdlib.h>

/* OK with *ret, the best place there is, or END. */
static int find_once(struct bk_index *x, const bk_id *id, struct bk_loc *ret, struct bk_err *err)
{
    const struct bk_located *e = bk_table_find(&x->table, id);
    int best = BK_RANK_GONE;

    if (e && (best = bk_index_rank(x, &e->loc)) > BK_RANK_GONE)
        *ret = e->loc;
    for (size_t i = x->n_runs; i-- > 0 && best < BK_RANK_COUNTS;) {
        struct bk_loc loc;
        int rank, rc = bk_run_find(x->runs[i].run, id, &loc, NULL, err);

        if (rc < 0)
            return rc;
        if (rc == BAKE_OK && (rank = bk_index_rank(x, &loc)) > best) {
            best = rank;
            *ret = loc;
        }
    }
    return best > BK_RANK_GONE ? BAKE_OK : BAKE_END;
}

static int find(struct bk_index *x, const bk_id *id, struct bk_loc *ret, struct bk_err *err)
{
    int rc = find_once(x, id, ret, err);

    if (!bk_index_is_damage(rc))
        return rc;
    rc = bk_index_repair(x, err);
    return rc < 0 ? rc : find_once(x, id, ret, err);
}

/* OK: in a pack that counts, which is used now; else END. What a damaged run may have known is as
 * if it were not stored. */
static int has(struct bk_index *x, const bk_id *id, struct bk_err *err)
{
    struct bk_loc loc;
    int rc = find(x, id, &loc, err);

    if (rc < 0)
        return bk_index_is_damage(rc) ? BAKE_END : rc;
    if (rc == BAKE_END || bk_index_rank(x, &loc) < BK_RANK_COUNTS)
        return BAKE_END;
    x->packs[loc.pack].used = true;
    return BAKE_OK;
}

int bk_index_has(struct bk_index *x, const bk_id *id, struct bk_err *err)
{
    int rc;

    pthread_mutex_lock(&x->lock);
    rc = has(x, id, err);
    pthread_mutex_unlock(&x->lock);
    return rc;
}

int bk_index_claim(struct bk_index *x, const bk_id *id, struct bk_err *err)
{
    struct bk_located coming = {*id, {0, 0, 0, 1}};
    int rc;

    pthread_mutex_lock(&x->lock);
    rc = bk_table_find(&x->coming, id) ? BAKE_OK : has(x, id, err);
    if (rc == BAKE_END && bk_table_put(&x->coming, &coming) < 0)
        rc = bk_nomem(err);
    pthread_mutex_unlock(&x->lock);
    return rc;
}

/* One that is known was made once more: what was claimed for it has a place now. */
static int add(struct bk_index *x, const bk_id *pack, uint64_t size, uint32_t head,
               const struct bk_pack_table *table, struct bk_err *err)
{
    const struct bk_index_pack *known = bk_index_pack_of(x, pack);
    uint32_t number = known ? (uint32_t)(known - x->packs) : 0;
    int rc = BAKE_OK;

    if (!known)
        rc = bk_index_new_pack(x, pack, size, head, table, BK_RANK_COUNTS, &number, err);
    if (rc < 0)
        return rc;
    x->packs[number].present = x->packs[number].counts = x->packs[number].used = true;
    rc = bk_index_put_chunks(x, number, table, err);
    return rc < 0 ? rc : bk_index_pend(x, number, table, err);
}

int bk_index_add(struct bk_index *x, const bk_id *pack, uint64_t size, uint32_t head,
                 const struct bk_pack_table *table, struct bk_err *err)
{
    int rc;

    pthread_mutex_lock(&x->lock);
    rc = add(x, pack, size, head, table, err);
    if (rc >= 0 && bk_index_flush_due(x))
        rc = bk_index_flush(x, err);
    pthread_mutex_unlock(&x->lock);
    return rc;
}

static int not_found(struct bk_index *x, const bk_id *id, struct bk_err *err)
{
    char hex[2 * sizeof(*id) + 1];

    if (x->damaged)
        return bk_fail(err, BAKE_E_IO, "the chunk index is damaged and could not be made anew");
    bk_hex(id->b, sizeof(id->b), hex);
    return bk_fail(err, BAKE_E_NOTFOUND, "chunk %.16s... is in no pack of the store", hex);
}

static bool same_segments(const struct bk_index_pack *p, const struct bk_pack_table *t)
{
    return p->n_segments == t->n_segments &&
           (t->n_segments == 0 ||
            memcmp(p->segments, t->segments, t->n_segments * sizeof(*p->segments)) == 0);
}

/* What the pack itself says replaces what was said of it. */
static int correct(struct bk_index *x, uint32_t number, uint32_t head,
                   const struct bk_pack_table *table)
{
    struct bk_index_pack *p = &x->packs[number];

    if (!same_segments(p, table)) {
        size_t n = table->n_segments * sizeof(*table->segments);
        struct bk_segment *segments = p->former ? NULL : malloc(n + 1);

        if (!segments)
            return BAKE_E_NOMEM;
        memcpy(segments, table->segments, n);
        p->former = p->segments;
        p->segments = segments;
        p->n_segments = (uint32_t)table->n_segments;
    }
    p->head = head;
    return bk_index_put_chunks(x, number, table, NULL);
}

/* An index object may have lied of it. What cannot be had changes nothing. */
static void ask_pack_itself(struct bk_index *x, uint32_t number)
{
    struct bk_index_pack *p = &x->packs[number];
    struct bk_pack_table table;
    struct bk_err why = {0};
    uint32_t head;

    if (bk_sealed_pack_table(x->store, x->sink, &p->id, p->size, &table, &head, &why) < 0) {
        bk_log(BAKE_LOG_DEBUG, "a damaged pack's table: %s", why.text);
        return;
    }
    (void)correct(x, number, head, &table);
    bk_pack_table_release(&table);
}

/* The best place there is is in a distrusted pack. Once per pack: places that were let go of for it
 * are looked for again, and if there are none it is asked itself. */
static int find_other(struct bk_index *x, const bk_id *id, struct bk_loc *ret, struct bk_err *err)
{
    uint32_t pack = ret->pack;
    int rc = BAKE_OK;

    x->packs[pack].distrusted = false;
    if (x->packs[pack].hides && bk_index_remake(x, NULL) >= 0)
        rc = find(x, id, ret, err);
    if (rc == BAKE_OK && ret->pack == pack) {
        ask_pack_itself(x, pack);
        rc = find(x, id, ret, err);
    }
    return rc;
}

int bk_index_find(struct bk_index *x, const bk_id *id, bool mark, struct bk_loc *ret,
                  struct bk_index_pack *ret_pack, struct bk_err *err)
{
    int rc;

    pthread_mutex_lock(&x->lock);
    rc = find(x, id, ret, err);
    if (rc == BAKE_OK && x->packs[ret->pack].distrusted)
        rc = find_other(x, id, ret, err);
    if (rc == BAKE_OK) {
        x->packs[ret->pack].used |= mark;
        *ret_pack = x->packs[ret->pack];
    } else if (rc == BAKE_END) {
        rc = not_found(x, id, err);
    }
    pthread_mutex_unlock(&x->lock);
    return rc;
}

void bk_index_distrust(struct bk_index *x, const bk_id *pack)
{
    struct bk_index_pack *p;

    pthread_mutex_lock(&x->lock);
    p = bk_index_pack_of(x, pack);
    if (p && p->present) {
        x->changed |= p->counts;
        p->counts = false;
        p->distrusted = p->doubt == 0;
        if (p->distrusted)
            p->doubt = ++x->doubts;
    }
    pthread_mutex_unlock(&x->lock);
}

/* ---- all of them ----------------------------------------------------------------------------- */

static int by_bytes(const void *a, const void *b) { return memcmp(a, b, sizeof(bk_id)); }

int bk_index_used(struct bk_index *x, bk_id **ret, size_t *ret_n, struct bk_err *err)
{
    bk_id *ids;
    size_t n = 0;

    pthread_mutex_lock(&x->lock);
    ids = malloc(x->n_packs * sizeof(*ids) + 1);
    for (size_t i = 0; ids && i < x->n_packs; i++)
        if (x->packs[i].used)
            ids[n++] = x->packs[i].id;
    pthread_mutex_unlock(&x->lock);
    if (!ids)
        return bk_nomem(err);
    qsort(ids, n, sizeof(*ids), by_bytes);
    *ret = ids;
    *ret_n = n;
    return BAKE_OK;
}

int bk_index_packs(struct bk_index *x, struct bk_index_pack **ret, size_t *ret_n,
                   struct bk_err *err)
{
    struct bk_index_pack *copy;

    pthread_mutex_lock(&x->lock);
    copy = malloc(x->n_packs * sizeof(*copy) + 1);
    if (copy && x->n_packs)
        memcpy(copy, x->packs, x->n_packs * sizeof(*copy));
    *ret_n = x->n_packs;
    pthread_mutex_unlock(&x->lock);
    if (!copy)
        return bk_nomem(err);
    *ret = copy;
    return BAKE_OK;
}

uint64_t bk_index_count(struct bk_index *x)
{
    uint64_t n;

    pthread_mutex_lock(&x->lock);
    n = x->table.n;
    for (size_t i = 0; i < x->n_runs; i++)
        n += bk_run_count(x->runs[i].run);
    pthread_mutex_unlock(&x->lock);
    return n;
}

/* ---- life ------------------------------------------------------------------------------------ */

static int make(struct bk_index *x, struct bk_err *err)
{
    int rc = bk_run_cache_new(BK_INDEX_CACHE, &x->cache, err);

    if (rc < 0 || (rc = bk_index_cache_open(x, err)) < 0)
        return rc;
    bk_index_cache_load(x);
    return bk_index_sync(x, err);
}

int bk_index_open(struct bk_store *store, struct bk_sink *sink, unsigned flags,
                  struct bk_index **ret, struct bk_err *err)
{
    struct bk_index *x = calloc(1, sizeof(*x));
    int rc;

    if (!x)
        return bk_nomem(err);
    x->store = store;
    x->sink = sink;
    x->read_only = flags & BK_INDEX_READ;
    x->dir_lock = -1;
    x->spill_at = BK_INDEX_SPILL;
    pthread_mutex_init(&x->lock, NULL);
    pthread_cond_init(&x->flushed, NULL);
    pthread_mutex_lock(&x->lock);
    rc = make(x, err);
    pthread_mutex_unlock(&x->lock);
    if (rc < 0) {
        bk_index_free(x);
        return rc;
    }
    *ret = x;
    return BAKE_OK;
}

int bk_index_save(struct bk_index *x, struct bk_err *err)
{
    int rc = BAKE_OK;

    pthread_mutex_lock(&x->lock);
    while (rc >= 0 && (x->n_pending > 0 || x->flushing)) /* more may come meanwhile */
        rc = bk_index_flush(x, err);
    if (rc >= 0 && x->dir_lock >= 0 && !x->damaged) {
        rc = bk_index_spill(x, true, err);
        if (rc >= 0)
            rc = bk_index_cache_save(x, err);
    }
    pthread_mutex_unlock(&x->lock);
    return rc;
}

void bk_index_free(struct bk_index *x)
{
    if (!x)
        return;
    bk_index_reset(x);
    bk_buf_free(&x->pending);
    bk_run_cache_free(x->cache);
    bk_index_cache_close(x);
    pthread_cond_destroy(&x->flushed);
    pthread_mutex_destroy(&x->lock);
    free(x);
}

/* Cached blocks and their keys, the table (which doubles) and its sorted copy, what is pending and
 * its way through the transforms, the runs' own blocks. */
uint64_t bk_index_memory(void)
{
    return BK_INDEX_CACHE * (BK_RUN_BLOCK + 16ull) +
           4 * (uint64_t)BK_INDEX_SPILL * sizeof(struct bk_located) +
           4 * (uint64_t)BK_INDEX_FLUSH_BYTES + (BK_INDEX_MAX_RUNS + 1) * (uint64_t)BK_RUN_BLOCK;
}
