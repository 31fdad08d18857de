/* Bringing the index up to date with the store. */
#include "base/cleanup.h"
#include "base/codec.h"
#include "base/log.h"
#include "store/index_private.h"
#include "store/sealed.h"

#include <stdlib.h>

#define OBJECT_LIMIT (256u << 20)

struct listed { /* a pack as the sink lists it */
    bk_id id;
    uint64_t size;
};

struct listing {
    struct listed *packs; /* by id, without the bad ones */
    size_t n, cap;
    struct bk_strv objects; /* indexes/... */
    struct bk_strv bad;     /* bad/... */
    int rc;
};

static int on_pack(void *arg, const char *name, uint64_t size, int64_t mtime_ns)
{
    struct listing *l = arg;

    (void)mtime_ns;
    if (l->n == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 256;
        struct listed *more = realloc(l->packs, cap * sizeof(*more));

        if (!more)
            return l->rc = BAKE_E_NOMEM;
        l->packs = more;
        l->cap = cap;
    }
    if (bk_pack_name_parse(name, &l->packs[l->n].id))
        l->packs[l->n++].size = size;
    return 0;
}

static int on_name(void *arg, const char *name, uint64_t size, int64_t mtime_ns)
{
    (void)size;
    (void)mtime_ns;
    return bk_strv_add(arg, name);
}

static int by_id(const void *a, const void *b)
{
    return memcmp(((const struct listed *)a)->id.b, ((const struct listed *)b)->id.b,
                  sizeof(bk_id));
}

static struct listed *listed_as(const struct listing *l, const bk_id *id)
{
    struct listed key = {.id = *id};

    return l->n ? bsearch(&key, l->packs, l->n, sizeof(key), by_id) : NULL;
}

/* A pack that was found bad is as if it were not there. */
static void leave_out_bad(struct listing *l)
{
    size_t kept = 0;

    for (size_t i = 0; i < l->bad.n; i++) {
        const char *name = l->bad.items[i] + strlen("bad/");
        struct listed *at;
        bk_id id;

        if (bk_unhex(name, id.b, sizeof(id.b)) && (at = listed_as(l, &id)))
            at->size = 0;
    }
    for (size_t i = 0; i < l->n; i++)
        if (l->packs[i].size > 0)
            l->packs[kept++] = l->packs[i];
    l->n = kept;
}

static int list_all(struct bk_sink *sink, struct listing *l, struct bk_err *err)
{
    int rc = bk_sink_list(sink, "packs/", on_pack, l, err);

    if (rc >= 0)
        rc = bk_sink_list(sink, BK_INDEX_DIR, on_name, &l->objects, err);
    if (rc >= 0)
        rc = bk_sink_list(sink, "bad/", on_name, &l->bad, err);
    if (l->rc < 0)
        return bk_nomem(err);
    bk_strv_sort(&l->objects);
    if (l->n)
        qsort(l->packs, l->n, sizeof(*l->packs), by_id);
    leave_out_bad(l);
    return rc < 0 ? rc : BAKE_OK;
}

void bk_index_write_pack(const bk_id *pack, uint64_t size, uint32_t head,
                         const struct bk_pack_table *table, struct bk_buf *out)
{
    struct bk_buf t = BK_BUF_INIT;

    bk_pack_table_write(table, &t);
    bk_buf_add(out, pack->b, sizeof(pack->b));
    bk_put_varint(out, size);
    bk_put_varint(out, head);
    bk_put_bytes(out, t.data, t.len);
    out->failed |= t.failed;
    bk_buf_free(&t);
}

/* ---- index objects --------------------------------------------------------------------------- */

/* What is done with each pack of an index object. */
struct taker {
    struct bk_index *x;
    const struct listing *listing; /* a repair: NULL */
    bool *done;                    /* a repair: packs that have their chunks again */
};

/* A pack that is not there as the object says is left out: were it known, its chunks would hide
 * the same chunks in packs that are there. */
static int take_pack(struct taker *t, const bk_id *id, uint64_t size, uint32_t head,
                     const struct bk_pack_table *table, struct bk_err *err)
{
    const struct listed *l = t->listing ? listed_as(t->listing, id) : NULL;
    const struct bk_index_pack *p = bk_index_pack_of(t->x, id);
    uint32_t number = p ? (uint32_t)(p - t->x->packs) : 0;

    if (t->listing)
        return l && l->size == size ? bk_index_put_pack(t->x, id, size, head, table, &number, err)
                                    : BAKE_OK;
    if (!p || t->done[number])
        return BAKE_OK;
    t->done[number] = true;
    return bk_index_put_chunks(t->x, number, table, err);
}

