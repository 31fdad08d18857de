/* The tar reader: libarchive's entries as bake entries, with the holes left out. */
#include "base/cleanup.h"
#include "base/str.h"
#include "store/tar.h"
#include "store/tar_acl.h"

#include <archive.h>
#include <errno.h>
#include <string.h>

#define NS    1000000000LL
#define BLOCK 512

struct bk_tarr {
    int (*pull)(void *arg, const void **data, size_t *n);
    void *arg;
    int pull_rc; /* what pull() failed with; END: the stream has ended */
    struct archive *a;
    struct archive_entry *ae; /* libarchive's own */
    struct bk_buf path, xattrs;
    struct bake_extent *extents;
    size_t n_extents, cap_extents, at; /* at: the current one */
    uint64_t at_done;
    const char *block; /* what libarchive has lent: n bytes that belong at off */
    size_t block_n;
    uint64_t block_off;
    bool opened, in_file;
    char name[120]; /* the entry, for messages */
};

static la_ssize_t on_read(struct archive *a, void *arg, const void **data)
{
    struct bk_tarr *r = arg;
    size_t n = 0;

    if (r->pull_rc == BAKE_END)
        return 0;
    r->pull_rc = r->pull(r->arg, data, &n);
    if (r->pull_rc < 0) {
        archive_set_error(a, EIO, "the stream ended");
        return -1;
    }
    if (n == 0)
        r->pull_rc = BAKE_END;
    return (la_ssize_t)n;
}

static int damaged(struct bk_tarr *r, struct bk_err *err)
{
    const char *why = archive_error_string(r->a);
    char text[300];

    if (r->pull_rc < 0)
        return r->pull_rc;
    (void)bk_printable(text, sizeof(text), why ? why : "unreadable", why ? strlen(why) : 10);
    if (r->name[0])
        return bk_fail(err, BAKE_E_CORRUPT, "the tar stream is damaged at or after '%s': %s",
                       r->name, text);
    return bk_fail(err, BAKE_E_CORRUPT, "the tar stream is damaged at its start: %s", text);
}

/* ---- one entry ------------------------------------------------------------------------------- */

static int set_path(struct bk_tarr *r, struct bk_err *err)
{
    const char *p = archive_entry_pathname(r->ae);
    size_t n;

    if (!p || !*p)
        return bk_fail(err, BAKE_E_CORRUPT, "a tar entry after '%s' has no name", r->name);
    while (p[0] == '.' && p[1] == '/') {
        for (p += 2; *p == '/'; p++)
            ;
        if (!*p)
            p = ".";
    }
    n = strlen(p);
    while (n > 1 && p[n - 1] == '/')
        n--;
    bk_buf_clear(&r->path);
    if (bk_buf_add(&r->path, p, n) < 0)
        return bk_nomem(err);
    (void)bk_printable(r->name, sizeof(r->name), p, n);
    return BAKE_OK;
}

static int set_type(struct bk_tarr *r, struct bake_entry *e, struct bk_err *err)
{
    static const struct {
        unsigned ae;
        uint32_t type;
    } types[] = {{AE_IFREG, BAKE_FILE},    {AE_IFDIR, BAKE_DIR},      {AE_IFLNK, BAKE_SYMLINK},
                 {AE_IFCHR, BAKE_CHARDEV}, {AE_IFBLK, BAKE_BLOCKDEV}, {AE_IFIFO, BAKE_FIFO}};
    unsigned have = archive_entry_filetype(r->ae);

    e->link = archive_entry_hardlink(r->ae);
    if (e->link) {
        while (e->link[0] == '.' && e->link[1] == '/' && e->link[2])
            e->link += 2;
        e->type = BAKE_HARDLINK;
        return BAKE_OK;
    }
    for (size_t i = 0; i < BK_LEN(types); i++)
        if (types[i].ae == have)
            e->type = types[i].type;
    if (!e->type)
        return bk_fail(err, BAKE_E_CORRUPT, "tar entry '%s' is of an unknown type", r->name);
    if (e->type == BAKE_SYMLINK) {
        e->link = archive_entry_symlink(r->ae);
        if (!e->link)
            return bk_fail(err, BAKE_E_CORRUPT, "symbolic link '%s' has no target", r->name);
    }
    return BAKE_OK;
}

