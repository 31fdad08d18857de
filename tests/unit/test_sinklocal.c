/* sink-local: what conformance cannot see: options, modes, owners, links, what is left behind. */
#include "sinklocal_kit.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define TEST(f) cmocka_unit_test_setup_teardown(f, kit_setup, kit_teardown)

static void bad_options(void **state)
{
    static const struct {
        const char *word, *says;
    } cases[] = {
        {"dir_mode=0999", "'dir_mode' must be an octal mode such as 0750, got '0999'"},
        {"dir_mode=", "'dir_mode' must be an octal mode such as 0750, got ''"},
        {"dir_mode=00750", "'dir_mode' must be an octal mode"},
        {"dir_mode=0640", "'dir_mode' must give the owner at least 0700, got '0640'"},
        {"file_mode=rw", "'file_mode' must be an octal mode such as 0640, got 'rw'"},
        {"file_mode=4640", "'file_mode' must be an octal mode"},
        {"file_mode=0440", "'file_mode' must give the owner at least 0600, got '0440'"},
        {"owner=no-such-user", "'owner': there is no user 'no-such-user'"},
        {"group=no-such-group", "'group': there is no group 'no-such-group'"},
        {"owner=4294967295", "'owner': there is no user '4294967295'"},
    };
    struct kit *k = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        kit_open(k, cases[i].word, NULL);
        assert_int_equal(k->rc, BAKE_E_CONFIG);
        kit_says(k, cases[i].says);
    }
}

static void path_must_be_a_directory(void **state)
{
    struct kit *k = *state;
    char word[128];

    kit_write(k->store, "a file");
    kit_open(k, NULL);
    assert_int_equal(k->rc, BAKE_E_CONFIG);
    kit_says(k, "store' is not a directory");
    (void)snprintf(word, sizeof(word), "path=%s/below", k->store);
    kit_open(k, word, NULL);
    assert_int_equal(k->rc, BAKE_E_CONFIG);
    kit_says(k, "store/below' is not a directory");
    assert_int_equal(k->subject.plugin->probe(&k->ctx.base, k->subject.config.cfg), BAKE_E_CONFIG);
}

static void missing_directory(void **state)
{
    struct kit *k = *state;
    struct stat st;

    kit_open(k, "create=false", NULL);
    assert_int_equal(k->rc, BAKE_E_UNAVAILABLE);
    kit_says(k, "does not exist and 'create' is false");
    kit_says(k, "\nHINT: ");

    kit_open(k, NULL);
    assert_int_equal(k->rc, BAKE_OK);
    assert_int_equal(k->subject.plugin->probe(&k->ctx.base, k->subject.config.cfg), BAKE_OK);
    assert_int_equal(kit_count(k, ""), 0);
    assert_int_equal(stat(k->store, &st), -1); /* looking makes nothing */
    assert_int_equal(kit_put(k, "a/b", "x", 1, 0), BAKE_OK);
    assert_int_equal(kit_get(k, "a/b", "x"), BAKE_OK);
}

/* Parents too; and when the store goes away under an instance that must not make it again. */
static void parents_are_made(void **state)
{
    struct kit *k = *state;
    char word[160], path[160];
    struct stat st;

    (void)snprintf(word, sizeof(word), "path=%s/one/two/three", k->dir);
    kit_open(k, word, NULL);
    assert_int_equal(kit_put(k, "o", "x", 1, 0), BAKE_OK);
    (void)snprintf(path, sizeof(path), "%s/one/two", k->dir);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0750);

    kit_open(k, word, "create=false", NULL);
    assert_int_equal(k->rc, BAKE_OK);
    assert_int_equal(k->ops->remove(k->self, &k->ctx.base, "o"), BAKE_OK);
    (void)snprintf(path, sizeof(path), "%s/one/two/three", k->dir);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(kit_put(k, "o", "x", 1, 0), BAKE_E_NOTFOUND);
    assert_int_equal(stat(path, &st), -1);
}

static void expect_mode(struct kit *k, const char *name, mode_t mode)
{
    char path[256];
    struct stat st;

    assert_int_equal(stat(kit_path(k, name, path, sizeof(path)), &st), 0);
    if ((st.st_mode & 07777) != mode)
        fail_msg("'%s' has mode %04o, not %04o", path, st.st_mode & 07777, mode);
}

