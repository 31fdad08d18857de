/* Private directories and servers that are thrown away. */
#include "scratch/scratch.h"

#include "child_kit.h"

#include <dirent.h>
#include <fcntl.h>
#include <pwd.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

static struct fakehost host;
static char above[64];

static int set_up(void **state)
{
    (void)state;
    fakehost_init(&host);
    (void)snprintf(above, sizeof(above), "/tmp/bake-scratch-XXXXXX");
    assert_non_null(mkdtemp(above));
    assert_int_equal(chmod(above, 0755), 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    assert_int_equal(rmdir(above), 0); /* nothing was left in it */
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    fakehost_free(&host);
    return 0;
}

static struct bkc_scratch *made(const char *user)
{
    struct bkc_scratch_spec spec = {.above = above, .what = "test", .user = user};
    struct bkc_scratch *s = NULL;
    int rc = bkc_scratch_new(&host.ctx, &spec, &s);
    if (rc != BAKE_OK)
        fail_msg("%d %s", rc, host.fail);
    return s;
}

static void ended(struct bkc_scratch *s)
{
    int rc = bkc_scratch_end(s, &host.ctx, SIGTERM, 5000);
    if (rc != BAKE_OK)
        fail_msg("%d %s", rc, host.fail);
    for (size_t i = 0; i < FAKEHOST_DUTIES; i++)
        assert_null(host.duties[i]);
}

static void serve(struct bkc_scratch *s, const char *script)
{
    const char *const argv[] = {"sh", "-c", script, NULL};
    const char *const env[] = {"BK_WORD=given", NULL};
    int rc = bkc_scratch_serve(s, &host.ctx, argv, env);
    if (rc != BAKE_OK)
        fail_msg("%d %s", rc, host.fail);
}

/* Until its log has this. */
static char *log_with(const struct bkc_scratch *s, const char *text)
{
    for (int i = 0; i < 500; i++) {
        char *log = bkc_scratch_log(s);

        assert_non_null(log);
        if (strstr(log, text))
            return log;
        free(log);
        nap_ms(10);
    }
    fail_msg("no '%s' in the log", text);
    return NULL;
}

static void write_file(const char *dir, const char *name, mode_t mode)
{
    char path[300];
    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    int fd = open(path, O_CREAT | O_WRONLY | O_EXCL | O_CLOEXEC, mode);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "x", 1), 1);
    (void)close(fd);
}

static void make_dir(const char *dir, const char *name, mode_t mode)
{
    char path[300];
    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    assert_int_equal(mkdir(path, mode), 0);
}

static void make_link(const char *dir, const char *name, const char *to)
{
    char path[300];
    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    assert_int_equal(symlink(to, path), 0);
}

static bool there(const char *dir, const char *name, struct stat *st)
{
    char path[300];
    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    return lstat(path, st) == 0;
}

/* ---- the directory --------------------------------------------------------------------------- */

static void test_directory(void **state)
{
    struct stat st;
    char want[100];
    (void)state;

    struct bkc_scratch *s = made(NULL);
    const char *path = bkc_scratch_path(s);
    (void)snprintf(want, sizeof(want), "%s/bakengine-test-", above);
    assert_int_equal(strncmp(path, want, strlen(want)), 0);
    assert_int_equal(strlen(path), strlen(want) + 6);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(st.st_uid, geteuid());
    assert_non_null(host.duties[0]);
    assert_null(host.duties[1]);
    assert_non_null(strstr(host.duties[0], path));
    assert_non_null(strstr(host.duties[0], "\"kind\":\"scratch\""));
    struct bkc_scratch *other = made(NULL);
    assert_string_not_equal(path, bkc_scratch_path(other));
    assert_int_equal(bkc_scratch_end(other, &host.ctx, 0, 0), BAKE_OK);
    fakehost_cancel(&host); /* it has to be done all the same */
    ended(s);
    assert_int_equal(bkc_scratch_end(NULL, &host.ctx, 0, 0), BAKE_OK);
}

