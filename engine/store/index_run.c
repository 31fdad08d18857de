/* Runs: blocks of 4 KiB, then fences (each block's first id, eight bytes), filter, footer. */
#include "store/index_run.h"

#include "base/cleanup.h"
#include "base/codec.h"
#include "base/io.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#define BLOCK       4096u
#define ENTRY       44u
#define PER_BLOCK   ((BLOCK - 8) / ENTRY)
#define FOOTER      64u
#define MAGIC       "BAKERUN1"
#define CACHE_SLOTS 64u
#define PROBES      5

struct bk_run {
    int fd;
    uint64_t n, n_blocks, n_filter; /* n_filter: lines of 64 bytes */
    unsigned char *fences, *filter;
    struct {
        uint64_t block; /* + 1; 0: empty */
        unsigned char data[BLOCK];
    } * cache;
};

uint64_t bk_run_count(const struct bk_run *r) { return r->n; }

uint64_t bk_run_memory(const struct bk_run *r)
{
    return r->n_blocks * 8 + r->n_filter * 64 + CACHE_SLOTS * sizeof(*r->cache);
}

void bk_run_free(struct bk_run *r)
{
    if (!r)
        return;
    if (r->fd >= 0)
        (void)close(r->fd);
    free(r->fences);
    free(r->filter);
    free(r->cache);
    free(r);
}

static int run_new(int fd, uint64_t n, struct bk_run **ret, struct bk_err *err)
{
    struct bk_run *r = calloc(1, sizeof(*r));

    if (!r) {
        (void)close(fd);
        return bk_nomem(err);
    }
    r->fd = fd;
    r->n = n;
    r->n_blocks = (n + PER_BLOCK - 1) / PER_BLOCK;
    r->n_filter = n / 64 + 1; /* eight bits per entry */
    r->fences = calloc((size_t)r->n_blocks + 1, 8);
    r->filter = calloc((size_t)r->n_filter, 64);
    r->cache = calloc(CACHE_SLOTS, sizeof(*r->cache));
    if (!r->fences || !r->filter || !r->cache) {
        bk_run_free(r);
        return bk_nomem(err);
    }
    *ret = r;
    return BAKE_OK;
}

/* A digest is random enough to be its own hashes: eight bytes choose the line of the filter, the
 * next ones the bits in it. */
static unsigned char *filter_line(const struct bk_run *r, const bk_id *id)
{
    return r->filter + 64 * (bk_be64(id->b + 8) % r->n_filter);
}

static unsigned filter_bit(const bk_id *id, int probe)
{
    return (id->b[16 + 2 * probe] | (unsigned)id->b[17 + 2 * probe] << 8) & 511;
}

static void filter_add(struct bk_run *r, const bk_id *id)
{
    unsigned char *line = filter_line(r, id);

    for (int i = 0; i < PROBES; i++)
        line[filter_bit(id, i) >> 3] |= (unsigned char)(1u << (filter_bit(id, i) & 7));
}

static bool filter_has(const struct bk_run *r, const bk_id *id)
{
    const unsigned char *line = filter_line(r, id);

    for (int i = 0; i < PROBES; i++)
        if (!(line[filter_bit(id, i) >> 3] & 1u << (filter_bit(id, i) & 7)))
            return false;
    return true;
}

static void put32(unsigned char *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (unsigned char)(v >> 8 * i);
}

static void put_entry(unsigned char *p, const struct bk_located *e)
{
    memcpy(p, e->id.b, sizeof(e->id.b));
    put32(p + 32, e->loc.pack);
    put32(p + 36, e->loc.segment << 21 | e->loc.offset);
    put32(p + 40, e->loc.length);
}

static void get_entry(const unsigned char *p, struct bk_located *e)
{
    uint32_t at = bk_le32(p + 36);

    memcpy(e->id.b, p, sizeof(e->id.b));
    e->loc.pack = bk_le32(p + 32);
    e->loc.segment = at >> 21;
    e->loc.offset = at & ((1u << 21) - 1);
    e->loc.length = bk_le32(p + 40);
}

/* The last eight bytes of a block: the beginning of the SHA-256 of the others and its number. */
static int block_sum(const unsigned char *data, uint64_t number, unsigned char ret[8],
                     struct bk_err *err)
{
    unsigned char whole[BLOCK];
    bk_id sum;
    int rc;

