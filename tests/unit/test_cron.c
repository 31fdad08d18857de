/* Crontab lines: what they look like, that sh and cron read them back, and merging. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "base/str.h"
#include "run/cron.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define HEAD " - written by 'bakengine schedule'; edit 'schedule:' in that file instead\n"

static const struct bk_schedule all_entries = {"0 2 * * 1-6", "0 2 * * 0", "0 5 * * *", "@daily"};

static char *lines_of(const struct bk_schedule *s, const char *binary, const char *pipeline,
                      const char *user)
{
    struct bk_buf b = BK_BUF_INIT;
    struct bk_err err = {0};
    struct bk_cron_job job = {binary, pipeline, user};
    assert_int_equal(bk_cron_lines(s, &job, &b, &err), 0);
    return bk_buf_take(&b);
}

static int refused(const char *binary, const char *pipeline, const char *user, const char *when)
{
    struct bk_buf b BK_CLEANUP(bk_buf_free) = BK_BUF_INIT;
    struct bk_err err = {0};
    struct bk_schedule s = {when, NULL, NULL, NULL};
    struct bk_cron_job job = {binary, pipeline, user};
    int rc = bk_cron_lines(&s, &job, &b, &err);
    assert_true(rc == 0 || err.text[0] != '\0');
    return rc;
}

static char *merged(const char *existing, const char *lines, const char *pipeline)
{
    struct bk_buf b = BK_BUF_INIT;
    assert_int_equal(bk_cron_merge(existing, lines, pipeline, &b, NULL), 0);
    char *text = bk_buf_take(&b);
    return text ? text : bk_strdup("");
}

static void test_all_entries(void **state)
{
    (void)state;
    char *text BK_FREE = lines_of(&all_entries, "/usr/bin/bakengine", "/b/n.yaml", NULL);
    assert_string_equal(
        text, "# bakengine: /b/n.yaml" HEAD
              "0 2 * * 1-6 /usr/bin/bakengine run /b/n.yaml --type incremental --quiet "
              "# bakengine: /b/n.yaml incremental\n"
              "0 2 * * 0 /usr/bin/bakengine run /b/n.yaml --type full --quiet "
              "# bakengine: /b/n.yaml full\n"
              "0 5 * * * /usr/bin/bakengine verify /b/n.yaml --level read --quiet "
              "# bakengine: /b/n.yaml verify\n"
              "@daily /usr/bin/bakengine prune /b/n.yaml --quiet # bakengine: /b/n.yaml prune\n");
}

static void test_system_format_names_the_user(void **state)
{
    (void)state;
    struct bk_schedule s = {NULL, NULL, NULL, "1 2 3 4 5"};
    char *text BK_FREE = lines_of(&s, "/b", "/n", "backup");
    assert_non_null(strstr(text, "\n1 2 3 4 5 backup /b prune /n --quiet"));
    assert_int_equal(refused("/b", "/n", "", "@daily"), BAKE_E_CONFIG);
    assert_int_equal(refused("/b", "/n", "a b", "@daily"), BAKE_E_CONFIG);
    assert_int_equal(refused("/b", "/n", "-x", "@daily"), BAKE_E_CONFIG);
    assert_int_equal(refused("/b", "/n", "www-data", "@daily"), 0);
}

/* What cron does to a command: '\%' becomes '%', an unescaped '%' ends it. */
static void as_cron_does(const char *line, char *out)
{
    for (; *line && *line != '\n'; line++) {
        assert_int_not_equal(*line, '%');
        if (line[0] == '\\' && line[1] == '%')
            line++;
        *out++ = *line;
    }
    *out = '\0';
}

static void first_argument_in_sh(const char *command, char *out, size_t cap)
{
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)dup2(fds[1], 1);
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    (void)close(fds[1]);
    ssize_t n = bk_read_full(fds[0], out, cap - 1);
    (void)close(fds[0]);
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_true(n >= 0);
    out[n] = '\0';
}

