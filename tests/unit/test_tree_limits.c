/* The extractor where it is tight: deep and long paths, holes, full disks, no privileges. */
#include "tree_kit.h"

#include <dirent.h>
#include <sys/mount.h>
#include <sys/resource.h>

/* "dddd.../dddd.../..." with n parts. */
static char *deep_path(size_t n, const char *last)
{
    size_t part = 20;
    char *path = malloc(n * (part + 1) + strlen(last) + 1), *p = path;

    assert_non_null(path);
    for (size_t i = 0; i < n; i++) {
        memset(p, 'd', part);
        p[part] = '/';
        p += part + 1;
    }
    memcpy(p, last, strlen(last) + 1);
    return path;
}

static size_t open_fds(void)
{
    DIR *d = opendir("/proc/self/fd");
    size_t n = 0;

    assert_non_null(d);
    while (readdir(d))
        n++;
    (void)closedir(d);
    return n;
}

/* Down to the last directory of a path that is longer than the system's limit for one call. */
static int go_down(const struct kit *k, size_t n)
{
    int fd = open(k->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    for (size_t i = 0; i < n; i++) {
        int next = openat(fd, "dddddddddddddddddddd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        (void)close(fd);
        assert_true(next >= 0);
        fd = next;
    }
    return fd;
}

static void test_deep(void **state)
{
    enum { DEPTH = 1500 };
    struct kit *k = *state;
    char *file = deep_path(DEPTH, "file"), *again = deep_path(DEPTH, "link");
    char *middle = deep_path(DEPTH / 2, "up"), *name;
    size_t before = open_fds(), during;
    struct stat st;
    int fd;

    kit_open(k, 0);
    for (size_t i = 1; i <= DEPTH; i++) { /* each directory has an entry, with a mode of its own */
        name = deep_path(i, "");
        name[strlen(name) - 1] = '\0';
        assert_int_equal(kit_dir(k, name, i % 2 ? 0755 : 0555), BAKE_OK);
        free(name);
    }
    assert_int_equal(kit_file(k, file, "deep"), BAKE_OK);
    during = open_fds();
    assert_true(during < before + 70);
    assert_int_equal(kit_link(k, BAKE_HARDLINK, again, file), BAKE_OK);
    assert_int_equal(kit_link(k, BAKE_HARDLINK, "top", file), BAKE_OK);
    assert_int_equal(kit_file(k, file, "double"), BAKE_E_EXISTS);
    assert_int_equal(kit_file(k, middle, "half"), BAKE_OK);
    assert_int_equal(kit_link(k, BAKE_HARDLINK, again, "top"), BAKE_END);
    kit_finish(k);
    bkc_extract_close(k->x);
    k->x = NULL;
    assert_int_equal(open_fds(), before);
    fd = go_down(k, DEPTH);
    assert_int_equal(fstatat(fd, "file", &st, AT_SYMLINK_NOFOLLOW), 0);
    assert_int_equal(st.st_nlink, 3);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0555);
    assert_int_equal((int64_t)st.st_mtim.tv_sec * SEC + st.st_mtim.tv_nsec, T0);
    (void)close(fd);
    fd = go_down(k, DEPTH / 2 - 1);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0755);
    assert_int_equal((int64_t)st.st_mtim.tv_sec * SEC + st.st_mtim.tv_nsec, T0);
    (void)close(fd);
    free(file);
    free(again);
    free(middle);
}

/* A deep directory that somebody moves away while it is worked in: found, and the rest goes on. */
static void test_moved_away(void **state)
{
    struct kit *k = *state;
    char *file = deep_path(100, "file");
    int a, b;

    kit_open(k, 0);
    assert_int_equal(kit_file(k, file, "deep"), BAKE_OK);
    a = go_down(k, 35);
    b = go_down(k, 10);
    assert_int_equal(renameat(a, "dddddddddddddddddddd", b, "moved"), 0);
    (void)close(a);
    (void)close(b);
    assert_int_equal(kit_file(k, "other", "x"), BAKE_E_IO);
    assert_non_null(strstr(k->error, "moved"));
    assert_int_equal(kit_file(k, "other", "x"), BAKE_OK);
    kit_finish(k);
    kit_content(kit_path(k, "other"), "x");
    free(file);
}

