/* The data of files: opened, mapped, read; and what to say when they change meanwhile. */
#include "walk/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define TRIES 4 /* of reading a small file until it keeps still */

/* Said already: the entry is left out, and later names of the object do not point to it. */
static int leave_out(struct bkc_walk *r)
{
    if (r->walk.st.nlink > 1)
        bkc_walk_links_forget(r->links, &r->walk.st);
    if (r->fd >= 0)
        (void)close(r->fd);
    r->fd = -1;
    return BAKE_END;
}

static int cannot(struct bkc_walk *r, int error)
{
    if (error == ENOENT)
        bkc_walk_report(&r->walk, BAKE_WARNING, r->walk.path,
                        "vanished before it could be read, skipped");
    else if (error == ELOOP || error == ENXIO || error == EISDIR)
        bkc_walk_report(&r->walk, BAKE_WARNING, r->walk.path,
                        "was replaced before it could be read, skipped");
    else
        bkc_walk_report(&r->walk, BAKE_PARTIAL, r->walk.path, "cannot be read, left out: %s",
                        strerror(error));
    return leave_out(r);
}

/* Looks at the open file, and takes over into the entry what is not as it was. 0 or an errno;
 * ELOOP: another kind of object has taken the name. */
static int look_again(struct bkc_walk *r, int *ret_rc)
{
    struct bkc_walk_stat now;
    int error = bkc_walk_stat(r->fd, "", &now);
    *ret_rc = BAKE_OK;
    if (error != 0)
        return error;
    if (!S_ISREG(now.mode))
        return ELOOP;
    r->before = now;
    if (bkc_walk_unchanged(&now, &r->walk.st))
        return 0;
    if (!bkc_walk_same_object(&now, &r->walk.st) && r->walk.st.nlink > 1)
        bkc_walk_links_forget(r->links, &r->walk.st);
    r->walk.st = now;
    *ret_rc = bkc_walk_entry_stat(r, &now);
    if (*ret_rc == BAKE_OK)
        *ret_rc = bkc_walk_entry_xattrs(r, r->fd, "");
    return 0;
}

/* What there is to read: size, extents, bytes of data. 0 or ENOMEM. */
static int plan(struct bkc_walk *r)
{
    r->size = r->data = r->before.size;
    r->extents.sparse = false;
    if (r->before.allocated < r->size) {
        int error = bkc_walk_extents_map(&r->extents, r->fd, r->size, r->walk.opts.limits.extents);
        if (error != 0)
            return error;
        if (r->extents.sparse)
            r->data = r->extents.bytes;
    }
    return 0;
}

/* Bytes at an offset, as many as there are. -1: errno. */
static ssize_t read_at(int fd, unsigned char *to, size_t n, uint64_t at)
{
    size_t done = 0;
    while (done < n) {
        ssize_t did = pread(fd, to + done, n - done, (off_t)(at + done));
        if (did < 0 && errno == EINTR)
            continue;
        if (did < 0)
            return -1;
        if (did == 0)
            break;
        done += (size_t)did;
    }
    return (ssize_t)done;
}

/* Reads all data of a small file into memory. *ret_got: bytes, fewer when the file was cut. */
static int read_whole(struct bkc_walk *r, uint64_t *ret_got)
{
    struct bake_extent all = {0, r->size};
    const struct bake_extent *x = r->extents.sparse ? r->extents.items : &all;
    size_t n = r->extents.sparse ? r->extents.n : 1;
    *ret_got = 0;
    for (size_t i = 0; i < n; i++) {
        ssize_t did = read_at(r->fd, r->whole + *ret_got, (size_t)x[i].length, x[i].offset);
        if (did < 0)
            return errno;
        *ret_got += (uint64_t)did;
        if ((uint64_t)did < x[i].length)
            break;
    }
    return 0;
}

/* The file keeps its size and times but ends before its size says: what is there is taken. */
static void take_short(struct bkc_walk *r, uint64_t got)
{
    bkc_walk_report(&r->walk, BAKE_PARTIAL, r->walk.path,
                    "says it has %llu bytes of data, but only %llu can be read",
                    (unsigned long long)r->data, (unsigned long long)got);
    if (r->extents.sparse)
        memset(r->whole + got, 0, (size_t)(r->data - got));
    else
        r->entry.size = r->size = r->data = got;
}

/* Until it is the same before and after: then it is one state of the file, not a mixture. seen: it
 * was looked at when it was open; else what differs from the walk's view may have changed before,
 * which is nothing to speak of. */
static int load(struct bkc_walk *r, bool seen, int *ret_rc)
{
    for (int tries = seen ? 1 : 0;; tries++) {
        uint64_t got = 0;
        struct bkc_walk_stat after;
        int error = read_whole(r, &got);
        if (error == 0)
            error = bkc_walk_stat(r->fd, "", &after);
        if (error != 0) { /* is it a file at all by now? */
            int other = look_again(r, ret_rc);
            return other != 0 ? other : error;
        }
        bool same = bkc_walk_unchanged(&r->before, &after);
        if (same && got < r->data)
            take_short(r, got);
        if (same && tries > 1)
            bkc_walk_report(&r->walk, BAKE_WARNING, r->walk.path,
                            "changed while it was read; read again, now consistently");
        if (same)
            break;
        if (tries == TRIES) {
            bkc_walk_report(&r->walk, BAKE_PARTIAL, r->walk.path,
                            "keeps changing while it is read; its copy may mix old and new");
            memset(r->whole + got, 0, (size_t)(r->data - got));
            break;
        }
        error = look_again(r, ret_rc);
        if (error == 0 && *ret_rc == BAKE_OK)
            error = plan(r);
        if (error != 0 || *ret_rc != BAKE_OK)
            return error;
        if (r->data > r->walk.opts.limits.whole)
            return 0; /* it has grown so far that it is streamed */
    }
    r->is_whole = true;
    return 0;
}

