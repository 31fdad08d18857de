/* Feeds bytes to everything that reads the repository's own records: a pack's header, table and
 * footer, entries, lists of references. The first byte chooses. What is taken is written again and
 * must be the same bytes: a value has one form. */
#include "store/entrycodec.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must_equal(const struct bk_buf *b, const uint8_t *data, size_t size)
{
    if (b->failed || b->len != size || (size && memcmp(b->data, data, size) != 0))
        abort();
}

static void head(const uint8_t *data, size_t size)
{
    struct bk_buf b = BK_BUF_INIT;
    struct bk_pack_head h;
    struct bk_err err = {0};

    if (bk_pack_head_parse(data, size, &h, &err) < 0)
        return;
    if (h.size > size)
        abort();
    bk_pack_head_write(h.kind, h.nonce, &h.transforms, &b);
    must_equal(&b, data, h.size);
    bk_buf_free(&b);
    bk_strv_free(&h.transforms);
}

static void table(const uint8_t *data, size_t size)
{
    struct bk_buf b = BK_BUF_INIT;
    struct bk_pack_table t;
    struct bk_err err = {0};
    size_t chunks = 0;

    if (bk_pack_table_parse(data, size, &t, &err) < 0)
        return;
    for (size_t i = 0; i < t.n_segments; i++)
        chunks += t.segments[i].chunks;
    if (chunks != t.n_chunks)
        abort();
    bk_pack_table_write(&t, &b);
    must_equal(&b, data, size);
    bk_buf_free(&b);
    bk_pack_table_release(&t);
}

static void foot(const uint8_t *data, size_t size)
{
    struct bk_buf b = BK_BUF_INIT;
    struct bk_pack_foot f;
    struct bk_err err = {0};

    if (size < BK_PACK_FOOTER + 8 || bk_pack_foot_parse(data + 8, bk_le64(data), &f, &err) < 0)
        return;
    if (f.table_offset + f.table_stored + BK_PACK_FOOTER != bk_le64(data))
        abort();
    bk_pack_foot_write(&f, &b);
    must_equal(&b, data + 8, BK_PACK_FOOTER);
    bk_buf_free(&b);
}

static void entry(const uint8_t *data, size_t size)
{
    struct bk_stored_entry s = {.flags = 0};
    struct bk_buf b = BK_BUF_INIT;
    struct bk_err err = {0};
    size_t n;

    if (bk_entry_parse(data, size, &s, &err) >= 0) {
        struct bk_reader r;
        const void *again;

        if (bk_entry_write(&s.e, s.flags, &s.content, &b) < 0)
            abort();
        r = bk_reader_of(b.data, b.len);
        again = bk_get_bytes(&r, &n);
        if (!again || n != size || memcmp(again, data, n) != 0)
            abort();
    }
    bk_buf_free(&b);
    bk_stored_entry_release(&s);
}

static void refs(const uint8_t *data, size_t size)
{
    struct bk_reader in = bk_reader_of(data, size);
    struct bk_buf b = BK_BUF_INIT;
    struct bk_refs r = {0};

    if (bk_refs_parse_chunk(data, size, &r) && (r.n == 0 || r.n > BK_REFS_CHUNK))
        abort();
    if (bk_refs_parse(&in, &r)) {
        bk_refs_write(&r, &b);
        must_equal(&b, data, (size_t)(in.p - data));
    }
    bk_buf_free(&b);
    bk_refs_release(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const parts[])(const uint8_t *data, size_t size) = {head, table, foot, entry,
                                                                      refs};

    if (size > 0)
        parts[data[0] % 5](data + 1, size - 1);
    return 0;
}
