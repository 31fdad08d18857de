/* A base backup against its own manifest: what came, and how it compares. */
#include "base_manifest.h"
#include "base_json.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAMED     (UINT64_C(1) << 63) /* in seen.size: the manifest has it */
#define FREE      (UINT64_C(1) << 62) /* in seen.size: it need not */
#define SIZE      (FREE - 1)
#define BUFFER    (64u << 10)
#define LAST_LINE 256 /* bytes at the end that its checksum's line lies in */

struct seen { /* a file that came */
    uint64_t path, size, digest;
};

struct pg_manifest {
    struct bake_ctx *ctx;
    EVP_MD_CTX *sha;
    struct seen *files, now;
    size_t n, cap;
    enum { NOTHING, PLAIN, MANIFEST } kind; /* of the file that is coming */
    int fd;
    uint64_t size, named;
    bool in_wal; /* the file that is coming is of the log */
    bool whole;  /* the manifest came, and to its end */
};

static int no_memory(struct pg_manifest *m)
{
    return bake_fail(m->ctx, BAKE_E_NOMEM, "out of memory");
}

/* FNV-1a: nobody is to be fooled here, a file is only to be found again. */
static uint64_t hash_of(const char *text, size_t n)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)text[i]) * UINT64_C(0x100000001b3);
    return h;
}

static int temporary(struct bake_ctx *ctx, const char *dir, int *ret)
{
    const char *tmp = getenv("TMPDIR"); /* NOLINT(concurrency-mt-unsafe): nobody sets it */
    if (!dir)
        dir = tmp && *tmp == '/' ? tmp : "/var/tmp";
    int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0)
        return bake_fail(ctx, errno == ENOSPC ? BAKE_E_NOSPACE : BAKE_E_IO,
                         "cannot make a temporary file in '%s': %s", dir, strerror(errno));
    *ret = fd;
    return BAKE_OK;
}

int pg_manifest_new(struct bake_ctx *ctx, const char *dir, struct pg_manifest **ret)
{
    struct pg_manifest *m = calloc(1, sizeof(*m));
    if (!m)
        return bake_fail(ctx, BAKE_E_NOMEM, "out of memory");
    m->ctx = ctx;
    m->fd = -1;
    m->sha = EVP_MD_CTX_new();
    int rc = m->sha ? temporary(ctx, dir, &m->fd) : no_memory(m);
    if (rc == BAKE_OK)
        *ret = m;
    else
        pg_manifest_free(m);
    return rc;
}

void pg_manifest_free(struct pg_manifest *m)
{
    if (!m)
        return;
    EVP_MD_CTX_free(m->sha);
    if (m->fd >= 0)
        (void)close(m->fd);
    free(m->files);
    free(m);
}

int pg_manifest_fd(const struct pg_manifest *m) { return m->fd; }
uint64_t pg_manifest_size(const struct pg_manifest *m) { return m->size; }
uint64_t pg_manifest_files(const struct pg_manifest *m) { return m->named; }

/* ---- what comes ------------------------------------------------------------------------------ */

int pg_manifest_file(struct pg_manifest *m, const char *path)
{
    m->now = (struct seen){.path = hash_of(path, strlen(path))};
    m->kind = strcmp(path, PG_MANIFEST_NAME) == 0 ? MANIFEST : PLAIN;
    m->in_wal = strncmp(path, "pg_wal/", 7) == 0;
    if (m->kind == MANIFEST) {
        m->size = 0;
        m->whole = false;
        if (ftruncate(m->fd, 0) != 0 || lseek(m->fd, 0, SEEK_SET) != 0)
            return bake_fail(m->ctx, BAKE_E_IO, "cannot empty a temporary file: %s",
                             strerror(errno));
    }
    if (m->kind == PLAIN && EVP_DigestInit_ex(m->sha, EVP_sha256(), NULL) != 1)
        return bake_fail(m->ctx, BAKE_E_INTERNAL, "cannot begin a SHA-256");
    return BAKE_OK;
}