/* Before 1970 libarchive gives "-1.5" as -1 and .5; see tar_fix.c for what is between -1 and 0. */
static int64_t time_of(struct archive_entry *ae)
{
    int64_t sec = archive_entry_mtime(ae), ns = archive_entry_mtime_nsec(ae);

    if (sec > INT64_MAX / NS - 1 || sec < INT64_MIN / NS + 1)
        return sec < 0 ? INT64_MIN : INT64_MAX;
    if (sec < 0 || (sec == 0 && archive_entry_ctime_is_set(ae) && archive_entry_ctime(ae) == -1))
        ns = -ns;
    return sec * NS + ns;
}

static void add_xattr(struct bk_buf *out, const char *name, const void *value, size_t n)
{
    unsigned char len[4] = {(unsigned char)n, (unsigned char)(n >> 8), (unsigned char)(n >> 16),
                            (unsigned char)(n >> 24)};

    if (!*name)
        return;
    for (; *name; name++) { /* the two that tar writers encode, and libarchive leaves encoded */
        bool percent = strncmp(name, "%25", 3) == 0, equals = strncmp(name, "%3D", 3) == 0;

        bk_buf_char(out, equals ? '=' : *name);
        name += percent || equals ? 2 : 0;
    }
    bk_buf_char(out, '\0');
    bk_buf_add(out, len, sizeof(len));
    bk_buf_add(out, value, n);
}

static int add_acl(struct bk_tarr *r, int type, const char *name, int *mask)
{
    struct bk_buf acl = BK_BUF_INIT;
    int rc = bk_acl_from_archive(r->ae, type, &acl, mask);

    if (rc == BAKE_OK && acl.len)
        add_xattr(&r->xattrs, name, acl.data, acl.len);
    bk_buf_free(&acl);
    return rc;
}

static int set_xattrs(struct bk_tarr *r, struct bake_entry *e, struct bk_err *err)
{
    const char *name;
    const void *value;
    int mask = -1;
    size_t n;

    bk_buf_clear(&r->xattrs);
    for (int i = archive_entry_xattr_reset(r->ae); i > 0; i--)
        if (archive_entry_xattr_next(r->ae, &name, &value, &n) == ARCHIVE_OK && n <= UINT32_MAX)
            add_xattr(&r->xattrs, name, value, n);
    if (add_acl(r, ARCHIVE_ENTRY_ACL_TYPE_ACCESS, BK_ACL_ACCESS, &mask) < 0 ||
        add_acl(r, ARCHIVE_ENTRY_ACL_TYPE_DEFAULT, BK_ACL_DEFAULT, &mask) < 0 || r->xattrs.failed)
        return bk_nomem(err);
    if (mask >= 0) /* the mode shows the mask, libarchive the owning group's bits */
        e->mode = (e->mode & ~070u) | (uint32_t)mask << 3;
    e->xattrs = r->xattrs.len ? r->xattrs.data : NULL;
    e->xattrs_size = r->xattrs.len;
    return BAKE_OK;
}

static int add_extent(struct bk_tarr *r, uint64_t offset, uint64_t length)
{
    if (r->n_extents == r->cap_extents) {
        size_t cap = r->cap_extents ? 2 * r->cap_extents : 16;
        void *more = reallocarray(r->extents, cap, sizeof(*r->extents));

        if (!more)
            return BAKE_E_NOMEM;
        r->extents = more;
        r->cap_extents = cap;
    }
    r->extents[r->n_extents++] = (struct bake_extent){offset, length};
    return BAKE_OK;
}