static void test_long_names(void **state)
{
    struct kit *k = *state;
    char name[300];

    memset(name, 'n', sizeof(name));
    name[255] = '\0';
    kit_open(k, 0);
    assert_int_equal(kit_file(k, name, "x"), BAKE_OK);
    assert_false(kit_absent(k, name));
    name[255] = 'n';
    name[256] = '\0';
    assert_int_equal(kit_file(k, name, "x"), BAKE_E_IO);
    assert_int_equal(kit_dir(k, name, 0755), BAKE_E_IO);
    assert_int_equal(kit_link(k, BAKE_SYMLINK, name, "x"), BAKE_E_IO);
    assert_int_equal(kit_link(k, BAKE_HARDLINK, "h", name), BAKE_E_IO);
    name[256] = '/';
    name[257] = 'x';
    name[258] = '\0';
    assert_int_equal(kit_file(k, name, "x"), BAKE_E_IO);
    assert_int_equal(kit_link(k, BAKE_HARDLINK, "h", name), BAKE_E_IO);
    assert_int_equal(kit_file(k, "\xff\xfe \n\x01", "odd"), BAKE_OK);
    kit_content(kit_path(k, "\xff\xfe \n\x01"), "odd");
    kit_finish(k);
    kit_no_tmp(k);
}

static void test_sparse(void **state)
{
    struct kit *k = *state;
    struct bake_entry e = kit_entry(BAKE_FILE, "sparse");
    struct bake_extent two[] = {{1 << 20, 4096}, {3 << 20, 100}}, none[1];
    char data[4196], got[4096];
    struct bake_in in = {data, 0, 0};
    struct stat st;
    int fd;

    memset(data, 'd', sizeof(data));
    e.size = 20ull << 30;
    e.extents = two;
    e.n_extents = 2;
    kit_open(k, 0);
    assert_int_equal(bkc_extract_put(k->x, &e), BAKE_OK);
    two[0].offset = 0;               /* the map must have been kept */
    while (in.size < sizeof(data)) { /* in odd pieces */
        in.size += sizeof(data) - in.size < 1000 ? sizeof(data) - in.size : 1000;
        assert_int_equal(bkc_extract_write(k->x, &in), BAKE_OK);
        assert_int_equal(in.pos, in.size);
    }
    assert_int_equal(bkc_extract_end(k->x, 1), BAKE_OK);
    st = kit_stat(k, "sparse");
    assert_int_equal(st.st_size, 20ll << 30);
    assert_true(st.st_blocks <= 64);
    assert_int_equal(kit_counts(k).bytes, 4196);
    fd = open(kit_path(k, "sparse"), O_RDONLY | O_CLOEXEC);
    assert_int_equal(pread(fd, got, 4096, 1 << 20), 4096);
    assert_memory_equal(got, data, 4096);
    assert_int_equal(pread(fd, got, 4096, 0), 4096);
    assert_true(got[0] == 0 && got[4095] == 0);
    assert_int_equal(lseek(fd, 0, SEEK_DATA), 1 << 20);
    (void)close(fd);
    e.path = "hole";
    e.extents = none;
    e.n_extents = 0;
    assert_int_equal(kit_put(k, &e, NULL, 0), BAKE_OK);
    st = kit_stat(k, "hole");
    assert_int_equal(st.st_size, 20ll << 30);
    assert_int_equal(st.st_blocks, 0);
    e.path = "short";
    e.extents = two;
    e.n_extents = 2;
    assert_int_equal(kit_put(k, &e, data, 4096), BAKE_E_CORRUPT);
    assert_true(kit_absent(k, "short"));
    kit_no_tmp(k);
}

/* ---- full ------------------------------------------------------------------------------------ */

