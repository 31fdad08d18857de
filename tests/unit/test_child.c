/* Programs that are run: what goes in, what comes out, what they say. */
#include "child_kit.h"

#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
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

/* Reads to the end; how much it was, and that each byte is `what` (or 0: any). */
static size_t read_all(struct bkc_child *c, int what)
{
    static char room[65536], like[65536];
    size_t total = 0;
    int rc;

    memset(like, what, sizeof(like));
    for (;;) {
        struct bake_out out = {.data = room, .size = sizeof(room)};

        if ((rc = bkc_child_read(c, &out)) != BAKE_OK)
            break;
        assert_true(out.pos > 0);
        if (what)
            assert_memory_equal(room, like, out.pos);
        total += out.pos;
    }
    assert_int_equal(rc, BAKE_END);
    return total;
}

static char *run(const struct bkc_child_spec *spec, const char *input)
{
    char *out = NULL;
    int rc = bkc_child_run(&host.ctx, spec, input, 65536, &out);
    if (rc != BAKE_OK)
        fail_msg("%d %s", rc, host.fail);
    return out;
}

static void test_output(void **state)
{
    SHELL(spec, "head -c 104857600 /dev/zero | tr '\\0' x");
    (void)state;
    spec.out = true;
    struct bkc_child *c = started(&spec);
    assert_int_equal(read_all(c, 'x'), 104857600);
    assert_int_equal(bkc_child_wait(c, NULL), BAKE_OK);
    pid_t pid = bkc_child_pid(c);
    bkc_child_free(c);
    assert_gone(pid);
}

static void test_both_ways(void **state)
{
    const char *const argv[] = {"cat", NULL};
    struct bkc_child_spec spec = {.argv = argv};
    const size_t n = (size_t)8 << 20;
    char *text = malloc(n + 1), *out = NULL;
    (void)state;

    assert_non_null(text);
    memset(text, 'y', n);
    text[n] = '\0';
    assert_int_equal(bkc_child_run(&host.ctx, &spec, text, n, &out), BAKE_OK);
    assert_string_equal(out, text);
    free(out);
    assert_int_equal(bkc_child_run(&host.ctx, &spec, text, n - 1, &out), BAKE_E_CHILD);
    assert_null(out);
    assert_non_null(strstr(host.fail, "writes more than"));
    free(text);
}

/* What comes out while it is written to is kept, up to a limit. */
static void test_kept(void **state)
{
    const char *const argv[] = {"cat", NULL};
    struct bkc_child_spec spec = {.argv = argv, .in = true, .out = true};
    char *text = malloc((size_t)3 << 20);
    (void)state;

    assert_non_null(text);
    memset(text, 'z', (size_t)3 << 20);
    struct bkc_child *c = started(&spec);
    assert_int_equal(bkc_child_write(c, text, 60000), BAKE_OK);
    assert_int_equal(bkc_child_close_in(c), BAKE_OK);
    assert_int_equal(read_all(c, 'z'), 60000);
    assert_int_equal(bkc_child_wait(c, NULL), BAKE_OK);
    bkc_child_free(c);

    c = started(&spec);
    assert_int_equal(bkc_child_write(c, text, (size_t)3 << 20), BAKE_E_CHILD);
    assert_non_null(strstr(host.fail, "while it is written to"));
    bkc_child_free(c);

    SHELL(echo, "dd bs=30000 count=1 if=/dev/zero 2>/dev/null | tr '\\0' q; cat >/dev/null");
    echo.in = echo.out = true;
    c = started(&echo);
    assert_int_equal(bkc_child_write(c, text, (size_t)3 << 20), BAKE_OK);
    assert_int_equal(bkc_child_close_in(c), BAKE_OK);
    assert_int_equal(read_all(c, 'q'), 30000);
    assert_int_equal(bkc_child_wait(c, NULL), BAKE_OK);
    bkc_child_free(c);
    free(text);
}

/* In turns: what is kept is taken a little, and more comes behind it. */
static void test_kept_in_turns(void **state)
{
    SHELL(spec, "dd bs=30000 count=1 if=/dev/zero 2>/dev/null | tr '\\0' q;"
                "dd bs=1M count=3 iflag=fullblock of=/dev/null 2>/dev/null;"
                "dd bs=20000 count=1 if=/dev/zero 2>/dev/null | tr '\\0' q; cat >/dev/null");
    char *text = calloc(3, 1 << 20), room[100];
    struct bake_out out = {.data = room, .size = sizeof(room)};
    (void)state;

    assert_non_null(text);
    spec.in = spec.out = true;
    struct bkc_child *c = started(&spec);
    assert_int_equal(bkc_child_write(c, text, (size_t)3 << 20), BAKE_OK);
    assert_int_equal(bkc_child_read(c, &out), BAKE_OK);
    assert_true(out.pos > 0);
    size_t first = out.pos;
    assert_int_equal(bkc_child_write(c, text, (size_t)3 << 20), BAKE_OK);
    assert_int_equal(bkc_child_close_in(c), BAKE_OK);
    assert_int_equal(first + read_all(c, 'q'), 50000);
    assert_int_equal(bkc_child_write(c, text, 1), BAKE_E_CHILD);
    assert_string_equal(host.fail, "the input of sh is closed");
    assert_int_equal(bkc_child_wait(c, NULL), BAKE_OK);
    out.pos = out.size;
    assert_int_equal(bkc_child_read(c, &out), BAKE_E_INTERNAL); /* without room */
    bkc_child_free(c);
    free(text);
}

