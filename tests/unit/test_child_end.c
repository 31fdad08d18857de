/* Programs that are run: each way in which one ends, or is ended. */
#include "child_kit.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static struct fakehost host;

static int set_up(void **state)
{
    (void)state;
    fakehost_init(&host);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fakehost_free(&host);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no zombie, nothing left running */
    assert_int_equal(errno, ECHILD);
    return 0;
}

static struct bkc_child *started(const struct bkc_child_spec *spec)
{
    struct bkc_child *c = NULL;
    int rc = bkc_child_start(&host.ctx, spec, &c);
    if (rc != BAKE_OK)
        fail_msg("%d %s", rc, host.fail);
    return c;
}

static int read_some(struct bkc_child *c, char *room, size_t size, size_t *ret_n)
{
    struct bake_out out = {.data = room, .size = size};
    int rc = bkc_child_read(c, &out);
    *ret_n = out.pos;
    return rc;
}

/* Text of its output up to its end or the first '\n', as a number. */
static pid_t read_pid(struct bkc_child *c)
{
    char room[32] = "";
    size_t n = 0, more;

    while (!strchr(room, '\n')) {
        assert_int_equal(read_some(c, room + n, sizeof(room) - 1 - n, &more), BAKE_OK);
        n += more;
    }
    return (pid_t)strtoll(room, NULL, 10);
}

static void test_status(void **state)
{
    SHELL(fails, "echo first >&2; echo last >&2; exit 7");
    SHELL(mute, "exit 1");
    SHELL(killed, "echo bye >&2; kill -9 $$");
    SHELL(ended, "kill -11 $$");
    int status = -1;
    (void)state;

    assert_int_equal(bkc_child_run(&host.ctx, &fails, NULL, 0, NULL), BAKE_E_CHILD);
    assert_string_equal(host.fail, "sh ended with exit status 7: last");
    assert_int_equal(bkc_child_run(&host.ctx, &mute, NULL, 0, NULL), BAKE_E_CHILD);
    assert_string_equal(host.fail, "sh ended with exit status 1");
    assert_int_equal(bkc_child_run(&host.ctx, &killed, NULL, 0, NULL), BAKE_E_CHILD);
    assert_string_equal(host.fail, "sh ended by signal 9 (SIGKILL): bye");
    assert_int_equal(bkc_child_run(&host.ctx, &ended, NULL, 0, NULL), BAKE_E_CHILD);
    assert_string_equal(host.fail, "sh ended by signal 11");
    struct bkc_child *c = started(&fails);
    assert_int_equal(bkc_child_wait(c, &status), BAKE_OK);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    assert_string_equal(bkc_child_said(c), "first\nlast");
    bkc_child_free(c);
    bkc_child_free(NULL);
}

/* wait() without read(): the output goes away, the status is the true one. */
static void test_unread(void **state)
{
    SHELL(spec, "head -c 5000000 /dev/zero && exit 6");
    (void)state;
    spec.out = true;
    struct bkc_child *c = started(&spec);
    assert_int_equal(bkc_child_wait(c, NULL), BAKE_E_CHILD);
    assert_string_equal(host.fail, "sh ended with exit status 6");
    bkc_child_free(c);
}

static void test_closes_input(void **state)
{
    SHELL(fails, "read a; echo \"no: $a\" >&2; exit 3");
    SHELL(fine, "exec <&-; echo enough >&2; exit 0");
    char *text = malloc((size_t)8 << 20);
    sigset_t pending;
    (void)state;

    assert_non_null(text);
    memset(text, '\n', (size_t)8 << 20);
    fails.in = fine.in = true;
    struct bkc_child *c = started(&fails);
    assert_int_equal(bkc_child_write(c, text, (size_t)8 << 20), BAKE_E_CHILD);
    assert_string_equal(host.fail, "sh ended with exit status 3: no: ");
    assert_int_equal(bkc_child_write(c, text, 1), BAKE_E_CHILD);
    bkc_child_free(c);
    c = started(&fine);
    assert_int_equal(bkc_child_write(c, text, (size_t)8 << 20), BAKE_E_CHILD);
    assert_string_equal(host.fail, "sh closed its input before the end: enough");
    assert_int_equal(bkc_child_wait(c, NULL), BAKE_OK);
    bkc_child_free(c);
    assert_int_equal(sigpending(&pending), 0);
    assert_false(sigismember(&pending, SIGPIPE)); /* and it did not kill us */
    free(text);
}

