/* New index objects for those of a sink: few and large, and without packs that are removed. */
#include "base/cleanup.h"
#include "base/log.h"
#include "store/index_private.h"
#include "store/sealed.h"

#include <stdlib.h>

/* So many more than their bytes ask for are too many. */
#define SCATTERED 32u

struct replacing {
    struct bk_index *x;
    const struct bk_index_keep *keep;
    struct bk_strv old, new;
    struct bk_table unknown; /* packs of others that are in it */
    bool *done;              /* by number: in it, or not wanted */
    bool *wanted;
    size_t n_packs;
    struct bk_buf out;
};

static int put_object(struct replacing *r, struct bk_err *err)
{
    char name[sizeof(BK_INDEX_DIR) + 2 * sizeof(bk_id)];
    int rc;

    if (r->out.failed)
        return bk_nomem(err);
    if (r->out.len == 0)
        return BAKE_OK;
    rc = bk_sealed_put_to(r->x->store, r->x->sink, BK_INDEX_DIR, &r->out, name, sizeof(name), err);
    bk_buf_clear(&r->out);
    if (rc < 0)
        return rc;
    return bk_strv_add(&r->new, name) < 0 ? bk_nomem(err) : BAKE_OK;
}

static int write_pack(struct replacing *r, const struct bk_index_said *p, struct bk_err *err)
{
    bk_index_write_pack(&p->id, p->size, p->head, &p->table, &r->out);
    return r->out.failed || r->out.len >= BK_INDEX_OBJECT ? put_object(r, err) : BAKE_OK;
}

/* A pack of an old object. One that came after this index was opened is another writer's, and
 * there. */
static int carry_over(void *arg, const struct bk_index_said *p, struct bk_err *err)
{
    struct replacing *r = arg;
    const struct bk_located *known = bk_table_find(&r->x->numbers, &p->id);

    if (known && known->loc.pack < r->n_packs) {
        uint32_t number = known->loc.pack;

        if (r->done[number] || !r->wanted[number] || r->x->packs[number].size != p->size)
            return BAKE_OK;
        r->done[number] = true;
    } else {
        struct bk_located e = {p->id, {0, 0, 0, 1}};

        if (bk_table_find(&r->unknown, &p->id))
            return BAKE_OK;
        if (bk_table_put(&r->unknown, &e) < 0)
            return bk_nomem(err);
    }
    return write_pack(r, p, err);
}

/* What is damaged says nothing any more, so it may go; what cannot be read now may be good. */
static int carry_objects(struct replacing *r, struct bk_err *err)
{
    for (size_t i = 0; i < r->old.n; i++) {
        struct bk_err why = {0};
        int rc = bk_index_each_of_object(r->x, r->old.items[i], carry_over, r, &why);

        if (rc == BAKE_E_CORRUPT || rc == BAKE_E_NOTFOUND) {
            bk_log(BAKE_LOG_WARN, "%s: '%s' cannot be used, reading the packs themselves: %s",
                   r->x->sink->label, r->old.items[i], why.text);
        } else if (rc < 0) {
            if (err)
                *err = why;
            return rc;
        }
    }
    return BAKE_OK;
}

/* What no object says, the packs themselves do. */
static int carry_rest(struct replacing *r, struct bk_err *err)
{
    for (size_t i = 0; i < r->n_packs; i++) {
        const struct bk_index_pack *known = &r->x->packs[i];
        struct bk_index_said p = {.id = known->id, .size = known->size};
        struct bk_err why = {0};
        int rc;

        if (!r->wanted[i] || r->done[i])
            continue;
        rc = bk_sealed_pack_table(r->x->store, r->x->sink, &p.id, p.size, &p.table, &p.head, &why);
        if (rc == BAKE_E_CORRUPT || rc == BAKE_E_NOTFOUND) {
            bk_log(BAKE_LOG_WARN, "%s: a pack cannot be used: %s", r->x->sink->label, why.text);
            continue;
        }
        if (rc < 0) {
            if (err)
                *err = why;
            return rc;
        }
        rc = write_pack(r, &p, err);
        bk_pack_table_release(&p.table);
        if (rc < 0)
            return rc;
    }
    return BAKE_OK;
}

