/* Reading one object of the log archive. */
#include "store/wal.h"

#include "base/cleanup.h"
#include "base/codec.h"
#include "store/transforms.h"

#include <string.h>

#define ATTEMPTS      5
#define FIRST_WAIT_MS 500u
#define GET_BUFFER    (256u << 10)

struct reading { /* one attempt */
    struct bk_store *store;
    const struct bk_wal_taker *taker;
    struct bk_buf head, first; /* the clear header; the first transformed bytes: until whole */
    struct bk_transform *transforms;
    struct bk_chain *chain; /* NULL: the header is not whole yet */
    struct bk_sha256 *sha;
    struct bk_wal_facts facts;
    bool begun;
    uint64_t seen;
};

static void reading_release(struct reading *r)
{
    bk_chain_free(r->chain);
    free(r->transforms);
    bk_sha256_free(r->sha);
    bk_buf_free(&r->head);
    bk_buf_free(&r->first);
}

static int begin(struct reading *r, struct bk_err *err)
{
    struct bk_reader in = bk_reader_of(r->first.data, r->first.len);
    const void *sha;

    r->facts.size = bk_get_u64(&in);
    sha = bk_get_raw(&in, BK_SHA256_LEN);
    if (!sha)
        return bk_fail(err, BAKE_E_INTERNAL, "a log's first bytes are cut");
    memcpy(r->facts.sha256, sha, BK_SHA256_LEN);
    r->begun = true;
    return r->taker->begin ? r->taker->begin(r->taker->arg, &r->facts, err) : BAKE_OK;
}

static int take(void *arg, const void *data, size_t n, struct bk_err *err)
{
    struct reading *r = arg;

    if (!r->begun) {
        size_t part = BK_WAL_FACTS - r->first.len < n ? BK_WAL_FACTS - r->first.len : n;
        int rc = bk_buf_add(&r->first, data, part) < 0 ? bk_nomem(err) : BAKE_OK;

        if (rc >= 0 && r->first.len == BK_WAL_FACTS)
            rc = begin(r, err);
        if (rc < 0)
            return rc;
        data = (const char *)data + part;
        n -= part;
    }
    if (n == 0)
        return BAKE_OK;
    if (n > r->facts.size - r->seen)
        return bk_fail(err, BAKE_E_CORRUPT, "it decodes to more bytes than it says");
    bk_sha256_add(r->sha, data, n);
    r->seen += n;
    return r->taker->data ? r->taker->data(r->taker->arg, data, n, err) : BAKE_OK;
}

/* Stored bytes, in order. */
static int feed(struct reading *r, const void *data, size_t n, struct bk_err *err)
{
    struct bk_wal_head head;
    int rc;

    if (r->chain)
        return n > 0 ? bk_chain_push(r->chain, data, n, err) : BAKE_OK;
    if (bk_buf_add(&r->head, data, n) < 0)
        return bk_nomem(err);
    rc = bk_wal_head_parse(r->head.data, r->head.len, &head, err);
    if (rc != BAKE_OK)
        return rc < 0 ? rc : BAKE_OK;
    rc = bk_store_transforms_for(r->store, &head.transforms, &r->transforms, err);
    if (rc >= 0)
        rc = bk_chain_new(r->transforms, head.transforms.n, BAKE_REVERSE, BAKE_ONE_THREAD,
                          r->store->cancel, take, r, &r->chain, err);
    bk_strv_free(&head.transforms);
    if (rc >= 0 && r->head.len > head.size)
        rc = bk_chain_push(r->chain, r->head.data + head.size, r->head.len - head.size, err);
    return rc;
}

