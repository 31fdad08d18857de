/* What a process that was killed leaves, and what another may take for that and must not. */
#include "scratch/impl.h"

#include "child_kit.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

static struct fakehost host;
static char above[64];

static int set_up(void **state)
{
    (void)state;
    fakehost_init(&host);
    (void)snprintf(above, sizeof(above), "/tmp/bake-redeem-XXXXXX");
    assert_non_null(mkdtemp(above));
    assert_int_equal(chmod(above, 0755), 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    assert_int_equal(rmdir(above), 0);
    fakehost_free(&host);
    return 0;
}

static int redeem(const char *what)
{
    bool mine = false;
    int rc = bkc_scratch_redeem(&host.ctx, what, &mine);
    assert_true(mine);
    return rc;
}

/* Value of a member of the promise, as it stands there. */
static void member(const char *what, const char *name, char *room, size_t size)
{
    char key[40];
    (void)snprintf(key, sizeof(key), "\"%s\":", name);
    const char *p = strstr(what, key);
    assert_non_null(p);
    p += strlen(key);
    size_t n = strcspn(p + (*p == '"'), ",}\""), quote = *p == '"';
    assert_true(n < size);
    memcpy(room, p + quote, n);
    room[n] = '\0';
}

/* The promise with another value for one member; to be freed. */
static char *with(const char *what, const char *name, const char *value)
{
    char key[40], *text = NULL;
    (void)snprintf(key, sizeof(key), "\"%s\":", name);
    const char *p = strstr(what, key);
    assert_non_null(p);
    p += strlen(key);
    const char *end = p + 1 + strcspn(p + 1, *p == '"' ? "\"" : ",}") + (*p == '"');
    assert_true(asprintf(&text, "%.*s%s%s", (int)(p - what), what, value, end) > 0);
    return text;
}

static pid_t pid_in(const char *what)
{
    char room[40];
    member(what, "pid", room, sizeof(room));
    return (pid_t)strtoll(room, NULL, 10);
}

static void path_in(const char *what, char *room, size_t size) { member(what, "path", room, size); }

/* A process that makes all that, says what it has promised, and is killed. */
static char *left_behind(const char *user, const char *script)
{
    static char text[2000];
    struct bkc_scratch_spec spec = {.above = above, .what = "test", .user = user};
    const char *const argv[] = {"sh", "-c", script, NULL};
    int ends[2];
    size_t n = 0;
    ssize_t got;

    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct bkc_scratch *s = NULL;
        (void)close(ends[0]);
        if (bkc_scratch_new(&host.ctx, &spec, &s) != BAKE_OK ||
            (script && bkc_scratch_serve(s, &host.ctx, argv, NULL) != BAKE_OK) ||
            write(ends[1], host.duties[0], strlen(host.duties[0])) < 0)
            _exit(1);
        (void)kill(getpid(), SIGKILL);
        (void)pause();
    }
    (void)close(ends[1]);
    while ((got = read(ends[0], text + n, sizeof(text) - 1 - n)) > 0)
        n += (size_t)got;
    (void)close(ends[0]); /* the server does not hold it */
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    text[n] = '\0';
    assert_true(n > 0);
    return text;
}

