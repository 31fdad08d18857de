/* What the extractor sets, on what, and what it leaves alone. */
#include "tree_kit.h"

#include <grp.h>
#include <pwd.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

static void need_root(void)
{
    if (geteuid() != 0)
        skip();
}

static void has_time(const struct kit *k, const char *path, int64_t ns)
{
    struct stat st = kit_stat(k, path);

    assert_int_equal((int64_t)st.st_mtim.tv_sec * SEC + st.st_mtim.tv_nsec, ns);
}

static void test_files(void **state)
{
    struct kit *k = *state;
    static const int64_t times[] = {T0, 0, -1, -SEC, -1500000000, 4000000000 * SEC + 5};
    char path[16];

    kit_open(k, 0);
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        struct bake_entry e = kit_entry(BAKE_FILE, path);

        (void)snprintf(path, sizeof(path), "f%zu", i);
        e.mode = (uint32_t)(i * 0111);
        e.mtime_ns = times[i];
        assert_int_equal(kit_put(k, &e, NULL, 0), BAKE_OK);
        has_time(k, path, times[i]);
        assert_int_equal(kit_stat(k, path).st_mode, S_IFREG | e.mode);
    }
    kit_finish(k);
    assert_int_equal(kit_counts(k).files, 6);
    assert_int_equal(k->warnings + k->notices, 0);
}

static void test_owner_and_set_id(void **state)
{
    struct kit *k = *state;
    struct bake_entry e = kit_entry(BAKE_FILE, "f");
    struct stat st;

    need_root();
    kit_open(k, 0);
    e.uid = 3000000000u;
    e.gid = 2097153;
    e.mode = 07755;
    assert_int_equal(kit_put(k, &e, "x", 0), BAKE_OK);
    st = kit_stat(k, "f");
    assert_int_equal(st.st_uid, 3000000000u);
    assert_int_equal(st.st_gid, 2097153);
    assert_int_equal(st.st_mode & 07777, 07755);
    e.path = "d";
    e.type = BAKE_DIR;
    e.mode = 03770;
    assert_int_equal(kit_put(k, &e, NULL, 0), BAKE_OK);
    e.path = "d/s";
    e.type = BAKE_SYMLINK;
    e.link = "nowhere";
    assert_int_equal(kit_put(k, &e, NULL, 0), BAKE_OK);
    e.valid &= ~BAKE_HAS_OWNER; /* nobody says whose it is: then it must not be set-id */
    e.path = "d/n";
    e.type = BAKE_FILE;
    e.mode = 04711;
    assert_int_equal(kit_put(k, &e, NULL, 0), BAKE_OK);
    kit_finish(k);
    st = kit_stat(k, "d");
    assert_int_equal(st.st_uid, 3000000000u);
    assert_int_equal(st.st_mode & 07777, 03770);
    has_time(k, "d", T0);
    st = kit_stat(k, "d/s");
    assert_int_equal(st.st_uid, 3000000000u);
    has_time(k, "d/s", T0);
    assert_int_equal(kit_stat(k, "d/n").st_mode & 07777, 0711);
    assert_int_equal(k->warnings, 1);
    assert_non_null(strstr(k->reports, "d/n: its set-id bits are dropped"));
}

static void test_names_win_over_ids(void **state)
{
    struct kit *k = *state;
    struct bake_entry e = kit_entry(BAKE_FILE, "known");
    struct passwd *pw = getpwnam("daemon");
    struct group *gr = getgrnam("adm");

    need_root();
    if (!pw || !gr)
        skip();
    kit_open(k, 0);
    e.uid = e.gid = 54321;
    e.user = "daemon";
    e.group = "adm";
    for (int i = 0; i < 3; i++) { /* more than once: the names are remembered */
        char path[16];

        (void)snprintf(path, sizeof(path), "f%d", i);
        e.path = path;
        assert_int_equal(kit_put(k, &e, NULL, 0), BAKE_OK);
        assert_int_equal(kit_stat(k, path).st_uid, pw->pw_uid);
        assert_int_equal(kit_stat(k, path).st_gid, gr->gr_gid);
    }
    e.path = "unknown";
    e.user = e.group = "no-such-name-here";
    assert_int_equal(kit_put(k, &e, NULL, 0), BAKE_OK);
    assert_int_equal(kit_stat(k, "unknown").st_uid, 54321);
    assert_int_equal(kit_stat(k, "unknown").st_gid, 54321);
}

