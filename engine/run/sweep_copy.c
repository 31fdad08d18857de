/* A round: sources, the live chunks in each, and where these stand in the end. */
#include "run/sweep_copy.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "run/sweep_whole.h"
#include "store/index_table.h"
#include "store/packer.h"
#include "store/sealed.h"

#include <string.h>

#define ROUND_PLAIN   (1ull << 30)
#define ROUND_CHUNKS  (64u << 10)
#define ROUND_SOURCES 4096u
#define COMING        UINT32_MAX /* as loc.pack: copied, its pack is not stored yet */

struct source {
    size_t number;
    size_t first, n; /* of the live chunks */
};

struct live {
    bk_id id;
    uint32_t elsewhere; /* the number of a pack that stays; COMING: it was copied */
};

struct bk_copy {
    struct bk_store *store;
    struct bk_sink *sink;
    struct bk_index *index;
    const struct bk_index_pack *packs;
    const struct bk_chosen *chosen;
    struct bk_packer *packer;
    pthread_mutex_t lock;   /* over the next three: the packer's threads add to them */
    struct bk_table copied; /* loc.pack: which of `made` */
    bk_id *made;
    size_t n_made, cap_made;
    struct source *sources;
    size_t n_sources;
    struct live *live;
    size_t n_live, cap_live;
    uint64_t plain;
};

/* ---- new packs ------------------------------------------------------------------------------- */

static int note_made(struct bk_copy *c, const bk_id *pack)
{
    if (c->n_made == c->cap_made) {
        size_t cap = c->cap_made ? c->cap_made * 2 : 64;
        bk_id *more = realloc(c->made, cap * sizeof(*more));

        if (!more)
            return BAKE_E_NOMEM;
        c->made = more;
        c->cap_made = cap;
    }
    c->made[c->n_made++] = *pack;
    return BAKE_OK;
}

static int on_stored(void *arg, const bk_id *pack, uint64_t size, uint32_t head,
                     const struct bk_pack_table *table, struct bk_err *err)
{
    struct bk_copy *c = arg;
    int rc;

    (void)size;
    (void)head;
    pthread_mutex_lock(&c->lock);
    rc = note_made(c, pack);
    for (size_t i = 0; i < table->n_chunks && rc >= 0; i++) {
        struct bk_located *e = bk_table_find(&c->copied, &table->ids[i]);

        if (e)
            e->loc.pack = (uint32_t)(c->n_made - 1);
    }
    pthread_mutex_unlock(&c->lock);
    return rc < 0 ? bk_nomem(err) : BAKE_OK;
}

int bk_copy_new(struct bk_store *store, struct bk_sink *sink, struct bk_index *index,
                const struct bk_index_pack *packs, const struct bk_chosen *chosen,
                struct bk_copy **ret, struct bk_err *err)
{
    struct bk_copy *c = calloc(1, sizeof(*c));
    struct bk_packer_opts opts = {
        .lanes = (size_t)store->pipeline->parallel, .stored = on_stored, .arg = c};
    int rc;

    if (!c || !(c->sources = calloc(ROUND_SOURCES, sizeof(*c->sources)))) {
        free(c);
        return bk_nomem(err);
    }
    c->store = store;
    c->sink = sink;
    c->index = index;
    c->packs = packs;
    c->chosen = chosen;
    pthread_mutex_init(&c->lock, NULL);
    rc = bk_packer_new(store, store->cancel, &opts, &c->packer, err);
    if (rc < 0) {
        bk_copy_free(c);
        return rc;
    }
    *ret = c;
    return BAKE_OK;
}

