/* The table becomes a run, and runs are merged so that they stay few. */
#include "base/cleanup.h"
#include "base/log.h"
#include "store/index_private.h"

#include <stdlib.h>

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
    struct bk_run *run;
    char *name = NULL;
    int fd, rc = bk_index_cache_file(x, named, &fd, &name, err);

    if (rc < 0)
        return rc;
    rc = from->start(from, err);
    if (rc >= 0)
        rc = bk_run_write(fd, x->cache, n, from->next, from, &run, err);
    else
        (void)close(fd);
    if (rc >= 0) {
        x->runs[x->n_runs++] = (struct bk_index_run){run, name, NULL};
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

    return rc == BAKE_E_NOSPACE ? try_run(x, false, n, from, err) : rc;
}

/* ---- merging --------------------------------------------------------------------------------- */

/* Merges the runs from `first` on. Of the places of one id the best counts, of equals the youngest;
 * one in a pack that is gone is left out. */
struct merge {
    struct entries entries;
    struct bk_index *x;
    size_t first;
    unsigned char *marks; /* of what comes out; NULL: there are none, or they are not wanted yet */
    uint64_t out;
    uint64_t at[BK_INDEX_MAX_RUNS + 1]; /* of the head, + 1 */
    struct bk_located head[BK_INDEX_MAX_RUNS + 1];
    bool has[BK_INDEX_MAX_RUNS + 1];
};

static int advance(struct merge *m, size_t i, struct bk_err *err)
{
    struct bk_run *run = m->x->runs[i].run;

    m->has[i] = m->at[i] < bk_run_count(run);
    return m->has[i] ? bk_run_get(run, m->at[i]++, &m->head[i], err) : BAKE_OK;
}

static bool head_marked(const struct merge *m, size_t i)
{
    const unsigned char *marks = m->x->runs[i].marks;
    uint64_t at = m->at[i] - 1;

    return marks && (marks[at >> 3] & 1u << (at & 7));
}

/* False: nothing is left. */
static bool least(const struct merge *m, bk_id *ret)
{
    bool any = false;

    for (size_t i = m->first; i < m->x->n_runs; i++) {
        if (m->has[i] && (!any || memcmp(m->head[i].id.b, ret->b, sizeof(*ret)) < 0)) {
            *ret = m->head[i].id;
            any = true;
        }
    }
    return any;
}

/* All places of the id; *ret_rank is the one's that is left in *ret. */
static int take_id(struct merge *m, const bk_id *id, struct bk_located *ret, int *ret_rank,
                   bool *ret_marked, struct bk_err *err)
{
    *ret_rank = -1;
    *ret_marked = false;
    for (size_t i = m->first; i < m->x->n_runs; i++) {
        int rc, rank;

        if (!m->has[i] || !bk_id_eq(&m->head[i].id, id))
            continue;
        *ret_marked |= head_marked(m, i);
        rank = bk_index_rank(m->x, &m->head[i].loc);
        if (*ret_rank > BK_RANK_GONE && rank > BK_RANK_GONE && ret->loc.pack != m->head[i].loc.pack)
            m->x->packs[rank >= *ret_rank ? m->head[i].loc.pack : ret->loc.pack].hides = true;
        if (rank >= *ret_rank) {
            *ret = m->head[i];
            *ret_rank = rank;
        }
        rc = advance(m, i, err);
        if (rc < 0)
            return rc;
    }
    return BAKE_OK;
}

static int next_of_merge(void *from, struct bk_located *ret, struct bk_err *err)
{
    struct merge *m = from;
    bk_id id = {{0}};
    bool marked;

    while (least(m, &id)) {
        int rank, rc = take_id(m, &id, ret, &rank, &marked, err);

        if (rc < 0)
            return rc;
        if (rank == BK_RANK_GONE)
            continue;
        if (m->marks && marked)
            m->marks[m->out >> 3] |= (unsigned char)(1u << (m->out & 7));
        m->out++;
        return BAKE_OK;
    }
    return BAKE_END;
}

