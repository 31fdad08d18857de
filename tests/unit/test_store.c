/* store/store: what a pipeline's sinks hold, and who may use it. */
#include "storekit.h"

#include "base/json.h"

#include <stdlib.h>
#include <string.h>

static struct ms_object *info(struct kit *k, size_t i) { return ms_find(&k->ms[i], BK_INFO_NAME); }

static void made_and_opened_again(void **state)
{
    (void)state;
    struct kit k;
    char id[BK_STORE_ID_LEN + 1];

    kit_init(&k, 2, 1);
    assert_int_equal(kit_open(&k, BK_STORE_READ), BK_E_NOSTORE);
    assert_int_equal(k.ms[0].n + k.ms[1].n, 0);
    kit_must_open(&k);
    assert_int_equal(strlen(k.store->id), BK_STORE_ID_LEN);
    assert_int_equal(k.store->n_transforms, 1);
    assert_int_equal(bk_store_sinks_ok(k.store), 2);
    assert_ptr_equal(bk_store_base(k.store), &k.store->sinks[0]);
    assert_int_equal(info(&k, 0)->n, info(&k, 1)->n);
    memcpy(id, k.store->id, sizeof(id));
    assert_int_equal(kit_open(&k, BK_STORE_READ), 0);
    assert_string_equal(k.store->id, id);
    kit_must_open(&k);
    assert_string_equal(k.store->id, id);
    assert_int_equal(k.ms[0].n, 1);
    kit_release(&k);
}

/* Puts a sealed bakengine.json with one member changed. */
static void put_info(struct kit *k, size_t i, const char *key, json_t *value)
{
    struct bk_buf text = BK_BUF_INIT;
    json_t *j = json_pack("{si ss ss ss ss}", "format_version", 1, "store_id",
                          "0123456789abcdef0123456789abcdef", "format", "archive", "digest",
                          "sha256", "created", "2025-11-05T12:00:00Z");

    assert_non_null(j);
    if (key && value)
        json_object_set_new(j, key, value);
    else if (key)
        json_object_del(j, key);
    assert_int_equal(bk_json_seal(j, &text, NULL), 0);
    ms_set(&k->ms[i], BK_INFO_NAME, text.data, text.len);
    bk_buf_free(&text);
    json_decref(j);
}

static void wrong_information(void **state)
{
    (void)state;
    static const char *const members[] = {"format_version", "store_id", "format", "digest"};
    struct kit k;

    kit_init(&k, 1, 0);
    put_info(&k, 0, NULL, NULL);
    assert_int_equal(kit_open(&k, BK_STORE_WRITE), 0);
    assert_string_equal(k.store->id, "0123456789abcdef0123456789abcdef");
    put_info(&k, 0, "format_version", json_integer(BK_FORMAT_VERSION + 1));
    assert_int_equal(kit_open(&k, BK_STORE_WRITE), BAKE_E_UNSUPPORTED);
    assert_non_null(strstr(k.err.hint, "newer"));
    put_info(&k, 0, "format", json_string("repository"));
    assert_int_equal(kit_open(&k, BK_STORE_WRITE), BAKE_E_CONFIG);
    assert_non_null(strstr(k.err.hint, "repository"));
    put_info(&k, 0, "digest", json_string("md5"));
    assert_int_equal(kit_open(&k, BK_STORE_WRITE), BAKE_E_CORRUPT);
    put_info(&k, 0, "store_id", json_string("0123"));
    assert_int_equal(kit_open(&k, BK_STORE_WRITE), BAKE_E_CORRUPT);
    for (size_t i = 0; i < 4; i++) {
        put_info(&k, 0, members[i], NULL);
        assert_int_equal(kit_open(&k, BK_STORE_READ), BAKE_E_CORRUPT);
        put_info(&k, 0, members[i], json_array());
        assert_int_equal(kit_open(&k, BK_STORE_READ), BAKE_E_CORRUPT);
        assert_non_null(strstr(k.err.text, "sink 'first'"));
    }
    kit_release(&k);
}

/* Each byte changed, and each cut: refused, and nothing is written over it. */
static void damaged_information(void **state)
{
    (void)state;
    struct kit k;
    char *good;
    size_t n;

    kit_init(&k, 1, 0);
    kit_must_open(&k);
    n = info(&k, 0)->n;
    good = malloc(n);
    assert_non_null(good);
    memcpy(good, info(&k, 0)->data, n);
    for (size_t i = 0; i < n; i++) {
        int rc;

        ms_set(&k.ms[0], BK_INFO_NAME, good, i);
        rc = kit_open(&k, BK_STORE_WRITE);
        assert_int_equal(rc, i == n - 1 ? 0 : BAKE_E_CORRUPT); /* but for the newline */
        assert_int_equal(info(&k, 0)->n, i);
        ms_set(&k.ms[0], BK_INFO_NAME, good, n);
        info(&k, 0)->data[i] ^= (char)(1 << (i % 8));
        rc = kit_open(&k, BK_STORE_WRITE);
        if (rc == 0) /* only what JSON passes over, behind the digest */
            assert_true(i >= n - 4 && good[i] <= ' ');
        else
            assert_int_equal(rc, BAKE_E_CORRUPT);
    }
    free(good);
    kit_release(&k);
}

