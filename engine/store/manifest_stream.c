/* What the manifest of a repository says beyond the archive's: where each component's stream
 * begins, and the list of packs. */
#include "store/manifest.h"

#include "base/cleanup.h"

#include <string.h>

int bk_refs_digest(const struct bk_refs *r, char ret[BK_SHA256_HEX], struct bk_err *err)
{
    struct bk_buf b BK_CLEANUP(bk_buf_free) = BK_BUF_INIT;

    bk_refs_write(r, &b);
    return b.failed || bk_sha256_hex_of(b.data, b.len, ret) < 0 ? bk_nomem(err) : BAKE_OK;
}

static json_t *chunk_json(const struct bk_ref *ref)
{
    char hex[BK_SHA256_HEX];
    json_t *j = json_object();

    bk_hex(ref->id.b, sizeof(ref->id.b), hex);
    bk_json_set_str(j, "id", hex);
    bk_json_set_u64(j, "length", ref->length);
    return j;
}

json_t *bk_mcomp_stream_json(const struct bk_mcomp *c)
{
    json_t *j = json_object(), *chunks = json_array();
    bool ok = j && chunks;

    bk_json_set_u64(j, "levels", c->stream.levels);
    bk_json_set_u64(j, "length", c->stream.length);
    for (size_t i = 0; ok && i < c->stream.n; i++)
        ok = json_array_append_new(chunks, chunk_json(&c->stream.refs[i])) == 0;
    if (json_object_set_new(j, "chunks", chunks) == 0 && ok)
        return j;
    json_decref(j);
    return NULL;
}

static int parse_chunk(const json_t *j, const char *what, struct bk_refs *ret, struct bk_err *err)
{
    const char *hex;
    uint64_t length;
    bk_id id;
    int rc;

    if ((rc = bk_json_str(j, what, "id", &hex, err)) < 0 ||
        (rc = bk_json_u64(j, what, "length", &length, err)) < 0)
        return rc;
    if (!bk_unhex(hex, id.b, sizeof(id.b)) || length == 0 || ret->length + length < length)
        return bk_fail(err, BAKE_E_CORRUPT, "%s: a chunk of a stream is none", what);
    return bk_refs_add(ret, &id, length) < 0 ? bk_nomem(err) : BAKE_OK;
}

int bk_mcomp_stream_parse(const json_t *j, const char *what, struct bk_mcomp *c, struct bk_err *err)
{
    const json_t *stream = json_object_get(j, "stream"), *chunks;
    uint64_t levels, length;
    int rc;

    if (!stream)
        return BAKE_OK;
    if ((rc = bk_json_u64(stream, what, "levels", &levels, err)) < 0 ||
        (rc = bk_json_u64(stream, what, "length", &length, err)) < 0 ||
        (rc = bk_json_array(stream, what, "chunks", &chunks, err)) < 0)
        return rc;
    if (levels > BK_REFS_LEVELS || !json_is_array(chunks) ||
        json_array_size(chunks) > BK_REFS_INLINE)
        return bk_fail(err, BAKE_E_CORRUPT, "%s: the stream of component '%s' cannot be", what,
                       c->name);
    c->has_stream = true;
    for (size_t i = 0; i < json_array_size(chunks) && rc >= 0; i++)
        rc = parse_chunk(json_array_get(chunks, i), what, &c->stream, err);
    c->stream.levels = (uint32_t)levels;
    if (rc >= 0 && c->stream.length != length)
        rc = bk_fail(err, BAKE_E_CORRUPT,
                     "%s: the stream of component '%s' has another length than its chunks", what,
                     c->name);
    return rc;
}

json_t *bk_manifest_packs_json(const struct bk_manifest *m)
{
    json_t *j = json_object();

    bk_json_set_u64(j, "count", m->n_packs);
    bk_json_set_u64(j, "size", m->packs_size);
    bk_json_set_str(j, "sha256", m->packs_sha256);
    return j;
}

int bk_manifest_packs_parse(const json_t *j, const char *what, struct bk_manifest *m,
                            struct bk_err *err)
{
    const json_t *packs = json_object_get(j, "packs");
    unsigned char raw[BK_SHA256_LEN];
    const char *hex;
    int rc;

    if (!packs)
        return BAKE_OK;
    if ((rc = bk_json_u64(packs, what, "count", &m->n_packs, err)) < 0 ||
        (rc = bk_json_u64(packs, what, "size", &m->packs_size, err)) < 0 ||
        (rc = bk_json_str(packs, what, "sha256", &hex, err)) < 0)
        return rc;
    if (!bk_unhex(hex, raw, sizeof(raw)))
        return bk_fail(err, BAKE_E_CORRUPT, "%s: '%s' is not a SHA-256 digest", what, hex);
    memcpy(m->packs_sha256, hex, BK_SHA256_HEX);
    return BAKE_OK;
}
