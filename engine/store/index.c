/* Looking chunks up, and adding packs. */
#include "store/index.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "store/index_private.h"

#include <stdlib.h>
#include <string.h>

#define FLUSH_PACKS 64u
#define FLUSH_BYTES (8u << 20)
#define FLUSH_MS    (5u * 60 * 1000)

struct bk_index_pack *bk_index_pack_of(const struct bk_index *x, const bk_id *pack)
{
    const struct bk_located *e = bk_table_find(&x->numbers, pack);

    return e ? &x->packs[e->loc.pack] : NULL;
}

static int new_pack(struct bk_index *x, const bk_id *pack, uint32_t *ret, struct bk_err *err)
{
    struct bk_located e = {*pack, {(uint32_t)x->n_packs, 0, 0, 1}};

    if (x->n_packs == x->cap_packs) {
        size_t cap = x->cap_packs ? x->cap_packs * 2 : 64;
        struct bk_index_pack *more = realloc(x->packs, cap * sizeof(*more));

        if (!more)
            return bk_nomem(err);
        x->packs = more;
        x->cap_packs = cap;
    }
    if (bk_table_put(&x->numbers, &e) < 0)
        return bk_nomem(err);
    memset(&x->packs[x->n_packs], 0, sizeof(*x->packs));
    x->packs[x->n_packs].id = *pack;
    *ret = (uint32_t)x->n_packs++;
    return BAKE_OK;
}

int bk_index_put_chunks(struct bk_index *x, uint32_t number, const struct bk_pack_table *t,
                        struct bk_err *err)
{
    size_t at = 0;

    for (uint32_t s = 0; s < t->n_segments; s++) {
        struct bk_located e = {.loc = {number, s, 0, 0}};

        for (uint32_t k = 0; k < t->segments[s].chunks; k++, at++) {
            e.id = t->ids[at];
            e.loc.length = t->lengths[at];
            if (bk_table_put(&x->table, &e) < 0)
                return bk_nomem(err);
            e.loc.offset += e.loc.length;
        }
    }
    return bk_index_spill(x, false, err);
}

int bk_index_put_pack(struct bk_index *x, const bk_id *pack, uint64_t size, uint32_t head,
                      const struct bk_pack_table *table, uint32_t *ret_number, struct bk_err *err)
{
    struct bk_index_pack *p = bk_index_pack_of(x, pack);
    int rc;

    if (p) { /* in two index objects: once is enough */
        *ret_number = (uint32_t)(p - x->packs);
        return BAKE_OK;
    }
    rc = new_pack(x, pack, ret_number, err);
    if (rc < 0)
        return rc;
    p = &x->packs[*ret_number];
    p->segments = malloc(table->n_segments * sizeof(*p->segments) + 1);
    if (!p->segments)
        return bk_nomem(err);
    memcpy(p->segments, table->segments, table->n_segments * sizeof(*p->segments));
    p->n_segments = (uint32_t)table->n_segments;
    p->size = size;
    p->head = head;
    return bk_index_put_chunks(x, *ret_number, table, err);
}

/* ---- runs ------------------------------------------------------------------------------------ */

/* What a run is made of: start() goes to its beginning, for another try. */
struct entries {
    int (*start)(struct entries *from, struct bk_err *err);
    int (*next)(void *from, struct bk_located *ret, struct bk_err *err);
};

struct from_array {
    struct entries entries;
    const struct bk_located *all, *at;
};

static int start_array(struct entries *from, struct bk_err *err)
{
    struct from_array *a = (struct from_array *)from;

    (void)err;
    a->at = a->all;
    return BAKE_OK;
}

static int next_of_array(void *from, struct bk_located *ret, struct bk_err *err)
{
    struct from_array *a = from;

    (void)err;
    *ret = *a->at++;
    return BAKE_OK;
}