static void backups_without_information(void **state)
{
    (void)state;
    struct kit k;

    kit_init(&k, 1, 0);
    ms_set(&k.ms[0], "backups/x/manifest.json", "{}", 2);
    assert_int_equal(kit_open(&k, BK_STORE_WRITE), BAKE_E_CORRUPT);
    assert_null(info(&k, 0));
    assert_int_equal(kit_open(&k, BK_STORE_READ), BAKE_E_CORRUPT);
    kit_release(&k);
}

static void two_different_stores(void **state)
{
    (void)state;
    struct kit k;

    kit_init(&k, 2, 0);
    put_info(&k, 0, NULL, NULL);
    put_info(&k, 1, "store_id", json_string("ffffffffffffffffffffffffffffffff"));
    assert_int_equal(kit_open(&k, BK_STORE_WRITE), BAKE_E_CONFIG);
    assert_non_null(strstr(k.err.text, "sink 'second'"));
    kit_release(&k);
}

/* The first sink's disk was replaced: it becomes the mirror of what the second has. */
static void first_is_new(void **state)
{
    (void)state;
    struct kit k;

    kit_init(&k, 2, 0);
    put_info(&k, 1, NULL, NULL);
    assert_int_equal(kit_open(&k, BK_STORE_READ), 0); /* reading uses the one that has it */
    assert_null(info(&k, 0));
    assert_ptr_equal(bk_store_base(k.store), &k.store->sinks[1]);
    kit_must_open(&k);
    assert_int_equal(bk_store_sinks_ok(k.store), 2);
    assert_string_equal(k.store->id, "0123456789abcdef0123456789abcdef");
    assert_non_null(info(&k, 0));
    kit_must_open(&k);
    assert_string_equal(k.store->id, "0123456789abcdef0123456789abcdef");
    kit_release(&k);
}

/* What could not be made must not leave an id behind that then disagrees with a real store. */
static void first_is_full(void **state)
{
    (void)state;
    struct kit k;

    kit_init(&k, 2, 0);
    put_info(&k, 1, NULL, NULL);
    ms_fault(&k.ms[0], MS_PUT_END, NULL, 0, 0, BAKE_E_NOSPACE);
    kit_must_open(&k);
    assert_false(bk_store_sink_ok(k.store, 0));
    assert_int_equal(k.store->failed[0].rc, BAKE_E_NOSPACE);
    assert_true(bk_store_sink_ok(k.store, 1));
    assert_string_equal(k.store->id, "0123456789abcdef0123456789abcdef");
    kit_release(&k);
}

static void some_are_down(void **state)
{
    (void)state;
    static const enum ms_op ops[] = {MS_OPEN, MS_GET_BEGIN};

    for (size_t down = 0; down < 2; down++) {
        for (size_t i = 0; i < 2; i++) {
            struct kit k;

            kit_init(&k, 2, 0);
            kit_must_open(&k);
            ms_fault(&k.ms[down], ops[i], NULL, 0, 0, BAKE_E_AUTH);
            kit_must_open(&k);
            assert_int_equal(bk_store_sinks_ok(k.store), 1);
            assert_ptr_equal(bk_store_base(k.store), &k.store->sinks[1 - down]);
            assert_int_equal(k.store->failed[down].rc, BAKE_E_AUTH);
            ms_fault(&k.ms[1 - down], ops[i], NULL, 0, 0, BAKE_E_IO);
            assert_int_equal(kit_open(&k, BK_STORE_WRITE), down == 0 ? BAKE_E_AUTH : BAKE_E_IO);
            assert_null(k.store);
            kit_release(&k);
        }
    }
}

static void from_one_sink(void **state)
{
    (void)state;
    struct kit k;
    struct bk_store *s = NULL;

    kit_init(&k, 2, 0);
    kit_must_open(&k);
    assert_int_equal(
        bk_store_open(&k.pipeline, NULL, k.cancel, BK_STORE_READ, "second", &s, &k.err), 0);
    assert_int_equal(s->n_sinks, 1);
    assert_string_equal(bk_store_base(s)->label, "sink 'second'");
    bk_store_close(s);
    assert_int_equal(
        bk_store_open(&k.pipeline, NULL, k.cancel, BK_STORE_READ, "fourth", &s, &k.err),
        BK_E_USAGE);
    bk_store_close(NULL);
    kit_release(&k);
}

