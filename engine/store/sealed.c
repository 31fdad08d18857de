/* Small reads and writes through the transforms. */
#include "store/sealed.h"

#include "base/cleanup.h"
#include "base/codec.h"
#include "store/lag.h"
#include "store/transforms.h"

#include <stdlib.h>

#define MAGIC   "BAKEINDX"
#define VERSION 1u

#define ATTEMPTS      5
#define FIRST_WAIT_MS 500u

struct taker {
    struct bk_buf *out;
    size_t limit; /* of out->len */
};

static int take(void *arg, const void *data, size_t n, struct bk_err *err)
{
    struct taker *t = arg;

    if (n > t->limit - t->out->len)
        return bk_fail(err, BAKE_E_CORRUPT, "it decodes to more bytes than it says");
    return bk_buf_add(t->out, data, n) < 0 ? bk_nomem(err) : BAKE_OK;
}

static int run_chain(struct bk_store *s, const struct bk_transform *t, size_t n_transforms, int dir,
                     const void *data, size_t n, size_t limit, struct bk_buf *out,
                     struct bk_err *err)
{
    struct taker taker = {out, limit == SIZE_MAX ? SIZE_MAX : out->len + limit};
    struct bk_chain *chain;
    int rc =
        bk_chain_new(t, n_transforms, dir, BAKE_ONE_THREAD, s->cancel, take, &taker, &chain, err);

    if (rc < 0)
        return rc;
    rc = bk_chain_push(chain, data, n, err);
    if (rc >= 0)
        rc = bk_chain_finish(chain, err);
    bk_chain_free(chain);
    return rc;
}

int bk_sealed_decode(struct bk_store *s, const struct bk_strv *names, bool raw, const void *data,
                     size_t n, size_t limit, struct bk_buf *out, struct bk_err *err)
{
    struct bk_transform *t BK_FREE = NULL;
    size_t kept = 0;
    int rc = bk_store_transforms_for(s, names, &t, err);

    if (rc < 0)
        return rc;
    for (size_t i = 0; i < names->n; i++)
        if (!raw || !(t[i].plugin->transform.traits & BAKE_COMPRESSES))
            t[kept++] = t[i];
    return run_chain(s, t, kept, BAKE_REVERSE, data, n, limit, out, err);
}

static int encode(struct bk_store *s, const char *folder, const struct bk_buf *plain,
                  struct bk_buf *out, char *ret, size_t cap, struct bk_err *err)
{
    struct bk_buf names BK_CLEANUP(bk_buf_free) = BK_BUF_INIT;
    char hex[BK_SHA256_HEX];
    int rc;

    for (size_t i = 0; i < s->n_transforms; i++)
        bk_put_string(&names, s->transforms[i].plugin->desc.name);
    bk_buf_add(out, MAGIC, 8);
    bk_put_u32(out, VERSION);
    bk_put_u32(out, (uint32_t)(20 + names.len));
    bk_put_u32(out, (uint32_t)s->n_transforms);
    bk_buf_add(out, names.data, names.len);
    if (names.failed || out->failed)
        return bk_nomem(err);
    rc = run_chain(s, s->transforms, s->n_transforms, BAKE_FORWARD, plain->data, plain->len,
                   SIZE_MAX, out, err);
    if (rc < 0)
        return rc;
    if (bk_sha256_hex_of(out->data, out->len, hex) < 0)
        return bk_nomem(err);
    (void)snprintf(ret, cap, "%s%s", folder, hex);
    return BAKE_OK;
}

int bk_sealed_put(struct bk_store *s, const char *folder, const struct bk_buf *plain, char *ret,
                  size_t cap, struct bk_err *err)
{
    struct bk_buf out BK_CLEANUP(bk_buf_free) = BK_BUF_INIT;
    int rc = encode(s, folder, plain, &out, ret, cap, err);
    size_t sink;

    if (rc >= 0)
        rc = bk_store_feed(s, ret, out.data, out.len, BAKE_PUT_IF_ABSENT, &sink, err);
    if (rc < 0 || sink == SIZE_MAX)
        return rc;
    return bk_lag_add(s, ret, sink, ret + strlen(folder), false, err);
}

int bk_sealed_put_to(struct bk_store *s, struct bk_sink *sink, const char *folder,
                     const struct bk_buf *plain, char *ret, size_t cap, struct bk_err *err)
{
    struct bk_buf out BK_CLEANUP(bk_buf_free) = BK_BUF_INIT;
    int rc = encode(s, folder, plain, &out, ret, cap, err);

    return rc < 0 ? rc : bk_sink_put(sink, ret, out.data, out.len, BAKE_PUT_IF_ABSENT, err);
}

static int parse_head(struct bk_reader *r, struct bk_strv *ret, struct bk_err *err)
{
    const unsigned char *start = r->p;
    const void *magic = bk_get_raw(r, 8);
    uint32_t version = bk_get_u32(r), size = bk_get_u32(r), n = bk_get_u32(r);

    if (!magic || memcmp(magic, MAGIC, 8) != 0)
        return bk_fail(err, BAKE_E_CORRUPT, "this is not an index object");
    if (!r->bad && version != VERSION)
        return bk_fail(err, BAKE_E_UNSUPPORTED, "it has version %u; this bakengine reads %u",
                       version, VERSION);
    for (uint32_t i = 0; i < n && !r->bad; i++) {
        const char *name = bk_get_string(r);

        r->bad |= !name;
        if (name && bk_strv_add(ret, name) < 0)
            return bk_nomem(err);
    }
    if (r->bad || (size_t)(r->p - start) != size)
        return bk_fail(err, BAKE_E_CORRUPT, "the index object's header is damaged");
    return BAKE_OK;
}

