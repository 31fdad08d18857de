/* Lists of references, as bytes. */
#include "store/stream.h"

#include <stdlib.h>

int bk_refs_add(struct bk_refs *r, const bk_id *id, uint64_t length)
{
    if (r->n == r->cap) {
        size_t cap = r->cap ? r->cap * 2 : BK_REFS_INLINE;
        struct bk_ref *more = realloc(r->refs, cap * sizeof(*more));

        if (!more)
            return BAKE_E_NOMEM;
        r->refs = more;
        r->cap = cap;
    }
    r->refs[r->n].id = *id;
    r->refs[r->n++].length = length;
    r->length += length;
    return BAKE_OK;
}

void bk_refs_clear(struct bk_refs *r)
{
    r->n = 0;
    r->length = 0;
    r->levels = 0;
}

void bk_refs_release(struct bk_refs *r)
{
    free(r->refs);
    memset(r, 0, sizeof(*r));
}

void bk_ref_write(const struct bk_ref *ref, struct bk_buf *out)
{
    bk_put_varint(out, ref->length);
    bk_buf_add(out, ref->id.b, sizeof(ref->id.b));
}

void bk_refs_write(const struct bk_refs *r, struct bk_buf *out)
{
    bk_put_varint(out, r->levels);
    bk_put_varint(out, r->n);
    for (size_t i = 0; i < r->n; i++)
        bk_ref_write(&r->refs[i], out);
}

static bool get_ref(struct bk_reader *in, struct bk_refs *ret)
{
    uint64_t length = bk_get_varint(in);
    const bk_id *id = bk_get_raw(in, sizeof(*id));

    return id && length > 0 && ret->length + length >= length &&
           bk_refs_add(ret, id, length) == BAKE_OK;
}

bool bk_refs_parse(struct bk_reader *in, struct bk_refs *ret)
{
    uint64_t levels = bk_get_varint(in), n = bk_get_varint(in);

    bk_refs_clear(ret);
    if (in->bad || levels > BK_REFS_LEVELS || n > BK_REFS_INLINE)
        return false;
    ret->levels = (uint32_t)levels;
    while (n-- > 0)
        if (!get_ref(in, ret))
            return false;
    return true;
}

bool bk_refs_parse_chunk(const void *data, size_t n, struct bk_refs *ret)
{
    struct bk_reader in = bk_reader_of(data, n);

    bk_refs_clear(ret);
    while (in.p < in.end)
        if (ret->n == BK_REFS_CHUNK || !get_ref(&in, ret))
            return false;
    return ret->n > 0;
}
