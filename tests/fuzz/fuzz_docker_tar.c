/* Feeds bytes to the strict tar reader of the Docker source, and checks what its entries promise.
 * The first byte says how: bit 0: one file is wanted, not a directory; the rest: pieces. */
#include "tar_in.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct stream {
    const uint8_t *data;
    size_t left, piece;
};

static int pull(void *arg, struct bake_out *out)
{
    struct stream *s = arg;
    size_t n = out->size - out->pos;
    if (n == 0)
        abort();
    if (n > s->left)
        n = s->left;
    if (n > s->piece)
        n = s->piece;
    memcpy((char *)out->data + out->pos, s->data, n);
    out->pos += n;
    s->data += n;
    s->left -= n;
    return s->left ? BAKE_OK : BAKE_END;
}

/* Relative, normal, below the root. */
static void check_path(const char *path)
{
    if (strcmp(path, ".") == 0)
        return;
    for (const char *part = path;; part++) {
        size_t n = strcspn(part, "/");
        if (n == 0 || (n == 1 && part[0] == '.') || (n == 2 && part[0] == '.' && part[1] == '.'))
            abort();
        part += n;
        if (!*part)
            return;
    }
}

static void check_xattrs(const struct bake_entry *e)
{
    const unsigned char *p = e->xattrs;
    size_t left = p ? e->xattrs_size : 0;
    while (left > 0) {
        size_t name = strnlen((const char *)p, left);
        if (name == 0 || left - name < 5)
            abort();
        size_t n = p[name + 1] | (size_t)p[name + 2] << 8 | (size_t)p[name + 3] << 16 |
                   (size_t)p[name + 4] << 24;
        if (n > left - name - 5)
            abort();
        p += name + 5 + n;
        left -= name + 5 + n;
    }
}

static void check(const struct bake_entry *e, const char *one)
{
    bool link = e->type == BAKE_SYMLINK || e->type == BAKE_HARDLINK;
    if (e->type < BAKE_FILE || e->type > BAKE_FIFO || e->mode > 07777 || link != !!e->link ||
        (e->type != BAKE_FILE && e->size))
        abort();
    if (one && strcmp(e->path, one) != 0)
        abort();
    if (!one)
        check_path(e->path);
    if (e->type == BAKE_HARDLINK)
        check_path(e->link);
    check_xattrs(e);
}

static int read_data(struct dk_tarin *t, uint64_t want)
{
    char buf[3000];
    int rc;
    do {
        struct bake_out out = {buf, sizeof(buf), 0};
        rc = dk_tarin_read(t, &out);
        if (out.pos > want || (rc == BAKE_OK && out.pos == 0))
            abort();
        want -= out.pos;
    } while (rc == BAKE_OK);
    if (rc == BAKE_END && want)
        abort();
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const char *one = data[0] & 1 ? "f" : NULL;
    struct stream s = {data + 1, size - 1, (size_t)(data[0] >> 1) * 9 + 1};
    struct dk_tarin *t = NULL;
    struct bake_entry e;
    unsigned turn = 0;
    int rc;
    if (dk_tarin_new(pull, &s, one, &t) != BAKE_OK)
        return 0;
    while ((rc = dk_tarin_next(t, &e)) == BAKE_OK) {
        check(&e, one);
        if (e.type == BAKE_FILE && ++turn % 3 && (rc = read_data(t, e.size)) < 0)
            break;
    }
    if (rc == BAKE_E_CORRUPT && !*dk_tarin_why(t))
        abort();
    if (rc == BAKE_END && s.left)
        abort();
    dk_tarin_free(t);
    return 0;
}
