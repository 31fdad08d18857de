/* The component "base": the server's files as BASE_BACKUP sends them, one tree with its
 * tablespaces, compared with the manifest that comes last. */
#include "base_facts.h"
#include "base_manifest.h"
#include "base_stream.h"
#include "base_tar.h"
#include "ops.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATH_MOST 400

enum stage { AT_ROOT, AT_LINKS, AT_TARS, AT_MANIFEST, AT_END };

struct base {
    struct pg_reader reader; /* first */
    struct bake_ctx *ctx;
    struct pg_source *src;
    struct pg_stream *stream;
    const struct pg_base_info *info;
    struct pg_manifest *manifest;
    enum stage stage;
    size_t next_link; /* AT_LINKS: whose directory comes next; 0: pg_tblspc itself */
    const char *piece;
    size_t n_piece;
    char archive[16]; /* the tablespace's oid, "" the base; */
    bool in_archive, archive_over;
    bool in_manifest, sent; /* all has come, and is what the manifest says */
    uint64_t left, padding; /* of the entry that was given last */
    bool in_file;
    char path[PATH_MOST];
    struct bake_entry entry;
    char *facts;
};

static int corrupt(struct base *b, const char *why)
{
    return bake_fail(b->ctx, BAKE_E_IO, "the base backup's archive '%s.tar' %s",
                     *b->archive ? b->archive : "base", why);
}

/* ---- bytes of the archives ------------------------------------------------------------------- */

/* The next message of interest. OK: there are bytes in b->piece, or a new archive or the manifest
 * has begun. END. */
static int more(struct base *b)
{
    enum pg_piece kind = PG_PIECE_DATA;
    b->n_piece = 0;
    int rc = pg_stream_next(b->stream, &kind, &b->piece, &b->n_piece);
    if (rc != BAKE_OK || kind == PG_PIECE_DATA)
        return rc;
    if (b->left > 0 || b->padding > 0)
        return corrupt(b, "breaks off within a file");
    b->in_manifest = kind == PG_PIECE_MANIFEST;
    b->in_archive = kind == PG_PIECE_ARCHIVE;
    b->archive_over = false;
    if (b->in_archive)
        (void)snprintf(b->archive, sizeof(b->archive), "%s", b->piece);
    b->n_piece = 0;
    return BAKE_OK;
}

static int wanted(struct base *b)
{
    bool in_archive = b->in_archive;
    int rc = more(b);
    if (rc == BAKE_END || (rc == BAKE_OK && b->n_piece == 0))
        return in_archive ? corrupt(b, "breaks off")
                          : bake_fail(b->ctx, BAKE_E_IO, "the base backup breaks off");
    return rc;
}

static int skip(struct base *b, uint64_t n)
{
    while (n > 0) {
        if (b->n_piece == 0) {
            int rc = wanted(b);
            if (rc != BAKE_OK)
                return rc;
        }
        size_t step = n < b->n_piece ? (size_t)n : b->n_piece;
        b->piece += step;
        b->n_piece -= step;
        n -= step;
    }
    return BAKE_OK;
}

/* A header. The first bytes are there. */
static int take_block(struct base *b, unsigned char block[PG_TAR_BLOCK])
{
    for (size_t have = 0; have < PG_TAR_BLOCK;) {
        if (b->n_piece == 0) {
            int rc = wanted(b);
            if (rc != BAKE_OK)
                return rc;
        }
        size_t step = PG_TAR_BLOCK - have < b->n_piece ? PG_TAR_BLOCK - have : b->n_piece;
        memcpy(block + have, b->piece, step);
        b->piece += step;
        b->n_piece -= step;
        have += step;
    }
    return BAKE_OK;
}

/* ---- files ----------------------------------------------------------------------------------- */

static int end_file(struct base *b)
{
    b->in_file = false;
    int rc = pg_manifest_file_end(b->manifest, 1);
    if (rc != BAKE_OK || b->stage != AT_TARS)
        return rc;
    rc = skip(b, b->padding);
    b->padding = 0;
    return rc;
}

/* Up to room bytes of the file that was given last. */
static int file_bytes(struct base *b, const char **ret, size_t room, size_t *ret_n)
{
    int rc = b->n_piece == 0 ? wanted(b) : BAKE_OK;
    if (rc != BAKE_OK)
        return rc;
    size_t n = b->n_piece < room ? b->n_piece : room;
    n = n < b->left ? n : (size_t)b->left;
    rc = pg_manifest_data(b->manifest, b->piece, n);
    *ret = b->piece;
    *ret_n = n;
    b->piece += n;
    b->n_piece -= n;
    b->left -= n;
    return rc;
}

/* What nobody wanted to read is checked all the same. */
static int leave_file(struct base *b)
{
    while (b->left > 0) {
        const char *data;
        size_t n;
        int rc = file_bytes(b, &data, SIZE_MAX, &n);
        if (rc != BAKE_OK)
            return rc;
    }
    return end_file(b);
}