static void small_puts(void **state)
{
    (void)state;
    struct kit k;

    kit_init(&k, 2, 0);
    kit_must_open(&k);
    assert_int_equal(bk_store_put(k.store, "x", "abc", 3, 0, &k.err), 0);
    assert_non_null(ms_find(&k.ms[0], "x"));
    assert_non_null(ms_find(&k.ms[1], "x"));
    ms_fault(&k.ms[0], MS_PUT_END, NULL, 0, 0, BAKE_E_NOSPACE);
    assert_int_equal(bk_store_put(k.store, "y", "abc", 3, 0, &k.err), 0);
    assert_false(bk_store_sink_ok(k.store, 0));
    assert_null(ms_find(&k.ms[0], "y"));
    assert_non_null(ms_find(&k.ms[1], "y"));
    ms_heal(&k.ms[0]); /* a sink that failed is left alone, though it would do again */
    assert_int_equal(bk_store_put(k.store, "z", "abc", 3, 0, &k.err), 0);
    assert_null(ms_find(&k.ms[0], "z"));
    ms_fault(&k.ms[1], MS_PUT_END, NULL, 0, 0, BAKE_E_IO);
    assert_int_equal(bk_store_put(k.store, "u", "abc", 3, 0, &k.err), BAKE_E_IO);
    assert_int_equal(bk_store_sinks_ok(k.store), 0);
    assert_null(bk_store_base(k.store));
    /* None is left: that is a failure with its reason, never a success. */
    bk_err_clear(&k.err);
    assert_true(bk_store_put(k.store, "v", "abc", 3, 0, &k.err) < 0);
    assert_true(k.err.rc < 0 && k.err.text[0]);
    kit_release(&k);
}

static void removal(void **state)
{
    (void)state;
    struct kit k;

    kit_init(&k, 3, 0);
    kit_must_open(&k);
    ms_set(&k.ms[1], "x", "abc", 3);
    assert_int_equal(bk_store_remove(k.store, "x", &k.err), 0);
    assert_null(ms_find(&k.ms[1], "x"));
    assert_int_equal(bk_store_remove(k.store, "x", &k.err), 0);
    ms_set(&k.ms[1], "x", "abc", 3);
    ms_fault(&k.ms[0], MS_REMOVE, NULL, 0, 0, BAKE_E_AUTH);
    assert_int_equal(bk_store_remove(k.store, "x", &k.err), BAKE_E_AUTH);
    assert_int_equal(k.err.rc, BAKE_E_AUTH); /* and not the third's 'not found' */
    assert_null(ms_find(&k.ms[1], "x"));
    kit_release(&k);
}

static void without_sinks(void **state)
{
    (void)state;
    struct kit k;

    kit_init(&k, 2, 2);
    assert_int_equal(bk_store_open_nothing(&k.pipeline, NULL, k.cancel, &k.store, &k.err), 0);
    assert_int_equal(k.store->n_sinks, 0);
    assert_int_equal(k.store->n_transforms, 2);
    assert_int_equal(k.ms[0].calls[MS_OPEN], 0);
    kit_release(&k);
}

/* Another host makes the store between our look and our put: theirs it is. */
static void lost_the_race(void **state)
{
    (void)state;
    struct kit k;
    struct ms_object *o;

    kit_init(&k, 1, 0);
    put_info(&k, 0, NULL, NULL);
    ms_fault(&k.ms[0], MS_GET_BEGIN, BK_INFO_NAME, 0, 1, BAKE_E_NOTFOUND);
    kit_must_open(&k);
    assert_string_equal(k.store->id, "0123456789abcdef0123456789abcdef");
    o = info(&k, 0);
    assert_non_null(strstr(o->data, "0123456789abcdef0123456789abcdef"));
    kit_release(&k);
    /* The same with the second sink: theirs is another store than the first's. */
    kit_init(&k, 2, 0);
    put_info(&k, 0, NULL, NULL);
    put_info(&k, 1, "store_id", json_string("ffffffffffffffffffffffffffffffff"));
    ms_fault(&k.ms[1], MS_GET_BEGIN, BK_INFO_NAME, 0, 1, BAKE_E_NOTFOUND);
    assert_int_equal(kit_open(&k, BK_STORE_WRITE), BAKE_E_CONFIG);
    kit_release(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(made_and_opened_again),
        cmocka_unit_test(wrong_information),
        cmocka_unit_test(damaged_information),
        cmocka_unit_test(backups_without_information),
        cmocka_unit_test(two_different_stores),
        cmocka_unit_test(first_is_new),
        cmocka_unit_test(first_is_full),
        cmocka_unit_test(some_are_down),
        cmocka_unit_test(from_one_sink),
        cmocka_unit_test(small_puts),
        cmocka_unit_test(removal),
        cmocka_unit_test(without_sinks),
        cmocka_unit_test(lost_the_race),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
