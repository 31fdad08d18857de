/* sink-local when the kernel says no, and in which order it asks: this program's own write(),
 * fsync() and so on stand before the C library's, as it is linked with its symbols exported. */
#include "sinklocal_kit.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What is to go wrong, and what was called. A test is one thread. */
static struct {
    int write_errno, fsync_errno, dir_fsync_errno, close_errno, rename_errno, link_errno,
        range_errno, syncfs_errno;
    int interrupt;    /* every second write() says EINTR */
    size_t max_write; /* short writes */
    int mkdir_race;   /* the next mkdirat() finds that somebody was faster */
    int vanish;       /* the next O_CREAT finds its directory removed */
    int watched;      /* descriptor of the temporary file */
    char trace[4096];
} f;

static void note(const char *what)
{
    size_t n = strlen(f.trace);

    (void)snprintf(f.trace + n, sizeof(f.trace) - n, "%s ", what);
}

static int is_dir(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
}

#define REAL(name) __extension__(__typeof__(&name)) dlsym(RTLD_NEXT, #name)

__attribute__((visibility("default"))) ssize_t write(int fd, const void *data, size_t n)
{
    static __typeof__(&write) real;

    if (!real)
        real = REAL(write);
    if (fd != f.watched || fd <= 2)
        return real(fd, data, n);
    if (f.interrupt && f.interrupt++ % 2) {
        errno = EINTR;
        return -1;
    }
    if (f.write_errno) {
        errno = f.write_errno;
        return -1;
    }
    note("write");
    return real(fd, data, f.max_write && n > f.max_write ? f.max_write : n);
}

__attribute__((visibility("default"))) int fsync(int fd)
{
    int dir = is_dir(fd), e = dir ? f.dir_fsync_errno : f.fsync_errno;

    note(dir ? "fsync-dir" : "fsync");
    if (e) {
        errno = e;
        return -1;
    }
    return (REAL(fsync))(fd);
}

__attribute__((visibility("default"))) int syncfs(int fd)
{
    note("syncfs");
    if (f.syncfs_errno) {
        errno = f.syncfs_errno;
        return -1;
    }
    return (REAL(syncfs))(fd);
}

__attribute__((visibility("default"))) int close(int fd)
{
    static __typeof__(&close) real;
    int rc;

    if (!real)
        real = REAL(close);
    rc = real(fd);
    if (fd != f.watched || fd <= 2)
        return rc;
    f.watched = -1;
    note("close");
    if (f.close_errno) {
        errno = f.close_errno;
        return -1;
    }
    return rc;
}

/* Compiled as the plugin is, with a 64-bit off_t: both call it openat64(). */
__attribute__((visibility("default"))) int openat(int dir, const char *path, int flags, ...)
{
    static __typeof__(&openat) real;
    mode_t mode = 0;
    va_list ap;
    int fd;

    if (!real)
        real = REAL(openat);
    if (flags & O_CREAT) {
        va_start(ap, flags);
        mode = va_arg(ap, mode_t);
        va_end(ap);
    }
    if ((flags & O_CREAT) && f.vanish) {
        f.vanish--;
        errno = ENOENT;
        return -1;
    }
    fd = real(dir, path, flags, mode);
    if ((flags & O_CREAT) && fd >= 0) {
        f.watched = fd;
        note("create");
    }
    return fd;
}

__attribute__((visibility("default"))) int renameat(int a, const char *from, int b, const char *to)
{
    note("rename");
    if (f.rename_errno) {
        errno = f.rename_errno;
        return -1;
    }
    return (REAL(renameat))(a, from, b, to);
}

__attribute__((visibility("default"))) int renameat2(int a, const char *from, int b, const char *to,
                                                     unsigned flags)
{
    note("rename-noreplace");
    if (f.rename_errno) {
        errno = f.rename_errno;
        return -1;
    }
    return (REAL(renameat2))(a, from, b, to, flags);
}

