/* Orders about directories (place_fs.h): what they do, what they refuse, and that nothing outside
 * of what they are about is touched. Mounts for real, in a mount namespace of its own: needs root.
 */
#include "place_fs.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cmocka.h>

struct kit {
    char dir[64];
    int root;
};

static int setup(void **state)
{
    struct kit *k = calloc(1, sizeof(*k));

    if (!k)
        return -1;
    (void)snprintf(k->dir, sizeof(k->dir), "/tmp/bake-place-XXXXXX");
    if (!mkdtemp(k->dir))
        return -1;
    k->root = open(k->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    *state = k;
    return k->root < 0 ? -1 : 0;
}

static int teardown(void **state)
{
    struct kit *k = *state;
    char where[64];
    int fd = open(k->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = fd < 0 ? -1 : dk_fs_empty(fd, where, sizeof(where));

    (void)close(fd);
    (void)close(k->root);
    rc = rc == 0 ? rmdir(k->dir) : rc;
    free(k);
    return rc;
}

static void make_dir(const struct kit *k, const char *name)
{
    assert_int_equal(mkdirat(k->root, name, 0755), 0);
}

static void make_file(const struct kit *k, const char *name)
{
    int fd = openat(k->root, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, name, strlen(name)), strlen(name));
    (void)close(fd);
}

static bool there(const struct kit *k, const char *name)
{
    struct stat st;

    return fstatat(k->root, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static uint64_t ino(const struct kit *k, const char *name)
{
    struct stat st;

    return fstatat(k->root, name, &st, AT_SYMLINK_NOFOLLOW) == 0 ? st.st_ino : 0;
}

static struct dk_fs_answer act(const struct kit *k, enum dk_fs_verb verb, const char *a,
                               const char *b, uint64_t ino_a, uint64_t ino_b)
{
    struct dk_fs_order o = {.verb = verb, .a = a, .b = b, .ino_a = ino_a, .ino_b = ino_b};
    struct dk_fs_answer answer;

    dk_fs_do(k->root, &o, &answer);
    return answer;
}

/* ---- exchange -------------------------------------------------------------------------------- */

static void exchanges(void **state)
{
    const struct kit *k = *state;
    uint64_t old, new;

    make_dir(k, "v");
    make_dir(k, "v/data");
    make_file(k, "v/data/old");
    make_dir(k, "s");
    make_dir(k, "s/data");
    make_file(k, "s/data/new");
    old = ino(k, "v/data");
    new = ino(k, "s/data");
    for (int i = 0; i < 2; i++) { /* once more is as good */
        assert_int_equal(act(k, DK_FS_EXCHANGE, "v/data", "s/data", old, new).error, 0);
        assert_true(there(k, "v/data/new") && there(k, "s/data/old"));
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(act(k, DK_FS_EXCHANGE, "v/data", "s/data", new, old).error, 0);
        assert_true(there(k, "v/data/old") && there(k, "s/data/new"));
    }
}

static void exchanges_nothing_else(void **state)
{
    const struct kit *k = *state;
    uint64_t a, b;

    make_dir(k, "a");
    make_dir(k, "b");
    make_dir(k, "c");
    a = ino(k, "a");
    b = ino(k, "b");
    assert_int_equal(act(k, DK_FS_EXCHANGE, "a", "b", a, ino(k, "c")).error, ESTALE);
    assert_int_equal(act(k, DK_FS_EXCHANGE, "a", "b", ino(k, "c"), b).error, ESTALE);
    assert_int_equal(act(k, DK_FS_EXCHANGE, "a", "b", 0, b).error, ESTALE);
    assert_int_equal(act(k, DK_FS_EXCHANGE, "", "b", ino(k, "."), b).error, ESTALE);
    assert_true(ino(k, "a") == a && ino(k, "b") == b);
    make_file(k, "f");
    assert_int_equal(act(k, DK_FS_EXCHANGE, "f", "b", ino(k, "f"), b).error, ENOTDIR);
}

static void moves_to_where_nothing_was(void **state)
{
    const struct kit *k = *state;
    uint64_t new;

    make_dir(k, "s");
    make_dir(k, "s/data");
    new = ino(k, "s/data");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(act(k, DK_FS_EXCHANGE, "v", "s/data", 0, new).error, 0);
        assert_true(ino(k, "v") == new && !there(k, "s/data"));
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(act(k, DK_FS_EXCHANGE, "v", "s/data", new, 0).error, 0);
        assert_true(ino(k, "s/data") == new && !there(k, "v"));
    }
}

static void no_link_is_followed(void **state)
{
    const struct kit *k = *state;
    uint64_t a;

    make_dir(k, "a");
    make_dir(k, "real");
    make_dir(k, "real/in");
    a = ino(k, "a");
    assert_int_equal(symlinkat("real", k->root, "link"), 0);
    assert_int_not_equal(act(k, DK_FS_EXCHANGE, "link/in", "a", ino(k, "real/in"), a).error, 0);
    assert_int_equal(act(k, DK_FS_EXCHANGE, "link", "a", ino(k, "link"), a).error, ELOOP);
    assert_int_not_equal(act(k, DK_FS_REMOVE, "link/in", NULL, 0, 0).error, 0);
    assert_int_not_equal(act(k, DK_FS_REMOVE, "link", NULL, 0, 0).error, 0);
    assert_int_not_equal(act(k, DK_FS_CLEAR, "link", NULL, 0, 0).error, 0);
    assert_int_not_equal(act(k, DK_FS_MKDIR, "link/new", NULL, 0, 0).error, 0);
    assert_int_not_equal(act(k, DK_FS_STAT, "link/in", NULL, 0, 0).error, 0);
    assert_int_equal(act(k, DK_FS_STAT, "a/../real", NULL, 0, 0).error, EINVAL);
    assert_int_equal(act(k, DK_FS_STAT, "..", NULL, 0, 0).error, EINVAL);
    assert_int_equal(act(k, DK_FS_STAT, "./a", NULL, 0, 0).error, EINVAL);
    assert_int_equal(act(k, DK_FS_STAT, "/a", NULL, 0, 0).error, EINVAL);
    assert_true(there(k, "real/in") && there(k, "link") && there(k, "a"));
}

/* ---- removing -------------------------------------------------------------------------------- */

/* Deeper than a path can be long, with a file at every level. */
static void dig(const struct kit *k, const char *name, int levels)
{
    static const char part[] = "a-directory-with-quite-a-long-name";
    int fd = openat(k->root, name, O_PATH | O_DIRECTORY | O_CLOEXEC);

    for (int i = 0; i < levels; i++) {
        int next, file;

        assert_true(fd >= 0);
        file = openat(fd, "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0);
        assert_true(file >= 0);
        (void)close(file);
        assert_int_equal(mkdirat(fd, part, 0700), 0);
        next = openat(fd, part, O_PATH | O_DIRECTORY | O_CLOEXEC);
        (void)close(fd);
        fd = next;
    }
    (void)close(fd);
}

static void removes_whatever_is_in_it(void **state)
{
    const struct kit *k = *state;
    struct dk_fs_answer a;
    char name[64];

    make_dir(k, "outside");
    make_file(k, "outside/precious");
    make_dir(k, "t");
    dig(k, "t", 700);
    make_file(k, "t/.bakengine-deep-0");
    make_dir(k, "t/many");
    for (int i = 0; i < 3000; i++) {
        (void)snprintf(name, sizeof(name), "t/many/%d", i);
        make_file(k, name);
    }
    assert_int_equal(symlinkat("../outside", k->root, "t/link"), 0);
    assert_int_equal(mknodat(k->root, "t/fifo", S_IFIFO | 0600, 0), 0);
    a = act(k, DK_FS_REMOVE, "t", NULL, 0, 0);
    assert_int_equal(a.error, 0);
    assert_false(there(k, "t"));
    assert_true(there(k, "outside/precious"));
    assert_int_equal(act(k, DK_FS_REMOVE, "t", NULL, 0, 0).error, 0);
    assert_int_equal(act(k, DK_FS_REMOVE, "no/where", NULL, 0, 0).error, 0);
    assert_int_equal(act(k, DK_FS_REMOVE, "", NULL, 0, 0).error, EBUSY);
    assert_int_not_equal(act(k, DK_FS_REMOVE, "outside/precious", NULL, 0, 0).error, 0);
    assert_true(there(k, "outside/precious"));
}

static void clears_but_keeps_the_directory(void **state)
{
    const struct kit *k = *state;
    uint64_t old;

    make_dir(k, "t");
    make_dir(k, "t/sub");
    make_file(k, "t/sub/f");
    assert_int_equal(fchmodat(k->root, "t", 02751, 0), 0);
    old = ino(k, "t");
    assert_int_equal(act(k, DK_FS_CLEAR, "t", NULL, 0, 0).error, 0);
    assert_true(ino(k, "t") == old && !there(k, "t/sub"));
    assert_int_equal(act(k, DK_FS_CLEAR, "no", NULL, 0, 0).error, ENOENT);
}

static void stays_on_its_mount(void **state)
{
    const struct kit *k = *state;
    struct dk_fs_answer a;
    char path[100];

    make_dir(k, "t");
    make_dir(k, "t/a b");
    make_dir(k, "src");
    make_file(k, "src/precious");
    (void)snprintf(path, sizeof(path), "%s/src", k->dir);
    {
        char to[100];

        (void)snprintf(to, sizeof(to), "%s/t/a b", k->dir);
        if (mount(path, to, NULL, MS_BIND, NULL) != 0) /* the same file system, too */
            fail_msg("cannot mount: %s", strerror(errno));
        a = act(k, DK_FS_STAT, "t", NULL, 0, 0);
        assert_true(a.error == 0 && a.movable && a.mounts);
        a = act(k, DK_FS_STAT, "t/a b", NULL, 0, 0);
        assert_true(a.error == 0 && !a.movable && !a.mounts && a.ino == ino(k, "src"));
        a = act(k, DK_FS_STAT, "t/a b/new", NULL, 0, 0);
        assert_true(a.error == 0 && !a.movable && a.ino == 0);
        a = act(k, DK_FS_REMOVE, "t", NULL, 0, 0);
        assert_int_equal(a.error, EBUSY);
        assert_string_equal(a.where, "a?b");
        assert_int_equal(act(k, DK_FS_CLEAR, "t", NULL, 0, 0).error, EBUSY);
        assert_true(there(k, "src/precious"));
        assert_int_equal(umount2(to, MNT_DETACH), 0);
    }
    a = act(k, DK_FS_STAT, "t", NULL, 0, 0);
    assert_true(a.error == 0 && !a.mounts);
}

/* ---- the rest -------------------------------------------------------------------------------- */

static void makes_directories(void **state)
{
    const struct kit *k = *state;
    struct dk_fs_answer a = act(k, DK_FS_MKDIR, ".bakengine-1/data", NULL, 0, 0);
    struct stat st;

    assert_int_equal(a.error, 0);
    assert_true(a.ino == ino(k, ".bakengine-1/data") && a.movable && a.room > 0);
    assert_int_equal(fstatat(k->root, ".bakengine-1", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(act(k, DK_FS_MKDIR, ".bakengine-1/data", NULL, 0, 0).error, EEXIST);
}

static void copies_owner_mode_and_attributes(void **state)
{
    const struct kit *k = *state;
    struct stat st;
    char path[100], value[8];
    struct dk_fs_answer a;

    make_dir(k, "a");
    make_dir(k, "b");
    assert_int_equal(fchownat(k->root, "a", 1234, 4321, 0), 0);
    assert_int_equal(fchmodat(k->root, "a", 02750, 0), 0);
    (void)snprintf(path, sizeof(path), "%s/a", k->dir);
    assert_int_equal(setxattr(path, "trusted.x", "why", 3, 0), 0);
    a = act(k, DK_FS_META, "a", "b", 0, 0);
    assert_true(a.error == 0 && a.ino == ino(k, "b"));
    assert_int_equal(fstatat(k->root, "b", &st, 0), 0);
    assert_true(st.st_uid == 1234 && st.st_gid == 4321 && (st.st_mode & 07777) == 02750);
    (void)snprintf(path, sizeof(path), "%s/b", k->dir);
    assert_int_equal(getxattr(path, "trusted.x", value, sizeof(value)), 3);
    assert_int_equal(act(k, DK_FS_META, "none", "b", 0, 0).error, ENOENT);
}

static void looks(void **state)
{
    const struct kit *k = *state;
    struct dk_fs_answer a = act(k, DK_FS_STAT, "", NULL, 0, 0);

    assert_true(a.error == 0 && a.ino == ino(k, ".") && a.movable && a.room > 0);
    a = act(k, DK_FS_STAT, "none", NULL, 0, 0);
    assert_true(a.error == 0 && a.ino == 0 && a.movable);
    assert_int_equal(act(k, DK_FS_STAT, "none/deeper", NULL, 0, 0).error, ENOENT);
    make_file(k, "f");
    assert_int_equal(act(k, DK_FS_STAT, "f", NULL, 0, 0).error, ENOTDIR);
    assert_int_equal(act(k, DK_FS_SYNC, "", NULL, 0, 0).error, 0);
    assert_int_equal(act(k, DK_FS_SYNC, "none", NULL, 0, 0).error, ENOENT);
}

static int own_namespace(void **state)
{
    (void)state;
    if (unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
        mount("none", "/tmp", "tmpfs", 0, NULL) == 0) /* nothing is gained by a slow disk */
        return 0;
    (void)fprintf(stderr,
                  "cannot mount in a namespace of our own: %s\n"
                  "HINT: this test needs root and CAP_SYS_ADMIN\n",
                  strerror(errno));
    return -1;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(exchanges),
        TEST(exchanges_nothing_else),
        TEST(moves_to_where_nothing_was),
        TEST(no_link_is_followed),
        TEST(removes_whatever_is_in_it),
        TEST(clears_but_keeps_the_directory),
        TEST(stays_on_its_mount),
        TEST(makes_directories),
        TEST(copies_owner_mode_and_attributes),
        TEST(looks),
    };

    return cmocka_run_group_tests(tests, own_namespace, NULL);
}
