/* For the tests of the plugin loader: a directory of its own for each test, copies of plugins. */
#ifndef PLUGIN_DIR_H
#define PLUGIN_DIR_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "plugin/registry.h"
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

struct place {
    char root[64]; /* removed at the end; a/ and b/ are in it */
    char a[80], b[80];
    struct bk_err err;
};

static inline int place_setup(void **state)
{
    struct place *p = calloc(1, sizeof(*p));
    assert_non_null(p);
    (void)snprintf(p->root, sizeof(p->root), "/tmp/bake-plugin-XXXXXX");
    assert_non_null(mkdtemp(p->root));
    (void)snprintf(p->a, sizeof(p->a), "%s/a", p->root);
    (void)snprintf(p->b, sizeof(p->b), "%s/b", p->root);
    assert_int_equal(mkdir(p->a, 0700), 0);
    assert_int_equal(mkdir(p->b, 0700), 0);
    *state = p;
    return 0;
}

static inline int place_remove(const char *path, const struct stat *st, int type, struct FTW *w)
{
    (void)st;
    (void)type;
    (void)w;
    return remove(path);
}

static inline int place_teardown(void **state)
{
    struct place *p = *state;
    int rc = nftw(p->root, place_remove, 8, FTW_DEPTH | FTW_PHYS);
    (void)unsetenv("BAKENGINE_PLUGIN_PATH");
    free(p);
    return rc;
}

/* Copies the plugin `from` to dir/name, mode 0755; returns its path, owned by the caller. */
static inline char *place_copy(const char *from, const char *dir, const char *name)
{
    struct bk_buf b = BK_BUF_INIT;
    struct bk_err err = {0};
    char *to = bk_asprintf("%s/%s", dir, name);
    assert_non_null(to);
    assert_int_equal(bk_read_file(from, (size_t)1 << 26, &b, &err), 0);
    int fd = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
    assert_true(fd >= 0);
    assert_int_equal(bk_write_full(fd, b.data, b.len), 0);
    assert_int_equal(fchmod(fd, 0755), 0);
    assert_int_equal(close(fd), 0);
    bk_buf_free(&b);
    return to;
}

/* A registry over the ':'-separated dirs. */
static inline struct bk_registry *place_registry(const char *dirs)
{
    struct bk_registry *r = NULL;
    struct bk_err err = {0};
    assert_int_equal(setenv("BAKENGINE_PLUGIN_PATH", dirs, 1), 0);
    assert_int_equal(bk_registry_new(&r, &err), 0);
    return r;
}

#endif