/* ---- cancelling ------------------------------------------------------------------------------ */

struct later {
    pthread_t thread;
    struct bkc_child *c; /* to be interrupted; or NULL: the run is cancelled */
};

static void *do_later(void *arg)
{
    struct later *l = arg;
    nap_ms(100);
    if (l->c)
        bkc_child_interrupt(l->c);
    else
        fakehost_cancel(&host);
    return NULL;
}

static void cancel_later(struct later *l, struct bkc_child *c)
{
    l->c = c;
    assert_int_equal(pthread_create(&l->thread, NULL, do_later, l), 0);
}

static void check_cancelled(struct bkc_child *c, struct later *l, int rc, uint64_t since)
{
    char room[8];
    size_t n;

    assert_int_equal(pthread_join(l->thread, NULL), 0);
    assert_int_equal(rc, BAKE_E_CANCELLED);
    assert_true(now_ms() - since < 4000);
    assert_gone(bkc_child_pid(c));
    assert_int_equal(read_some(c, room, sizeof(room), &n), BAKE_E_CANCELLED);
    assert_int_equal(bkc_child_write(c, "x", 1), BAKE_E_CANCELLED);
    assert_int_equal(bkc_child_wait(c, NULL), BAKE_E_CANCELLED);
    bkc_child_free(c);
}

static void cancel_three(bool interrupt)
{
    SHELL(spec, "exec sleep 100");
    char *text = calloc(1, (size_t)8 << 20), room[8];
    struct later l;
    size_t n;

    assert_non_null(text);
    spec.in = spec.out = true;
    uint64_t since = now_ms();
    struct bkc_child *c = started(&spec);
    cancel_later(&l, interrupt ? c : NULL);
    check_cancelled(c, &l, read_some(c, room, sizeof(room), &n), since);
    (void)tear_down(NULL);
    (void)set_up(NULL);
    since = now_ms();
    c = started(&spec);
    cancel_later(&l, interrupt ? c : NULL);
    check_cancelled(c, &l, bkc_child_write(c, text, (size_t)8 << 20), since);
    (void)tear_down(NULL);
    (void)set_up(NULL);
    since = now_ms();
    c = started(&spec);
    cancel_later(&l, interrupt ? c : NULL);
    check_cancelled(c, &l, bkc_child_wait(c, NULL), since);
    free(text);
}

static void test_cancel(void **state)
{
    (void)state;
    cancel_three(false);
}

static void test_interrupt(void **state)
{
    (void)state;
    cancel_three(true);
}

/* While its output flows, nothing ever blocks. */
static void test_cancel_in_full_flow(void **state)
{
    const char *const argv[] = {"yes", NULL};
    struct bkc_child_spec spec = {.argv = argv, .out = true};
    static char room[65536];
    struct later l;
    size_t n;
    int rc;
    (void)state;
    struct bkc_child *c = started(&spec);
    uint64_t since = now_ms();
    cancel_later(&l, NULL);
    while ((rc = read_some(c, room, sizeof(room), &n)) == BAKE_OK)
        continue;
    check_cancelled(c, &l, rc, since);
}

static void test_cancelled_before(void **state)
{
    const char *const argv[] = {"sleep", "100", NULL};
    struct bkc_child_spec spec = {.argv = argv};
    struct bkc_child *c = NULL;
    (void)state;
    fakehost_cancel(&host);
    assert_int_equal(bkc_child_start(&host.ctx, &spec, &c), BAKE_E_CANCELLED);
    assert_null(c);
}

/* One that does not want to end, and what it has started: all go, with a little patience. */
static void test_stubborn(void **state)
{
    SHELL(spec, "trap '' TERM; (trap '' TERM; yes >/dev/null) & echo $!; yes; sleep 100");
    (void)state;
    spec.out = true;
    struct bkc_child *c = started(&spec);
    pid_t other = read_pid(c), pid = bkc_child_pid(c);
    uint64_t since = now_ms();
    bkc_child_free(c);
    assert_true(now_ms() - since >= 4900 && now_ms() - since < 9000);
    assert_gone(pid);
    assert_soon_gone(other);
}

static void test_stopped(void **state)
{
    SHELL(spec, "kill -STOP $$; echo on >&2");
    (void)state;
    struct bkc_child *c = started(&spec);
    nap_ms(100);
    uint64_t since = now_ms();
    pid_t pid = bkc_child_pid(c);
    bkc_child_free(c);
    assert_true(now_ms() - since < 4000);
    assert_gone(pid);
}

