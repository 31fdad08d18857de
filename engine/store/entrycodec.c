/* Entries as records. */
#include "store/entrycodec.h"

#include "base/path.h"

#include <stdlib.h>

int bk_path_order(const char *a, const char *b)
{
    const unsigned char *x = (const unsigned char *)a, *y = (const unsigned char *)b;

    if (strcmp(a, ".") == 0 || strcmp(b, ".") == 0) /* the root itself comes first */
        return (strcmp(b, ".") == 0) - (strcmp(a, ".") == 0);
    while (*x && *x == *y) {
        x++;
        y++;
    }
    /* '/' is the end of a name: "a/b" stands before "a-b", though '-' is the lower byte. */
    return (*x == '/' ? 1 : *x ? *x + 1 : 0) - (*y == '/' ? 1 : *y ? *y + 1 : 0);
}

static void write_extents(const struct bake_entry *e, struct bk_buf *b)
{
    uint64_t at = 0;

    /* One more than there are, so that 0 means "all data". */
    bk_put_varint(b, e->extents ? e->n_extents + 1 : 0);
    for (size_t i = 0; e->extents && i < e->n_extents; i++) {
        bk_put_varint(b, e->extents[i].offset - at);
        bk_put_varint(b, e->extents[i].length);
        at = e->extents[i].offset + e->extents[i].length;
    }
}

int bk_entry_write(const struct bake_entry *e, uint32_t flags, const struct bk_refs *content,
                   struct bk_buf *out)
{
    struct bk_buf b = BK_BUF_INIT;

    bk_put_varint(&b, e->type);
    bk_put_varint(&b, flags);
    bk_put_varint(&b, e->valid);
    bk_put_string(&b, e->path);
    bk_put_string(&b, e->link);
    bk_put_varint(&b, e->mode);
    bk_put_varint(&b, e->uid);
    bk_put_varint(&b, e->gid);
    bk_put_string(&b, e->user);
    bk_put_string(&b, e->group);
    bk_put_zigzag(&b, e->mtime_ns);
    bk_put_zigzag(&b, e->ctime_ns);
    bk_put_varint(&b, e->inode);
    bk_put_varint(&b, e->device);
    bk_put_varint(&b, e->nlink);
    bk_put_varint(&b, e->dev_major);
    bk_put_varint(&b, e->dev_minor);
    bk_put_bytes(&b, e->xattrs, e->xattrs_size);
    bk_put_string(&b, e->fingerprint);
    if (e->type == BAKE_FILE) {
        bk_put_varint(&b, e->size);
        write_extents(e, &b);
        bk_refs_write(content, &b);
    }
    bk_put_bytes(out, b.data, b.len);
    out->failed |= b.failed;
    bk_buf_free(&b);
    return out->failed ? BAKE_E_NOMEM : BAKE_OK;
}

static bool parse_extents(struct bk_reader *r, struct bk_stored_entry *ret)
{
    uint64_t n = bk_get_varint(r), at = 0;

    if (n == 0)
        return !r->bad;
    if (n - 1 > (uint64_t)(r->end - r->p) / 2) /* each takes two bytes at least */
        return false;
    if (n > ret->cap_extents) {
        struct bake_extent *more = realloc(ret->extents, (size_t)n * sizeof(*more));

        if (!more)
            return false;
        ret->extents = more;
        ret->cap_extents = (size_t)n;
    }
    ret->e.extents = ret->extents;
    for (ret->e.n_extents = 0; ret->e.n_extents < n - 1; ret->e.n_extents++) {
        struct bake_extent *x = &ret->extents[ret->e.n_extents];
        uint64_t gap = bk_get_varint(r), length = bk_get_varint(r);

        if (r->bad || gap > ret->e.size - at || length > ret->e.size - at - gap)
            return false;
        x->offset = at + gap;
        x->length = length;
        at = x->offset + length;
    }
    return true;
}

static bool parse_file(struct bk_reader *r, struct bk_stored_entry *ret)
{
    uint64_t data = 0;

    ret->e.size = bk_get_varint(r);
    if (!parse_extents(r, ret) || !bk_refs_parse(r, &ret->content))
        return false;
    for (size_t i = 0; ret->e.extents && i < ret->e.n_extents; i++)
        data += ret->extents[i].length;
    return ret->content.length == (ret->e.extents ? data : ret->e.size);
}

/* A path that stays within the tree it belongs to. */
static bool path_ok(const char *path)
{
    return path && (bk_streq(path, ".") || bk_path_inside(path));
}

int bk_entry_parse(const void *record, size_t n, struct bk_stored_entry *ret, struct bk_err *err)
{
    struct bk_reader r = bk_reader_of(record, n);
    struct bake_entry *e = &ret->e;
    size_t xattrs;
    bool ok;

    memset(e, 0, sizeof(*e));
    bk_refs_clear(&ret->content);
    e->struct_size = sizeof(*e);
    ret->record = record;
    ret->n_record = n;
    e->type = bk_get_varint32(&r);
    ret->flags = bk_get_varint32(&r);
    e->valid = bk_get_varint32(&r);
    e->path = bk_get_string(&r);
    e->link = bk_get_string(&r);
    e->mode = bk_get_varint32(&r);
    e->uid = bk_get_varint32(&r);
    e->gid = bk_get_varint32(&r);
    e->user = bk_get_string(&r);
    e->group = bk_get_string(&r);
    e->mtime_ns = bk_get_zigzag(&r);
    e->ctime_ns = bk_get_zigzag(&r);
    e->inode = bk_get_varint(&r);
    e->device = bk_get_varint(&r);
    e->nlink = bk_get_varint(&r);
    e->dev_major = bk_get_varint32(&r);
    e->dev_minor = bk_get_varint32(&r);
    e->xattrs = bk_get_bytes(&r, &xattrs);
    e->xattrs_size = xattrs;
    e->fingerprint = bk_get_string(&r);
    ok = !r.bad && path_ok(e->path) && e->type >= BAKE_FILE && e->type <= BAKE_FIFO &&
         (e->type != BAKE_SYMLINK || e->link) && (e->type != BAKE_HARDLINK || path_ok(e->link));
    if (ok && e->type == BAKE_FILE)
        ok = parse_file(&r, ret);
    if (ok && !r.bad && r.p == r.end)
        return BAKE_OK;
    return bk_fail(err, BAKE_E_CORRUPT, "an entry's record is damaged");
}

void bk_stored_entry_release(struct bk_stored_entry *s)
{
    bk_refs_release(&s->content);
    free(s->extents);
    memset(s, 0, sizeof(*s));
}
