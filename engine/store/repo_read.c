/* Reading a component of the repository format: a tree's records in order, and the contents they
 * refer to; what will be asked for is announced by a second reader of the records, ahead of the
 * first. */
#include "store/repo.h"
#include "store/repo_content.h"
#include "store/tar.h"

#include <stdlib.h>
#include <string.h>

#define RECORDS_AHEAD     (4u << 20) /* bytes of records that are announced */
#define RECORDS_AHEAD_FEW (1u << 20)
/* Of contents so much is announced, or so many entries. */
#define AHEAD         (24u << 20)
#define AHEAD_ENTRIES 8192u
/* So much that was announced in vain ends it: the caller wants little. */
#define IN_VAIN (32u << 20)

struct repo_reader {
    struct bk_compr base;
    struct bk_cancel *cancel;
    const struct bk_mcomp *comp;
    struct bk_fetch *fetch;
    unsigned flags;
    bool tree; /* entries are given, not one stream */
    struct bk_records *records;
    struct bk_stored_entry entry;
    bool has_entry, asked; /* asked: its content was asked for */
    uint64_t entries;      /* given so far */
    struct bk_repo_content current;
    bool reading, bad_entry;
    char identity[BK_SHA256_HEX];
    struct bk_err gap; /* the first loss of records */
    /* the scout */
    struct bk_records *scout;
    struct bk_stored_entry scouted;
    uint64_t scout_bytes, scout_entries, bytes; /* bytes: of the contents of entries given */
    uint64_t vain, used;
    /* a tree as a tar */
    struct bk_tarw *tar;
    struct bk_buf out;
    size_t out_at;
    bool in_file, ended;
};

static int cancelled(struct bk_err *err) { return bk_fail(err, BAKE_E_CANCELLED, "cancelled"); }

/* ---- ahead ----------------------------------------------------------------------------------- */

static void stop_scout(struct repo_reader *r)
{
    bk_records_free(r->scout);
    r->scout = NULL;
}

static void announce(struct repo_reader *r)
{
    const struct bk_refs *c = &r->scouted.content;

    if (!r->scout || r->scout_bytes > r->bytes + AHEAD / 2)
        return;
    if (r->scout_entries > r->entries + AHEAD_ENTRIES / 2)
        return;
    while (r->scout_bytes < r->bytes + AHEAD && r->scout_entries < r->entries + AHEAD_ENTRIES) {
        if (bk_records_next(r->scout, &r->scouted, NULL) != BAKE_OK) {
            stop_scout(r); /* what is wrong is said by the records themselves */
            break;
        }
        for (size_t i = 0; i < c->n; i++)
            bk_fetch_want(r->fetch, &c->refs[i].id);
        r->scout_bytes += c->length;
        r->scout_entries++;
    }
    bk_fetch_go(r->fetch);
}

static void count_vain(struct repo_reader *r)
{
    if (!r->has_entry || r->entry.e.type != BAKE_FILE)
        return;
    *(r->asked ? &r->used : &r->vain) += r->entry.content.length;
    if (r->vain > r->used + IN_VAIN)
        stop_scout(r);
}

/* ---- entries --------------------------------------------------------------------------------- */

/* At the end of the records: was all of it there? */
static int end_of_records(struct repo_reader *r, struct bk_err *err)
{
    uint64_t lost = r->comp->entries > r->entries ? r->comp->entries - r->entries : 0;

    if (!r->gap.rc)
        return BAKE_END;
    if (err)
        *err = r->gap;
    (void)bk_prefix(err, "component '%s': the metadata of %llu entries are lost", r->comp->name,
                    (unsigned long long)lost);
    return BAKE_E_CORRUPT;
}

static int next_record(struct repo_reader *r, struct bk_err *err)
{
    struct bk_err why;
    int rc;

    for (;;) {
        if (bk_cancelled(r->cancel))
            return cancelled(err);
        rc = bk_records_next(r->records, &r->entry, &why);
        if (rc == BAKE_END)
            return end_of_records(r, err);
        if (rc == BAKE_OK)
            return rc;
        if (!bk_fetch_is_damage(rc)) {
            if (err)
                *err = why;
            return rc;
        }
        if (!r->gap.rc) {
            r->gap = why;
            r->gap.rc = BAKE_E_CORRUPT;
        }
    }
}

static int next_entry(struct repo_reader *r, struct bk_err *err)
{
    int rc;

    r->bad_entry = r->reading = false;
    count_vain(r);
    r->has_entry = r->asked = false;
    r->identity[0] = '\0';
    announce(r);
    rc = next_record(r, err);
    if (rc != BAKE_OK)
        return rc;
    r->has_entry = true;
    r->entries++;
    r->bytes += r->entry.content.length;
    return BAKE_OK;
}

