/* run/lock: one run of a pipeline at a time; a process that dies leaves no lock behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "run/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct place {
    char dir[64];
    struct bk_err err;
};

static int setup(void **state)
{
    struct place *p = calloc(1, sizeof(*p));

    assert_non_null(p);
    (void)snprintf(p->dir, sizeof(p->dir), "/tmp/bake-lock-XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    assert_int_equal(setenv("BAKENGINE_STATE_DIR", p->dir, 1), 0);
    *state = p;
    return 0;
}

static int drop(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

static int teardown(void **state)
{
    struct place *p = *state;

    (void)nftw(p->dir, drop, 8, FTW_DEPTH | FTW_PHYS);
    free(p);
    return 0;
}

static void taken_and_given_back(void **state)
{
    struct place *p = *state;
    int a = -1, b = -1, other = -1;
    char pid[40];

    assert_int_equal(bk_lock_pipeline("nightly", &a, &p->err), 0);
    assert_true(fcntl(a, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(bk_lock_pipeline("nightly", &b, &p->err), BK_E_LOCKED);
    assert_int_equal(b, -1);
    (void)snprintf(pid, sizeof(pid), "(process %ld)", (long)getpid());
    assert_non_null(strstr(p->err.text, pid));
    assert_int_equal(bk_lock_pipeline("weekly", &other, &p->err), 0); /* another's is free */
    close(other);
    close(a);
    assert_int_equal(bk_lock_pipeline("nightly", &b, &p->err), 0);
    close(b);
}

/* A child takes it and says so; killed in the midst, it is free at once. */
static void killed(void **state)
{
    struct place *p = *state;
    int ready[2], fd = -1, status;
    char byte, pid[40];
    pid_t child;

    assert_int_equal(pipe(ready), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        byte = bk_lock_pipeline("nightly", &fd, NULL) == 0 ? 'y' : 'n';
        (void)!write(ready[1], &byte, 1);
        for (;;)
            pause();
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(byte, 'y');
    assert_int_equal(bk_lock_pipeline("nightly", &fd, &p->err), BK_E_LOCKED);
    (void)snprintf(pid, sizeof(pid), "(process %ld)", (long)child);
    assert_non_null(strstr(p->err.text, pid));
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(bk_lock_pipeline("nightly", &fd, &p->err), 0);
    close(fd);
    close(ready[0]);
    close(ready[1]);
}

/* A longer process number before must not leave its digits behind ours. */
static void old_number(void **state)
{
    struct place *p = *state;
    char path[128], text[64] = "";
    int fd, file;

    assert_int_equal(bk_lock_pipeline("nightly", &fd, &p->err), 0);
    close(fd);
    (void)snprintf(path, sizeof(path), "%s/locks/nightly.lock", p->dir);
    file = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(file >= 0);
    assert_int_equal(write(file, "99999999999999999999\nand more\n", 30), 30);
    close(file);
    assert_int_equal(bk_lock_pipeline("nightly", &fd, &p->err), 0);
    assert_true(pread(fd, text, sizeof(text) - 1, 0) > 0);
    assert_int_equal(strcspn(text, "\n") + 1, strlen(text));
    close(fd);
}

static void not_through_links(void **state)
{
    struct place *p = *state;
    char path[128];
    int fd = -1;

    assert_int_equal(bk_lock_pipeline("nightly", &fd, &p->err), 0);
    close(fd);
    (void)snprintf(path, sizeof(path), "%s/locks/nightly.lock", p->dir);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("/dev/null", path), 0);
    fd = -1;
    assert_true(bk_lock_pipeline("nightly", &fd, &p->err) < 0);
    assert_int_equal(fd, -1);
}

static void state_dir(void **state)
{
    struct place *p = *state;
    char *dir = NULL;
    struct stat st;
    char path[128];
    int fd;

    assert_int_equal(bk_state_dir(&dir, &p->err), 0);
    assert_string_equal(dir, p->dir);
    free(dir);
    assert_int_equal(bk_lock_pipeline("x", &fd, &p->err), 0);
    close(fd);
    (void)snprintf(path, sizeof(path), "%s/locks", p->dir);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_int_equal(setenv("BAKENGINE_STATE_DIR", "relative", 1), 0);
    assert_int_equal(bk_state_dir(&dir, &p->err), BK_E_USAGE);
    assert_int_equal(setenv("BAKENGINE_STATE_DIR", "", 1), 0);
    assert_int_equal(bk_state_dir(&dir, &p->err), 0);
    assert_int_equal(dir[0], '/');
    assert_non_null(strstr(dir, "bakengine"));
    free(dir);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(taken_and_given_back), TEST(killed), TEST(old_number),
                                       TEST(not_through_links), TEST(state_dir)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