/* ---- entries --------------------------------------------------------------------------------- */

static void give(struct base *b, uint32_t type, uint32_t mode, struct bake_entry *ret)
{
    uint32_t size = (uint32_t)ret->struct_size;
    b->entry = (struct bake_entry){
        .struct_size = size, .type = type, .valid = BAKE_HAS_MODE, .path = b->path, .mode = mode};
    *ret = b->entry;
}

/* pg_tblspc and the directories in it, which the archives do not hold. BAKE_END: all are given. */
static int next_link(struct base *b, struct bake_entry *ret)
{
    size_t i = b->next_link++;
    if (b->info->n_tablespaces == 0 || i > b->info->n_tablespaces) {
        b->stage = AT_TARS;
        return BAKE_END;
    }
    (void)snprintf(b->path, sizeof(b->path), "pg_tblspc%s%s", i ? "/" : "",
                   i ? b->info->tablespaces[i - 1].oid : "");
    give(b, BAKE_DIR, 0700, ret);
    return BAKE_OK;
}

/* The base's own entries for what next_link() gave; and the link of a tablespace that was made
 * since the backup began, which the log makes again. */
static bool known(const struct base *b, const struct pg_tar_head *head)
{
    if (strcmp(head->path, ".") == 0)
        return true;
    if (*b->archive || strncmp(head->path, "pg_tblspc", 9) != 0)
        return false;
    if (head->path[9] == '\0')
        return b->info->n_tablespaces > 0;
    if (head->path[9] != '/' || head->type == BAKE_SYMLINK)
        return head->path[9] == '/';
    for (size_t i = 0; i < b->info->n_tablespaces; i++)
        if (strcmp(head->path + 10, b->info->tablespaces[i].oid) == 0)
            return head->type == BAKE_DIR;
    return false;
}

static int take_head(struct base *b, const struct pg_tar_head *head, struct bake_entry *ret)
{
    int n = snprintf(b->path, sizeof(b->path), "%s%s%s%s", *b->archive ? "pg_tblspc/" : "",
                     b->archive, *b->archive ? "/" : "", head->path);
    if (n < 0 || (size_t)n >= sizeof(b->path))
        return corrupt(b, "has a name that is too long");
    if (head->type == BAKE_SYMLINK)
        return corrupt(b, "has a link that is no tablespace");
    b->entry = (struct bake_entry){
        .struct_size = ret->struct_size,
        .type = head->type,
        .valid = BAKE_HAS_MODE | BAKE_HAS_OWNER | BAKE_HAS_MTIME,
        .path = b->path,
        .mode = head->mode,
        .uid = head->uid,
        .gid = head->gid,
        .size = head->size,
        .mtime_ns = head->mtime_ns,
    };
    *ret = b->entry;
    if (head->type != BAKE_FILE)
        return BAKE_OK;
    b->left = head->size;
    b->padding = -head->size % PG_TAR_BLOCK;
    b->in_file = true;
    return pg_manifest_file(b->manifest, b->path);
}

/* Everything up to a header's first byte. OK | END: no more archives. */
static int find_block(struct base *b)
{
    while (b->n_piece == 0) {
        int rc = more(b);
        if (rc == BAKE_END || (rc == BAKE_OK && b->in_manifest))
            return BAKE_END;
        if (rc != BAKE_OK)
            return rc;
    }
    return b->in_archive ? BAKE_OK
                         : bake_fail(b->ctx, BAKE_E_IO,
                                     "the base backup begins without "
                                     "an archive");
}

static int next_head(struct base *b, struct pg_tar_head *head)
{
    unsigned char block[PG_TAR_BLOCK];
    const char *why = NULL;
    for (;;) {
        int rc = find_block(b);
        if (rc == BAKE_OK)
            rc = take_block(b, block);
        if (rc != BAKE_OK)
            return rc;
        if (pg_tar_head(block, head, &why) != BAKE_OK)
            return corrupt(b, why);
        if (head->type == 0) {
            b->archive_over = true;
            continue;
        }
        if (b->archive_over)
            return corrupt(b, "goes on after its end mark");
        if (!known(b, head))
            return BAKE_OK;
    }
}

/* The manifest is the last thing that is sent, and its length is known only then. */
static int take_manifest(struct base *b)
{
    if (!b->in_manifest)
        return bake_fail(b->ctx, BAKE_E_IO, "the base backup has no manifest");
    int rc = pg_manifest_file(b->manifest, PG_MANIFEST_NAME);
    while (rc == BAKE_OK) {
        if (b->n_piece > 0)
            rc = pg_manifest_data(b->manifest, b->piece, b->n_piece);
        if (rc == BAKE_OK)
            rc = more(b);
        if (rc == BAKE_OK && !b->in_manifest)
            rc = bake_fail(b->ctx, BAKE_E_IO, "the base backup goes on after its manifest");
    }
    if (rc == BAKE_END)
        rc = pg_manifest_file_end(b->manifest, 1);
    if (rc == BAKE_OK)
        rc = pg_manifest_check(b->manifest);
    b->sent = rc == BAKE_OK;
    return rc;
}

