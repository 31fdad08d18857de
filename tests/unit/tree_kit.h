/* What the tests of the extractor share: a host that remembers, a scratch directory, short ways
 * to put entries. Everything is static: each test is one program. */
#ifndef TREE_KIT_H
#define TREE_KIT_H

#include "tree/extract.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define UNUSED __attribute__((unused))
#define SEC    1000000000LL
#define T0     (1500000000LL * SEC + 123456789)

struct kit {
    struct bake_ctx ctx; /* first */
    char error[2000], reports[8000];
    int notices, warnings;
    char dir[200], root[220]; /* scratch; root is what is restored into */
    struct bkc_extract *x;
};

static void kit_log(struct bake_ctx *c, int level, const char *fmt, va_list ap)
{
    (void)c;
    (void)level;
    (void)fmt;
    (void)ap;
}
static int kit_cancelled(struct bake_ctx *c)
{
    (void)c;
    return 0;
}
static int kit_cancel_fd(struct bake_ctx *c)
{
    (void)c;
    return -1;
}
static void BAKE_PRINTF(4, 0)
    kit_report(struct bake_ctx *c, int severity, const char *subject, const char *fmt, va_list ap)
{
    struct kit *k = (struct kit *)c;
    size_t n = strlen(k->reports);
    char text[1000];

    (void)vsnprintf(text, sizeof(text), fmt, ap);
    (void)snprintf(k->reports + n, sizeof(k->reports) - n, "%.300s: %s\n", subject ? subject : "",
                   text);
    *(severity == BAKE_NOTICE ? &k->notices : &k->warnings) += 1;
}
static int BAKE_PRINTF(3, 0) kit_fail(struct bake_ctx *c, int rc, const char *fmt, va_list ap)
{
    struct kit *k = (struct kit *)c;

    (void)vsnprintf(k->error, sizeof(k->error), fmt, ap);
    return rc;
}
static int kit_sleep(struct bake_ctx *c, uint32_t ms)
{
    (void)c;
    (void)ms;
    return BAKE_OK;
}

static const struct bake_host kit_host = {
    .struct_size = sizeof(struct bake_host),
    .abi_major = BAKE_ABI_MAJOR,
    .abi_minor = BAKE_ABI_MINOR,
    .vlog = kit_log,
    .cancelled = kit_cancelled,
    .cancel_fd = kit_cancel_fd,
    .vreport = kit_report,
    .vfail = kit_fail,
    .sleep_ms = kit_sleep,
};

/* ---- the scratch directory ------------------------------------------------------------------- */

