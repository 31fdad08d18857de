/* A tree that stands in a bundle as a tar of its own, made while it is read. */
#include "store/format.h"

#include "base/cleanup.h"
#include "store/tar.h"

#include <string.h>

#define PIECE (128u << 10)

struct own_tar {
    struct bk_compr base;
    struct bk_compr *in; /* the tree, entry by entry */
    struct bk_tarw *tar;
    struct bk_buf out; /* made, and not handed out from `from` on */
    size_t from;
    char *piece;
    bool in_file, ended;
};

static int collect(void *arg, const void *data, size_t n)
{
    return bk_buf_add(&((struct own_tar *)arg)->out, data, n);
}

static int next_entry(struct own_tar *t, struct bk_err *err)
{
    struct bake_entry e;
    int rc = bk_compr_next(t->in, &e, err);

    if (rc == BAKE_END) {
        t->ended = true;
        return bk_tarw_finish(t->tar, err);
    }
    if (rc >= 0)
        rc = bk_tarw_entry(t->tar, &e, err);
    t->in_file = rc >= 0 && e.type == BAKE_FILE;
    return rc < 0 || t->in_file ? rc : bk_tarw_end_entry(t->tar, err);
}

static int more_data(struct own_tar *t, struct bk_err *err)
{
    struct bake_out some = {t->piece, PIECE, 0};
    int rc = bk_compr_read(t->in, &some, err), put;

    if (rc < 0)
        return rc;
    put = bk_tarw_data(t->tar, t->piece, some.pos, err);
    if (put >= 0 && rc == BAKE_END) {
        t->in_file = false;
        put = bk_tarw_end_entry(t->tar, err);
    }
    return put;
}

static int read_bytes(struct bk_compr *base, struct bake_out *out, struct bk_err *err)
{
    struct own_tar *t = (struct own_tar *)base;
    size_t n;

    while (t->from == t->out.len && !t->ended) {
        int rc;

        bk_buf_clear(&t->out);
        t->from = 0;
        rc = t->in_file ? more_data(t, err) : next_entry(t, err);
        if (t->out.failed)
            return bk_nomem(err);
        if (rc < 0)
            return rc;
    }
    n = t->out.len - t->from;
    if (n == 0)
        return BAKE_END;
    if (n > out->size - out->pos)
        n = out->size - out->pos;
    memcpy((char *)out->data + out->pos, t->out.data + t->from, n);
    out->pos += n;
    t->from += n;
    return BAKE_OK;
}

static int next(struct bk_compr *base, struct bake_entry *ret, struct bk_err *err)
{
    (void)base;
    (void)ret;
    return bk_fail(err, BAKE_E_INTERNAL, "a stream has no entries");
}

static const char *identity(struct bk_compr *base)
{
    (void)base;
    return "";
}

static bool bad_entry(const struct bk_compr *base)
{
    (void)base;
    return false;
}

static int finish(struct bk_compr *base, struct bk_err *err)
{
    return bk_compr_finish(((struct own_tar *)base)->in, err);
}

static void lost(struct bk_compr *base, void (*each)(void *arg, const char *path), void *arg)
{
    bk_compr_lost(((struct own_tar *)base)->in, each, arg);
}

static void own_tar_free(struct bk_compr *base)
{
    struct own_tar *t = (struct own_tar *)base;

    bk_compr_free(t->in);
    bk_tarw_free(t->tar);
    bk_buf_free(&t->out);
    free(t->piece);
    free(t);
}

static const struct bk_compr_ops ops = {.next = next,
                                        .identity = identity,
                                        .read = read_bytes,
                                        .bad_entry = bad_entry,
                                        .finish = finish,
                                        .lost = lost,
                                        .free = own_tar_free};

int bk_bundle_open_cat(struct bk_store *store, struct bk_sink *sink, const struct bk_manifest *m,
                       const struct bk_mcomp *c, unsigned flags, struct bk_cancel *parent,
                       struct bk_compr **ret, struct bk_err *err)
{
    struct own_tar *t = calloc(1, sizeof(*t));
    int rc;

    if (!t)
        return bk_nomem(err);
    t->base.ops = &ops;
    t->piece = malloc(PIECE);
    rc = t->piece ? bk_tarw_new(collect, t, &t->tar, err) : bk_nomem(err);
    if (rc >= 0)
        rc = bk_archive_open_reader(store, sink, m, c, flags & ~BK_COMPR_RAW, parent, &t->in, err);
    if (rc < 0) {
        own_tar_free(&t->base);
        return rc;
    }
    *ret = &t->base;
    return BAKE_OK;
}