static int try_run(struct bk_index *x, bool named, uint64_t n, struct entries *from,
                   struct bk_err *err)
{
    char *name = NULL;
    int fd, rc = bk_index_cache_file(x, named, &fd, &name, err);

    if (rc < 0)
        return rc;
    rc = from->start(from, err);
    if (rc >= 0)
        rc = bk_run_write(fd, n, from->next, from, &x->runs[x->n_runs], err);
    else
        (void)close(fd);
    if (rc >= 0) {
        x->run_names[x->n_runs++] = name;
        return BAKE_OK;
    }
    if (name)
        bk_index_cache_drop(x, name);
    free(name);
    return rc;
}

/* Where the cache has no room a file without a name serves for as long as we live. */
static int add_run(struct bk_index *x, uint64_t n, struct entries *from, struct bk_err *err)
{
    int rc = try_run(x, true, n, from, err);

    return rc == BAKE_E_NOSPACE || rc == BAKE_E_IO ? try_run(x, false, n, from, err) : rc;
}

/* Merges the runs from `first` on: the younger of two equal ids counts. */
struct merge {
    struct entries entries;
    struct bk_index *x;
    size_t first;
    uint64_t at[BK_INDEX_MAX_RUNS + 1];
    struct bk_located head[BK_INDEX_MAX_RUNS + 1];
    bool has[BK_INDEX_MAX_RUNS + 1];
};

static int advance(struct merge *m, size_t i, struct bk_err *err)
{
    m->has[i] = m->at[i] < bk_run_count(m->x->runs[i]);
    return m->has[i] ? bk_run_get(m->x->runs[i], m->at[i]++, &m->head[i], err) : BAKE_OK;
}

static int next_of_merge(void *from, struct bk_located *ret, struct bk_err *err)
{
    struct merge *m = from;
    size_t best = BK_INDEX_MAX_RUNS + 1;

    for (size_t i = m->first; i < m->x->n_runs; i++)
        if (m->has[i] && (best > BK_INDEX_MAX_RUNS ||
                          memcmp(m->head[i].id.b, m->head[best].id.b, sizeof(bk_id)) <= 0))
            best = i;
    if (best > BK_INDEX_MAX_RUNS)
        return BAKE_END;
    *ret = m->head[best];
    for (size_t i = m->first; i < m->x->n_runs; i++) {
        while (m->has[i] && bk_id_eq(&m->head[i].id, &ret->id)) {
            int rc = advance(m, i, err);

            if (rc < 0)
                return rc;
        }
    }
    return BAKE_OK;
}

static int start_merge(struct entries *from, struct bk_err *err)
{
    struct merge *m = (struct merge *)from;

    for (size_t i = m->first; i < m->x->n_runs; i++) {
        int rc;

        m->at[i] = 0;
        rc = advance(m, i, err);
        if (rc < 0)
            return rc;
    }
    return BAKE_OK;
}

/* How many ids there are without those that stand twice: a run's size must be known beforehand. */
static int count_merge(struct merge *m, uint64_t *ret, struct bk_err *err)
{
    struct bk_located ignored;
    int rc = start_merge(&m->entries, err);

    *ret = 0;
    while (rc >= 0 && (rc = next_of_merge(m, &ignored, err)) == BAKE_OK)
        ++*ret;
    return rc < 0 ? rc : BAKE_OK;
}

/* The youngest runs, as long as each is not much larger than those after it together, become one:
 * so there are few, and no entry is merged more than a few times. */