static int start_merge(struct entries *from, struct bk_err *err)
{
    struct merge *m = (struct merge *)from;

    m->out = 0;
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

void bk_index_free_run(struct bk_index_run *r)
{
    bk_run_free(r->run);
    free(r->name);
    free(r->marks);
}

static int write_merged(struct bk_index *x, struct merge *m, struct bk_err *err)
{
    bool marks = false;
    uint64_t n;
    int rc = count_merge(m, &n, err);

    if (rc < 0)
        return rc;
    for (size_t i = m->first; i < x->n_runs; i++)
        marks |= x->runs[i].marks != NULL;
    if (marks && !(m->marks = calloc(1, (size_t)(n / 8) + 1)))
        return bk_nomem(err);
    rc = add_run(x, n, &m->entries, err);
    if (rc < 0)
        free(m->marks);
    else
        x->runs[x->n_runs - 1].marks = m->marks;
    return rc;
}

/* The youngest runs, as long as each is not much larger than those after it together, become one:
 * so there are few, and no entry is merged more than a few times. */
static int merge_runs(struct bk_index *x, struct bk_err *err)
{
    struct merge m = {.entries = {start_merge, next_of_merge}, .x = x};
    size_t first = x->n_runs - 1;
    uint64_t sum;
    int rc;

    if (x->n_runs < BK_INDEX_MAX_RUNS)
        return BAKE_OK;
    sum = bk_run_count(x->runs[first].run);
    /* Two at least, whatever their sizes: there is no room for one more. */
    while (first > 0 && (first + 1 == x->n_runs || bk_run_count(x->runs[first - 1].run) < 2 * sum))
        sum += bk_run_count(x->runs[--first].run);
    m.first = first;
    rc = write_merged(x, &m, err);
    if (rc < 0)
        return rc;
    for (size_t i = first; i + 1 < x->n_runs; i++) {
        if (x->runs[i].name)
            bk_index_cache_drop(x, x->runs[i].name);
        bk_index_free_run(&x->runs[i]);
    }
    x->runs[first] = x->runs[x->n_runs - 1];
    x->n_runs = first + 1;
    return BAKE_OK;
}

void bk_index_drop_runs(struct bk_index *x)
{
    for (size_t i = 0; i < x->n_runs; i++)
        bk_index_free_run(&x->runs[i]);
    x->n_runs = 0;
}

static int merge_or_repair(struct bk_index *x, struct bk_err *err)
{
    int rc = merge_runs(x, err);

    return bk_index_is_damage(rc) && !x->remaking ? bk_index_repair(x, err) : rc;
}

static int spill(struct bk_index *x, struct bk_err *err)
{
    struct from_array a = {.entries = {start_array, next_of_array}};
    struct bk_located *sorted BK_FREE = NULL;
    int rc;

    /* An earlier merge failed: there may be no room for one more. */
    if (x->n_runs >= BK_INDEX_MAX_RUNS && (rc = merge_or_repair(x, err)) < 0)
        return rc;
    if (bk_table_sorted(&x->table, &sorted) < 0)
        return bk_nomem(err);
    a.all = sorted;
    rc = add_run(x, x->table.n, &a.entries, err);
    if (rc < 0)
        return rc;
    bk_table_release(&x->table);
    x->spill_at = BK_INDEX_SPILL;
    x->changed = true;
    return merge_or_repair(x, err);
}

/* Where no file can be written the table grows: more memory than stated is better than no backup.
 */
int bk_index_spill(struct bk_index *x, bool force, struct bk_err *err)
{
    struct bk_err why = {0};
    int rc;

    if (x->table.n < (force ? 1 : x->spill_at))
        return BAKE_OK;
    rc = spill(x, &why);
    if (rc == BAKE_E_NOSPACE && !force) {
        if (x->spill_at == BK_INDEX_SPILL)
            bk_log(BAKE_LOG_WARN, "keeping the chunk index in memory: %s", why.text);
        x->spill_at = 2 * (x->table.n > BK_INDEX_SPILL ? x->table.n : BK_INDEX_SPILL);
        return BAKE_OK;
    }
    if (rc < 0 && err)
        *err = why;
    return rc;
}
