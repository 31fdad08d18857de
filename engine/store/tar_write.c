/* The tar writer: entries to libarchive's pax writer, its headers corrected, small pieces joined.
 */
#include "base/cleanup.h"
#include "store/tar.h"
#include "store/tar_acl.h"
#include "store/tar_fix.h"

#include <archive.h>
#include <errno.h>
#include <string.h>

#define NS     1000000000LL
#define JOINED (128u << 10) /* pieces up to this are joined before they are emitted */
#define DIRECT (16u << 10)  /* from this on they are passed on as they are */

struct bk_tarw {
    int (*emit)(void *arg, const void *data, size_t n);
    void *arg;
    int emit_rc; /* what emit() failed with */
    struct archive *a;
    struct archive_entry *ae;
    char *buf; /* JOINED bytes */
    size_t used;
    bool in_header;
    struct bk_buf head, scratch;
    struct bake_extent *extents; /* of the file being written */
    size_t n_extents, cap_extents, at;
    uint64_t at_done, pos, size;
    bool open; /* between entry and end_entry */
};

static const char zeros[256u << 10];

/* ---- towards emit() -------------------------------------------------------------------------- */

static int emit(struct bk_tarw *w, const void *data, size_t n)
{
    if (w->emit_rc >= 0 && n)
        w->emit_rc = w->emit(w->arg, data, n);
    return w->emit_rc;
}

static int flush(struct bk_tarw *w)
{
    size_t n = w->used;

    w->used = 0;
    return emit(w, w->buf, n);
}

static int pass(struct bk_tarw *w, const char *data, size_t n)
{
    if (n >= DIRECT)
        return flush(w) < 0 ? w->emit_rc : emit(w, data, n);
    if (w->used + n > JOINED && flush(w) < 0)
        return w->emit_rc;
    memcpy(w->buf + w->used, data, n);
    w->used += n;
    return w->emit_rc;
}

static la_ssize_t on_write(struct archive *a, void *arg, const void *data, size_t n)
{
    struct bk_tarw *w = arg;

    if (w->in_header) {
        if (bk_buf_add(&w->head, data, n) == 0)
            return (la_ssize_t)n;
        archive_set_error(a, ENOMEM, "out of memory");
        return -1;
    }
    return pass(w, data, n) < 0 ? -1 : (la_ssize_t)n;
}

/* What to return once libarchive has refused something. */
static int failed(struct bk_tarw *w, const char *path, struct bk_err *err)
{
    const char *why = archive_error_string(w->a);

    if (w->emit_rc < 0)
        return w->emit_rc;
    return bk_fail(err, BAKE_E_INTERNAL, "cannot write '%s' into the archive: %s", path,
                   why ? why : "no reason given");
}

/* ---- entries --------------------------------------------------------------------------------- */

static int type_of(uint32_t type)
{
    switch (type) {
    case BAKE_DIR:
        return AE_IFDIR;
    case BAKE_SYMLINK:
        return AE_IFLNK;
    case BAKE_CHARDEV:
        return AE_IFCHR;
    case BAKE_BLOCKDEV:
        return AE_IFBLK;
    case BAKE_FIFO:
        return AE_IFIFO;
    default:
        return AE_IFREG;
    }
}

/* libarchive writes the seconds with their sign and then the fraction, and takes positive ones
 * only: -1.5 s is -1 and .5 */
static void set_time(struct archive_entry *ae, int64_t ns, struct bk_tar_fix *fix)
{
    int64_t frac = ns % NS;

    fix->minus_zero = ns < 0 && ns > -NS;
    archive_entry_set_mtime(ae, (time_t)(ns / NS), (long)(frac < 0 ? -frac : frac));
}

static bool plain_name(const char *name)
{
    for (; *name; name++)
        if (*name <= ' ' || *name >= 0x7f)
            return false;
    return true;
}

