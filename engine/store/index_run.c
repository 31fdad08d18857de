/* Runs: blocks of 4 KiB, then fences (each block's first id, eight bytes), filter, footer. */
#include "store/index_run.h"

#include "base/cleanup.h"
#include "base/codec.h"
#include "base/io.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#define BLOCK     BK_RUN_BLOCK
#define ENTRY     44u
#define PER_BLOCK ((BLOCK - 8) / ENTRY)
#define FOOTER    64u
#define MAGIC     "BAKERUN2"
#define PROBES    5

/* One slot per block number, so no search. The runs' blocks begin behind one another in it: as long
 * as all of them fit, none throws out another. */
struct bk_run_cache {
    size_t n;
    uint64_t runs, begin; /* runs so far, where the next one's blocks begin */
    struct {
        uint64_t run, block; /* run: 0 is empty */
    } * keys;
    unsigned char *data;
};

struct bk_run {
    int fd;
    uint64_t n, n_blocks, n_filter; /* n_filter: lines of 64 bytes */
    unsigned char *fences, *filter;
    struct bk_run_cache *cache;
    uint64_t serial, begin; /* in the cache */
    uint64_t next_block;    /* bk_run_get()'s own: + 1; 0: none */
    unsigned char next_data[BLOCK];
};

int bk_run_cache_new(size_t blocks, struct bk_run_cache **ret, struct bk_err *err)
{
    struct bk_run_cache *c = calloc(1, sizeof(*c));

    if (!c)
        return bk_nomem(err);
    c->n = blocks;
    c->keys = calloc(blocks, sizeof(*c->keys));
    c->data = malloc(blocks * BLOCK);
    if (!c->keys || !c->data) {
        bk_run_cache_free(c);
        return bk_nomem(err);
    }
    *ret = c;
    return BAKE_OK;
}

void bk_run_cache_free(struct bk_run_cache *c)
{
    if (!c)
        return;
    free(c->keys);
    free(c->data);
    free(c);
}

uint64_t bk_run_count(const struct bk_run *r) { return r->n; }

uint64_t bk_run_memory(const struct bk_run *r) { return r->n_blocks * 8 + r->n_filter * 64; }

void bk_run_free(struct bk_run *r)
{
    if (!r)
        return;
    if (r->fd >= 0)
        (void)close(r->fd);
    free(r->fences);
    free(r->filter);
    free(r);
}

static int run_new(int fd, struct bk_run_cache *cache, uint64_t n, struct bk_run **ret,
                   struct bk_err *err)
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
    if (!r->fences || !r->filter) {
        bk_run_free(r);
        return bk_nomem(err);
    }
    r->cache = cache;
    r->serial = ++cache->runs;
    r->begin = cache->begin;
    cache->begin += r->n_blocks;
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

static uint64_t mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) * 0x9e3779b97f4a7c15u;
    return h << 31 | h >> 33;
}

/* The last eight bytes of a block: a checksum of the others and its number. It is to notice decay,
 * not malice, and is computed for every block that is read: so no digest. Each step can be undone,
 * so no change of a single word goes unnoticed. */
static uint64_t block_sum(const unsigned char *data, uint64_t number)
{
    uint64_t h[4] = {number, 1, 2, 3};

    for (size_t at = 0; at < BLOCK - 32; at += 32)
        for (size_t i = 0; i < 4; i++)
            h[i] = mix(h[i], bk_le64(data + at + 8 * i));
    for (size_t i = 0; i < 3; i++)
        h[i] = mix(h[i], bk_le64(data + BLOCK - 32 + 8 * i));
    return mix(mix(mix(h[0], h[1]), h[2]), h[3]);
}

/* Whatever the reason: there is no room for it here. */
static int write_all(struct bk_run *r, const void *data, size_t n, struct bk_err *err)
{
    if (bk_write_full(r->fd, data, n) == 0)
        return BAKE_OK;
    (void)bk_fail_errno(err, errno, "cannot write the index cache");
    if (err)
        err->rc = BAKE_E_NOSPACE;
    return BAKE_E_NOSPACE;
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
    uint64_t sum = block_sum(block, number);

    put32(block + BLOCK - 8, (uint32_t)sum);
    put32(block + BLOCK - 4, (uint32_t)(sum >> 32));
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

int bk_run_write(int fd, struct bk_run_cache *cache, uint64_t n,
                 int (*next)(void *arg, struct bk_located *ret, struct bk_err *err), void *arg,
                 struct bk_run **ret, struct bk_err *err)
{
    unsigned char footer[FOOTER];
    struct bk_run *r;
    int rc = run_new(fd, cache, n, &r, err);

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

int bk_run_open(int fd, struct bk_run_cache *cache, struct bk_run **ret, struct bk_err *err)
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
    rc = run_new(fd, cache, n, &r, err);
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

static int read_block(struct bk_run *r, uint64_t number, unsigned char *ret, struct bk_err *err)
{
    int rc = read_at(r->fd, ret, BLOCK, number * BLOCK, err);

    if (rc >= 0 && block_sum(ret, number) != bk_le64(ret + BLOCK - 8))
        rc = bk_fail(err, BAKE_E_CORRUPT, "the index cache is damaged");
    return rc;
}

static int get_block(struct bk_run *r, uint64_t number, const unsigned char **ret,
                     struct bk_err *err)
{
    struct bk_run_cache *c = r->cache;
    size_t slot = (size_t)((r->begin + number) % c->n);
    unsigned char *data = c->data + slot * BLOCK;
    int rc;

    *ret = data;
    if (c->keys[slot].run == r->serial && c->keys[slot].block == number)
        return BAKE_OK;
    c->keys[slot].run = 0;
    rc = read_block(r, number, data, err);
    if (rc < 0)
        return rc;
    c->keys[slot].run = r->serial;
    c->keys[slot].block = number;
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
                   uint64_t *ret_at, struct bk_err *err)
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
            if (ret_at)
                *ret_at = block * PER_BLOCK + mid;
            return BAKE_OK;
        }
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return BAKE_END;
}

int bk_run_find(struct bk_run *r, const bk_id *id, struct bk_loc *ret, uint64_t *ret_at,
                struct bk_err *err)
{
    uint64_t block;
    int rc;

    if (r->n == 0 || !filter_has(r, id))
        return BAKE_END;
    block = fence_of(r, bk_be64(id->b));
    rc = find_in(r, block, id, ret, ret_at, err);
    /* Ids that share their first eight bytes with a fence may begin in a block before it. */
    while (rc == BAKE_END && block > 0 && bk_be64(r->fences + 8 * block) == bk_be64(id->b))
        rc = find_in(r, --block, id, ret, ret_at, err);
    return rc;
}

int bk_run_get(struct bk_run *r, uint64_t at, struct bk_located *ret, struct bk_err *err)
{
    uint64_t block = at / PER_BLOCK;

    if (r->next_block != block + 1) {
        int rc = read_block(r, block, r->next_data, err);

        r->next_block = rc < 0 ? 0 : block + 1;
        if (rc < 0)
            return rc;
    }
    get_entry(r->next_data + at % PER_BLOCK * ENTRY, ret);
    return BAKE_OK;
}
