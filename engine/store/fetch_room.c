/* Runs of pages, first fit from either end. */
#include "store/fetch_room.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static size_t pages_of(size_t n) { return n / BK_ROOM_PAGE + 1; } /* never none */

int bk_room_init(struct bk_room *r, size_t bytes, struct bk_err *err)
{
    void *base;

    memset(r, 0, sizeof(*r));
    r->pages = bytes / BK_ROOM_PAGE;
    r->taken = calloc(r->pages + 1, sizeof(*r->taken));
    if (!r->taken)
        return bk_nomem(err);
    base = mmap(NULL, r->pages * BK_ROOM_PAGE + 1, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED) {
        int e = errno;

        free(r->taken);
        r->taken = NULL;
        return bk_fail_errno(err, e, "cannot map %zu bytes", bytes);
    }
    r->base = base;
    return BAKE_OK;
}

void bk_room_release(struct bk_room *r)
{
    if (r->base)
        (void)munmap(r->base, r->pages * BK_ROOM_PAGE + 1);
    free(r->taken);
    memset(r, 0, sizeof(*r));
}

static void count(struct bk_room *r, size_t n)
{
    r->used += n;
    r->peak = r->used > r->peak ? r->used : r->peak;
}

/* Where a gap of `need` pages begins; r->pages: there is none. */
static size_t gap_low(const struct bk_room *r, size_t need)
{
    size_t free_pages = 0;

    for (size_t i = 0; i < r->pages; i++) {
        free_pages = r->taken[i] ? 0 : free_pages + 1;
        if (free_pages == need)
            return i + 1 - need;
    }
    return r->pages;
}

static size_t gap_high(const struct bk_room *r, size_t need)
{
    size_t free_pages = 0;

    for (size_t i = r->pages; i-- > 0;) {
        free_pages = r->taken[i] ? 0 : free_pages + 1;
        if (free_pages == need)
            return i;
    }
    return r->pages;
}

void *bk_room_take(struct bk_room *r, size_t n, bool high)
{
    size_t need = pages_of(n), at = high ? gap_high(r, need) : gap_low(r, need);

    if (at == r->pages)
        return NULL;
    memset(r->taken + at, true, need);
    count(r, need * BK_ROOM_PAGE);
    return r->base + at * BK_ROOM_PAGE;
}

void *bk_room_take_beyond(struct bk_room *r, size_t n)
{
    void *p = malloc(n + 1);

    if (p) {
        r->beyond += n;
        count(r, n);
    }
    return p;
}

void bk_room_give(struct bk_room *r, void *p, size_t n)
{
    unsigned char *at = p;
    size_t pages = pages_of(n);

    if (!p)
        return;
    if (at < r->base || at >= r->base + r->pages * BK_ROOM_PAGE) {
        r->beyond -= n;
        r->used -= n;
        free(p);
        return;
    }
    memset(r->taken + (size_t)(at - r->base) / BK_ROOM_PAGE, false, pages);
    r->used -= pages * BK_ROOM_PAGE;
}
