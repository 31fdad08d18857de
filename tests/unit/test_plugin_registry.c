/* Finding, listing and loading plugins. */
#include "plugin_dir.h"

static void loads_once(void **state)
{
    struct place *s = *state;
    char *file BK_FREE = place_copy(SOUND_SINK, s->a, "sink-sound.so");
    struct bk_registry *r = place_registry(s->a);
    const struct bk_plugin *p = NULL, *again = NULL;
    assert_int_equal(bk_registry_get(r, BK_SINK, "sound", &p, &s->err), 0);
    assert_int_equal(bk_registry_get(r, BK_SINK, "sound", &again, &s->err), 0);
    assert_ptr_equal(p, again);
    assert_int_equal(p->kind, BK_SINK);
    assert_string_equal(p->full_name, "sink-sound");
    assert_string_equal(p->file, file);
    assert_string_equal(p->desc.version, "1.2");
    assert_ptr_equal(p->desc.sink, &p->sink);
    assert_null(p->desc.source);
    assert_non_null(p->sink.put_begin);
    assert_null(p->options[0].key);
    bk_registry_free(r);
}

/* The linker remembers objects by the name that they were opened with: each must get its own. */
static void different_files_are_different_plugins(void **state)
{
    struct place *s = *state;
    free(place_copy(SOUND_SINK, s->a, "sink-sound.so"));
    free(place_copy(SOUND_SOURCE, s->a, "source-sound.so"));
    const struct bk_plugin *p = NULL;
    for (int i = 0; i < 3; i++) {
        struct bk_registry *r = place_registry(s->a);
        assert_int_equal(bk_registry_get(r, BK_SINK, "sound", &p, &s->err), 0);
        assert_int_equal(p->kind, BK_SINK);
        assert_int_equal(bk_registry_get(r, BK_SOURCE, "sound", &p, &s->err), 0);
        assert_int_equal(p->kind, BK_SOURCE);
        bk_registry_free(r);
    }
}

static void first_directory_wins(void **state)
{
    struct place *s = *state;
    char *first BK_FREE = place_copy(SOUND_SINK, s->a, "sink-sound.so");
    free(place_copy(SOUND_SINK, s->b, "sink-sound.so"));
    char *both BK_FREE = bk_asprintf("%s:%s", s->a, s->b);
    struct bk_registry *r = place_registry(both);
    const struct bk_plugin *p = NULL;
    assert_int_equal(bk_registry_get(r, BK_SINK, "sound", &p, &s->err), 0);
    assert_string_equal(p->file, first);
    bk_registry_free(r);
    /* An unsound one in front is not skipped over: that would hide the mistake. */
    assert_int_equal(chmod(first, 0777), 0);
    r = place_registry(both);
    assert_int_equal(bk_registry_get(r, BK_SINK, "sound", &p, &s->err), BAKE_E_CONFIG);
    bk_registry_free(r);
}

static void one_name_in_two_files(void **state)
{
    struct place *s = *state;
    char *first BK_FREE = place_copy(SOUND_SINK, s->a, "sink-sound.so");
    char *second BK_FREE = place_copy(SOUND_SINK, s->a, "sink-copy.so");
    struct bk_registry *r = place_registry(s->a);
    const struct bk_plugin *p = NULL;
    assert_int_equal(bk_registry_get(r, BK_SINK, "copy", &p, &s->err), BAKE_E_CONFIG);
    char *text BK_FREE = bk_asprintf(
        "plugin '%s' is the plugin 'sink-sound' a second time: '%s' has that name already", second,
        first);
    assert_string_equal(s->err.text, text);
    assert_null(p);
    /* The one that is called what it is still works. */
    assert_int_equal(bk_registry_get(r, BK_SINK, "sound", &p, &s->err), 0);
    bk_registry_free(r);
}

static void names_are_listed(void **state)
{
    struct place *s = *state;
    static const char *const files[] = {"sink-sound.so", "source-b.so", "source-a.so",
                                        "transform-x-2.so"};
    static const char *const others[] = {"README",      "sink-.so",   "sink-Big.so", "other-x.so",
                                         "sink-x.so.1", "libsink.so", ".so"};
    for (size_t i = 0; i < BK_LEN(files); i++)
        free(place_copy(SOUND_SINK, i % 2 ? s->b : s->a, files[i]));
    for (size_t i = 0; i < BK_LEN(others); i++)
        free(place_copy(SOUND_SINK, s->a, others[i]));
    free(place_copy(SOUND_SINK, s->b, "sink-sound.so"));
    char *dirs BK_FREE = bk_asprintf("%s:%s/none:%s", s->a, s->a, s->b);
    struct bk_registry *r = place_registry(dirs);
    struct bk_strv names = {0};
    assert_int_equal(bk_registry_names(r, &names, &s->err), 0);
    const char *const expected[] = {"sink-sound", "source-a", "source-b", "transform-x-2"};
    size_t found = 0;
    for (size_t i = 0; i < names.n; i++) { /* the build tree's own plugins are there as well */
        if (found < BK_LEN(expected) && bk_streq(names.items[i], expected[found]))
            found++;
        if (i > 0)
            assert_true(strcmp(names.items[i - 1], names.items[i]) < 0);
        assert_null(strstr(names.items[i], "Big"));
        assert_string_not_equal(names.items[i], "sink-");
    }
    assert_int_equal(found, BK_LEN(expected));
    bk_strv_free(&names);
    bk_registry_free(r);
}

static void absent(struct place *s, const char *name)
{
    struct bk_registry *r = place_registry(s->a);
    const struct bk_plugin *p = NULL;
    assert_int_equal(bk_registry_get(r, BK_SINK, name, &p, &s->err), BAKE_E_NOTFOUND);
    assert_null(p);
    assert_non_null(strstr(s->err.hint, s->a));
    assert_non_null(strstr(s->err.hint, "BAKENGINE_PLUGIN_PATH"));
    bk_registry_free(r);
}

static void absent_is_said_with_what_there_is(void **state)
{
    struct place *s = *state;
    free(place_copy(SOUND_SINK, s->a, "sink-sound.so"));
    absent(s, "sounds");
    assert_non_null(strstr(s->err.text, "there is no sink plugin 'sounds'; did you mean 'sound'?"));
    absent(s, "quite-different");
    assert_non_null(strstr(s->err.text, "there is no sink plugin 'quite-different'; available: "));
    assert_non_null(strstr(s->err.text, "sound"));
}

/* A name comes from a pipeline file and must not lead out of the directories. */
static void names_are_no_paths(void **state)
{
    struct place *s = *state;
    free(place_copy(SOUND_SINK, s->b, "sink-sound.so"));
    char *dir BK_FREE = bk_asprintf("%s/sink-x", s->a);
    assert_int_equal(mkdir(dir, 0700), 0);
    absent(s, "x/../../b/sink-sound");
    absent(s, "../b/sink-sound");
    absent(s, "");
    absent(s, "Sound");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(loads_once, place_setup, place_teardown),
        cmocka_unit_test_setup_teardown(different_files_are_different_plugins, place_setup,
                                        place_teardown),
        cmocka_unit_test_setup_teardown(first_directory_wins, place_setup, place_teardown),
        cmocka_unit_test_setup_teardown(one_name_in_two_files, place_setup, place_teardown),
        cmocka_unit_test_setup_teardown(names_are_listed, place_setup, place_teardown),
        cmocka_unit_test_setup_teardown(absent_is_said_with_what_there_is, place_setup,
                                        place_teardown),
        cmocka_unit_test_setup_teardown(names_are_no_paths, place_setup, place_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