    memcpy(whole, data, BLOCK - 8);
    for (int i = 0; i < 8; i++)
        whole[BLOCK - 8 + i] = (unsigned char)(number >> 8 * i);
    rc = bk_id_of(whole, BLOCK, &sum, err);
    if (rc >= 0)
        memcpy(ret, sum.b, 8);
    return rc;
}

static int write_all(struct bk_run *r, const void *data, size_t n, struct bk_err *err)
{
    if (bk_write_full(r->fd, data, n) == 0)
        return BAKE_OK;
    return bk_fail_errno(err, errno, "cannot write the index cache");
}

static int footer_of(const struct bk_run *r, unsigned char ret[FOOTER], struct bk_err *err)
{
    struct bk_sha256 *sha;
    int rc = bk_sha256_new(&sha, err);

    if (rc < 0)
        return rc;
    memset(ret, 0, FOOTER);
    memcpy(ret, MAGIC, 8);
    put32(ret + 8, (uint32_t)r->n);
    put32(ret + 12, (uint32_t)(r->n >> 32));
    bk_sha256_add(sha, r->fences, (size_t)r->n_blocks * 8);
    bk_sha256_add(sha, r->filter, (size_t)r->n_filter * 64);
    bk_sha256_add(sha, ret, 32);
    bk_sha256_end(sha, ret + 32);
    bk_sha256_free(sha);
    return BAKE_OK;
}

static int write_block(struct bk_run *r, uint64_t number, unsigned char block[BLOCK],
                       struct bk_err *err)
{
    int rc = block_sum(block, number, block + BLOCK - 8, err);

    if (rc < 0)
        return rc;
    memcpy(r->fences + 8 * number, block, 8);
    return write_all(r, block, BLOCK, err);
}

static int write_blocks(struct bk_run *r,
                        int (*next)(void *arg, struct bk_located *ret, struct bk_err *err),
                        void *arg, struct bk_err *err)
{
    unsigned char block[BLOCK];
    uint64_t at = 0;

    for (uint64_t number = 0; number < r->n_blocks; number++) {
        int rc;

        memset(block, 0, sizeof(block));
        for (unsigned i = 0; i < PER_BLOCK && at < r->n; i++, at++) {
            struct bk_located e;

            if ((rc = next(arg, &e, err)) < 0)
                return rc;
            if (rc == BAKE_END)
                return bk_fail(err, BAKE_E_INTERNAL, "a run has fewer chunks than were counted");
            put_entry(block + i * ENTRY, &e);
            filter_add(r, &e.id);
        }
        if ((rc = write_block(r, number, block, err)) < 0)
            return rc;
    }
    return BAKE_OK;
}

int bk_run_write(int fd, uint64_t n,
                 int (*next)(void *arg, struct bk_located *ret, struct bk_err *err), void *arg,
                 struct bk_run **ret, struct bk_err *err)
{
    unsigned char footer[FOOTER];
    struct bk_run *r;
    int rc = run_new(fd, n, &r, err);

    if (rc < 0)
        return rc;
    if ((rc = write_blocks(r, next, arg, err)) < 0 || (rc = footer_of(r, footer, err)) < 0 ||
        (rc = write_all(r, r->fences, (size_t)r->n_blocks * 8, err)) < 0 ||
        (rc = write_all(r, r->filter, (size_t)r->n_filter * 64, err)) < 0 ||
        (rc = write_all(r, footer, sizeof(footer), err)) < 0) {
        bk_run_free(r);
        return rc;
    }
    *ret = r;
    return BAKE_OK;
}

static int read_at(int fd, void *data, size_t n, uint64_t at, struct bk_err *err)
{
    char *to = data;

    while (n > 0) {
        ssize_t got = pread(fd, to, n, (off_t)at);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return bk_fail_errno(err, errno, "cannot read the index cache");
        if (got == 0)
            return bk_fail(err, BAKE_E_CORRUPT, "the index cache is cut");
        to += got;
        at += (uint64_t)got;
        n -= (size_t)got;
    }
    return BAKE_OK;
}

static int load(struct bk_run *r, const unsigned char footer[FOOTER], struct bk_err *err)
{
    uint64_t at = r->n_blocks * BLOCK;
    unsigned char again[FOOTER];
    int rc;

    if ((rc = read_at(r->fd, r->fences, (size_t)r->n_blocks * 8, at, err)) < 0 ||
        (rc = read_at(r->fd, r->filter, (size_t)r->n_filter * 64, at + r->n_blocks * 8, err)) < 0 ||
        (rc = footer_of(r, again, err)) < 0)
        return rc;
    if (memcmp(again, footer, FOOTER) != 0)
        return bk_fail(err, BAKE_E_CORRUPT, "the index cache is damaged");
    return BAKE_OK;
}