__attribute__((visibility("default"))) int linkat(int a, const char *from, int b, const char *to,
                                                  int flags)
{
    note("link");
    if (f.link_errno) {
        errno = f.link_errno;
        return -1;
    }
    return (REAL(linkat))(a, from, b, to, flags);
}

__attribute__((visibility("default"))) int mkdirat(int dir, const char *path, mode_t mode)
{
    int rc = (REAL(mkdirat))(dir, path, mode);

    note("mkdir");
    if (f.mkdir_race) {
        f.mkdir_race--;
        errno = EEXIST;
        return -1;
    }
    return rc;
}

__attribute__((visibility("default"))) int sync_file_range(int fd, __off64_t at, __off64_t n,
                                                           unsigned flags)
{
    char text[64];

    if (f.range_errno) {
        note("range-refused");
        errno = f.range_errno;
        return -1;
    }
    (void)snprintf(text, sizeof(text), "range(%lld+%lld,%u)", (long long)at, (long long)n, flags);
    note(text);
    return (REAL(sync_file_range))(fd, at, n, flags);
}

static int setup(void **state)
{
    memset(&f, 0, sizeof(f));
    f.watched = -1;
    return kit_setup(state);
}

static int teardown(void **state)
{
    memset(&f, 0, sizeof(f));
    f.watched = -1;
    return kit_teardown(state);
}

static void start(struct kit *k, const char *word)
{
    kit_open(k, word, NULL);
    assert_int_equal(k->rc, BAKE_OK);
    assert_int_equal(kit_put(k, "first", "x", 1, 0), BAKE_OK); /* the root is made */
    f.trace[0] = '\0';
}

static void traced(const char *wanted)
{
    assert_string_equal(f.trace, wanted);
    f.trace[0] = '\0';
}

static void order(void **state)
{
    struct kit *k = *state;

    start(k, NULL);
    assert_int_equal(kit_put(k, "o", "abc", 3, 0), BAKE_OK);
    traced("create write fsync close rename fsync-dir ");
    assert_int_equal(kit_put(k, "p", "abc", 3, BAKE_PUT_IF_ABSENT), BAKE_OK);
    traced("create write fsync close rename-noreplace fsync-dir ");
    /* each new directory is in its parent, durably, before the object is in it */
    assert_int_equal(kit_put(k, "a/b/o", "abc", 3, 0), BAKE_OK);
    traced("mkdir fsync-dir mkdir fsync-dir create write fsync close rename fsync-dir ");
    assert_int_equal(kit_put(k, "a/b/p", "abc", 3, 0), BAKE_OK);
    traced("create write fsync close rename fsync-dir ");
    assert_int_equal(k->ops->remove(k->self, &k->ctx.base, "a/b/p"), BAKE_OK);
    traced("fsync-dir ");
    assert_int_equal(k->ops->remove(k->self, &k->ctx.base, "a/b/o"), BAKE_OK);
    traced("fsync-dir ");
}

static void without_fsync(void **state)
{
    struct kit *k = *state;
    size_t n = 20 << 20;
    char *data = calloc(1, n);

    assert_non_null(data);
    start(k, "fsync=false");
    assert_int_equal(kit_put(k, "a/o", data, n, 0), BAKE_OK);
    traced("mkdir create write close rename ");
    free(data);
}

static void writes_are_large_and_flushed_early(void **state)
{
    struct kit *k = *state;
    size_t piece = 1000, n = 0;
    char *data = calloc(1, 4 << 20);
    struct bake_in in = {data, piece, 0};
    unsigned writes = 0;
    void *put;

    assert_non_null(data);
    start(k, NULL);
    /* small pieces: gathered */
    assert_int_equal(k->ops->put_begin(k->self, &k->ctx.base, "o", 0, 0, &put), BAKE_OK);
    for (; n < 1 << 20; n += piece, in.pos = 0)
        assert_int_equal(k->ops->put_write(put, &in), BAKE_OK);
    assert_int_equal(k->ops->put_end(put), BAKE_OK);
    for (const char *p = f.trace; (p = strstr(p, "write ")); p++)
        writes++;
    assert_in_range(writes, 4, 5);

    /* large ones: the disk begins on each 8 MiB while the next are written */
    f.trace[0] = '\0';
    in.size = 4 << 20;
    assert_int_equal(k->ops->put_begin(k->self, &k->ctx.base, "p", 0, 0, &put), BAKE_OK);
    for (int i = 0; i < 5; i++) {
        in.pos = 0;
        assert_int_equal(k->ops->put_write(put, &in), BAKE_OK);
    }
    assert_int_equal(k->ops->put_end(put), BAKE_OK);
    traced("create write write range(0+8388608,2) write write range(8388608+8388608,2) write "
           "fsync close rename fsync-dir ");
    free(data);
}

