/* store/manifest_groups: what a manifest says of the groups that were held. */
#include "manifest_kit.h"

static struct bk_manifest *with_groups(void)
{
    struct bk_manifest *m = kit_full();

    m->groups = calloc(2, sizeof(*m->groups));
    assert_non_null(m->groups);
    m->n_groups = 2;
    m->groups[0] = (struct bk_mgroup){.name = bk_strdup("myapp"),
                                      .source = bk_strdup("stacks"),
                                      .held_ms = 3207,
                                      .facts = json_pack("{sf}", "stopped_seconds", 3.1)};
    m->groups[1] = (struct bk_mgroup){.name = bk_strdup("myapp"),
                                      .source = bk_strdup("other"),
                                      .error = bk_strdup("source 'other': does not stop")};
    return m;
}

static int write_and_parse(json_t *j, struct bk_manifest **ret, struct bk_err *err)
{
    struct bk_buf text = BK_BUF_INIT;
    int rc;

    bk_err_clear(err);
    assert_int_equal(bk_json_seal(j, &text, err), 0);
    rc = bk_manifest_parse(text.data, text.len, KIT_ID, ret, err);
    bk_buf_free(&text);
    json_decref(j);
    return rc;
}

static void round_trip(void **state)
{
    (void)state;
    struct bk_manifest *m = with_groups(), *back = NULL;
    const struct bk_mgroup *g;
    struct bk_err err;

    assert_int_equal(write_and_parse(bk_manifest_json(m), &back, &err), 0);
    assert_int_equal(back->n_groups, 2);
    g = bk_manifest_group(back, "stacks", "myapp");
    assert_ptr_equal(g, &back->groups[0]);
    assert_int_equal(g->held_ms, 3207);
    assert_null(g->error);
    assert_true(json_equal(g->facts, m->groups[0].facts));
    g = bk_manifest_group(back, "other", "myapp");
    assert_ptr_equal(g, &back->groups[1]);
    assert_int_equal(g->held_ms, 0);
    assert_string_equal(g->error, "source 'other': does not stop");
    assert_null(g->facts);
    assert_null(bk_manifest_group(back, "stacks", "other"));
    assert_null(bk_manifest_group(back, "nobody", "myapp"));
    bk_manifest_free(back);
    bk_manifest_free(m);
}

/* An older manifest has none, and says nothing of them. */
static void none(void **state)
{
    (void)state;
    struct bk_manifest *m = kit_full(), *back = NULL;
    json_t *j = bk_manifest_json(m);
    struct bk_err err;

    assert_null(json_object_get(j, "groups"));
    assert_int_equal(write_and_parse(j, &back, &err), 0);
    assert_int_equal(back->n_groups, 0);
    assert_null(bk_manifest_group(back, "stacks", "myapp"));
    bk_manifest_free(back);
    bk_manifest_free(m);
}

static json_t *document(void)
{
    struct bk_manifest *m = with_groups();
    json_t *j = bk_manifest_json(m);

    bk_manifest_free(m);
    assert_non_null(j);
    return j;
}

static void refuse(json_t *j)
{
    struct bk_manifest *m = NULL;
    struct bk_err err;

    assert_int_equal(write_and_parse(j, &m, &err), BAKE_E_CORRUPT);
    assert_null(m);
    assert_non_null(strstr(err.text, "manifest of '" KIT_ID "'"));
}

static void what_is_wrong(void **state)
{
    static const char *const needed[] = {"name", "source"};
    struct bk_manifest *m = NULL;
    struct bk_err err;
    json_t *j;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        j = document();
        json_object_del(json_array_get(json_object_get(j, "groups"), 1), needed[i]);
        refuse(j);
        j = document();
        json_object_set_new(json_array_get(json_object_get(j, "groups"), 0), needed[i],
                            json_integer(1));
        refuse(j);
    }
    j = document();
    json_object_set_new(json_array_get(json_object_get(j, "groups"), 0), "error", json_true());
    refuse(j);
    j = document();
    json_array_append_new(json_object_get(j, "groups"), json_string("myapp"));
    refuse(j);
    j = document();
    json_object_set_new(j, "groups", json_object());
    refuse(j);
    /* What is only for people does not make a backup unreadable. */
    j = document();
    json_object_set_new(json_array_get(json_object_get(j, "groups"), 0), "facts", json_array());
    json_object_set_new(json_array_get(json_object_get(j, "groups"), 0), "held_seconds",
                        json_string("long"));
    assert_int_equal(write_and_parse(j, &m, &err), 0);
    assert_null(m->groups[0].facts);
    assert_int_equal(m->groups[0].held_ms, 0);
    bk_manifest_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(none),
        cmocka_unit_test(what_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
