/* store/manifest: what is written is read again, whole; cut or changed it is refused. */
#include "manifest_kit.h"

#include "base/clock.h"

static void same_comp(const struct bk_mcomp *a, const struct bk_mcomp *b)
{
    assert_string_equal(a->name, b->name);
    assert_true(bk_streq(a->group, b->group));
    assert_string_equal(a->source, b->source);
    assert_string_equal(a->plugin, b->plugin);
    assert_true(bk_streq(a->error, b->error));
    assert_true(bk_streq(a->fingerprint, b->fingerprint));
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->unordered, b->unordered);
    assert_int_equal(a->status, b->status);
    assert_true(a->bytes_in == b->bytes_in && a->bytes_stored == b->bytes_stored);
    assert_true(a->entries == b->entries && a->warnings == b->warnings);
    assert_int_equal(a->missing, b->missing);
    assert_int_equal(a->duration_ms, b->duration_ms);
    assert_string_equal(a->sha256, b->sha256);
    assert_int_equal(a->n_objects, b->n_objects);
    for (size_t i = 0; i < a->n_objects; i++) {
        assert_string_equal(a->objects[i].name, b->objects[i].name);
        assert_string_equal(a->objects[i].role, b->objects[i].role);
        assert_int_equal(a->objects[i].size, b->objects[i].size);
        assert_string_equal(a->objects[i].sha256, b->objects[i].sha256);
    }
    assert_int_equal(a->transforms.n, b->transforms.n);
    for (size_t i = 0; i < a->transforms.n; i++)
        assert_string_equal(a->transforms.items[i], b->transforms.items[i]);
    assert_true(a->facts == b->facts || json_equal(a->facts, b->facts));
}

static void same(const struct bk_manifest *a, const struct bk_manifest *b)
{
    assert_string_equal(a->id, b->id);
    assert_string_equal(a->pipeline, b->pipeline);
    assert_string_equal(a->type, b->type);
    assert_true(bk_streq(a->parent, b->parent));
    assert_string_equal(a->host, b->host);
    assert_string_equal(a->engine, b->engine);
    assert_true(a->start_ns == b->start_ns && a->end_ns == b->end_ns);
    assert_int_equal(a->encrypted, b->encrypted);
    assert_int_equal(a->has_level, b->has_level);
    assert_int_equal(a->compression_level, b->compression_level);
    assert_int_equal(a->tags.n, b->tags.n);
    for (size_t i = 0; i < a->tags.n; i++)
        assert_string_equal(a->tags.items[i], b->tags.items[i]);
    assert_true(a->plugins == b->plugins || json_equal(a->plugins, b->plugins));
    assert_true(a->pipeline_file == b->pipeline_file ||
                json_equal(a->pipeline_file, b->pipeline_file));
    assert_int_equal(a->n_comps, b->n_comps);
    for (size_t i = 0; i < a->n_comps; i++)
        same_comp(&a->comps[i], &b->comps[i]);
}

static void check_trip(struct bk_manifest *m)
{
    struct bk_manifest *back = NULL;
    struct bk_buf text = BK_BUF_INIT;
    struct bk_err err = {0};

    assert_int_equal(bk_manifest_write(m, &text, &err), 0);
    if (bk_manifest_parse(text.data, text.len, m->id, &back, &err) < 0)
        fail_msg("%s", err.text);
    same(m, back);
    bk_manifest_free(back);
    bk_manifest_free(m);
    bk_buf_free(&text);
}

static void round_trip(void **state)
{
    struct bk_manifest *loose = kit_full();

    (void)state;
    check_trip(kit_full());
    loose->comps[1].unordered = 1;
    check_trip(loose);
    check_trip(kit_manifest(KIT_ID, "nightly", "h", 0, 0)); /* nothing was found */
    check_trip(kit_manifest(KIT_ID, "nightly", "h", 1762344000000000000, 300));
    bk_manifest_free(NULL);
}

static void every_duration(void **state)
{
    (void)state;
    for (uint64_t ms = 0; ms < 3000; ms += 7) {
        struct bk_manifest *m = kit_manifest(KIT_ID, "nightly", "h", 0, 1);

        m->comps[0].duration_ms = ms;
        check_trip(m);
    }
}