struct said {
    size_t n, bytes;
    char last[1100], first[1100], all[100]; /* all: of the first lines */
};

static void hear(void *arg, const char *line)
{
    struct said *s = arg;
    if (s->n++ == 0)
        (void)snprintf(s->first, sizeof(s->first), "%s", line);
    (void)snprintf(s->last, sizeof(s->last), "%s", line);
    s->bytes += strlen(line);
    if (strlen(s->all) + strlen(line) + 2 < sizeof(s->all)) {
        size_t n = strlen(s->all);
        (void)snprintf(s->all + n, sizeof(s->all) - n, "%s\n", line);
    }
}

static void test_flood(void **state)
{
    struct said said = {0};
    SHELL(spec, "seq 1 300000 >&2; head -c 3000000 /dev/zero; seq 1 300000 >&2; echo end >&2");
    (void)state;
    spec.out = true;
    spec.said = hear;
    spec.arg = &said;
    struct bkc_child *c = started(&spec);
    assert_int_equal(read_all(c, 0), 3000000);
    assert_int_equal(bkc_child_wait(c, NULL), BAKE_OK);
    assert_int_equal(said.n, 600001);
    assert_string_equal(said.first, "1");
    assert_string_equal(said.last, "end");
    const char *tail = bkc_child_said(c);
    assert_true(strlen(tail) <= 2048 && strlen(tail) > 2000);
    assert_string_equal(strrchr(tail, '\n'), "\nend");
    bkc_child_free(c);
}

static void test_flood_while_written_to(void **state)
{
    struct said said = {0};
    SHELL(spec, "seq 1 100000 >&2; cat >/dev/null; seq 1 5 >&2; exit 3");
    char *text = calloc(1, (size_t)4 << 20);
    int status = 0;
    (void)state;
    assert_non_null(text);
    spec.in = true;
    spec.said = hear;
    spec.arg = &said;
    struct bkc_child *c = started(&spec);
    assert_int_equal(bkc_child_write(c, text, (size_t)4 << 20), BAKE_OK);
    assert_int_equal(bkc_child_wait(c, &status), BAKE_OK);
    assert_int_equal(WEXITSTATUS(status), 3);
    assert_int_equal(bkc_child_wait(c, NULL), BAKE_E_CHILD); /* may be asked again */
    assert_string_equal(host.fail, "sh ended with exit status 3: 5");
    assert_int_equal(said.n, 100005);
    bkc_child_free(c);
    free(text);
}

static void test_lines(void **state)
{
    struct said said = {0};
    SHELL(spec, "printf 'a\\033[1mb\\tc\\001\\r\\n\\n\\n' >&2;"
                "printf '\\302\\2331m\\303\\251\\n' >&2;"
                "head -c 999 /dev/zero | tr '\\0' l >&2; printf '\\303\\251 and more\\n' >&2;"
                "head -c 998 /dev/zero | tr '\\0' m >&2; printf '\\342\\202\\254 and more\\n' >&2;"
                "printf 'no end' >&2");
    (void)state;
    spec.said = hear;
    spec.arg = &said;
    struct bkc_child *c = started(&spec);
    assert_int_equal(bkc_child_wait(c, NULL), BAKE_OK);
    assert_int_equal(said.n, 5);
    assert_string_equal(said.first, "a?[1mb c?");
    assert_string_equal(said.last, "no end");
    const char *tail = bkc_child_said(c);
    assert_non_null(strstr(tail, "lll...\nmmm")); /* the character is not cut in two */
    assert_non_null(strstr(tail, "mmm...\nno end"));
    assert_non_null(strstr(said.all, "\n?1m\303\251\n"));
    bkc_child_free(c);
}