static size_t pack(char *out, size_t at, const char *name, const void *value, uint32_t n)
{
    size_t len = strlen(name) + 1;

    memcpy(out + at, name, len);
    for (int i = 0; i < 4; i++)
        out[at + len + (size_t)i] = (char)(n >> 8 * i);
    memcpy(out + at + len + 4, value, n);
    return at + len + 4 + n;
}

static const char acl[] = "\2\0\0\0" /* u::rw-, u:1234:rw-, g::r--, m::rw-, o::--- */
                          "\1\0\6\0\377\377\377\377"
                          "\2\0\6\0\322\4\0\0"
                          "\4\0\4\0\377\377\377\377"
                          "\20\0\6\0\377\377\377\377"
                          "\40\0\0\0\377\377\377\377";
static const char dir_acl[] = "\2\0\0\0" /* u::rwx, u:1234:rwx, g::r-x, m::rwx, o::--- */
                              "\1\0\7\0\377\377\377\377"
                              "\2\0\7\0\322\4\0\0"
                              "\4\0\5\0\377\377\377\377"
                              "\20\0\7\0\377\377\377\377"
                              "\40\0\0\0\377\377\377\377";
/* cap_net_raw+ep, revision 2 */
static const char caps[] = "\1\0\0\2\0\40\0\0\0\0\0\0\0\0\0\0\0\0\0";

static void has_xattr(const struct kit *k, const char *path, const char *name, const void *want,
                      size_t n)
{
    char got[256];
    ssize_t len = lgetxattr(kit_path(k, path), name, got, sizeof(got));

    if (len < 0)
        fail_msg("'%s' of '%s': %s", name, path, strerror(errno));
    assert_int_equal(len, n);
    assert_memory_equal(got, want, n);
}

static void test_attributes(void **state)
{
    struct kit *k = *state;
    struct bake_entry e = kit_entry(BAKE_FILE, "f");
    char x[512];

    need_root();
    e.valid |= BAKE_HAS_XATTRS;
    e.xattrs = x;
    e.uid = 1000; /* a capability set before the owner would be lost */
    e.mode = 0460;
    e.xattrs_size = pack(x, 0, "security.capability", caps, sizeof(caps));
    e.xattrs_size = pack(x, e.xattrs_size, "system.posix_acl_access", acl, sizeof(acl) - 1);
    e.xattrs_size = pack(x, e.xattrs_size, "trusted.b", "\0\1\2", 3);
    e.xattrs_size = pack(x, e.xattrs_size, "user.a", "value", 5);
    e.xattrs_size = pack(x, e.xattrs_size, "user.empty", "", 0);
    kit_open(k, 0);
    e.size = 4;
    assert_int_equal(kit_put(k, &e, "data", 4), BAKE_OK);
    has_xattr(k, "f", "security.capability", caps, sizeof(caps));
    has_xattr(k, "f", "system.posix_acl_access", acl, sizeof(acl) - 1);
    has_xattr(k, "f", "trusted.b", "\0\1\2", 3);
    has_xattr(k, "f", "user.a", "value", 5);
    has_xattr(k, "f", "user.empty", "", 0);
    assert_int_equal(kit_stat(k, "f").st_mode & 07777, 0660); /* the ACL's own */
    has_time(k, "f", T0);
    e = kit_entry(BAKE_DIR, "d");
    e.valid |= BAKE_HAS_XATTRS;
    e.xattrs = x;
    e.mode = 0770;
    e.xattrs_size = pack(x, 0, "system.posix_acl_access", dir_acl, sizeof(dir_acl) - 1);
    e.xattrs_size =
        pack(x, e.xattrs_size, "system.posix_acl_default", dir_acl, sizeof(dir_acl) - 1);
    e.xattrs_size = pack(x, e.xattrs_size, "user.d", "dir", 3);
    assert_int_equal(kit_put(k, &e, NULL, 0), BAKE_OK);
    memset(x, 0, sizeof(x)); /* the directory's must have been kept */
    assert_int_equal(kit_file(k, "d/plain", "x"), BAKE_OK);
    e = kit_entry(BAKE_SYMLINK, "l");
    e.link = "f";
    e.valid |= BAKE_HAS_XATTRS;
    e.xattrs = x;
    e.xattrs_size = pack(x, 0, "trusted.link", "L", 1);
    assert_int_equal(kit_put(k, &e, NULL, 0), BAKE_OK);
    kit_finish(k);
    has_xattr(k, "d", "system.posix_acl_access", dir_acl, sizeof(dir_acl) - 1);
    has_xattr(k, "d", "system.posix_acl_default", dir_acl, sizeof(dir_acl) - 1);
    has_xattr(k, "d", "user.d", "dir", 3);
    has_xattr(k, "l", "trusted.link", "L", 1);
    /* made before the directory got its default ACL */
    assert_true(lgetxattr(kit_path(k, "d/plain"), "system.posix_acl_access", NULL, 0) < 0);
    assert_int_equal(k->warnings, 0);
}

