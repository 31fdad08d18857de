/* Spooling: zstd at its fastest, into a file that no name leads to. */
#include "store/spool.h"

#include "base/io.h"
#include "base/num.h"
#include "base/path.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <zstd.h>

#define LEVEL       1
#define PIECE       (128u << 10)
#define MEMORY      (4u << 20) /* of zstd at that level: a window of 512 KiB and its tables */
#define CHECK_EVERY (UINT64_C(16) << 20) /* written bytes between two looks at the free space */

struct bk_spool {
    int fd;
    char *dir; /* for messages */
    uint64_t spare, size, unchecked;
    ZSTD_CStream *pack;
    ZSTD_DStream *unpack;
    struct bk_sha256 *sha;
    char *buffer; /* PIECE bytes: what was packed, or what is to be unpacked */
    size_t from, have;
    bool ended, frame_end;
};

static int check_room(struct bk_spool *s, struct bk_err *err)
{
    char have[24], need[24];
    struct statvfs fs;
    uint64_t room;

    if (fstatvfs(s->fd, &fs) < 0)
        return bk_fail_errno(err, errno, "cannot see how much is free in '%s'", s->dir);
    room = (uint64_t)fs.f_bavail * fs.f_frsize;
    s->unchecked = 0;
    if (room >= s->spare)
        return BAKE_OK;
    return bk_fail(err, BAKE_E_NOSPACE,
                   "'%s' has %s free; a stream is spooled there only while %s are\n"
                   "HINT: let TMPDIR name a directory with more room",
                   s->dir, bk_format_size(have, sizeof(have), room),
                   bk_format_size(need, sizeof(need), s->spare));
}

/* Not every file system makes files without a name; there it has one for a moment. */
static int open_named(struct bk_spool *s, struct bk_err *err)
{
    char *name = bk_asprintf("%s/bakengine-XXXXXX", s->dir);
    int e;

    if (!name)
        return bk_nomem(err);
    s->fd = mkostemp(name, O_CLOEXEC);
    e = errno;
    if (s->fd >= 0)
        (void)unlink(name);
    free(name);
    return s->fd >= 0 ? BAKE_OK : bk_fail_errno(err, e, "cannot make a file in '%s'", s->dir);
}