static void test_whose(void **state)
{
    struct passwd *pw = getpwnam("nobody");
    struct bkc_scratch_spec spec = {.above = above, .what = "test", .user = "nobody"};
    struct bkc_scratch *s = NULL;
    struct stat st;
    (void)state;

    if (geteuid() != 0 || !pw)
        skip();
    uid_t uid = pw->pw_uid;
    s = made("nobody");
    assert_int_equal(stat(bkc_scratch_path(s), &st), 0);
    assert_int_equal(st.st_uid, uid);
    assert_int_equal(st.st_mode & 07777, 0700);
    ended(s);
    /* Where that user cannot get to, no server of his would start. */
    assert_int_equal(chmod(above, 0700), 0);
    assert_int_equal(bkc_scratch_new(&host.ctx, &spec, &s), BAKE_E_CONFIG);
    assert_non_null(strstr(host.fail, "user 'nobody' cannot reach '/tmp/bake-scratch-"));
    assert_null(s);
    assert_int_equal(setenv("TMPDIR", above, 1), 0); /* root's own, as pam makes it */
    spec.above = NULL;
    assert_int_equal(bkc_scratch_new(&host.ctx, &spec, &s), BAKE_OK);
    assert_int_equal(strncmp(bkc_scratch_path(s), "/var/tmp/", 9), 0);
    ended(s);
    spec.user = NULL;
    assert_int_equal(bkc_scratch_new(&host.ctx, &spec, &s), BAKE_OK);
    assert_int_equal(strncmp(bkc_scratch_path(s), above, strlen(above)), 0);
    ended(s);
    assert_int_equal(unsetenv("TMPDIR"), 0);
    spec.user = "no-such-user-here";
    assert_int_equal(bkc_scratch_new(&host.ctx, &spec, &s), BAKE_E_CONFIG);
}

static void test_where(void **state)
{
    struct bkc_scratch_spec spec = {.above = "/nowhere/at/all", .what = "test"};
    struct bkc_scratch *s = NULL;
    (void)state;
    assert_int_equal(bkc_scratch_new(&host.ctx, &spec, &s), BAKE_E_CONFIG);
    assert_non_null(strstr(host.fail, "'/nowhere/at/all'"));
    spec.above = "relative";
    assert_int_equal(bkc_scratch_new(&host.ctx, &spec, &s), BAKE_E_CONFIG);
    spec.above = "/tmp/not\377utf8";
    assert_int_equal(bkc_scratch_new(&host.ctx, &spec, &s), BAKE_E_CONFIG);
    spec.above = above;
    spec.needs = UINT64_MAX - 1;
    assert_int_equal(bkc_scratch_new(&host.ctx, &spec, &s), BAKE_E_NOSPACE);
    assert_non_null(strstr(host.fail, "HINT: "));
    spec.above = "/proc";
    spec.needs = 0;
    assert_int_equal(bkc_scratch_new(&host.ctx, &spec, &s), BAKE_E_IO);
    assert_null(s);
    for (size_t i = 0; i < FAKEHOST_DUTIES; i++)
        assert_null(host.duties[i]);
}

/* ---- its removal ----------------------------------------------------------------------------- */

static void test_removal(void **state)
{
    struct bkc_scratch *s;
    struct stat st;
    char outside[100], deep[8000];
    (void)state;

    (void)snprintf(outside, sizeof(outside), "/tmp/bake-outside-XXXXXX");
    assert_non_null(mkdtemp(outside));
    write_file(outside, "kept", 0600);
    s = made(NULL);
    const char *p = bkc_scratch_path(s);
    make_dir(p, "a", 0700);
    make_dir(p, "a/barred", 0700);
    write_file(p, "a/barred/file", 0000);
    make_link(p, "a/out", outside);
    make_link(p, "a/up", "../../..");
    make_link(p, "a/none", "nowhere");
    (void)snprintf(deep, sizeof(deep), "%s/a/pipe", p);
    assert_int_equal(mkfifo(deep, 0600), 0);
    (void)snprintf(deep, sizeof(deep), "%s/a/barred", p);
    if (geteuid() == 0) {
        assert_int_equal(chown(deep, 65534, 65534), 0);
        assert_int_equal(lchown(p, geteuid(), 0), 0);
    }
    assert_int_equal(chmod(deep, 0000), 0);
    size_t n = (size_t)snprintf(deep, sizeof(deep), "%s", p);
    for (int i = 0; i < 150; i++) {
        n += (size_t)snprintf(deep + n, sizeof(deep) - n, "/d");
        assert_int_equal(mkdir(deep, 0700), 0);
    }
    ended(s);
    assert_true(there(outside, "kept", &st));
    (void)snprintf(deep, sizeof(deep), "%s/kept", outside);
    assert_int_equal(unlink(deep), 0);
    assert_int_equal(rmdir(outside), 0);
}