void bk_copy_free(struct bk_copy *c)
{
    if (!c)
        return;
    bk_packer_free(c->packer);
    bk_table_release(&c->copied);
    free(c->made);
    free(c->sources);
    free(c->live);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

uint64_t bk_copy_written(struct bk_copy *c) { return bk_packer_stored(c->packer); }

bool bk_copy_enough(const struct bk_copy *c)
{
    return c->plain >= ROUND_PLAIN || c->n_live >= ROUND_CHUNKS || c->n_sources == ROUND_SOURCES;
}

/* ---- one pack -------------------------------------------------------------------------------- */

static int add_live(struct bk_copy *c, const bk_id *id, uint32_t elsewhere, struct bk_err *err)
{
    if (c->n_live == c->cap_live) {
        size_t cap = c->cap_live ? c->cap_live * 2 : 4096;
        struct live *more = realloc(c->live, cap * sizeof(*more));

        if (!more)
            return bk_nomem(err);
        c->live = more;
        c->cap_live = cap;
    }
    c->live[c->n_live++] = (struct live){*id, elsewhere};
    return BAKE_OK;
}

static bool was_copied(struct bk_copy *c, const bk_id *id)
{
    bool found;

    pthread_mutex_lock(&c->lock);
    found = bk_table_find(&c->copied, id) != NULL;
    pthread_mutex_unlock(&c->lock);
    return found;
}

/* BAKE_OK: it is live and must be copied. BAKE_END: there is nothing to copy. */
static int judge(struct bk_copy *c, size_t number, const bk_id *id, struct bk_err *err)
{
    struct bk_index_pack pack;
    struct bk_loc loc;
    int rc = bk_index_marked(c->index, id, err);

    if (rc != BAKE_OK)
        return rc;
    if (was_copied(c, id))
        return (rc = add_live(c, id, COMING, err)) < 0 ? rc : BAKE_END;
    rc = bk_index_find(c->index, id, false, &loc, &pack, err);
    if (rc >= 0 && loc.pack != number && loc.pack < c->chosen->n_packs &&
        !c->chosen->is[loc.pack] && pack.counts)
        return (rc = add_live(c, id, loc.pack, err)) < 0 ? rc : BAKE_END;
    /* What the index does not find any more, this pack has. */
    return rc < 0 && rc != BAKE_E_NOTFOUND ? rc : add_live(c, id, COMING, err);
}

static int copy_chunk(struct bk_copy *c, const struct bk_whole *p, const bk_id *id,
                      const char *data, uint32_t length, struct bk_err *err)
{
    struct bk_located e = {*id, {COMING, 0, 0, length}};
    bk_id is;
    int rc = bk_id_of(data, length, &is, err);

    if (rc < 0)
        return rc;
    if (!bk_id_eq(&is, id))
        return bk_fail(err, BAKE_E_CORRUPT, "a chunk is not what its id says");
    pthread_mutex_lock(&c->lock);
    rc = bk_table_put(&c->copied, &e);
    pthread_mutex_unlock(&c->lock);
    if (rc < 0)
        return bk_nomem(err);
    c->plain += length;
    return bk_packer_add(c->packer, p->head.kind, id, data, length, err);
}

/* *ret_damage: what failed is this pack's alone. */
static int copy_segment(struct bk_copy *c, size_t number, struct bk_whole *p, size_t segment,
                        size_t chunk, uint64_t at, bool *ret_damage, struct bk_err *err)
{
    const struct bk_segment *s = &p->table.segments[segment];
    bool decoded = false;
    size_t offset = 0;

    for (uint32_t i = 0; i < s->chunks; i++, chunk++) {
        const bk_id *id = &p->table.ids[chunk];
        uint32_t length = p->table.lengths[chunk];
        int rc = judge(c, number, id, err);

        if (rc < 0)
            return rc;
        if (rc == BAKE_OK && !decoded &&
            (rc = bk_whole_decode(c->store, p, segment, at, err)) < 0) {
            *ret_damage = rc == BAKE_E_CORRUPT;
            return rc;
        }
        if (rc == BAKE_OK) {
            decoded = true;
            rc = copy_chunk(c, p, id, p->segment.data + offset, length, err);
            *ret_damage = rc == BAKE_E_CORRUPT;
        }
        if (rc < 0)
            return rc;
        offset += length;
    }
    return BAKE_OK;
}

static int copy_live(struct bk_copy *c, size_t number, struct bk_whole *p, bool *ret_damage,
                     struct bk_err *err)
{
    uint64_t at = p->head.size;
    size_t chunk = 0;
    int rc = BAKE_OK;

    for (size_t i = 0; i < p->table.n_segments && rc >= 0; i++) {
        rc = copy_segment(c, number, p, i, chunk, at, ret_damage, err);
        at += p->table.segments[i].stored;
        chunk += p->table.segments[i].chunks;
    }
    return rc;
}

static bool is_damage(int rc) { return rc == BAKE_E_CORRUPT || rc == BAKE_E_NOTFOUND; }

int bk_copy_pack(struct bk_copy *c, size_t number, struct bk_err *err)
{
    const bk_id *pack = &c->packs[number].id;
    struct bk_whole p = {.stored = BK_BUF_INIT};
    struct bk_err why = {0};
    size_t first = c->n_live;
    bool damage = false;
    int rc = bk_whole_read(c->store, c->sink, pack, &p, &why);

    if (rc < 0)
        damage = is_damage(rc);
    else
        rc = copy_live(c, number, &p, &damage, &why);
    bk_whole_release(&p);
    if (rc >= 0) {
        c->sources[c->n_sources++] = (struct source){number, first, c->n_live - first};
        return BAKE_OK;
    }
    c->n_live = first; /* what of it was copied by then is not relied upon */
    if (!damage) {
        if (err)
            *err = why;
        return rc;
    }
    bk_log(BAKE_LOG_WARN, "a pack is left as it is: %s", why.text);
    if (rc == BAKE_E_CORRUPT)
        bk_sweep_note_bad(c->sink, pack, &why);
    return BAKE_OK;
}

/* ---- where it all went ----------------------------------------------------------------------- */

/* That a chunk stands in a pack that stays is what the index says; that pack's own table must say
 * so too. proven: loc.segment 1. */
static int prove_in(struct bk_copy *c, uint32_t number, struct bk_table *proven, struct bk_err *err)
{
    const struct bk_index_pack *p = &c->packs[number];
    struct bk_pack_table table;
    struct bk_err why = {0};
    uint32_t head;
    int rc = bk_sealed_pack_table(c->store, c->sink, &p->id, p->size, &table, &head, &why);

    if (is_damage(rc)) {
        bk_log(BAKE_LOG_WARN, "a pack cannot be used: %s", why.text);
        return BAKE_OK;
    }
    if (rc < 0) {
        if (err)
            *err = why;
        return rc;
    }
    for (size_t i = 0; i < table.n_chunks; i++) {
        struct bk_located *e = bk_table_find(proven, &table.ids[i]);

        if (e && e->loc.pack == number)
            e->loc.segment = 1;
    }
    bk_pack_table_release(&table);
    return BAKE_OK;
}

static int prove(struct bk_copy *c, struct bk_table *proven, struct bk_err *err)
{
    bool *asked BK_FREE = calloc(c->chosen->n_packs + 1, sizeof(*asked));
    int rc = BAKE_OK;

    if (!asked)
        return bk_nomem(err);
    for (size_t i = 0; i < c->n_live; i++) {
        struct bk_located e = {c->live[i].id, {c->live[i].elsewhere, 0, 0, 1}};

        if (c->live[i].elsewhere == COMING)
            continue;
        asked[c->live[i].elsewhere] = true;
        if (bk_table_put(proven, &e) < 0)
            return bk_nomem(err);
    }
    for (size_t i = 0; i < c->chosen->n_packs && rc >= 0; i++)
        if (asked[i])
            rc = prove_in(c, (uint32_t)i, proven, err);
    return rc;
}

/* Where a live chunk stands: false if that could not be proven. */
static bool place_of(const struct bk_copy *c, const struct live *l, const struct bk_table *proven,
                     bk_id *ret)
{
    const struct bk_located *e;

    if (l->elsewhere != COMING) {
        e = bk_table_find(proven, &l->id);
        *ret = c->packs[l->elsewhere].id;
        return e && e->loc.segment == 1;
    }
    e = bk_table_find(&c->copied, &l->id);
    if (!e || e->loc.pack == COMING)
        return false;
    *ret = c->made[e->loc.pack];
    return true;
}

static int by_bytes(const void *a, const void *b) { return memcmp(a, b, sizeof(bk_id)); }

static size_t unique(bk_id *ids, size_t n)
{
    size_t kept = 0;

    if (n)
        qsort(ids, n, sizeof(*ids), by_bytes);
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || !bk_id_eq(&ids[kept - 1], &ids[i]))
            ids[kept++] = ids[i];
    return kept;
}

