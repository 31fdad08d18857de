/* base/io: whole reads and writes, limits, atomic files, directories. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/io.h"
#include "base/str.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

struct place {
    char dir[64];
    mode_t mask;
};

static int enter(void **state)
{
    struct place *p = calloc(1, sizeof(*p));
    assert_non_null(p);
    (void)snprintf(p->dir, sizeof(p->dir), "/tmp/bakengine-io-XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    assert_int_equal(chdir(p->dir), 0);
    p->mask = umask(077);
    *state = p;
    return 0;
}

static void clear(const char *dir)
{
    DIR *d = opendir(dir);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) {
        char path[600];
        if (bk_streq(e->d_name, ".") || bk_streq(e->d_name, ".."))
            continue;
        (void)snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
        if (e->d_type == DT_DIR)
            clear(path);
        else
            assert_int_equal(unlink(path), 0);
    }
    (void)closedir(d);
    assert_int_equal(rmdir(dir), 0);
}

static int leave(void **state)
{
    struct place *p = *state;
    (void)umask(p->mask);
    assert_int_equal(chdir("/"), 0);
    clear(p->dir);
    free(p);
    return 0;
}

static mode_t mode_of(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 07777;
}

static size_t entries(void)
{
    DIR *d = opendir(".");
    size_t n = 0;
    assert_non_null(d);
    while (readdir(d))
        n++;
    (void)closedir(d);
    return n - 2;
}

static void write_and_read(void **state)
{
    (void)state;
    struct bk_err err = {0};
    struct bk_buf b = BK_BUF_INIT;
    assert_int_equal(bk_write_file("f", "a\0b\n", 4, 0644, &err), 0);
    assert_int_equal(mode_of("f"), 0644); /* whatever the umask */
    assert_int_equal(bk_buf_str(&b, "before "), 0);
    assert_int_equal(bk_read_file("f", 4, &b, &err), 0);
    assert_int_equal(b.len, 11);
    assert_memory_equal(b.data, "before a\0b\n", 12);
    /* replaced, with the new mode */
    assert_int_equal(bk_write_file("f", "", 0, 0600, &err), 0);
    assert_int_equal(mode_of("f"), 0600);
    bk_buf_clear(&b);
    assert_int_equal(bk_read_file("f", 0, &b, &err), 0);
    assert_int_equal(b.len, 0);
    assert_int_equal(entries(), 1);
    bk_buf_free(&b);
}

static void limits(void **state)
{
    (void)state;
    struct bk_err err = {0};
    struct bk_buf b = BK_BUF_INIT;
    char *big = malloc(100000);
    assert_non_null(big);
    memset(big, 'x', 100000);
    assert_int_equal(bk_write_file("f", big, 100000, 0600, &err), 0);
    assert_int_equal(bk_read_file("f", 100000, &b, &err), 0);
    assert_int_equal(b.len, 100000);
    assert_memory_equal(b.data, big, 100000);
    bk_buf_clear(&b);
    assert_int_equal(bk_read_file("f", SIZE_MAX, &b, &err), 0);
    assert_int_equal(b.len, 100000);
    static const size_t small[] = {0, 1, 16384, 65536, 99999};
    for (size_t i = 0; i < sizeof(small) / sizeof(small[0]); i++) {
        bk_buf_free(&b);
        (void)bk_buf_str(&b, "kept");
        assert_int_equal(bk_read_file("f", small[i], &b, &err), BAKE_E_IO);
        assert_non_null(strstr(err.text, "cannot read 'f': it is larger than "));
        assert_string_equal(b.data, "kept");
    }
    bk_buf_free(&b);
    free(big);
}