int bk_sealed_get(struct bk_store *s, struct bk_sink *sink, const char *name, size_t limit,
                  struct bk_buf *plain, struct bk_err *err)
{
    struct bk_buf stored BK_CLEANUP(bk_buf_free) = BK_BUF_INIT;
    struct bk_strv names BK_CLEANUP(bk_strv_free) = {0};
    const char *slash = strrchr(name, '/');
    char hex[BK_SHA256_HEX];
    struct bk_reader r;
    int rc = bk_sink_get(sink, name, limit, &stored, err);

    if (rc < 0)
        return rc;
    if (bk_sha256_hex_of(stored.data, stored.len, hex) < 0)
        return bk_nomem(err);
    if (!slash || !bk_streq(slash + 1, hex))
        return bk_fail(err, BAKE_E_CORRUPT, "'%s' does not match its name", name);
    r = bk_reader_of(stored.data, stored.len);
    rc = parse_head(&r, &names, err);
    if (rc >= 0)
        rc = bk_sealed_decode(s, &names, false, r.p, (size_t)(r.end - r.p), limit, plain, err);
    return rc;
}

static int range_once(struct bk_sink *sink, struct bk_ctx *ctx, const char *name, uint64_t offset,
                      uint64_t n, struct bk_buf *out)
{
    void *get;
    int rc = sink->ops->get_begin(sink->self, &ctx->base, name, offset, n, &get), idle = 0;

    if (rc < 0)
        return rc;
    while (n > 0) {
        struct bake_out part = {out->data + out->len, (size_t)n, 0};

        rc = sink->ops->get_read(get, &part);
        rc = bk_sink_progress(ctx, part.pos, rc, &idle);
        if (rc < 0)
            break;
        out->len += part.pos;
        n -= part.pos;
        if (rc == BAKE_END)
            break;
    }
    sink->ops->get_close(get);
    if (rc >= 0 && n > 0)
        rc = bake_fail(&ctx->base, BAKE_E_CORRUPT, "'%s' is cut", name);
    return rc < 0 ? rc : BAKE_OK;
}

int bk_sealed_range(struct bk_sink *sink, const char *name, uint64_t offset, uint64_t n,
                    struct bk_buf *out, struct bk_err *err)
{
    size_t before = out->len;

    if (n == 0)
        return BAKE_OK;
    if (bk_buf_reserve(out, (size_t)n) < 0)
        return bk_nomem(err);
    for (int attempt = 0;; attempt++) {
        struct bk_ctx ctx;
        int rc;

        out->len = before;
        bk_sink_ctx(sink, NULL, &ctx);
        rc = range_once(sink, &ctx, name, offset, n, out);
        out->data[out->len] = '\0';
        if (rc >= 0)
            return BAKE_OK;
        if ((rc == BAKE_E_UNAVAILABLE || rc == BAKE_E_TIMEOUT) && attempt + 1 < ATTEMPTS &&
            bk_cancel_sleep(sink->cancel, FIRST_WAIT_MS << attempt) == 0)
            continue;
        if ((rc == BAKE_E_UNAVAILABLE || rc == BAKE_E_TIMEOUT) && bk_cancelled(sink->cancel))
            rc = BAKE_E_CANCELLED; /* the sink is not to blame */
        out->len = before;
        return bk_ctx_fail(&ctx, rc, err);
    }
}

int bk_sealed_pack_table(struct bk_store *s, struct bk_sink *sink, const bk_id *pack, uint64_t size,
                         struct bk_pack_table *ret, uint32_t *ret_head, struct bk_err *err)
{
    struct bk_buf bytes BK_CLEANUP(bk_buf_free) = BK_BUF_INIT;
    struct bk_buf plain BK_CLEANUP(bk_buf_free) = BK_BUF_INIT;
    struct bk_pack_head head = {.size = 0};
    struct bk_pack_foot foot;
    char name[BK_PACK_NAME_CAP];
    int rc;

    bk_pack_name(pack, name);
    if (size < BK_PACK_FOOTER + BK_PACK_HEAD_MIN)
        return bk_fail(err, BAKE_E_CORRUPT, "%s: '%s' is cut", sink->label, name);
    rc = bk_sealed_range(sink, name, size - BK_PACK_FOOTER, BK_PACK_FOOTER, &bytes, err);
    if (rc >= 0)
        rc = bk_pack_foot_parse((unsigned char *)bytes.data, size, &foot, err);
    if (rc < 0)
        return bk_prefix(err, "%s: '%s'", sink->label, name);
    bk_buf_clear(&bytes);
    rc = bk_sealed_range(
        sink, name, 0, foot.table_offset < BK_PACK_HEAD_MAX ? foot.table_offset : BK_PACK_HEAD_MAX,
        &bytes, err);
    if (rc >= 0)
        rc = bk_pack_head_parse(bytes.data, bytes.len, &head, err);
    bk_buf_clear(&bytes);
    if (rc >= 0)
        rc = bk_sealed_range(sink, name, foot.table_offset, foot.table_stored, &bytes, err);
    if (rc >= 0)
        rc = bk_sealed_decode(s, &head.transforms, false, bytes.data, bytes.len, foot.table_plain,
                              &plain, err);
    if (rc >= 0)
        rc = bk_pack_table_parse(plain.data, plain.len, ret, err);
    if (rc >= 0 &&
        (plain.len != foot.table_plain || bk_pack_table_end(ret, head.size) != foot.table_offset)) {
        bk_pack_table_release(ret);
        rc = bk_fail(err, BAKE_E_CORRUPT, "the chunk table does not fit the pack");
    }
    *ret_head = (uint32_t)head.size;
    bk_strv_free(&head.transforms);
    return rc < 0 ? bk_prefix(err, "%s: '%s'", sink->label, name) : BAKE_OK;
}