int bk_run_open(int fd, struct bk_run **ret, struct bk_err *err)
{
    unsigned char footer[FOOTER];
    struct bk_run *r;
    struct stat st;
    uint64_t n;
    int rc;

    if (fstat(fd, &st) < 0 || st.st_size < (off_t)FOOTER) {
        (void)close(fd);
        return bk_fail(err, BAKE_E_CORRUPT, "the index cache is cut");
    }
    rc = read_at(fd, footer, sizeof(footer), (uint64_t)st.st_size - FOOTER, err);
    n = bk_le64(footer + 8);
    if (rc >= 0 && (memcmp(footer, MAGIC, 8) != 0 || n > (uint64_t)st.st_size / ENTRY))
        rc = bk_fail(err, BAKE_E_CORRUPT, "the index cache is damaged");
    if (rc < 0) {
        (void)close(fd);
        return rc;
    }
    rc = run_new(fd, n, &r, err);
    if (rc < 0)
        return rc;
    rc = load(r, footer, err);
    if (rc < 0) {
        bk_run_free(r);
        return rc;
    }
    *ret = r;
    return BAKE_OK;
}

static int get_block(struct bk_run *r, uint64_t number, const unsigned char **ret,
                     struct bk_err *err)
{
    size_t slot = (size_t)(number % CACHE_SLOTS);
    unsigned char *data = r->cache[slot].data, sum[8];
    int rc;

    *ret = data;
    if (r->cache[slot].block == number + 1)
        return BAKE_OK;
    r->cache[slot].block = 0;
    if ((rc = read_at(r->fd, data, BLOCK, number * BLOCK, err)) < 0 ||
        (rc = block_sum(data, number, sum, err)) < 0)
        return rc;
    if (memcmp(sum, data + BLOCK - 8, 8) != 0)
        return bk_fail(err, BAKE_E_CORRUPT, "the index cache is damaged");
    r->cache[slot].block = number + 1;
    return BAKE_OK;
}

/* The last block whose first id is not beyond key. */
static uint64_t fence_of(const struct bk_run *r, uint64_t key)
{
    uint64_t low = 0, high = r->n_blocks;

    while (high - low > 1) {
        uint64_t mid = (low + high) / 2;

        if (bk_be64(r->fences + 8 * mid) <= key)
            low = mid;
        else
            high = mid;
    }
    return low;
}

static unsigned entries_in(const struct bk_run *r, uint64_t block)
{
    uint64_t left = r->n - block * PER_BLOCK;

    return left < PER_BLOCK ? (unsigned)left : PER_BLOCK;
}

static int find_in(struct bk_run *r, uint64_t block, const bk_id *id, struct bk_loc *ret,
                   struct bk_err *err)
{
    const unsigned char *data;
    unsigned low = 0, high = entries_in(r, block);
    int rc = get_block(r, block, &data, err);

    if (rc < 0)
        return rc;
    while (low < high) {
        unsigned mid = (low + high) / 2;
        int order = memcmp(data + mid * ENTRY, id->b, sizeof(id->b));

        if (order == 0) {
            struct bk_located e;

            get_entry(data + mid * ENTRY, &e);
            *ret = e.loc;
            return BAKE_OK;
        }
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return BAKE_END;
}

int bk_run_find(struct bk_run *r, const bk_id *id, struct bk_loc *ret, struct bk_err *err)
{
    uint64_t block;
    int rc;

    if (r->n == 0 || !filter_has(r, id))
        return BAKE_END;
    block = fence_of(r, bk_be64(id->b));
    rc = find_in(r, block, id, ret, err);
    /* Ids that share their first eight bytes with a fence may begin in a block before it. */
    while (rc == BAKE_END && block > 0 && bk_be64(r->fences + 8 * block) == bk_be64(id->b))
        rc = find_in(r, --block, id, ret, err);
    return rc;
}

int bk_run_get(struct bk_run *r, uint64_t at, struct bk_located *ret, struct bk_err *err)
{
    const unsigned char *data;
    int rc = get_block(r, at / PER_BLOCK, &data, err);

    if (rc < 0)
        return rc;
    get_entry(data + at % PER_BLOCK * ENTRY, ret);
    return BAKE_OK;
}
