/* What the log archive's tests share: a store of memory sinks and a file to put. */
#ifndef WALKIT_H
#define WALKIT_H

#include "storekit.h"

#include "base/io.h"
#include "store/wal.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STREAM "7301234567890123456"
#define LOG    "00000001/000000010000000000000005"
#define OBJECT "wal/" STREAM "/" LOG

struct wk {
    struct kit k;
    char dir[64], path[80], copy[80];
    char *bytes;
    size_t n;
};

static inline void wk_file(struct wk *w, const void *data, size_t n)
{
    assert_int_equal(bk_write_file(w->path, data, n, 0600, &w->k.err), 0);
}

static inline void wk_init(struct wk *w, size_t n_sinks, size_t n_transforms)
{
    memset(w, 0, sizeof(*w));
    kit_init(&w->k, n_sinks, n_transforms);
    w->k.pipeline.require = BK_REQUIRE_ANY;
    kit_must_open(&w->k);
    for (size_t i = 0; i < n_sinks; i++)
        ms_heal(&w->k.ms[i]);
    (void)snprintf(w->dir, sizeof(w->dir), "/tmp/bake-wal.XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    (void)snprintf(w->path, sizeof(w->path), "%s/log", w->dir);
    (void)snprintf(w->copy, sizeof(w->copy), "%s/copy", w->dir);
    w->n = 700001; /* several of each buffer on the way */
    w->bytes = kit_bytes(w->n, 3);
    wk_file(w, w->bytes, w->n);
}

static inline void wk_release(struct wk *w)
{
    (void)unlink(w->path);
    (void)unlink(w->copy);
    assert_int_equal(rmdir(w->dir), 0); /* nothing else is left there */
    kit_release(&w->k);
    free(w->bytes);
}

static inline int wk_put(struct wk *w)
{
    bk_err_clear(&w->k.err);
    return bk_wal_put(w->k.store, STREAM, LOG, w->path, &w->k.err);
}

static inline int wk_get(struct wk *w)
{
    bk_err_clear(&w->k.err);
    return bk_wal_get(w->k.store, STREAM, LOG, w->copy, &w->k.err);
}

static inline void wk_must_put(struct wk *w)
{
    if (wk_put(w) != 0)
        fail_msg("%s", w->k.err.text);
}

/* The copy is the file. */
static inline void wk_same(struct wk *w)
{
    struct bk_buf b = BK_BUF_INIT;
    struct stat st;

    if (wk_get(w) != 0)
        fail_msg("%s", w->k.err.text);
    assert_int_equal(bk_read_file(w->copy, 1u << 22, &b, &w->k.err), 0);
    assert_int_equal(b.len, w->n);
    assert_memory_equal(b.data, w->bytes, w->n);
    assert_int_equal(stat(w->copy, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    bk_buf_free(&b);
}

static inline void wk_flip(struct wk *w, size_t sink, size_t at)
{
    struct ms_object *o = ms_find(&w->k.ms[sink], OBJECT);

    assert_non_null(o);
    o->data[at < o->n ? at : o->n - 1] ^= 1;
}

#endif
