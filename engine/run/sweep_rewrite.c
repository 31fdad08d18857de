/* Packs that are mostly dead, or small and many, become new ones. */
#include "base/cleanup.h"
#include "base/log.h"
#include "run/sweep_copy.h"
#include "store/mirror.h"

#include <string.h>

struct rewriting {
    struct bk_sweep **all; /* the base sink's first */
    size_t n;
    struct bk_store *store;
    struct bk_index *index; /* the base sink's */
    struct bk_index_pack *packs;
    size_t n_packs;
    struct bk_chosen chosen;
    bool *walked; /* of the base sink's backups */
};

/* Marks what is live. A backup that is damaged keeps the packs that it has. */
static int walk_all(struct rewriting *r, struct bk_err *err)
{
    struct bk_sweep *s = r->all[0];
    struct bk_walk *w;
    int rc = bk_walk_new(r->store, s->sink, r->index, &w, err);

    if (rc < 0)
        return rc;
    for (size_t i = 0; i < s->n_backups && rc >= 0; i++) {
        struct bk_err why = {0};
        bool fatal = false;

        rc = bk_walk_backup(w, s->backups[i], &fatal, &why);
        r->walked[i] = rc >= 0;
        if (rc < 0 && !fatal) {
            bk_log(BAKE_LOG_WARN, "%s: backup '%s' is damaged, its packs are not rewritten: %s",
                   s->sink->label, s->backups[i]->id, why.text);
            rc = bk_sweep_fix(s, s->backups[i], err);
        } else if (rc < 0 && err) {
            *err = why;
        }
    }
    bk_walk_free(w);
    return rc;
}

/* Every sink that took part still does, and is still ours. */
static int check_all(struct rewriting *r, struct bk_err *err)
{
    for (size_t i = 0; i < r->n; i++) {
        size_t number = (size_t)(r->all[i]->sink - r->store->sinks);
        int rc;

        if (!bk_store_sink_ok(r->store, number)) {
            *err = r->store->failed[number];
            return err->rc;
        }
        rc = bk_sweep_check(r->all[i], err);
        if (rc < 0)
            return rc;
    }
    return BAKE_OK;
}

static int put_moves(struct rewriting *r, struct bk_moved *m, const bk_id *right, size_t n,
                     struct bk_err *err)
{
    const struct bk_sweep *s = r->all[0];
    int rc = bk_mirrors_fill(r->store, s->sink, right, n, err);

    for (size_t i = 0; i < s->n_backups && rc >= 0; i++)
        if (r->walked[i] && bk_moved_add_backup(m, s->backups[i]) < 0)
            rc = bk_nomem(err);
    if (rc >= 0)
        rc = check_all(r, err);
    return rc < 0 ? rc : bk_moved_put(r->store, m, err);
}

static void count_moves(struct rewriting *r, const struct bk_moved *m)
{
    struct bk_sweep *s = r->all[0];

    for (size_t i = 0; i < m->n_moves; i++) {
        const struct bk_sweep_pack *p = bk_sweep_pack_of(s, &m->moves[i].from);

        s->counts.rewritten++;
        s->counts.rewritten_bytes += p ? p->size : 0;
    }
}

static int end_round(struct rewriting *r, struct bk_copy *c, bool *ret_moved, struct bk_err *err)
{
    struct bk_moved m = {.name = NULL};
    bk_id *right BK_FREE = NULL;
    size_t n = 0;
    int rc = bk_copy_end(c, &m, &right, &n, err);

    if (rc >= 0 && m.n_moves > 0) {
        rc = put_moves(r, &m, right, n, err);
        if (rc >= 0) {
            count_moves(r, &m);
            *ret_moved = true;
        }
    }
    bk_moved_release(&m);
    return rc;
}

static int copy_all(struct rewriting *r, bool *ret_moved, struct bk_err *err)
{
    struct bk_copy *c;
    int rc = bk_copy_new(r->store, r->all[0]->sink, r->index, r->packs, &r->chosen, &c, err);

    if (rc < 0)
        return rc;
    for (size_t i = 0; i < r->n_packs && rc >= 0; i++) {
        if (!r->chosen.is[i])
            continue;
        rc = bk_cancelled(r->store->cancel) ? bk_fail(err, BAKE_E_CANCELLED, "cancelled")
                                            : bk_copy_pack(c, i, err);
        if (rc >= 0 && bk_copy_enough(c))
            rc = end_round(r, c, ret_moved, err);
    }
    if (rc >= 0)
        rc = end_round(r, c, ret_moved, err);
    r->all[0]->counts.written_bytes += bk_copy_written(c) * r->n;
    bk_copy_free(c);
    return rc;
}

/* What a dry run can say. */
static void foretell(struct rewriting *r)
{
    struct bk_swept *counts = &r->all[0]->counts;

    counts->rewritten += r->chosen.n;
    counts->rewritten_bytes += r->chosen.stored;
    counts->removed += r->chosen.n * r->n;
    counts->removed_bytes += r->chosen.stored * r->n;
    counts->written_bytes += (r->chosen.stored - r->chosen.dead) * r->n;
}

static int rewrite(struct rewriting *r, bool *ret_moved, struct bk_err *err)
{
    struct bk_sweep *s = r->all[0];
    int rc = bk_index_open(r->store, s->sink, s->lease ? 0 : BK_INDEX_READ, &r->index, err);

    if (rc < 0 || (rc = walk_all(r, err)) < 0 ||
        (rc = bk_index_packs(r->index, &r->packs, &r->n_packs, err)) < 0 ||
        (rc = bk_sweep_choose(s, r->index, r->packs, r->n_packs, &r->chosen, err)) < 0)
        return rc;
    if (r->chosen.n == 0)
        return BAKE_OK;
    if (!s->lease) {
        foretell(r);
        return BAKE_OK;
    }
    return copy_all(r, ret_moved, err);
}

int bk_sweep_rewrite(struct bk_sweep **all, size_t n, bool *ret_moved, struct bk_err *err)
{
    struct rewriting r = {.all = all, .n = n, .store = all[0]->store};
    int rc;

    *ret_moved = false;
    if (all[0]->n_backups == 0)
        return BAKE_OK;
    r.walked = calloc(all[0]->n_backups, sizeof(*r.walked));
    rc = r.walked ? rewrite(&r, ret_moved, err) : bk_nomem(err);
    bk_index_free(r.index);
    free(r.packs);
    free(r.chosen.is);
    free(r.walked);
    return rc;
}
