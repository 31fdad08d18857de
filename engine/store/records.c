/* The records of a tree, one after the other, across the borders of chunks; and past what is lost.
 */
#include "base/cleanup.h"
#include "store/streamr.h"

#include <stdlib.h>

struct bk_records {
    struct bk_streamr *stream;
    struct bk_buf bytes; /* a copy: entries point into it while chunks come and go in the cache */
    size_t at;
    const char *last; /* the path of the entry that was given last, within bytes; or NULL */
    char *behind;     /* after damage: what comes must be behind this path ("": anything) */
    bool unordered;   /* then in no order */
};

int bk_records_new(struct bk_fetch *f, const struct bk_refs *tree, uint64_t ahead,
                   struct bk_records **ret, struct bk_err *err)
{
    struct bk_records *r = calloc(1, sizeof(*r));
    int rc;

    if (!r)
        return bk_nomem(err);
    rc = bk_streamr_new(f, tree, ahead, &r->stream, err);
    if (rc < 0) {
        free(r);
        return rc;
    }
    *ret = r;
    return BAKE_OK;
}

void bk_records_unordered(struct bk_records *r) { r->unordered = true; }

void bk_records_free(struct bk_records *r)
{
    if (!r)
        return;
    bk_streamr_free(r->stream);
    bk_buf_free(&r->bytes);
    free(r->behind);
    free(r);
}

/* What is left of a record, and where the entries were, goes with the damage. */
static int lose(struct bk_records *r, int rc, struct bk_err *err)
{
    if (!bk_fetch_is_damage(rc))
        return rc;
    if (!r->behind && !(r->behind = bk_strdup(r->last ? r->last : "")))
        return bk_nomem(err);
    bk_buf_clear(&r->bytes);
    r->at = 0;
    r->last = NULL;
    return rc;
}

/* True: all of it is records, whose paths ascend from `behind` on, if they are to. */
static bool resumes(const struct bk_records *r, const void *data, size_t n)
{
    struct bk_reader in = bk_reader_of(data, n);
    struct bk_stored_entry e = {.flags = 0};
    const char *last = *r->behind ? r->behind : NULL;
    bool ok = n > 0;

    while (ok && in.p < in.end) {
        size_t n_record;
        const void *record = bk_get_bytes(&in, &n_record);

        ok = record && bk_entry_parse(record, n_record, &e, NULL) == BAKE_OK &&
             (!last || r->unordered || bk_path_order(last, e.e.path) < 0);
        if (ok)
            last = e.e.path;
    }
    bk_stored_entry_release(&e);
    return ok;
}

/* The next chunk's bytes behind what is left. OK | END. */
static int more(struct bk_records *r, struct bk_err *err)
{
    const void *data;
    size_t n, left = r->bytes.len - r->at;
    int rc;

    do {
        rc = bk_streamr_pull(r->stream, &data, &n, err);
    } while (rc == BAKE_OK && r->behind && !resumes(r, data, n));
    if (rc == BAKE_END && left > 0)
        rc = bk_fail(err, BAKE_E_CORRUPT, "a tree's records are cut");
    if (rc != BAKE_OK)
        return rc < 0 ? lose(r, rc, err) : rc;
    free(r->behind);
    r->behind = NULL;
    r->last = NULL;
    if (left > 0)
        memmove(r->bytes.data, r->bytes.data + r->at, left);
    r->bytes.len = left;
    r->at = 0;
    return bk_buf_add(&r->bytes, data, n) < 0 ? bk_nomem(err) : BAKE_OK;
}

/* A record that is whole, or NULL. *ret_bad: it can never be. */
static const void *whole_record(const struct bk_records *r, size_t *ret_n, size_t *ret_end,
                                bool *ret_bad)
{
    struct bk_reader in =
        bk_reader_of(r->bytes.data ? r->bytes.data + r->at : NULL, r->bytes.len - r->at);
    const unsigned char *start = in.p;
    uint64_t n = bk_get_varint(&in);
    const void *record;

    *ret_bad = in.bad ? r->bytes.len - r->at > 10 : n > BK_ENTRY_LIMIT || n == 0;
    if (in.bad || *ret_bad || !(record = bk_get_raw(&in, (size_t)n)))
        return NULL;
    *ret_n = (size_t)n;
    *ret_end = r->at + (size_t)(in.p - start);
    return record;
}

int bk_records_next(struct bk_records *r, struct bk_stored_entry *ret, struct bk_err *err)
{
    for (;;) {
        size_t n, end;
        bool bad;
        const void *record = whole_record(r, &n, &end, &bad);
        int rc = bad ? bk_fail(err, BAKE_E_CORRUPT, "a tree's records are damaged") : BAKE_OK;

        if (record && (rc = bk_entry_parse(record, n, ret, err)) == BAKE_OK) {
            r->at = end;
            r->last = ret->e.path;
            return BAKE_OK;
        }
        if (rc < 0)
            return lose(r, rc, err);
        rc = more(r, err);
        if (rc != BAKE_OK)
            return rc;
    }
}
