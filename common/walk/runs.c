/* Sorted runs of names: written one after the other to an unlinked file, read back through small
 * windows, merged by a heap. */
#include "walk/runs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WINDOW (16u << 10) /* bytes of one run in memory; longer than any name */

struct run {
    off_t at, end;      /* what is not yet in the window */
    char *window;       /* allocated when merging starts */
    size_t pos, filled; /* the current name starts at pos */
};

struct bkc_walk_runs {
    int fd;
    off_t size;
    struct run *runs;
    size_t n, cap;
    uint32_t *heap; /* indices of runs that have a name left, the least first */
    size_t heaped;
};

static int unnamed_file(const char *dir)
{
    int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL))
        return fd;
    char name[4096];
    static const char suffix[] = "/bakengine.XXXXXX";
    size_t n = strlen(dir);
    if (n + sizeof(suffix) > sizeof(name))
        return -1;
    memcpy(name, dir, n);
    memcpy(name + n, suffix, sizeof(suffix));
    fd = mkostemp(name, O_CLOEXEC);
    if (fd >= 0)
        (void)unlink(name);
    return fd;
}

int bkc_walk_runs_new(struct bkc_walk_runs **ret)
{
    const char *dirs[] = {secure_getenv("TMPDIR"), "/var/tmp", "/tmp"};
    int fd = -1;
    for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]) && fd < 0; i++)
        if (dirs[i] && *dirs[i])
            fd = unnamed_file(dirs[i]);
    if (fd < 0)
        return errno;
    struct bkc_walk_runs *r = calloc(1, sizeof(*r));
    if (!r) {
        (void)close(fd);
        return ENOMEM;
    }
    r->fd = fd;
    *ret = r;
    return 0;
}

static int write_all(int fd, const char *data, size_t n, off_t at)
{
    while (n > 0) {
        ssize_t did = pwrite(fd, data, n, at);
        if (did < 0 && errno == EINTR)
            continue;
        if (did <= 0)
            return did < 0 ? errno : ENOSPC;
        data += did;
        at += did;
        n -= (size_t)did;
    }
    return 0;
}

static int write_names(struct bkc_walk_runs *r, const char *arena, const uint32_t *order, size_t n,
                       off_t *at)
{
    char *out = malloc(WINDOW);
    int rc = out ? 0 : ENOMEM;
    size_t used = 0;
    for (size_t i = 0; i < n && rc == 0; i++) {
        size_t len = strlen(arena + order[i]) + 1;
        if (len > WINDOW)
            rc = ENAMETOOLONG;
        else if (used + len > WINDOW) {
            rc = write_all(r->fd, out, used, *at);
            *at += (off_t)used;
            used = 0;
        }
        if (rc == 0) {
            memcpy(out + used, arena + order[i], len);
            used += len;
        }
    }
    if (rc == 0)
        rc = write_all(r->fd, out, used, *at);
    *at += (off_t)used;
    free(out);
    return rc;
}

int bkc_walk_runs_add(struct bkc_walk_runs *r, const char *arena, const uint32_t *order, size_t n)
{
    if (r->n == r->cap) {
        size_t cap = r->cap ? r->cap * 2 : 8;
        struct run *runs = realloc(r->runs, cap * sizeof(*runs));
        if (!runs)
            return ENOMEM;
        r->runs = runs;
        r->cap = cap;
    }
    off_t end = r->size;
    int rc = write_names(r, arena, order, n, &end);
    if (rc != 0)
        return rc;
    r->runs[r->n++] = (struct run){.at = r->size, .end = end};
    r->size = end;
    return 0;
}

/* Makes sure that a whole name stands at pos. ENOENT: the run is at its end. */
static int fill(const struct bkc_walk_runs *r, struct run *run)
{
    size_t left = run->filled - run->pos;
    if (left > 0 && memchr(run->window + run->pos, '\0', left))
        return 0;
    if (left == 0 && run->at == run->end)
        return ENOENT;
    if (left > 0)
        memmove(run->window, run->window + run->pos, left);
    run->pos = 0;
    run->filled = left;
    while (run->at < run->end && run->filled < WINDOW) {
        size_t want = WINDOW - run->filled;
        if ((off_t)want > run->end - run->at)
            want = (size_t)(run->end - run->at);
        ssize_t did = pread(r->fd, run->window + run->filled, want, run->at);
        if (did < 0 && errno == EINTR)
            continue;
        if (did <= 0)
            return did < 0 ? errno : EIO;
        run->filled += (size_t)did;
        run->at += did;
    }
    return memchr(run->window, '\0', run->filled) ? 0 : EIO;
}

static const char *name_of(const struct bkc_walk_runs *r, size_t heap_at)
{
    const struct run *run = &r->runs[r->heap[heap_at]];
    return run->window + run->pos;
}

static void sift_down(struct bkc_walk_runs *r, size_t at)
{
    for (;;) {
        size_t least = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < r->heaped; child++)
            if (strcmp(name_of(r, child), name_of(r, least)) < 0)
                least = child;
        if (least == at)
            return;
        uint32_t moved = r->heap[at];
        r->heap[at] = r->heap[least];
        r->heap[least] = moved;
        at = least;
    }
}

int bkc_walk_runs_start(struct bkc_walk_runs *r)
{
    r->heap = calloc(r->n + 1, sizeof(*r->heap));
    if (!r->heap)
        return ENOMEM;
    for (size_t i = 0; i < r->n; i++) {
        r->runs[i].window = malloc(WINDOW);
        if (!r->runs[i].window)
            return ENOMEM;
        int rc = fill(r, &r->runs[i]);
        if (rc == 0)
            r->heap[r->heaped++] = (uint32_t)i;
        else if (rc != ENOENT)
            return rc;
    }
    for (size_t i = r->heaped / 2; i-- > 0;)
        sift_down(r, i);
    return 0;
}

const char *bkc_walk_runs_peek(const struct bkc_walk_runs *r)
{
    return r->heaped > 0 ? name_of(r, 0) : NULL;
}

int bkc_walk_runs_take(struct bkc_walk_runs *r)
{
    struct run *run = &r->runs[r->heap[0]];
    run->pos += strlen(run->window + run->pos) + 1;
    int rc = fill(r, run);
    if (rc == ENOENT) {
        free(run->window);
        run->window = NULL;
        r->heap[0] = r->heap[--r->heaped];
        rc = 0;
    }
    if (rc == 0)
        sift_down(r, 0);
    return rc;
}

void bkc_walk_runs_free(struct bkc_walk_runs *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->n; i++)
        free(r->runs[i].window);
    free(r->runs);
    free(r->heap);
    (void)close(r->fd);
    free(r);
}