static void test_names_survive_cron_and_sh(void **state)
{
    (void)state;
    static const char *const paths[] = {"/plain",      "/a b/c.yaml", "/it's",     "/50%/x%y%%",
                                        "/\"quoted\"", "/$HOME/`id`", "/#no;&|<>", "/\xc3\xa4*?[!",
                                        "/~(x){y}",    "/tail "};
    for (size_t i = 0; i < BK_LEN(paths); i++) {
        struct bk_schedule s = {NULL, NULL, NULL, "@daily"};
        char *text BK_FREE = lines_of(&s, "/usr/bin/printf", paths[i], NULL);
        const char *line = strchr(text, '\n') + 1;
        char command[2000], said[1000], wanted[1000];
        as_cron_does(strstr(line, "/usr/bin/printf"), command);
        /* "printf prune PATH --quiet # ...": make it "printf '%s\n' PATH --quiet" */
        char *verb = strstr(command, " prune ");
        assert_non_null(verb);
        char test[3000];
        (void)snprintf(test, sizeof(test), "printf '%%s\\n' %s", verb + strlen(" prune "));
        first_argument_in_sh(test, said, sizeof(said));
        (void)snprintf(wanted, sizeof(wanted), "%s\n--quiet\n", paths[i]);
        assert_string_equal(said, wanted);
    }
}

static void test_refused_names(void **state)
{
    (void)state;
    assert_int_equal(refused("/b", "/a\nb", NULL, "@daily"), BAKE_E_CONFIG);
    assert_int_equal(refused("/b\r", "/a", NULL, "@daily"), BAKE_E_CONFIG);
    assert_int_equal(refused("/b", "/a\x7f", NULL, "@daily"), BAKE_E_CONFIG);
    assert_int_equal(refused("/b", "/a\\b", NULL, "@daily"), BAKE_E_CONFIG);
    assert_int_equal(refused("/b", "/a", NULL, "0 2 * * *\n* * * * *"), BAKE_E_CONFIG);
    char longest[600];
    memset(longest, 'x', sizeof(longest) - 1);
    longest[0] = '/';
    longest[sizeof(longest) - 1] = '\0';
    assert_int_equal(refused("/b", longest, NULL, "@daily"), BAKE_E_CONFIG);
    longest[400] = '\0';
    assert_int_equal(refused("/b", longest, NULL, "@daily"), 0);
    assert_int_equal(refused("/b", "/a", NULL, NULL), BAKE_E_CONFIG); /* no entry at all */
}

static void test_merge_keeps_what_is_not_ours(void **state)
{
    (void)state;
    static const char theirs[] = "MAILTO=me\n\n# bakengine: not a marker of ours\n"
                                 "0 1 * * * tar # bakengine: /other.yaml full\n"
                                 "0 1 * * * x # bakengine: /n.yaml unknown\n"
                                 "# bakengine: /n.yaml.old - written by 'bakengine schedule'\n"
                                 "* * * * * echo bakengine: /n.yaml full";
    char *lines BK_FREE = lines_of(&all_entries, "/b", "/n.yaml", NULL);
    char *once BK_FREE = merged(theirs, lines, "/n.yaml");
    assert_true(bk_starts(once, theirs));
    assert_true(bk_ends(once, lines));
    assert_int_equal(strlen(once), strlen(theirs) + 1 + strlen(lines));
    char *twice BK_FREE = merged(once, lines, "/n.yaml");
    assert_string_equal(twice, once);
    char *removed BK_FREE = merged(twice, NULL, "/n.yaml");
    char *wanted BK_FREE = bk_asprintf("%s\n", theirs);
    assert_string_equal(removed, wanted);
    char *again BK_FREE = merged(removed, NULL, "/n.yaml");
    assert_string_equal(again, removed);
}