static int set_xattrs(struct bk_tarw *w, const struct bake_entry *e, struct bk_tar_fix *fix,
                      struct bk_err *err)
{
    const char *p = e->xattrs;
    size_t left = p && (e->valid & BAKE_HAS_XATTRS) ? e->xattrs_size : 0;

    while (left) {
        size_t name = strnlen(p, left), n;
        const unsigned char *len = (const unsigned char *)p + name + 1;

        if (name == 0 || left - name < 5)
            return bk_fail(err, BAKE_E_UNSUPPORTED, "the attributes of '%s' are broken", e->path);
        n = len[0] | (size_t)len[1] << 8 | (size_t)len[2] << 16 | (size_t)len[3] << 24;
        if (n > left - name - 5)
            return bk_fail(err, BAKE_E_UNSUPPORTED, "the attributes of '%s' are broken", e->path);
        if (bk_acl_to_archive(w->ae, p, len + 4, n)) {
            if (strcmp(p, BK_ACL_ACCESS) == 0)
                fix->mode = (int)(e->mode & 07777);
        } else {
            fix->odd_xattrs = fix->odd_xattrs || !plain_name(p);
            archive_entry_xattr_add_entry(w->ae, p, len + 4, n);
        }
        p += name + 5 + n;
        left -= name + 5 + n;
    }
    return BAKE_OK;
}

static void set_extents(struct bk_tarw *w, const struct bake_entry *e, struct bk_tar_fix *fix)
{
    if (e->type != BAKE_FILE || !e->extents || e->size == 0)
        return;
    if (strlen(e->path) > 90)
        fix->sparse_name = e->path;
    for (size_t i = 0; i < e->n_extents; i++)
        archive_entry_sparse_add_entry(w->ae, (int64_t)e->extents[i].offset,
                                       (int64_t)e->extents[i].length);
    if (e->n_extents == 0) /* a hole from end to end */
        archive_entry_sparse_add_entry(w->ae, (int64_t)e->size, 0);
}

static int fill(struct bk_tarw *w, const struct bake_entry *e, struct bk_tar_fix *fix,
                struct bk_err *err)
{
    struct archive_entry *ae = w->ae;
    int rc = BAKE_OK;

    archive_entry_clear(ae);
    archive_entry_copy_pathname(ae, e->path);
    archive_entry_set_filetype(ae, (unsigned)type_of(e->type));
    archive_entry_set_perm(ae, e->valid & BAKE_HAS_MODE ? e->mode & 07777
                               : e->type == BAKE_DIR    ? 0755
                                                        : 0644);
    if (e->valid & BAKE_HAS_OWNER) {
        archive_entry_set_uid(ae, e->uid);
        archive_entry_set_gid(ae, e->gid);
        archive_entry_copy_uname(ae, e->user);
        archive_entry_copy_gname(ae, e->group);
    }
    if (e->valid & BAKE_HAS_MTIME)
        set_time(ae, e->mtime_ns, fix);
    if (e->type == BAKE_SYMLINK)
        archive_entry_copy_symlink(ae, e->link);
    if (e->type == BAKE_HARDLINK)
        archive_entry_copy_hardlink(ae, e->link);
    else
        rc = set_xattrs(w, e, fix, err); /* a hard link's stand with its first name */
    if (e->type == BAKE_CHARDEV || e->type == BAKE_BLOCKDEV) {
        archive_entry_set_rdevmajor(ae, e->dev_major);
        archive_entry_set_rdevminor(ae, e->dev_minor);
        fix->devices = e->dev_major >= 1u << 18 || e->dev_minor >= 1u << 18;
    }
    archive_entry_set_size(ae, e->type == BAKE_FILE ? (int64_t)e->size : 0);
    set_extents(w, e, fix);
    return rc;
}