static void what_is_no_file(void **state)
{
    (void)state;
    struct bk_err err = {0};
    struct bk_buf b = BK_BUF_INIT;
    assert_int_equal(bk_read_file(".", 10, &b, &err), BAKE_E_IO);
    assert_string_equal(err.text, "cannot read '.': is a directory");
    assert_int_equal(bk_read_file("/dev/zero", 10, &b, &err), BAKE_E_IO);
    assert_string_equal(err.text, "cannot read '/dev/zero': not a file");
    assert_int_equal(bk_read_file("gone", 10, &b, &err), BAKE_E_NOTFOUND);
    assert_string_equal(err.text, "cannot open 'gone': no such file or directory");
    assert_int_equal(mkfifo("fifo", 0600), 0);
    assert_int_equal(bk_read_file("fifo", 10, &b, &err), 0); /* and does not wait for a writer */
    assert_int_equal(b.len, 0);
    bk_buf_clear(&b);
    assert_int_equal(bk_read_file("/proc/self/stat", 100000, &b, &err), 0); /* size 0 in stat */
    assert_true(b.len > 10);
    bk_buf_free(&b);
}

static void *write_slowly(void *arg)
{
    int fd = *(int *)arg;
    for (int i = 0; i < 200; i++) {
        assert_int_equal(bk_write_full(fd, "0123456789", 10), 0);
        if (i % 50 == 0)
            (void)usleep(2000);
    }
    (void)close(fd);
    return NULL;
}

static void short_reads(void **state)
{
    (void)state;
    for (int flags = 0; flags <= O_NONBLOCK; flags += O_NONBLOCK) {
        int fds[2];
        pthread_t thread;
        char data[3000];
        assert_int_equal(pipe2(fds, O_CLOEXEC | flags), 0);
        assert_int_equal(pthread_create(&thread, NULL, write_slowly, &fds[1]), 0);
        assert_int_equal(bk_read_full(fds[0], data, 1234), 1234);
        assert_int_equal(bk_read_full(fds[0], data + 1234, sizeof(data) - 1234), 2000 - 1234);
        for (int i = 0; i < 2000; i++)
            assert_int_equal(data[i], '0' + i % 10);
        assert_int_equal(pthread_join(thread, NULL), 0);
        (void)close(fds[0]);
    }
    errno = 0;
    char c;
    assert_int_equal(bk_read_full(-1, &c, 1), -1);
    assert_int_equal(errno, EBADF);
    assert_int_equal(bk_read_full(-1, &c, 0), 0);
    assert_int_equal(bk_write_full(-1, "x", 1), -1);
    assert_int_equal(errno, EBADF);
}

static void *read_slowly(void *arg)
{
    static char data[1 << 20];
    (void)usleep(20000);
    assert_int_equal(bk_read_full(*(int *)arg, data, sizeof(data)), sizeof(data));
    for (size_t i = 0; i < sizeof(data); i++)
        assert_int_equal(data[i], (char)(i % 251));
    return NULL;
}