static int keep(struct pg_manifest *m, const char *data, size_t n)
{
    while (n > 0) {
        ssize_t done = write(m->fd, data, n);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return bake_fail(m->ctx, errno == ENOSPC ? BAKE_E_NOSPACE : BAKE_E_IO,
                             "cannot write the manifest to a temporary file: %s", strerror(errno));
        data += done;
        n -= (size_t)done;
        m->size += (uint64_t)done;
    }
    return BAKE_OK;
}

int pg_manifest_data(struct pg_manifest *m, const void *data, size_t n)
{
    m->now.size += n;
    if (m->kind == MANIFEST)
        return keep(m, data, n);
    if (m->kind == PLAIN && EVP_DigestUpdate(m->sha, data, n) != 1)
        return bake_fail(m->ctx, BAKE_E_INTERNAL, "cannot go on with a SHA-256");
    return BAKE_OK;
}

static int add(struct pg_manifest *m)
{
    if (m->n == m->cap) {
        size_t cap = m->cap ? m->cap * 2 : 1024;
        struct seen *files = realloc(m->files, cap * sizeof(*files));
        if (!files)
            return no_memory(m);
        m->files = files;
        m->cap = cap;
    }
    m->files[m->n++] = m->now;
    return BAKE_OK;
}

static uint64_t head_of(const unsigned char digest[8])
{
    uint64_t v = 0;
    for (unsigned i = 0; i < 8; i++)
        v = v << 8 | digest[i];
    return v;
}

int pg_manifest_file_end(struct pg_manifest *m, int good)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    int rc = BAKE_OK;
    if (m->kind == MANIFEST)
        m->whole = good;
    if (m->kind == PLAIN && EVP_DigestFinal_ex(m->sha, digest, NULL) != 1)
        rc = bake_fail(m->ctx, BAKE_E_INTERNAL, "cannot end a SHA-256");
    if (m->kind == PLAIN && rc == BAKE_OK && good) { /* else it is missing, and will be named */
        m->now.digest = head_of(digest);
        m->now.size |= m->in_wal ? FREE : 0;
        rc = add(m);
    }
    m->kind = NOTHING;
    return rc;
}

/* ---- how it compares ------------------------------------------------------------------------- */

static int by_path(const void *a, const void *b)
{
    uint64_t x = ((const struct seen *)a)->path, y = ((const struct seen *)b)->path;
    return x < y ? -1 : x > y;
}