/* A default ACL that the target has does not leak into what is known to have none. */
static void test_inherited_acl(void **state)
{
    struct kit *k = *state;
    struct bake_entry e = kit_entry(BAKE_FILE, "f"), d = kit_entry(BAKE_DIR, "d");

    if (setxattr(k->root, "system.posix_acl_default", dir_acl, sizeof(dir_acl) - 1, 0) < 0)
        skip();
    e.valid |= BAKE_HAS_XATTRS;
    d.valid |= BAKE_HAS_XATTRS;
    kit_open(k, 0);
    assert_int_equal(kit_put(k, &e, NULL, 0), BAKE_OK);
    assert_int_equal(kit_put(k, &d, NULL, 0), BAKE_OK);
    e.path = "d/f";
    assert_int_equal(kit_put(k, &e, NULL, 0), BAKE_OK);
    kit_finish(k);
    assert_true(lgetxattr(kit_path(k, "f"), "system.posix_acl_access", NULL, 0) < 0);
    assert_true(lgetxattr(kit_path(k, "d"), "system.posix_acl_access", NULL, 0) < 0);
    assert_true(lgetxattr(kit_path(k, "d"), "system.posix_acl_default", NULL, 0) < 0);
    assert_true(lgetxattr(kit_path(k, "d/f"), "system.posix_acl_access", NULL, 0) < 0);
    assert_int_equal(kit_stat(k, "f").st_mode & 07777, 0644);
    assert_int_equal(kit_stat(k, "d/f").st_mode & 07777, 0644);
}

static void test_attribute_not_taken(void **state)
{
    struct kit *k = *state;
    struct bake_entry e = kit_entry(BAKE_FILE, "f");
    char x[64], path[16];

    e.valid |= BAKE_HAS_XATTRS;
    e.xattrs = x;
    e.xattrs_size = pack(x, 0, "nonsense.a", "v", 1);
    e.xattrs_size = pack(x, e.xattrs_size, "user.b", "v", 1);
    e.path = path;
    kit_open(k, 0);
    for (int i = 0; i < 5; i++) {
        (void)snprintf(path, sizeof(path), "f%d", i);
        assert_int_equal(kit_put(k, &e, NULL, 0), BAKE_OK);
        has_xattr(k, path, "user.b", "v", 1);
    }
    assert_int_equal(k->warnings, 1);
    assert_non_null(strstr(k->reports, "f0: not restored in full: attribute 'nonsense.a': "));
    assert_int_equal(k->notices, 0);
    kit_finish(k);
    assert_int_equal(k->notices, 1);
    assert_non_null(strstr(k->reports, "for 5 entries: attribute 'nonsense.a'"));
}

static void test_devices(void **state)
{
    struct kit *k = *state;
    struct bake_entry e = kit_entry(BAKE_CHARDEV, "null");
    struct stat st;

    need_root();
    kit_open(k, 0);
    e.mode = 0666;
    e.gid = 5;
    e.dev_major = 1;
    e.dev_minor = 3;
    if (kit_put(k, &e, NULL, 0) == BAKE_E_IO) /* not allowed to, in some containers */
        skip();
    st = kit_stat(k, "null");
    assert_int_equal(st.st_mode, S_IFCHR | 0666);
    assert_int_equal(st.st_rdev, makedev(1, 3));
    assert_int_equal(st.st_gid, 5);
    has_time(k, "null", T0);
    e.type = BAKE_BLOCKDEV;
    e.path = "disk";
    e.dev_major = 259;
    e.dev_minor = 70000;
    e.mode = 0660;
    assert_int_equal(kit_put(k, &e, NULL, 0), BAKE_OK);
    st = kit_stat(k, "disk");
    assert_int_equal(st.st_mode, S_IFBLK | 0660);
    assert_int_equal(st.st_rdev, makedev(259, 70000));
    assert_int_equal(kit_put(k, &e, NULL, 0), BAKE_END);
    assert_int_equal(kit_counts(k).same, 1);
    e.dev_minor++;
    assert_int_equal(kit_put(k, &e, NULL, 0), BAKE_E_EXISTS);
    assert_int_equal(kit_counts(k).kept, 1);
    e.path = "null"; /* data must never go into a device that is there */
    kit_open(k, 1);
    assert_int_equal(kit_file(k, "null", "text"), BAKE_OK);
    kit_content(kit_path(k, "null"), "text");
    assert_int_equal(kit_put(k, &e, NULL, 0), BAKE_OK);
    assert_true(S_ISBLK(kit_stat(k, "null").st_mode));
    kit_no_tmp(k);
}

