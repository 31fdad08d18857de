/* The files source over every kind of object: what an entry says, and the order they come in. */
#include "files_kit.h"

#include "roots.h"
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>

static void test_types(void **state)
{
    struct kit *k = *state;
    char path[512];
    put_text(k, "file", "data");
    put_text(k, "empty", "");
    make_dir(k, "dir");
    assert_int_equal(symlink("../where ever", in_dir(k, "link", path)), 0);
    assert_int_equal(mkfifo(in_dir(k, "pipe", path), 0640), 0);
    assert_int_equal(chmod(in_dir(k, "file", path), 04751), 0);
    struct timespec times[2] = {{1, 2}, {-1234567, 123456789}};
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    run(k);
    const struct got *g = must(k, "file", BAKE_FILE);
    assert_true(holds(k, "file", "data", 4));
    assert_true(holds(k, "empty", "", 0));
    assert_int_equal(g->e.mode, 04751);
    assert_int_equal(g->e.size, 4);
    assert_int_equal(g->e.mtime_ns, -1234567LL * 1000000000 + 123456789);
    assert_int_equal(g->e.nlink, 1);
    assert_int_equal(g->e.uid, getuid());
    uint32_t all = BAKE_HAS_MODE | BAKE_HAS_OWNER | BAKE_HAS_MTIME | BAKE_HAS_CTIME |
                   BAKE_HAS_INODE | BAKE_HAS_XATTRS;
    assert_int_equal(g->e.valid, all);
    assert_null(g->e.extents);
    assert_int_equal(must(k, "dir", BAKE_DIR)->e.mode, 0755);
    assert_string_equal(must(k, "link", BAKE_SYMLINK)->e.link, "../where ever");
    assert_int_equal(must(k, "pipe", BAKE_FIFO)->e.mode, 0640);
    must(k, "", BAKE_DIR);
    assert_int_equal(k->n, 6);
    reports(k, BAKE_NOTICE, 0, "");
}

static void test_access_time_is_kept(void **state)
{
    struct kit *k = *state;
    char path[512];
    struct stat st;
    struct timespec times[2] = {{1000, 0}, {2000, 0}};
    put_text(k, "f", "x");
    assert_int_equal(utimensat(AT_FDCWD, in_dir(k, "f", path), times, 0), 0);
    run(k);
    assert_true(holds(k, "f", "x", 1));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_atim.tv_sec, 1000);
}

static void test_devices(void **state)
{
    struct kit *k = *state;
    char path[512];
    if (mknod(in_dir(k, "null", path), S_IFCHR | 0666, makedev(1, 3)) != 0 ||
        mknod(in_dir(k, "disk", path), S_IFBLK | 0600, makedev(259, 70000)) != 0)
        skip();
    run(k);
    assert_int_equal(must(k, "null", BAKE_CHARDEV)->e.dev_major, 1);
    assert_int_equal(must(k, "null", BAKE_CHARDEV)->e.dev_minor, 3);
    assert_int_equal(must(k, "disk", BAKE_BLOCKDEV)->e.dev_major, 259);
    assert_int_equal(must(k, "disk", BAKE_BLOCKDEV)->e.dev_minor, 70000);
}

static void test_sockets(void **state)
{
    struct kit *k = *state;
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/sock", k->dir);
    assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    close(fd);
    run(k);
    assert_null(find(k, "sock"));
    reports(k, BAKE_NOTICE, 1, "socket");
}

/* The packed form of one attribute, for a look into bake_entry.xattrs. */
static bool has_attr(const struct got *g, const char *name, const void *value, uint32_t n)
{
    const unsigned char *at = g->e.xattrs, *end = at + g->e.xattrs_size;
    while (at && at < end) {
        const char *attr = (const char *)at;
        const unsigned char *len = at + strlen(attr) + 1;
        uint32_t size =
            len[0] | (uint32_t)len[1] << 8 | (uint32_t)len[2] << 16 | (uint32_t)len[3] << 24;
        if (strcmp(attr, name) == 0)
            return size == n && memcmp(len + 4, value, n) == 0;
        at = len + 4 + size;
        assert_true(at <= end);
    }
    return false;
}

