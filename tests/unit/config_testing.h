/* What the unit tests of engine/config share: texts in, mistakes out as one string. */
#ifndef CONFIG_TESTING_H
#define CONFIG_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "config/diag.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static inline void add_mistake(void *arg, const char *file, struct bk_pos at, bool is_error,
                               const char *text)
{
    (void)file;
    (void)bk_buf_printf(arg, "%d:%d: %s%s\n", at.line, at.col, is_error ? "" : "notice: ", text);
}

/* "LINE:COL: text\n" for each; to be freed. */
static inline char *mistakes(const struct bk_diags *d)
{
    struct bk_buf b = BK_BUF_INIT;
    assert_int_equal(bk_buf_str(&b, ""), 0);
    bk_diags_each(d, add_mistake, &b);
    char *text = b.data ? bk_buf_take(&b) : calloc(1, 1);
    assert_non_null(text);
    return text;
}

static inline void assert_mistakes(const struct bk_diags *d, const char *wanted)
{
    char *got = mistakes(d);
    assert_string_equal(got, wanted);
    free(got);
}

/* A directory of its own for a test; removed with what write_file() put there. */
struct scratch {
    char dir[64];
    char path[128]; /* of the last file written */
};

static inline void scratch_make(struct scratch *s)
{
    (void)snprintf(s->dir, sizeof(s->dir), "/tmp/config-test-XXXXXX");
    assert_non_null(mkdtemp(s->dir));
}

static inline const char *write_file(struct scratch *s, const char *name, mode_t mode,
                                     const char *text, size_t n)
{
    (void)snprintf(s->path, sizeof(s->path), "%s/%s", s->dir, name);
    FILE *f = fopen(s->path, "we");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(s->path, mode), 0);
    return s->path;
}

static inline void scratch_remove(struct scratch *s, const char *const *names)
{
    for (; *names; names++) {
        (void)snprintf(s->path, sizeof(s->path), "%s/%s", s->dir, *names);
        (void)unlink(s->path);
    }
    assert_int_equal(rmdir(s->dir), 0);
}

#endif