static void modes_whatever_the_umask(void **state)
{
    static const mode_t masks[] = {0, 077, 022, 0777};
    struct kit *k = *state;

    for (size_t i = 0; i < sizeof(masks) / sizeof(masks[0]); i++) {
        char name[32];
        mode_t before = umask(masks[i]);

        kit_open(k, NULL);
        (void)snprintf(name, sizeof(name), "plain%zu/x/leaf", i);
        assert_int_equal(kit_put(k, name, "x", 1, 0), BAKE_OK);
        kit_open(k, "dir_mode=2755", "file_mode=0444", NULL);
        assert_int_equal(k->rc, BAKE_E_CONFIG);
        kit_open(k, "dir_mode=2775", "file_mode=664", NULL);
        (void)snprintf(name, sizeof(name), "open%zu/x/leaf", i);
        assert_int_equal(kit_put(k, name, "x", 1, BAKE_PUT_IF_ABSENT), BAKE_OK);
        (void)umask(before);

        expect_mode(k, "", 0750);
        expect_mode(k, name, 0664);
        (void)snprintf(name, sizeof(name), "open%zu/x", i);
        expect_mode(k, name, 02775);
        (void)snprintf(name, sizeof(name), "plain%zu", i);
        expect_mode(k, name, 0750);
        (void)snprintf(name, sizeof(name), "plain%zu/x/leaf", i);
        expect_mode(k, name, 0640);
    }
}

static void owner_and_group(void **state)
{
    struct kit *k = *state;
    const struct passwd *pw = getpwnam("nobody");
    const struct group *gr = getgrnam("daemon");
    char path[256];
    struct stat st;

    if (geteuid() != 0)
        fail_msg("this test gives files away: run it as root");
    assert_non_null(pw);
    assert_non_null(gr);
    kit_open(k, "owner=nobody", "group=daemon", NULL);
    assert_int_equal(kit_put(k, "a/b", "x", 1, 0), BAKE_OK);
    assert_int_equal(stat(kit_path(k, "a/b", path, sizeof(path)), &st), 0);
    assert_int_equal(st.st_uid, pw->pw_uid);
    assert_int_equal(st.st_gid, gr->gr_gid);
    assert_int_equal(st.st_mode & 07777, 0640);
    assert_int_equal(stat(kit_path(k, "a", path, sizeof(path)), &st), 0);
    assert_int_equal(st.st_uid, pw->pw_uid);
    kit_open(k, "owner=12345", "group=54321", NULL);
    assert_int_equal(kit_put(k, "a/c", "x", 1, 0), BAKE_OK);
    assert_int_equal(stat(kit_path(k, "a/c", path, sizeof(path)), &st), 0);
    assert_int_equal(st.st_uid, 12345);
    assert_int_equal(st.st_gid, 54321);
}

