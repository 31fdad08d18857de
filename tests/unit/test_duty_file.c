/* Files of obligations: durable lines, locks, what a crash leaves. */
#include "run/duty_file.h"

#include "base/cleanup.h"
#include "base/str.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/bake-duty-XXXXXX";

static int make_dir(void **state)
{
    (void)state;
    memcpy(dir + strlen(dir) - 6, "XXXXXX", 6);
    return mkdtemp(dir) && setenv("BAKENGINE_STATE_DIR", dir, 1) == 0 ? 0 : -1;
}

static int remove_dir(void **state)
{
    char *command BK_FREE = bk_asprintf("%s/obligations", dir);

    (void)state;
    (void)rmdir(command); /* fails where a test left a file, on purpose */
    return rmdir(dir);
}

static uint64_t add(struct bk_duty_file *f, uint64_t id, const char *what)
{
    struct bk_obligation o = {.id = id,
                              .source = (char *)"stacks",
                              .plugin = (char *)"docker",
                              .pipeline = (char *)"/p.yaml",
                              .what = (char *)what};
    struct bk_err err = {0};

    assert_int_equal(bk_duty_file_add(f, &o, &err), BAKE_OK);
    return o.id;
}

/* As a process that dies leaves it: closed, with what is in it. */
static char *die(struct bk_duty_file *f)
{
    char *path = bk_strdup(f->path);

    assert_non_null(path);
    assert_true(f->n > 0);
    bk_duty_file_close(f);
    assert_int_equal(access(path, F_OK), 0);
    return path;
}

/* A dead process's file with one obligation and, behind it, this. */
static char *dead_with(const char *text)
{
    struct bk_duty_file f = BK_DUTY_FILE_INIT;
    struct bk_err err = {0};
    char *path;
    int fd;

    assert_int_equal(bk_duty_file_new(&f, &err), BAKE_OK);
    add(&f, 0, "{\"n\":1}");
    path = die(&f);
    fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    assert_int_equal(write(fd, text, strlen(text)), (int)strlen(text));
    close(fd);
    return path;
}

static void test_kept_and_replaced(void **state)
{
    struct bk_duty_file f = BK_DUTY_FILE_INIT, g = BK_DUTY_FILE_INIT;
    struct bk_err err = {0};
    char *path;
    uint64_t a, b;

    (void)state;
    assert_int_equal(bk_duty_file_new(&f, &err), BAKE_OK);
    a = add(&f, 0, "{\"n\":1}");
    b = add(&f, 0, "{\"n\":2}");
    assert_int_not_equal(a, b);
    assert_int_equal(add(&f, a, "{\"n\":3}"), a);
    assert_int_equal(bk_duty_file_drop(&f, b, &err), BAKE_OK);
    assert_int_equal(bk_duty_file_drop(&f, b, &err), BAKE_E_INTERNAL);
    /* the living are left alone */
    assert_int_equal(bk_duty_file_take(f.path, &g, &err), BAKE_END);
    path = die(&f);
    assert_int_equal(bk_duty_file_take(path, &g, &err), BAKE_OK);
    assert_int_equal(g.n, 1);
    assert_int_equal(g.items[0].id, a);
    assert_string_equal(g.items[0].what, "{\"n\":3}");
    assert_string_equal(g.items[0].pipeline, "/p.yaml");
    assert_int_not_equal(add(&g, 0, "{}"), b); /* an id is never given twice */
    assert_int_equal(bk_duty_file_drop(&g, a, &err), BAKE_OK);
    assert_int_equal(bk_duty_file_drop(&g, g.items[0].id, &err), BAKE_OK);
    bk_duty_file_close(&g);
    assert_int_equal(access(path, F_OK), -1); /* nothing is left: it goes */
    free(path);
}