static bool is_there(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

/* ---- what is ours ---------------------------------------------------------------------------- */

static void both(const char *user, const char *script, uint64_t at_most)
{
    char path[300], made[400];
    const char *what = left_behind(user, script);
    pid_t pid = pid_in(what);

    path_in(what, path, sizeof(path));
    assert_true(runs(pid)); /* the server lives on */
    (void)snprintf(made, sizeof(made), "%s/made", path);
    for (int i = 0; !is_there(made) && i < 300; i++)
        nap_ms(10);
    assert_true(is_there(made));
    uint64_t since = now_ms();
    assert_int_equal(redeem(what), BAKE_OK);
    assert_true(now_ms() - since < at_most);
    assert_soon_gone(pid);
    assert_false(is_there(path));
    assert_int_equal(redeem(what), BAKE_OK); /* once more: nothing is left to do */
    assert_int_equal(fakehost_count(&host, 0, NULL, NULL), 0);
}

static void test_both(void **state)
{
    (void)state;
    both(NULL, ">made; exec sleep 100", 4000);
}

static void test_both_of_other_user(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    both("nobody", "mkdir -m 0 barred; >made; exec sleep 100", 4000);
}

static void test_both_stubborn(void **state)
{
    (void)state;
    both(NULL, "trap '' QUIT TERM INT; >made; while :; do sleep 1; done", 12000);
}

static void test_without_server(void **state)
{
    char path[300];
    (void)state;
    const char *what = left_behind(NULL, NULL);
    path_in(what, path, sizeof(path));
    assert_true(is_there(path));
    fakehost_cancel(&host);
    assert_int_equal(redeem(what), BAKE_OK);
    assert_false(is_there(path));
}

/* It died after the promise and before the directory, or right behind that. */
static void test_early_death(void **state)
{
    char path[300], file[320];
    (void)state;
    const char *what = left_behind(NULL, NULL);
    path_in(what, path, sizeof(path));
    char *early = with(what, "inode", "0");
    (void)snprintf(file, sizeof(file), "%s/somebody's", path);
    int fd = open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
    assert_int_equal(redeem(early), BAKE_OK); /* of that name, but with something in it */
    assert_true(is_there(file));
    assert_int_equal(fakehost_count(&host, BAKE_NOTICE, path, "left as it is"), 1);
    assert_int_equal(unlink(file), 0);
    assert_int_equal(redeem(early), BAKE_OK); /* empty: no loss */
    assert_false(is_there(path));
    assert_int_equal(redeem(early), BAKE_OK);
    free(early);
}

/* ---- what is not ------------------------------------------------------------------------------
 */

/* The number now belongs to somebody else, or the system was started anew. */
static void test_recycled_pid(void **state)
{
    char path[300], number[40], *other;
    (void)state;
    const char *what = left_behind(NULL, "exec sleep 100");
    pid_t pid = pid_in(what);
    char *keep = strdup(what);
    assert_non_null(keep);

    path_in(keep, path, sizeof(path));
    member(keep, "started", number, sizeof(number));
    (void)snprintf(number, sizeof(number), "%lld", strtoll(number, NULL, 10) + 1);
    other = with(keep, "started", number);
    assert_int_equal(redeem(other), BAKE_OK);
    assert_true(runs(pid));
    assert_false(is_there(path)); /* that was ours all the same */
    free(other);
    other = with(keep, "boot", "\"another\"");
    assert_int_equal(redeem(other), BAKE_OK);
    assert_true(runs(pid));
    free(other);
    static const char *const bad[] = {"0", "1", "-1", "-5", "99999999999"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        other = with(keep, "pid", bad[i]);
        assert_int_equal(redeem(other), BAKE_OK);
        free(other);
    }
    assert_true(runs(pid));
    assert_int_equal(redeem(keep), BAKE_OK);
    assert_soon_gone(pid);
    free(keep);
}

static void left_alone(const char *what, const char *name, const char *value, const char *path)
{
    char *other = with(what, name, value);

    fakehost_clear(&host);
    assert_int_equal(redeem(other), BAKE_OK);
    if (!is_there(path))
        fail_msg("'%s' was removed for %s %s", path, name, value);
    assert_int_equal(fakehost_count(&host, BAKE_NOTICE, NULL, "left as it is"), 1);
    free(other);
}

static void test_another_path(void **state)
{
    char path[300], other[400], quoted[420];
    (void)state;
    char *what = strdup(left_behind(NULL, NULL));
    assert_non_null(what);
    path_in(what, path, sizeof(path));

    left_alone(what, "owner", "12345", path);
    left_alone(what, "inode", "12345", path);
    static const char *const names[] = {"x", "bakengine-test-abcde", "bakengine-abcdef",
                                        "bakengine-testxabcdef", "notbakengine-test-abcdef"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        (void)snprintf(other, sizeof(other), "%s/%s", above, names[i]);
        (void)snprintf(quoted, sizeof(quoted), "\"%s\"", other);
        assert_int_equal(rename(path, other), 0); /* the same directory, by a name not of ours */
        left_alone(what, "path", quoted, other);
        assert_int_equal(rename(other, path), 0);
    }
    left_alone(what, "path", "\"/\"", path);
    left_alone(what, "path", "\"relative/bakengine-test-abcdef\"", path);
    left_alone(what, "path", "\"\"", path);
    (void)snprintf(quoted, sizeof(quoted), "\"%s/..\"", path);
    left_alone(what, "path", quoted, path);
    assert_int_equal(redeem(what), BAKE_OK);
    assert_false(is_there(path));
    free(what);
}

static void test_something_else_there(void **state)
{
    char path[300], aside[320];
    (void)state;
    char *what = strdup(left_behind(NULL, NULL));
    assert_non_null(what);
    path_in(what, path, sizeof(path));
    (void)snprintf(aside, sizeof(aside), "%s-aside", path);
    assert_int_equal(rename(path, aside), 0);
    assert_int_equal(symlink(aside, path), 0);
    assert_int_equal(redeem(what), BAKE_OK);
    assert_true(is_there(path) && is_there(aside));
    assert_int_equal(unlink(path), 0);
    int fd = open(path, O_CREAT | O_EXCL | O_CLOEXEC | O_WRONLY, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
    assert_int_equal(redeem(what), BAKE_OK);
    assert_true(is_there(path) && is_there(aside));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0); /* another inode */
    assert_int_equal(redeem(what), BAKE_OK);
    assert_true(is_there(path));
    assert_int_equal(fakehost_count(&host, BAKE_NOTICE, path, "left as it is"), 3);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(rename(aside, path), 0);
    assert_int_equal(redeem(what), BAKE_OK);
    assert_false(is_there(path));
    free(what);
}

/* Where there are no descriptors of processes. */
static void test_older_kernel(void **state)
{
    uint64_t started = 0;
    (void)state;
    for (int i = 0; i < 2; i++) {
        void (*before)(int) = signal(SIGTERM, i == 1 ? SIG_IGN : SIG_DFL);
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            for (;;)
                (void)pause();
        }
        (void)signal(SIGTERM, before);
        assert_true(bkc_start_time(pid, &started));
        assert_true(bkc_end_process(pid, -1, started + 1, SIGTERM, 0)); /* somebody else */
        assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
        if (i == 1)
            assert_false(bkc_end_process(pid, -1, started, SIGTERM, 100));
        assert_true(bkc_end_process(pid, -1, started, i == 1 ? SIGKILL : SIGTERM, 5000));
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        assert_false(bkc_start_time(pid, &started));
    }
}

static void test_other_kinds(void **state)
{
    static const char *const others[] = {"{\"kind\":\"swap\"}", "{}", "[1]", "nothing", "",
                                         "{\"kind\":7}"};
    bool mine;
    (void)state;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        mine = true;
        assert_int_equal(bkc_scratch_redeem(&host.ctx, others[i], &mine), BAKE_OK);
        assert_false(mine);
    }
    assert_int_equal(redeem("{\"kind\":\"scratch\"}"), BAKE_E_CORRUPT);
    assert_int_equal(redeem("{\"kind\":\"scratch\",\"path\":3,\"boot\":\"x\"}"), BAKE_E_CORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_both, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_both_of_other_user, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_both_stubborn, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_without_server, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_early_death, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_recycled_pid, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_another_path, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_something_else_there, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_older_kernel, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_other_kinds, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