static int end(struct reading *r, struct bk_err *err)
{
    unsigned char sha[BK_SHA256_LEN];
    int rc = r->chain ? bk_chain_finish(r->chain, err) : BAKE_OK;

    if (rc < 0)
        return rc;
    if (!r->begun || r->seen != r->facts.size)
        return bk_fail(err, BAKE_E_CORRUPT, "it is cut");
    bk_sha256_end(r->sha, sha);
    if (memcmp(sha, r->facts.sha256, sizeof(sha)) != 0)
        return bk_fail(err, BAKE_E_CORRUPT, "its bytes do not have the SHA-256 that it says");
    return BAKE_OK;
}

static int read_all(struct reading *r, struct bk_sink *sink, void *get, struct bk_ctx *ctx,
                    char *buffer, struct bk_err *err)
{
    bool first = true;
    int idle = 0;

    for (;;) {
        struct bake_out out = {buffer, GET_BUFFER, 0};
        int rc = sink->ops->get_read(get, &out), fed = BAKE_OK;

        rc = bk_sink_progress(ctx, out.pos, rc, &idle);
        if (rc < 0)
            return bk_ctx_fail(ctx, rc, err);
        if (bk_cancelled(r->store->cancel))
            return bk_fail(err, BAKE_E_CANCELLED, "cancelled");
        if (r->taker->raw)
            fed = r->taker->raw(r->taker->arg, buffer, out.pos, first, err);
        first = false;
        if (fed >= 0)
            fed = feed(r, buffer, out.pos, err);
        if (fed < 0)
            return fed;
        if (rc == BAKE_END)
            return end(r, err);
    }
}

static int read_once(struct bk_store *s, struct bk_sink *sink, const char *object,
                     const struct bk_wal_taker *taker, char *buffer, struct bk_err *err)
{
    struct reading r = {.store = s, .taker = taker};
    struct bk_ctx ctx;
    void *get;
    int rc = bk_sha256_new(&r.sha, err);

    if (rc < 0)
        return rc;
    bk_sink_ctx(sink, NULL, &ctx);
    rc = sink->ops->get_begin(sink->self, &ctx.base, object, 0, 0, &get);
    if (rc < 0) {
        rc = bk_ctx_fail(&ctx, rc, err);
    } else {
        rc = read_all(&r, sink, get, &ctx, buffer, err);
        sink->ops->get_close(get);
        if (rc < 0)
            (void)bk_prefix(err, "%s: log '%s'", sink->label, object);
    }
    reading_release(&r);
    return rc;
}

int bk_wal_read(struct bk_store *s, struct bk_sink *sink, const char *object,
                const struct bk_wal_taker *taker, struct bk_err *err)
{
    char *buffer BK_FREE = malloc(GET_BUFFER);
    struct bk_err why = {0};

    if (!buffer)
        return bk_nomem(err);
    for (int attempt = 0;; attempt++) {
        int rc = bk_cancelled(s->cancel) ? bk_fail(&why, BAKE_E_CANCELLED, "cancelled")
                                         : read_once(s, sink, object, taker, buffer, &why);

        if ((rc == BAKE_E_UNAVAILABLE || rc == BAKE_E_TIMEOUT) && attempt + 1 < ATTEMPTS &&
            bk_cancel_sleep(s->cancel, FIRST_WAIT_MS << attempt) == 0)
            continue;
        if ((rc == BAKE_E_UNAVAILABLE || rc == BAKE_E_TIMEOUT) && bk_cancelled(s->cancel))
            rc = bk_fail(&why, BAKE_E_CANCELLED, "cancelled"); /* the sink is not to blame */
        if (rc < 0 && err)
            *err = why;
        return rc;
    }
}

static int count(void *arg, const struct bk_wal_facts *facts, struct bk_err *err)
{
    (void)err;
    *(uint64_t *)arg = facts->size;
    return BAKE_OK;
}

int bk_wal_check(struct bk_store *s, struct bk_sink *sink, const char *object, uint64_t *ret_bytes,
                 struct bk_err *err)
{
    const struct bk_wal_taker taker = {.begin = count, .arg = ret_bytes};

    *ret_bytes = 0;
    return bk_wal_read(s, sink, object, &taker, err);
}