static int remove_old(struct replacing *r, struct bk_err *err)
{
    const struct bk_index_keep *keep = r->keep;
    int rc = keep && keep->confirm ? keep->confirm(keep->arg, err) : BAKE_OK;

    bk_strv_sort(&r->new);
    for (size_t i = 0; i < r->old.n && rc >= 0; i++) {
        if (bk_strv_has(&r->new, r->old.items[i])) /* the very same bytes */
            continue;
        rc = bk_sink_remove(r->x->sink, r->old.items[i], err);
        if (rc == BAKE_E_NOTFOUND)
            rc = BAKE_OK;
    }
    return rc;
}

/* Under the lock: what the new objects are to hold, of what is known. */
static int choose(struct replacing *r, struct bk_err *err)
{
    struct bk_index *x = r->x;

    r->n_packs = x->n_packs;
    r->done = calloc(x->n_packs + 1, sizeof(*r->done));
    r->wanted = calloc(x->n_packs + 1, sizeof(*r->wanted));
    if (!r->done || !r->wanted)
        return bk_nomem(err);
    for (size_t i = 0; i < x->n_packs; i++)
        r->wanted[i] = x->packs[i].present &&
                       (!r->keep || !r->keep->pack || r->keep->pack(r->keep->arg, &x->packs[i]));
    return BAKE_OK;
}

/* Under the lock: what is so from now on. Where a pack has gone for which other places of its
 * chunks were let go of, those are looked for again. */
static int take_over(struct replacing *r, struct bk_err *err)
{
    struct bk_index *x = r->x;
    bool hid = false;

    for (size_t i = 0; i < r->n_packs; i++) {
        if (r->wanted[i]) {
            x->packs[i].named = true;
        } else {
            hid |= x->packs[i].present && x->packs[i].hides;
            x->packs[i].present = x->packs[i].counts = false;
        }
    }
    bk_strv_free(&x->objects);
    x->objects = r->new;
    memset(&r->new, 0, sizeof(r->new));
    x->changed = true;
    return hid ? bk_index_remake(x, err) : BAKE_OK;
}

static int replace(struct replacing *r, struct bk_err *err)
{
    int rc;

    if ((rc = bk_index_flush(r->x, err)) < 0 || (rc = choose(r, err)) < 0 ||
        (rc = bk_index_list_objects(r->x, &r->old, err)) < 0 || (rc = carry_objects(r, err)) < 0 ||
        (rc = carry_rest(r, err)) < 0 || (rc = put_object(r, err)) < 0)
        return rc;
    rc = remove_old(r, err);
    return rc < 0 ? rc : take_over(r, err);
}

int bk_index_replace(struct bk_index *x, const struct bk_index_keep *keep, struct bk_err *err)
{
    struct replacing r = {.x = x, .keep = keep};
    int rc;

    if (x->read_only)
        return bk_fail(err, BAKE_E_INTERNAL, "an index that only reads replaces nothing");
    pthread_mutex_lock(&x->lock);
    rc = replace(&r, err);
    pthread_mutex_unlock(&x->lock);
    bk_strv_free(&r.old);
    bk_strv_free(&r.new);
    bk_table_release(&r.unknown);
    bk_buf_free(&r.out);
    free(r.done);
    free(r.wanted);
    return rc;
}

/* An id and a length for each chunk. */
bool bk_index_scattered(struct bk_index *x)
{
    uint64_t needed = bk_index_count(x) * (sizeof(bk_id) + 3) / BK_INDEX_OBJECT;
    bool many;

    pthread_mutex_lock(&x->lock);
    many = x->objects.n > SCATTERED + 2 * needed;
    pthread_mutex_unlock(&x->lock);
    return many;
}
