/* Both directions against the real GNU tar: a tree goes through it and us, and must come out the
 * same, in each of its formats. */
#include "tar_kit.h"

#include "tree/extract.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

static char dir[200];

static const char *at(const char *name)
{
    static char path[4][256];
    static int turn;
    char *p = path[turn++ % 4];

    (void)snprintf(p, sizeof(path[0]), "%s/%s", dir, name);
    return p;
}

/* Runs a program; what it says on standard error is in the file "stderr". */
static int run(const char *const *argv)
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        int err = open(at("stderr"), O_WRONLY | O_CREAT | O_TRUNC, 0600);

        (void)dup2(err, 2);
        (void)setenv("LC_ALL", "C.UTF-8", 1);
        (void)execvp(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void run_ok(const char *const *argv, bool quiet)
{
    int rc = run(argv);
    char text[2000] = "";
    int fd = open(at("stderr"), O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0 && read(fd, text, sizeof(text) - 1) >= 0);
    (void)close(fd);
    if (rc != 0 || (quiet && text[0]))
        fail_msg("%s ended with %d: %s", argv[0], rc, text);
}

/* ---- the tree -------------------------------------------------------------------------------- */

static void put_file(int d, const char *name, off_t size, off_t data_at, size_t n)
{
    int fd = openat(d, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    struct timespec t[2] = {{1500000000, 123456789}, {1500000000, 123456789}};

    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, size), 0);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(pwrite(fd, &"0123456789abcde"[i % 15], 1, data_at + (off_t)i), 1);
    assert_int_equal(futimens(fd, t), 0);
    (void)close(fd);
}

