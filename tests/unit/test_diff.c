/* run/diff: two trees merged, in any state that they can be in. */
#include "compkit.h"

#include "run/diff.h"

#include <stdio.h>

struct heard {
    struct bk_buf lines; /* "M path\n" */
    struct bk_err failed;
    size_t calls, stop_at; /* 0: never */
    struct bk_cancel *fire;
};

static int each(void *arg, const struct bk_difference *d, struct bk_err *err)
{
    struct heard *h = arg;

    assert_true(d->change < BK_CHANGES);
    assert_int_equal(bk_buf_printf(&h->lines, "%c %s\n", "+-MTU"[d->change],
                                   d -> path ? d -> path : d -> component),
                     0);
    if (h->fire)
        bk_cancel_fire(h->fire);
    return ++h->calls == h->stop_at ? bk_fail(err, BAKE_E_IO, "enough") : BAKE_OK;
}

static void failed(void *arg, const char *component, const struct bk_err *why)
{
    struct heard *h = arg;

    (void)component;
    h->failed = *why;
}

/* Two backups of a component "x" each, stored side by side. */
struct both {
    struct kit k;
    struct tree a, b;
    struct bk_mcomp ac, bc;
    struct heard h;
    struct bk_diff_sum sum;
    struct bk_err err;
};

static void named_x(struct bk_mcomp *c)
{
    free(c->name);
    c->name = bk_strdup("x");
}

static void store_both(struct both *t)
{
    kit_init(&t->k, 1, 1);
    kit_must_open(&t->k);
    assert_int_equal(tree_write(&t->k, "before", &t->a, &t->ac), 0);
    assert_int_equal(tree_write(&t->k, "after", &t->b, &t->bc), 0);
    named_x(&t->ac);
    named_x(&t->bc);
}

static int run(struct both *t)
{
    struct bk_strv none = {0};
    struct bk_manifest before = {.id = (char *)(uintptr_t)KIT_ID, .comps = &t->ac, .n_comps = 1};
    struct bk_manifest after = {.id = (char *)(uintptr_t)KIT_ID, .comps = &t->bc, .n_comps = 1};
    struct bk_diff d = {.store = t->k.store,
                        .sink = bk_store_base(t->k.store),
                        .before = &before,
                        .after = &after,
                        .components = &none,
                        .cancel = t->k.cancel,
                        .arg = &t->h,
                        .each = each,
                        .failed = failed};
    int rc = bk_diff(&d, &t->sum, &t->err);

    bk_diff_sum_release(&t->sum);
    return rc;
}

static void release(struct both *t)
{
    bk_buf_free(&t->h.lines);
    bk_mcomp_release(&t->ac);
    bk_mcomp_release(&t->bc);
    tree_free(&t->a);
    tree_free(&t->b);
    kit_release(&t->k);
}

static void says(const struct both *t, const char *lines)
{
    assert_string_equal(t->h.lines.data ? t->h.lines.data : "", lines);
}

static void merged(void **state)
{
    (void)state;
    struct both t = {0};

    tree_add(&t.a, BAKE_DIR, ".", NULL, 0)->mode = 0700;
    tree_add(&t.a, BAKE_FILE, "a", "1", 1);
    tree_add(&t.a, BAKE_DIR, "d", NULL, 0);
    tree_add(&t.a, BAKE_FILE, "d/x", "22", 2);
    tree_add(&t.a, BAKE_FILE, "d-", "333", 3);
    tree_add(&t.a, BAKE_FILE, "same", "4444", 4);
    tree_add(&t.b, BAKE_DIR, ".", NULL, 0);
    tree_add(&t.b, BAKE_FIFO, "d", NULL, 0);
    tree_add(&t.b, BAKE_FILE, "d-", "xyz", 3);
    tree_add(&t.b, BAKE_FILE, "same", "4444", 4);
    tree_add(&t.b, BAKE_FILE, "z", "55555", 5);
    store_both(&t);
    assert_int_equal(run(&t), 0);
    says(&t, "U .\n- a\nT d\n- d/x\nM d-\n+ z\n");
    assert_true(t.sum.done);
    assert_int_equal(t.sum.bytes_added, 8);
    assert_int_equal(t.sum.bytes_removed, 6);
    assert_int_equal(t.sum.files[BK_CHANGE_REMOVED], 2);
    assert_int_equal(t.sum.dirs[BK_CHANGE_META], 1);
    assert_int_equal(t.sum.others[BK_CHANGE_TYPE], 1);
    release(&t);
}