/* Ascending, apart, within the file; kept, as the entry is the caller's. */
static int keep_extents(struct bk_tarw *w, const struct bake_entry *e, struct bk_err *err)
{
    uint64_t end = 0;

    w->n_extents = e->type != BAKE_FILE ? 0 : e->extents ? e->n_extents : 1;
    w->size = e->type == BAKE_FILE ? e->size : 0;
    w->at = 0;
    w->at_done = w->pos = 0;
    if (w->n_extents > w->cap_extents) {
        void *more = reallocarray(w->extents, w->n_extents, sizeof(*w->extents));

        if (!more)
            return bk_nomem(err);
        w->extents = more;
        w->cap_extents = w->n_extents;
    }
    for (size_t i = 0; i < w->n_extents; i++) {
        struct bake_extent x = e->extents ? e->extents[i] : (struct bake_extent){0, e->size};

        if (x.offset < end || x.offset > w->size || x.length > w->size - x.offset)
            return bk_fail(err, BAKE_E_UNSUPPORTED, "the map of holes of '%s' is broken", e->path);
        end = x.offset + x.length;
        w->extents[i] = x;
    }
    return BAKE_OK;
}

static int check(const struct bake_entry *e, struct bk_err *err)
{
    bool link = e->type == BAKE_SYMLINK || e->type == BAKE_HARDLINK;

    if (e->type < BAKE_FILE || e->type > BAKE_FIFO)
        return bk_fail(err, BAKE_E_UNSUPPORTED, "'%s' is of a type that a tar cannot hold",
                       e->path);
    if (!e->path || !*e->path || (link && (!e->link || !*e->link)))
        return bk_fail(err, BAKE_E_UNSUPPORTED, "an entry without a name, or a link to nothing");
    if (e->size > INT64_MAX / 2)
        return bk_fail(err, BAKE_E_UNSUPPORTED, "'%s' is too large", e->path);
    return BAKE_OK;
}

int bk_tarw_entry(struct bk_tarw *w, const struct bake_entry *e, struct bk_err *err)
{
    struct bk_tar_fix fix = {.mode = -1};
    const char *data;
    size_t n;
    int rc;

    if (w->emit_rc < 0)
        return w->emit_rc;
    if (w->open)
        return bk_fail(err, BAKE_E_INTERNAL, "the tar entry before was not ended");
    rc = check(e, err);
    if (rc == BAKE_OK)
        rc = keep_extents(w, e, err);
    if (rc == BAKE_OK)
        rc = fill(w, e, &fix, err);
    if (rc < 0)
        return rc;
    bk_buf_clear(&w->head);
    w->in_header = true;
    rc = archive_write_header(w->a, w->ae);
    w->in_header = false;
    if (rc != ARCHIVE_OK) /* a warning would be about something that is left out */
        return failed(w, e->path, err);
    rc = bk_tar_fix(&fix, &w->head, &w->scratch, &data, &n, err);
    if (rc < 0)
        return rc;
    w->open = true;
    return pass(w, data, n);
}

/* ---- data ------------------------------------------------------------------------------------ */

static int put(struct bk_tarw *w, const void *data, size_t n, struct bk_err *err)
{
    while (n) {
        la_ssize_t put = archive_write_data(w->a, data, n);

        if (put <= 0)
            return failed(w, "data", err);
        data = (const char *)data + put;
        n -= (size_t)put;
        w->pos += (uint64_t)put;
    }
    return BAKE_OK;
}

/* libarchive wants the holes as well, and drops them. */
static int hole(struct bk_tarw *w, uint64_t to, struct bk_err *err)
{
    int rc = BAKE_OK;

    while (rc == BAKE_OK && w->pos < to)
        rc =
            put(w, zeros, to - w->pos < sizeof(zeros) ? (size_t)(to - w->pos) : sizeof(zeros), err);
    return rc;
}