static void test_environment(void **state)
{
    const char *const env[] = {"BK_NEW=1 2", "BK_THERE=new", "BK_GONE", "NOT_THERE", NULL};
    SHELL(spec, "echo \"$BK_NEW,$BK_THERE,${BK_GONE-none},$BK_STAYS,$LC_ALL,${LANGUAGE-none}\"");
    char *out;
    (void)state;
    assert_int_equal(setenv("BK_THERE", "old", 1) + setenv("BK_GONE", "x", 1) +
                         setenv("BK_STAYS", "s", 1) + setenv("LANGUAGE", "de", 1),
                     0);
    spec.env = env;
    out = run(&spec, NULL);
    assert_string_equal(out, "1 2,new,none,s,C.UTF-8,none\n");
    free(out);
    const char *const other[] = {"LC_ALL=POSIX", NULL};
    spec.env = other;
    out = run(&spec, NULL);
    assert_string_equal(out, ",old,x,s,POSIX,none\n");
    free(out);
}

/* Nothing is inherited but 0 to 2; signals are as new; in a group of its own. */
static void test_clean(void **state)
{
    SHELL(spec, "ls -m /proc/$$/fd; grep -E 'Sig(Blk|Ign)' /proc/$$/status |"
                "tr -d '\\t\\n'; cut -d' ' -f5 /proc/$$/stat | grep -cx $$");
    int leaked = dup(STDOUT_FILENO); /* without close-on-exec, as a library's may be */
    sigset_t set, old;
    char *out;
    (void)state;
    assert_true(leaked > 2);
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    assert_int_equal(pthread_sigmask(SIG_BLOCK, &set, &old), 0);
    void (*before)(int) = signal(SIGPIPE, SIG_IGN);
    out = run(&spec, NULL);
    (void)signal(SIGPIPE, before);
    assert_int_equal(pthread_sigmask(SIG_SETMASK, &old, NULL), 0);
    assert_string_equal(out, "0, 1, 2\nSigBlk:0000000000000000SigIgn:00000000000000001\n");
    free(out);
    (void)close(leaked);
}

