/* store/manifest_stream: a repository's manifest comes back, and what cannot be is refused. */
#include "manifest_kit.h"
#include "repokit.h"

static struct bk_manifest *make(size_t n_refs)
{
    struct bk_manifest *m = kit_manifest(KIT_ID, "nightly", "host-1", 1762344000123456789, 1);
    struct bk_mcomp *c = &m->comps[0];

    for (size_t i = 0; i < c->n_objects; i++) {
        free(c->objects[i].name);
        free(c->objects[i].role);
    }
    free(c->objects);
    c->objects = NULL;
    c->n_objects = 0;
    c->has_stream = true;
    c->stream.levels = n_refs > 4 ? 2 : 0;
    c->unchanged = 77;
    c->bytes_new = 4321;
    for (size_t i = 0; i < n_refs; i++) {
        bk_id id = rk_id(i);

        assert_int_equal(bk_refs_add(&c->stream, &id, 1000 + i), 0);
    }
    m->n_packs = 3;
    m->packs_size = 195;
    memcpy(m->packs_sha256, KIT_SHA, sizeof(m->packs_sha256));
    return m;
}

static void trip(void **state)
{
    static const size_t counts[] = {0, 1, BK_REFS_INLINE};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct bk_manifest *m = make(counts[i]), *back = NULL;
        struct bk_buf text = BK_BUF_INIT;
        struct bk_err err = {0};
        char digest[BK_SHA256_HEX], again[BK_SHA256_HEX];

        assert_int_equal(bk_manifest_write(m, &text, &err), 0);
        assert_int_equal(bk_manifest_parse(text.data, text.len, KIT_ID, &back, &err), 0);
        assert_true(back->comps[0].has_stream);
        assert_int_equal(back->comps[0].n_objects, 0);
        assert_int_equal(back->comps[0].unchanged, 77);
        assert_int_equal(back->comps[0].bytes_new, 4321);
        assert_int_equal(back->comps[0].stream.levels, m->comps[0].stream.levels);
        assert_true(back->comps[0].stream.length == m->comps[0].stream.length);
        assert_int_equal(bk_refs_digest(&m->comps[0].stream, digest, &err), 0);
        assert_int_equal(bk_refs_digest(&back->comps[0].stream, again, &err), 0);
        assert_string_equal(digest, again);
        assert_int_equal(back->n_packs, 3);
        assert_int_equal(back->packs_size, 195);
        assert_string_equal(back->packs_sha256, KIT_SHA);
        bk_manifest_free(m);
        bk_manifest_free(back);
        bk_buf_free(&text);
    }
}

/* The manifest with one of its lines changed, sealed again: refused. */
static void refuse(const char *key, const char *json)
{
    struct bk_manifest *m = make(5), *back = NULL;
    struct bk_buf text = BK_BUF_INIT;
    struct bk_err err = {0};
    json_t *j = bk_manifest_json(m), *stream, *to;

    assert_non_null(j);
    stream = json_object_get(json_array_get(json_object_get(j, "components"), 0), "stream");
    assert_non_null(stream);
    to = json_loads(json, JSON_DECODE_ANY, NULL);
    assert_non_null(to);
    if (bk_starts(key, "packs."))
        json_object_set_new(json_object_get(j, "packs"), key + 6, to);
    else
        json_object_set_new(stream, key, to);
    assert_int_equal(bk_json_seal(j, &text, &err), 0);
    assert_int_equal(bk_manifest_parse(text.data, text.len, KIT_ID, &back, &err), BAKE_E_CORRUPT);
    assert_null(back);
    json_decref(j);
    bk_manifest_free(m);
    bk_buf_free(&text);
}

static void refused(void **state)
{
    (void)state;
    refuse("levels", "9");
    refuse("levels", "\"x\"");
    refuse("length", "1");
    refuse("chunks", "{}");
    refuse("chunks", "[5]");
    refuse("chunks", "[{\"id\": \"abc\", \"length\": 5010}]");
    refuse("chunks", "[{\"id\": \"" KIT_SHA "\", \"length\": 0}]");
    refuse("chunks", "[{\"id\": \"" KIT_SHA "\"}]");
    refuse("packs.sha256", "\"zz\"");
    refuse("packs.count", "-1");
}

static void too_many(void **state)
{
    struct bk_manifest *m = make(BK_REFS_INLINE + 1), *back = NULL;
    struct bk_buf text = BK_BUF_INIT;
    struct bk_err err = {0};

    (void)state;
    assert_int_equal(bk_manifest_write(m, &text, &err), 0);
    assert_int_equal(bk_manifest_parse(text.data, text.len, KIT_ID, &back, &err), BAKE_E_CORRUPT);
    bk_manifest_free(m);
    bk_buf_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(trip), cmocka_unit_test(refused),
                                       cmocka_unit_test(too_many)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