static void no_early_flush_there(void **state)
{
    struct kit *k = *state;
    char *data = calloc(1, 20 << 20);
    struct bake_in in = {data, 10 << 20, 0};
    void *put;

    assert_non_null(data);
    start(k, NULL);
    f.range_errno = ENOSYS;
    assert_int_equal(k->ops->put_begin(k->self, &k->ctx.base, "o", 0, 0, &put), BAKE_OK);
    assert_int_equal(k->ops->put_write(put, &in), BAKE_OK);
    in.pos = 0;
    assert_int_equal(k->ops->put_write(put, &in), BAKE_OK);
    assert_int_equal(k->ops->put_end(put), BAKE_OK);
    traced("create write range-refused write fsync close rename fsync-dir ");
    f.range_errno = EIO; /* that, however, is not about a missing feature */
    in.pos = 0;
    assert_int_equal(k->ops->put_begin(k->self, &k->ctx.base, "p", 0, 0, &put), BAKE_OK);
    assert_int_equal(k->ops->put_write(put, &in), BAKE_E_IO);
    k->ops->put_abort(put);
    free(data);
}

static void short_and_interrupted(void **state)
{
    struct kit *k = *state;
    char text[201];

    memset(text, 'q', 200);
    text[200] = '\0';
    start(k, NULL);
    f.interrupt = 1;
    f.max_write = 7;
    assert_int_equal(kit_put(k, "o", text, 200, 0), BAKE_OK);
    assert_int_equal(kit_get(k, "o", text), BAKE_OK);
    f.close_errno = EINTR; /* the data were fsynced before; Linux has closed it */
    assert_int_equal(kit_put(k, "o", text, 200, 0), BAKE_OK);
}

static void failures_leave_nothing(void **state)
{
    static const struct {
        int *where, e, rc;
        const char *says;
    } cases[] = {
        {&f.write_errno, EIO, BAKE_E_IO, "input/output error\nHINT: the disk may be failing"},
        {&f.write_errno, ENOSPC, BAKE_E_NOSPACE, "no space left on the file system of '"},
        {&f.write_errno, EDQUOT, BAKE_E_NOSPACE, "the disk quota on '"},
        {&f.write_errno, EFBIG, BAKE_E_IO, "file too large"},
        {&f.write_errno, ESTALE, BAKE_E_UNAVAILABLE, "cannot write '"},
        {&f.fsync_errno, EIO, BAKE_E_IO, "cannot fsync '"},
        {&f.fsync_errno, ENOSPC, BAKE_E_NOSPACE, "cannot fsync '"},
        {&f.close_errno, EDQUOT, BAKE_E_NOSPACE, "cannot close '"},
        {&f.close_errno, EIO, BAKE_E_IO, "cannot close '"},
        {&f.rename_errno, EIO, BAKE_E_IO, "cannot write '"},
        {&f.rename_errno, EROFS, BAKE_E_IO, "is read-only"},
    };
    struct kit *k = *state;

    start(k, NULL);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        *cases[i].where = cases[i].e;
        assert_int_equal(kit_put(k, "new/o", "abc", 3, i % 2), cases[i].rc);
        kit_says(k, cases[i].says);
        *cases[i].where = 0;
        assert_int_equal(kit_files(k->store), 1);
        assert_int_equal(kit_count(k, ""), 1);
    }
}