static void test_no_space(void **state)
{
    struct kit *k = *state;
    static char data[300 << 10];
    struct bake_entry e = kit_entry(BAKE_FILE, "big");
    int dirs = 0, rc;
    char path[32];

    if (geteuid() != 0 || mount("none", k->root, "tmpfs", 0, "size=256k,nr_inodes=40") < 0)
        skip();
    kit_open(k, 0);
    e.size = sizeof(data);
    rc = kit_put(k, &e, data, sizeof(data));
    assert_int_equal(rc, BAKE_E_NOSPACE);
    assert_non_null(strstr(k->error, "cannot write 'big'"));
    assert_true(kit_absent(k, "big"));
    kit_no_tmp(k);
    assert_int_equal(kit_file(k, "small", "fits"), BAKE_OK);
    do {
        (void)snprintf(path, sizeof(path), "dir%d", dirs++);
        rc = kit_dir(k, path, 0755);
    } while (rc == BAKE_OK && dirs < 100);
    assert_int_equal(rc, BAKE_E_NOSPACE);
    assert_int_equal(kit_file(k, "f", "x"), BAKE_E_NOSPACE);
    assert_int_equal(kit_link(k, BAKE_SYMLINK, "s", "x"), BAKE_E_NOSPACE);
    kit_finish(k);
    kit_content(kit_path(k, "small"), "fits");
    kit_no_tmp(k);
    bkc_extract_close(k->x);
    k->x = NULL;
    assert_int_equal(umount2(k->root, MNT_DETACH), 0);
}

