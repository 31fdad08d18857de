/* store/transforms: from the names in a manifest to plugins with options. */
#include "storekit.h"

#include "store/transforms.h"

#include <stdlib.h>
#include <string.h>

struct fix {
    struct kit k;
    struct bk_registry *reg;
    struct bk_transform *t;
};

static int setup(void **state)
{
    struct fix *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    kit_init(&f->k, 1, 1);
    assert_int_equal(bk_registry_new(&f->reg, &f->k.err), 0);
    assert_int_equal(bk_store_open(&f->k.pipeline, f->reg, f->k.cancel, BK_STORE_WRITE, NULL,
                                   &f->k.store, &f->k.err),
                     0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fix *f = *state;

    free(f->t);
    kit_release(&f->k);
    bk_registry_free(f->reg);
    free(f);
    return 0;
}

static int get(struct fix *f, const char *a, const char *b)
{
    struct bk_strv names = {0};
    int rc;

    if (a)
        assert_int_equal(bk_strv_add(&names, a), 0);
    if (b)
        assert_int_equal(bk_strv_add(&names, b), 0);
    free(f->t);
    f->t = NULL;
    bk_err_clear(&f->k.err);
    rc = bk_store_transforms_for(f->k.store, &names, &f->t, &f->k.err);
    bk_strv_free(&names);
    return rc;
}

/* The pipeline's own come with its options, others with their defaults: the same each time. */
static void known_and_not(void **state)
{
    struct fix *f = *state;
    const void *cfg;

    assert_int_equal(get(f, NULL, NULL), 0);
    if (get(f, "zstd", "fake") < 0)
        fail_msg("%s", f->k.err.text);
    assert_string_equal(f->t[0].plugin->desc.name, "zstd");
    assert_ptr_equal(f->t[1].plugin, ft_plugin());
    assert_ptr_equal(f->t[1].cfg, &f->k.ft_cfgs[0]);
    cfg = f->t[0].cfg;
    assert_int_equal(get(f, "fake", "zstd"), 0);
    assert_ptr_equal(f->t[1].cfg, cfg);
    assert_ptr_equal(f->t[0].plugin, ft_plugin());
}

static void not_there(void **state)
{
    struct fix *f = *state;

    assert_int_equal(get(f, "zstd", "nosuch"), BAKE_E_NOTFOUND);
    assert_null(f->t);
    assert_int_equal(get(f, "zstd", NULL), 0);
}

/* One that lacks a required option is refused each time it is asked for, not the first time only.
 */
static void lacks_an_option(void **state)
{
    struct fix *f = *state;

    for (int i = 0; i < 3; i++) {
        assert_int_equal(get(f, "needs-key", NULL), BAKE_E_CONFIG);
        assert_int_equal(f->k.err.rc, BAKE_E_CONFIG);
        assert_non_null(strstr(f->k.err.text, "needs-key"));
        assert_null(f->t);
    }
    assert_int_equal(get(f, "zstd", NULL), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(known_and_not), TEST(not_there), TEST(lacks_an_option)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
