/* A project's Compose files: staged beside the old ones, exchanged, and put back from the promise.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fakehost.h"
#include "restore_impl.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct kit {
    struct fakehost host;
    char dir[64];
    struct rs_files *files;
};

static void put(const struct kit *k, const char *name, const char *text)
{
    char path[200];
    (void)snprintf(path, sizeof(path), "%s/%s", k->dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

/* NULL: it must not be there. */
static void holds(const struct kit *k, const char *name, const char *text)
{
    char path[200], got[100] = "";
    (void)snprintf(path, sizeof(path), "%s/%s", k->dir, name);
    FILE *f = fopen(path, "r");
    if (!text) {
        assert_null(f);
        return;
    }
    assert_non_null(f);
    (void)fgets(got, sizeof(got), f);
    (void)fclose(f);
    assert_string_equal(got, text);
}

static int setup(void **state)
{
    struct kit *k = calloc(1, sizeof(*k));
    fakehost_init(&k->host);
    (void)snprintf(k->dir, sizeof(k->dir), "/tmp/bake-files-XXXXXX");
    assert_non_null(mkdtemp(k->dir));
    put(k, "docker-compose.yml", "old");
    put(k, "other", "stays");
    *state = k;
    return 0;
}

static int teardown(void **state)
{
    struct kit *k = *state;
    char command[100];
    rs_files_close(k->files);
    (void)snprintf(command, sizeof(command), "%s", k->dir);
    char *const argv[] = {(char *)"rm", (char *)"-rf", command, NULL};
    if (fork() == 0) {
        (void)execvp("rm", argv);
        _exit(127);
    }
    fakehost_free(&k->host);
    free(k);
    return 0;
}

static void stage_file(struct kit *k, const char *path, const char *text)
{
    struct bake_entry e = {.struct_size = sizeof(e),
                           .type = BAKE_FILE,
                           .path = path,
                           .size = strlen(text),
                           .valid = BAKE_HAS_MODE,
                           .mode = 0600};
    struct bake_in in = {.data = text, .size = strlen(text)};
    assert_int_equal(rs_files_put(k->files, &k->host.ctx, &e), BAKE_OK);
    assert_int_equal(rs_files_write(k->files, &in), BAKE_OK);
    assert_int_equal(rs_files_entry_end(k->files, 1), BAKE_OK);
}

static void stage(struct kit *k)
{
    assert_int_equal(rs_files_new(&k->host.ctx, k->dir, &k->files), BAKE_OK);
    struct bake_entry root = {.struct_size = sizeof(root), .type = BAKE_DIR, .path = "."};
    assert_int_equal(rs_files_put(k->files, &k->host.ctx, &root), BAKE_END);
    stage_file(k, "docker-compose.yml", "new");
    stage_file(k, ".env", "A=1");
    stage_file(k, "more/web.yml", "web");
    assert_int_equal(rs_files_staged(k->files, &k->host.ctx), BAKE_OK);
}

static void is_old(const struct kit *k)
{
    holds(k, "docker-compose.yml", "old");
    holds(k, ".env", NULL);
    holds(k, "more/web.yml", NULL);
    holds(k, "other", "stays");
}

static size_t entries(const struct kit *k)
{
    struct stat st;
    char path[200];
    json_t *j = rs_files_json(k->files);
    (void)snprintf(path, sizeof(path), "%s/%s", k->dir,
                   json_string_value(json_object_get(j, "stage")));
    json_decref(j);
    return stat(path, &st) == 0;
}

static void staged_changes_nothing(void **state)
{
    struct kit *k = *state;
    stage(k);
    is_old(k);
    assert_int_equal(entries(k), 1);
    json_t *j = rs_files_json(k->files);
    assert_int_equal(rs_files_undo(&k->host.ctx, j), BAKE_OK);
    is_old(k);
    assert_int_equal(entries(k), 0);
    json_decref(j);
}

