/* Comparing entries: metadata that both know, contents, and which names are one file. */
#include "run/diff_entry.h"

#include "store/entrycodec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- hard links ------------------------------------------------------------------------------ */

static struct bk_diff_link *find_link(const struct bk_diff_links *l, const char *path)
{
    size_t from = 0, to = l->n;

    while (from < to) {
        size_t middle = from + (to - from) / 2;
        int order = bk_path_order(path, l->items[middle]->path);

        if (order == 0)
            return l->items[middle];
        if (order < 0)
            to = middle;
        else
            from = middle + 1;
    }
    return NULL;
}

static int make_room(struct bk_diff_links *l)
{
    size_t cap = l->cap ? l->cap * 2 : 64;
    struct bk_diff_link **more;

    if (l->n < l->cap)
        return BAKE_OK;
    more = realloc(l->items, cap * sizeof(struct bk_diff_link *));
    if (!more)
        return BAKE_E_NOMEM;
    l->items = more;
    l->cap = cap;
    return BAKE_OK;
}

static int add_link(struct bk_diff_links *l, struct bk_diff_entry *d, struct bk_err *err)
{
    size_t n = strlen(d->e->path) + 1;
    struct bk_diff_link *link = calloc(1, sizeof(*link) + n);

    if (!link || make_room(l) < 0 || !(link->content = bk_strdup(d->content))) {
        free(link);
        return bk_nomem(err);
    }
    memcpy(link->path, d->e->path, n);
    link->type = d->type;
    link->size = d->size;
    l->items[l->n++] = link;
    d->link = link;
    return BAKE_OK;
}

void bk_diff_links_release(struct bk_diff_links *l)
{
    for (size_t i = 0; i < l->n; i++) {
        free(l->items[i]->content);
        free(l->items[i]);
    }
    free(l->items);
    memset(l, 0, sizeof(*l));
}

/* Names are told to belong together, or not to any more, by pairing the files that they stand for:
 * which of its names a file was met under first says nothing. */
static int compare_links(struct bk_diff_entry *a, struct bk_diff_links *a_links,
                         struct bk_diff_entry *b, struct bk_diff_links *b_links, unsigned *fields,
                         struct bk_err *err)
{
    int rc = BAKE_OK;

    if ((!a->link && !b->link) || a->type == BAKE_HARDLINK || b->type == BAKE_HARDLINK)
        return BAKE_OK;
    if (!a->link)
        rc = add_link(a_links, a, err);
    if (rc >= 0 && !b->link)
        rc = add_link(b_links, b, err);
    if (rc < 0)
        return rc;
    if (!a->link->peer && !b->link->peer) {
        a->link->peer = b->link;
        b->link->peer = a->link;
    } else if (a->link->peer != b->link) {
        *fields |= BK_DIFF_LINK;
    }
    return BAKE_OK;
}

/* ---- one entry ------------------------------------------------------------------------------- */

/* Equal data at other places is another content. */
static int add_holes(struct bk_diff_entry *d, struct bk_err *err)
{
    const struct bake_entry *e = d->e;
    char digest[BK_SHA256_HEX];
    int n;

    if (bk_sha256_hex_of(e->extents, e->n_extents * sizeof(*e->extents), digest) < 0)
        return bk_nomem(err);
    n = snprintf(d->key, sizeof(d->key), "%s %s", d->content, digest);
    if (n < 0 || (size_t)n >= sizeof(d->key))
        return bk_fail(err, BAKE_E_INTERNAL, "a content's identity is too long");
    d->content = d->key;
    return BAKE_OK;
}

int bk_diff_entry_of(const struct bake_entry *e, const char *identity, struct bk_diff_links *links,
                     struct bk_diff_entry *ret, struct bk_err *err)
{
    int rc = BAKE_OK;

    ret->e = e;
    ret->type = e->type;
    ret->size = e->type == BAKE_FILE ? e->size : 0;
    ret->content = e->type == BAKE_SYMLINK && e->link ? e->link : identity;
    ret->link = NULL;
    if (e->type == BAKE_FILE && !*identity)
        ret->type = BAKE_HARDLINK; /* as a listing has it: not of which file */
    if (ret->type == BAKE_HARDLINK) {
        ret->link = e->link ? find_link(links, e->link) : NULL;
        if (ret->link) {
            ret->type = ret->link->type;
            ret->size = ret->link->size;
            ret->content = ret->link->content;
        }
        return BAKE_OK;
    }
    if (e->type == BAKE_FILE && e->extents)
        rc = add_holes(ret, err);
    if (rc >= 0 && e->type != BAKE_DIR && (e->valid & BAKE_HAS_INODE) && e->nlink > 1)
        rc = add_link(links, ret, err);
    return rc;
}