static int merge_runs(struct bk_index *x, struct bk_err *err)
{
    struct merge m = {.entries = {start_merge, next_of_merge}, .x = x};
    uint64_t sum = bk_run_count(x->runs[x->n_runs - 1]), n;
    size_t first = x->n_runs - 1;
    int rc;

    if (x->n_runs < BK_INDEX_MAX_RUNS)
        return BAKE_OK;
    /* Two at least, whatever their sizes: there is no room for one more. */
    while (first > 0 && (first + 1 == x->n_runs || bk_run_count(x->runs[first - 1]) < 2 * sum))
        sum += bk_run_count(x->runs[--first]);
    m.first = first;
    if ((rc = count_merge(&m, &n, err)) < 0 || (rc = add_run(x, n, &m.entries, err)) < 0)
        return rc;
    for (size_t i = first; i + 1 < x->n_runs; i++) {
        bk_run_free(x->runs[i]);
        if (x->run_names[i])
            bk_index_cache_drop(x, x->run_names[i]);
        free(x->run_names[i]);
    }
    x->runs[first] = x->runs[x->n_runs - 1];
    x->run_names[first] = x->run_names[x->n_runs - 1];
    x->n_runs = first + 1;
    return BAKE_OK;
}

void bk_index_drop_runs(struct bk_index *x)
{
    for (size_t i = 0; i < x->n_runs; i++) {
        bk_run_free(x->runs[i]);
        free(x->run_names[i]);
    }
    x->n_runs = 0;
}

static bool is_damage(int rc) { return rc == BAKE_E_CORRUPT || rc == BAKE_E_IO; }

int bk_index_spill(struct bk_index *x, bool force, struct bk_err *err)
{
    struct from_array a = {.entries = {start_array, next_of_array}};
    struct bk_located *sorted BK_FREE = NULL;
    size_t n;
    int rc;

    if (x->table.n - x->table.coming < (force ? 1 : BK_INDEX_SPILL))
        return BAKE_OK;
    if (bk_table_drain(&x->table, &sorted, &n) < 0)
        return bk_nomem(err);
    a.all = sorted;
    rc = add_run(x, n, &a.entries, err);
    if (rc < 0) { /* they stay known, as long as there is memory */
        for (size_t i = 0; i < n; i++)
            if (bk_table_put(&x->table, &sorted[i]) < 0)
                return bk_nomem(err);
        return rc;
    }
    rc = merge_runs(x, err);
    if (is_damage(rc))
        rc = bk_index_repair(x, err);
    return rc;
}

/* ---- looking up ------------------------------------------------------------------------------ */

static bool usable(const struct bk_index *x, const struct bk_loc *loc)
{
    return loc->pack == BK_PACK_COMING || (loc->pack < x->n_packs && x->packs[loc->pack].present);
}

/* OK with *ret, a place that can be used, or END. */
static int find_once(struct bk_index *x, const bk_id *id, struct bk_loc *ret, struct bk_err *err)
{
    const struct bk_located *e = bk_table_find(&x->table, id);

    if (e && usable(x, &e->loc)) {
        *ret = e->loc;
        return BAKE_OK;
    }
    for (size_t i = x->n_runs; i-- > 0;) {
        int rc = bk_run_find(x->runs[i], id, ret, err);

        if (rc < 0 || (rc == BAKE_OK && usable(x, ret)))
            return rc;
    }
    return BAKE_END;
}

static int find(struct bk_index *x, const bk_id *id, struct bk_loc *ret, struct bk_err *err)
{
    int rc = find_once(x, id, ret, err);

    if (!is_damage(rc))
        return rc;
    rc = bk_index_repair(x, err);
    return rc < 0 ? rc : find_once(x, id, ret, err);
}

int bk_index_claim(struct bk_index *x, const bk_id *id, struct bk_err *err)
{
    struct bk_located coming = {*id, {BK_PACK_COMING, 0, 0, 1}};
    struct bk_loc loc;
    int rc;

    pthread_mutex_lock(&x->lock);
    rc = find(x, id, &loc, err);
    if (rc == BAKE_OK && loc.pack != BK_PACK_COMING)
        x->packs[loc.pack].used = true;
    /* What a damaged run may have known is stored once more. */
    if (rc == BAKE_END || is_damage(rc))
        rc = bk_table_put(&x->table, &coming) < 0 ? bk_nomem(err) : BAKE_END;
    pthread_mutex_unlock(&x->lock);
    return rc;
}