/* The options that counted are kept with it. */
static void test_set(void **state)
{
    struct bk_duty_file f = BK_DUTY_FILE_INIT, g = BK_DUTY_FILE_INIT;
    struct bk_obligation o = {.source = (char *)"app",
                              .plugin = (char *)"postgres",
                              .pipeline = (char *)"/p.yaml",
                              .what = (char *)"{}"};
    struct bk_err err = {0};
    char *path;

    (void)state;
    assert_int_equal(bk_strv_add(&o.set, "app.port=7"), 0);
    assert_int_equal(bk_strv_add(&o.set, "app.host=a\"b"), 0);
    assert_int_equal(bk_duty_file_new(&f, &err), BAKE_OK);
    assert_int_equal(bk_duty_file_add(&f, &o, &err), BAKE_OK);
    assert_int_equal(f.items[0].set.n, 2);
    bk_strv_free(&o.set);
    path = die(&f);
    assert_int_equal(bk_duty_file_take(path, &g, &err), BAKE_OK);
    assert_int_equal(g.items[0].set.n, 2);
    assert_string_equal(g.items[0].set.items[0], "app.port=7");
    assert_string_equal(g.items[0].set.items[1], "app.host=a\"b");
    assert_int_equal(bk_duty_file_drop(&g, o.id, &err), BAKE_OK);
    bk_duty_file_close(&g);
    free(path);
}

static void test_line_cut_short(void **state)
{
    struct bk_duty_file f = BK_DUTY_FILE_INIT;
    struct bk_err err = {0};
    char *path = dead_with("{\"op\":\"redee");

    (void)state;
    assert_int_equal(bk_duty_file_take(path, &f, &err), BAKE_OK);
    assert_int_equal(f.n, 1);
    add(&f, 0, "{\"n\":2}"); /* a line of its own, not the rest of the other */
    bk_duty_file_close(&f);
    assert_int_equal(bk_duty_file_take(path, &f, &err), BAKE_OK);
    assert_int_equal(f.n, 2);
    assert_int_equal(bk_duty_file_drop(&f, f.items[1].id, &err), BAKE_OK);
    assert_int_equal(bk_duty_file_drop(&f, f.items[0].id, &err), BAKE_OK);
    bk_duty_file_close(&f);
    free(path);
}

static void test_damaged_is_kept(void **state)
{
    struct bk_duty_file f = BK_DUTY_FILE_INIT;
    struct bk_err err = {0};
    char *path = dead_with("rubbish\n");

    (void)state;
    assert_int_equal(bk_duty_file_take(path, &f, &err), BAKE_E_CORRUPT);
    assert_non_null(strstr(err.text, path));
    assert_int_equal(access(path, F_OK), 0); /* somebody must look at it */
    assert_int_equal(unlink(path), 0);
    free(path);
}

/* Another process makes one and dies, while a third, as its guard does, has it open for a moment.
 */
static void die_guarded(int tell)
{
    struct bk_duty_file f = BK_DUTY_FILE_INIT;
    struct bk_err err = {0};

    if (bk_duty_file_new(&f, &err) < 0)
        _exit(1);
    (void)add(&f, 0, "{}");
    if (fork() == 0) {
        (void)usleep(300000);
        _exit(0);
    }
    _exit(write(tell, f.path, strlen(f.path)) > 0 ? 0 : 1);
}

static void test_guard_lets_go(void **state)
{
    struct bk_duty_file g = BK_DUTY_FILE_INIT;
    struct bk_err err = {0};
    char path[200] = "";
    int ends[2], status = 1;
    pid_t pid;

    (void)state;
    assert_int_equal(pipe(ends), 0);
    pid = fork();
    if (pid == 0)
        die_guarded(ends[1]);
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_true(read(ends[0], path, sizeof(path) - 1) > 0);
    (void)close(ends[0]);
    (void)close(ends[1]);
    assert_int_equal(bk_duty_file_take(path, &g, &err), BAKE_OK);
    assert_int_equal(g.n, 1);
    assert_int_equal(bk_duty_file_drop(&g, g.items[0].id, &err), BAKE_OK);
    bk_duty_file_close(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_kept_and_replaced, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_set, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_line_cut_short, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_damaged_is_kept, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_guard_lets_go, make_dir, remove_dir),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