static int next(struct bk_compr *base, struct bake_entry *ret, struct bk_err *err)
{
    struct repo_reader *r = (struct repo_reader *)base;
    int rc = next_entry(r, err);

    if (rc == BAKE_OK)
        *ret = r->entry.e;
    return rc;
}

static const char *identity(struct bk_compr *base)
{
    struct repo_reader *r = (struct repo_reader *)base;

    if (r->has_entry && r->entry.e.type == BAKE_FILE && !r->identity[0] &&
        bk_refs_digest(&r->entry.content, r->identity, NULL) < 0)
        r->identity[0] = '\0';
    return r->identity;
}

/* ---- contents -------------------------------------------------------------------------------- */

/* The refs of what is to be read now; NULL: it has no content. */
static const struct bk_refs *content_of(struct repo_reader *r)
{
    if (!r->tree)
        return &r->comp->stream;
    return r->has_entry && r->entry.e.type == BAKE_FILE ? &r->entry.content : NULL;
}

static int begin_reading(struct repo_reader *r, struct bk_err *err)
{
    const struct bk_refs *refs = content_of(r);

    if (r->reading)
        return BAKE_OK;
    if (!refs)
        return BAKE_END;
    r->reading = r->asked = true;
    return bk_repo_content_set(&r->current, r->tree ? r->entry.e.path : NULL, refs, err);
}

static int read_content(struct repo_reader *r, struct bake_out *out, struct bk_err *err)
{
    int rc = begin_reading(r, err);

    if (rc == BAKE_OK)
        rc = bk_repo_content_read(&r->current.base, out, err);
    r->bad_entry = r->tree && r->current.failed;
    return rc;
}

static int detach(struct bk_compr *base, struct bk_content **ret, struct bk_err *err)
{
    struct repo_reader *r = (struct repo_reader *)base;
    const struct bk_refs *refs = content_of(r);
    struct bk_repo_content *c;
    int rc;

    if (!refs || r->tar)
        return bk_fail(err, BAKE_E_INTERNAL, "there is no content to be read");
    c = calloc(1, sizeof(*c));
    if (!c)
        return bk_nomem(err);
    c->base.ops = base->ops;
    c->fetch = r->fetch;
    c->cancel = r->cancel;
    c->component = r->comp->name;
    rc = bk_repo_content_set(c, r->tree ? r->entry.e.path : NULL, refs, err);
    if (rc < 0) {
        bk_repo_content_free(&c->base);
        return rc;
    }
    r->asked = true;
    *ret = &c->base;
    return BAKE_OK;
}

/* ---- a tree as a tar ------------------------------------------------------------------------- */

static int on_tar(void *arg, const void *data, size_t n)
{
    struct repo_reader *r = arg;

    return bk_buf_add(&r->out, data, n);
}

/* An emit that failed has left no text. */
static int tar_result(int rc, struct bk_err *err)
{
    return rc == BAKE_E_NOMEM ? bk_nomem(err) : rc;
}

static int tar_entry(struct repo_reader *r, struct bk_err *err)
{
    int rc = next_entry(r, err);

    if (rc == BAKE_END) {
        r->ended = true;
        return tar_result(bk_tarw_finish(r->tar, err), err);
    }
    if (rc < 0)
        return rc;
    rc = bk_tarw_entry(r->tar, &r->entry.e, err);
    r->in_file = true;
    return tar_result(rc, err);
}

static int tar_data(struct repo_reader *r, struct bk_err *err)
{
    const void *data;
    size_t n;
    int rc = begin_reading(r, err);

    if (rc == BAKE_OK)
        rc = bk_repo_content_pull(&r->current, &data, &n, err);
    if (rc == BAKE_OK)
        return tar_result(bk_tarw_data(r->tar, data, n, err), err);
    if (rc < 0)
        return rc;
    r->in_file = false;
    return tar_result(bk_tarw_end_entry(r->tar, err), err);
}

static int read_tar(struct repo_reader *r, struct bake_out *out, struct bk_err *err)
{
    size_t n;

    while (r->out_at == r->out.len) {
        int rc;

        bk_buf_clear(&r->out);
        r->out_at = 0;
        if (r->ended)
            return BAKE_END;
        rc = r->in_file ? tar_data(r, err) : tar_entry(r, err);
        if (rc < 0)
            return rc;
    }
    n = r->out.len - r->out_at;
    if (n > out->size - out->pos)
        n = out->size - out->pos;
    memcpy((char *)out->data + out->pos, r->out.data + r->out_at, n);
    out->pos += n;
    r->out_at += n;
    return BAKE_OK;
}

/* ---- the rest -------------------------------------------------------------------------------- */

static int read_bytes(struct bk_compr *base, struct bake_out *out, struct bk_err *err)
{
    struct repo_reader *r = (struct repo_reader *)base;

    return r->tar ? read_tar(r, out, err) : read_content(r, out, err);
}

static bool bad_entry(const struct bk_compr *base)
{
    return ((const struct repo_reader *)base)->bad_entry;
}