static int kit_run(const char *const *argv)
{
    pid_t pid = fork();
    int status = 0;

    if (pid == 0) {
        (void)execvp(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static int kit_remove(const char *path)
{
    const char *open_up[] = {"chmod", "-R", "u+rwx", "--", path, NULL};
    const char *rm[] = {"rm", "-rf", "--", path, NULL};

    if (geteuid() != 0) /* directories may be shut */
        (void)kit_run(open_up);
    return kit_run(rm);
}

static UNUSED int kit_setup(void **state)
{
    struct kit *k = calloc(1, sizeof(*k));
    const char *tmp = getenv("TMPDIR");

    assert_non_null(k);
    (void)umask(022);
    k->ctx.host = &kit_host;
    (void)snprintf(k->dir, sizeof(k->dir), "%.180s/bake-tree-XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(k->dir));
    assert_int_equal(chmod(k->dir, 0755), 0);
    (void)snprintf(k->root, sizeof(k->root), "%s/root", k->dir);
    assert_int_equal(mkdir(k->root, 0755), 0);
    *state = k;
    return 0;
}

static UNUSED int kit_teardown(void **state)
{
    struct kit *k = *state;

    bkc_extract_close(k->x);
    assert_int_equal(kit_remove(k->dir), 0);
    free(k);
    return 0;
}

static const char *kit_path(const struct kit *k, const char *rel)
{
    static char path[2][8192];
    static int turn;
    char *p = path[turn++ % 2];

    (void)snprintf(p, sizeof(path[0]), "%s/%s", k->root, rel);
    return p;
}

static UNUSED void kit_open(struct kit *k, int force)
{
    struct bkc_extract_opts o = {.root = k->root, .force = force, .parent_mode = 0755};

    bkc_extract_close(k->x);
    k->x = NULL;
    assert_int_equal(bkc_extract_open(&k->ctx, &o, &k->x), BAKE_OK);
}

static UNUSED void kit_finish(struct kit *k)
{
    assert_int_equal(bkc_extract_finish(k->x), BAKE_OK);
}

static UNUSED struct bkc_extract_counts kit_counts(const struct kit *k)
{
    struct bkc_extract_counts c;

    bkc_extract_counts(k->x, &c);
    return c;
}

/* ---- entries --------------------------------------------------------------------------------- */

static UNUSED struct bake_entry kit_entry(uint32_t type, const char *path)
{
    struct bake_entry e = {.struct_size = sizeof(e), .type = type, .path = path};

    e.valid = BAKE_HAS_MODE | BAKE_HAS_OWNER | BAKE_HAS_MTIME;
    e.mode = type == BAKE_DIR ? 0755 : 0644;
    e.uid = geteuid();
    e.gid = getegid();
    e.mtime_ns = T0;
    return e;
}

/* The whole of an entry's data in one piece. */
static UNUSED int kit_put(struct kit *k, const struct bake_entry *e, const char *data, size_t n)
{
    struct bake_in in = {data, n, 0};
    int rc = bkc_extract_put(k->x, e), end;

    if (rc != BAKE_OK)
        return rc;
    if (n)
        rc = bkc_extract_write(k->x, &in);
    end = bkc_extract_end(k->x, rc == BAKE_OK);
    return rc < 0 ? rc : end;
}

static UNUSED int kit_file(struct kit *k, const char *path, const char *text)
{
    struct bake_entry e = kit_entry(BAKE_FILE, path);

    e.size = strlen(text);
    return kit_put(k, &e, text, strlen(text));
}

static UNUSED int kit_dir(struct kit *k, const char *path, uint32_t mode)
{
    struct bake_entry e = kit_entry(BAKE_DIR, path);

    e.mode = mode;
    return kit_put(k, &e, NULL, 0);
}

static UNUSED int kit_link(struct kit *k, uint32_t type, const char *path, const char *link)
{
    struct bake_entry e = kit_entry(type, path);

    e.link = link;
    return kit_put(k, &e, NULL, 0);
}

/* ---- what came of it ------------------------------------------------------------------------- */

static UNUSED struct stat kit_stat(const struct kit *k, const char *rel)
{
    struct stat st;

    if (lstat(kit_path(k, rel), &st) < 0)
        fail_msg("'%s': %s", rel, strerror(errno));
    return st;
}

static UNUSED int kit_absent(const struct kit *k, const char *rel)
{
    struct stat st;

    return lstat(kit_path(k, rel), &st) < 0 && errno == ENOENT;
}

static UNUSED void kit_content(const char *path, const char *want)
{
    char got[4096];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n;

    if (fd < 0)
        fail_msg("'%s': %s", path, strerror(errno));
    n = read(fd, got, sizeof(got) - 1);
    (void)close(fd);
    assert_true(n >= 0);
    got[n] = '\0';
    assert_string_equal(got, want);
}

static UNUSED void kit_write(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    (void)close(fd);
}

static int kit_found_tmp;
static int kit_is_tmp(const char *path, const struct stat *st, int flag, struct FTW *f)
{
    (void)st;
    (void)flag;
    kit_found_tmp += strncmp(path + f->base, ".bake-", 6) == 0;
    return 0;
}
/* No temporary name is left anywhere. */
static UNUSED void kit_no_tmp(const struct kit *k)
{
    kit_found_tmp = 0;
    assert_int_equal(nftw(k->dir, kit_is_tmp, 20, FTW_PHYS), 0);
    assert_int_equal(kit_found_tmp, 0);
}

#endif
