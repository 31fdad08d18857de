/* What the tests of the tar writer and reader share: streams in memory, packed attributes. */
#ifndef TAR_KIT_H
#define TAR_KIT_H

#include "base/buf.h"
#include "base/cleanup.h"
#include "store/tar.h"

#include <setjmp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define UNUSED __attribute__((unused))
#define SEC    1000000000LL
#define T0     (1500000000LL * SEC + 123456789)

/* u::rw-, u:1234:rw-, g::r--, m::rw-, o::--- in the kernel's order */
static UNUSED const char kit_acl[] = "\2\0\0\0"
                                     "\1\0\6\0\377\377\377\377"
                                     "\2\0\6\0\322\4\0\0"
                                     "\4\0\4\0\377\377\377\377"
                                     "\20\0\6\0\377\377\377\377"
                                     "\40\0\0\0\377\377\377\377";
/* u::rwx, g::r-x, g:99:rwx, m::rwx, o::r-x */
static UNUSED const char kit_dir_acl[] = "\2\0\0\0"
                                         "\1\0\7\0\377\377\377\377"
                                         "\4\0\5\0\377\377\377\377"
                                         "\10\0\7\0\143\0\0\0"
                                         "\20\0\7\0\377\377\377\377"
                                         "\40\0\5\0\377\377\377\377";
/* cap_net_raw+ep */
static UNUSED const char kit_caps[] = "\1\0\0\2\0\40\0\0\0\0\0\0\0\0\0\0\0\0\0";

struct stream {
    struct bk_buf b;
    size_t at, step; /* bytes lent at once; 0: all */
    size_t emits, stop_at;
};

static UNUSED int stream_emit(void *arg, const void *data, size_t n)
{
    struct stream *s = arg;

    s->emits++;
    if (s->stop_at && s->b.len + n > s->stop_at)
        return BAKE_E_CANCELLED;
    return bk_buf_add(&s->b, data, n);
}

static UNUSED int stream_pull(void *arg, const void **data, size_t *n)
{
    struct stream *s = arg;
    size_t left = s->b.len - s->at;

    *n = s->step && left > s->step ? s->step : left;
    *data = s->b.data + s->at;
    s->at += *n;
    return BAKE_OK;
}

static UNUSED size_t kit_pack(char *out, size_t at, const char *name, const void *value, size_t n)
{
    size_t len = strlen(name) + 1;

    memcpy(out + at, name, len);
    for (size_t i = 0; i < 4; i++)
        out[at + len + i] = (char)(n >> 8 * i);
    memcpy(out + at + len + 4, value, n);
    return at + len + 4 + n;
}

static UNUSED struct bake_entry kit_entry(uint32_t type, const char *path)
{
    struct bake_entry e = {.struct_size = sizeof(e), .type = type, .path = path};

    e.valid = BAKE_HAS_MODE | BAKE_HAS_OWNER | BAKE_HAS_MTIME | BAKE_HAS_XATTRS;
    e.mode = type == BAKE_DIR ? 0755 : type == BAKE_SYMLINK ? 0777 : 0644;
    e.mtime_ns = T0;
    return e;
}

static UNUSED void kit_write(struct bk_tarw *w, const struct bake_entry *e, const void *data,
                             size_t n)
{
    struct bk_err err = {0};
    int rc = bk_tarw_entry(w, e, &err);

    if (rc == BAKE_OK && n)
        rc = bk_tarw_data(w, data, n, &err);
    if (rc == BAKE_OK)
        rc = bk_tarw_end_entry(w, &err);
    if (rc != BAKE_OK)
        fail_msg("'%.100s': %s", e->path, err.text);
}

static UNUSED void kit_end(struct bk_tarw *w)
{
    struct bk_err err = {0};

    assert_int_equal(bk_tarw_finish(w, &err), BAKE_OK);
    bk_tarw_free(w);
}

static UNUSED struct bk_tarw *kit_writer(struct stream *s)
{
    struct bk_tarw *w = NULL;

    assert_int_equal(bk_tarw_new(stream_emit, s, &w, NULL), BAKE_OK);
    return w;
}

static UNUSED struct bk_tarr *kit_reader(struct stream *s)
{
    struct bk_tarr *r = NULL;

    s->at = 0;
    assert_int_equal(bk_tarr_new(stream_pull, s, &r, NULL), BAKE_OK);
    return r;
}

/* All bytes that the reader still has for the entry, in pieces of at most `step`. */
static UNUSED void kit_read(struct bk_tarr *r, struct bk_buf *into, size_t step)
{
    struct bk_err err = {0};
    char buf[4096];
    int rc;

    bk_buf_clear(into);
    do {
        struct bake_out out = {buf, step < sizeof(buf) ? step : sizeof(buf), 0};

        rc = bk_tarr_read(r, &out, &err);
        assert_int_equal(bk_buf_add(into, buf, out.pos), 0);
    } while (rc == BAKE_OK);
    if (rc != BAKE_END)
        fail_msg("%s", err.text);
}

static UNUSED bool kit_has_xattr(const struct bake_entry *e, const char *name, const void *value,
                                 size_t n)
{
    const char *p = e->xattrs, *end = p ? p + e->xattrs_size : NULL;

    while (p < end) {
        size_t len = strlen(p) + 1, m;
        const unsigned char *c = (const unsigned char *)p + len;

        m = c[0] | (size_t)c[1] << 8 | (size_t)c[2] << 16 | (size_t)c[3] << 24;
        if (strcmp(p, name) == 0)
            return m == n && memcmp(c + 4, value, n) == 0;
        p += len + 4 + m;
    }
    return false;
}

#endif
