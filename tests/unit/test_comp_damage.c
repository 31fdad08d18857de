/* store/comp_read: damage to the data or the listing is told as what it is, and as much as can be
 * had is had. */
#include "compkit.h"

enum { FILES = 12, BYTES = 2500 };

struct fix {
    struct kit k;
    struct tree t;
    struct bk_mcomp c;
    char *data;
};

static void fix_init(struct fix *f, size_t transforms)
{
    char path[16];

    memset(f, 0, sizeof(*f));
    kit_init(&f->k, 1, transforms);
    kit_must_open(&f->k);
    f->data = kit_bytes(300000, 4);
    for (size_t i = 0; i < FILES; i++) {
        (void)snprintf(path, sizeof(path), "f%02zu", i);
        (void)tree_add(&f->t, BAKE_FILE, path, f->data + i * BYTES, BYTES);
    }
    if (tree_write(&f->k, "x", &f->t, &f->c) < 0)
        fail_msg("%s", f->k.err.text);
}

static void fix_release(struct fix *f)
{
    bk_mcomp_release(&f->c);
    tree_free(&f->t);
    free(f->data);
    kit_release(&f->k);
}

/* Each entry is right, bad or lost, exactly once, and the lost ones are those behind the rest. */
static void account(const struct fix *f, const struct tree_got *g)
{
    assert_int_equal(g->entries + g->bad.n + g->lost.n, FILES);
    for (size_t i = 0; i < g->lost.n; i++)
        assert_string_equal(g->lost.items[i], f->t.items[FILES - g->lost.n + i].path);
    for (size_t i = 0; i < g->bad.n; i++)
        assert_false(bk_strv_has(&g->lost, g->bad.items[i]));
}

/* Bytes of one file changed: this file alone is bad, and the object is told to be damaged. */
static void one_file(void **state)
{
    (void)state;
    struct fix f;

    fix_init(&f, 0);
    for (size_t i = 0; i < FILES; i++) {
        struct ms_object *o = comp_stored(&f.k, &f.c, "data");
        char *at = memmem(o->data, o->n, f.t.items[i].data, 100);
        struct tree_got g;

        assert_non_null(at);
        at[50] ^= 4;
        tree_read(&f.k, &f.c, &f.t, 0, &g);
        assert_int_equal(g.rc, BAKE_E_CORRUPT);
        assert_int_equal(g.entries, FILES - 1);
        assert_int_equal(g.bad.n, 1);
        assert_string_equal(g.bad.items[0], f.t.items[i].path);
        assert_int_equal(g.lost.n, 0);
        tree_got_free(&g);
        at[50] ^= 4;
    }
    fix_release(&f);
}

/* A file's time in the tar is another than in the listing, though its content is right: it is bad.
 */
static void one_header(void **state)
{
    (void)state;
    struct fix f;
    struct tree_got g;

    fix_init(&f, 0);
    struct ms_object *o = comp_stored(&f.k, &f.c, "data");
    char *at = memmem(o->data, o->n, "mtime=1762344000", 16);

    assert_non_null(at);
    at[15] ^= 1;
    f.t.loose = true;
    tree_read(&f.k, &f.c, &f.t, 0, &g);
    assert_int_equal(g.rc, BAKE_E_CORRUPT);
    assert_int_equal(g.bad.n, 1);
    assert_string_equal(g.bad.items[0], f.t.items[0].path);
    assert_int_equal(g.entries, FILES - 1);
    assert_int_equal(g.lost.n, 0);
    tree_got_free(&g);
    fix_release(&f);
}

static void data_cut(void **state)
{
    (void)state;
    for (size_t transforms = 0; transforms < 2; transforms++) {
        struct fix f;

        fix_init(&f, transforms);
        struct ms_object *o = comp_stored(&f.k, &f.c, "data");
        size_t n = o->n, before = 0;

        for (size_t i = 0; i < 32; i++) {
            struct tree_got g;

            o->n = n * i / 32;
            tree_read(&f.k, &f.c, &f.t, 0, &g);
            assert_int_equal(g.rc, BAKE_E_CORRUPT);
            assert_non_null(strstr(f.k.err.text, "the manifest says"));
            account(&f, &g);
            assert_true(g.entries >= before); /* the later the cut, the more is had */
            before = g.entries;
            tree_got_free(&g);
        }
        assert_true(before > FILES / 2);
        o->n = n;
        fix_release(&f);
    }
}

static void data_changed(void **state)
{
    (void)state;
    for (size_t transforms = 0; transforms < 2; transforms++) {
        struct fix f;
        uint64_t seed = 5;

        fix_init(&f, transforms);
        f.t.loose = true;
        struct ms_object *o = comp_stored(&f.k, &f.c, "data");

        for (int i = 0; i < 80; i++) {
            size_t at = (size_t)(kit_random(&seed) % o->n);
            struct tree_got g;

            o->data[at] ^= 1;
            tree_read(&f.k, &f.c, &f.t, 0, &g);
            assert_int_equal(g.rc, BAKE_E_CORRUPT);
            assert_true(g.entries + g.bad.n + g.lost.n <= FILES);
            tree_got_free(&g);
            o->data[at] ^= 1;
        }
        fix_release(&f);
    }
}

