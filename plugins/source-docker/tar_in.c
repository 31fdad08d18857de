/* The strict tar reader: blocks, the order of entries, data, and the end. */
#include "tar_impl.h"

#include "walk/walk.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUFFER (128u << 10)
#define QUOTED 300 /* bytes of a name in a message */

struct dk_tarin {
    dk_tarin_pull_fn *pull;
    void *arg;
    char *one;
    unsigned char *buffer;
    size_t at, filled;
    struct tar_head head;
    struct tar_text before, dir, long_path, long_link, extended;
    bool begun, in_dir;     /* an entry was given; `dir` is one that was given */
    uint64_t data, padding; /* of the entry that was given last, still to come */
    bool cut, over, dry;    /* dry: pull() has said END */
    struct bake_entry entry;
    char why[QUOTED + 200];
};

int dk_tarin_new(dk_tarin_pull_fn *pull, void *arg, const char *one, struct dk_tarin **ret)
{
    struct dk_tarin *t = calloc(1, sizeof(*t));
    if (!t)
        return BAKE_E_NOMEM;
    t->pull = pull;
    t->arg = arg;
    t->buffer = malloc(BUFFER);
    t->one = one ? strdup(one) : NULL;
    if (!t->buffer || (one && !t->one)) {
        dk_tarin_free(t);
        return BAKE_E_NOMEM;
    }
    *ret = t;
    return BAKE_OK;
}

void dk_tarin_free(struct dk_tarin *t)
{
    if (!t)
        return;
    tar_head_free(&t->head);
    free(t->before.data);
    free(t->dir.data);
    free(t->long_path.data);
    free(t->long_link.data);
    free(t->extended.data);
    free(t->buffer);
    free(t->one);
    free(t);
}

const char *dk_tarin_why(const struct dk_tarin *t) { return t->why; }

bool dk_tarin_cut(const struct dk_tarin *t) { return t->cut; }

static int corrupt(struct dk_tarin *t, const char *why)
{
    (void)snprintf(t->why, sizeof(t->why), "%s", why);
    return BAKE_E_CORRUPT;
}

static int corrupt_entry(struct dk_tarin *t, const char *name, const char *why)
{
    (void)snprintf(t->why, sizeof(t->why), "entry '%.*s' %s", QUOTED, name ? name : "", why);
    return BAKE_E_CORRUPT;
}

/* ---- bytes ----------------------------------------------------------------------------------- */

/* At least one byte more. OK | END. */
static int pull(struct dk_tarin *t, struct bake_out *out)
{
    size_t before = out->pos;
    int rc = BAKE_OK;
    while (!t->dry && rc == BAKE_OK && out->pos == before) {
        rc = t->pull(t->arg, out);
        t->dry = rc == BAKE_END;
    }
    if (rc < 0)
        return rc;
    return out->pos > before ? BAKE_OK : BAKE_END;
}

/* At least one byte more in the buffer. OK | END. */
static int fill(struct dk_tarin *t)
{
    if (t->at == t->filled)
        t->at = t->filled = 0;
    if (t->filled == BUFFER) {
        memmove(t->buffer, t->buffer + t->at, t->filled - t->at);
        t->filled -= t->at;
        t->at = 0;
    }
    struct bake_out out = {t->buffer, BUFFER, t->filled};
    int rc = pull(t, &out);
    t->filled = out.pos;
    return rc;
}

static int ended(struct dk_tarin *t)
{
    t->cut = true;
    return corrupt(t, "the archive breaks off before its end mark");
}

/* n bytes, at most a block, in the buffer; *ret: where. */
static int take(struct dk_tarin *t, size_t n, const unsigned char **ret)
{
    while (t->filled - t->at < n) {
        int rc = fill(t);
        if (rc != BAKE_OK)
            return rc == BAKE_END ? ended(t) : rc;
    }
    *ret = t->buffer + t->at;
    t->at += n;
    return BAKE_OK;
}

static int skip(struct dk_tarin *t, uint64_t n)
{
    while (n > 0) {
        size_t have = t->filled - t->at;
        if (have == 0) {
            int rc = fill(t);
            if (rc != BAKE_OK)
                return rc == BAKE_END ? ended(t) : rc;
            continue;
        }
        if (have > n)
            have = (size_t)n;
        t->at += have;
        n -= have;
    }
    return BAKE_OK;
}

static uint64_t padding_of(uint64_t size) { return -size % TAR_BLOCK; }

/* The content of a header that belongs to the next one. */
static int take_extended(struct dk_tarin *t, uint64_t size, struct tar_text *to)
{
    if (size == 0 || size > TAR_EXTENDED)
        return corrupt(t, "the archive has an extended header of a size that makes no sense");
    to->n = 0;
    for (uint64_t left = size; left > 0;) {
        const unsigned char *p;
        size_t n = left < TAR_BLOCK ? (size_t)left : TAR_BLOCK;
        int rc = take(t, n, &p);
        if (rc == BAKE_OK)
            rc = tar_text_add(to, p, n);
        if (rc != BAKE_OK)
            return rc;
        left -= n;
    }
    return skip(t, padding_of(size));
}

