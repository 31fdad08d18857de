/* The tar writer: entries to what the daemon extracts, ustar with pax headers where needed. Every
 * byte of a name is kept, and times to the nanosecond. Holes are written out: the daemon would not
 * make them again. */
#include "tar_impl.h"

#include "api.h"
#include "tree.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUFFER (128u << 10)
#define NS     1000000000

struct dk_tar {
    struct bake_ctx *ctx;
    dk_tar_emit_fn *emit;
    void *arg;
    char *prefix;
    unsigned char *buffer;
    size_t used;
    struct tar_text path, link, records, said;
    struct bake_extent *extents; /* of the file that is written */
    size_t n_extents, cap, at;
    uint64_t pos, size; /* within it */
    bool open;
};

static const char zeros[64u << 10];

static int to_upload(void *arg, const void *data, size_t n)
{
    return dk_upload_write(arg, data, n);
}

int dk_tar_open(struct bake_ctx *ctx, struct dk_upload *to, const char *prefix, struct dk_tar **ret)
{
    return dk_tar_open_to(ctx, to_upload, to, prefix, ret);
}

int dk_tar_open_to(struct bake_ctx *ctx, dk_tar_emit_fn *emit, void *arg, const char *prefix,
                   struct dk_tar **ret)
{
    struct dk_tar *t = calloc(1, sizeof(*t));
    if (!t)
        return dk_nomem(ctx);
    t->ctx = ctx;
    t->emit = emit;
    t->arg = arg;
    t->prefix = strdup(prefix);
    t->buffer = malloc(BUFFER);
    if (!t->prefix || !t->buffer) {
        dk_tar_close(t);
        return dk_nomem(ctx);
    }
    *ret = t;
    return BAKE_OK;
}

void dk_tar_close(struct dk_tar *t)
{
    if (!t)
        return;
    free(t->path.data);
    free(t->link.data);
    free(t->records.data);
    free(t->said.data);
    free(t->extents);
    free(t->buffer);
    free(t->prefix);
    free(t);
}

/* ---- bytes ----------------------------------------------------------------------------------- */

static int flush(struct dk_tar *t)
{
    size_t n = t->used;
    t->used = 0;
    return n > 0 ? t->emit(t->arg, t->buffer, n) : BAKE_OK;
}

static int put(struct dk_tar *t, const void *data, size_t n)
{
    int rc = BAKE_OK;
    if (t->used + n > BUFFER)
        rc = flush(t);
    if (rc != BAKE_OK || n == 0)
        return rc;
    if (n >= BUFFER / 2)
        return t->used > 0 && (rc = flush(t)) != BAKE_OK ? rc : t->emit(t->arg, data, n);
    memcpy(t->buffer + t->used, data, n);
    t->used += n;
    return BAKE_OK;
}

static int put_zeros(struct dk_tar *t, uint64_t n)
{
    int rc = BAKE_OK;
    while (n > 0 && rc == BAKE_OK) {
        size_t part = n < sizeof(zeros) ? (size_t)n : sizeof(zeros);
        rc = put(t, zeros, part);
        n -= part;
    }
    return rc;
}

static int pad(struct dk_tar *t, uint64_t size) { return put_zeros(t, -size % TAR_BLOCK); }

/* ---- pax records ----------------------------------------------------------------------------- */

/* "LEN KEY=VALUE\n", where LEN counts itself. */
static int record(struct dk_tar *t, const char *key, const void *value, size_t n)
{
    char number[32];
    size_t len = strlen(key) + n + 3, all = len + 1;
    for (int digits = 1; digits < 20; digits++) {
        all = len + (size_t)digits;
        if (snprintf(number, sizeof(number), "%zu", all) == digits)
            break;
    }
    int rc = tar_text_add(&t->records, number, strlen(number));
    if (rc == BAKE_OK)
        rc = tar_text_add(&t->records, " ", 1);
    if (rc == BAKE_OK)
        rc = tar_text_add(&t->records, key, strlen(key));
    if (rc == BAKE_OK)
        rc = tar_text_add(&t->records, "=", 1);
    if (rc == BAKE_OK)
        rc = tar_text_add(&t->records, value, n);
    return rc == BAKE_OK ? tar_text_add(&t->records, "\n", 1) : rc;
}

static int record_number(struct dk_tar *t, const char *key, uint64_t value)
{
    char text[32];
    int n = snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
    return record(t, key, text, (size_t)n);
}

static int record_time(struct dk_tar *t, int64_t ns)
{
    char text[48];
    uint64_t all = ns < 0 ? -(uint64_t)ns : (uint64_t)ns;
    int n = snprintf(text, sizeof(text), "%s%llu.%09llu", ns < 0 ? "-" : "",
                     (unsigned long long)(all / NS), (unsigned long long)(all % NS));
    return record(t, "mtime", text, (size_t)n);
}

