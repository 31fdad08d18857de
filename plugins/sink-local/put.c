/* One put: a temporary file beside the object, written, fsynced, renamed, its directory fsynced. */
#include "local.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUFFER_SIZE (256u << 10) /* small writes are gathered up to this */
#define LARGE       (64u << 10)  /* from here on a write goes straight to the file */
#define WRITEBACK   (8u << 20)   /* the disk starts on each such piece while the next is written */
#define TRIES       64

struct put {
    struct local *s;
    struct bake_ctx *ctx;
    char *name;
    char *buffer; /* NULL until a small write comes */
    size_t buffered;
    uint64_t announced, taken, written, started; /* started: write-back has begun up to here */
    uint32_t flags;
    int dir, fd;
    int rc;                   /* the first failure: nothing goes on after it */
    bool made_dirs, one_pass; /* one_pass: no early write-back */
    char tmp[LOCAL_TMP_CAP];
};

uint64_t local_put_memory(void) { return sizeof(struct put) + LOCAL_NAME_MAX + 1 + BUFFER_SIZE; }

static int fail(struct put *p, int e, const char *verb)
{
    p->rc = local_fail(p->s, p->ctx, e, verb, p->name);
    return p->rc;
}

/* Is there room for `more` bytes and min_free beside them? */
static int check_room(struct put *p, uint64_t more)
{
    const struct local *s = p->s;
    char have[32], want[32], keep[32];
    uint64_t room;

    if (!local_free_bytes(p->dir, &room) || (room >= more && room - more >= s->min_free))
        return BAKE_OK;
    (void)local_size_text(have, sizeof(have), room);
    (void)local_size_text(want, sizeof(want), more);
    (void)local_size_text(keep, sizeof(keep), s->min_free);
    p->rc = bake_fail(p->ctx, BAKE_E_NOSPACE,
                      "cannot write '%s/%s': no space left: %s free in '%s', %s to be written%s%s\n"
                      "HINT: make room there, or let 'retention' keep less and run 'prune'",
                      s->root, p->name, have, s->root, want,
                      s->min_free ? ", 'min_free' keeps " : "", s->min_free ? keep : "");
    return p->rc;
}

/* The directory and in it the temporary file. Whoever removes empty directories meanwhile (a
 * prune) only makes us start over. */
