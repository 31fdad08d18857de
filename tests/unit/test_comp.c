/* store/comp_write, comp_read: components there and back. */
#include "compkit.h"

static void everything(void **state)
{
    (void)state;
    char *data = kit_bytes(300000, 1);

    for (size_t transforms = 0; transforms < 3; transforms++) {
        struct kit k;
        struct tree t = {0};
        struct tree_got g;
        struct bk_mcomp c;

        kit_init(&k, 2, transforms);
        kit_must_open(&k);
        tree_of_all(&t, data);
        if (tree_write(&k, "my app/x", &t, &c) < 0)
            fail_msg("%s", k.err.text);
        assert_int_equal(c.n_objects, 2);
        assert_int_equal(c.transforms.n, transforms);
        assert_int_equal(ms_count(&k.ms[1], "backups/" KIT_ID "/my app/x."), 2);
        assert_int_equal(c.bytes_stored,
                         comp_stored(&k, &c, "data")->n + comp_stored(&k, &c, "listing")->n);
        tree_read(&k, &c, &t, 0, &g);
        if (g.rc < 0)
            fail_msg("%s", k.err.text);
        assert_int_equal(g.entries, t.n);
        tree_read(&k, &c, &t, BK_COMPR_LIST, &g);
        assert_int_equal(g.rc, 0);
        assert_int_equal(g.entries, t.n);
        bk_mcomp_release(&c);
        tree_free(&t);
        kit_release(&k);
    }
    free(data);
}

static void empty_tree(void **state)
{
    (void)state;
    struct kit k;
    struct tree t = {0};
    struct tree_got g;
    struct bk_mcomp c;

    kit_init(&k, 1, 1);
    kit_must_open(&k);
    assert_int_equal(tree_write(&k, "x", &t, &c), 0);
    tree_read(&k, &c, &t, 0, &g);
    assert_int_equal(g.rc, 0);
    assert_int_equal(g.entries, 0);
    bk_mcomp_release(&c);
    kit_release(&k);
}

static void many_entries(void **state)
{
    (void)state;
    struct kit k;
    struct tree t = {0};
    struct tree_got g;
    struct bk_mcomp c;
    char *data = kit_bytes(300000, 2), path[64];

    kit_init(&k, 1, 0);
    kit_must_open(&k);
    for (size_t i = 0; i < 10000; i++) {
        (void)snprintf(path, sizeof(path), "d%05zu", i);
        (void)tree_add(&t, BAKE_FILE, path, data + i, i % 100);
    }
    assert_int_equal(tree_write(&k, "x", &t, &c), 0);
    tree_read(&k, &c, &t, 0, &g);
    assert_int_equal(g.rc, 0);
    assert_int_equal(g.entries, 10000);
    bk_mcomp_release(&c);
    tree_free(&t);
    free(data);
    kit_release(&k);
}

static void read_stream(struct kit *k, const struct bk_mcomp *c, unsigned flags, struct bk_buf *out)
{
    struct bk_manifest m = {.id = (char *)(uintptr_t)KIT_ID};
    struct bk_compr *r = NULL;
    int rc = bk_compr_open(k->store, bk_store_base(k->store), &m, c, flags, k->cancel, &r, &k->err);

    while (rc == BAKE_OK) {
        char buffer[9999];
        struct bake_out piece = {buffer, sizeof(buffer), 3}; /* room is from pos on */

        rc = bk_compr_read(r, &piece, &k->err);
        assert_int_equal(bk_buf_add(out, buffer + 3, piece.pos - 3), 0);
    }
    if (rc < 0)
        fail_msg("%s", k->err.text);
    assert_int_equal(bk_compr_finish(r, &k->err), 0);
    bk_compr_free(r);
}