int bk_index_add(struct bk_index *x, const bk_id *pack, uint64_t size, uint32_t head,
                 const struct bk_pack_table *table, struct bk_err *err)
{
    uint32_t number;
    int rc;

    pthread_mutex_lock(&x->lock);
    /* One that is known was made once more: what was claimed for it has a place now. */
    if (bk_index_pack_of(x, pack)) {
        number = (uint32_t)(bk_index_pack_of(x, pack) - x->packs);
        rc = bk_index_put_chunks(x, number, table, err);
    } else {
        rc = bk_index_put_pack(x, pack, size, head, table, &number, err);
    }
    if (rc >= 0) {
        x->packs[number].present = x->packs[number].used = true;
        if (x->n_pending++ == 0)
            x->pending_since_ms = bk_monotonic_ms();
        bk_index_write_pack(pack, size, head, table, &x->pending);
        if (x->pending.failed)
            rc = bk_nomem(err);
        else if (x->n_pending >= FLUSH_PACKS || x->pending.len >= FLUSH_BYTES ||
                 bk_monotonic_ms() - x->pending_since_ms >= FLUSH_MS)
            rc = bk_index_flush(x, err);
    }
    pthread_mutex_unlock(&x->lock);
    return rc;
}

int bk_index_find(struct bk_index *x, const bk_id *id, bool mark, struct bk_loc *ret,
                  struct bk_index_pack *ret_pack, struct bk_err *err)
{
    char hex[2 * sizeof(*id) + 1];
    int rc;

    pthread_mutex_lock(&x->lock);
    rc = find(x, id, ret, err);
    if (rc == BAKE_OK && ret->pack != BK_PACK_COMING) {
        x->packs[ret->pack].used |= mark;
        *ret_pack = x->packs[ret->pack];
    } else if (rc >= 0 && x->damaged) {
        rc = bk_fail(err, BAKE_E_IO, "the chunk index is damaged and could not be made anew");
    } else if (rc >= 0) {
        bk_hex(id->b, sizeof(id->b), hex);
        rc = bk_fail(err, BAKE_E_NOTFOUND, "chunk %.16s... is in no pack of the store", hex);
    }
    pthread_mutex_unlock(&x->lock);
    return rc;
}

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

uint64_t bk_index_count(struct bk_index *x)
{
    uint64_t n;

    pthread_mutex_lock(&x->lock);
    n = x->table.n;
    for (size_t i = 0; i < x->n_runs; i++)
        n += bk_run_count(x->runs[i]);
    pthread_mutex_unlock(&x->lock);
    return n;
}

/* ---- life ------------------------------------------------------------------------------------ */

void bk_index_reset(struct bk_index *x)
{
    bk_index_drop_runs(x);
    for (size_t i = 0; i < x->n_packs; i++)
        free(x->packs[i].segments);
    free(x->packs);
    x->packs = NULL;
    x->n_packs = x->cap_packs = 0;
    bk_table_release(&x->numbers);
    bk_table_release(&x->table);
    bk_strv_free(&x->objects);
}

int bk_index_open(struct bk_store *store, struct bk_index **ret, struct bk_err *err)
{
    struct bk_index *x = calloc(1, sizeof(*x));
    int rc;

    if (!x)
        return bk_nomem(err);
    x->store = store;
    x->dir_lock = -1;
    pthread_mutex_init(&x->lock, NULL);
    rc = bk_index_cache_open(x, err);
    if (rc >= 0) {
        bk_index_cache_load(x);
        rc = bk_index_sync(x, err);
    }
    if (rc < 0) {
        bk_index_free(x);
        return rc;
    }
    *ret = x;
    return BAKE_OK;
}

int bk_index_save(struct bk_index *x, struct bk_err *err)
{
    int rc;

    pthread_mutex_lock(&x->lock);
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
    bk_index_cache_close(x);
    pthread_mutex_destroy(&x->lock);
    free(x);
}