static int open_files(struct put *p)
{
    for (int i = 0; i < TRIES; i++) {
        bool made = false;
        int e;

        p->dir = local_walk(p->s, p->name, LOCAL_MAKE, &made);
        p->made_dirs = p->made_dirs || made;
        if (p->dir < 0)
            return fail(p, -p->dir, "make the directory of");
        if (check_room(p, p->announced) < 0)
            return p->rc;
        e = local_tmp_name(p->tmp);
        if (e < 0)
            return fail(p, -e, "name a temporary file for");
        p->fd = openat(p->dir, p->tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (p->fd >= 0)
            return BAKE_OK;
        if ((errno != ENOENT && errno != EEXIST) || i + 1 == TRIES)
            return fail(p, errno, "create");
        (void)close(p->dir);
        p->dir = -1;
    }
    return fail(p, ENOENT, "create");
}

static void free_put(struct put *p)
{
    if (p->fd >= 0)
        (void)close(p->fd);
    if (p->dir >= 0)
        (void)close(p->dir);
    free(p->buffer);
    free(p->name);
    free(p);
}

void local_put_abort(void *put)
{
    struct put *p = put;

    if (p->fd >= 0) {
        (void)close(p->fd);
        p->fd = -1;
    }
    if (p->dir >= 0 && p->tmp[0])
        (void)unlinkat(p->dir, p->tmp, 0);
    if (p->made_dirs)
        (void)local_drop_empty(p->s, p->name);
    free_put(p);
}

int local_put_begin(void *self, struct bake_ctx *ctx, const char *name, uint64_t size_or_0,
                    uint32_t flags, void **ret_put)
{
    struct put *p;
    int rc = local_check_name(ctx, name);

    if (rc < 0)
        return rc;
    p = calloc(1, sizeof(*p));
    if (!p || !(p->name = strdup(name))) {
        free(p);
        return bake_fail(ctx, BAKE_E_NOMEM, "out of memory");
    }
    p->s = self;
    p->ctx = ctx;
    p->announced = size_or_0;
    p->flags = flags;
    p->dir = p->fd = -1;
    p->one_pass = !p->s->fsync;
    rc = open_files(p);
    if (rc == BAKE_OK) {
        int e = local_give(p->s, p->fd, p->s->file_mode);

        rc = e < 0 ? fail(p, -e, "set owner and mode of") : BAKE_OK;
    }
    if (rc < 0) {
        local_put_abort(p);
        return rc;
    }
    *ret_put = p;
    return BAKE_OK;
}

/* After each WRITEBACK bytes: lets the disk begin, so that the fsync at the end is short; and
 * looks whether min_free still holds. */
static int keep_up(struct put *p)
{
    if (p->written - p->started < WRITEBACK)
        return BAKE_OK;
    if (!p->one_pass && sync_file_range(p->fd, (off_t)p->started, (off_t)(p->written - p->started),
                                        SYNC_FILE_RANGE_WRITE) != 0) {
        if (errno == EIO || errno == ENOSPC || errno == EDQUOT)
            return fail(p, errno, "write");
        p->one_pass = true; /* not for this file system: the fsync does it all */
    }
    p->started = p->written;
    return p->s->min_free > 0 ? check_room(p, 0) : BAKE_OK;
}

static int write_out(struct put *p, const char *data, size_t n)
{
    while (n > 0) {
        ssize_t w = write(p->fd, data, n);

        if (w < 0 && errno == EINTR)
            continue;
        if (w <= 0)
            return fail(p, w < 0 ? errno : ENOSPC, "write");
        data += w;
        n -= (size_t)w;
        p->written += (uint64_t)w;
    }
    return keep_up(p);
}

static int flush(struct put *p)
{
    size_t n = p->buffered;

    p->buffered = 0;
    return n > 0 ? write_out(p, p->buffer, n) : BAKE_OK;
}

static int gather(struct put *p, const char *data, size_t n)
{
    if (!p->buffer && !(p->buffer = malloc(BUFFER_SIZE))) {
        p->rc = bake_fail(p->ctx, BAKE_E_NOMEM, "out of memory");
        return p->rc;
    }
    while (n > 0) {
        size_t part = BUFFER_SIZE - p->buffered;

        part = part < n ? part : n;
        memcpy(p->buffer + p->buffered, data, part);
        p->buffered += part;
        data += part;
        n -= part;
        if (p->buffered == BUFFER_SIZE && flush(p) < 0)
            return p->rc;
    }
    return BAKE_OK;
}

int local_put_write(void *put, struct bake_in *in)
{
    struct put *p = put;
    const char *data = (const char *)in->data + in->pos;
    size_t n = in->size - in->pos;

    if (p->rc < 0 || n == 0)
        return p->rc;
    if (n >= LARGE ? flush(p) < 0 || write_out(p, data, n) < 0 : gather(p, data, n) < 0)
        return p->rc;
    p->taken += n;
    in->pos = in->size;
    return BAKE_OK;
}

/* The file is whole and, if asked, on the disk; and closed. */
static int complete(struct put *p)
{
    int fd;

    if (p->rc < 0 || flush(p) < 0)
        return p->rc;
    if (p->announced > 0 && p->taken != p->announced) {
        p->rc = bake_fail(p->ctx, BAKE_E_INTERNAL, "'%s' was announced with %llu bytes, %llu came",
                          p->name, (unsigned long long)p->announced, (unsigned long long)p->taken);
        return p->rc;
    }
    if (p->s->fsync && fsync(p->fd) != 0)
        return fail(p, errno, "fsync");
    fd = p->fd;
    p->fd = -1;
    /* EINTR: closed all the same, and what was written is safe already */
    return close(fd) != 0 && errno != EINTR ? fail(p, errno, "close") : BAKE_OK;
}

static int exists(struct put *p)
{
    struct stat st;
    int e;

    if (fstatat(p->dir, local_base(p->name), &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISREG(st.st_mode))
        return fail(p, S_ISDIR(st.st_mode) ? EISDIR : ELOOP, "write");
    /* Whoever put it may have been killed before this; who finds that it has these very bytes takes
     * it for stored. */
    e = local_sync_dir(p->s, p->dir);
    if (e < 0)
        return fail(p, -e, "fsync the directory of");
    p->rc = bake_fail(p->ctx, BAKE_E_EXISTS, "'%s/%s' exists already", p->s->root, p->name);
    return p->rc;
}

/* Where RENAME_NOREPLACE is not known (some network file systems). */
static int link_new(struct put *p)
{
    if (linkat(p->dir, p->tmp, p->dir, local_base(p->name), 0) == 0) {
        (void)unlinkat(p->dir, p->tmp, 0); /* if it stays, sweep finds it: a second name */
        return BAKE_OK;
    }
    if (errno == EEXIST)
        return exists(p);
    if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS)
        return fail(p, errno, "link");
    p->rc = bake_fail(p->ctx, BAKE_E_UNSUPPORTED,
                      "cannot write '%s/%s': the file system of '%s' can neither rename without "
                      "replacing nor link, so that two writers could not be told apart",
                      p->s->root, p->name, p->s->root);
    return p->rc;
}

static int publish(struct put *p)
{
    const char *base = local_base(p->name);

    if (!(p->flags & BAKE_PUT_IF_ABSENT))
        return renameat(p->dir, p->tmp, p->dir, base) == 0 ? BAKE_OK : fail(p, errno, "write");
    if (renameat2(p->dir, p->tmp, p->dir, base, RENAME_NOREPLACE) == 0)
        return BAKE_OK;
    if (errno == EINVAL || errno == ENOSYS)
        return link_new(p);
    return errno == EEXIST ? exists(p) : fail(p, errno, "write");
}

int local_put_end(void *put)
{
    struct put *p = put;
    int rc = complete(p);
    int e;

    if (rc == BAKE_OK)
        rc = publish(p);
    if (rc < 0) {
        local_put_abort(p);
        return rc;
    }
    e = local_sync_dir(p->s, p->dir);
    if (e < 0)
        rc = fail(p, -e, "fsync the directory of");
    free_put(p);
    return rc;
}