static void blob(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 1200001};

    for (size_t i = 0; i < 3; i++) {
        struct kit k;
        struct bk_compw *w = NULL;
        struct bk_mcomp c = {.kind = BAKE_BLOB};
        struct bk_buf out = BK_BUF_INIT;
        char *data = kit_bytes(sizes[i], 3), *name;

        kit_init(&k, 1, 1);
        kit_must_open(&k);
        c.name = bk_strdup("db/50%.sql");
        assert_int_equal(bk_compw_open(k.store, KIT_ID, k.cancel, c.name, BAKE_BLOB, &w, &k.err),
                         0);
        assert_int_equal(bk_compw_data(w, data, sizes[i], &k.err), 0);
        assert_int_equal(bk_compw_finish(w, &c, &k.err), 0);
        bk_compw_free(w);
        assert_int_equal(c.n_objects, 1);
        assert_string_equal(c.objects[0].name, "db/50%25.sql.fk");
        name = bk_comp_object_name(k.store, c.name, BAKE_BLOB);
        assert_string_equal(c.objects[0].name, name);
        free(name);
        read_stream(&k, &c, 0, &out);
        assert_int_equal(out.len, sizes[i]);
        if (out.len)
            assert_memory_equal(out.data, data, out.len);
        bk_buf_free(&out);
        bk_mcomp_release(&c);
        free(data);
        kit_release(&k);
    }
}

/* A tree's own stream is the tar: its magic is where tar says. */
static void raw(void **state)
{
    (void)state;
    struct kit k;
    struct tree t = {0};
    struct bk_mcomp c;
    struct bk_buf out = BK_BUF_INIT;
    char sha[BK_SHA256_HEX];

    kit_init(&k, 1, 1);
    kit_must_open(&k);
    (void)tree_add(&t, BAKE_FILE, "a", "some words", 10);
    assert_int_equal(tree_write(&k, "x", &t, &c), 0);
    read_stream(&k, &c, BK_COMPR_RAW, &out);
    assert_true(out.len >= 1024 && out.len % 512 == 0);
    assert_memory_equal(out.data + 257, "ustar", 5);
    assert_int_equal(bk_sha256_hex_of(out.data, out.len, sha), 0);
    assert_string_equal(c.sha256, sha);
    bk_buf_free(&out);
    bk_mcomp_release(&c);
    tree_free(&t);
    kit_release(&k);
}

/* The source failed, at its start or with everything written: nothing of it stays, and its reason
 * is the one that is told. */
static void aborted(void **state)
{
    (void)state;
    char *data = kit_bytes(300000, 1);

    for (int much = 0; much < 2; much++) {
        struct kit k;
        struct bk_compw *w = NULL;
        struct bk_err why = {0}, first = {0};
        struct bake_entry e = {
            .struct_size = sizeof(e), .type = BAKE_FILE, .path = "a", .size = 300000};

        kit_init(&k, 2, 1);
        kit_must_open(&k);
        assert_int_equal(bk_compw_open(k.store, KIT_ID, k.cancel, "x", BAKE_TREE, &w, &k.err), 0);
        if (much) {
            assert_int_equal(bk_compw_entry(w, &e, &k.err), 0);
            assert_int_equal(bk_compw_data(w, data, 200000, &k.err), 0);
        }
        bk_fail(&why, BAKE_E_CHILD, "the source's reason");
        bk_compw_abort(w, &why, &first);
        bk_compw_free(w);
        assert_int_equal(first.rc, BAKE_E_CHILD);
        assert_string_equal(first.text, "the source's reason");
        assert_int_equal(ms_count(&k.ms[0], "backups/"), 0);
        assert_int_equal(ms_count(&k.ms[1], "backups/"), 0);
        kit_release(&k);
    }
    free(data);
}

/* One object was put, the other fails: the first goes again; the reason is the sink's. */
static void half_put(void **state)
{
    (void)state;
    static const char *const names[] = {"x.tar", "x.mtree"};

    for (size_t i = 0; i < 2; i++) {
        struct kit k;
        struct tree t = {0};
        struct bk_mcomp c;

        kit_init(&k, 1, 1);
        kit_must_open(&k);
        ms_fault(&k.ms[0], MS_PUT_END, names[i], 0, 0, BAKE_E_NOSPACE);
        (void)tree_add(&t, BAKE_FILE, "a", "some words", 10);
        assert_int_equal(tree_write(&k, "x", &t, &c), BAKE_E_NOSPACE);
        assert_int_equal(k.err.rc, BAKE_E_NOSPACE);
        assert_int_equal(ms_count(&k.ms[0], "backups/") > 1, 0);
        bk_mcomp_release(&c);
        tree_free(&t);
        kit_release(&k);
    }
}