/* As it is before the program has done anything about it: shells do. */
static void test_mask(void **state)
{
    const char *const argv[] = {"grep", "-E", "Sig(Blk|Ign)", "/proc/self/status", NULL};
    struct bkc_child_spec spec = {.argv = argv};
    (void)state;
    char *out = run(&spec, NULL);
    assert_string_equal(out, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
    free(out);
}

static void test_standard_closed(void **state)
{
    SHELL(spec, "cat; echo to-err >&2");
    int saved[3];
    char *out;
    (void)state;
    for (int i = 0; i < 3; i++)
        saved[i] = fcntl(i, F_DUPFD_CLOEXEC, 10);
    for (int i = 0; i < 3; i++)
        (void)close(i);
    int rc = bkc_child_run(&host.ctx, &spec, "through\n", 100, &out);
    for (int i = 0; i < 3; i++)
        if (saved[i] >= 0) {
            (void)dup2(saved[i], i);
            (void)close(saved[i]);
        }
    assert_int_equal(rc, BAKE_OK);
    assert_string_equal(out, "through\n");
    free(out);
}

static void test_directory(void **state)
{
    const char *const argv[] = {"pwd", NULL};
    struct bkc_child_spec spec = {.argv = argv, .directory = "/usr/lib"};
    struct bkc_child *c;
    char *out;
    (void)state;
    out = run(&spec, NULL);
    assert_string_equal(out, "/usr/lib\n");
    free(out);
    spec.directory = "/nowhere/at/all";
    assert_int_equal(bkc_child_start(&host.ctx, &spec, &c), BAKE_E_CHILD);
    assert_non_null(strstr(host.fail, "in '/nowhere/at/all': "));
}

static void test_out_fd(void **state)
{
    const char *const argv[] = {"echo", "words", NULL};
    struct bkc_child_spec spec = {.argv = argv};
    char name[] = "/tmp/bake-child-XXXXXX", got[20] = "";
    (void)state;
    spec.out_fd = mkstemp(name);
    assert_true(spec.out_fd > 0);
    assert_int_equal(bkc_child_run(&host.ctx, &spec, NULL, 0, NULL), BAKE_OK);
    assert_int_equal(pread(spec.out_fd, got, sizeof(got) - 1, 0), 6);
    assert_string_equal(got, "words\n");
    (void)close(spec.out_fd);
    (void)unlink(name);
}

static void test_user(void **state)
{
    SHELL(spec,
          "echo $(id -u) $(id -g) $(id -G | wc -w) $HOME $USER $LOGNAME $(pwd) ${TMPDIR-none};"
          "grep -E '^(Uid|Gid)' /proc/self/status | tr '\\t\\n' '  '");
    struct passwd *pw = getpwnam("nobody");
    struct bkc_child *c = NULL;
    char want[300], *out;
    (void)state;

    if (geteuid() != 0 || !pw)
        skip();
    unsigned u = pw->pw_uid, g = pw->pw_gid;
    (void)snprintf(want, sizeof(want),
                   "%u %u 1 %s nobody nobody / none\nUid: %u %u %u %u Gid: %u %u %u %u ", u, g,
                   pw->pw_dir, u, u, u, u, g, g, g, g);
    spec.user = "nobody";
    assert_int_equal(setenv("TMPDIR", "/nowhere/tmp", 1), 0);
    out = run(&spec, NULL);
    assert_int_equal(unsetenv("TMPDIR"), 0);
    assert_string_equal(out, want);
    free(out);
    spec.user = "no-such-user-here";
    assert_int_equal(bkc_child_start(&host.ctx, &spec, &c), BAKE_E_CONFIG);
    assert_null(c);
    assert_non_null(strstr(host.fail, "'no-such-user-here'"));
    spec.user = "root";
    out = run(&spec, NULL);
    assert_int_equal(strncmp(out, "0 0 ", 4), 0);
    free(out);
}

static void test_path(void **state)
{
    const char *const argv[] = {"bk-tool", NULL};
    char dir[] = "/tmp/bake-child-XXXXXX", tool[64], path[128], *out;
    struct bkc_child_spec spec = {.argv = argv};
    struct bkc_child *c = NULL;
    (void)state;

    assert_non_null(mkdtemp(dir));
    (void)snprintf(tool, sizeof(tool), "%s/bk-tool", dir);
    (void)snprintf(path, sizeof(path), "PATH=relative:%s:/usr/bin:/bin", dir);
    const char *const env[] = {path, NULL};
    spec.env = env;
    assert_int_equal(bkc_child_start(&host.ctx, &spec, &c), BAKE_E_NOTFOUND);
    assert_string_equal(host.fail, "there is no program 'bk-tool' in PATH");
    FILE *f = fopen(tool, "we");
    assert_non_null(f);
    assert_true(fputs("#!/bin/sh\necho found $0\n", f) >= 0 && fclose(f) == 0);
    assert_int_equal(chmod(tool, 0644), 0);
    assert_int_equal(bkc_child_start(&host.ctx, &spec, &c), BAKE_E_CHILD);
    assert_string_equal(host.fail, "cannot run 'bk-tool': Permission denied");
    assert_int_equal(chmod(tool, 0755), 0);
    out = run(&spec, NULL);
    assert_non_null(strstr(out, tool));
    free(out);
    f = fopen(tool, "we");
    assert_non_null(f);
    assert_true(fputs("#!/no/such/interpreter\n", f) >= 0 && fclose(f) == 0);
    assert_int_equal(bkc_child_start(&host.ctx, &spec, &c), BAKE_E_CHILD);
    assert_non_null(strstr(host.fail, "its first line names"));
    f = fopen(tool, "we");
    assert_non_null(f);
    assert_true(fputs("nothing that runs\n", f) >= 0 && fclose(f) == 0);
    assert_int_equal(bkc_child_start(&host.ctx, &spec, &c), BAKE_E_CHILD);
    assert_non_null(strstr(host.fail, "Exec format error"));
    const char *const whole[] = {"/nowhere/tool", NULL};
    spec.argv = whole;
    assert_int_equal(bkc_child_start(&host.ctx, &spec, &c), BAKE_E_NOTFOUND);
    assert_string_equal(host.fail, "there is no program '/nowhere/tool'");
    spec.argv = &whole[1];
    assert_int_equal(bkc_child_start(&host.ctx, &spec, &c), BAKE_E_INTERNAL);
    (void)unlink(tool);
    (void)rmdir(dir);
}

static void test_run(void **state)
{
    SHELL(spec, "cat; echo why >&2; exit 4");
    const char *const none[] = {"true", NULL};
    struct bkc_child_spec idle = {.argv = none};
    char *out = NULL, *big = malloc((size_t)3 << 20);
    (void)state;
    assert_int_equal(bkc_child_run(&host.ctx, &spec, "x", 100, &out), BAKE_E_CHILD);
    assert_null(out);
    assert_string_equal(host.fail, "sh ended with exit status 4: why");
    out = run(&idle, NULL);
    assert_string_equal(out, "");
    free(out);
    assert_non_null(big);
    memset(big, 'b', ((size_t)3 << 20) - 1);
    big[((size_t)3 << 20) - 1] = '\0';
    out = run(&idle, big); /* it does not want it, and says that this is right */
    assert_string_equal(out, "");
    free(out);
    free(big);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_output, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_both_ways, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_kept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_kept_in_turns, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_flood, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_flood_while_written_to, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_lines, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_environment, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_clean, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_mask, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_standard_closed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_directory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_out_fd, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_user, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_path, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_run, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