static void looking_things_up(void **state)
{
    (void)state;
    struct bk_manifest *m = kit_full();
    uint64_t in, stored, entries, warnings;
    json_t *j;

    assert_false(bk_manifest_good(m));
    assert_ptr_equal(bk_manifest_find(m, "db/x.sql"), &m->comps[2]);
    assert_null(bk_manifest_find(m, "db"));
    assert_string_equal(bk_mcomp_object(&m->comps[1], "listing")->name,
                        "myapp/web/stra%C3%9Fe.mtree.zst");
    assert_null(bk_mcomp_object(&m->comps[2], "data"));
    m->comps[1].bytes_in = 10;
    bk_manifest_totals(m, &in, &stored, &entries, &warnings);
    assert_int_equal(in, 10);
    assert_int_equal(stored, 12345);
    assert_int_equal(entries, 57012);
    assert_int_equal(warnings, 3);
    j = bk_manifest_json(m);
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(j, "totals"), "components")), 3);
    json_decref(j);
    m->comps[1].status = BK_STATUS_OK;
    assert_false(bk_manifest_good(m));
    m->comps[2].status = BK_STATUS_OK;
    assert_true(bk_manifest_good(m));
    bk_manifest_free(m);
}

/* The seal covers every byte: whatever is changed or cut off is found. */
static void cut_and_changed(void **state)
{
    (void)state;
    struct bk_manifest *m = kit_full(), *back = NULL;
    struct bk_buf text = BK_BUF_INIT;
    struct bk_err err = {0};

    assert_int_equal(bk_manifest_write(m, &text, &err), 0);
    for (size_t i = 0; i < text.len; i++) {
        char *cut = malloc(i + 1);

        assert_non_null(cut);
        memcpy(cut, text.data, i); /* of that very size: for the sanitizers */
        if (i + 1 < text.len)
            assert_int_equal(bk_manifest_parse(cut, i, m->id, &back, &err), BAKE_E_CORRUPT);
        free(cut);
        for (int bit = 0; bit < 8; bit++) {
            text.data[i] ^= (char)(1 << bit);
            if (bk_manifest_parse(text.data, text.len, m->id, &back, &err) >= 0) {
                same(m, back); /* only blanks behind the digest are nobody's */
                assert_true(i >= text.len - 4);
                bk_manifest_free(back);
            } else {
                assert_int_equal(err.rc, BAKE_E_CORRUPT);
            }
            text.data[i] ^= (char)(1 << bit);
        }
    }
    bk_manifest_free(m);
    bk_buf_free(&text);
}

/* 40,000 components in no time: finding names that stand twice is not quadratic. */
static void many_components(void **state)
{
    (void)state;
    struct bk_manifest *m = kit_manifest(KIT_ID, "nightly", "h", 0, 40000);
    struct bk_manifest *back = NULL;
    struct bk_buf text = BK_BUF_INIT;
    struct bk_err err = {0};
    uint64_t start;

    assert_int_equal(bk_manifest_write(m, &text, &err), 0);
    start = bk_monotonic_ms();
    assert_int_equal(bk_manifest_parse(text.data, text.len, m->id, &back, &err), 0);
    assert_true(bk_monotonic_ms() - start < 20000);
    assert_int_equal(back->n_comps, 40000);
    bk_manifest_free(back);
    free(m->comps[39999].name);
    m->comps[39999].name = bk_strdup("c0"); /* the first and the last */
    bk_buf_clear(&text);
    assert_int_equal(bk_manifest_write(m, &text, &err), 0);
    assert_int_equal(bk_manifest_parse(text.data, text.len, m->id, &back, &err), BAKE_E_CORRUPT);
    assert_non_null(strstr(err.text, "'c0' stands there twice"));
    bk_manifest_free(m);
    bk_buf_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),        cmocka_unit_test(every_duration),
        cmocka_unit_test(looking_things_up), cmocka_unit_test(cut_and_changed),
        cmocka_unit_test(many_components),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