/* One that goes in peace may say so. */
static void test_last_words(void **state)
{
    SHELL(spec, "trap 'echo going >&2; exit 9' TERM; echo x; read wait");
    struct later l;
    char room[8];
    size_t n;
    (void)state;
    spec.in = spec.out = true;
    struct bkc_child *c = started(&spec);
    assert_int_equal(read_some(c, room, sizeof(room), &n), BAKE_OK);
    cancel_later(&l, c);
    assert_int_equal(read_some(c, room, sizeof(room), &n), BAKE_E_CANCELLED);
    assert_int_equal(pthread_join(l.thread, NULL), 0);
    assert_string_equal(bkc_child_said(c), "going");
    bkc_child_free(c);
}

/* What it leaves behind has its pipes, and would keep us. */
static void test_leaves_behind(void **state)
{
    SHELL(spec, "sleep 100 & echo $!; echo said >&2; exit 0");
    (void)state;
    spec.out = true;
    struct bkc_child *c = started(&spec);
    pid_t other = read_pid(c);
    uint64_t since = now_ms();
    assert_int_equal(bkc_child_wait(c, NULL), BAKE_OK);
    assert_true(now_ms() - since < 3000);
    assert_string_equal(bkc_child_said(c), "said");
    bkc_child_free(c);
    assert_soon_gone(other);
}

static void test_silence(void **state)
{
    SHELL(quiet, "exec sleep 100");
    SHELL(slow, "for i in 1 2 3 4 5 6 7 8; do sleep 0.1; echo $i; echo . >&2; done");
    char room[8];
    size_t n;
    int rc;
    (void)state;

    quiet.out = slow.out = true;
    quiet.silence_ms = 300;
    slow.silence_ms = 700;
    uint64_t since = now_ms();
    struct bkc_child *c = started(&quiet);
    assert_int_equal(read_some(c, room, sizeof(room), &n), BAKE_E_TIMEOUT);
    assert_string_equal(host.fail, "nothing was heard of sh for 1 s");
    assert_true(now_ms() - since >= 300 && now_ms() - since < 3000);
    assert_gone(bkc_child_pid(c));
    assert_int_equal(read_some(c, room, sizeof(room), &n), BAKE_E_TIMEOUT); /* it stays so */
    bkc_child_free(c);
    c = started(&quiet);
    assert_int_equal(bkc_child_wait(c, NULL), BAKE_E_TIMEOUT);
    bkc_child_free(c);
    c = started(&slow);
    while ((rc = read_some(c, room, sizeof(room), &n)) == BAKE_OK)
        continue;
    assert_int_equal(rc, BAKE_END);
    assert_int_equal(bkc_child_wait(c, NULL), BAKE_OK);
    bkc_child_free(c);
}

/* ---- a parent that dies ---------------------------------------------------------------------- */

static void test_dead_parent(void **state)
{
    SHELL(spec, "exec sleep 100");
    int ends[2];
    pid_t mine, pid = 0;
    (void)state;

    spec.in = true;
    assert_int_equal(pipe(ends), 0);
    mine = fork();
    assert_true(mine >= 0);
    if (mine == 0) {
        struct bkc_child *c = NULL;
        if (bkc_child_start(&host.ctx, &spec, &c) != BAKE_OK)
            _exit(1);
        pid = bkc_child_pid(c);
        if (write(ends[1], &pid, sizeof(pid)) != sizeof(pid))
            _exit(1);
        (void)pause();
        _exit(1);
    }
    assert_int_equal(read(ends[0], &pid, sizeof(pid)), sizeof(pid));
    assert_true(runs(pid));
    assert_int_equal(kill(mine, SIGKILL), 0);
    assert_int_equal(waitpid(mine, NULL, 0), mine);
    assert_soon_gone(pid);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

/* A user of its own would take the signal away, were it asked for too early. */
static void test_dead_parent_of_other_user(void **state)
{
    if (geteuid() != 0)
        skip();
    const char *const argv[] = {"sleep", "100", NULL};
    struct bkc_child_spec spec = {.argv = argv, .user = "nobody"};
    int ends[2];
    pid_t mine, pid = 0;
    (void)state;

    assert_int_equal(pipe(ends), 0);
    mine = fork();
    assert_true(mine >= 0);
    if (mine == 0) {
        struct bkc_child *c = NULL;
        if (bkc_child_start(&host.ctx, &spec, &c) == BAKE_OK) {
            pid = bkc_child_pid(c);
            if (write(ends[1], &pid, sizeof(pid)) == sizeof(pid))
                (void)pause();
        }
        _exit(1);
    }
    assert_int_equal(read(ends[0], &pid, sizeof(pid)), sizeof(pid));
    assert_int_equal(kill(mine, SIGKILL), 0);
    assert_int_equal(waitpid(mine, NULL, 0), mine);
    assert_soon_gone(pid);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

/* ---- many at once ---------------------------------------------------------------------------- */

static void *run_some(void *arg)
{
    size_t *good = arg;

    for (int i = 0; i < 8; i++) {
        SHELL(spec, "cat; echo said >&2");
        char *out = NULL;

        if (bkc_child_run(&host.ctx, &spec, "some text", 100, &out) == BAKE_OK &&
            strcmp(out, "some text") == 0)
            (*good)++;
        free(out);
    }
    return NULL;
}

/* No child may hold the pipes of another: its end would not be seen. */
static void test_many(void **state)
{
    pthread_t threads[4];
    size_t good[4] = {0};
    (void)state;
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_some, &good[i]), 0);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(good[i], 8);
    }
}