static void put_rich(int d)
{
    char name[256];
    int deep = dup(d), next;

    put_file(d, "caf\xc3\xa9", 5, 0, 5);
    put_file(d, "bad\xff\xfe", 5, 0, 5);
    assert_int_equal(symlinkat("to/\xff\xc3\xa9", d, "odd link"), 0);
    for (int i = 0; i < 12; i++) { /* a path of 2,500 bytes */
        memset(name, 'a' + i, 200);
        name[200] = '\0';
        assert_int_equal(mkdirat(deep, name, 0755), 0);
        next = openat(deep, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        (void)close(deep);
        deep = next;
    }
    memset(name, 'z', 250);
    name[250] = '\0';
    put_file(deep, name, 10, 0, 10);
    name[0] = 's';
    put_file(deep, name, 1 << 20, 70000, 100);
    (void)close(deep);
}

static void put_attributes(int d)
{
    char path[300];

    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d/attributes", d);
    put_file(d, "attributes", 3, 0, 3);
    assert_int_equal(setxattr(path, "user.text", "value", 5, 0), 0);
    assert_int_equal(setxattr(path, "user.binary\xff =%", "\0\n=\xff%", 5, 0), 0);
    assert_int_equal(setxattr(path, "user.empty", "", 0, 0), 0);
    assert_int_equal(setxattr(path, "system.posix_acl_access", kit_acl, sizeof(kit_acl) - 1, 0), 0);
    assert_int_equal(fchmodat(d, "attributes", 0670, 0), 0); /* only the mask is not as the group */
    assert_int_equal(mkdirat(d, "acl", 0755), 0);
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d/acl", d);
    assert_int_equal(
        setxattr(path, "system.posix_acl_default", kit_dir_acl, sizeof(kit_dir_acl) - 1, 0), 0);
    if (geteuid() != 0)
        return;
    put_file(d, "capable", 3, 0, 3);
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d/capable", d);
    assert_int_equal(setxattr(path, "security.capability", kit_caps, sizeof(kit_caps), 0), 0);
    assert_int_equal(setxattr(path, "trusted.t", "t", 1, 0), 0);
}

static void put_roots(int d)
{
    if (mknodat(d, "null", S_IFCHR | 0666, makedev(1, 3)) == 0)
        assert_int_equal(mknodat(d, "disk", S_IFBLK | 0600, makedev(259, 70000)), 0);
    put_file(d, "owned", 1, 0, 1);
    assert_int_equal(fchownat(d, "owned", 12345, 54321, 0), 0);
    assert_int_equal(fchmodat(d, "owned", 06755, 0), 0);
    put_file(d, "names", 1, 0, 1);
    assert_int_equal(fchownat(d, "names", 1, 4, 0), 0); /* daemon, adm */
}

static void make_tree(const char *root, bool rich, bool attributes)
{
    int d;

    assert_int_equal(mkdir(root, 0755), 0);
    d = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(d >= 0);
    put_file(d, "empty", 0, 0, 0);
    put_file(d, "plain", 4000, 0, 4000);
    put_file(d, "sparse", 5 << 20, 1 << 20, 9000);
    put_file(d, "sparse tail", 1 << 20, 0, 10);
    put_file(d, "hole", 3 << 20, 0, 0);
    assert_int_equal(mkdirat(d, "dir", 01775), 0);
    assert_int_equal(mkdirat(d, "dir/sub", 0500), 0);
    assert_int_equal(linkat(d, "plain", d, "dir/hard", 0), 0);
    assert_int_equal(symlinkat("../plain", d, "dir/soft"), 0);
    assert_int_equal(mkfifoat(d, "fifo", 0640), 0);
    if (geteuid() == 0)
        put_roots(d);
    if (rich)
        put_rich(d);
    if (attributes)
        put_attributes(d);
    (void)close(d);
}

/* ---- comparing ------------------------------------------------------------------------------- */

struct how {
    bool nanoseconds, attributes, sparse;
};

static void same_bytes(int a, int b, const char *name)
{
    static char x[1 << 16], y[1 << 16];
    ssize_t n;

    do {
        n = read(a, x, sizeof(x));
        assert_true(n >= 0);
        assert_int_equal(read(b, y, sizeof(y)), n);
        if (memcmp(x, y, (size_t)n) != 0)
            fail_msg("the data of '%s' differ", name);
    } while (n > 0);
}

static void same_file(int a, int b, const char *name)
{
    int x = openat(a, name, O_RDONLY | O_CLOEXEC), y = openat(b, name, O_RDONLY | O_CLOEXEC);

    assert_true(x >= 0 && y >= 0);
    same_bytes(x, y, name);
    (void)close(x);
    (void)close(y);
}

static void same_attributes(int a, int b, const char *name)
{
    char pa[300], pb[300], list[4096], va[256], vb[256];
    ssize_t n, len;

    (void)snprintf(pa, sizeof(pa), "/proc/self/fd/%d/%s", a, name);
    (void)snprintf(pb, sizeof(pb), "/proc/self/fd/%d/%s", b, name);
    n = llistxattr(pa, list, sizeof(list));
    assert_true(n >= 0);
    if (llistxattr(pb, NULL, 0) != n)
        fail_msg("'%s' has other attributes", name);
    for (char *p = list; p < list + n; p += strlen(p) + 1) {
        len = lgetxattr(pa, p, va, sizeof(va));
        if (len < 0 || lgetxattr(pb, p, vb, sizeof(vb)) != len || memcmp(va, vb, (size_t)len) != 0)
            fail_msg("attribute '%s' of '%s' differs", p, name);
    }
}

static void same_stat(const struct stat *x, const struct stat *y, const char *name,
                      const struct how *how)
{
    bool times = x->st_mtim.tv_sec == y->st_mtim.tv_sec &&
                 (!how->nanoseconds || x->st_mtim.tv_nsec == y->st_mtim.tv_nsec);

    if (x->st_mode != y->st_mode || x->st_uid != y->st_uid || x->st_gid != y->st_gid)
        fail_msg("'%s': mode %o %o, owner %u %u, group %u %u", name, x->st_mode, y->st_mode,
                 x->st_uid, y->st_uid, x->st_gid, y->st_gid);
    if (!times)
        fail_msg("'%s': time %lld.%09ld %lld.%09ld", name, (long long)x->st_mtim.tv_sec,
                 x->st_mtim.tv_nsec, (long long)y->st_mtim.tv_sec, y->st_mtim.tv_nsec);
    if (!S_ISDIR(x->st_mode) && (x->st_size != y->st_size || x->st_nlink != y->st_nlink))
        fail_msg("'%s': size %lld %lld, links %u %u", name, (long long)x->st_size,
                 (long long)y->st_size, (unsigned)x->st_nlink, (unsigned)y->st_nlink);
    assert_int_equal(x->st_rdev, y->st_rdev);
    if (how->sparse && S_ISREG(x->st_mode) && y->st_blocks > x->st_blocks + 64)
        fail_msg("'%s': %lld blocks have become %lld", name, (long long)x->st_blocks,
                 (long long)y->st_blocks);
}

static size_t same_dir(int a, int b, const struct how *how)
{
    DIR *d = fdopendir(dup(a));
    size_t n = 0, m = 0;
    struct dirent *e;

    assert_non_null(d);
    while ((e = readdir(d))) {
        struct stat x, y;
        char la[256], lb[256];

        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        n++;
        assert_int_equal(fstatat(a, e->d_name, &x, AT_SYMLINK_NOFOLLOW), 0);
        if (fstatat(b, e->d_name, &y, AT_SYMLINK_NOFOLLOW) < 0)
            fail_msg("'%s' is missing", e->d_name);
        same_stat(&x, &y, e->d_name, how);
        if (how->attributes)
            same_attributes(a, b, e->d_name);
        if (S_ISREG(x.st_mode))
            same_file(a, b, e->d_name);
        if (S_ISLNK(x.st_mode)) {
            ssize_t len = readlinkat(a, e->d_name, la, sizeof(la));

            assert_int_equal(readlinkat(b, e->d_name, lb, sizeof(lb)), len);
            assert_memory_equal(la, lb, (size_t)len);
        }
        if (S_ISDIR(x.st_mode)) {
            int da = openat(a, e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
            int db = openat(b, e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

            assert_true(da >= 0 && db >= 0);
            n += same_dir(da, db, how);
            (void)close(da);
            (void)close(db);
        }
    }
    (void)closedir(d);
    d = fdopendir(dup(b)); /* and nothing more */
    assert_non_null(d);
    rewinddir(d);
    while (readdir(d))
        m++;
    (void)closedir(d);
    d = fdopendir(dup(a));
    rewinddir(d);
    while (readdir(d))
        m--;
    (void)closedir(d);
    assert_int_equal(m, 0);
    return n;
}

static void same_trees(const char *a, const char *b, const struct how *how)
{
    int x = open(a, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int y = open(b, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct stat sx, sy;

    assert_true(x >= 0 && y >= 0);
    assert_true(fstat(x, &sx) == 0 && fstat(y, &sy) == 0);
    same_stat(&sx, &sy, ".", how);
    assert_true(same_dir(x, y, how) >= 10);
    (void)close(x);
    (void)close(y);
}

/* ---- a host for the extractor ---------------------------------------------------------------- */

static void h_log(struct bake_ctx *c, int level, const char *fmt, va_list ap)
{
    (void)c;
    (void)level;
    (void)fmt;
    (void)ap;
}
static void BAKE_PRINTF(4, 0)
    h_report(struct bake_ctx *c, int sev, const char *subject, const char *fmt, va_list ap)
{
    char text[500];

    (void)c;
    (void)sev;
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    fail_msg("'%s': %s", subject ? subject : "", text);
}
static int BAKE_PRINTF(3, 0) h_fail(struct bake_ctx *c, int rc, const char *fmt, va_list ap)
{
    char text[500];

    (void)c;
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    print_error("%s\n", text);
    return rc;
}

/* ---- the ways -------------------------------------------------------------------------------- */

static void gnu_make(const char *tree, const char *tar, const char *const *options)
{
    const char *argv[20] = {"tar", "--one-file-system"};
    size_t n = 2;

    while (*options)
        argv[n++] = *options++;
    argv[n++] = "-cf";
    argv[n++] = tar;
    argv[n++] = "-C";
    argv[n++] = tree;
    argv[n] = ".";
    run_ok(argv, false);
}

/* quiet: it must have nothing to say about what it reads. */
static void gnu_extract(const char *tar, const char *into, bool quiet)
{
    const char *argv[] = {"tar", "--xattrs", "--xattrs-include=*", "--acls", "-xpf", tar, "-C",
                          into,  NULL};

    assert_int_equal(mkdir(into, 0700), 0);
    run_ok(argv, quiet);
}

static void load(const char *path, struct stream *s)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char buf[65536];
    ssize_t n;

    assert_true(fd >= 0);
    while ((n = read(fd, buf, sizeof(buf))) > 0)
        assert_int_equal(bk_buf_add(&s->b, buf, (size_t)n), 0);
    (void)close(fd);
    s->step = 10240;
}

static void we_extract(const char *tar, const char *into)
{
    static const struct bake_host host = {
        .struct_size = sizeof(host), .vlog = h_log, .vreport = h_report, .vfail = h_fail};
    struct bake_ctx ctx = {&host};
    struct bkc_extract_opts o = {.root = into, .parent_mode = 0755};
    struct bkc_extract *x = NULL;
    struct stream s = {.step = 0};
    struct bk_err err = {0};
    struct bake_entry e;
    struct bk_tarr *r;
    int rc;

    load(tar, &s);
    assert_int_equal(mkdir(into, 0700), 0);
    assert_int_equal(bkc_extract_open(&ctx, &o, &x), BAKE_OK);
    r = kit_reader(&s);
    while ((rc = bk_tarr_next(r, &e, &err)) == BAKE_OK) {
        char buf[5000];
        struct bake_out out = {buf, sizeof(buf), 0};

        assert_int_equal(bkc_extract_put(x, &e), BAKE_OK);
        while (e.type == BAKE_FILE && (rc = bk_tarr_read(r, &out, &err)) == BAKE_OK) {
            struct bake_in in = {buf, out.pos, 0};

            assert_int_equal(bkc_extract_write(x, &in), BAKE_OK);
            out.pos = 0;
        }
        assert_true(rc >= 0);
        assert_int_equal(bkc_extract_end(x, 1), BAKE_OK);
    }
    if (rc != BAKE_END)
        fail_msg("%s", err.text);
    assert_int_equal(bkc_extract_finish(x), BAKE_OK);
    bkc_extract_close(x);
    bk_tarr_free(r);
    bk_buf_free(&s.b);
}

static void save(const struct stream *s, const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, s->b.data, s->b.len), s->b.len);
    (void)close(fd);
}

/* Reads GNU tar's and writes it again as ours. */
static void we_rewrite(const char *from, const char *to)
{
    struct stream s = {.step = 0}, out = {.step = 0};
    struct bk_buf data = BK_BUF_INIT;
    struct bk_err err = {0};
    struct bk_tarr *r;
    struct bk_tarw *w = kit_writer(&out);
    struct bake_entry e;

    load(from, &s);
    r = kit_reader(&s);
    while (bk_tarr_next(r, &e, &err) == BAKE_OK) {
        assert_int_equal(bk_tarw_entry(w, &e, &err), BAKE_OK);
        kit_read(r, &data, 4096);
        assert_int_equal(bk_tarw_data(w, data.data, data.len, &err), BAKE_OK);
        assert_int_equal(bk_tarw_end_entry(w, &err), BAKE_OK);
    }
    kit_end(w);
    save(&out, to);
    bk_tarr_free(r);
    bk_buf_free(&data);
    bk_buf_free(&s.b);
    bk_buf_free(&out.b);
}

static void remove_all(const char *path)
{
    const char *argv[] = {"rm", "-rf", "--", path, NULL};

    run_ok(argv, true);
}

static void both_ways(const char *const *options, bool rich, struct how how)
{
    make_tree(at("tree"), rich, how.attributes);
    gnu_make(at("tree"), at("gnu.tar"), options);
    we_extract(at("gnu.tar"), at("ours"));
    same_trees(at("tree"), at("ours"), &how);
    we_rewrite(at("gnu.tar"), at("ours.tar"));
    gnu_extract(at("ours.tar"), at("gnus"), true);
    same_trees(at("tree"), at("gnus"), &how);
    remove_all(at("tree"));
    remove_all(at("ours"));
    remove_all(at("gnus"));
}

#define OPTIONS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void test_pax(void **state)
{
    (void)state;
    both_ways(OPTIONS("--format=pax", "--xattrs", "--xattrs-include=*", "--acls"), true,
              (struct how){true, true, false});
}
static void test_pax_sparse(void **state)
{
    (void)state;
    both_ways(OPTIONS("--format=pax", "-S", "--sparse-version=1.0", "--xattrs",
                      "--xattrs-include=*", "--acls"),
              true, (struct how){true, true, true});
    both_ways(OPTIONS("--format=pax", "-S", "--sparse-version=0.1"), true,
              (struct how){true, false, true});
    both_ways(OPTIONS("--format=pax", "-S", "--sparse-version=0.0"), true,
              (struct how){true, false, true});
}
static void test_gnu(void **state)
{
    (void)state;
    both_ways(OPTIONS("--format=gnu"), true, (struct how){false, false, false});
    both_ways(OPTIONS("--format=gnu", "-S"), true, (struct how){false, false, true});
    both_ways(OPTIONS("--format=oldgnu"), true, (struct how){false, false, false});
    both_ways(OPTIONS("--format=gnu", "--numeric-owner", "-b1"), true,
              (struct how){false, false, false});
}
static void test_ustar(void **state)
{
    (void)state;
    both_ways(OPTIONS("--format=ustar"), false, (struct how){false, false, false});
}

static int setup(void **state)
{
    const char *tmp = getenv("TMPDIR");

    (void)state;
    (void)umask(022);
    (void)snprintf(dir, sizeof(dir), "%.180s/bake-tar-XXXXXX", tmp ? tmp : "/tmp");
    return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
    const char *argv[] = {"rm", "-rf", "--", dir, NULL};

    (void)state;
    return run(argv);
}

/* Times before 1970 with a fraction, where libarchive alone loses the sign. */
static void test_old_times(void **state)
{
    static const int64_t times[] = {-1, -SEC / 2, -SEC, -3 * SEC / 2, -1000000 * SEC + 1};
    struct stream s = {.step = 0};
    struct bk_tarw *w = kit_writer(&s);
    char name[32];

    (void)state;
    for (size_t i = 0; i < BK_LEN(times); i++) {
        struct bake_entry e = kit_entry(BAKE_FILE, name);

        (void)snprintf(name, sizeof(name), "gnus/%zu", i);
        e.mtime_ns = times[i];
        e.path = name + 5;
        kit_write(w, &e, NULL, 0);
    }
    kit_end(w);
    save(&s, at("ours.tar"));
    gnu_extract(at("ours.tar"), at("gnus"), false); /* "implausibly old" */
    for (size_t i = 0; i < BK_LEN(times); i++) {
        struct stat st;

        (void)snprintf(name, sizeof(name), "gnus/%zu", i);
        assert_int_equal(stat(at(name), &st), 0);
        assert_int_equal((int64_t)st.st_mtim.tv_sec * SEC + st.st_mtim.tv_nsec, times[i]);
    }
    bk_buf_free(&s.b);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_pax), TEST(test_pax_sparse), TEST(test_gnu),
                                       TEST(test_ustar), TEST(test_old_times)};

    (void)setlocale(LC_CTYPE, "C.UTF-8");
    return cmocka_run_group_tests_name("tar_gnu", tests, NULL, NULL);
}
