/* Installing through the crontab command of the system's cron package. What this user had in the
 * crontab is put back; 77 (skipped) where cron is not installed. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "base/str.h"
#include "run/cron.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* Runs crontab with output to and input from files of `dir`; its exit status. */
static int crontab(const char *argument, const char *in, const char *out)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        int in_fd = open(in, O_RDONLY | O_CLOEXEC);
        int out_fd = open(out, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        int null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
        if (in_fd < 0 || out_fd < 0 || dup2(in_fd, 0) < 0 || dup2(out_fd, 1) < 0 ||
            dup2(null_fd, 2) < 0)
            _exit(126);
        execlp("crontab", "crontab", argument, (char *)NULL);
        _exit(127);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static char *content(const char *path)
{
    struct bk_buf b = BK_BUF_INIT;
    struct bk_err err = {0};
    assert_int_equal(bk_read_file(path, 1 << 20, &b, &err), 0);
    char *text = bk_buf_take(&b);
    return text ? text : bk_strdup("");
}

static char *lines_for(const char *pipeline)
{
    static const struct bk_schedule s = {"0 2 * * 1-6", "0 2 * * 0", "0 5 * * *", "0 7 * * *"};
    struct bk_cron_job job = {"/usr/bin/bakengine", pipeline, NULL};
    struct bk_buf b = BK_BUF_INIT;
    assert_int_equal(bk_cron_lines(&s, &job, &b, NULL), 0);
    return bk_buf_take(&b);
}

static void exercise(const char *now)
{
    char *one BK_FREE = lines_for("/etc/bakengine/50% of it.yaml");
    char *two BK_FREE = lines_for("/etc/bakengine/other.yaml");
    struct bk_err err = {0};
    bool changed = false;
    assert_int_equal(bk_cron_install(one, "/etc/bakengine/50% of it.yaml", &changed, &err), 0);
    assert_true(changed);
    assert_int_equal(bk_cron_install(two, "/etc/bakengine/other.yaml", &changed, &err), 0);
    assert_int_equal(crontab("-l", "/dev/null", now), 0);
    char *both BK_FREE = content(now);
    assert_non_null(strstr(both, one));
    assert_non_null(strstr(both, two));
    assert_int_equal(bk_cron_install(one, "/etc/bakengine/50% of it.yaml", &changed, &err), 0);
    assert_false(changed);
    assert_int_equal(bk_cron_install(NULL, "/etc/bakengine/50% of it.yaml", &changed, &err), 0);
    assert_int_equal(crontab("-l", "/dev/null", now), 0);
    char *rest BK_FREE = content(now);
    assert_null(strstr(rest, "50"));
    assert_non_null(strstr(rest, two));
    assert_int_equal(bk_cron_install(NULL, "/etc/bakengine/other.yaml", &changed, &err), 0);

    char *bad BK_FREE = bk_strdup("99 99 * * * x # bakengine: /bad full\n");
    assert_int_equal(bk_cron_install(bad, "/bad", &changed, &err), BAKE_E_CHILD);
    assert_non_null(strstr(err.text, "crontab -"));
}

struct kept { /* what this user had, put back whatever happens */
    char dir[32];
    char *saved, *now;
    bool had;
};

static int save(void **state)
{
    struct kept *k = calloc(1, sizeof(*k));
    assert_non_null(k);
    (void)snprintf(k->dir, sizeof(k->dir), "/tmp/bakengine-cron-XXXXXX");
    assert_non_null(mkdtemp(k->dir));
    k->saved = bk_asprintf("%s/saved", k->dir);
    k->now = bk_asprintf("%s/now", k->dir);
    k->had = crontab("-l", "/dev/null", k->saved) == 0;
    *state = k;
    return 0;
}

static int put_back(void **state)
{
    struct kept *k = *state;
    int status = k->had ? crontab("-", k->saved, k->now) : crontab("-r", "/dev/null", k->now);
    (void)unlink(k->saved);
    (void)unlink(k->now);
    (void)rmdir(k->dir);
    free(k->saved);
    free(k->now);
    free(k);
    return status;
}

static void test_install_and_remove(void **state)
{
    struct kept *k = *state;
    exercise(k->now);
    assert_int_equal(crontab("-l", "/dev/null", k->now), 0);
    char *before BK_FREE = content(k->saved);
    char *after BK_FREE = content(k->now);
    assert_string_equal(after, before); /* removing left everything else as it was */
}

int main(void)
{
    if (access("/usr/bin/crontab", X_OK) < 0)
        return 77;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_install_and_remove, save, put_back)};
    return cmocka_run_group_tests_name("cron_real", tests, NULL, NULL);
}
