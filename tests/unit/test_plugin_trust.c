/* Code is loaded only from where nobody else could have put it. */
#include "plugin_dir.h"

/* What loading sink-sound from s->a says; "ok". */
static void expect(struct place *s, const char *fmt, ...) BAKE_PRINTF(2, 3);
static void expect(struct place *s, const char *fmt, ...)
{
    struct bk_registry *r = place_registry(s->a);
    const struct bk_plugin *p = NULL;
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    bk_err_clear(&s->err);
    int rc = bk_registry_get(r, BK_SINK, "sound", &p, &s->err);
    assert_string_equal(rc == 0 ? "ok" : s->err.text, text);
    assert_int_equal(rc, p ? 0 : BAKE_E_CONFIG);
    bk_registry_free(r);
}

static void file_written_by_others(void **state)
{
    struct place *s = *state;
    char *file BK_FREE = place_copy(SOUND_SINK, s->a, "sink-sound.so");
    expect(s, "ok");
    assert_int_equal(chmod(file, 0775), 0);
    expect(s, "plugin '%s' can be written to by others (mode 0775)", file);
    char *hint BK_FREE = bk_asprintf("if you trust what is in it: chmod go-w '%s'", file);
    assert_string_equal(s->err.hint, hint);
    assert_int_equal(chmod(file, 0602), 0);
    expect(s, "plugin '%s' can be written to by others (mode 0602)", file);
    assert_int_equal(chmod(file, 0600), 0);
    expect(s, "ok");
}

static void directory_written_by_others(void **state)
{
    struct place *s = *state;
    char *file BK_FREE = place_copy(SOUND_SINK, s->a, "sink-sound.so");
    assert_int_equal(chmod(s->a, 0777), 0);
    expect(s, "directory '%s' of plugin '%s' can be written to by others (mode 0777)", s->a, file);
    char *hint BK_FREE = bk_asprintf("if you trust what is in it: chmod go-w '%s'", s->a);
    assert_string_equal(s->err.hint, hint);
    assert_int_equal(chmod(s->a, 01777), 0);
    expect(s, "directory '%s' of plugin '%s' can be written to by others (mode 1777)", s->a, file);
    assert_int_equal(chmod(s->a, 0770), 0);
    expect(s, "directory '%s' of plugin '%s' can be written to by others (mode 0770)", s->a, file);
}

static void owned_by_another(void **state)
{
    struct place *s = *state;
    if (geteuid() != 0)
        skip(); /* only root can give files away */
    char *file BK_FREE = place_copy(SOUND_SINK, s->a, "sink-sound.so");
    assert_int_equal(chown(file, 65534, 0), 0);
    expect(s, "plugin '%s' belongs to user 65534, not to root or to user 0 who runs the engine",
           file);
    assert_int_equal(chown(file, 0, 0), 0);
    assert_int_equal(chown(s->a, 65534, 0), 0);
    expect(s,
           "directory '%s' of plugin '%s' belongs to user 65534, not to root or to user 0 who runs "
           "the engine",
           s->a, file);
}

static void links_are_followed_with_care(void **state)
{
    struct place *s = *state;
    char *file BK_FREE = place_copy(SOUND_SINK, s->b, "anything");
    char *link BK_FREE = bk_asprintf("%s/sink-sound.so", s->a);
    assert_int_equal(symlink(file, link), 0);
    expect(s, "ok");
    assert_int_equal(chmod(s->b, 0777), 0);
    expect(s, "directory '%s' of plugin '%s' can be written to by others (mode 0777)", s->b, file);
    assert_int_equal(chmod(s->b, 0700), 0);
    assert_int_equal(chmod(s->a, 0777), 0);
    expect(s, "directory '%s' of plugin '%s' can be written to by others (mode 0777)", s->a, link);
    assert_int_equal(chmod(s->a, 0700), 0);
    assert_int_equal(unlink(file), 0);
    expect(s, "cannot resolve plugin '%s': no such file or directory", link);
}

static void only_regular_files(void **state)
{
    struct place *s = *state;
    char *file BK_FREE = bk_asprintf("%s/sink-sound.so", s->a);
    assert_int_equal(mkfifo(file, 0600), 0);
    expect(s, "plugin '%s' is not a regular file", file);
    assert_int_equal(unlink(file), 0);
    assert_int_equal(mkdir(file, 0700), 0);
    expect(s, "plugin '%s' is not a regular file", file);
}

static void only_shared_objects(void **state)
{
    struct place *s = *state;
    char *file BK_FREE = bk_asprintf("%s/sink-sound.so", s->a);
    assert_int_equal(bk_write_file(file, "no code\n", 8, 0600, &s->err), 0);
    expect(s, "plugin '%s' cannot be loaded: file too short", file);
    char *long_text BK_FREE = calloc(1, 8192);
    memset(long_text, 'x', 8192);
    assert_int_equal(bk_write_file(file, long_text, 8192, 0600, &s->err), 0);
    expect(s, "plugin '%s' cannot be loaded: invalid ELF header", file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(file_written_by_others, place_setup, place_teardown),
        cmocka_unit_test_setup_teardown(directory_written_by_others, place_setup, place_teardown),
        cmocka_unit_test_setup_teardown(owned_by_another, place_setup, place_teardown),
        cmocka_unit_test_setup_teardown(links_are_followed_with_care, place_setup, place_teardown),
        cmocka_unit_test_setup_teardown(only_regular_files, place_setup, place_teardown),
        cmocka_unit_test_setup_teardown(only_shared_objects, place_setup, place_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