static void test_fifo(void **state)
{
    struct kit *k = *state;
    struct bake_entry e = kit_entry(BAKE_FIFO, "pipe");

    e.mode = 0622;
    kit_open(k, 0);
    assert_int_equal(kit_put(k, &e, NULL, 0), BAKE_OK);
    assert_int_equal(kit_stat(k, "pipe").st_mode, S_IFIFO | 0622);
    has_time(k, "pipe", T0);
    assert_int_equal(kit_put(k, &e, NULL, 0), BAKE_END);
    assert_int_equal(kit_counts(k).same, 1);
    assert_int_equal(kit_file(k, "pipe", "x"), BAKE_E_EXISTS);
    assert_int_equal(kit_counts(k).others, 1);
}

/* ---- keep and force -------------------------------------------------------------------------- */

static void test_same_and_kept(void **state)
{
    struct kit *k = *state;
    struct bake_entry e = kit_entry(BAKE_FILE, "f");

    kit_open(k, 0);
    assert_int_equal(kit_file(k, "f", "text"), BAKE_OK);
    assert_int_equal(kit_link(k, BAKE_SYMLINK, "s", "f"), BAKE_OK);
    assert_int_equal(kit_link(k, BAKE_HARDLINK, "h", "f"), BAKE_OK);
    assert_int_equal(kit_counts(k).links, 2);
    kit_finish(k);
    kit_open(k, 0);
    assert_int_equal(kit_file(k, "f", "text"), BAKE_END);
    assert_int_equal(kit_link(k, BAKE_SYMLINK, "s", "f"), BAKE_END);
    assert_int_equal(kit_link(k, BAKE_HARDLINK, "h", "f"), BAKE_END);
    assert_int_equal(kit_counts(k).same, 3);
    assert_int_equal(kit_counts(k).kept, 0);
    assert_int_equal(kit_file(k, "f", "other"), BAKE_E_EXISTS);
    e.size = 4;
    e.mtime_ns++;
    assert_int_equal(kit_put(k, &e, "TEXT", 4), BAKE_E_EXISTS);
    e.mtime_ns--;
    e.valid &= ~BAKE_HAS_MTIME; /* not known: not called the same */
    assert_int_equal(kit_put(k, &e, "TEXT", 4), BAKE_E_EXISTS);
    assert_int_equal(kit_link(k, BAKE_SYMLINK, "s", "g"), BAKE_E_EXISTS);
    assert_int_equal(kit_link(k, BAKE_SYMLINK, "f", "g"), BAKE_E_EXISTS);
    assert_int_equal(kit_link(k, BAKE_HARDLINK, "s", "f"), BAKE_E_EXISTS);
    assert_int_equal(kit_counts(k).same, 3);
    assert_int_equal(kit_counts(k).kept, 6);
    assert_non_null(strstr(k->error, "kept"));
    kit_content(kit_path(k, "f"), "text");
}

static void test_force(void **state)
{
    struct kit *k = *state;

    kit_write(kit_path(k, "f"), "old");
    kit_write(kit_path(k, "to-link"), "old");
    assert_int_equal(symlink("old", kit_path(k, "s")), 0);
    kit_open(k, 1);
    assert_int_equal(kit_file(k, "f", "new"), BAKE_OK);
    assert_int_equal(kit_link(k, BAKE_SYMLINK, "s", "new"), BAKE_OK);
    assert_int_equal(kit_link(k, BAKE_SYMLINK, "to-link", "new"), BAKE_OK);
    assert_int_equal(kit_link(k, BAKE_FIFO, "s", NULL), BAKE_OK);
    assert_int_equal(kit_file(k, "s", "file"), BAKE_OK);
    kit_finish(k);
    kit_content(kit_path(k, "f"), "new");
    kit_content(kit_path(k, "s"), "file");
    assert_true(S_ISLNK(kit_stat(k, "to-link").st_mode));
    kit_no_tmp(k);
}