static int take_packs(struct taker *t, const struct bk_buf *plain, struct bk_err *err)
{
    struct bk_reader r = bk_reader_of(plain->data, plain->len);
    int rc = BAKE_OK;

    while (rc >= 0 && r.p < r.end) {
        const bk_id *id = bk_get_raw(&r, sizeof(*id));
        uint64_t size = bk_get_varint(&r), head = bk_get_varint(&r);
        struct bk_pack_table table;
        size_t n;
        const void *bytes = bk_get_bytes(&r, &n);

        if (r.bad || head > BK_PACK_HEAD_MAX)
            return bk_fail(err, BAKE_E_CORRUPT, "an index object is damaged");
        rc = bk_pack_table_parse(bytes, n, &table, err);
        if (rc < 0)
            return rc;
        if (bk_pack_table_end(&table, head) > size)
            rc = bk_fail(err, BAKE_E_CORRUPT, "an index object says what does not fit the pack");
        else
            rc = take_pack(t, id, size, (uint32_t)head, &table, err);
        bk_pack_table_release(&table);
    }
    return rc;
}

static int load_object(struct taker *t, struct bk_sink *sink, const char *name, struct bk_err *err)
{
    struct bk_buf plain BK_CLEANUP(bk_buf_free) = BK_BUF_INIT;
    int rc = bk_sealed_get(t->x->store, sink, name, OBJECT_LIMIT, &plain, err);

    return rc < 0 ? rc : take_packs(t, &plain, err);
}

/* Ends everything, as against damage, which the packs' own tables make good. */
static bool fatal(int rc)
{
    return rc == BAKE_E_CANCELLED || rc == BAKE_E_NOMEM || rc == BAKE_E_KEY || rc == BAKE_E_NOSPACE;
}

/* All objects of x must still be there: a prune that replaced some has changed where chunks are.
 * All packs too: where one is gone, another that holds the same chunks may not be in the runs. */
static bool still_there(const struct bk_index *x, const struct listing *l)
{
    size_t k = 0;

    for (size_t i = 0; i < x->n_packs; i++) {
        const struct listed *at = listed_as(l, &x->packs[i].id);

        if (!at || at->size != x->packs[i].size)
            return false;
    }
    for (size_t i = 0; i < x->objects.n; i++) {
        while (k < l->objects.n && strcmp(l->objects.items[k], x->objects.items[i]) < 0)
            k++;
        if (k == l->objects.n || !bk_streq(l->objects.items[k], x->objects.items[i]))
            return false;
    }
    return true;
}

static int load_objects(struct bk_index *x, struct bk_sink *sink, const struct listing *l,
                        struct bk_err *err)
{
    struct taker t = {.x = x, .listing = l};
    struct bk_strv before = {0};
    int rc = BAKE_OK;

    if (!still_there(x, l))
        bk_index_reset(x);
    for (size_t i = 0; i < x->objects.n && rc >= 0; i++)
        rc = bk_strv_add(&before, x->objects.items[i]) < 0 ? bk_nomem(err) : BAKE_OK;
    for (size_t i = 0; i < l->objects.n && rc >= 0; i++) {
        struct bk_err why = {0};

        if (bk_strv_has(&before, l->objects.items[i]))
            continue;
        rc = load_object(&t, sink, l->objects.items[i], &why);
        if (rc >= 0 && bk_strv_add(&x->objects, l->objects.items[i]) < 0)
            rc = bk_nomem(&why);
        if (rc < 0 && fatal(rc)) {
            *err = why;
        } else if (rc < 0) {
            bk_log(BAKE_LOG_WARN, "%s: '%s' cannot be used, reading the packs themselves: %s",
                   sink->label, l->objects.items[i], why.text);
            rc = BAKE_OK;
        }
    }
    bk_strv_free(&before);
    bk_strv_sort(&x->objects);
    return rc;
}

/* ---- packs ----------------------------------------------------------------------------------- */

/* One that no index object names: of a run that was killed. What it holds need not be read and put
 * again. */