int bk_tarw_data(struct bk_tarw *w, const void *data, size_t n, struct bk_err *err)
{
    const char *p = data;

    if (w->emit_rc < 0)
        return w->emit_rc;
    while (n) {
        const struct bake_extent *x;
        size_t part;
        int rc;

        for (; w->at < w->n_extents && w->at_done == w->extents[w->at].length; w->at++)
            w->at_done = 0;
        if (!w->open || w->at == w->n_extents)
            return bk_fail(err, BAKE_E_INTERNAL, "more data than the tar entry's size");
        x = &w->extents[w->at];
        part = x->length - w->at_done < n ? (size_t)(x->length - w->at_done) : n;
        rc = hole(w, x->offset, err);
        if (rc == BAKE_OK)
            rc = put(w, p, part, err);
        if (rc < 0)
            return rc;
        w->at_done += part;
        p += part;
        n -= part;
    }
    return BAKE_OK;
}

int bk_tarw_end_entry(struct bk_tarw *w, struct bk_err *err)
{
    int rc;

    if (w->emit_rc < 0)
        return w->emit_rc;
    if (!w->open)
        return bk_fail(err, BAKE_E_INTERNAL, "no tar entry to end");
    for (size_t i = w->at; i < w->n_extents; i++)
        if (w->extents[i].length > (i == w->at ? w->at_done : 0))
            return bk_fail(err, BAKE_E_INTERNAL, "less data than the tar entry's size");
    rc = hole(w, w->size, err);
    if (rc < 0)
        return rc;
    w->open = false;
    return archive_write_finish_entry(w->a) == ARCHIVE_OK ? BAKE_OK : failed(w, "the end", err);
}

int bk_tarw_fill(struct bk_tarw *w, struct bk_err *err)
{
    int rc;

    if (w->emit_rc < 0)
        return w->emit_rc;
    if (!w->open)
        return BAKE_OK;
    w->at = w->n_extents;
    rc = hole(w, w->size, err);
    if (rc < 0)
        return rc;
    w->open = false;
    return archive_write_finish_entry(w->a) == ARCHIVE_OK ? BAKE_OK : failed(w, "the end", err);
}

int bk_tarw_finish(struct bk_tarw *w, struct bk_err *err)
{
    if (w->emit_rc < 0)
        return w->emit_rc;
    if (w->open)
        return bk_fail(err, BAKE_E_INTERNAL, "the tar entry before was not ended");
    if (archive_write_close(w->a) != ARCHIVE_OK)
        return failed(w, "the end", err);
    return flush(w) < 0 ? w->emit_rc : BAKE_OK;
}

/* ---- life ------------------------------------------------------------------------------------ */

int bk_tarw_new(int (*emit_fn)(void *arg, const void *data, size_t n), void *arg,
                struct bk_tarw **ret, struct bk_err *err)
{
    struct bk_tarw *w = calloc(1, sizeof(*w));

    if (!w)
        return bk_nomem(err);
    w->emit = emit_fn;
    w->arg = arg;
    w->buf = malloc(JOINED);
    w->a = archive_write_new();
    w->ae = archive_entry_new();
    if (!w->buf || !w->a || !w->ae) {
        bk_tarw_free(w);
        return bk_nomem(err);
    }
    /* names are bytes; see tar_fix.c */
    if (archive_write_set_format_pax(w->a) != ARCHIVE_OK ||
        archive_write_set_options(w->a, "pax:xattrheader=SCHILY,pax:hdrcharset=BINARY") !=
            ARCHIVE_OK ||
        archive_write_set_bytes_per_block(w->a, 0) != ARCHIVE_OK ||
        archive_write_open(w->a, w, NULL, on_write, NULL) != ARCHIVE_OK) {
        int rc = failed(w, "the start", err);

        bk_tarw_free(w);
        return rc;
    }
    *ret = w;
    return BAKE_OK;
}

void bk_tarw_free(struct bk_tarw *w)
{
    if (!w)
        return;
    if (w->emit_rc >= 0)
        w->emit_rc = BAKE_E_CANCELLED; /* closing must not emit anything any more */
    (void)archive_write_free(w->a);
    archive_entry_free(w->ae);
    bk_buf_free(&w->head);
    bk_buf_free(&w->scratch);
    free(w->extents);
    free(w->buf);
    free(w);
}