static int open_file(struct bk_spool *s, struct bk_err *err)
{
    s->fd = open(s->dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (s->fd >= 0)
        return BAKE_OK;
    if (errno == EOPNOTSUPP || errno == EISDIR)
        return open_named(s, err);
    return bk_fail_errno(err, errno, "cannot make a file in '%s'", s->dir);
}

static int begin(struct bk_spool *s, struct bk_err *err)
{
    int rc;

    s->pack = ZSTD_createCStream();
    s->buffer = malloc(PIECE);
    if (!s->dir || !s->pack || !s->buffer ||
        ZSTD_isError(ZSTD_CCtx_setParameter(s->pack, ZSTD_c_compressionLevel, LEVEL)))
        return bk_nomem(err);
    if ((rc = bk_sha256_new(&s->sha, err)) < 0 || (rc = open_file(s, err)) < 0)
        return rc;
    return check_room(s, err);
}

int bk_spool_new(const char *dir, uint64_t spare, struct bk_spool **ret, struct bk_err *err)
{
    struct bk_spool *s = calloc(1, sizeof(*s));
    const char *place = dir ? dir : getenv("TMPDIR");
    int rc;

    if (!s)
        return bk_nomem(err);
    s->fd = -1;
    s->spare = spare;
    s->dir = bk_strdup(place && *place ? place : "/var/tmp");
    rc = begin(s, err);
    if (rc < 0) {
        bk_spool_free(s);
        return rc;
    }
    *ret = s;
    return BAKE_OK;
}

static int put(struct bk_spool *s, size_t n, struct bk_err *err)
{
    if (n > 0 && bk_write_full(s->fd, s->buffer, n) < 0)
        return bk_fail_errno(err, errno, "cannot spool into '%s'", s->dir);
    s->unchecked += n;
    return s->unchecked >= CHECK_EVERY ? check_room(s, err) : BAKE_OK;
}

static int compress(struct bk_spool *s, ZSTD_inBuffer *in, ZSTD_EndDirective op, struct bk_err *err)
{
    size_t left;

    do {
        ZSTD_outBuffer out = {s->buffer, PIECE, 0};
        int rc;

        left = ZSTD_compressStream2(s->pack, &out, in, op);
        if (ZSTD_isError(left))
            return bk_fail(err, BAKE_E_INTERNAL, "cannot compress what is spooled: %s",
                           ZSTD_getErrorName(left));
        if ((rc = put(s, out.pos, err)) < 0)
            return rc;
    } while (op == ZSTD_e_end ? left > 0 : in->pos < in->size);
    return BAKE_OK;
}

int bk_spool_write(struct bk_spool *s, const void *data, size_t n, struct bk_err *err)
{
    ZSTD_inBuffer in = {data, n, 0};

    bk_sha256_add(s->sha, data, n);
    s->size += n;
    return n > 0 ? compress(s, &in, ZSTD_e_continue, err) : BAKE_OK;
}

int bk_spool_end(struct bk_spool *s, uint64_t *ret_size, char ret_sha256[BK_SHA256_HEX],
                 struct bk_err *err)
{
    ZSTD_inBuffer in = {NULL, 0, 0};
    int rc = compress(s, &in, ZSTD_e_end, err);

    if (rc < 0)
        return rc;
    (void)ZSTD_freeCStream(s->pack);
    s->pack = NULL;
    s->unpack = ZSTD_createDStream();
    if (!s->unpack)
        return bk_nomem(err);
    if (lseek(s->fd, 0, SEEK_SET) < 0)
        return bk_fail_errno(err, errno, "cannot read what was spooled into '%s'", s->dir);
    s->ended = true;
    *ret_size = s->size;
    bk_sha256_end_hex(s->sha, ret_sha256);
    return BAKE_OK;
}

static int damaged(struct bk_spool *s, struct bk_err *err)
{
    return bk_fail(err, BAKE_E_IO, "what was spooled into '%s' does not read back", s->dir);
}

int bk_spool_read(struct bk_spool *s, struct bake_out *out, struct bk_err *err)
{
    size_t start = out->pos;

    if (!s->ended)
        return bk_fail(err, BAKE_E_INTERNAL, "a spool is read before its end");
    while (out->pos == start && !s->frame_end) {
        ZSTD_outBuffer o = {out->data, out->size, out->pos};
        ZSTD_inBuffer i = {s->buffer, s->have, s->from};
        size_t left;

        if (s->from == s->have) {
            ssize_t n = bk_read_full(s->fd, s->buffer, PIECE);

            if (n < 0)
                return bk_fail_errno(err, errno, "cannot read what was spooled into '%s'", s->dir);
            if (n == 0)
                return damaged(s, err);
            i = (ZSTD_inBuffer){s->buffer, (size_t)n, 0};
            s->have = (size_t)n;
        }
        left = ZSTD_decompressStream(s->unpack, &o, &i);
        if (ZSTD_isError(left))
            return damaged(s, err);
        s->frame_end = left == 0;
        s->from = i.pos;
        out->pos = o.pos;
    }
    return out->pos > start ? BAKE_OK : BAKE_END;
}

void bk_spool_free(struct bk_spool *s)
{
    if (!s)
        return;
    if (s->fd >= 0)
        (void)close(s->fd);
    (void)ZSTD_freeCStream(s->pack);
    (void)ZSTD_freeDStream(s->unpack);
    bk_sha256_free(s->sha);
    free(s->buffer);
    free(s->dir);
    free(s);
}

uint64_t bk_spool_memory(void) { return MEMORY + PIECE; }