static int give_manifest(struct base *b, struct bake_entry *ret)
{
    int rc = take_manifest(b);
    if (rc != BAKE_OK)
        return rc;
    (void)snprintf(b->path, sizeof(b->path), "%s", PG_MANIFEST_NAME);
    give(b, BAKE_FILE, 0600, ret);
    b->entry.size = ret->size = b->left = pg_manifest_size(b->manifest);
    b->stage = AT_MANIFEST;
    return BAKE_OK;
}

static int base_next(void *reader, struct bake_entry *ret)
{
    struct base *b = reader;
    struct pg_tar_head head;
    int rc = BAKE_END;
    if (b->in_file && (rc = leave_file(b)) != BAKE_OK)
        return rc;
    switch (b->stage) {
    case AT_ROOT:
        (void)snprintf(b->path, sizeof(b->path), ".");
        give(b, BAKE_DIR, 0700, ret);
        b->stage = AT_LINKS;
        return BAKE_OK;
    case AT_LINKS:
        rc = next_link(b, ret);
        if (rc != BAKE_END)
            return rc;
        __attribute__((fallthrough));
    case AT_TARS:
        rc = next_head(b, &head);
        if (rc == BAKE_OK)
            return take_head(b, &head, ret);
        return rc == BAKE_END ? give_manifest(b, ret) : rc;
    case AT_MANIFEST:
        b->stage = AT_END;
        return BAKE_END;
    default:
        return BAKE_END;
    }
}

static int base_open_entry(void *reader, struct bake_entry *entry)
{
    (void)reader;
    (void)entry;
    return BAKE_OK;
}

static int read_manifest(struct base *b, struct bake_out *out)
{
    size_t room = out->size - out->pos;
    uint64_t at = b->entry.size - b->left;
    ssize_t n;
    if (b->left == 0)
        return BAKE_END;
    if (room > b->left)
        room = (size_t)b->left;
    do
        n = pread(pg_manifest_fd(b->manifest), (char *)out->data + out->pos, room, (off_t)at);
    while (n < 0 && errno == EINTR);
    if (n <= 0)
        return bake_fail(b->ctx, BAKE_E_IO, "cannot read the manifest again: %s",
                         n < 0 ? strerror(errno) : "it is cut short");
    out->pos += (size_t)n;
    b->left -= (uint64_t)n;
    return BAKE_OK;
}

static int base_read(void *reader, struct bake_out *out)
{
    struct base *b = reader;
    if (b->stage == AT_MANIFEST)
        return read_manifest(b, out);
    if (!b->in_file || b->left == 0)
        return BAKE_END;
    while (out->pos < out->size && b->left > 0) {
        const char *data;
        size_t n;
        int rc = file_bytes(b, &data, out->size - out->pos, &n);
        if (rc != BAKE_OK) /* nothing of this backup is of use any more */
            return rc == BAKE_E_CANCELLED || rc == BAKE_E_NOMEM ? rc : (b->stage = AT_END, rc);
        memcpy((char *)out->data + out->pos, data, n);
        out->pos += n;
    }
    return BAKE_OK;
}

static int base_finish(void *reader, struct bake_result *ret)
{
    struct base *b = reader;
    if (!b->sent)
        return bake_fail(b->ctx, BAKE_E_IO, "the base backup was not read to its end");
    int rc = pg_base_facts(b->src, b->ctx, b->info, pg_manifest_files(b->manifest), &b->facts);
    ret->facts = b->facts;
    return rc;
}

static void base_close(void *reader)
{
    struct base *b = reader;
    pg_stream_free(b->stream);
    pg_manifest_free(b->manifest);
    free(b->facts);
    free(b);
}

int pg_base_open(struct pg_source *src, struct bake_ctx *ctx, const struct bake_component *c,
                 struct pg_reader **ret)
{
    struct base *b = calloc(1, sizeof(*b));
    (void)c;
    if (!b)
        return bake_fail(ctx, BAKE_E_NOMEM, "out of memory");
    b->reader = (struct pg_reader){base_next, base_open_entry, base_read, base_finish, base_close};
    b->ctx = ctx;
    b->src = src;
    int rc = pg_manifest_new(ctx, src->cfg->scratch, &b->manifest);
    if (rc == BAKE_OK)
        rc = pg_stream_open(ctx, src->cfg, &b->stream);
    if (rc != BAKE_OK) {
        base_close(b);
        return rc;
    }
    b->info = pg_stream_info(b->stream);
    *ret = &b->reader;
    return BAKE_OK;
}
