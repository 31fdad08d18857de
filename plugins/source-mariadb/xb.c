/* See xb.h. The stream is a row of pieces, each with a head of its own: "XBSTCK01", flags, 'P'
 * (data) or 'E' (a file's end), the path's length and the path; then, of data, their length, their
 * place in the file and their CRC-32. Files may be mixed. */
#include "xb.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC    "XBSTCK01"
#define HEAD     14
#define PAYLOAD  20
#define LONGEST  4096 /* bytes of a path */
#define MAY_SKIP 1    /* flag: a reader that does not know the type may pass it over */

enum state { IN_HEAD = 0, IN_PATH, IN_PAYLOAD, IN_DATA };

struct file {
    uint64_t key; /* 0: free */
    uint64_t size;
    bool closed;
};

struct my_xb {
    enum state state;
    unsigned char buf[LONGEST];
    size_t n, want;
    uint8_t flags, type;
    uint64_t left; /* of this piece's data */
    uint64_t key;
    uint32_t crc, crc_is;
    bool sums, checkpoints;
    struct file *files;
    size_t n_files, n_open, cap;
    uint64_t bytes;
    char why[300];
    uint32_t table[8][256];
};

/* ---- checksums ------------------------------------------------------------------------------- */

static void make_tables(struct my_xb *x)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int k = 0; k < 8; k++)
            c = c & 1 ? c >> 1 ^ 0xedb88320U : c >> 1;
        x->table[0][i] = c;
    }
    for (uint32_t i = 0; i < 256; i++)
        for (int k = 1; k < 8; k++)
            x->table[k][i] = x->table[k - 1][i] >> 8 ^ x->table[0][x->table[k - 1][i] & 0xff];
}

