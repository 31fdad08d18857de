/* Feeds lines to the listing's reader in pieces; each entry that is read is written and must be
 * read the same again. */
#include "base/str.h"
#include "store/listing.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    const char *data;
    size_t n, piece;
};

static int pull(void *arg, const void **data, size_t *n)
{
    struct input *in = arg;
    *data = in->data;
    *n = in->n < in->piece ? in->n : in->piece;
    in->data += *n;
    in->n -= *n;
    return BAKE_OK;
}

static void write_and_compare(const struct bake_entry *e, const char *digest)
{
    struct bk_buf line = BK_BUF_INIT;
    struct bk_listr *r = NULL;
    struct bake_entry again;
    const char *digest_again;
    if (bk_listing_line(&line, e, *digest ? digest : NULL) < 0)
        abort();
    struct input in = {line.data, line.len, line.len};
    if (bk_listr_new(pull, &in, &r, NULL) < 0 ||
        bk_listr_next(r, &again, &digest_again, NULL) != BAKE_OK ||
        !bk_streq(again.path, e->path) || again.type != e->type || again.mode != e->mode ||
        again.uid != e->uid || again.mtime_ns != e->mtime_ns || !bk_streq(digest_again, digest) ||
        (e->type == BAKE_SYMLINK && !bk_streq(again.link, e->link)))
        abort();
    bk_listr_free(r);
    bk_buf_free(&line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {(const char *)data, size, size % 64 + 1};
    struct bk_listr *r = NULL;
    struct bake_entry e;
    const char *digest;
    int rc;
    if (bk_listr_new(pull, &in, &r, NULL) < 0)
        abort();
    while ((rc = bk_listr_next(r, &e, &digest, NULL)) == BAKE_OK)
        write_and_compare(&e, digest);
    if (rc != BAKE_END && rc != BAKE_E_CORRUPT && rc != BAKE_E_NOMEM)
        abort();
    bk_listr_free(r);
    return 0;
}