static int prove_ref(void *arg, const struct bk_ref *ref, uint32_t level, struct bk_err *err)
{
    struct repo_reader *r = arg;

    if (bk_cancelled(r->cancel))
        return cancelled(err);
    /* A list's length is that of the stream below it. */
    return bk_fetch_check(r->fetch, &ref->id, level > 0 ? 0 : ref->length, err);
}

/* The packs that hold the records, which were read but not checked in whole. */
static int prove_records(struct repo_reader *r, struct bk_err *err)
{
    int rc = bk_refs_each(r->fetch, &r->comp->stream, prove_ref, r, err);

    if (rc < 0 && bk_fetch_is_damage(rc))
        (void)bk_prefix(err, "component '%s': its metadata", r->comp->name);
    return rc < 0 ? rc : BAKE_OK;
}

static int finish(struct bk_compr *base, struct bk_err *err)
{
    struct repo_reader *r = (struct repo_reader *)base;

    if (bk_cancelled(r->cancel))
        return cancelled(err);
    if (r->gap.rc)
        return end_of_records(r, err);
    return r->tree && (r->flags & BK_COMPR_PROVE) ? prove_records(r, err) : BAKE_OK;
}

/* Names stand in the records alone: those that are lost are not known. */
static void lost(struct bk_compr *base, void (*each)(void *arg, const char *path), void *arg)
{
    (void)base;
    (void)each;
    (void)arg;
}

static void reader_free(struct bk_compr *base)
{
    struct repo_reader *r = (struct repo_reader *)base;

    bk_tarw_free(r->tar);
    bk_buf_free(&r->out);
    if (r->fetch)
        bk_repo_content_release(&r->current);
    bk_records_free(r->records);
    bk_records_free(r->scout);
    bk_stored_entry_release(&r->entry);
    bk_stored_entry_release(&r->scouted);
    free(r);
}

static const struct bk_compr_ops ops = {.next = next,
                                        .identity = identity,
                                        .read = read_bytes,
                                        .bad_entry = bad_entry,
                                        .finish = finish,
                                        .lost = lost,
                                        .free = reader_free,
                                        .detach = detach,
                                        .content_read = bk_repo_content_read,
                                        .content_check = bk_repo_content_check,
                                        .content_free = bk_repo_content_free};

/* Where the component begins must be what the manifest's digest says. */
static int check_stream(const struct bk_mcomp *c, struct bk_err *err)
{
    char digest[BK_SHA256_HEX];
    int rc;

    if (!c->has_stream)
        return bk_fail(err, BAKE_E_NOTFOUND, "component '%s' has no data in this backup", c->name);
    rc = bk_refs_digest(&c->stream, digest, err);
    if (rc >= 0 && !bk_streq(digest, c->sha256))
        rc = bk_fail(err, BAKE_E_CORRUPT, "component '%s': its stream does not match its digest",
                     c->name);
    return rc;
}

static int open_tree(struct repo_reader *r, struct bk_err *err)
{
    uint64_t ahead = r->flags & BK_COMPR_FEW ? RECORDS_AHEAD_FEW : RECORDS_AHEAD;
    int rc = bk_records_new(r->fetch, &r->comp->stream, ahead, &r->records, err);

    if (rc >= 0 && !(r->flags & (BK_COMPR_FEW | BK_COMPR_LIST)))
        rc = bk_records_new(r->fetch, &r->comp->stream, 0, &r->scout, err);
    if (r->comp->unordered && r->records)
        bk_records_unordered(r->records);
    if (r->comp->unordered && r->scout)
        bk_records_unordered(r->scout);
    if (rc >= 0 && r->flags & BK_COMPR_RAW)
        rc = bk_tarw_new(on_tar, r, &r->tar, err);
    return rc;
}

int bk_repo_open_reader(struct bk_store *store, struct bk_sink *sink, const struct bk_manifest *m,
                        const struct bk_mcomp *c, unsigned flags, struct bk_cancel *parent,
                        struct bk_compr **ret, struct bk_err *err)
{
    struct repo_reader *r;
    struct bk_repo_side *side;
    int rc = check_stream(c, err);

    (void)m;
    if (rc < 0)
        return rc;
    r = calloc(1, sizeof(*r));
    if (!r)
        return bk_nomem(err);
    r->base.ops = &ops;
    r->current.base.ops = &ops;
    r->current.component = c->name;
    r->comp = c;
    r->flags = flags;
    r->tree = c->kind == BAKE_TREE;
    r->cancel = r->current.cancel = parent;
    rc = bk_repo_side_of(store, sink, &side, err);
    if (rc >= 0) {
        r->current.fetch = r->fetch = side->fetch;
        if (r->tree)
            rc = open_tree(r, err);
    }
    if (rc < 0) {
        reader_free(&r->base);
        return rc;
    }
    *ret = &r->base;
    return BAKE_OK;
}
