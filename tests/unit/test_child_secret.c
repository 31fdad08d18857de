/* Programs that are run: secrets reach them and nobody else. */
#include "child_kit.h"

#include <fcntl.h>
#include <sys/stat.h>

#define SECRET "pa ss\nw0rd-0f-child\n"

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

static char *run(const struct bkc_child_spec *spec)
{
    char *out = NULL;
    int rc = bkc_child_run(&host.ctx, spec, NULL, 65536, &out);
    if (rc != BAKE_OK)
        fail_msg("%d %s", rc, host.fail);
    return out;
}

static void test_by_environment(void **state)
{
    SHELL(spec, "cat $BK_FILE; cat $BK_FILE; stat -L -c '%a %F' $BK_FILE; echo $BK_FILE");
    (void)state;
    spec.secrets[0] = (struct bkc_child_secret){.text = SECRET, .env = "BK_FILE"};
    char *out = run(&spec);
    /* It can be read again, from the start; it is what libpq wants of a password file. */
    static const char want[] = SECRET SECRET "600 regular file\n/proc/self/fd/";
    assert_int_equal(strncmp(out, want, sizeof(want) - 1), 0);
    free(out);
}

static void test_by_argument(void **state)
{
    const char *const tool[] = {"env", "bk-no-tool", NULL};
    struct bkc_child_spec spec = {.argv = tool};
    (void)state;

    /* Those of secrets come first, in their order. */
    spec.secrets[0] = (struct bkc_child_secret){.text = "BK_A=x", .argument = "BK_1="};
    spec.secrets[1] = (struct bkc_child_secret){.text = "", .argument = "BK_2=", .env = "BK_TWO"};
    struct bkc_child *c = NULL;
    assert_int_equal(bkc_child_start(&host.ctx, &spec, &c), BAKE_OK);
    assert_int_equal(bkc_child_wait(c, NULL),
                     BAKE_E_CHILD); /* env looks for a program 'bk-no-tool' */
    assert_non_null(strstr(host.fail, "bk-no-tool"));
    bkc_child_free(c);
    const char *const good[] = {"env", NULL};
    spec.argv = good;
    char *out = run(&spec);
    assert_non_null(strstr(out, "\nBK_1=/proc/self/fd/"));
    assert_non_null(strstr(out, "\nBK_2=/proc/self/fd/"));
    assert_non_null(strstr(out, "\nBK_TWO=/proc/self/fd/"));
    assert_true(strstr(out, "\nBK_1=") < strstr(out, "\nBK_2="));
    free(out);
}

/* Sealed, and not there for whoever is started later. */
static void test_sealed(void **state)
{
    SHELL(spec, "if (echo x >>$BK_FILE) 2>/dev/null; then echo written; fi;"
                "if (: >$BK_FILE) 2>/dev/null; then echo cut; fi; "
                "if dd if=/dev/zero of=$BK_FILE conv=notrunc bs=1 count=1 2>/dev/null; then "
                "echo over; fi; cat $BK_FILE; ls /proc/$$/fd");
    SHELL(other, "ls /proc/$$/fd; echo ${BK_FILE-none}");
    struct bkc_child *c = NULL;
    (void)state;

    spec.secrets[0] = (struct bkc_child_secret){.text = SECRET, .env = "BK_FILE"};
    char *out = run(&spec);
    static const char want[] = SECRET "0\n1\n2\n"; /* and one more */
    assert_int_equal(strncmp(out, want, sizeof(want) - 1), 0);
    assert_ptr_equal(strchr(out + sizeof(want) - 1, '\n'), out + strlen(out) - 1);
    free(out);
    SHELL(waits, "read x"); /* one runs with it while the other starts */
    waits.in = true;
    waits.secrets[0] = spec.secrets[0];
    assert_int_equal(bkc_child_start(&host.ctx, &waits, &c), BAKE_OK);
    out = run(&other);
    assert_string_equal(out, "0\n1\n2\nnone\n");
    free(out);
    bkc_child_free(c);
}

/* The whole of a file below /proc/PID. */
static size_t slurp(pid_t pid, const char *name, char *room, size_t size)
{
    char path[64];
    size_t n = 0;
    ssize_t got;

    (void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    while ((got = read(fd, room + n, size - n)) > 0)
        n += (size_t)got;
    (void)close(fd);
    return n;
}

static void test_not_to_be_seen(void **state)
{
    static char room[1 << 18];
    struct bkc_child *c = NULL;
    const char *const argv[] = {"tail", "-f", "/dev/null", NULL};
    struct bkc_child_spec plain = {.argv = argv};
    (void)state;

    plain.secrets[0] = (struct bkc_child_secret){.text = SECRET, .env = "BK_FILE"};
    assert_int_equal(bkc_child_start(&host.ctx, &plain, &c), BAKE_OK);
    pid_t pid = bkc_child_pid(c);
    size_t n = slurp(pid, "environ", room, sizeof(room));
    assert_non_null(memmem(room, n, "BK_FILE=/proc/self/fd/", 22));
    assert_null(memmem(room, n, "w0rd-0f-child", 13));
    n = slurp(pid, "cmdline", room, sizeof(room));
    assert_non_null(memmem(room, n, "/dev/null", 9));
    assert_null(memmem(room, n, "w0rd-0f-child", 13));
    bkc_child_free(c);
}

/* Another user than ours may still read what is meant for it. */
static void test_other_user(void **state)
{
    SHELL(spec, "id -un; cat $BK_FILE; stat -L -c '%U %a' $BK_FILE");
    (void)state;
    if (geteuid() != 0)
        skip();
    spec.user = "nobody";
    spec.secrets[0] = (struct bkc_child_secret){.text = SECRET, .env = "BK_FILE"};
    char *out = run(&spec);
    assert_string_equal(out, "nobody\n" SECRET "nobody 600\n");
    free(out);
}

static void test_low_descriptors(void **state)
{
    SHELL(spec, "cat $BK_FILE");
    int saved[3];
    char *out = NULL;
    (void)state;
    spec.secrets[0] = (struct bkc_child_secret){.text = SECRET, .env = "BK_FILE"};
    for (int i = 0; i < 3; i++)
        saved[i] = fcntl(i, F_DUPFD_CLOEXEC, 10);
    for (int i = 0; i < 3; i++)
        (void)close(i);
    int rc = bkc_child_run(&host.ctx, &spec, NULL, 100, &out);
    for (int i = 0; i < 3; i++)
        if (saved[i] >= 0) {
            (void)dup2(saved[i], i);
            (void)close(saved[i]);
        }
    assert_int_equal(rc, BAKE_OK);
    assert_string_equal(out, SECRET);
    free(out);
}

static void test_all_four(void **state)
{
    SHELL(spec, "cat $BK_0 $BK_1 $BK_2 $BK_3");
    (void)state;
    spec.secrets[0] = (struct bkc_child_secret){.text = "a", .env = "BK_0"};
    spec.secrets[1] = (struct bkc_child_secret){.text = "b", .env = "BK_1"};
    spec.secrets[2] = (struct bkc_child_secret){.text = "c", .env = "BK_2"};
    spec.secrets[3] = (struct bkc_child_secret){.text = "d", .env = "BK_3"};
    char *out = run(&spec);
    assert_string_equal(out, "abcd");
    free(out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_by_environment, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_by_argument, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_sealed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_not_to_be_seen, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_other_user, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_low_descriptors, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_all_four, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
