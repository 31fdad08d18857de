/* The helper program, run as its container would run it: alone in a root of its own, with a
 * directory at /m. Needs root. */
#include "place_fs.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char jail[64];

static int setup(void **state)
{
    char path[100];

    (void)state;
    (void)snprintf(jail, sizeof(jail), "/tmp/bake-helper-XXXXXX");
    if (!mkdtemp(jail))
        return -1;
    (void)snprintf(path, sizeof(path), "%s/m", jail);
    return mkdir(path, 0755);
}

static int teardown(void **state)
{
    char where[64];
    int fd = open(jail, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = dk_fs_empty(fd, where, sizeof(where));

    (void)state;
    (void)close(fd);
    return rc == 0 ? rmdir(jail) : rc;
}

/* Its exit status; answer: what it left, "" if nothing. */
static int run(char *const *args, char answer[500])
{
    int program = open(HELPER, O_RDONLY | O_CLOEXEC), status = -1, fd;
    char path[100];
    ssize_t n = 0;
    pid_t pid;

    assert_true(program >= 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        static char *const none[] = {NULL};

        if (chroot(jail) == 0 && chdir("/") == 0)
            (void)fexecve(program, args, none);
        _exit(127);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    (void)close(program);
    (void)snprintf(path, sizeof(path), "%s/answer", jail);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        n = read(fd, answer, 499);
        (void)close(fd);
        assert_int_equal(unlink(path), 0);
    }
    answer[n > 0 ? n : 0] = '\0';
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void exchanges(void **state)
{
    static char program[] = "helper", verb[] = "exchange", a[] = "v/data", b[] = "s/data";
    char path[100], answer[500], ino_a[24], ino_b[24];
    char *args[] = {program, verb, a, b, ino_a, ino_b, NULL};
    struct dk_fs_answer got;
    struct stat st, st2;

    (void)state;
    for (int i = 0; i < 4; i++) {
        static const char *const dirs[] = {"v", "v/data", "s", "s/data"};

        (void)snprintf(path, sizeof(path), "%s/m/%s", jail, dirs[i]);
        assert_int_equal(mkdir(path, 0755), 0);
        assert_int_equal(stat(path, i == 1 ? &st : &st2), 0);
    }
    (void)snprintf(ino_a, sizeof(ino_a), "%llu", (unsigned long long)st.st_ino);
    (void)snprintf(ino_b, sizeof(ino_b), "%llu", (unsigned long long)st2.st_ino);
    assert_int_equal(run(args, answer), 0);
    assert_true(dk_fs_answer_parse(answer, &got));
    assert_int_equal(got.error, 0);
    assert_int_equal(stat(path, &st2), 0);
    assert_true(st2.st_ino == st.st_ino);

    (void)snprintf(ino_a, sizeof(ino_a), "1");
    assert_int_equal(run(args, answer), 0);
    assert_true(dk_fs_answer_parse(answer, &got));
    assert_int_equal(got.error, ESTALE);
}

static void says_what_is_wrong(void **state)
{
    static char program[] = "helper", verb[] = "stat", bad[] = "explode", a[] = "../etc", b[] = "",
                zero[] = "0", junk[] = "1x";
    char *args[] = {program, verb, a, b, zero, zero, NULL};
    char answer[500], path[100];
    struct dk_fs_answer got;

    (void)state;
    assert_int_equal(run(args, answer), 0);
    assert_true(dk_fs_answer_parse(answer, &got));
    assert_int_equal(got.error, EINVAL);
    args[1] = bad;
    assert_int_equal(run(args, answer), 64);
    args[1] = verb;
    args[4] = junk;
    assert_int_equal(run(args, answer), 64);
    args[4] = NULL;
    assert_int_equal(run(args, answer), 64);
    args[4] = zero;
    (void)snprintf(path, sizeof(path), "%s/m", jail);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(run(args, answer), 0);
    assert_true(dk_fs_answer_parse(answer, &got));
    assert_int_equal(got.error, ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(exchanges, setup, teardown),
        cmocka_unit_test_setup_teardown(says_what_is_wrong, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
