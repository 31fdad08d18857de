/* store/packlist: lists of packs, written, read, damaged. */
#include "repokit.h"
#include "storekit.h"

#include "store/packlist.h"

static int by_bytes(const void *a, const void *b) { return memcmp(a, b, sizeof(bk_id)); }

static void make(bk_id *ids, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ids[i] = rk_id(i);
    qsort(ids, n, sizeof(*ids), by_bytes);
}

static void trip(void **state)
{
    struct bk_buf text = BK_BUF_INIT;
    bk_id ids[50], *back;
    size_t n;

    (void)state;
    make(ids, 50);
    for (size_t count = 0; count <= 50; count += 25) {
        bk_buf_clear(&text);
        assert_int_equal(bk_packlist_write(ids, count, &text, NULL), 0);
        assert_int_equal(text.len, count * 65);
        assert_int_equal(bk_packlist_parse(text.data ? text.data : "", text.len, &back, &n, NULL),
                         0);
        assert_int_equal(n, count);
        assert_memory_equal(back, ids, count * sizeof(*ids));
        free(back);
    }
    bk_buf_free(&text);
}

static void refused(const char *text, size_t n)
{
    struct bk_err err = {0};
    bk_id *ids = NULL;
    size_t count;

    assert_int_equal(bk_packlist_parse(text, n, &ids, &count, &err), BAKE_E_CORRUPT);
    assert_null(ids);
}

static void damaged(void **state)
{
    struct bk_buf text = BK_BUF_INIT;
    bk_id ids[3];

    (void)state;
    make(ids, 3);
    assert_int_equal(bk_packlist_write(ids, 3, &text, NULL), 0);
    for (size_t n = 1; n < text.len; n++)
        if (n % 65)
            refused(text.data, n);
    text.data[64] = ' ';
    refused(text.data, text.len);
    text.data[64] = '\n';
    text.data[3] = 'g';
    refused(text.data, text.len);
    bk_buf_clear(&text);
    ids[1] = ids[0]; /* twice */
    assert_int_equal(bk_packlist_write(ids, 3, &text, NULL), 0);
    refused(text.data, text.len);
    bk_buf_clear(&text);
    make(ids, 3);
    ids[0] = ids[2]; /* not in order */
    assert_int_equal(bk_packlist_write(ids, 2, &text, NULL), 0);
    refused(text.data, text.len);
    bk_buf_free(&text);
}

/* The list in a store must be the one that the manifest means. */
static void of_a_backup(void **state)
{
    char id[] = KIT_ID;
    struct bk_manifest m = {.id = id};
    struct bk_buf text = BK_BUF_INIT;
    struct kit k;
    struct bk_sink *sink;
    bk_id ids[2], *back = NULL;
    size_t n;

    (void)state;
    kit_init(&k, 1, 0);
    kit_must_open(&k);
    sink = bk_store_base(k.store);
    make(ids, 2);
    assert_int_equal(bk_packlist_get(sink, &m, &back, &n, &k.err), BAKE_E_CORRUPT);
    assert_int_equal(bk_packlist_write(ids, 2, &text, &k.err), 0);
    assert_int_equal(bk_sha256_hex_of(text.data, text.len, m.packs_sha256), 0);
    m.n_packs = 2;
    m.packs_size = text.len;
    assert_int_equal(bk_packlist_get(sink, &m, &back, &n, &k.err), BAKE_E_CORRUPT); /* missing */
    assert_int_equal(bk_sink_put(sink, "backups/" KIT_ID "/packs", text.data, text.len, 0, &k.err),
                     0);
    assert_int_equal(bk_packlist_get(sink, &m, &back, &n, &k.err), 0);
    assert_int_equal(n, 2);
    free(back);
    m.n_packs = 1;
    assert_int_equal(bk_packlist_get(sink, &m, &back, &n, &k.err), BAKE_E_CORRUPT);
    m.n_packs = 2;
    m.packs_size--;
    assert_int_equal(bk_packlist_get(sink, &m, &back, &n, &k.err), BAKE_E_CORRUPT);
    m.packs_size++;
    m.packs_sha256[0] ^= 1;
    assert_int_equal(bk_packlist_get(sink, &m, &back, &n, &k.err), BAKE_E_CORRUPT);
    bk_buf_free(&text);
    kit_release(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(trip), cmocka_unit_test(damaged),
                                       cmocka_unit_test(of_a_backup)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
