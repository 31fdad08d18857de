/* What a restored server reads when it starts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base_files.h"
#include "base_way.h"
#include "fakehost.h"
#include "text.h"
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct bed {
    struct fakehost host;
    char dir[64];
    struct pg_config cfg;
    struct pg_way way;
    struct pg_stage stage;
};

static int up(void **state)
{
    struct bed *b = calloc(1, sizeof(*b));
    if (!b)
        return -1;
    fakehost_init(&b->host);
    (void)snprintf(b->dir, sizeof(b->dir), "/tmp/pgbase-conf-XXXXXX");
    if (!mkdtemp(b->dir))
        return -1;
    b->stage.stage = b->dir;
    b->way =
        (struct pg_way){.ctx = &b->host.ctx, .cfg = &b->cfg, .stages = &b->stage, .n_stages = 1};
    *state = b;
    return 0;
}

static int down(void **state)
{
    struct bed *b = *state;
    int rc = pg_remove_tree(&b->host.ctx, b->dir);
    json_decref((json_t *)(uintptr_t)b->way.known.settings);
    fakehost_free(&b->host);
    free(b);
    return rc;
}

static void put(struct bed *b, const char *name, const char *text)
{
    char *path = pg_text("%s/%s", b->dir, name);
    assert_int_equal(pg_write_file(&b->host.ctx, path, text, strlen(text), false, 0, 0), BAKE_OK);
    free(path);
}

static bool there(struct bed *b, const char *name)
{
    char *path = pg_text("%s/%s", b->dir, name);
    bool yes = access(path, F_OK) == 0;
    free(path);
    return yes;
}

static char *content(struct bed *b, const char *name)
{
    char *path = pg_text("%s/%s", b->dir, name), *text = NULL;
    assert_int_equal(pg_read_file(&b->host.ctx, path, 1 << 20, &text), BAKE_OK);
    free(path);
    return text;
}

static void without_moment(void **state)
{
    struct bed *b = *state;
    put(b, "postgresql.auto.conf", "restore_command = 'x'\n");
    put(b, "standby.signal", "");
    put(b, "recovery.signal", "");
    assert_int_equal(pg_way_conf(&b->way), BAKE_OK);
    assert_false(there(b, "standby.signal"));
    assert_false(there(b, "recovery.signal"));
    char *text = content(b, "postgresql.auto.conf");
    assert_string_equal(text, "restore_command = 'x'\n"); /* of no effect: as it was */
    free(text);
    assert_int_equal(fakehost_count(&b->host, 0, NULL, NULL), 0);
    b->way.known.settings = json_pack("{s:s}", "archive_mode", "on");
    assert_int_equal(pg_way_conf(&b->way), BAKE_OK);
    assert_int_equal(fakehost_count(&b->host, BAKE_NOTICE, NULL, "archive_command"), 1);
}

static void with_moment(void **state)
{
    struct bed *b = *state;
    b->way.at_ns = INT64_C(1700000000123456789);
    b->way.program = (char *)(uintptr_t) "/opt/it's/bake\\ngine";
    b->way.pipeline = (char *)(uintptr_t) "/etc/100%/a b.yaml";
    put(b, "postgresql.auto.conf",
        "# Do not edit\n"
        "restore_command = 'old'\n"
        "  Recovery_Target_Name = 'old'\n"
        "recovery_target = 'immediate'\n"
        "PRIMARY_CONNINFO='old'\n"
        "primary_slot_name='old'\n"
        "restore_command_like.custom = 'mine'\n"
        "work_mem = '5MB'");
    assert_int_equal(pg_way_conf(&b->way), BAKE_OK);
    assert_true(there(b, "recovery.signal"));
    char *text = content(b, "postgresql.auto.conf");
    assert_string_equal(text, "# Do not edit\n"
                              "restore_command_like.custom = 'mine'\n"
                              "work_mem = '5MB'\n"
                              "# written by a restore\n"
                              "restore_command = '''/opt/it''\\\\''''s/bake\\\\ngine'' wal-fetch "
                              "''/etc/100%%/a b.yaml'' %f \"%p\"'\n"
                              "recovery_target_time = '2023-11-14 22:13:20.123456+00'\n"
                              "recovery_target_timeline = 'latest'\n"
                              "recovery_target_action = 'promote'\n");
    free(text);
    /* the same, once more: nothing is there twice */
    assert_int_equal(pg_way_conf(&b->way), BAKE_OK);
    text = content(b, "postgresql.auto.conf");
    const char *first = strstr(text, "\nrestore_command =");
    assert_non_null(first);
    assert_null(strstr(first + 1, "\nrestore_command ="));
    free(text);
}

/* A moment to come: all the log there is, so no target that may not be found. */
static void to_the_end(void **state)
{
    struct bed *b = *state;
    b->way.at_ns = INT64_MAX;
    b->way.program = (char *)(uintptr_t) "/bin/bakengine";
    b->way.pipeline = (char *)(uintptr_t) "/p.yaml";
    assert_int_equal(pg_way_conf(&b->way), BAKE_OK);
    char *text = content(b, "postgresql.auto.conf");
    assert_null(strstr(text, "recovery_target_time ="));
    assert_non_null(strstr(text, "'/bin/bakengine'"));
    assert_true(there(b, "recovery.signal"));
    free(text);
}

/* A moment of this very second is past, too. */
static void just_now(void **state)
{
    struct bed *b = *state;
    struct timespec now;
    assert_int_equal(clock_gettime(CLOCK_REALTIME, &now), 0);
    b->way.at_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
    b->way.program = (char *)(uintptr_t) "/bin/bakengine";
    b->way.pipeline = (char *)(uintptr_t) "/p.yaml";
    assert_int_equal(pg_way_conf(&b->way), BAKE_OK);
    char *text = content(b, "postgresql.auto.conf");
    assert_non_null(strstr(text, "recovery_target_time ="));
    free(text);
}

static void quoting(void **state)
{
    (void)state;
    static const char *const list[][2] = {{"", "''"},
                                          {"plain", "'plain'"},
                                          {"it's", "'it'\\''s'"},
                                          {"$(x) `y` \"z\"", "'$(x) `y` \"z\"'"}};
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        char *q = pg_shell_quoted(list[i][0]);
        assert_string_equal(q, list[i][1]);
        free(q);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(without_moment, up, down),
        cmocka_unit_test_setup_teardown(with_moment, up, down),
        cmocka_unit_test_setup_teardown(to_the_end, up, down),
        cmocka_unit_test_setup_teardown(just_now, up, down),
        cmocka_unit_test(quoting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