/* Another run's object has the name: ours gives way and must not remove theirs. */
static void theirs_stays(void **state)
{
    (void)state;
    static const char *const names[] = {"backups/" KIT_ID "/x.tar.fk",
                                        "backups/" KIT_ID "/x.mtree.fk"};

    for (size_t i = 0; i < 2; i++) {
        struct kit k;
        struct tree t = {0};
        struct bk_mcomp c;

        kit_init(&k, 1, 1);
        kit_must_open(&k);
        ms_set(&k.ms[0], names[i], "theirs", 6);
        (void)tree_add(&t, BAKE_FILE, "a", "some words", 10);
        assert_int_equal(tree_write(&k, "x", &t, &c), BAKE_E_EXISTS);
        assert_non_null(ms_find(&k.ms[0], names[i]));
        assert_memory_equal(ms_find(&k.ms[0], names[i])->data, "theirs", 6);
        bk_mcomp_release(&c);
        tree_free(&t);
        kit_release(&k);
    }
}

/* A sink that breaks while the tree is being written: whoever notices, the reason is the sink's. */
static void sink_breaks(void **state)
{
    (void)state;
    char *data = kit_bytes(300000, 1);

    for (unsigned skip = 0; skip < 5; skip++) { /* of at least six: the ring holds 1 MiB */
        struct kit k;
        struct tree t = {0};
        struct bk_mcomp c;
        char path[16];

        kit_init(&k, 1, 0);
        kit_must_open(&k);
        ms_fault(&k.ms[0], MS_PUT_WRITE, "x.tar", skip, 0, BAKE_E_IO);
        for (int i = 0; i < 24; i++) {
            (void)snprintf(path, sizeof(path), "f%02d", i);
            (void)tree_add(&t, BAKE_FILE, path, data, 300000);
        }
        assert_int_equal(tree_write(&k, "x", &t, &c), BAKE_E_IO);
        assert_int_equal(k.err.rc, BAKE_E_IO);
        /* The listing may have been put before the other stage noticed: a sink that has failed is
         * not asked to remove anything. */
        assert_null(ms_find(&k.ms[0], "backups/" KIT_ID "/x.tar"));
        assert_int_equal(ms_count(&k.ms[0], "backups/"),
                         ms_find(&k.ms[0], "backups/" KIT_ID "/x.mtree") != NULL);
        bk_mcomp_release(&c);
        tree_free(&t);
        kit_release(&k);
    }
    free(data);
}

/* The listing's sink call fails at once: open or finish says so, never "cancelled". */
static void begin_fails(void **state)
{
    (void)state;
    for (int round = 0; round < 10; round++) {
        struct kit k;
        struct tree t = {0};
        struct bk_mcomp c;

        kit_init(&k, 1, 1);
        kit_must_open(&k);
        ms_fault(&k.ms[0], MS_PUT_BEGIN, "x.tar", 0, 0, BAKE_E_AUTH);
        memset(&c, 0, sizeof(c));
        assert_int_equal(tree_write(&k, "x", &t, &c), BAKE_E_AUTH);
        assert_int_equal(k.err.rc, BAKE_E_AUTH);
        bk_mcomp_release(&c);
        kit_release(&k);
    }
}

static void cancelled(void **state)
{
    (void)state;
    struct kit k;
    struct tree t = {0};
    struct bk_mcomp c;

    kit_init(&k, 1, 1);
    kit_must_open(&k);
    bk_cancel_fire(k.cancel);
    (void)tree_add(&t, BAKE_FILE, "a", "some words", 10);
    memset(&c, 0, sizeof(c));
    assert_int_equal(tree_write(&k, "x", &t, &c), BAKE_E_CANCELLED);
    bk_mcomp_release(&c);
    tree_free(&t);
    kit_release(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything),   cmocka_unit_test(empty_tree),
        cmocka_unit_test(many_entries), cmocka_unit_test(blob),
        cmocka_unit_test(raw),          cmocka_unit_test(aborted),
        cmocka_unit_test(half_put),     cmocka_unit_test(theirs_stays),
        cmocka_unit_test(sink_breaks),  cmocka_unit_test(begin_fails),
        cmocka_unit_test(cancelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