/* ---- metadata -------------------------------------------------------------------------------- */

/* Length of the attribute at p, its name and NUL included; 0: what is left is no attribute. */
static size_t xattr_length(const unsigned char *p, size_t left)
{
    const unsigned char *nul = memchr(p, '\0', left);
    size_t name = nul ? (size_t)(nul - p) + 1 : 0, value;

    if (!nul || left - name < 4)
        return 0;
    value = (size_t)nul[1] | (size_t)nul[2] << 8 | (size_t)nul[3] << 16 | (size_t)nul[4] << 24;
    return value <= left - name - 4 ? name + 4 + value : 0;
}

static bool has_xattr(const unsigned char *set, size_t n, const unsigned char *want, size_t n_want)
{
    while (n > 0) {
        size_t length = xattr_length(set, n);

        if (length == 0)
            return false;
        if (length == n_want && memcmp(set, want, length) == 0)
            return true;
        set += length;
        n -= length;
    }
    return false;
}

/* Attributes have no order of their own. More than a kernel can list are compared as they are. */
#define XATTRS_UNORDERED 65536u

static bool same_xattrs(const struct bake_entry *a, const struct bake_entry *b)
{
    const unsigned char *p = a->xattrs;
    size_t left = a->xattrs_size;

    if (a->xattrs_size != b->xattrs_size)
        return false;
    if (left == 0 || memcmp(p, b->xattrs, left) == 0)
        return true;
    if (left > XATTRS_UNORDERED)
        return false;
    while (left > 0) {
        size_t length = xattr_length(p, left);

        if (length == 0 || !has_xattr(b->xattrs, b->xattrs_size, p, length))
            return false;
        p += length;
        left -= length;
    }
    return true;
}

static bool same_name(const char *a, const char *b) { return !a || !b || strcmp(a, b) == 0; }

static unsigned metadata(const struct bake_entry *a, const struct bake_entry *b)
{
    uint32_t both = a->valid & b->valid;
    unsigned fields = 0;

    if ((both & BAKE_HAS_MODE) && a->mode != b->mode)
        fields |= BK_DIFF_MODE;
    if ((both & BAKE_HAS_OWNER) && (a->uid != b->uid || a->gid != b->gid ||
                                    !same_name(a->user, b->user) || !same_name(a->group, b->group)))
        fields |= BK_DIFF_OWNER;
    if ((both & BAKE_HAS_MTIME) && a->mtime_ns != b->mtime_ns)
        fields |= BK_DIFF_MTIME;
    if ((both & BAKE_HAS_XATTRS) && !same_xattrs(a, b))
        fields |= BK_DIFF_XATTRS;
    return fields;
}

int bk_diff_fields(struct bk_diff_entry *a, struct bk_diff_links *a_links, struct bk_diff_entry *b,
                   struct bk_diff_links *b_links, unsigned *ret, struct bk_err *err)
{
    unsigned fields = metadata(a->e, b->e);

    if (a->type != b->type)
        fields |= BK_DIFF_TYPE;
    else if (a->type == BAKE_FILE && (a->size != b->size || strcmp(a->content, b->content) != 0))
        fields |= BK_DIFF_CONTENT;
    else if (a->type == BAKE_SYMLINK && strcmp(a->content, b->content) != 0)
        fields |= BK_DIFF_LINK;
    else if (a->type == BAKE_HARDLINK && !same_name(a->e->link, b->e->link))
        fields |= BK_DIFF_LINK;
    /* Hard links to a device have its number on their first name only. */
    if ((a->e->type == BAKE_CHARDEV || a->e->type == BAKE_BLOCKDEV) && a->e->type == b->e->type &&
        (a->e->dev_major != b->e->dev_major || a->e->dev_minor != b->e->dev_minor))
        fields |= BK_DIFF_DEVICE;
    *ret = fields;
    return compare_links(a, a_links, b, b_links, ret, err);
}