static int set_extents(struct bk_tarr *r, struct bake_entry *e, struct bk_err *err)
{
    int count = archive_entry_sparse_reset(r->ae);
    la_int64_t offset, length;
    uint64_t end = 0;

    r->n_extents = r->at = 0;
    r->at_done = 0;
    r->block_n = 0;
    r->in_file = e->type == BAKE_FILE;
    if (!r->in_file)
        return BAKE_OK;
    if (count == 0)
        return add_extent(r, 0, e->size) == BAKE_OK ? BAKE_OK : bk_nomem(err);
    for (; count > 0 && archive_entry_sparse_next(r->ae, &offset, &length) == ARCHIVE_OK; count--) {
        if (offset < 0 || length < 0 || (uint64_t)offset < end || (uint64_t)offset > e->size ||
            (uint64_t)length > e->size - (uint64_t)offset)
            return bk_fail(err, BAKE_E_CORRUPT, "the map of holes of '%s' is broken", r->name);
        end = (uint64_t)offset + (uint64_t)length;
        if (length && add_extent(r, (uint64_t)offset, (uint64_t)length) < 0)
            return bk_nomem(err);
    }
    if (!r->extents && add_extent(r, 0, 0) < 0) /* a hole only: the array must not be NULL */
        return bk_nomem(err);
    if (end == 0)
        r->n_extents = 0;
    e->extents = r->extents;
    e->n_extents = r->n_extents;
    return BAKE_OK;
}

static int convert(struct bk_tarr *r, struct bake_entry *e, struct bk_err *err)
{
    int64_t size = archive_entry_size_is_set(r->ae) ? archive_entry_size(r->ae) : 0;
    int rc = set_path(r, err);

    memset(e, 0, sizeof(*e));
    e->struct_size = sizeof(*e);
    if (rc == BAKE_OK)
        rc = set_type(r, e, err);
    if (rc < 0)
        return rc;
    e->path = r->path.data;
    e->valid = BAKE_HAS_MODE | BAKE_HAS_OWNER | BAKE_HAS_MTIME | BAKE_HAS_XATTRS;
    e->mode = archive_entry_perm(r->ae) & 07777;
    e->uid = (uint32_t)archive_entry_uid(r->ae);
    e->gid = (uint32_t)archive_entry_gid(r->ae);
    e->user = archive_entry_uname(r->ae);
    e->group = archive_entry_gname(r->ae);
    e->mtime_ns = time_of(r->ae);
    if (e->type == BAKE_FILE) {
        if (size < 0)
            return bk_fail(err, BAKE_E_CORRUPT, "'%s' has an impossible size", r->name);
        e->size = (uint64_t)size;
    }
    if (e->type == BAKE_CHARDEV || e->type == BAKE_BLOCKDEV) {
        e->dev_major = (uint32_t)archive_entry_rdevmajor(r->ae);
        e->dev_minor = (uint32_t)archive_entry_rdevminor(r->ae);
    }
    rc = set_xattrs(r, e, err);
    return rc < 0 ? rc : set_extents(r, e, err);
}

/* ---- the stream ------------------------------------------------------------------------------ */

/* libarchive takes the end of the stream for the archive's end, wherever an entry has just ended.
 * A whole archive has a block of zeros there, which counts as read by then. */
static int at_end(struct bk_tarr *r, int64_t before, struct bk_err *err)
{
    const void *data;

    if (archive_filter_bytes(r->a, 0) - before < BLOCK)
        return bk_fail(err, BAKE_E_CORRUPT, "the tar stream is cut: it has no end mark after '%s'",
                       r->name);
    while (r->pull_rc == BAKE_OK)
        (void)on_read(r->a, r, &data); /* the padding behind, so that the whole stream was seen */
    return r->pull_rc < 0 ? r->pull_rc : BAKE_END;
}

/* A name that is not UTF-8 (or a locale that is not): libarchive warns, and gives its bytes as they
 * are. All its other warnings are about something that it has dropped. */
static bool only_charset(struct bk_tarr *r, int rc)
{
    const char *why = archive_error_string(r->a);

    return rc == ARCHIVE_WARN && why && strstr(why, "can't be converted");
}

