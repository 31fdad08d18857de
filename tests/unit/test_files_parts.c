/* The parts of the files source by themselves: listings that spill, the table of links, extents,
 * the order of paths, names of users. */
#include "files_kit.h"

#include "walk/extents.h"
#include "walk/links.h"
#include "walk/list.h"
#include "walk/meta.h"
#include "walk/walker.h"
#include <sys/xattr.h>

static void fill_dir(const struct kit *k, int n)
{
    int dir = open(k->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(dir >= 0);
    for (int i = 0; i < n; i++) {
        char name[300];
        (void)snprintf(
            name, sizeof(name), "%x-%.*s", (unsigned)i * 2654435761u, i % 200,
            "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn");
        int fd = openat(dir, name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        close(fd);
    }
    close(dir);
}

static size_t check_order(const struct kit *k, struct bkc_walk_budget *budget)
{
    struct bkc_walk_list *l = NULL;
    const char *name = NULL;
    char last[300] = "";
    size_t n = 0;
    int rc, fd = open(k->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(bkc_walk_list_read(fd, budget, NULL, NULL, &l), 0);
    for (; (rc = bkc_walk_list_next(l, &name)) == 0; n++) {
        assert_true(strcmp(last, name) < 0);
        (void)snprintf(last, sizeof(last), "%s", name);
    }
    assert_int_equal(rc, ENOENT);
    bkc_walk_list_free(l);
    close(fd);
    assert_int_equal(budget->used, 0);
    return n;
}

static void test_list(void **state)
{
    struct kit *k = *state;
    const char *env = getenv("BAKE_TEST_NAMES");
    int n = env ? (int)strtol(env, NULL, 10) : 3000;
    fill_dir(k, n);
    struct bkc_walk_budget roomy = {.limit = (size_t)1 << 30}, tight = {.limit = 20000};
    assert_int_equal(check_order(k, &roomy), n);
    assert_int_equal(roomy.spilled, 0);
    assert_int_equal(check_order(k, &tight), n);
    assert_true(tight.spilled >= 5);
    /* what others hold counts: this list spills though it is small itself */
    struct bkc_walk_budget shared = {.limit = 300000, .used = 300000};
    struct bkc_walk_list *l = NULL;
    int fd = open(k->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(bkc_walk_list_read(fd, &shared, NULL, NULL, &l), 0);
    assert_true(shared.spilled > 0);
    bkc_walk_list_free(l);
    close(fd);
    assert_int_equal(shared.used, 300000);
}

static void test_list_without_room_to_spill(void **state)
{
    struct kit *k = *state;
    fill_dir(k, 2000);
    struct bkc_walk_budget tight = {.limit = 20000};
    pid_t pid = fork(); /* a child that has no descriptor left for a temporary file */
    assert_true(pid >= 0);
    if (pid == 0) {
        int fd = open(k->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        while (open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0)
            ;
        struct bkc_walk_list *l = NULL;
        const char *name = NULL;
        size_t n = 0;
        if (fd < 0 || bkc_walk_list_read(fd, &tight, NULL, NULL, &l) != 0)
            _exit(1);
        while (bkc_walk_list_next(l, &name) == 0)
            n++;
        _exit(n == 2000 && tight.spilled == 0 ? 0 : 2);
    }
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void test_links(void **state)
{
    (void)state;
    struct bkc_walk_links *l = NULL;
    struct bkc_walk_dir *dir = NULL, *top = NULL;
    const char *first = NULL;
    assert_int_equal(bkc_walk_links_new(&l), 0);
    assert_int_equal(bkc_walk_dir_new("a/b/c", 3, &dir), 0);
    assert_int_equal(bkc_walk_dir_new("", 0, &top), 0);
    for (uint64_t i = 0; i < 5000; i++) {
        struct bkc_walk_stat st = {.dev = i % 3, .ino = i, .nlink = 3};
        char name[32];
        (void)snprintf(name, sizeof(name), "f%d", (int)i);
        assert_int_equal(bkc_walk_links_seen(l, &st, i % 2 ? dir : top, name, &first), 0);
        assert_null(first);
    }
    bkc_walk_dir_unref(dir);
    bkc_walk_dir_unref(top);
    dir = NULL;
    assert_int_equal(bkc_walk_dir_new("z", 1, &dir), 0);
    for (int round = 0; round < 2; round++)
        for (uint64_t i = 0; i < 5000; i++) {
            struct bkc_walk_stat st = {.dev = i % 3, .ino = i, .nlink = 3};
            char want[32];
            (void)snprintf(want, sizeof(want), "%sf%d", i % 2 ? "a/b/" : "", (int)i);
            assert_int_equal(bkc_walk_links_seen(l, &st, dir, "x", &first), 0);
            assert_string_equal(first, want);
        }
    assert_int_equal(bkc_walk_links_count(l), 0); /* all names were seen */

    struct bkc_walk_stat st = {.dev = 1, .ino = 1, .nlink = 5, .born_ns = 7};
    assert_int_equal(bkc_walk_links_seen(l, &st, dir, "one", &first), 0);
    st.born_ns = 8; /* the number was given to another file */
    assert_int_equal(bkc_walk_links_seen(l, &st, dir, "two", &first), 0);
    assert_null(first);
    assert_int_equal(bkc_walk_links_seen(l, &st, dir, "three", &first), 0);
    assert_string_equal(first, "z/two");
    bkc_walk_links_forget(l, &st);
    assert_int_equal(bkc_walk_links_seen(l, &st, dir, "four", &first), 0);
    assert_null(first);
    bkc_walk_dir_unref(dir);
    bkc_walk_links_free(l);
}

static void test_extents_merge(void **state)
{
    struct kit *k = *state;
    char path[512];
    struct bkc_walk_extents x = {0};
    int fd = open(in_dir(k, "s", path), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    for (int i = 0; i < 200; i++) /* holes of 4 KiB, and one of 1 MiB in the middle */
        assert_int_equal(pwrite(fd, "x", 1, (off_t)i * 8192 + (i >= 100 ? 1 << 20 : 0)), 1);
    uint64_t size = (uint64_t)lseek(fd, 0, SEEK_END);
    assert_int_equal(bkc_walk_extents_map(&x, fd, size, 65536), 0);
    if (!x.sparse)
        skip();
    size_t all = x.n;
    uint64_t bytes = x.bytes;
    assert_true(all >= 100);
    assert_int_equal(bkc_walk_extents_map(&x, fd, size, 8), 0);
    assert_true(x.n <= 8 && x.n >= 2);
    assert_true(x.bytes > bytes && x.bytes < size);
    bool big = false;
    for (size_t i = 0; i < x.n; i++) {
        uint64_t end = x.items[i].offset + x.items[i].length;
        uint64_t next = i + 1 < x.n ? x.items[i + 1].offset : size;
        assert_true(next >= end);
        big |= next - end >= 1 << 20;
    }
    assert_true(big); /* the widest hole stays one */
    bkc_walk_extents_free(&x);
    close(fd);
}

static void test_order(void **state)
{
    (void)state;
    const char *const sorted[] = {"",    "a",     "a/b", "a/b/c", "a\x01",
                                  "a.b", "a.b/c", "ab",  "b",     "\xff"};
    size_t n = sizeof(sorted) / sizeof(sorted[0]);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) {
            int order = bkc_path_cmp(sorted[i], sorted[j]);
            assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
        }
    assert_true(bkc_path_within("a", "a/b"));
    assert_true(bkc_path_within("a", "a"));
    assert_false(bkc_path_within("a", "ab"));
    assert_true(bkc_path_within("", "x"));
}

static void test_ids(void **state)
{
    (void)state;
    struct bkc_walk_ids *ids = calloc(1, sizeof(*ids));
    struct bake_entry e = {.uid = 0, .gid = 0};
    assert_non_null(ids);
    assert_int_equal(bkc_walk_ids_entry(ids, &e), 0);
    assert_string_equal(e.user, "root");
    assert_string_equal(e.group, "root");
    for (uint32_t i = 0; i < 1000; i++) { /* more than there are slots */
        e.uid = e.gid = 3000000000u + i;
        assert_int_equal(bkc_walk_ids_entry(ids, &e), 0);
        assert_null(e.user);
    }
    e.uid = 0;
    assert_int_equal(bkc_walk_ids_entry(ids, &e), 0);
    assert_string_equal(e.user, "root");
    bkc_walk_ids_free(ids);
    free(ids);
}

/* The three ways to the attributes say the same: by the newest calls (where the kernel has them),
 * through /proc, and of an open file; and where there is no way, that is said. */
static void test_xattr_ways(void **state)
{
    struct kit *k = *state;
    char path[512], *value = pattern(5000, 1);
    const char *attr = NULL;
    put_text(k, "f", "");
    if (setxattr(in_dir(k, "f", path), "user.b", "b", 1, 0) != 0)
        skip();
    assert_int_equal(setxattr(path, "user.a", value, 3000, 0), 0);
    struct bkc_walk_xattrs x[4] = {{.how = 0}, {.how = 1}, {.how = 0}, {.how = 2}};
    int dir = open(k->dir, O_RDONLY | O_CLOEXEC), file = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(bkc_walk_xattrs_read(&x[0], dir, "f", &attr), 0);
    assert_int_equal(bkc_walk_xattrs_read(&x[1], dir, "f", &attr), 0);
    assert_int_equal(bkc_walk_xattrs_read(&x[2], file, "", &attr), 0);
    assert_int_equal(bkc_walk_xattrs_read(&x[3], dir, "f", &attr), ENOSYS);
    assert_true(x[0].size >= 7 + 4 + 3000 + 7 + 4 + 1);
    for (int i = 1; i < 3; i++) {
        assert_int_equal(x[i].size, x[0].size);
        assert_memory_equal(x[i].packed, x[0].packed, x[0].size);
    }
    assert_int_equal(bkc_walk_xattrs_read(&x[0], dir, "nope", &attr), ENOENT);
    assert_int_equal(bkc_walk_xattrs_read(&x[1], dir, "nope", &attr), ENOENT);
    for (int i = 0; i < 4; i++)
        bkc_walk_xattrs_free(&x[i]);
    close(dir);
    close(file);
    free(value);
}

static void test_pseudo(void **state)
{
    struct kit *k = *state;
    int proc = open("/proc", O_RDONLY | O_CLOEXEC), dir = open(k->dir, O_RDONLY | O_CLOEXEC);
    assert_true(proc >= 0 && dir >= 0);
    assert_true(bkc_walk_pseudo(proc));
    assert_false(bkc_walk_pseudo(dir));
    close(proc);
    close(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_list, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(test_list_without_room_to_spill, kit_setup, kit_teardown),
        cmocka_unit_test(test_links),
        cmocka_unit_test_setup_teardown(test_extents_merge, kit_setup, kit_teardown),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_ids),
        cmocka_unit_test_setup_teardown(test_xattr_ways, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(test_pseudo, kit_setup, kit_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