static int record_xattr(struct dk_tar *t, const char *path, const char *name, const void *value,
                        size_t n)
{
    if (strchr(name, '=')) { /* the key would end there */
        bake_report(t->ctx, BAKE_WARNING, path, "attribute '%s' cannot be sent to the daemon",
                    name);
        return BAKE_OK;
    }
    int rc = tar_text_set(&t->said, "SCHILY.xattr.", 13);
    if (rc == BAKE_OK)
        rc = tar_text_add(&t->said, name, strlen(name));
    return rc == BAKE_OK ? record(t, t->said.data, value, n) : rc;
}

static int record_xattrs(struct dk_tar *t, const struct bake_entry *e)
{
    const char *p = e->xattrs;
    size_t left = p && (e->valid & BAKE_HAS_XATTRS) ? e->xattrs_size : 0;
    while (left > 0) {
        size_t name = strnlen(p, left);
        const unsigned char *len = (const unsigned char *)p + name + 1;
        if (name == 0 || left - name < 5)
            return BAKE_E_UNSUPPORTED;
        size_t n = len[0] | (size_t)len[1] << 8 | (size_t)len[2] << 16 | (size_t)len[3] << 24;
        if (n > left - name - 5)
            return BAKE_E_UNSUPPORTED;
        int rc = record_xattr(t, e->path, p, p + name + 5, n);
        if (rc != BAKE_OK)
            return rc;
        p += name + 5 + n;
        left -= name + 5 + n;
    }
    return BAKE_OK;
}

/* ---- one header ------------------------------------------------------------------------------ */

static void octal(unsigned char *to, size_t n, uint64_t value)
{
    to[n - 1] = '\0';
    for (size_t i = n - 1; i-- > 0; value >>= 3)
        to[i] = (unsigned char)('0' + (value & 7));
}

static bool fits(uint64_t value, unsigned digits) { return value >> (3 * digits) == 0; }

static char type_flag(uint32_t type)
{
    static const char flags[] = {
        [BAKE_FILE] = '0',    [BAKE_DIR] = '5',      [BAKE_SYMLINK] = '2', [BAKE_HARDLINK] = '1',
        [BAKE_CHARDEV] = '3', [BAKE_BLOCKDEV] = '4', [BAKE_FIFO] = '6'};
    return type >= BAKE_FILE && type <= BAKE_FIFO ? flags[type] : '\0';
}

/* One block. What does not fit into it stands in records. */
static int put_block(struct dk_tar *t, char flag, const struct bake_entry *e, uint64_t size)
{
    unsigned char b[TAR_BLOCK] = {0};
    bool pax = flag == 'x';
    int64_t s = e->mtime_ns > 0 ? e->mtime_ns / NS : 0;
    size_t path = t->path.n < 100 ? t->path.n : 100, link = t->link.n < 100 ? t->link.n : 100;
    memcpy(b, t->path.data, path);
    if (!pax && e->link && t->link.n > 0)
        memcpy(b + 157, t->link.data, link);
    octal(b + 100, 8, pax ? 0600 : e->mode & 07777);
    octal(b + 108, 8, fits(e->uid, 7) ? e->uid : 0);
    octal(b + 116, 8, fits(e->gid, 7) ? e->gid : 0);
    octal(b + 124, 12, fits(size, 11) ? size : 0);
    octal(b + 136, 12, fits((uint64_t)s, 11) ? (uint64_t)s : 0);
    memset(b + 148, ' ', 8);
    b[156] = (unsigned char)flag;
    memcpy(b + 257,
           "ustar\0"
           "00",
           8);
    octal(b + 329, 8, pax ? 0 : e->dev_major);
    octal(b + 337, 8, pax ? 0 : e->dev_minor);
    uint32_t sum = 0;
    for (size_t i = 0; i < TAR_BLOCK; i++)
        sum += b[i];
    octal(b + 148, 7, sum);
    b[155] = ' ';
    return put(t, b, TAR_BLOCK);
}

static int make_records(struct dk_tar *t, const struct bake_entry *e, uint64_t size)
{
    int rc = BAKE_OK;
    t->records.n = 0;
    if (t->path.n > 100)
        rc = record(t, "path", t->path.data, t->path.n);
    if (rc == BAKE_OK && e->link && t->link.n > 100)
        rc = record(t, "linkpath", t->link.data, t->link.n);
    if (rc == BAKE_OK && !fits(e->uid, 7))
        rc = record_number(t, "uid", e->uid);
    if (rc == BAKE_OK && !fits(e->gid, 7))
        rc = record_number(t, "gid", e->gid);
    if (rc == BAKE_OK && !fits(size, 11))
        rc = record_number(t, "size", size);
    if (rc == BAKE_OK && (e->mtime_ns < 0 || e->mtime_ns % NS != 0 || e->mtime_ns / NS >> 33))
        rc = record_time(t, e->mtime_ns);
    if (rc == BAKE_OK && e->type != BAKE_HARDLINK)
        rc = record_xattrs(t, e);
    return rc;
}