static void test_merge_without_a_last_newline(void **state)
{
    (void)state;
    char *same BK_FREE = merged("a\nb", NULL, "/n.yaml");
    assert_string_equal(same, "a\nb");
    char *added BK_FREE = merged("a\nb", "L\n", "/n.yaml");
    assert_string_equal(added, "a\nb\nL\n");
    char *empty BK_FREE = merged("", NULL, "/n.yaml");
    assert_string_equal(empty, "");
}

static void test_merge_replaces_in_place(void **state)
{
    (void)state;
    struct bk_schedule before = {"1 1 * * *", NULL, NULL, NULL};
    char *old BK_FREE = lines_of(&before, "/old/bakengine", "/n.yaml", NULL);
    char *new BK_FREE = lines_of(&all_entries, "/b", "/n.yaml", NULL);
    char *existing BK_FREE = bk_asprintf("first\n%slast\n", old);
    char *text BK_FREE = merged(existing, new, "/n.yaml");
    char *wanted BK_FREE = bk_asprintf("first\n%slast\n", new);
    assert_string_equal(text, wanted);
}

/* Paths made to look like another's marker, and one that is the start of another. */
static void test_pipelines_do_not_touch_each_other(void **state)
{
    (void)state;
    static const char *const paths[] = {"/n.yaml",      "/x # bakengine: /n.yaml",
                                        "/n.yaml full", "/n.yaml - x",
                                        "/n.yam",       "/a%b",
                                        "/n.yaml.yaml", "/it's"};
    char *crontab = bk_strdup("");
    for (size_t i = 0; i < BK_LEN(paths); i++) {
        char *lines BK_FREE = lines_of(&all_entries, "/b", paths[i], NULL);
        char *next = merged(crontab, lines, paths[i]);
        assert_int_equal(strlen(next), strlen(crontab) + strlen(lines));
        free(crontab);
        crontab = next;
    }
    for (size_t i = 0; i < BK_LEN(paths); i++) {
        char *lines BK_FREE = lines_of(&all_entries, "/b", paths[i], NULL);
        char *next = merged(crontab, NULL, paths[i]);
        assert_int_equal(strlen(next), strlen(crontab) - strlen(lines));
        free(crontab);
        crontab = next;
    }
    assert_string_equal(crontab, "");
    free(crontab);
}

/* ---- files ----------------------------------------------------------------------------------- */

static void test_file(void **state)
{
    (void)state;
    char dir[] = "/tmp/bakengine-cron-XXXXXX";
    assert_non_null(mkdtemp(dir));
    char *path BK_FREE = bk_asprintf("%s/cron", dir);
    char *lines BK_FREE = lines_of(&all_entries, "/b", "/n.yaml", "root");
    bool changed = false;
    struct bk_err err = {0};
    assert_int_equal(bk_cron_install_file(path, lines, "/n.yaml", &changed, &err), 0);
    assert_true(changed);
    assert_int_equal(bk_cron_install_file(path, lines, "/n.yaml", &changed, &err), 0);
    assert_false(changed);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0644);
    struct bk_buf b BK_CLEANUP(bk_buf_free) = BK_BUF_INIT;
    assert_int_equal(bk_read_file(path, 10000, &b, &err), 0);
    assert_string_equal(b.data, lines);
    assert_int_equal(bk_cron_install_file(path, NULL, "/n.yaml", &changed, &err), 0);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(bk_cron_install_file(path, NULL, "/n.yaml", &changed, &err), 0);
    assert_false(changed);
    char *deep BK_FREE = bk_asprintf("%s/none/cron", dir);
    assert_true(bk_cron_install_file(deep, lines, "/n.yaml", NULL, &err) < 0);
    assert_int_equal(rmdir(dir), 0);
}

static void test_names_that_cron_ignores(void **state)
{
    (void)state;
    struct bk_err err = {0};
    assert_int_equal(bk_cron_install_file("/etc/cron.d/a.cron", "x\n", "/n", NULL, &err),
                     BAKE_E_CONFIG);
    assert_non_null(strstr(err.text, "ignores"));
    assert_true(bk_cron_is_system_file("/etc/cron.d/bakengine"));
    assert_true(bk_cron_is_system_file("/etc/crontab"));
    assert_false(bk_cron_is_system_file("/etc/cron.d/"));
    assert_false(bk_cron_is_system_file("/tmp/crontab"));
}