static int adopt(struct bk_index *x, struct bk_sink *sink, const struct listed *l,
                 struct bk_err *err)
{
    struct bk_pack_table table;
    uint32_t head, number;
    int rc = bk_sealed_pack_table(x->store, sink, &l->id, l->size, &table, &head, err);

    if (rc < 0)
        return rc;
    rc = bk_index_put_pack(x, &l->id, l->size, head, &table, &number, err);
    if (rc >= 0 && x->n_pending++ == 0)
        x->pending_since_ms = 0;
    bk_index_write_pack(&l->id, l->size, head, &table, &x->pending);
    bk_pack_table_release(&table);
    return rc;
}

static int adopt_all(struct bk_index *x, struct bk_sink *sink, const struct listing *l,
                     struct bk_err *err)
{
    for (size_t i = 0; i < l->n; i++) {
        struct bk_err why = {0};
        int rc = BAKE_OK;

        if (!bk_index_pack_of(x, &l->packs[i].id))
            rc = adopt(x, sink, &l->packs[i], &why);
        if (rc < 0 && fatal(rc)) {
            *err = why;
            return rc;
        }
        if (rc < 0)
            bk_log(BAKE_LOG_WARN, "%s: a pack cannot be used: %s", sink->label, why.text);
    }
    return BAKE_OK;
}

int bk_index_sync(struct bk_index *x, struct bk_err *err)
{
    struct bk_sink *sink = bk_store_base(x->store);
    struct listing l = {0};
    int rc;

    if (!sink)
        return bk_fail(err, BAKE_E_UNAVAILABLE, "no sink of the store can be read");
    rc = list_all(sink, &l, err);
    if (rc >= 0)
        rc = load_objects(x, sink, &l, err);
    if (rc >= 0)
        rc = adopt_all(x, sink, &l, err);
    for (size_t i = 0; i < x->n_packs; i++) /* others were left out */
        x->packs[i].present = true;
    free(l.packs);
    bk_strv_free(&l.objects);
    bk_strv_free(&l.bad);
    return rc;
}

/* The index objects say it, what is pending says it, and for the rest the packs themselves. */
static int read_again(struct taker *t, struct bk_sink *sink, struct bk_err *err)
{
    struct bk_index *x = t->x;
    int rc = take_packs(t, &x->pending, err);

    for (size_t i = 0; i < x->objects.n && rc >= 0; i++) {
        rc = load_object(t, sink, x->objects.items[i], err);
        if (rc < 0 && !fatal(rc))
            rc = BAKE_OK;
    }
    for (size_t i = 0; i < x->n_packs && rc >= 0; i++) {
        struct bk_pack_table table;
        uint32_t head;

        if (t->done[i])
            continue;
        rc = bk_sealed_pack_table(x->store, sink, &x->packs[i].id, x->packs[i].size, &table, &head,
                                  err);
        if (rc < 0)
            return rc;
        rc = bk_index_put_chunks(x, (uint32_t)i, &table, err);
        bk_pack_table_release(&table);
    }
    return rc;
}

int bk_index_repair(struct bk_index *x, struct bk_err *err)
{
    struct bk_sink *sink = bk_store_base(x->store);
    struct taker t = {.x = x};
    int rc;

    bk_log(BAKE_LOG_WARN, "the index cache is damaged, reading the store's index again");
    bk_index_drop_runs(x);
    x->damaged = true; /* until it is known again where everything is */
    if (!sink)
        return bk_fail(err, BAKE_E_UNAVAILABLE, "no sink of the store can be read");
    t.done = calloc(x->n_packs + 1, sizeof(*t.done));
    if (!t.done)
        return bk_nomem(err);
    rc = read_again(&t, sink, err);
    free(t.done);
    x->damaged = rc < 0;
    return rc;
}

int bk_index_flush(struct bk_index *x, struct bk_err *err)
{
    char name[sizeof(BK_INDEX_DIR) + 2 * sizeof(bk_id)];
    int rc;

    if (x->n_pending == 0)
        return BAKE_OK;
    if (x->pending.failed)
        return bk_nomem(err);
    rc = bk_sealed_put(x->store, BK_INDEX_DIR, &x->pending, name, sizeof(name), err);
    if (rc < 0)
        return rc;
    bk_buf_clear(&x->pending);
    x->n_pending = 0;
    return bk_strv_add(&x->objects, name) < 0 ? bk_nomem(err) : BAKE_OK;
}