/* Nothing at all in one of them. */
static void empty(void **state)
{
    (void)state;
    struct both t = {0};

    tree_add(&t.b, BAKE_DIR, ".", NULL, 0);
    tree_add(&t.b, BAKE_FILE, "a", "1", 1);
    store_both(&t);
    assert_int_equal(run(&t), 0);
    says(&t, "+ .\n+ a\n");
    release(&t);
}

/* As a source would store it that does not keep to the interface: no guesses. */
static void out_of_order(void **state)
{
    (void)state;
    static const char *const wrong[][2] = {{"b", "a"}, {"a", "a"}, {"a-b", "a/b"}, {"a", "."}};

    for (size_t i = 0; i < 4; i++)
        for (int side = 0; side < 2; side++) {
            struct both t = {0};

            tree_add(side ? &t.b : &t.a, BAKE_FILE, wrong[i][0], "1", 1);
            tree_add(side ? &t.b : &t.a, BAKE_DIR, wrong[i][1], NULL, 0);
            tree_add(side ? &t.a : &t.b, BAKE_FILE, "zz", "1", 1);
            store_both(&t);
            assert_int_equal(run(&t), BAKE_E_UNSUPPORTED);
            assert_non_null(strstr(t.h.failed.text,
                                   "component 'x' of backup '" KIT_ID "': its entries "
                                   "are not in the order of their paths"));
            assert_true(t.sum.done);
            release(&t);
        }
}

static void damaged(void **state)
{
    (void)state;
    for (int side = 0; side < 2; side++) {
        struct both t = {0};

        tree_add(&t.a, BAKE_FILE, "a", "1", 1);
        tree_add(&t.b, BAKE_FILE, "b", "1", 1);
        store_both(&t);
        comp_stored(&t.k, side ? &t.bc : &t.ac, "listing")->data[8] ^= 1;
        assert_int_equal(run(&t), BAKE_E_CORRUPT);
        assert_non_null(strstr(t.h.failed.text, "component 'x' of backup"));
        release(&t);
    }
}

static void told_to_stop(void **state)
{
    (void)state;
    for (int how = 0; how < 2; how++) {
        struct both t = {0};

        tree_add(&t.a, BAKE_FILE, "a", "1", 1);
        tree_add(&t.a, BAKE_FILE, "b", "1", 1);
        tree_add(&t.b, BAKE_FILE, "c", "1", 1);
        store_both(&t);
        if (how == 0)
            t.h.stop_at = 1;
        else
            t.h.fire = t.k.cancel;
        assert_int_equal(run(&t), how == 0 ? BAKE_E_IO : BAKE_E_CANCELLED);
        assert_int_equal(t.h.calls, 1);
        assert_string_equal(t.h.failed.text, "");
        assert_false(t.sum.done);
        release(&t);
    }
}

static void many(void **state)
{
    (void)state;
    struct both t = {0};
    char path[32];

    for (size_t i = 0; i < 2000; i++) {
        (void)snprintf(path, sizeof(path), "d%05zu", i);
        tree_add(&t.a, BAKE_FILE, path, "1", 1);
        if (i % 2)
            tree_add(&t.b, BAKE_FILE, path, i % 4 == 1 ? "1" : "2", 1);
    }
    store_both(&t);
    assert_int_equal(run(&t), 0);
    assert_int_equal(t.sum.files[BK_CHANGE_REMOVED], 1000);
    assert_int_equal(t.sum.files[BK_CHANGE_CONTENT], 500);
    assert_int_equal(t.h.calls, 1500);
    release(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(merged),  cmocka_unit_test(empty),        cmocka_unit_test(out_of_order),
        cmocka_unit_test(damaged), cmocka_unit_test(told_to_stop), cmocka_unit_test(many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