static void short_writes(void **state)
{
    (void)state;
    char *data = malloc(1 << 20);
    assert_non_null(data);
    for (size_t i = 0; i < 1 << 20; i++)
        data[i] = (char)(i % 251);
    int fds[2];
    pthread_t thread;
    assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
    assert_int_equal(pthread_create(&thread, NULL, read_slowly, &fds[0]), 0);
    assert_int_equal(bk_write_full(fds[1], data, 1 << 20), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    (void)close(fds[0]);
    (void)close(fds[1]);
    free(data);
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_int_equal(bk_write_full(full, "x", 1), -1);
    assert_int_equal(errno, ENOSPC);
    (void)close(full);
}

static void a_failed_write_leaves_nothing(void **state)
{
    (void)state;
    struct bk_err err = {0};
    struct bk_buf b = BK_BUF_INIT;
    assert_int_equal(bk_write_file("f", "old", 3, 0600, &err), 0);
    assert_int_equal(bk_write_file("no/f", "x", 1, 0600, &err), BAKE_E_NOTFOUND);
    assert_string_equal(err.text, "cannot write to directory 'no': no such file or directory");
    assert_int_equal(bk_write_file("no/f", "x", 1, 0600, NULL), BAKE_E_NOTFOUND);
    assert_int_equal(mkdir("d", 0700), 0);
    assert_int_equal(bk_write_file("d", "x", 1, 0600, &err), BAKE_E_IO);
    assert_string_equal(err.text, "cannot write 'd': is a directory");

    /* the disk is full, so to speak: files end at 4 KiB */
    char *big = calloc(1, 10000);
    assert_non_null(big);
    struct rlimit before, limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = before;
    limit.rlim_cur = 4096;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    int rc = bk_write_file("f", big, 10000, 0600, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    (void)signal(SIGXFSZ, handler);
    free(big);
    assert_int_equal(rc, BAKE_E_IO);
    assert_string_equal(err.text, "cannot write 'f': file too large");
    assert_int_equal(bk_read_file("f", 10, &b, &err), 0);
    assert_string_equal(b.data, "old");
    assert_int_equal(entries(), 2);
    bk_buf_free(&b);
}

static void long_names_and_links(void **state)
{
    (void)state;
    struct bk_err err = {0};
    char name[256];
    memset(name, 'n', 255);
    name[255] = '\0';
    assert_int_equal(bk_write_file(name, "x", 1, 0600, &err), 0);
    /* a symbolic link is replaced, not followed */
    assert_int_equal(symlink(name, "link"), 0);
    assert_int_equal(bk_write_file("link", "yy", 2, 0600, &err), 0);
    struct stat st;
    assert_int_equal(lstat("link", &st), 0);
    assert_true(S_ISREG(st.st_mode));
    assert_int_equal(stat(name, &st), 0);
    assert_int_equal(st.st_size, 1);
}

static void directories(void **state)
{
    struct place *p = *state;
    struct bk_err err = {0};
    char path[200];
    assert_int_equal(bk_mkdir_p("a/b//c/", 0750, &err), 0);
    assert_int_equal(mode_of("a"), 0750);
    assert_int_equal(mode_of("a/b"), 0750);
    assert_int_equal(mode_of("a/b/c"), 0750);
    assert_int_equal(chmod("a", 0700), 0);
    assert_int_equal(bk_mkdir_p("a/b/d", 0777, &err), 0);
    assert_int_equal(mode_of("a"), 0700); /* as it was */
    assert_int_equal(mode_of("a/b/d"), 0777);
    assert_int_equal(bk_mkdir_p("a/b", 0777, &err), 0);
    assert_int_equal(bk_mkdir_p("/", 0777, &err), 0);
    assert_int_equal(bk_mkdir_p(".", 0777, &err), 0);
    (void)snprintf(path, sizeof(path), "%s/x/y", p->dir);
    assert_int_equal(bk_mkdir_p(path, 0755, &err), 0);
    assert_int_equal(mode_of("x/y"), 0755);
    assert_int_equal(symlink("a", "link"), 0);
    assert_int_equal(bk_mkdir_p("link/e", 0755, &err), 0);
    assert_int_equal(mode_of("a/e"), 0755);

    assert_int_equal(bk_mkdir_p("", 0755, &err), BAKE_E_NOTFOUND);
    assert_int_equal(bk_write_file("f", "x", 1, 0600, &err), 0);
    assert_int_equal(bk_mkdir_p("f", 0755, &err), BAKE_E_IO);
    assert_string_equal(err.text, "cannot create directory 'f': not a directory");
    assert_int_equal(bk_mkdir_p("f/g", 0755, &err), BAKE_E_IO);
    assert_int_equal(symlink("nowhere", "dangling"), 0);
    assert_int_equal(bk_mkdir_p("dangling", 0755, &err), BAKE_E_NOTFOUND);

    assert_int_equal(bk_fsync_dir(".", &err), 0);
    assert_int_equal(bk_fsync_dir("f", &err), BAKE_E_IO);
    assert_int_equal(bk_fsync_dir("gone", &err), BAKE_E_NOTFOUND);
}

int main(void)
{
#define IN_PLACE(f) cmocka_unit_test_setup_teardown(f, enter, leave)
    const struct CMUnitTest tests[] = {
        IN_PLACE(write_and_read),       IN_PLACE(limits),
        IN_PLACE(what_is_no_file),      cmocka_unit_test(short_reads),
        cmocka_unit_test(short_writes), IN_PLACE(a_failed_write_leaves_nothing),
        IN_PLACE(long_names_and_links), IN_PLACE(directories)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