static int prepare(struct bkc_walk *r, int *ret_rc)
{
    r->fd = bkc_walk_open_quiet(r->walk.dirfd, r->walk.name, 0);
    if (r->fd < 0)
        return errno;
    bool small =
        r->walk.st.size <= r->walk.opts.limits.whole && r->walk.st.allocated >= r->walk.st.size;
    int error = 0;
    r->before = r->walk.st;
    /* A small file is looked at after it was read: if it is then as the walk has just seen it, that
     * is one look less for almost every file there is. */
    if (!small)
        error = look_again(r, ret_rc);
    if (error == 0 && *ret_rc == BAKE_OK)
        error = plan(r);
    if (error != 0 || *ret_rc != BAKE_OK)
        return error;
    if (r->data <= r->walk.opts.limits.whole)
        error = load(r, !small, ret_rc);
    if (error == 0 && !r->is_whole)
        (void)posix_fadvise(r->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    return error;
}

int bkc_walk_open_entry(struct bkc_walk *r, struct bake_entry *entry)
{
    int rc = BAKE_OK;
    if (r->fd >= 0)
        (void)close(r->fd);
    r->fd = -1;
    r->done = r->in_extent = r->extent = 0;
    r->is_whole = false;
    if (r->entry.type != BAKE_FILE)
        return bake_fail(r->ctx, BAKE_E_INTERNAL, "entry '%s' is no file", r->entry.path);
    int error = prepare(r, &rc);
    if (error == ENOMEM)
        rc = bkc_walk_nomem(r->ctx);
    if (rc != BAKE_OK)
        return rc;
    if (error != 0)
        return cannot(r, error);
    r->entry.extents = r->extents.sparse ? r->extents.items : NULL;
    r->entry.n_extents = r->extents.sparse ? r->extents.n : 0;
    *entry = r->entry;
    if (r->is_whole) {
        (void)close(r->fd);
        r->fd = -1;
    }
    return BAKE_OK;
}

/* ---- read ------------------------------------------------------------------------------------ */

/* After the last byte of a file that was streamed. */
static int check_end(struct bkc_walk *r)
{
    struct bkc_walk_stat now;
    int error = bkc_walk_stat(r->fd, "", &now);
    if (error != 0)
        return bake_fail(r->ctx, BAKE_E_IO, "cannot look at it again: %s", strerror(error));
    if (now.size > r->before.size)
        bkc_walk_report(&r->walk, BAKE_WARNING, r->walk.path,
                        "grew while it was read, what was added is left out");
    else if (now.size != r->before.size || now.mtime_ns != r->before.mtime_ns)
        bkc_walk_report(&r->walk, BAKE_PARTIAL, r->walk.path,
                        "changed while it was read; its copy may mix old and new");
    else if (now.ctime_ns != r->before.ctime_ns && now.nlink > 0)
        bkc_walk_report(&r->walk, BAKE_WARNING, r->walk.path,
                        "its owner, mode, names or attributes changed while it was read");
    return BAKE_OK;
}

static int stream(struct bkc_walk *r, struct bake_out *out)
{
    struct bake_extent all = {0, r->size};
    const struct bake_extent *x = r->extents.sparse ? &r->extents.items[r->extent] : &all;
    uint64_t left = x->length - r->in_extent;
    size_t room = out->size - out->pos;
    if (room > left)
        room = (size_t)left;
    ssize_t n;
    do
        n = pread(r->fd, (char *)out->data + out->pos, room, (off_t)(x->offset + r->in_extent));
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return bake_fail(r->ctx, BAKE_E_IO, "cannot read at byte %llu: %s",
                         (unsigned long long)(x->offset + r->in_extent), strerror(errno));
    if (n == 0)
        return bake_fail(r->ctx, BAKE_E_IO, "shrank while it was read, to %llu of %llu bytes",
                         (unsigned long long)(x->offset + r->in_extent),
                         (unsigned long long)r->size);
    out->pos += (size_t)n;
    r->done += (uint64_t)n;
    r->in_extent += (uint64_t)n;
    if (r->in_extent == x->length) {
        r->extent++;
        r->in_extent = 0;
    }
    return r->done == r->data ? check_end(r) : BAKE_OK;
}

int bkc_walk_read(struct bkc_walk *r, struct bake_out *out)
{
    if (r->ctx->host->cancelled(r->ctx))
        return bake_fail(r->ctx, BAKE_E_CANCELLED, "cancelled");
    if (r->done == r->data)
        return BAKE_END;
    if (out->pos == out->size)
        return BAKE_OK;
    if (!r->is_whole)
        return stream(r, out);
    size_t n = out->size - out->pos;
    if (n > r->data - r->done)
        n = (size_t)(r->data - r->done);
    memcpy((char *)out->data + out->pos, r->whole + r->done, n);
    out->pos += n;
    r->done += n;
    return BAKE_OK;
}