/* 0: all went well. */
static int remove_barred(void)
{
    struct bkc_scratch_spec spec = {.above = above, .what = "test"};
    struct bkc_scratch *s;
    char path[300];

    if (bkc_scratch_new(&host.ctx, &spec, &s) != BAKE_OK)
        return 2;
    (void)snprintf(path, sizeof(path), "%s/a", bkc_scratch_path(s));
    if (mkdir(path, 0700) < 0)
        return 3;
    (void)snprintf(path, sizeof(path), "%s/a/b", bkc_scratch_path(s));
    if (mkdir(path, 0000) < 0)
        return 4;
    (void)snprintf(path, sizeof(path), "%s/a", bkc_scratch_path(s));
    if (chmod(path, 0000) < 0)
        return 5;
    return bkc_scratch_end(s, &host.ctx, 0, 0) == BAKE_OK ? 0 : 6;
}

/* Modes bar whoever is not root: from what is his own, that is no reason to leave it there. */
static void test_barred(void **state)
{
    int status = 0;
    (void)state;
    assert_int_equal(chmod(above, 0777), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (geteuid() == 0 && setresuid(65534, 65534, 65534) < 0)
            _exit(7);
        _exit(remove_barred());
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* Another file system in it is somebody's mistake, and not to be emptied. */
static void test_mounted(void **state)
{
    char path[200], what[600];
    struct stat st;
    bool mine;
    (void)state;
    struct bkc_scratch *s = made(NULL);
    make_dir(bkc_scratch_path(s), "m", 0700);
    (void)snprintf(path, sizeof(path), "%s/m", bkc_scratch_path(s));
    if (mount("none", path, "tmpfs", 0, "size=64k") < 0) {
        ended(s);
        skip();
    }
    write_file(path, "kept", 0600);
    int rc = bkc_scratch_end(s, &host.ctx, 0, 0);
    bool kept = there(path, "kept", &st);
    assert_int_equal(umount(path), 0);
    assert_int_equal(rc, BAKE_E_IO);
    assert_true(kept);
    assert_non_null(strstr(host.fail, "on another file system"));
    assert_non_null(host.duties[0]); /* it stays promised, and is redeemed once it can be */
    (void)snprintf(what, sizeof(what), "%s", host.duties[0]);
    assert_int_equal(bkc_scratch_redeem(&host.ctx, what, &mine), BAKE_OK);
    assert_int_equal(stat(path, &st), -1);
}

/* What cannot be removed stays promised. */
static void test_too_deep(void **state)
{
    char deep[8000];
    (void)state;
    struct bkc_scratch *s = made(NULL);
    size_t top = (size_t)snprintf(deep, sizeof(deep), "%s", bkc_scratch_path(s)), n = top;
    for (int i = 0; i < 210; i++) {
        n += (size_t)snprintf(deep + n, sizeof(deep) - n, "/d");
        assert_int_equal(mkdir(deep, 0700), 0);
    }
    assert_int_equal(bkc_scratch_end(s, &host.ctx, 0, 0), BAKE_E_IO);
    assert_non_null(strstr(host.fail, "too deep"));
    assert_non_null(host.duties[0]);
    for (; n >= top; n -= 2) {
        deep[n] = '\0';
        assert_int_equal(rmdir(deep), 0);
    }
}

/* Another has put something else there meanwhile: that is not ours to remove. */
static void test_replaced(void **state)
{
    char path[200];
    struct stat st;
    (void)state;
    struct bkc_scratch *s = made(NULL);
    (void)snprintf(path, sizeof(path), "%s", bkc_scratch_path(s));
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(symlink("/tmp", path), 0);
    assert_int_not_equal(bkc_scratch_end(s, &host.ctx, 0, 0), BAKE_OK);
    assert_int_equal(lstat(path, &st), 0);
    assert_int_equal(unlink(path), 0);
    s = made(NULL);
    assert_int_equal(rmdir(bkc_scratch_path(s)), 0);
    assert_int_equal(bkc_scratch_end(s, &host.ctx, 0, 0), BAKE_OK); /* gone already */
}

static void test_own(void **state)
{
    struct passwd *pw = getpwnam("nobody");
    struct stat st;
    (void)state;
    if (geteuid() != 0 || !pw)
        skip();
    uid_t uid = pw->pw_uid;
    gid_t gid = pw->pw_gid;
    struct bkc_scratch *s = made(NULL);
    const char *p = bkc_scratch_path(s);
    make_dir(p, "a", 0750);
    write_file(p, "a/f", 0640);
    make_link(p, "a/out", above);
    assert_int_equal(bkc_scratch_own(&host.ctx, p, NULL), BAKE_OK);
    assert_true(there(p, "a/f", &st) && st.st_uid == 0);
    assert_int_equal(bkc_scratch_own(&host.ctx, p, "nobody"), BAKE_OK);
    static const char *const names[] = {".", "a", "a/f", "a/out"};
    for (size_t i = 0; i < 4; i++) {
        assert_true(there(p, names[i], &st));
        assert_int_equal(st.st_uid, uid);
        assert_int_equal(st.st_gid, gid);
    }
    assert_true(there(p, "a/f", &st) && (st.st_mode & 07777) == 0640);
    assert_true(stat(above, &st) == 0 && st.st_uid == 0);
    assert_int_equal(bkc_scratch_own(&host.ctx, p, "no-such-user-here"), BAKE_E_CONFIG);
    assert_int_equal(bkc_scratch_own(&host.ctx, "/nowhere/x", "nobody"), BAKE_E_IO);
    fakehost_cancel(&host);
    assert_int_equal(bkc_scratch_own(&host.ctx, p, "nobody"), BAKE_E_CANCELLED);
    ended(s);
}

/* ---- the server ------------------------------------------------------------------------------ */

static void test_server(void **state)
{
    (void)state;
    struct bkc_scratch *s = made(geteuid() == 0 ? "nobody" : NULL);
    assert_false(bkc_scratch_alive(s));
    char *log = bkc_scratch_log(s);
    assert_string_equal(log, "");
    free(log);
    serve(s, "echo $BK_WORD $LC_ALL $(umask) $(ulimit -c) $(pwd); id -u;"
             "grep Sig[BI] /proc/self/status; cut -d' ' -f5,6 /proc/$$/stat; echo $$;"
             "echo said >&2; >made; trap 'echo stopping; exit 0' TERM;"
             "ls -m /proc/$$/fd; echo ready; while :; do sleep 0.1; done");
    log = log_with(s, "ready");
    char want[300];
    (void)snprintf(want, sizeof(want), "given C.UTF-8 0077 0 %s\n%u\n", bkc_scratch_path(s),
                   geteuid() == 0 ? getpwnam("nobody")->pw_uid : geteuid());
    assert_int_equal(strncmp(log, want, strlen(want)), 0);
    assert_non_null(strstr(log, "\nSigBlk: 0000000000000000\nSigIgn: 0000000000000000\n"));
    assert_non_null(strstr(log, "\nsaid\n0, 1, 2\nready"));
    /* Leader of a group and a session; its number is in the promise. */
    char *p = strstr(log, "SigIgn") + 25;
    long group = strtol(p, &p, 10), session = strtol(p, &p, 10);
    int pid = (int)strtol(p, &p, 10);
    assert_true(pid == group && pid == session && pid > 1);
    (void)snprintf(want, sizeof(want), "\"pid\":%d,\"started\":", pid);
    assert_non_null(strstr(host.duties[0], want));
    free(log);
    assert_true(bkc_scratch_alive(s));
    const char *const again[] = {"true", NULL};
    assert_int_equal(bkc_scratch_serve(s, &host.ctx, again, NULL), BAKE_E_INTERNAL);
    ended(s);
    assert_gone(pid);
}

static pid_t pid_of(const struct bkc_scratch *s)
{
    char *log = log_with(s, "pid ");
    pid_t pid = (pid_t)strtoll(strstr(log, "pid ") + 4, NULL, 10);
    free(log);
    assert_true(pid > 1);
    return pid;
}

/* One that does not end, with more of its kind; it leaves no file behind. */
static void test_stubborn_server(void **state)
{
    (void)state;
    struct bkc_scratch *s = made(NULL);
    serve(s,
          "trap '' TERM QUIT INT; (while :; do : >f$$; rm -f f$$; done) & echo pid $!; sleep 50");
    pid_t other = pid_of(s);
    uint64_t since = now_ms();
    assert_int_equal(bkc_scratch_end(s, &host.ctx, SIGTERM, 300), BAKE_OK);
    assert_true(now_ms() - since >= 290 && now_ms() - since < 10000);
    assert_soon_gone(other);
}

/* It ends by itself: that is seen, and another can take its place. */
static void test_ended_server(void **state)
{
    (void)state;
    struct bkc_scratch *s = made(NULL);
    serve(s, "echo first; exit 1");
    for (int i = 0; bkc_scratch_alive(s) && i < 500; i++)
        nap_ms(10);
    assert_false(bkc_scratch_alive(s));
    serve(s, "echo second; exec sleep 100");
    char *log = log_with(s, "first\nsecond");
    free(log);
    assert_true(bkc_scratch_alive(s));
    ended(s);
    s = made(NULL);
    serve(s, "exit 0");
    nap_ms(100);
    ended(s); /* not reaped before this */
}

static void *start_it(void *arg)
{
    serve(arg, "echo up; exec sleep 100");
    return NULL;
}

/* The thread that starts it may end. */
static void test_other_thread(void **state)
{
    pthread_t thread;
    (void)state;
    struct bkc_scratch *s = made(NULL);
    assert_int_equal(pthread_create(&thread, NULL, start_it, s), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    char *log = log_with(s, "up");
    free(log);
    nap_ms(100);
    assert_true(bkc_scratch_alive(s));
    ended(s);
}

static void test_no_program(void **state)
{
    const char *const none[] = {"bk-no-such-server", NULL};
    const char *const path[] = {"/nowhere/server", NULL};
    (void)state;
    struct bkc_scratch *s = made(NULL);
    assert_int_equal(bkc_scratch_serve(s, &host.ctx, none, NULL), BAKE_E_NOTFOUND);
    assert_int_equal(bkc_scratch_serve(s, &host.ctx, path, NULL), BAKE_E_NOTFOUND);
    assert_string_equal(host.fail, "there is no program '/nowhere/server'");
    assert_false(bkc_scratch_alive(s));
    ended(s);
}

/* The log may be a link by now: the directory is the server's. */
static void test_log_is_a_link(void **state)
{
    const char *const argv[] = {"true", NULL};
    char name[200];
    (void)state;
    struct bkc_scratch *s = made(NULL);
    make_link(bkc_scratch_path(s), "log", "/etc/passwd");
    char *log = bkc_scratch_log(s);
    assert_string_equal(log, "");
    free(log);
    assert_int_equal(bkc_scratch_serve(s, &host.ctx, argv, NULL), BAKE_E_IO);
    (void)snprintf(name, sizeof(name), "%s/log", bkc_scratch_path(s));
    assert_int_equal(unlink(name), 0);
    assert_int_equal(mkfifo(name, 0600), 0); /* whose other end nobody opens */
    assert_int_equal(bkc_scratch_serve(s, &host.ctx, argv, NULL), BAKE_E_IO);
    ended(s);
}

/* ---- promises that are not taken ---------------------------------------------------------------
 */

struct picky { /* as the fake host, but from the n-th promise on it takes none */
    struct bake_host ops;
    int (*real)(struct bake_ctx *, const char *, uint64_t *);
    int left;
};
static struct picky picky;

static int oblige(struct bake_ctx *ctx, const char *what, uint64_t *id)
{
    if (picky.left-- > 0)
        return picky.real(ctx, what, id);
    return bake_fail(ctx, BAKE_E_IO, "no more promises");
}

static void take_only(int n)
{
    picky.ops = *host.ctx.host;
    picky.real = picky.ops.oblige == oblige ? picky.real : picky.ops.oblige;
    picky.ops.oblige = oblige;
    picky.left = n;
    host.ctx.host = &picky.ops;
}

static void test_no_promise(void **state)
{
    struct bkc_scratch_spec spec = {.above = above, .what = "test"};
    struct bkc_scratch *s = NULL;
    char ran[200];
    struct stat st;
    (void)state;

    for (int n = 0; n < 2; n++) {
        take_only(n);
        assert_int_equal(bkc_scratch_new(&host.ctx, &spec, &s), BAKE_E_IO);
        assert_null(s);
        for (size_t i = 0; i < FAKEHOST_DUTIES; i++)
            assert_null(host.duties[i]);
        DIR *d = opendir(above);
        assert_non_null(d);
        for (struct dirent *e; (e = readdir(d));)
            assert_int_equal(e->d_name[0], '.');
        (void)closedir(d);
    }
    take_only(2);
    assert_int_equal(bkc_scratch_new(&host.ctx, &spec, &s), BAKE_OK);
    const char *const argv[] = {"touch", "ran", NULL};
    assert_int_equal(bkc_scratch_serve(s, &host.ctx, argv, NULL), BAKE_E_IO);
    assert_string_equal(host.fail, "no more promises");
    (void)snprintf(ran, sizeof(ran), "%s/ran", bkc_scratch_path(s));
    assert_int_equal(stat(ran, &st), -1); /* it has not run */
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    ended(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_directory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_whose, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_where, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_removal, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_barred, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_mounted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_too_deep, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_replaced, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_own, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_server, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stubborn_server, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_ended_server, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_other_thread, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_program, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_log_is_a_link, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_promise, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