static void data_gone(void **state)
{
    (void)state;
    struct fix f;
    struct tree_got g;
    char *name;

    fix_init(&f, 1);
    name = bk_strdup(comp_stored(&f.k, &f.c, "data")->name);
    ms_drop(&f.k.ms[0], name);
    tree_read(&f.k, &f.c, &f.t, 0, &g);
    assert_int_equal(g.rc, BAKE_E_NOTFOUND);
    assert_int_equal(g.entries, 0);
    assert_int_equal(g.lost.n, FILES); /* the listing names what there was */
    tree_got_free(&g);
    tree_read(&f.k, &f.c, &f.t, BK_COMPR_LIST, &g); /* and can still be listed */
    assert_int_equal(g.rc, 0);
    assert_int_equal(g.entries, FILES);
    free(name);
    fix_release(&f);
}

static void listing_damaged(void **state)
{
    (void)state;
    for (size_t transforms = 0; transforms < 2; transforms++) {
        struct fix f;
        uint64_t seed = 6;

        fix_init(&f, transforms);
        struct ms_object *o = comp_stored(&f.k, &f.c, "listing");
        size_t n = o->n;

        for (size_t i = 0; i < 40; i++) {
            size_t at = (size_t)(kit_random(&seed) % n);
            struct tree_got g;

            o->data[at] ^= 1;
            tree_read(&f.k, &f.c, &f.t, 0, &g);
            assert_int_equal(g.rc, BAKE_E_CORRUPT);
            tree_got_free(&g);
            o->data[at] ^= 1;
        }
        for (size_t i = 0; i < n; i += 23) { /* also where a line ends */
            struct tree_got g;

            o->n = i;
            tree_read(&f.k, &f.c, &f.t, 0, &g);
            assert_int_equal(g.rc, BAKE_E_CORRUPT);
            assert_non_null(strstr(f.k.err.text, "mtree"));
            tree_got_free(&g);
            o->n = n;
        }
        fix_release(&f);
    }
}

/* Two good objects that do not belong together. */
static void they_disagree(void **state)
{
    (void)state;
    struct fix f;
    struct bk_mcomp other;
    struct tree_got g;
    struct tree t = {0};

    fix_init(&f, 1);
    for (int more = -1; more <= 1; more++) {
        char path[24];

        for (int i = 0; i < FILES + more; i++) {
            (void)snprintf(path, sizeof(path), more || i != 5 ? "f%02d" : "g%02d", i);
            (void)tree_add(&t, BAKE_FILE, path, f.data + i * BYTES, BYTES);
        }
        (void)snprintf(path, sizeof(path), "other%d", more + 1);
        assert_int_equal(tree_write(&f.k, path, &t, &other), 0);
        struct bk_object keep = f.c.objects[1];
        f.c.objects[1] = other.objects[1];
        tree_read(&f.k, &f.c, &f.t, 0, &g);
        assert_int_equal(g.rc, BAKE_E_CORRUPT);
        assert_int_equal(g.entries, more == 0 ? 5 : FILES - (more < 0));
        f.c.objects[1] = keep;
        tree_got_free(&g);
        bk_mcomp_release(&other);
        tree_free(&t);
    }
    fix_release(&f);
}

/* A manifest that names no listing: told, not crashed on; the stream itself is still to be had. */
static void no_listing(void **state)
{
    (void)state;
    struct fix f;
    struct tree_got g;
    struct bk_compr *r = NULL;
    struct bk_manifest m = {.id = (char *)(uintptr_t)KIT_ID};

    fix_init(&f, 1);
    f.c.n_objects = 1;
    tree_read(&f.k, &f.c, &f.t, 0, &g);
    assert_int_equal(g.rc, BAKE_E_CORRUPT);
    assert_int_equal(bk_compr_open(f.k.store, bk_store_base(f.k.store), &m, &f.c, BK_COMPR_RAW,
                                   f.k.cancel, &r, &f.k.err),
                     0);
    bk_compr_free(r); /* in the middle: its transforms are closed while their context lives */
    bk_compr_free(NULL);
    f.c.n_objects = 2;
    fix_release(&f);
}

/* A failed component has no objects at all. */
static void no_data(void **state)
{
    (void)state;
    struct kit k;
    struct bk_mcomp c = {.kind = BAKE_BLOB, .name = (char *)(uintptr_t) "x"};
    struct bk_manifest m = {.id = (char *)(uintptr_t)KIT_ID};
    struct bk_compr *r = NULL;

    kit_init(&k, 1, 0);
    kit_must_open(&k);
    assert_int_equal(
        bk_compr_open(k.store, bk_store_base(k.store), &m, &c, 0, k.cancel, &r, &k.err),
        BAKE_E_NOTFOUND);
    kit_release(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_file),      cmocka_unit_test(one_header),
        cmocka_unit_test(data_cut),      cmocka_unit_test(data_changed),
        cmocka_unit_test(data_gone),     cmocka_unit_test(listing_damaged),
        cmocka_unit_test(they_disagree), cmocka_unit_test(no_listing),
        cmocka_unit_test(no_data),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