/* ---- headers --------------------------------------------------------------------------------- */

static bool is_zero(const unsigned char *block, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (block[i])
            return false;
    return true;
}

/* The first zero block was read: another one must follow, and then nothing but zeros. */
static int finish(struct dk_tarin *t)
{
    const unsigned char *block;
    int rc = take(t, TAR_BLOCK, &block);
    if (rc != BAKE_OK)
        return rc;
    bool good = is_zero(block, TAR_BLOCK);
    while (good && rc == BAKE_OK) {
        good = is_zero(t->buffer + t->at, t->filled - t->at);
        t->at = t->filled;
        if (good)
            rc = fill(t);
    }
    if (!good)
        return corrupt(t, "the archive goes on after its end mark");
    t->over = rc == BAKE_END;
    return rc;
}

/* A long name in GNU's way: NUL-ended. */
static void cut_text(struct tar_text *text) { text->n = strlen(text->data); }

static int apply_long(struct dk_tarin *t)
{
    int rc = BAKE_OK;
    if (t->long_path.n > 0) {
        t->head.has_path = true;
        rc = tar_text_set(&t->head.path, t->long_path.data, t->long_path.n);
    }
    if (rc == BAKE_OK && t->long_link.n > 0) {
        t->head.has_link = true;
        rc = tar_text_set(&t->head.link, t->long_link.data, t->long_link.n);
    }
    return rc;
}

/* A header that only says something about the next one. BAKE_END: it is an entry's own. */
static int extension(struct dk_tarin *t, char type, uint64_t size)
{
    const char *why = NULL;
    struct tar_text *to = type == 'L'   ? &t->long_path
                          : type == 'K' ? &t->long_link
                          : type == 'x' ? &t->extended
                                        : NULL;
    if (!to)
        return BAKE_END;
    if (to->n > 0)
        return corrupt(t, "the archive has two headers of one kind for one entry");
    int rc = take_extended(t, size, to);
    if (rc == BAKE_OK && type != 'x')
        cut_text(to);
    if (rc == BAKE_OK && type == 'x') {
        rc = tar_head_pax(&t->head, to->data, to->n, &why);
        if (rc == BAKE_E_CORRUPT)
            return corrupt_entry(t, t->head.has_path ? t->head.path.data : t->before.data, why);
    }
    return rc;
}

static int own_head(struct dk_tarin *t, const unsigned char *block)
{
    const char *why = NULL;
    int rc = apply_long(t);
    if (rc == BAKE_OK)
        rc = tar_head_block(&t->head, block, &why);
    return rc == BAKE_E_CORRUPT ? corrupt_entry(t, t->head.path.data, why) : rc;
}

/* Everything up to the entry's own header. OK | END. */
static int read_head(struct dk_tarin *t)
{
    tar_head_begin(&t->head);
    t->long_path.n = t->long_link.n = t->extended.n = 0;
    for (;;) {
        const unsigned char *block;
        const char *why = NULL;
        struct tar_head own = {0}; /* what a header says of its extension is not the entry's */
        int rc = take(t, TAR_BLOCK, &block);
        if (rc != BAKE_OK)
            return rc;
        if (is_zero(block, TAR_BLOCK)) {
            bool waiting = t->long_path.n > 0 || t->long_link.n > 0 || t->extended.n > 0;
            return waiting ? corrupt(t, "the archive ends within an entry") : finish(t);
        }
        rc = tar_head_block(&own, block, &why);
        char type = own.type;
        uint64_t size = own.size;
        unsigned char copy[TAR_BLOCK];
        memcpy(copy, block, TAR_BLOCK);
        tar_head_free(&own);
        if (rc == BAKE_E_CORRUPT)
            return t->begun ? corrupt_entry(t, t->before.data, "is followed by what is no header")
                            : corrupt(t, "this is no tar archive");
        if (rc == BAKE_OK)
            rc = extension(t, type, size);
        if (rc == BAKE_OK)
            continue;
        return rc == BAKE_END ? own_head(t, copy) : rc;
    }
}

/* ---- entries --------------------------------------------------------------------------------- */

static uint32_t type_of(char type)
{
    switch (type) {
    case '0':
    case '7':
        return BAKE_FILE;
    case '1':
        return BAKE_HARDLINK;
    case '2':
        return BAKE_SYMLINK;
    case '3':
        return BAKE_CHARDEV;
    case '4':
        return BAKE_BLOCKDEV;
    case '5':
        return BAKE_DIR;
    case '6':
        return BAKE_FIFO;
    default:
        return 0;
    }
}

/* Names of a directory come after it and in order: what is given otherwise is not what the daemon
 * reads from a file system. */