static void test_existing_directories(void **state)
{
    struct kit *k = *state;
    struct timespec t[2] = {{1000, 1}, {2000, 2}};

    assert_int_equal(mkdir(kit_path(k, "d"), 0711), 0);
    kit_write(kit_path(k, "d/mine"), "mine");
    assert_int_equal(utimensat(AT_FDCWD, kit_path(k, "d"), t, 0), 0);
    kit_open(k, 0);
    assert_int_equal(kit_dir(k, "d", 0755), BAKE_OK);
    assert_int_equal(kit_file(k, "d/new", "new"), BAKE_OK);
    assert_int_equal(kit_counts(k).dirs, 0);
    kit_finish(k);
    assert_int_equal(kit_stat(k, "d").st_mode & 07777, 0711);
    has_time(k, "d", 2000 * SEC + 2);
    kit_content(kit_path(k, "d/mine"), "mine");
    kit_open(k, 1);
    assert_int_equal(kit_dir(k, "d", 0755), BAKE_OK);
    kit_finish(k);
    assert_int_equal(kit_stat(k, "d").st_mode & 07777, 0755);
    has_time(k, "d", T0);
}

/* Children before their directory, and a directory that is come back to. */
static void test_any_order(void **state)
{
    struct kit *k = *state;

    kit_open(k, 0);
    assert_int_equal(kit_file(k, "a/b/one", "1"), BAKE_OK);
    assert_int_equal(kit_dir(k, "a", 0701), BAKE_OK);
    assert_int_equal(kit_dir(k, "a/b", 0702), BAKE_OK);
    assert_int_equal(kit_dir(k, "c", 0703), BAKE_OK);
    assert_int_equal(kit_file(k, "a/b/two", "2"), BAKE_OK);
    assert_int_equal(kit_file(k, "c/three", "3"), BAKE_OK);
    assert_int_equal(kit_file(k, "x/y/z", "3"), BAKE_OK);
    assert_int_equal(kit_file(k, "a/four", "4"), BAKE_OK);
    assert_int_equal(kit_counts(k).dirs, 5);
    kit_finish(k);
    assert_int_equal(kit_stat(k, "a").st_mode & 07777, 0701);
    assert_int_equal(kit_stat(k, "a/b").st_mode & 07777, 0702);
    assert_int_equal(kit_stat(k, "c").st_mode & 07777, 0703);
    assert_int_equal(kit_stat(k, "x/y").st_mode & 07777, 0755);
    has_time(k, "a", T0);
    has_time(k, "a/b", T0);
    has_time(k, "c", T0);
}

static void test_root_entry(void **state)
{
    struct kit *k = *state;

    kit_open(k, 0);
    assert_int_equal(kit_dir(k, ".", 0751), BAKE_OK);
    assert_int_equal(kit_file(k, "f", "x"), BAKE_OK);
    assert_int_equal(kit_stat(k, ".").st_mode & 07777, 0755);
    kit_finish(k);
    assert_int_equal(kit_stat(k, ".").st_mode & 07777, 0751);
    has_time(k, ".", T0);
    kit_open(k, 0); /* it holds something now: left alone */
    assert_int_equal(kit_dir(k, ".", 0700), BAKE_OK);
    kit_finish(k);
    assert_int_equal(kit_stat(k, ".").st_mode & 07777, 0751);
    kit_open(k, 1);
    assert_int_equal(kit_dir(k, ".", 0700), BAKE_OK);
    kit_finish(k);
    assert_int_equal(kit_stat(k, ".").st_mode & 07777, 0700);
}

/* Under a set-gid directory the group is what the entry says, not the directory's. */
static void test_set_gid_parent(void **state)
{
    struct kit *k = *state;

    need_root();
    assert_int_equal(chown(k->root, 0, 4242), 0);
    assert_int_equal(chmod(k->root, 02775), 0);
    kit_open(k, 0);
    assert_int_equal(kit_dir(k, "d", 0755), BAKE_OK);
    assert_int_equal(kit_file(k, "d/f", "x"), BAKE_OK);
    assert_int_equal(kit_link(k, BAKE_SYMLINK, "d/s", "x"), BAKE_OK);
    kit_finish(k);
    assert_int_equal(kit_stat(k, "d").st_gid, 0);
    assert_int_equal(kit_stat(k, "d").st_mode & 07777, 0755);
    assert_int_equal(kit_stat(k, "d/f").st_gid, 0);
    assert_int_equal(kit_stat(k, "d/s").st_gid, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, kit_setup, kit_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_files),
        TEST(test_owner_and_set_id),
        TEST(test_names_win_over_ids),
        TEST(test_attributes),
        TEST(test_inherited_acl),
        TEST(test_attribute_not_taken),
        TEST(test_devices),
        TEST(test_fifo),
        TEST(test_same_and_kept),
        TEST(test_force),
        TEST(test_existing_directories),
        TEST(test_any_order),
        TEST(test_root_entry),
        TEST(test_set_gid_parent),
    };
    return cmocka_run_group_tests_name("tree_meta", tests, NULL, NULL);
}