/* ---- crontab(1): a stand-in first on PATH; the real one has a test of its own ---------------- */

static const char stand_in[] =
    "#!/bin/sh\n"
    "store=$(dirname \"$0\")/spool\n"
    "[ \"$LC_ALL\" = C ] || exit 9\n"
    "case $1 in\n"
    "-l) [ -e \"$store\" ] || { echo 'no crontab for someone' >&2; exit 1; }; cat \"$store\" ;;\n"
    "-) [ ! -e \"$store.ro\" ] || { echo 'spool is read-only' >&2; exit 1; }; cat >\"$store\" ;;\n"
    "esac\n";

static void test_through_crontab(void **state)
{
    (void)state;
    char dir[] = "/tmp/bakengine-cron-XXXXXX";
    assert_non_null(mkdtemp(dir));
    char *old_path BK_FREE = bk_strdup(getenv("PATH"));
    char *path BK_FREE = bk_asprintf("%s:%s", dir, old_path);
    char *tool BK_FREE = bk_asprintf("%s/crontab", dir);
    char *spool BK_FREE = bk_asprintf("%s/spool", dir);
    char *read_only BK_FREE = bk_asprintf("%s/spool.ro", dir);
    struct bk_err err = {0};
    bool changed = false;
    char *lines BK_FREE = lines_of(&all_entries, "/b", "/n.yaml", NULL);
    assert_int_equal(bk_write_file(tool, stand_in, strlen(stand_in), 0755, &err), 0);
    assert_int_equal(setenv("PATH", path, 1), 0);

    assert_int_equal(bk_cron_install(NULL, "/n.yaml", &changed, &err), 0); /* nothing there */
    assert_false(changed);
    assert_int_equal(access(spool, F_OK), -1);
    assert_int_equal(bk_cron_install(lines, "/n.yaml", &changed, &err), 0);
    assert_true(changed);
    struct bk_buf b BK_CLEANUP(bk_buf_free) = BK_BUF_INIT;
    assert_int_equal(bk_read_file(spool, 10000, &b, &err), 0);
    assert_string_equal(b.data, lines);
    assert_int_equal(bk_cron_install(lines, "/n.yaml", &changed, &err), 0);
    assert_false(changed);

    assert_int_equal(bk_write_file(read_only, "", 0, 0644, &err), 0);
    assert_int_equal(bk_cron_install(NULL, "/n.yaml", &changed, &err), BAKE_E_CHILD);
    assert_string_equal(err.text, "'crontab -' failed with exit status 1: spool is read-only");

    assert_int_equal(setenv("PATH", "/nonexistent", 1), 0);
    assert_int_equal(bk_cron_install(lines, "/n.yaml", NULL, &err), BAKE_E_NOTFOUND);
    assert_non_null(strstr(err.hint, "apt install cron"));
    assert_int_equal(setenv("PATH", old_path, 1), 0);
    assert_int_equal(unlink(read_only), 0);
    assert_int_equal(unlink(spool), 0);
    assert_int_equal(unlink(tool), 0);
    assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_entries),
        cmocka_unit_test(test_system_format_names_the_user),
        cmocka_unit_test(test_names_survive_cron_and_sh),
        cmocka_unit_test(test_refused_names),
        cmocka_unit_test(test_merge_keeps_what_is_not_ours),
        cmocka_unit_test(test_merge_without_a_last_newline),
        cmocka_unit_test(test_merge_replaces_in_place),
        cmocka_unit_test(test_pipelines_do_not_touch_each_other),
        cmocka_unit_test(test_file),
        cmocka_unit_test(test_names_that_cron_ignores),
        cmocka_unit_test(test_through_crontab),
    };
    return cmocka_run_group_tests_name("cron", tests, NULL, NULL);
}
