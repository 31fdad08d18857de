/* Bringing the index up to date with the sink. */
#include "base/cleanup.h"
#include "base/log.h"
#include "store/index_private.h"
#include "store/sealed.h"

#include <stdlib.h>

#define ATTEMPTS 3 /* while somebody replaces the index objects */

bool bk_index_fatal(int rc)
{
    return rc == BAKE_E_CANCELLED || rc == BAKE_E_NOMEM || rc == BAKE_E_KEY || rc == BAKE_E_NOSPACE;
}

/* ---- is what the cache said still so? -------------------------------------------------------- */

static bool has_all(const struct bk_strv *all, const struct bk_strv *some)
{
    size_t k = 0;

    for (size_t i = 0; i < some->n; i++) {
        while (k < all->n && strcmp(all->items[k], some->items[i]) < 0)
            k++;
        if (k == all->n || !bk_streq(all->items[k], some->items[i]))
            return false;
    }
    return true;
}

/* What a pack holds never changes, so places stay true; but of two places of a chunk only the
 * better may be known. So the index is made anew where a pack that may have hidden such a place is
 * worth less than before, or one of which places may have been hidden is worth more. The same where
 * an index object has gone: what it said may have been the reason for it to go. */
static bool still_true(const struct bk_index *x, const struct bk_index_listing *l)
{
    size_t gone = 0;

    for (size_t i = 0; i < x->n_packs; i++) {
        const struct bk_index_pack *p = &x->packs[i];
        int now = bk_index_listed_rank(l, &p->id, p->size);
        int before = p->counts ? BK_RANK_COUNTS : p->present ? BK_RANK_PRESENT : BK_RANK_GONE;

        if (now > before || (now < before && p->hides))
            return false;
        gone += now == BK_RANK_GONE;
    }
    return gone <= 64 + x->n_packs / 4 && has_all(&l->objects, &x->objects);
}

static void take_ranks(struct bk_index *x, const struct bk_index_listing *l)
{
    for (size_t i = 0; i < x->n_packs; i++) {
        struct bk_index_pack *p = &x->packs[i];
        int now = bk_index_listed_rank(l, &p->id, p->size);
        bool present = now >= BK_RANK_PRESENT, counts = now == BK_RANK_COUNTS;

        x->changed |= present != p->present || counts != p->counts;
        p->present = present;
        p->counts = counts;
    }
}

/* ---- index objects --------------------------------------------------------------------------- */

struct taker {
    struct bk_index *x;
    const struct bk_index_listing *listing;
};

/* A pack that is not there as the object says is left out. */
static int take_pack(void *arg, const struct bk_index_said *said, struct bk_err *err)
{
    struct taker *t = arg;
    struct bk_index_pack *p = bk_index_pack_of(t->x, &said->id);
    int rank = bk_index_listed_rank(t->listing, &said->id, said->size);
    uint32_t number;
    int rc;

    if (p && p->size == said->size)
        p->named = true;
    if (p || rank == BK_RANK_GONE) /* in two index objects: once is enough */
        return BAKE_OK;
    rc = bk_index_new_pack(t->x, &said->id, said->size, said->head, &said->table, rank, &number,
                           err);
    if (rc < 0)
        return rc;
    t->x->packs[number].named = true;
    return bk_index_put_chunks(t->x, number, &said->table, err);
}

/* Both lists are sorted, and all of x->objects is in the listing. BAKE_END: one has gone since it
 * was listed. */
static int load_objects(struct taker *t, struct bk_err *err)
{
    struct bk_index *x = t->x;
    const struct bk_strv *all = &t->listing->objects;
    size_t known = x->objects.n, k = 0;
    int rc = BAKE_OK;

    for (size_t i = 0; i < all->n && rc == BAKE_OK; i++) {
        const char *name = all->items[i];
        struct bk_err why = {0};

        if (k < known && bk_streq(x->objects.items[k], name)) {
            k++;
            continue;
        }
        x->changed = true;
        rc = bk_index_each_of_object(x, name, take_pack, t, &why);
        if (rc >= 0) {
            rc = bk_strv_add(&x->objects, name) < 0 ? bk_nomem(err) : BAKE_OK;
        } else if (bk_index_fatal(rc)) {
            if (err)
                *err = why;
        } else if (rc == BAKE_E_NOTFOUND) {
            rc = BAKE_END;
        } else {
            bk_log(BAKE_LOG_WARN, "%s: '%s' cannot be used, reading the packs themselves: %s",
                   x->sink->label, name, why.text);
            rc = BAKE_OK;
        }
    }
    bk_strv_sort(&x->objects);
    return rc;
}

/* ---- packs ----------------------------------------------------------------------------------- */

/* One that no index object names: of a run that was killed. What it holds need not be read and put
 * again. */
static int adopt(struct bk_index *x, const struct bk_index_listed *l, struct bk_err *err)
{
    const struct bk_index_pack *known = bk_index_pack_of(x, &l->id);
    uint32_t head, number = known ? (uint32_t)(known - x->packs) : 0;
    struct bk_pack_table table;
    int rc = bk_sealed_pack_table(x->store, x->sink, &l->id, l->size, &table, &head, err);

    if (rc < 0)
        return rc;
    if (!known) {
        rc = bk_index_new_pack(x, &l->id, l->size, head, &table,
                               l->counts ? BK_RANK_COUNTS : BK_RANK_PRESENT, &number, err);
        if (rc >= 0)
            rc = bk_index_put_chunks(x, number, &table, err);
    }
    if (rc >= 0 && l->counts)
        rc = bk_index_pend(x, number, &table, err);
    bk_pack_table_release(&table);
    return rc;
}

static int adopt_all(struct bk_index *x, const struct bk_index_listing *listing, struct bk_err *err)
{
    for (size_t i = 0; i < listing->n; i++) {
        const struct bk_index_listed *l = &listing->packs[i];
        const struct bk_index_pack *p = bk_index_pack_of(x, &l->id);
        struct bk_err why = {0};
        int rc;

        if (p && (p->named || x->read_only || !l->counts))
            continue;
        rc = adopt(x, l, &why);
        if (rc < 0 && bk_index_fatal(rc)) {
            if (err)
                *err = why;
            return rc;
        }
        if (rc < 0)
            bk_log(BAKE_LOG_WARN, "%s: a pack cannot be used: %s", x->sink->label, why.text);
        if (bk_index_flush_due(x) && (rc = bk_index_flush(x, err)) < 0)
            return rc; /* that is no fault of the pack */
    }
    return BAKE_OK;
}

/* BAKE_END: the index objects were replaced meanwhile. */
static int sync_once(struct bk_index *x, bool last, struct bk_err *err)
{
    struct bk_index_listing l;
    struct taker t = {.x = x, .listing = &l};
    int rc = bk_index_list(x, &l, err);

    if (rc >= 0) {
        if (!still_true(x, &l))
            bk_index_reset(x);
        take_ranks(x, &l);
        rc = load_objects(&t, err);
    }
    if (rc == BAKE_OK || (rc == BAKE_END && last))
        rc = adopt_all(x, &l, err);
    bk_index_listing_release(&l);
    return rc;
}

int bk_index_sync(struct bk_index *x, struct bk_err *err)
{
    int rc = BAKE_END;

    for (int i = 1; i <= ATTEMPTS && rc == BAKE_END; i++)
        rc = sync_once(x, i == ATTEMPTS, err);
    return rc;
}