/* Runs fn as nobody in a child; its assertions end the child with a failure. */
static void as_nobody(struct kit *k, int (*fn)(struct kit *))
{
    int status;
    pid_t pid;

    if (geteuid() != 0)
        fail_msg("this test becomes another user: run it as root");
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (setgroups(0, NULL) != 0 || setresgid(65534, 65534, 65534) != 0 ||
            setresuid(65534, 65534, 65534) != 0)
            _exit(90);
        _exit(fn(k));
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static int cannot_give_away(struct kit *k)
{
    if (kit_put(k, "o", "x", 1, 0) != BAKE_E_IO || !strstr(k->ctx.text, "not permitted") ||
        !strstr(k->ctx.text, "HINT: 'owner' and 'group' need privileges"))
        return 1;
    return kit_files(k->store) == 0 ? 0 : 2;
}

static int cannot_enter(struct kit *k)
{
    if (kit_put(k, "o", "x", 1, 0) != BAKE_E_IO || !strstr(k->ctx.text, "permission denied"))
        return 1;
    if (kit_get(k, "o", "x") != BAKE_E_IO)
        return 2;
    return k->subject.plugin->probe(&k->ctx.base, k->subject.config.cfg) == BAKE_E_IO ? 0 : 3;
}

static void without_privileges(void **state)
{
    struct kit *k = *state;

    assert_int_equal(chmod(k->dir, 0755), 0);
    assert_int_equal(mkdir(k->store, 0700), 0);
    kit_open(k, NULL);
    as_nobody(k, cannot_enter);
    assert_int_equal(chown(k->store, 65534, 65534), 0);
    kit_open(k, "owner=root", NULL);
    as_nobody(k, cannot_give_away);
}

static void links_are_not_followed(void **state)
{
    struct kit *k = *state;
    char path[256], outside[128];
    uint64_t size;
    int64_t mtime;

    (void)snprintf(outside, sizeof(outside), "%s/outside", k->dir);
    assert_int_equal(mkdir(outside, 0700), 0);
    kit_open(k, NULL);
    assert_int_equal(kit_put(k, "real", "x", 1, 0), BAKE_OK);
    assert_int_equal(symlink(outside, kit_path(k, "away", path, sizeof(path))), 0);
    assert_int_equal(symlink("real", kit_path(k, "alias", path, sizeof(path))), 0);

    assert_int_equal(kit_put(k, "away/o", "x", 1, 0), BAKE_E_CORRUPT);
    kit_says(k, "symbolic link");
    assert_int_equal(kit_files(outside), 0);
    assert_int_equal(kit_get(k, "alias", "x"), BAKE_E_CORRUPT);
    kit_says(k, "symbolic link");
    assert_int_equal(k->ops->stat(k->self, &k->ctx.base, "alias", &size, &mtime), BAKE_E_CORRUPT);
    assert_int_equal(k->ops->remove(k->self, &k->ctx.base, "alias"), BAKE_E_CORRUPT);
    assert_int_equal(kit_count(k, ""), 1);
    assert_int_equal(k->ops->list(k->self, &k->ctx.base, "away/", NULL, NULL), BAKE_E_CORRUPT);
    kit_says(k, "symbolic link");
    /* the way to the root is the user's own */
    (void)snprintf(path, sizeof(path), "path=%s/store/away", k->dir);
    kit_open(k, path, NULL);
    assert_int_equal(kit_put(k, "o", "x", 1, 0), BAKE_OK);
    assert_int_equal(kit_files(outside), 1);
}

static void other_things_in_the_store(void **state)
{
    struct kit *k = *state;
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    char path[256];
    int sock;

    kit_open(k, NULL);
    assert_int_equal(kit_put(k, "o", "x", 1, 0), BAKE_OK);
    assert_int_equal(mkfifo(kit_path(k, "fifo", path, sizeof(path)), 0600), 0);
    sock = socket(AF_UNIX, SOCK_STREAM, 0);
    (void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/sock", k->store);
    assert_int_equal(bind(sock, (struct sockaddr *)&addr, sizeof(addr)), 0);
    kit_write(kit_path(k, "n\xc3\xa4me", path, sizeof(path)), "foreign");
    kit_write(kit_path(k, ".tmp-0123456789abcdef", path, sizeof(path)), "half");
    assert_int_equal(mkdir(kit_path(k, "lost+found", path, sizeof(path)), 0700), 0);
    kit_write(kit_path(k, "lost+found/#123", path, sizeof(path)), "lost");

    assert_int_equal(kit_count(k, ""), 1);
    assert_int_equal(kit_count(k, ".tmp-"), 0);
    assert_int_equal(kit_get(k, "fifo", ""), BAKE_E_CORRUPT); /* and does not wait for a writer */
    kit_says(k, "not a regular file");
    assert_int_equal(kit_get(k, "sock", ""), BAKE_E_CORRUPT);
    assert_int_equal(kit_get(k, ".tmp-0123456789abcdef", ""), BAKE_E_INTERNAL);
    assert_int_equal(kit_put(k, ".tmp-x", "x", 1, 0), BAKE_E_INTERNAL);
    assert_int_equal(kit_put(k, "o/below", "x", 1, 0), BAKE_E_IO);
    kit_says(k, "not a directory");
    assert_int_equal(close(sock), 0);
}

static void object_in_a_folders_place(void **state)
{
    struct kit *k = *state;

    kit_open(k, NULL);
    assert_int_equal(kit_put(k, "a/b", "x", 1, 0), BAKE_OK);
    assert_int_equal(kit_put(k, "a", "x", 1, 0), BAKE_E_IO);
    kit_says(k, "is a directory");
    assert_int_equal(kit_put(k, "a", "x", 1, BAKE_PUT_IF_ABSENT), BAKE_E_IO);
    kit_says(k, "is a directory");
    assert_int_equal(kit_files(k->store), 1);
}

static void remove_tidies_up(void **state)
{
    struct kit *k = *state;
    char path[256];
    struct stat st;

    kit_open(k, NULL);
    assert_int_equal(kit_put(k, "a/b/c/d", "x", 1, 0), BAKE_OK);
    assert_int_equal(kit_put(k, "a/e", "x", 1, 0), BAKE_OK);
    assert_int_equal(k->ops->remove(k->self, &k->ctx.base, "a/b/c/d"), BAKE_OK);
    assert_int_equal(stat(kit_path(k, "a/b", path, sizeof(path)), &st), -1);
    assert_int_equal(stat(kit_path(k, "a", path, sizeof(path)), &st), 0);
    assert_int_equal(k->ops->remove(k->self, &k->ctx.base, "a/e"), BAKE_OK);
    assert_int_equal(stat(kit_path(k, "a", path, sizeof(path)), &st), -1);
    assert_int_equal(stat(k->store, &st), 0); /* the root stays: it may be a mount point */
}

static void shrinks_while_read(void **state)
{
    struct kit *k = *state;
    char path[256], byte[2];
    struct bake_out out = {byte, 1, 0};
    void *get;

    kit_open(k, NULL);
    assert_int_equal(kit_put(k, "o", "four", 4, 0), BAKE_OK);
    assert_int_equal(k->ops->get_begin(k->self, &k->ctx.base, "o", 0, 0, &get), BAKE_OK);
    assert_int_equal(k->ops->get_read(get, &out), BAKE_OK);
    assert_int_equal(truncate(kit_path(k, "o", path, sizeof(path)), 1), 0);
    out.pos = 0;
    assert_int_equal(k->ops->get_read(get, &out), BAKE_E_CORRUPT);
    kit_says(k, "object is shorter than expected");
    k->ops->get_close(get);
}

static void announced_size_is_kept(void **state)
{
    struct kit *k = *state;
    struct bake_in in = {"abc", 3, 0};
    void *put;

    kit_open(k, NULL);
    assert_int_equal(k->ops->put_begin(k->self, &k->ctx.base, "o", 4, 0, &put), BAKE_OK);
    assert_int_equal(k->ops->put_write(put, &in), BAKE_OK);
    assert_int_equal(k->ops->put_end(put), BAKE_E_INTERNAL);
    kit_says(k, "announced with 4 bytes, 3 came");
    assert_int_equal(kit_files(k->store), 0);
}

static void killed_in_the_middle(void **state)
{
    struct kit *k = *state;
    static char data[1 << 20];
    uint64_t removed = 0;
    int pipes[2], status;
    char byte;
    pid_t pid;

    kit_open(k, NULL);
    assert_int_equal(kit_put(k, "there", "x", 1, 0), BAKE_OK);
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct bake_in in = {data, sizeof(data), 0};
        void *put;

        if (k->ops->put_begin(k->self, &k->ctx.base, "new/deep/object", 0, 0, &put) < 0 ||
            k->ops->put_write(put, &in) < 0 || write(pipes[1], "x", 1) != 1)
            _exit(1);
        for (;;)
            (void)pause();
    }
    assert_int_equal(close(pipes[1]), 0);
    assert_int_equal(read(pipes[0], &byte, 1), 1); /* else the child has failed */
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(close(pipes[0]), 0);

    assert_int_equal(kit_count(k, ""), 1);
    assert_int_equal(kit_files(k->store), 2);
    assert_int_equal(k->ops->sweep(k->self, &k->ctx.base, 60000, &removed), BAKE_OK);
    assert_int_equal(removed, 0); /* too young: it may be under way */
    assert_int_equal(k->ops->sweep(k->self, &k->ctx.base, 0, &removed), BAKE_OK);
    assert_int_equal(removed, 1);
    assert_int_equal(kit_files(k->store), 1);
    assert_int_equal(kit_get(k, "there", "x"), BAKE_OK);
    {
        char path[256];
        struct stat st;

        assert_int_equal(stat(kit_path(k, "new", path, sizeof(path)), &st), -1);
    }
}

static void sweep_of_nothing(void **state)
{
    struct kit *k = *state;
    uint64_t removed = 9;

    kit_open(k, NULL);
    assert_int_equal(k->ops->sweep(k->self, &k->ctx.base, 0, &removed), BAKE_OK);
    assert_int_equal(removed, 0);
    assert_int_equal(kit_put(k, "o", "x", 1, 0), BAKE_OK);
    assert_int_equal(k->ops->sweep(k->self, &k->ctx.base, UINT64_MAX, &removed), BAKE_OK);
    assert_int_equal(removed, 0);
    assert_int_equal(kit_files(k->store), 1);
}

static void list_is_cancelled(void **state)
{
    struct kit *k = *state;

    kit_open(k, NULL);
    assert_int_equal(kit_put(k, "o", "x", 1, 0), BAKE_OK);
    cf_ctx_cancel(&k->ctx);
    assert_int_equal(k->ops->list(k->self, &k->ctx.base, "", NULL, NULL), BAKE_E_CANCELLED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(bad_options),
        TEST(path_must_be_a_directory),
        TEST(missing_directory),
        TEST(parents_are_made),
        TEST(modes_whatever_the_umask),
        TEST(owner_and_group),
        TEST(without_privileges),
        TEST(links_are_not_followed),
        TEST(other_things_in_the_store),
        TEST(object_in_a_folders_place),
        TEST(remove_tidies_up),
        TEST(shrinks_while_read),
        TEST(announced_size_is_kept),
        TEST(killed_in_the_middle),
        TEST(sweep_of_nothing),
        TEST(list_is_cancelled),
    };

    return cmocka_run_group_tests_name("sink-local", tests, NULL, NULL);
}