/* After a failed write nothing may make an object out of what is there. */
static void failure_sticks(void **state)
{
    struct kit *k = *state;
    char *data = calloc(1, 1 << 20);
    struct bake_in in = {data, 1 << 20, 0};
    void *put;

    assert_non_null(data);
    start(k, NULL);
    assert_int_equal(k->ops->put_begin(k->self, &k->ctx.base, "o", 0, 0, &put), BAKE_OK);
    f.write_errno = EIO;
    assert_int_equal(k->ops->put_write(put, &in), BAKE_E_IO);
    f.write_errno = 0;
    in.pos = 0;
    assert_int_equal(k->ops->put_write(put, &in), BAKE_E_IO);
    assert_int_equal(k->ops->put_end(put), BAKE_E_IO);
    assert_int_equal(kit_files(k->store), 1);
    free(data);
}

static void no_rename_noreplace(void **state)
{
    struct kit *k = *state;

    start(k, NULL);
    f.rename_errno = EINVAL;
    assert_int_equal(kit_put(k, "o", "one", 3, BAKE_PUT_IF_ABSENT), BAKE_OK);
    traced("create write fsync close rename-noreplace link fsync-dir ");
    assert_int_equal(kit_put(k, "o", "two", 3, BAKE_PUT_IF_ABSENT), BAKE_E_EXISTS);
    assert_int_equal(kit_get(k, "o", "one"), BAKE_OK);
    assert_int_equal(kit_files(k->store), 2);
    f.link_errno = EPERM; /* neither: said, not guessed */
    assert_int_equal(kit_put(k, "p", "two", 3, BAKE_PUT_IF_ABSENT), BAKE_E_UNSUPPORTED);
    kit_says(k, "can neither rename without replacing nor link");
    f.link_errno = EIO;
    assert_int_equal(kit_put(k, "p", "two", 3, BAKE_PUT_IF_ABSENT), BAKE_E_IO);
    assert_int_equal(kit_files(k->store), 2);
}

static void directories_without_fsync(void **state)
{
    struct kit *k = *state;

    start(k, NULL);
    f.dir_fsync_errno = EINVAL;
    assert_int_equal(kit_put(k, "o", "x", 1, 0), BAKE_OK);
    traced("create write fsync close rename fsync-dir syncfs ");
    f.syncfs_errno = EIO;
    assert_int_equal(kit_put(k, "o", "x", 1, 0), BAKE_E_IO);
    kit_says(k, "cannot fsync the directory of '");
    f.dir_fsync_errno = EIO;
    f.syncfs_errno = 0;
    assert_int_equal(kit_put(k, "o", "x", 1, 0), BAKE_E_IO);
}

static void somebody_was_faster(void **state)
{
    struct kit *k = *state;

    start(k, NULL);
    f.mkdir_race = 2;
    assert_int_equal(kit_put(k, "a/b/o", "x", 1, 0), BAKE_OK);
    assert_int_equal(kit_get(k, "a/b/o", "x"), BAKE_OK);
    f.vanish = 3; /* a prune removes the empty directory before the file is in it */
    assert_int_equal(kit_put(k, "c/o", "x", 1, 0), BAKE_OK);
    assert_int_equal(kit_get(k, "c/o", "x"), BAKE_OK);
    f.vanish = 1000000; /* for ever: given up */
    assert_int_equal(kit_put(k, "d/o", "x", 1, 0), BAKE_E_NOTFOUND);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(order),
        TEST(without_fsync),
        TEST(writes_are_large_and_flushed_early),
        TEST(no_early_flush_there),
        TEST(short_and_interrupted),
        TEST(failures_leave_nothing),
        TEST(failure_sticks),
        TEST(no_rename_noreplace),
        TEST(directories_without_fsync),
        TEST(somebody_was_faster),
    };

    return cmocka_run_group_tests_name("sink-local with faults", tests, NULL, NULL);
}