/* ---- older systems --------------------------------------------------------------------------- */

/* From here on this process has neither of the two calls that older kernels lack. */
static bool forget_calls(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pidfd_open, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_close_range, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog all = {.len = sizeof(code) / sizeof(code[0]), .filter = code};

    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &all) == 0;
}

/* 0: as it should be. */
static int without_calls(void)
{
    SHELL(spec, "ls -m /proc/$$/fd; exit 5");
    SHELL(endless, "exec sleep 100");
    SHELL(early, "exec <&-; echo no >&2; sleep 0.2; exit 4");
    char *text = calloc(1, (size_t)4 << 20), room[100];
    struct bkc_child *c = NULL;
    size_t n = 0;
    int status = 0;

    if (!text || dup2(STDOUT_FILENO, 77) != 77) /* to be closed as before */
        return 2;
    spec.out = early.in = true;
    if (bkc_child_start(&host.ctx, &spec, &c) != BAKE_OK ||
        read_some(c, room, sizeof(room), &n) != BAKE_OK || bkc_child_wait(c, &status) != BAKE_OK)
        return 3;
    bkc_child_free(c);
    if (WEXITSTATUS(status) != 5 || n != 8 || memcmp(room, "0, 1, 2\n", 8) != 0)
        return 4;
    if (bkc_child_run(&host.ctx, &early, text, 0, NULL) != BAKE_E_CHILD ||
        strcmp(host.fail, "sh ended with exit status 4: no") != 0)
        return 5;
    if (bkc_child_start(&host.ctx, &early, &c) != BAKE_OK ||
        bkc_child_write(c, text, (size_t)4 << 20) != BAKE_E_CHILD ||
        strcmp(host.fail, "sh ended with exit status 4: no") != 0)
        return 6;
    bkc_child_free(c);
    if (bkc_child_start(&host.ctx, &endless, &c) != BAKE_OK)
        return 7;
    bkc_child_free(c);
    free(text);
    return waitpid(-1, NULL, WNOHANG) == -1 ? 0 : 8;
}

static void test_older_kernel(void **state)
{
    int status = 0;
    (void)state;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(forget_calls() ? without_calls() : 77);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(status, 0);
}

static void test_reaped_elsewhere(void **state)
{
    const char *const argv[] = {"true", NULL};
    struct bkc_child_spec spec = {.argv = argv};
    int status = 0;
    (void)state;
    struct bkc_child *c = started(&spec);
    assert_int_equal(waitpid(bkc_child_pid(c), NULL, 0), bkc_child_pid(c));
    assert_int_equal(bkc_child_wait(c, &status), BAKE_E_CHILD);
    assert_non_null(strstr(host.fail, "reaped elsewhere"));
    bkc_child_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_status, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_unread, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_closes_input, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_cancel, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_interrupt, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_cancel_in_full_flow, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_cancelled_before, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stubborn, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stopped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_last_words, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_leaves_behind, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_silence, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_dead_parent, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_dead_parent_of_other_user, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_many, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_older_kernel, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_reaped_elsewhere, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