static void test_attributes(void **state)
{
    struct kit *k = *state;
    char path[512], *value = pattern(3000, 5);
    /* an ACL and a capability as the kernel keeps them: user::rw-, user:1:r--, group, mask, other
     */
    static const unsigned char acl[] = {2,   0,   0,   0,   1,   0,   6,  0,   255, 255, 255,
                                        255, 2,   0,   4,   0,   1,   0,  0,   0,   4,   0,
                                        4,   0,   255, 255, 255, 255, 16, 0,   4,   0,   255,
                                        255, 255, 255, 32,  0,   4,   0,  255, 255, 255, 255};
    static const unsigned char cap[] = {1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0,
                                        0, 0, 0, 0, 0, 0,    0, 0, 0, 0};
    put_text(k, "f", "x");
    make_dir(k, "d");
    if (setxattr(in_dir(k, "f", path), "user.zeta", value, 3000, 0) != 0)
        skip();
    assert_int_equal(setxattr(path, "user.alpha", "", 0, 0), 0);
    assert_int_equal(setxattr(path, "system.posix_acl_access", acl, sizeof(acl), 0), 0);
    bool root = setxattr(path, "trusted.t", "t", 1, 0) == 0 &&
                setxattr(path, "security.capability", cap, sizeof(cap), 0) == 0;
    assert_int_equal(
        setxattr(in_dir(k, "d", path), "system.posix_acl_default", acl, sizeof(acl), 0), 0);
    if (root) {
        assert_int_equal(symlink("f", in_dir(k, "l", path)), 0);
        assert_int_equal(lsetxattr(path, "trusted.l", "on the link", 11, 0), 0);
    }
    run(k);
    const struct got *g = must(k, "f", BAKE_FILE);
    assert_true(has_attr(g, "user.zeta", value, 3000));
    assert_true(has_attr(g, "user.alpha", "", 0));
    assert_true(has_attr(g, "system.posix_acl_access", acl, sizeof(acl)));
    assert_true(has_attr(must(k, "d", BAKE_DIR), "system.posix_acl_default", acl, sizeof(acl)));
    if (root) {
        assert_true(has_attr(g, "trusted.t", "t", 1));
        assert_true(has_attr(g, "security.capability", cap, sizeof(cap)));
        assert_true(has_attr(must(k, "l", BAKE_SYMLINK), "trusted.l", "on the link", 11));
        assert_false(has_attr(must(k, "l", BAKE_SYMLINK), "user.zeta", value, 3000));
    }
    free(value);
}

static void test_hard_links(void **state)
{
    struct kit *k = *state;
    char from[512], to[512];
    make_dir(k, "d");
    put_text(k, "d/a", "shared");
    assert_int_equal(link(in_dir(k, "d/a", from), in_dir(k, "d/b", to)), 0);
    assert_int_equal(link(from, in_dir(k, "z", to)), 0);
    assert_int_equal(mkfifo(in_dir(k, "p", from), 0600), 0);
    assert_int_equal(link(from, in_dir(k, "q", to)), 0);
    run(k);
    assert_true(holds(k, "d/a", "shared", 6));
    assert_string_equal(must(k, "d/b", BAKE_HARDLINK)->e.link, must(k, "d/a", BAKE_FILE)->e.path);
    assert_string_equal(must(k, "z", BAKE_HARDLINK)->e.link, must(k, "d/a", BAKE_FILE)->e.path);
    assert_string_equal(must(k, "q", BAKE_HARDLINK)->e.link, must(k, "p", BAKE_FIFO)->e.path);
    assert_int_equal(must(k, "z", BAKE_HARDLINK)->e.size, 0);
}