static int move_source(const struct bk_copy *c, const struct source *s,
                       const struct bk_table *proven, struct bk_moved *ret, struct bk_err *err)
{
    bk_id *right BK_FREE = malloc(s->n * sizeof(*right) + 1);
    bool ok = true;

    if (!right)
        return bk_nomem(err);
    for (size_t i = 0; i < s->n && ok; i++)
        ok = place_of(c, &c->live[s->first + i], proven, &right[i]);
    if (!ok)
        return BAKE_OK; /* it stays */
    return bk_moved_add(ret, &c->packs[s->number].id, right, unique(right, s->n)) < 0
               ? bk_nomem(err)
               : BAKE_OK;
}

static int all_right(const struct bk_moved *m, bk_id **ret, size_t *ret_n, struct bk_err *err)
{
    size_t n = 0;
    bk_id *all;

    for (size_t i = 0; i < m->n_moves; i++)
        n += m->moves[i].n_to;
    all = malloc(n * sizeof(*all) + 1);
    if (!all)
        return bk_nomem(err);
    n = 0;
    for (size_t i = 0; i < m->n_moves; i++) {
        memcpy(all + n, m->moves[i].to, m->moves[i].n_to * sizeof(*all));
        n += m->moves[i].n_to;
    }
    *ret = all;
    *ret_n = unique(all, n);
    return BAKE_OK;
}

int bk_copy_end(struct bk_copy *c, struct bk_moved *ret, bk_id **ret_right, size_t *ret_n,
                struct bk_err *err)
{
    struct bk_table proven = {.n = 0};
    int rc = bk_packer_flush(c->packer, err);

    /* The packer is at rest: nobody else uses what the lock is over. */
    if (rc >= 0)
        rc = prove(c, &proven, err);
    for (size_t i = 0; i < c->n_sources && rc >= 0; i++)
        rc = move_source(c, &c->sources[i], &proven, ret, err);
    if (rc >= 0)
        rc = all_right(ret, ret_right, ret_n, err);
    bk_table_release(&proven);
    bk_table_release(&c->copied);
    c->n_made = c->n_sources = c->n_live = 0;
    c->plain = 0;
    return rc;
}