static uint32_t add_crc(const struct my_xb *x, uint32_t crc, const unsigned char *p, size_t n)
{
    crc = ~crc;
    for (; n >= 8; n -= 8, p += 8) {
        crc ^= (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
        crc = x->table[7][crc & 0xff] ^ x->table[6][crc >> 8 & 0xff] ^
              x->table[5][crc >> 16 & 0xff] ^ x->table[4][crc >> 24] ^ x->table[3][p[4]] ^
              x->table[2][p[5]] ^ x->table[1][p[6]] ^ x->table[0][p[7]];
    }
    for (; n > 0; n--, p++)
        crc = crc >> 8 ^ x->table[0][(crc ^ *p) & 0xff];
    return ~crc;
}

static uint64_t number(const unsigned char *p, size_t n)
{
    uint64_t v = 0;
    for (size_t i = n; i-- > 0;)
        v = v << 8 | p[i];
    return v;
}

/* ---- files ----------------------------------------------------------------------------------- */

static uint64_t key_of(const unsigned char *path, size_t n)
{
    uint64_t h = 1469598103934665603U;
    for (size_t i = 0; i < n; i++)
        h = (h ^ path[i]) * 1099511628211U;
    h ^= h >> 31;
    return h ? h : 1;
}

static struct file *slot(struct file *files, size_t cap, uint64_t key)
{
    size_t at = key & (cap - 1);
    while (files[at].key && files[at].key != key)
        at = (at + 1) & (cap - 1);
    return &files[at];
}

static struct file *file_of(struct my_xb *x, uint64_t key)
{
    if (2 * (x->n_files + 1) > x->cap) {
        size_t cap = x->cap ? x->cap * 2 : 256;
        struct file *files = calloc(cap, sizeof(*files));
        if (!files)
            return NULL;
        for (size_t i = 0; i < x->cap; i++)
            if (x->files[i].key)
                *slot(files, cap, x->files[i].key) = x->files[i];
        free(x->files);
        x->files = files;
        x->cap = cap;
    }
    struct file *f = slot(x->files, x->cap, key);
    if (!f->key) {
        *f = (struct file){.key = key};
        x->n_files++;
        x->n_open++;
    }
    return f;
}

static int corrupt(struct my_xb *x, const char *why)
{
    (void)snprintf(x->why, sizeof(x->why), "%s", why);
    return BAKE_E_CORRUPT;
}

/* What a piece is about, as people can read it. */
static int corrupt_file(struct my_xb *x, const char *why)
{
    size_t n = x->n < 200 ? x->n : 200;
    char path[201];
    for (size_t i = 0; i < n; i++)
        path[i] = x->buf[i] < 0x20 || x->buf[i] == 0x7f ? '?' : (char)x->buf[i];
    path[n] = '\0';
    (void)snprintf(x->why, sizeof(x->why), "'%s' %s", path, why);
    return BAKE_E_CORRUPT;
}

/* ---- pieces ---------------------------------------------------------------------------------- */

static void next_piece(struct my_xb *x)
{
    x->state = IN_HEAD;
    x->n = 0;
    x->want = HEAD;
}

static int head_done(struct my_xb *x)
{
    if (memcmp(x->buf, MAGIC, 8) != 0)
        return corrupt(x, "what should be the head of a piece is none");
    x->flags = x->buf[8];
    x->type = x->buf[9];
    x->want = (size_t)number(x->buf + 10, 4);
    if (x->want == 0 || x->want > sizeof(x->buf))
        return corrupt(x, "a piece has no path, or one that is too long");
    x->n = 0;
    x->state = IN_PATH;
    return BAKE_OK;
}

static bool ends_with(const struct my_xb *x, const char *end)
{
    size_t n = strlen(end);
    return x->n >= n && memcmp(x->buf + x->n - n, end, n) == 0;
}

/* Below the directory that it is unpacked in: the tool that unpacks goes wherever it is told to. */
static bool stays_below(const unsigned char *path, size_t n)
{
    if (path[0] == '/' || memchr(path, '\0', n))
        return false;
    for (size_t at = 0; at < n;) {
        const unsigned char *slash = memchr(path + at, '/', n - at);
        size_t part = slash ? (size_t)(slash - path) - at : n - at;
        if (part == 2 && path[at] == '.' && path[at + 1] == '.')
            return false;
        at += part + 1;
    }
    return true;
}

static int path_done(struct my_xb *x)
{
    if (!stays_below(x->buf, x->n))
        return corrupt_file(x, "would not stay in the directory that it is unpacked in");
    x->key = key_of(x->buf, x->n);
    if (x->type != 'P' && x->type != 'E' && !(x->flags & MAY_SKIP))
        return corrupt_file(x, "has a piece of an unknown kind");
    if (x->type == 'E') {
        struct file *f = file_of(x, x->key);
        if (!f)
            return BAKE_E_NOMEM;
        if (f->closed)
            return corrupt_file(x, "ends twice");
        f->closed = true;
        x->n_open--;
        x->checkpoints |= ends_with(x, "backup_checkpoints");
        next_piece(x);
        return BAKE_OK;
    }
    x->state = IN_PAYLOAD;
    x->want += PAYLOAD;
    return x->want > sizeof(x->buf) ? corrupt(x, "a path is too long") : BAKE_OK;
}

/* Its path stays in front of the buffer, for messages. */
static int payload_done(struct my_xb *x)
{
    size_t path = x->want - PAYLOAD;
    const unsigned char *p = x->buf + path;
    x->n = path;
    x->left = number(p, 8);
    uint64_t offset = number(p + 8, 8);
    x->crc = (uint32_t)number(p + 16, 4);
    x->crc_is = 0;
    x->state = IN_DATA;
    if (x->type != 'P')
        return BAKE_OK;
    struct file *f = file_of(x, x->key);
    if (!f)
        return BAKE_E_NOMEM;
    if (f->closed || f->size != offset || x->left > (uint64_t)1 << 40)
        return corrupt_file(x, f->closed ? "goes on behind its end" : "lacks a piece");
    f->size += x->left;
    x->bytes += x->left;
    return BAKE_OK;
}

static int data_done(struct my_xb *x)
{
    if (x->sums && x->type == 'P' && x->crc != x->crc_is)
        return corrupt_file(x, "does not have its checksum");
    next_piece(x);
    return BAKE_OK;
}

static int field_done(struct my_xb *x)
{
    switch (x->state) {
    case IN_HEAD:
        return head_done(x);
    case IN_PATH:
        return path_done(x);
    default:
        return payload_done(x);
    }
}

int my_xb_feed(struct my_xb *x, const void *data, size_t n)
{
    const unsigned char *p = data;
    int rc = x->why[0] ? BAKE_E_CORRUPT : BAKE_OK;
    while (rc == BAKE_OK && (n > 0 || (x->state == IN_DATA && x->left == 0))) {
        if (x->state == IN_DATA) {
            size_t take = x->left < n ? (size_t)x->left : n;
            if (x->sums)
                x->crc_is = add_crc(x, x->crc_is, p, take);
            x->left -= take;
            p += take;
            n -= take;
            rc = x->left == 0 ? data_done(x) : BAKE_OK;
            continue;
        }
        size_t take = x->want - x->n < n ? x->want - x->n : n;
        memcpy(x->buf + x->n, p, take);
        x->n += take;
        p += take;
        n -= take;
        rc = x->n == x->want ? field_done(x) : BAKE_OK;
    }
    return rc;
}

int my_xb_end(struct my_xb *x)
{
    if (x->why[0])
        return BAKE_E_CORRUPT;
    if (x->state != IN_HEAD || x->n > 0)
        return corrupt(x, "it ends in the middle of a piece");
    if (x->n_open)
        return corrupt(x, "it ends before the last files do");
    if (!x->checkpoints)
        return corrupt(x, "it holds no list of checkpoints, which a whole backup has");
    return BAKE_OK;
}

int my_xb_new(bool sums, struct my_xb **ret)
{
    struct my_xb *x = calloc(1, sizeof(*x));
    *ret = x;
    if (!x)
        return BAKE_E_NOMEM;
    x->sums = sums;
    if (sums)
        make_tables(x);
    next_piece(x);
    return BAKE_OK;
}

void my_xb_free(struct my_xb *x)
{
    if (!x)
        return;
    free(x->files);
    free(x);
}

const char *my_xb_why(const struct my_xb *x) { return x->why; }
uint64_t my_xb_files(const struct my_xb *x) { return x->n_files; }
uint64_t my_xb_bytes(const struct my_xb *x) { return x->bytes; }
