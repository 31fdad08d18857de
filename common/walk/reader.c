/* The reader: turns each object of the walk into an entry. */
#include "walk/reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int bkc_walk_open(struct bake_ctx *ctx, const struct bkc_walk_opts *opts, struct bkc_walk **ret)
{
    struct bkc_walk *r = calloc(1, sizeof(*r));
    if (!r)
        return bkc_walk_nomem(ctx);
    r->ctx = ctx;
    r->fd = -1;
    int rc = bkc_walker_open(&r->walk, ctx, opts);
    if (rc != BAKE_OK) {
        free(r);
        return rc;
    }
    r->whole = malloc(r->walk.opts.limits.whole);
    if (!r->whole || bkc_walk_links_new(&r->links) != 0) {
        bkc_walk_close(r);
        return bkc_walk_nomem(ctx);
    }
    *ret = r;
    return BAKE_OK;
}

void bkc_walk_close(struct bkc_walk *r)
{
    if (!r)
        return;
    if (r->fd >= 0)
        (void)close(r->fd);
    bkc_walker_close(&r->walk);
    bkc_walk_links_free(r->links);
    bkc_walk_ids_free(&r->ids);
    bkc_walk_xattrs_free(&r->xattrs);
    bkc_walk_extents_free(&r->extents);
    free(r->whole);
    free(r->link);
    free(r);
}

/* ---- one entry ------------------------------------------------------------------------------- */

int bkc_walk_entry_stat(struct bkc_walk *r, const struct bkc_walk_stat *st)
{
    bkc_walk_stat_entry(st, &r->entry);
    if (r->walk.opts.numeric)
        return BAKE_OK;
    return bkc_walk_ids_entry(&r->ids, &r->entry) == 0 ? BAKE_OK : bkc_walk_nomem(r->ctx);
}

int bkc_walk_entry_xattrs(struct bkc_walk *r, int dirfd, const char *name)
{
    const char *attr = NULL;
    int error = bkc_walk_xattrs_read(&r->xattrs, dirfd, name, &attr);
    r->entry.valid &= ~BAKE_HAS_XATTRS;
    r->entry.xattrs = NULL;
    r->entry.xattrs_size = 0;
    if (error == ENOMEM)
        return bkc_walk_nomem(r->ctx);
    if (error == ENOENT)
        return BAKE_OK; /* gone just now: said where its data or names are wanted */
    if (error == ENOSYS && !r->no_xattrs)
        bkc_walk_report(
            &r->walk, BAKE_PARTIAL, r->walk.path,
            "extended attributes and ACLs are left out, of all files: they cannot be read "
            "on this system without /proc");
    r->no_xattrs |= error == ENOSYS;
    if (error != 0 && error != ENOSYS)
        bkc_walk_report(&r->walk, BAKE_PARTIAL, r->walk.path, "attribute '%s' cannot be read: %s",
                        attr ? attr : "*", strerror(error));
    if (error != 0 && !attr)
        return BAKE_OK;
    r->entry.valid |= BAKE_HAS_XATTRS;
    r->entry.xattrs_size = r->xattrs.size;
    r->entry.xattrs = r->xattrs.size > 0 ? r->xattrs.packed : NULL;
    return BAKE_OK;
}

/* The text of the symbolic link the walk is at. BAKE_OK, BAKE_END: it is gone; or no memory. */
static int read_link(struct bkc_walk *r)
{
    for (size_t want = r->walk.st.size + 1;; want *= 2) {
        if (want < 128)
            want = 128;
        if (want > r->link_cap) {
            char *link = realloc(r->link, want);
            if (!link)
                return bkc_walk_nomem(r->ctx);
            r->link = link;
            r->link_cap = want;
        }
        ssize_t n = readlinkat(r->walk.dirfd, r->walk.name, r->link, r->link_cap);
        if (n < 0) {
            bool gone = errno == ENOENT || errno == EINVAL;
            bkc_walk_report(&r->walk, gone ? BAKE_WARNING : BAKE_PARTIAL, r->walk.path,
                            "this link cannot be read: %s", strerror(errno));
            return BAKE_END;
        }
        if ((size_t)n < r->link_cap) {
            r->link[n] = '\0';
            r->entry.link = r->link;
            return BAKE_OK;
        }
    }
}

static uint32_t type_of(uint32_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFREG:
        return BAKE_FILE;
    case S_IFDIR:
        return BAKE_DIR;
    case S_IFLNK:
        return BAKE_SYMLINK;
    case S_IFCHR:
        return BAKE_CHARDEV;
    case S_IFBLK:
        return BAKE_BLOCKDEV;
    default:
        return BAKE_FIFO;
    }
}

/* Turns the entry into a hard link if its object was given before. */
static int as_link(struct bkc_walk *r)
{
    struct bkc_walk_dir *dir = NULL;
    const char *name = NULL, *first = NULL;
    int rc = bkc_walker_dir(&r->walk, &dir, &name);
    if (rc != BAKE_OK)
        return rc;
    if (bkc_walk_links_seen(r->links, &r->walk.st, dir, name, &first) != 0)
        return bkc_walk_nomem(r->ctx);
    if (first) {
        r->entry.type = BAKE_HARDLINK;
        r->entry.link = first;
        r->entry.size = 0;
    }
    return BAKE_OK;
}

/* The entry of the object the walk is at. BAKE_END: there is none after all. */
static int fill(struct bkc_walk *r)
{
    const struct bkc_walker *w = &r->walk;
    r->entry = (struct bake_entry){.struct_size = sizeof(r->entry)};
    r->entry.path = *w->path ? w->path : ".";
    r->entry.type = type_of(w->st.mode);
    int rc = bkc_walk_entry_stat(r, &w->st);
    if (rc == BAKE_OK && r->entry.type == BAKE_SYMLINK)
        rc = read_link(r);
    if (rc == BAKE_OK && w->st.nlink > 1 && r->entry.type != BAKE_DIR)
        rc = as_link(r);
    if (rc == BAKE_OK && r->entry.type != BAKE_HARDLINK)
        rc = bkc_walk_entry_xattrs(r, w->dirfd, w->name);
    return rc;
}

int bkc_walk_next(struct bkc_walk *r, struct bake_entry *ret)
{
    for (;;) {
        int rc = bkc_walker_next(&r->walk);
        if (rc != BAKE_OK)
            return rc;
        rc = fill(r);
        if (rc == BAKE_OK)
            *ret = r->entry;
        if (rc != BAKE_END)
            return rc;
    }
}
