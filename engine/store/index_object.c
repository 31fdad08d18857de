/* Index objects: sets of (pack id, size, header's size, chunk table), through the transforms. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "store/index_private.h"
#include "store/sealed.h"

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

int bk_index_each_pack(const struct bk_buf *plain,
                       int (*each)(void *arg, const struct bk_index_said *p, struct bk_err *err),
                       void *arg, struct bk_err *err)
{
    struct bk_reader r = bk_reader_of(plain->data, plain->len);
    int rc = BAKE_OK;

    while (rc >= 0 && r.p < r.end) {
        const bk_id *id = bk_get_raw(&r, sizeof(*id));
        uint64_t size = bk_get_varint(&r), head = bk_get_varint(&r);
        struct bk_index_said p;
        size_t n;
        const void *bytes = bk_get_bytes(&r, &n);

        if (r.bad || head > BK_PACK_HEAD_MAX)
            return bk_fail(err, BAKE_E_CORRUPT, "an index object is damaged");
        p.id = *id;
        p.size = size;
        p.head = (uint32_t)head;
        rc = bk_pack_table_parse(bytes, n, &p.table, err);
        if (rc < 0)
            return rc;
        if (bk_pack_table_end(&p.table, head) > size)
            rc = bk_fail(err, BAKE_E_CORRUPT, "an index object says what does not fit the pack");
        else
            rc = each(arg, &p, err);
        bk_pack_table_release(&p.table);
    }
    return rc;
}

int bk_index_each_of_object(struct bk_index *x, const char *name,
                            int (*each)(void *arg, const struct bk_index_said *p,
                                        struct bk_err *err),
                            void *arg, struct bk_err *err)
{
    struct bk_buf plain BK_CLEANUP(bk_buf_free) = BK_BUF_INIT;
    int rc = bk_sealed_get(x->store, x->sink, name, BK_INDEX_OBJECT_LIMIT, &plain, err);

    return rc < 0 ? rc : bk_index_each_pack(&plain, each, arg, err);
}

/* ---- what no index object says yet ----------------------------------------------------------- */

int bk_index_pend(struct bk_index *x, uint32_t number, const struct bk_pack_table *table,
                  struct bk_err *err)
{
    struct bk_index_pack *p = &x->packs[number];

    if (x->read_only)
        return BAKE_OK;
    if (x->n_pending++ == 0)
        x->pending_since_ms = bk_monotonic_ms();
    /* The cache, where this is kept, is not written before it is true. */
    p->named = true;
    x->changed = true;
    bk_index_write_pack(&p->id, p->size, p->head, table, &x->pending);
    return x->pending.failed ? bk_nomem(err) : BAKE_OK;
}

bool bk_index_flush_due(const struct bk_index *x)
{
    return !x->flushing && x->n_pending > 0 &&
           (x->n_pending >= BK_INDEX_FLUSH_PACKS || x->pending.len >= BK_INDEX_FLUSH_BYTES ||
            bk_monotonic_ms() - x->pending_since_ms >= BK_INDEX_FLUSH_MS);
}

/* What could not be put waits on, before what came meanwhile. */
static void put_back(struct bk_index *x, struct bk_buf *plain, size_t n)
{
    bk_buf_add(plain, x->pending.data, x->pending.len);
    plain->failed |= x->pending.failed;
    bk_buf_free(&x->pending);
    x->pending = *plain;
    x->n_pending += n;
}

int bk_index_flush(struct bk_index *x, struct bk_err *err)
{
    char name[sizeof(BK_INDEX_DIR) + 2 * sizeof(bk_id)];
    struct bk_buf plain;
    size_t n;
    int rc;

    while (x->flushing)
        pthread_cond_wait(&x->flushed, &x->lock);
    if (x->n_pending == 0)
        return BAKE_OK;
    if (x->pending.failed)
        return bk_nomem(err);
    plain = x->pending;
    n = x->n_pending;
    x->pending = (struct bk_buf)BK_BUF_INIT;
    x->n_pending = 0;
    x->flushing = true;
    pthread_mutex_unlock(&x->lock);
    rc = bk_sealed_put(x->store, BK_INDEX_DIR, &plain, name, sizeof(name), err);
    pthread_mutex_lock(&x->lock);
    x->flushing = false;
    pthread_cond_broadcast(&x->flushed);
    if (rc < 0) {
        put_back(x, &plain, n);
        return rc;
    }
    bk_buf_free(&plain);
    return bk_strv_add(&x->objects, name) < 0 ? bk_nomem(err) : BAKE_OK;
}
