/* Making the runs anew from the index objects, for the packs that are known. */
#include "base/log.h"
#include "store/index_private.h"
#include "store/sealed.h"

#include <stdlib.h>

struct taker {
    struct bk_index *x;
    bool *done; /* packs that have their chunks again */
};

static int take_again(void *arg, const struct bk_index_said *said, struct bk_err *err)
{
    struct taker *t = arg;
    const struct bk_index_pack *p = bk_index_pack_of(t->x, &said->id);
    uint32_t number = p ? (uint32_t)(p - t->x->packs) : 0;

    if (!p || !p->present || p->size != said->size || t->done[number])
        return BAKE_OK;
    t->done[number] = true;
    return bk_index_put_chunks(t->x, number, &said->table, err);
}

static int read_pack_again(struct bk_index *x, uint32_t number, struct bk_err *err)
{
    struct bk_index_pack *p = &x->packs[number];
    struct bk_pack_table table;
    struct bk_err why = {0};
    uint32_t head;
    int rc = bk_sealed_pack_table(x->store, x->sink, &p->id, p->size, &table, &head, &why);

    if (rc == BAKE_E_CORRUPT || rc == BAKE_E_NOTFOUND) {
        bk_log(BAKE_LOG_WARN, "a pack cannot be used: %s", why.text);
        p->present = p->counts = false;
        return BAKE_OK;
    }
    if (rc < 0) {
        if (err)
            *err = why;
        return rc;
    }
    rc = bk_index_put_chunks(x, number, &table, err);
    bk_pack_table_release(&table);
    return rc;
}

/* The index objects say it, what is pending says it, and for the rest the packs themselves. */
static int read_again(struct taker *t, struct bk_err *err)
{
    struct bk_index *x = t->x;
    int rc = bk_index_each_pack(&x->pending, take_again, t, err);

    for (size_t i = 0; i < x->objects.n && rc >= 0; i++) {
        rc = bk_index_each_of_object(x, x->objects.items[i], take_again, t, err);
        if (rc < 0 && !bk_index_fatal(rc))
            rc = BAKE_OK;
    }
    for (size_t i = 0; i < x->n_packs && rc >= 0; i++)
        if (!t->done[i] && x->packs[i].present)
            rc = read_pack_again(x, (uint32_t)i, err);
    return rc;
}

static int remake(struct bk_index *x, struct bk_err *err)
{
    struct taker t = {x, calloc(x->n_packs + 1, sizeof(*t.done))};
    int rc;

    if (!t.done)
        return bk_nomem(err);
    x->remaking = true;
    rc = read_again(&t, err);
    x->remaking = false;
    free(t.done);
    return rc;
}

/* The runs that are not used any more, with their files. */
static void drop(struct bk_index *x, struct bk_index_run *runs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (runs[i].name)
            bk_index_cache_drop(x, runs[i].name);
        bk_index_free_run(&runs[i]);
    }
}

int bk_index_remake(struct bk_index *x, struct bk_err *err)
{
    struct bk_index_run old[BK_INDEX_MAX_RUNS + 1];
    struct bk_table table = x->table;
    size_t n = x->n_runs;
    int rc;

    memcpy(old, x->runs, sizeof(old));
    x->n_runs = 0;
    memset(&x->table, 0, sizeof(x->table));
    rc = remake(x, err);
    if (rc < 0) {
        drop(x, x->runs, x->n_runs);
        bk_table_release(&x->table);
        memcpy(x->runs, old, sizeof(old));
        x->n_runs = n;
        x->table = table;
        return rc;
    }
    bk_index_carry_marks(x, old, n);
    drop(x, old, n);
    bk_table_release(&table);
    return BAKE_OK;
}

int bk_index_repair(struct bk_index *x, struct bk_err *err)
{
    int rc;

    bk_log(BAKE_LOG_WARN, "the index cache is damaged, reading the store's index again");
    drop(x, x->runs, x->n_runs);
    x->n_runs = 0;
    x->marks_lost |= x->marking;
    x->damaged = true; /* until it is known again where everything is */
    rc = remake(x, err);
    x->damaged = rc < 0;
    return rc;
}