static void there_and_back(void **state)
{
    struct kit *k = *state;
    stage(k);
    json_t *j = rs_files_json(k->files);
    assert_int_equal(rs_files_switch(k->files, &k->host.ctx), BAKE_OK);
    holds(k, "docker-compose.yml", "new");
    holds(k, ".env", "A=1");
    holds(k, "more/web.yml", "web");
    holds(k, "other", "stays");
    assert_int_equal(rs_files_switch(k->files, &k->host.ctx), BAKE_OK); /* once more: done */
    holds(k, "docker-compose.yml", "new");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(rs_files_undo(&k->host.ctx, j), BAKE_OK);
        is_old(k);
        assert_int_equal(entries(k), 0);
    }
    json_decref(j);
}

/* Killed in the middle: some are new, some not yet. */
static void half_way(void **state)
{
    struct kit *k = *state;
    stage(k);
    json_t *j = rs_files_json(k->files), *half = json_deep_copy(j);
    assert_int_equal(rs_files_switch(k->files, &k->host.ctx), BAKE_OK);
    json_array_remove(json_object_get(half, "files"), 0); /* docker-compose.yml */
    json_object_set_new(half, "stage", json_string(".bakengine-none"));
    assert_int_equal(rs_files_undo(&k->host.ctx, half), BAKE_OK); /* nothing to go back from */
    holds(k, "docker-compose.yml", "new");
    /* somebody's own change since then is not thrown away */
    put(k, "fresh", "theirs");
    char a[200], b[200];
    (void)snprintf(a, sizeof(a), "%s/fresh", k->dir);
    (void)snprintf(b, sizeof(b), "%s/docker-compose.yml", k->dir);
    assert_int_equal(rename(a, b), 0);
    assert_int_equal(rs_files_undo(&k->host.ctx, j), BAKE_OK);
    holds(k, "docker-compose.yml", "theirs");
    holds(k, ".env", NULL);
    json_decref(half);
    json_decref(j);
}

static void dropping(void **state)
{
    struct kit *k = *state;
    stage(k);
    json_t *j = rs_files_json(k->files);
    assert_int_equal(rs_files_switch(k->files, &k->host.ctx), BAKE_OK);
    assert_int_equal(rs_files_drop(&k->host.ctx, j), BAKE_OK);
    holds(k, "docker-compose.yml", "new");
    assert_int_equal(entries(k), 0);
    json_decref(j);
}

static void never_through_links(void **state)
{
    struct kit *k = *state;
    char link[200];
    (void)snprintf(link, sizeof(link), "%s/more", k->dir);
    assert_int_equal(symlink("/tmp", link), 0);
    stage(k);
    assert_int_equal(rs_files_switch(k->files, &k->host.ctx), BAKE_E_IO);
    assert_int_not_equal(access("/tmp/web.yml", F_OK), 0);
    json_t *j = rs_files_json(k->files);
    assert_int_equal(rs_files_undo(&k->host.ctx, j), BAKE_E_IO); /* the link is in its way too */
    holds(k, "docker-compose.yml", "old");
    assert_int_equal(unlink(link), 0);
    assert_int_equal(rs_files_undo(&k->host.ctx, j), BAKE_OK);
    is_old(k);
    json_decref(j);
}

static void hostile_promises(void **state)
{
    struct kit *k = *state;
    static const char *const bad[] = {
        "{}", "{\"dir\":\"/tmp\",\"stage\":\"x\"}",
        "{\"dir\":\"/tmp\",\"stage\":\".bakengine-x/../..\",\"files\":[]}"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        json_t *j = json_loads(bad[i], 0, NULL);
        assert_int_equal(rs_files_undo(&k->host.ctx, j), BAKE_E_CORRUPT);
        json_decref(j);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(staged_changes_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(there_and_back, setup, teardown),
        cmocka_unit_test_setup_teardown(half_way, setup, teardown),
        cmocka_unit_test_setup_teardown(dropping, setup, teardown),
        cmocka_unit_test_setup_teardown(never_through_links, setup, teardown),
        cmocka_unit_test_setup_teardown(hostile_promises, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