static void test_read_only(void **state)
{
    struct kit *k = *state;

    if (geteuid() != 0 || mount("none", k->root, "tmpfs", 0, "size=256k") < 0)
        skip();
    kit_write(kit_path(k, "f"), "old");
    assert_int_equal(mount(NULL, k->root, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
    kit_open(k, 1);
    assert_int_equal(kit_file(k, "f", "new"), BAKE_E_IO);
    assert_int_equal(kit_dir(k, "d", 0755), BAKE_E_IO);
    kit_content(kit_path(k, "f"), "old");
    bkc_extract_close(k->x);
    k->x = NULL;
    assert_int_equal(umount2(k->root, MNT_DETACH), 0);
}

/* ---- an ordinary user ------------------------------------------------------------------------ */

enum { USER = 65534 };

static void as_user(struct kit *k)
{
    if (geteuid() != 0)
        return; /* is one */
    assert_int_equal(chown(k->root, USER, USER), 0);
    assert_int_equal(setegid(USER), 0);
    assert_int_equal(seteuid(USER), 0);
}

static int back_to_root(void **state)
{
    if (getuid() == 0) {
        assert_int_equal(seteuid(0), 0);
        assert_int_equal(setegid(0), 0);
    }
    return kit_teardown(state);
}

static void test_user_owners(void **state)
{
    struct kit *k = *state;
    struct bake_entry e = kit_entry(BAKE_FILE, "a");

    as_user(k);
    kit_open(k, 0);
    e.uid = 0;
    e.gid = 0;
    e.mode = 06755;
    assert_int_equal(kit_put(k, &e, NULL, 0), BAKE_OK);
    e.path = "b";
    e.mode = 01777;
    assert_int_equal(kit_put(k, &e, NULL, 0), BAKE_OK);
    e.path = "c";
    e.mode = 04711;
    e.uid = geteuid();
    e.gid = getegid();
    assert_int_equal(kit_put(k, &e, NULL, 0), BAKE_OK);
    assert_int_equal(kit_stat(k, "a").st_mode & 07777, 0755);
    assert_int_equal(kit_stat(k, "a").st_uid, geteuid());
    assert_int_equal(kit_stat(k, "b").st_mode & 07777, 01777);
    assert_int_equal(kit_stat(k, "c").st_mode & 07777, 04711);
    assert_int_equal(k->notices, 1);
    assert_non_null(strstr(k->reports, "owners are not restored: this needs root"));
    assert_int_equal(k->warnings, 1);
    assert_non_null(strstr(k->reports, "a: its set-id bits"));
    e = kit_entry(BAKE_CHARDEV, "dev");
    e.dev_major = 1;
    assert_int_equal(kit_put(k, &e, NULL, 0), BAKE_E_IO);
    assert_non_null(strstr(k->error, "needs root"));
    kit_finish(k);
}

static void test_user_closed_directories(void **state)
{
    struct kit *k = *state;

    as_user(k);
    kit_open(k, 0);
    assert_int_equal(kit_dir(k, "ro", 0555), BAKE_OK);
    assert_int_equal(kit_file(k, "ro/f", "1"), BAKE_OK);
    assert_int_equal(kit_dir(k, "ro/shut", 0000), BAKE_OK);
    assert_int_equal(kit_file(k, "ro/shut/f", "2"), BAKE_OK);
    assert_int_equal(kit_file(k, "else", "3"), BAKE_OK);
    assert_int_equal(kit_stat(k, "ro").st_mode & 07777, 0555);
    assert_int_equal(kit_file(k, "ro/shut/late", "4"), BAKE_OK); /* opened up for the moment */
    assert_int_equal(kit_file(k, "ro/late", "5"), BAKE_OK);
    kit_finish(k);
    assert_int_equal(kit_stat(k, "ro").st_mode & 07777, 0555);
    assert_int_equal(kit_stat(k, "ro/shut").st_mode & 07777, 0000);
    assert_int_equal(kit_stat(k, "ro").st_mtim.tv_nsec, T0 % SEC);
    kit_content(kit_path(k, "ro/late"), "5");
    assert_int_equal(k->warnings, 0);
    kit_open(k, 0); /* in a later run it is somebody's directory, and stays shut */
    assert_int_equal(kit_file(k, "ro/more", "6"), BAKE_E_IO);
    assert_int_equal(kit_stat(k, "ro").st_mode & 07777, 0555);
}

/* user.* of a file without 'w', files below a directory that may be entered but not read */
static void test_user_narrow(void **state)
{
    struct kit *k = *state;
    struct bake_entry e = kit_entry(BAKE_FILE, "f");
    char x[] = "user.a\0\1\0\0\0v";

    as_user(k);
    e.uid = geteuid();
    e.gid = getegid();
    kit_open(k, 0);
    e.valid |= BAKE_HAS_XATTRS;
    e.xattrs = x;
    e.xattrs_size = sizeof(x) - 1;
    e.mode = 0444;
    assert_int_equal(kit_put(k, &e, NULL, 0), BAKE_OK);
    assert_int_equal(k->warnings, 0);
    assert_int_equal(kit_dir(k, "d", 0755), BAKE_OK);
    kit_finish(k);
    assert_int_equal(chmod(kit_path(k, "d"), 0300), 0);
    kit_open(k, 0);
    assert_int_equal(kit_file(k, "d/f", "x"), BAKE_OK);
    assert_int_equal(kit_file(k, "d/g/h", "x"), BAKE_OK);
    kit_finish(k);
    assert_int_equal(kit_stat(k, "d").st_mode & 07777, 0300);
    kit_content(kit_path(k, "d/g/h"), "x");
    assert_int_equal(chmod(kit_path(k, "d"), 0000), 0);
    kit_open(k, 0);
    assert_int_equal(kit_file(k, "d/i", "x"), BAKE_E_IO);
    assert_int_equal(kit_file(k, "other", "x"), BAKE_OK);
}

#define TEST(f)      cmocka_unit_test_setup_teardown(f, kit_setup, kit_teardown)
#define USER_TEST(f) cmocka_unit_test_setup_teardown(f, kit_setup, back_to_root)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_deep),
        TEST(test_moved_away),
        TEST(test_long_names),
        TEST(test_sparse),
        TEST(test_no_space),
        TEST(test_read_only),
        USER_TEST(test_user_owners),
        USER_TEST(test_user_closed_directories),
        USER_TEST(test_user_narrow),
    };
    return cmocka_run_group_tests_name("tree_limits", tests, NULL, NULL);
}
