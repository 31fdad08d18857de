/* The reader: turns each object of the walk into an entry. */
#include "reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int files_reader_open(void *self, struct bake_ctx *ctx, const struct bake_component *c,
                      void **ret_reader)
{
    (void)c; /* there is but one */
    struct files_reader *r = calloc(1, sizeof(*r));
    if (!r)
        return files_nomem(ctx);
    r->ctx = ctx;
    r->source = self;
    r->fd = -1;
    r->whole = malloc(r->source->limits.whole);
    int rc = !r->whole || files_links_new(&r->links) != 0 ? files_nomem(ctx) : BAKE_OK;
    if (rc == BAKE_OK)
        rc = files_walk_open(&r->walk, ctx, r->source);
    if (rc != BAKE_OK) {
        files_links_free(r->links);
        free(r->whole);
        free(r);
        return rc;
    }
    *ret_reader = r;
    return BAKE_OK;
}

void files_reader_close(void *reader)
{
    struct files_reader *r = reader;
    if (r->fd >= 0)
        (void)close(r->fd);
    files_walk_close(&r->walk);
    files_links_free(r->links);
    files_ids_free(&r->ids);
    files_xattrs_free(&r->xattrs);
    files_extents_free(&r->extents);
    free(r->whole);
    free(r->link);
    free(r);
}

int files_finish(void *reader, struct bake_result *ret)
{
    (void)reader; /* whatever is missing was reported where it was met */
    (void)ret;
    return BAKE_OK;
}

/* ---- one entry ------------------------------------------------------------------------------- */

int files_entry_stat(struct files_reader *r, const struct files_stat *st)
{
    files_stat_entry(st, &r->entry);
    return files_ids_entry(&r->ids, &r->entry) == 0 ? BAKE_OK : files_nomem(r->ctx);
}

int files_entry_xattrs(struct files_reader *r, int dirfd, const char *name)
{
    const char *attr = NULL;
    int error = files_xattrs_read(&r->xattrs, dirfd, name, &attr);
    r->entry.valid &= ~BAKE_HAS_XATTRS;
    r->entry.xattrs = NULL;
    r->entry.xattrs_size = 0;
    if (error == ENOMEM)
        return files_nomem(r->ctx);
    if (error == ENOENT)
        return BAKE_OK; /* gone just now: said where its data or names are wanted */
    if (error == ENOSYS && !r->no_xattrs)
        files_report(r->ctx, BAKE_PARTIAL, r->walk.path,
                     "extended attributes and ACLs are left out, of all files: they cannot be read "
                     "on this system without /proc");
    r->no_xattrs |= error == ENOSYS;
    if (error != 0 && error != ENOSYS)
        files_report(r->ctx, BAKE_PARTIAL, r->walk.path, "attribute '%s' cannot be read: %s",
                     attr ? attr : "*", strerror(error));
    if (error != 0 && !attr)
        return BAKE_OK;
    r->entry.valid |= BAKE_HAS_XATTRS;
    r->entry.xattrs_size = r->xattrs.size;
    r->entry.xattrs = r->xattrs.size > 0 ? r->xattrs.packed : NULL;
    return BAKE_OK;
}

/* The text of the symbolic link the walk is at. BAKE_OK, BAKE_END: it is gone; or no memory. */
static int read_link(struct files_reader *r)
{
    for (size_t want = r->walk.st.size + 1;; want *= 2) {
        if (want < 128)
            want = 128;
        if (want > r->link_cap) {
            char *link = realloc(r->link, want);
            if (!link)
                return files_nomem(r->ctx);
            r->link = link;
            r->link_cap = want;
        }
        ssize_t n = readlinkat(r->walk.dirfd, r->walk.name, r->link, r->link_cap);
        if (n < 0) {
            bool gone = errno == ENOENT || errno == EINVAL;
            files_report(r->ctx, gone ? BAKE_WARNING : BAKE_PARTIAL, r->walk.path,
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
static int as_link(struct files_reader *r)
{
    struct files_dir *dir = NULL;
    const char *name = NULL, *first = NULL;
    int rc = files_walk_dir(&r->walk, &dir, &name);
    if (rc != BAKE_OK)
        return rc;
    if (files_links_seen(r->links, &r->walk.st, dir, name, &first) != 0)
        return files_nomem(r->ctx);
    if (first) {
        r->entry.type = BAKE_HARDLINK;
        r->entry.link = first;
        r->entry.size = 0;
    }
    return BAKE_OK;
}

/* The entry of the object the walk is at. BAKE_END: there is none after all. */
static int fill(struct files_reader *r)
{
    const struct files_walk *w = &r->walk;
    r->entry = (struct bake_entry){.struct_size = sizeof(r->entry)};
    r->entry.path = *w->path ? w->path : ".";
    r->entry.type = type_of(w->st.mode);
    int rc = files_entry_stat(r, &w->st);
    if (rc == BAKE_OK && r->entry.type == BAKE_SYMLINK)
        rc = read_link(r);
    if (rc == BAKE_OK && w->st.nlink > 1 && r->entry.type != BAKE_DIR)
        rc = as_link(r);
    if (rc == BAKE_OK && r->entry.type != BAKE_HARDLINK)
        rc = files_entry_xattrs(r, w->dirfd, w->name);
    return rc;
}

int files_next(void *reader, struct bake_entry *ret)
{
    struct files_reader *r = reader;
    for (;;) {
        int rc = files_walk_next(&r->walk);
        if (rc != BAKE_OK)
            return rc;
        rc = fill(r);
        if (rc == BAKE_OK)
            *ret = r->entry;
        if (rc != BAKE_END)
            return rc;
    }
}
