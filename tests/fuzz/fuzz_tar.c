/* Feeds bytes to the tar reader and checks what its entries promise. */
#include "store/tar.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct stream {
    const uint8_t *data;
    size_t left;
};

static int pull(void *arg, const void **data, size_t *n)
{
    struct stream *s = arg;

    *n = s->left < 700 ? s->left : 700; /* not a multiple of a block */
    *data = s->data;
    s->data += *n;
    s->left -= *n;
    return BAKE_OK;
}

static void check_xattrs(const struct bake_entry *e)
{
    const char *p = e->xattrs;
    size_t left = p ? e->xattrs_size : 0;

    while (left) {
        size_t name = strnlen(p, left), n;
        const unsigned char *len = (const unsigned char *)p + name + 1;

        if (left - name < 5)
            abort();
        n = len[0] | (size_t)len[1] << 8 | (size_t)len[2] << 16 | (size_t)len[3] << 24;
        if (n > left - name - 5)
            abort();
        p += name + 5 + n;
        left -= name + 5 + n;
    }
}

/* Returns how many bytes of data there must be. */
static uint64_t check(const struct bake_entry *e)
{
    uint64_t end = 0, sum = 0;
    int link = e->type == BAKE_SYMLINK || e->type == BAKE_HARDLINK;

    if (!e->path || !*e->path || e->type < BAKE_FILE || e->type > BAKE_FIFO || e->mode > 07777)
        abort();
    if ((link && !e->link) || (!link && e->link))
        abort();
    check_xattrs(e);
    for (size_t i = 0; i < e->n_extents; i++) {
        if (e->extents[i].offset < end || e->extents[i].offset > e->size ||
            e->extents[i].length > e->size - e->extents[i].offset)
            abort();
        end = e->extents[i].offset + e->extents[i].length;
        sum += e->extents[i].length;
    }
    if (e->type != BAKE_FILE)
        return 0;
    return e->extents ? sum : e->size;
}

static int read_data(struct bk_tarr *r, uint64_t want, struct bk_err *err)
{
    char buf[3000];
    int rc;

    do {
        struct bake_out out = {buf, sizeof(buf), 0};

        rc = bk_tarr_read(r, &out, err);
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
    struct stream s = {data, size};
    struct bk_tarr *r = NULL;
    struct bk_err err = {0};
    struct bake_entry e;
    unsigned turn = 0;
    int rc;

    if (bk_tarr_new(pull, &s, &r, &err) < 0)
        abort();
    while ((rc = bk_tarr_next(r, &e, &err)) == BAKE_OK) {
        uint64_t want = check(&e);

        if (++turn % 3 == 0) /* passed over */
            continue;
        rc = read_data(r, want, &err);
        if (rc < 0)
            break;
    }
    if (rc < 0 && (err.rc != rc || !err.text[0]))
        abort();
    if (rc == BAKE_END && s.left)
        abort();
    bk_tarr_free(r);
    return 0;
}