/* prefix, '/', path; of a directory with a '/' at its end */
static int in_prefix(struct dk_tar *t, struct tar_text *to, const char *path, bool dir)
{
    int rc = tar_text_set(to, t->prefix, strlen(t->prefix));
    bool root = strcmp(path, ".") == 0;
    if (rc == BAKE_OK && (dir || !root))
        rc = tar_text_add(to, "/", 1);
    if (rc == BAKE_OK && !root)
        rc = tar_text_add(to, path, strlen(path));
    if (rc == BAKE_OK && !root && dir)
        rc = tar_text_add(to, "/", 1);
    return rc;
}

static int make_names(struct dk_tar *t, const struct bake_entry *e)
{
    int rc = in_prefix(t, &t->path, e->path, e->type == BAKE_DIR);
    t->link.n = 0;
    if (rc == BAKE_OK && e->type == BAKE_HARDLINK)
        rc = in_prefix(t, &t->link, e->link, false);
    if (rc == BAKE_OK && e->type == BAKE_SYMLINK)
        rc = tar_text_set(&t->link, e->link, strlen(e->link));
    return rc;
}

/* ---- entries --------------------------------------------------------------------------------- */

static int keep_extents(struct dk_tar *t, const struct bake_entry *e)
{
    uint64_t end = 0;
    t->at = 0;
    t->pos = 0;
    t->size = e->type == BAKE_FILE ? e->size : 0;
    t->n_extents = e->type == BAKE_FILE && e->extents ? e->n_extents : 1;
    if (t->n_extents > t->cap) {
        struct bake_extent *more = realloc(t->extents, t->n_extents * sizeof(*more));
        if (!more)
            return BAKE_E_NOMEM;
        t->extents = more;
        t->cap = t->n_extents;
    }
    for (size_t i = 0; i < t->n_extents; i++) {
        struct bake_extent x =
            e->type == BAKE_FILE && e->extents ? e->extents[i] : (struct bake_extent){0, t->size};
        if (x.offset < end || x.offset > t->size || x.length > t->size - x.offset)
            return BAKE_E_UNSUPPORTED;
        end = x.offset + x.length;
        t->extents[i] = x;
    }
    return BAKE_OK;
}

static int said(struct dk_tar *t, const struct bake_entry *e, int rc)
{
    if (rc == BAKE_E_NOMEM)
        return dk_nomem(t->ctx);
    if (rc == BAKE_E_UNSUPPORTED)
        return bake_fail(t->ctx, rc, "'%s' is of a form that cannot be sent to the daemon",
                         e->path);
    return rc;
}

int dk_tar_entry(struct dk_tar *t, const struct bake_entry *e)
{
    bool link = e->type == BAKE_SYMLINK || e->type == BAKE_HARDLINK;
    char flag = type_flag(e->type);
    if (t->open)
        return bake_fail(t->ctx, BAKE_E_INTERNAL, "the entry before '%s' was not ended", e->path);
    if (!flag || (link && !e->link) || e->size > INT64_MAX / 2)
        return said(t, e, BAKE_E_UNSUPPORTED);
    int rc = keep_extents(t, e);
    if (rc == BAKE_OK)
        rc = make_names(t, e);
    if (rc == BAKE_OK)
        rc = make_records(t, e, t->size);
    if (rc != BAKE_OK)
        return said(t, e, rc);
    if (t->records.n > 0) {
        rc = put_block(t, 'x', e, t->records.n);
        if (rc == BAKE_OK)
            rc = put(t, t->records.data, t->records.n);
        if (rc == BAKE_OK)
            rc = pad(t, t->records.n);
    }
    if (rc == BAKE_OK)
        rc = put_block(t, flag, e, t->size);
    t->open = rc == BAKE_OK;
    return rc;
}

int dk_tar_data(struct dk_tar *t, const void *data, size_t n)
{
    const char *p = data;
    while (n > 0) {
        while (t->at < t->n_extents &&
               t->pos >= t->extents[t->at].offset + t->extents[t->at].length)
            t->at++;
        if (!t->open || t->at == t->n_extents)
            return bake_fail(t->ctx, BAKE_E_INTERNAL, "more data than the entry's size");
        const struct bake_extent *x = &t->extents[t->at];
        int rc = BAKE_OK;
        if (t->pos < x->offset) {
            rc = put_zeros(t, x->offset - t->pos);
            t->pos = x->offset;
        }
        uint64_t left = x->offset + x->length - t->pos;
        size_t part = left < n ? (size_t)left : n;
        if (rc == BAKE_OK)
            rc = put(t, p, part);
        if (rc != BAKE_OK)
            return rc;
        t->pos += part;
        p += part;
        n -= part;
    }
    return BAKE_OK;
}

int dk_tar_end_entry(struct dk_tar *t)
{
    if (!t->open)
        return bake_fail(t->ctx, BAKE_E_INTERNAL, "no entry to end");
    t->open = false;
    int rc = put_zeros(t, t->size - t->pos);
    return rc == BAKE_OK ? pad(t, t->size) : rc;
}

int dk_tar_finish(struct dk_tar *t)
{
    if (t->open)
        return bake_fail(t->ctx, BAKE_E_INTERNAL, "the last entry was not ended");
    int rc = put_zeros(t, 2 * TAR_BLOCK);
    return rc == BAKE_OK ? flush(t) : rc;
}