int bk_tarr_next(struct bk_tarr *r, struct bake_entry *ret, struct bk_err *err)
{
    int64_t before;
    int rc;

    if (r->pull_rc < 0)
        return r->pull_rc;
    if (!r->opened && archive_read_open(r->a, r, NULL, on_read, NULL) != ARCHIVE_OK)
        return damaged(r, err);
    r->opened = true;
    if (r->ae && archive_read_data_skip(r->a) != ARCHIVE_OK)
        return damaged(r, err);
    before = archive_filter_bytes(r->a, 0);
    rc = archive_read_next_header(r->a, &r->ae);
    if (rc == ARCHIVE_EOF)
        return at_end(r, before, err);
    if (rc != ARCHIVE_OK && !only_charset(r, rc))
        return damaged(r, err);
    return convert(r, ret, err);
}

/* The next piece of data that libarchive has; OK | END */
static int more(struct bk_tarr *r, struct bk_err *err)
{
    const void *data = NULL;
    la_int64_t offset = 0;
    size_t n = 0;
    int rc = archive_read_data_block(r->a, &data, &n, &offset);

    if (rc == ARCHIVE_EOF)
        return BAKE_END;
    if (rc != ARCHIVE_OK)
        return damaged(r, err);
    r->block = data;
    r->block_n = n;
    r->block_off = (uint64_t)offset;
    return BAKE_OK;
}

static void skip_to(struct bk_tarr *r, uint64_t offset)
{
    uint64_t n = offset > r->block_off ? offset - r->block_off : 0;

    if (n > r->block_n)
        n = r->block_n;
    r->block += n;
    r->block_n -= (size_t)n;
    r->block_off += n;
}

int bk_tarr_read(struct bk_tarr *r, struct bake_out *out, struct bk_err *err)
{
    size_t start = out->pos;

    if (r->pull_rc < 0)
        return r->pull_rc;
    while (r->in_file && out->pos < out->size) {
        const struct bake_extent *x;
        uint64_t want;
        int rc;

        for (; r->at < r->n_extents && r->at_done == r->extents[r->at].length; r->at++)
            r->at_done = 0;
        if (r->at == r->n_extents)
            break;
        x = &r->extents[r->at];
        if (r->block_n)
            skip_to(r, x->offset + r->at_done);
        if (r->block_n == 0) {
            rc = more(r, err);
            if (rc == BAKE_END)
                return bk_fail(err, BAKE_E_CORRUPT, "'%s' is cut short in the tar", r->name);
            if (rc < 0)
                return rc;
            continue;
        }
        if (r->block_off != x->offset + r->at_done)
            return bk_fail(err, BAKE_E_CORRUPT, "the data of '%s' do not fit its map of holes",
                           r->name);
        want = x->length - r->at_done;
        want = want < r->block_n ? want : r->block_n;
        want = want < out->size - out->pos ? want : out->size - out->pos;
        memcpy((char *)out->data + out->pos, r->block, (size_t)want);
        out->pos += (size_t)want;
        r->at_done += want;
        skip_to(r, r->block_off + want);
    }
    return out->pos > start || start == out->size ? BAKE_OK : BAKE_END;
}

/* ---- life ------------------------------------------------------------------------------------ */

int bk_tarr_new(int (*pull)(void *arg, const void **data, size_t *n), void *arg,
                struct bk_tarr **ret, struct bk_err *err)
{
    struct bk_tarr *r = calloc(1, sizeof(*r));
    int rc;

    if (!r)
        return bk_nomem(err);
    r->pull = pull;
    r->arg = arg;
    r->a = archive_read_new();
    if (!r->a) {
        bk_tarr_free(r);
        return bk_nomem(err);
    }
    if (archive_read_support_format_tar(r->a) != ARCHIVE_OK) {
        rc = damaged(r, err);
        bk_tarr_free(r);
        return rc;
    }
    *ret = r;
    return BAKE_OK;
}

void bk_tarr_free(struct bk_tarr *r)
{
    if (!r)
        return;
    (void)archive_read_free(r->a);
    bk_buf_free(&r->path);
    bk_buf_free(&r->xattrs);
    free(r->extents);
    free(r);
}