static const char *misplaced(struct dk_tarin *t, const char *path)
{
    if (t->one)
        return t->begun ? "is one too many" : NULL;
    if (!t->begun)
        return strcmp(path, ".") == 0 ? NULL : "comes before the directory it lies in";
    const char *before = strcmp(t->before.data, ".") == 0 ? "" : t->before.data;
    if (strcmp(path, ".") == 0 || bkc_path_cmp(before, path) >= 0)
        return "comes twice or out of order";
    const char *slash = strrchr(path, '/');
    size_t parent = slash ? (size_t)(slash - path) : 0;
    while (t->dir.n > parent || (t->dir.n > 0 && strncmp(t->dir.data, path, t->dir.n) != 0)) {
        char *up = strrchr(t->dir.data, '/');
        t->dir.n = up ? (size_t)(up - t->dir.data) : 0;
        t->dir.data[t->dir.n] = '\0';
    }
    return t->dir.n == parent ? NULL : "lies in what is no directory";
}

/* The link's text, or the path of the earlier entry. */
static const char *bad_link(struct dk_tarin *t, uint32_t type)
{
    struct tar_text *link = &t->head.link;
    if (type != BAKE_HARDLINK)
        return type == BAKE_SYMLINK && link->n == 0 ? "is a link without text" : NULL;
    if (t->one || tar_name(link))
        return "is a hard link to outside of the directory that was asked for";
    return bkc_path_cmp(link->data, t->head.path.data) < 0 ? NULL
                                                           : "is a hard link to what comes later";
}

static const char *wrong(struct dk_tarin *t, uint32_t type)
{
    struct tar_text *path = &t->head.path;
    const char *why = NULL;
    if (t->one && (strcmp(path->data, t->one) != 0 || type == BAKE_DIR))
        return "is not the file that was asked for";
    if (!t->one)
        why = tar_name(path);
    if (!why && type == 0)
        why = "is of a kind that the daemon never writes";
    if (!why && type != BAKE_FILE && t->head.size > 0)
        why = "has data, but is no file";
    if (!why && !t->begun && !t->one && type != BAKE_DIR)
        why = "is no directory";
    if (!why)
        why = misplaced(t, path->data);
    return why ? why : bad_link(t, type);
}

static int remember(struct dk_tarin *t, uint32_t type)
{
    const char *path = t->head.path.data;
    int rc = tar_text_set(&t->before, path, t->head.path.n);
    if (rc == BAKE_OK && (type == BAKE_DIR || !t->begun))
        rc = tar_text_set(&t->dir, path, t->begun ? t->head.path.n : 0);
    t->begun = true;
    return rc;
}

static void fill_entry(struct dk_tarin *t, uint32_t type)
{
    const struct tar_head *h = &t->head;
    t->entry = (struct bake_entry){
        .struct_size = sizeof(t->entry),
        .type = type,
        .valid = BAKE_HAS_MODE | BAKE_HAS_OWNER | BAKE_HAS_MTIME,
        .path = h->path.data,
        .mode = h->mode,
        .uid = h->uid,
        .gid = h->gid,
        .mtime_ns = h->mtime_ns,
        .size = type == BAKE_FILE ? h->size : 0,
    };
    if (type == BAKE_HARDLINK || type == BAKE_SYMLINK)
        t->entry.link = h->link.data;
    if (type == BAKE_CHARDEV || type == BAKE_BLOCKDEV) {
        t->entry.dev_major = h->dev_major;
        t->entry.dev_minor = h->dev_minor;
    }
    if (h->has_xattrs) { /* others than these are not in the archive, so none says nothing */
        t->entry.valid |= BAKE_HAS_XATTRS;
        t->entry.xattrs = h->xattrs.data;
        t->entry.xattrs_size = h->xattrs.n;
    }
}

int dk_tarin_next(struct dk_tarin *t, struct bake_entry *ret)
{
    if (t->over)
        return BAKE_END;
    int rc = skip(t, t->data);
    if (rc == BAKE_OK)
        rc = skip(t, t->padding);
    t->data = t->padding = 0;
    if (rc == BAKE_OK)
        rc = read_head(t);
    if (rc == BAKE_END && !t->begun)
        return corrupt(t, "the archive is empty");
    if (rc != BAKE_OK)
        return rc;
    uint32_t type = type_of(t->head.type);
    const char *why = wrong(t, type);
    if (why)
        return corrupt_entry(t, t->head.path.data, why);
    rc = remember(t, type);
    if (rc != BAKE_OK)
        return rc;
    fill_entry(t, type);
    t->data = t->entry.size;
    t->padding = padding_of(t->data);
    *ret = t->entry;
    return BAKE_OK;
}

int dk_tarin_read(struct dk_tarin *t, struct bake_out *out)
{
    size_t room = out->size - out->pos, have = t->filled - t->at;
    if (t->data == 0)
        return BAKE_END;
    if (room > t->data)
        room = (size_t)t->data;
    if (room == 0)
        return BAKE_OK;
    if (have > 0) {
        if (have > room)
            have = room;
        memcpy((char *)out->data + out->pos, t->buffer + t->at, have);
        t->at += have;
        t->data -= have;
        out->pos += have;
        return BAKE_OK;
    }
    struct bake_out part = {(char *)out->data + out->pos, room, 0}; /* past the buffer */
    int rc = pull(t, &part);
    t->data -= part.pos;
    out->pos += part.pos;
    return rc == BAKE_END ? ended(t) : rc;
}