static void test_sparse(void **state)
{
    struct kit *k = *state;
    char path[512];
    uint64_t size = (uint64_t)20 << 30;
    int fd = open(in_dir(k, "big", path), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    assert_int_equal(ftruncate(fd, (off_t)size), 0);
    assert_int_equal(pwrite(fd, "start", 5, 0), 5);
    assert_int_equal(pwrite(fd, "middle", 6, (off_t)10 << 30), 6);
    if (lseek(fd, 1 << 20, SEEK_DATA) != (off_t)10 << 30)
        skip();
    close(fd);
    fd = open(in_dir(k, "hole", path), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    assert_int_equal(ftruncate(fd, 1 << 20), 0);
    close(fd);
    char *data = pattern(1 << 20, 9);
    fd = open(in_dir(k, "wide", path), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    assert_int_equal(pwrite(fd, data, 1 << 20, 8 << 20), 1 << 20);
    close(fd);
    run(k);
    const struct got *g = must(k, "big", BAKE_FILE);
    assert_int_equal(g->e.size, size);
    assert_int_equal(g->e.n_extents, 2);
    assert_int_equal(g->e.extents[1].offset, (uint64_t)10 << 30);
    assert_int_equal(g->n, g->e.extents[0].length + g->e.extents[1].length);
    assert_true(g->n <= 128 << 10);
    assert_memory_equal(g->data, "start", 6);
    assert_memory_equal(g->data + g->e.extents[0].length, "middle", 7);
    g = must(k, "hole", BAKE_FILE);
    assert_int_equal(g->e.size, 1 << 20);
    assert_non_null(g->e.extents);
    assert_int_equal(g->e.n_extents, 0);
    assert_int_equal(g->n, 0);
    g = must(k, "wide", BAKE_FILE); /* streamed */
    assert_int_equal(g->e.n_extents, 1);
    assert_int_equal(g->n, 1 << 20);
    assert_memory_equal(g->data, data, 1 << 20);
    free(data);
}

static void test_sizes(void **state)
{
    struct kit *k = *state;
    static const size_t sizes[] = {1, 4095, 65536, 262143, 262144, 262145, 1000000};
    static const size_t buffers[] = {1 << 20, 65536, 4099};
    for (size_t b = 0; b < 3; b++) {
        k->buffer = buffers[b];
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            char *data = pattern(sizes[i], (unsigned)i);
            put(k, "f", data, sizes[i]);
            run(k);
            assert_true(holds(k, "f", data, sizes[i]));
            free(data);
        }
    }
    reports(k, BAKE_NOTICE, 0, "");
}

static void test_names_and_order(void **state)
{
    struct kit *k = *state;
    static const char *const names[] = {"\xff\xfe", "a\nb", " ", "-", "a.b", "ab", "\xc3\xa9", "*"};
    make_dir(k, "a");
    put_text(k, "a/z", "");
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        put_text(k, names[i], "");
    run(k);
    assert_int_equal(k->n, 11);
    for (size_t i = 1; i < k->n; i++)
        assert_true(bkc_path_cmp(k->got[i - 1].e.path, k->got[i].e.path) < 0);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        must(k, names[i], BAKE_FILE);
}

/* Deep, and the path far longer than what the kernel takes at once. */
static void test_deep(void **state)
{
    struct kit *k = *state;
    enum { DEPTH = 1000 };
    static const char part[] = "abcdefghij";
    int fd = open(k->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; i < DEPTH; i++) {
        assert_int_equal(mkdirat(fd, part, 0755), 0);
        int after = openat(fd, "zz", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        assert_int_equal(write(after, part, 3), 3);
        close(after);
        int below = openat(fd, part, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(below >= 0);
        close(fd);
        fd = below;
    }
    close(fd);
    run(k);
    assert_int_equal(k->n, 1 + 2 * DEPTH);
    assert_true(strlen(k->got[DEPTH].e.path) > 11000);
    for (size_t i = 1; i < k->n; i++) {
        assert_int_equal(k->got[i].e.type, i <= DEPTH ? BAKE_DIR : BAKE_FILE);
        assert_true(i <= DEPTH || (k->got[i].n == 3 && memcmp(k->got[i].data, part, 3) == 0));
    }
    reports(k, BAKE_NOTICE, 0, "");
    char command[128]; /* too deep for nftw */
    (void)snprintf(command, sizeof(command), "%s", k->dir);
    char *argv[] = {command, NULL};
    pid_t pid = fork();
    if (pid == 0) {
        (void)execlp("rm", "rm", "-rf", argv[0], (char *)NULL);
        _exit(1);
    }
    (void)waitpid(pid, NULL, 0);
}

static void test_many_names(void **state)
{
    struct kit *k = *state;
    k->limits = (struct bkc_walk_limits){.names = 8192, .levels = 4, .whole = 1000, .extents = 10};
    k->no_data = 1;
    make_dir(k, "d");
    for (int i = 0; i < 2000; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "d/%x", (unsigned)i * 2654435761u);
        put_text(k, name, "");
    }
    run(k);
    assert_int_equal(k->n, 2002);
    for (size_t i = 1; i < k->n; i++)
        assert_true(bkc_path_cmp(k->got[i - 1].e.path, k->got[i].e.path) < 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, kit_setup, kit_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_types),           T(test_access_time_is_kept),
        T(test_devices),         T(test_sockets),
        T(test_attributes),      T(test_hard_links),
        T(test_sparse),          T(test_sizes),
        T(test_names_and_order), T(test_deep),
        T(test_many_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