static size_t first_of(const struct pg_manifest *m, uint64_t path)
{
    size_t low = 0, high = m->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (m->files[middle].path < path)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* A file that the manifest names. Paths may share a hash, however unlikely: any that fits is it. */
static int compare(void *arg, const struct pg_manifest_item *item)
{
    struct pg_manifest *m = arg;
    uint64_t path = hash_of(item->path, strlen(item->path)), digest = head_of(item->sha256);
    const struct seen *other = NULL;
    m->named++;
    for (size_t i = first_of(m, path); i < m->n && m->files[i].path == path; i++) {
        struct seen *f = &m->files[i];
        if ((f->size & SIZE) == item->size && f->digest == digest) {
            f->size |= NAMED;
            return BAKE_OK;
        }
        other = f;
    }
    if (!other)
        return bake_fail(m->ctx, BAKE_E_CORRUPT,
                         "the base backup's file '%s' is missing, or could not be read",
                         item->path);
    if ((other->size & SIZE) != item->size)
        return bake_fail(m->ctx, BAKE_E_CORRUPT,
                         "the base backup's file '%s' has %" PRIu64
                         " bytes; its manifest says %" PRIu64,
                         item->path, other->size & SIZE, item->size);
    return bake_fail(m->ctx, BAKE_E_CORRUPT,
                     "the base backup's file '%s' does not match its manifest's checksum",
                     item->path);
}

static int corrupt(struct pg_manifest *m, const char *why)
{
    return bake_fail(m->ctx, BAKE_E_CORRUPT, "the base backup's manifest %s", why);
}

/* How many bytes its checksum is of: up to its last line. */
static int sealed_part(struct pg_manifest *m, uint64_t *ret)
{
    char end[LAST_LINE];
    size_t n = m->size < sizeof(end) ? (size_t)m->size : sizeof(end);
    ssize_t got = pread(m->fd, end, n, (off_t)(m->size - n));
    if (got != (ssize_t)n)
        return bake_fail(m->ctx, BAKE_E_IO, "cannot read the manifest again: %s",
                         got < 0 ? strerror(errno) : "it is cut short");
    if (n < 2 || end[n - 1] != '\n')
        return corrupt(m, "is cut short");
    const char *line = memrchr(end, '\n', n - 1);
    if (!line)
        return corrupt(m, "has no line with its checksum at its end");
    *ret = m->size - n + (uint64_t)(line + 1 - end);
    return BAKE_OK;
}

static int parse(struct pg_manifest *m, struct pg_json *json, uint64_t sealed,
                 unsigned char ret_digest[EVP_MAX_MD_SIZE])
{
    char *buffer = malloc(BUFFER);
    int rc = buffer ? BAKE_OK : no_memory(m);
    if (rc == BAKE_OK && EVP_DigestInit_ex(m->sha, EVP_sha256(), NULL) != 1)
        rc = bake_fail(m->ctx, BAKE_E_INTERNAL, "cannot begin a SHA-256");
    for (uint64_t at = 0; rc == BAKE_OK && at < m->size;) {
        ssize_t n = pread(m->fd, buffer, BUFFER, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            rc = bake_fail(m->ctx, BAKE_E_IO, "cannot read the manifest again: %s",
                           n < 0 ? strerror(errno) : "it is cut short");
        if (rc == BAKE_OK && at < sealed &&
            EVP_DigestUpdate(m->sha, buffer, sealed - at < (uint64_t)n ? sealed - at : (size_t)n) !=
                1)
            rc = bake_fail(m->ctx, BAKE_E_INTERNAL, "cannot go on with a SHA-256");
        if (rc == BAKE_OK)
            rc = pg_json_feed(json, buffer, (size_t)n);
        if (rc == BAKE_OK && m->ctx->host->cancelled(m->ctx))
            rc = bake_fail(m->ctx, BAKE_E_CANCELLED, "cancelled");
        at += n > 0 ? (uint64_t)n : 0;
    }
    if (rc == BAKE_OK && EVP_DigestFinal_ex(m->sha, ret_digest, NULL) != 1)
        rc = bake_fail(m->ctx, BAKE_E_INTERNAL, "cannot end a SHA-256");
    free(buffer);
    return rc;
}

static int none_too_many(struct pg_manifest *m)
{
    uint64_t extra = 0;
    for (size_t i = 0; i < m->n; i++)
        extra += !(m->files[i].size & (NAMED | FREE));
    if (extra == 0)
        return BAKE_OK;
    return bake_fail(m->ctx, BAKE_E_CORRUPT,
                     "the base backup has files that its manifest does not name: %" PRIu64, extra);
}

int pg_manifest_check(struct pg_manifest *m)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    uint64_t sealed = 0;
    const char *why = NULL;
    if (!m->whole)
        return bake_fail(m->ctx, BAKE_E_CORRUPT,
                         "the base backup's file '%s' is missing, or could "
                         "not be read",
                         PG_MANIFEST_NAME);
    if (m->n > 0)
        qsort(m->files, m->n, sizeof(*m->files), by_path);
    for (size_t i = 0; i < m->n; i++)
        m->files[i].size &= ~NAMED;
    m->named = 0;
    struct pg_json *json = NULL;
    int rc = pg_json_new(m->ctx, compare, m, &json);
    if (rc == BAKE_OK)
        rc = sealed_part(m, &sealed);
    if (rc == BAKE_OK)
        rc = parse(m, json, sealed, digest);
    if (rc == BAKE_OK && !pg_json_whole(json, digest, &why))
        rc = corrupt(m, why);
    if (rc == BAKE_OK)
        rc = none_too_many(m);
    pg_json_free(json);
    return rc;
}
