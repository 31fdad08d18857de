/* Reading a component of the archive format: its tar and its listing side by side, so that every
 * file is checked by its own digest as it comes. In a bundle its tar is a part of another; a
 * foreign archive has no listing. */
#include "store/format.h"

#include "base/cleanup.h"
#include "store/bundle_part.h"
#include "store/filesum.h"
#include "store/listing.h"
#include "store/objr.h"
#include "store/tar.h"
#include "store/transforms.h"

#include <string.h>

struct archive_reader {
    struct bk_compr base;
    const struct bk_manifest *manifest;
    const struct bk_mcomp *comp;
    const struct bk_bundle *bundle; /* NULL: it has objects of its own */
    struct bk_object whole;         /* the bundle, as the object that it is; borrowed */
    struct bk_flow *flow;
    unsigned flags;
    bool tree;                                /* read as entries, not as one stream */
    struct bk_transform *transforms, *around; /* the component's, the bundle's */
    struct bk_objr_spec data_spec, list_spec;
    struct bk_objr *data, *list;
    struct bk_tarr *tar;
    struct bk_partr *part;    /* of a bundle: what of the tar is the component's */
    struct bk_listr *listing; /* NULL: a foreign archive's, or a blob */
    struct bk_filesum sum;
    struct bake_entry entry;   /* the current one, as the tar has it */
    char want[BK_FILESUM_HEX]; /* its digest in the listing, or "" */
    bool summing, bad_entry;
    const char *lent; /* a blob's bytes that were pulled and not yet handed out */
    size_t n_lent;
};

static int pull_data(void *arg, const void **data, size_t *n)
{
    return bk_objr_pull(((struct archive_reader *)arg)->data, data, n);
}

static int pull_list(void *arg, const void **data, size_t *n)
{
    return bk_objr_pull(((struct archive_reader *)arg)->list, data, n);
}

static void fill_spec(struct archive_reader *r, const char *role, struct bk_objr_spec *spec)
{
    spec->id = r->manifest->id;
    spec->object = bk_mcomp_object(r->comp, role);
    spec->transforms = r->transforms;
    spec->n_transforms = r->comp->transforms.n;
    spec->plain_sha256 = NULL;
}

static void fill_bundle_spec(struct archive_reader *r, struct bk_objr_spec *spec)
{
    const struct bk_bundle *b = r->bundle;

    r->whole.name = b->name;
    r->whole.size = b->size;
    memcpy(r->whole.sha256, b->sha256, sizeof(r->whole.sha256));
    spec->id = NULL;
    spec->object = &r->whole;
    spec->transforms = r->around;
    spec->n_transforms = b->transforms.n;
    spec->plain_sha256 = b->plain_sha256[0] ? b->plain_sha256 : NULL;
}

static void fill_specs(struct archive_reader *r)
{
    fill_spec(r, "data", &r->data_spec);
    fill_spec(r, "listing", &r->list_spec);
    r->list_spec.flags = BAKE_SMALL_OBJECT;
    if (r->bundle)
        fill_bundle_spec(r, &r->data_spec);
    else
        r->data_spec.plain_sha256 = r->comp->sha256;
}

static bool is_foreign(const struct archive_reader *r)
{
    return r->bundle && !r->bundle->sha256[0];
}

static int open_data(struct archive_reader *r, struct bk_sink *sink, struct bk_err *err)
{
    int rc;

    if (!r->data_spec.object)
        return bk_fail(err, BAKE_E_NOTFOUND, "component '%s' has no data in this backup",
                       r->comp->name);
    if ((rc = bk_objr_open(r->flow, sink, &r->data_spec, &r->data, err)) < 0)
        return rc;
    if (r->tree || r->bundle)
        rc = bk_tarr_new(pull_data, r, &r->tar, err);
    if (rc >= 0 && r->bundle)
        rc = bk_partr_new(r->tar, r->manifest, r->comp, &r->part, err);
    return rc;
}

static int open_listing(struct archive_reader *r, struct bk_sink *sink, struct bk_err *err)
{
    int rc = bk_objr_open(r->flow, sink, &r->list_spec, &r->list, err);

    return rc < 0 ? rc : bk_listr_new(pull_list, r, &r->listing, err);
}

static int open_objects(struct archive_reader *r, struct bk_sink *sink, struct bk_err *err)
{
    bool listing = r->tree && !is_foreign(r);
    int rc = BAKE_OK;

    if (listing && !r->list_spec.object)
        return bk_fail(err, BAKE_E_CORRUPT, "component '%s' has no listing in the manifest",
                       r->comp->name);
    if (!(r->flags & BK_COMPR_LIST) || is_foreign(r))
        rc = open_data(r, sink, err);
    if (rc >= 0 && listing)
        rc = open_listing(r, sink, err);
    return rc < 0 || !r->tree ? rc : bk_filesum_init(&r->sum, err);
}

/* A reader failed or came to an early end: the object's own damage says more than that. */
static int or_damage(struct archive_reader *r, struct bk_objr *obj, int rc, struct bk_err *err)
{
    struct bk_err damage = {0};

    if (rc == BAKE_E_CANCELLED && bk_flow_wait(r->flow, &damage) < 0) {
        if (err)
            *err = damage; /* a stage failed: its reason, not ours */
        return damage.rc;
    }
    if (bk_objr_damage(obj, &damage) == 0)
        return rc;
    if (err)
        *err = damage;
    return damage.rc;
}

/* A bit that flipped in the tar's header changes no byte of any content: what the listing says of
 * the entry as well must be the same. (mtree has no hard links: they are files there.) */
static bool same_entry(const struct bake_entry *line, const struct bake_entry *e)
{
    uint32_t both = line->valid & e->valid;

    return line->type == (e->type == BAKE_HARDLINK ? BAKE_FILE : e->type) &&
           (e->type != BAKE_FILE || line->size == e->size) &&
           (e->type != BAKE_SYMLINK || bk_streq(line->link, e->link)) &&
           (!(both & BAKE_HAS_MODE) || line->mode == e->mode) &&
           (!(both & BAKE_HAS_OWNER) || (line->uid == e->uid && line->gid == e->gid)) &&
           (!(both & BAKE_HAS_MTIME) || line->mtime_ns == e->mtime_ns);
}

/* The listing's line for the entry that the tar has just given. */
static int match_listing(struct archive_reader *r, struct bk_err *err)
{
    struct bake_entry line;
    const char *digest;
    int rc = bk_listr_next(r->listing, &line, &digest, err);

    r->want[0] = '\0';
    if (rc < 0)
        return or_damage(r, r->list, rc, err);
    if (rc == BAKE_END) { /* a listing that ends early may be a damaged object's */
        rc = bk_fail(err, BAKE_E_CORRUPT,
                     "component '%s': the tar holds more than the listing names", r->comp->name);
        return or_damage(r, r->list, rc, err);
    }
    if (!bk_streq(line.path, r->entry.path))
        return bk_fail(err, BAKE_E_CORRUPT, "component '%s': the listing and the tar disagree",
                       r->comp->name);
    if (same_entry(&line, &r->entry))
        memcpy(r->want, digest, strlen(digest) + 1); /* no content matches an empty one */
    else if (r->entry.type != BAKE_FILE && r->entry.type != BAKE_DIR)
        r->bad_entry = true; /* it has no content that would show it */
    return BAKE_OK;
}

static int next_in_tar(struct archive_reader *r, struct bk_err *err)
{
    int rc =
        r->part ? bk_partr_next(r->part, &r->entry, err) : bk_tarr_next(r->tar, &r->entry, err);

    return rc < 0 ? or_damage(r, r->data, rc, err) : rc;
}

static int next(struct bk_compr *base, struct bake_entry *ret, struct bk_err *err)
{
    struct archive_reader *r = (struct archive_reader *)base;
    const char *digest;
    int rc;

    r->bad_entry = false;
    if ((r->flags & BK_COMPR_LIST) && r->listing) {
        rc = bk_listr_next(r->listing, ret, &digest, err);
        if (rc == BAKE_OK)
            memcpy(r->want, digest, strlen(digest) + 1);
        return rc < 0 ? or_damage(r, r->list, rc, err) : rc;
    }
    rc = next_in_tar(r, err);
    if (rc != BAKE_OK)
        return rc;
    *ret = r->entry;
    r->want[0] = '\0';
    r->summing = r->entry.type == BAKE_FILE;
    if (r->summing)
        bk_filesum_begin(&r->sum, &r->entry);
    return r->listing ? match_listing(r, err) : BAKE_OK;
}

static int check_entry(struct archive_reader *r, struct bk_err *err)
{
    char sum[BK_FILESUM_HEX], path[256];

    if (!r->summing)
        return BAKE_END;
    r->summing = false;
    bk_filesum_end(&r->sum, sum);
    if (!r->listing) /* there is no other digest than this */
        memcpy(r->want, sum, sizeof(sum));
    if (bk_streq(sum, r->want))
        return BAKE_END;
    r->bad_entry = true;
    return bk_fail(err, BAKE_E_CORRUPT, "'%s' of component '%s' does not match its digest",
                   bk_printable(path, sizeof(path), r->entry.path, strlen(r->entry.path)),
                   r->comp->name);
}

static int read_blob(struct archive_reader *r, struct bake_out *out, struct bk_err *err)
{
    size_t room = out->size - out->pos;

    if (r->n_lent == 0) {
        const void *data;
        int rc = bk_objr_pull(r->data, &data, &r->n_lent);

        if (rc < 0 || r->n_lent == 0)
            return or_damage(r, r->data, rc < 0 ? rc : BAKE_END, err);
        r->lent = data;
    }
    if (room > r->n_lent)
        room = r->n_lent;
    memcpy((char *)out->data + out->pos, r->lent, room);
    out->pos += room;
    r->lent += room;
    r->n_lent -= room;
    return BAKE_OK;
}

static int read_bytes(struct bk_compr *base, struct bake_out *out, struct bk_err *err)
{
    struct archive_reader *r = (struct archive_reader *)base;
    size_t before = out->pos;
    int rc;

    if (!r->tree && r->part)
        rc = bk_partr_blob(r->part, out, err);
    else if (!r->tree)
        return read_blob(r, out, err);
    else
        rc = bk_tarr_read(r->tar, out, err);
    if (rc < 0)
        return or_damage(r, r->data, rc, err);
    if (r->summing)
        bk_filesum_add(&r->sum, (char *)out->data + before, out->pos - before);
    return rc == BAKE_END && r->tree ? check_entry(r, err) : rc;
}

static bool bad_entry(const struct bk_compr *base)
{
    return ((const struct archive_reader *)base)->bad_entry;
}

static int drain(struct archive_reader *r, struct bk_objr *obj, struct bk_err *err)
{
    const void *data;
    size_t n = 1;
    int rc = BAKE_OK;

    while (rc >= 0 && n > 0)
        rc = bk_objr_pull(obj, &data, &n);
    return or_damage(r, obj, rc, err);
}

/* Nothing else of the listing may be left. */
static int end_listing(struct archive_reader *r, struct bk_err *err)
{
    struct bake_entry line;
    const char *digest;
    int rc = bk_listr_next(r->listing, &line, &digest, err);

    if (rc == BAKE_OK)
        return bk_fail(err, BAKE_E_CORRUPT,
                       "component '%s': the listing names more than the tar holds", r->comp->name);
    return rc < 0 ? or_damage(r, r->list, rc, err) : BAKE_OK;
}

/* A bundle is large, and each component's own digests prove it: what stands behind it is only read
 * to prove the bundle itself, once for all that is in it. */
static bool leaves_rest(const struct archive_reader *r)
{
    return r->bundle && !((r->flags & BK_COMPR_PROVE) && bk_part_is_last(r->manifest, r->comp));
}

static int finish(struct bk_compr *base, struct bk_err *err)
{
    struct archive_reader *r = (struct archive_reader *)base;
    int rc = r->tar && r->listing ? end_listing(r, err) : BAKE_OK;

    if (rc >= 0 && r->data && !leaves_rest(r))
        rc = drain(r, r->data, err);
    if (rc >= 0 && r->list)
        rc = drain(r, r->list, err);
    if (rc < 0 || (r->data && leaves_rest(r)))
        return rc;
    return bk_flow_wait(r->flow, err);
}

static void lost(struct bk_compr *base, void (*each)(void *arg, const char *path), void *arg)
{
    struct archive_reader *r = (struct archive_reader *)base;
    struct bake_entry line;
    const char *digest;

    while (r->listing && bk_listr_next(r->listing, &line, &digest, NULL) == BAKE_OK)
        each(arg, line.path);
}

static void reader_free(struct bk_compr *base)
{
    struct archive_reader *r = (struct archive_reader *)base;

    if (r->flow)
        bk_flow_stop(r->flow);
    bk_partr_free(r->part);
    bk_tarr_free(r->tar);
    bk_listr_free(r->listing);
    bk_filesum_release(&r->sum);
    bk_objr_free(r->data);
    bk_objr_free(r->list);
    bk_flow_free(r->flow);
    free(r->transforms);
    free(r->around);
    free(r);
}

/* Without a listing only the content itself says it. */
static const char *identity(struct bk_compr *base)
{
    struct archive_reader *r = (struct archive_reader *)base;
    char buffer[4096];
    int rc = BAKE_OK;

    while (!r->listing && r->summing && rc == BAKE_OK) {
        struct bake_out out = {buffer, sizeof(buffer), 0};

        rc = read_bytes(base, &out, NULL);
    }
    return r->want;
}

static const struct bk_compr_ops ops = {.next = next,
                                        .identity = identity,
                                        .read = read_bytes,
                                        .bad_entry = bad_entry,
                                        .finish = finish,
                                        .lost = lost,
                                        .free = reader_free};

int bk_archive_open_reader(struct bk_store *store, struct bk_sink *sink,
                           const struct bk_manifest *m, const struct bk_mcomp *c, unsigned flags,
                           struct bk_cancel *parent, struct bk_compr **ret, struct bk_err *err)
{
    struct archive_reader *r = calloc(1, sizeof(*r));
    int rc;

    if (!r)
        return bk_nomem(err);
    r->base.ops = &ops;
    r->manifest = m;
    r->comp = c;
    r->bundle = bk_mcomp_bundle(m, c);
    r->flags = flags;
    r->tree = c->kind == BAKE_TREE && !(flags & BK_COMPR_RAW);
    rc = bk_flow_new(parent, &r->flow, err);
    if (rc >= 0)
        rc = bk_store_transforms_for(store, &c->transforms, &r->transforms, err);
    if (rc >= 0 && r->bundle)
        rc = bk_store_transforms_for(store, &r->bundle->transforms, &r->around, err);
    if (rc >= 0) {
        fill_specs(r);
        rc = open_objects(r, sink, err);
    }
    if (rc < 0) {
        bk_compr_free(&r->base);
        return rc;
    }
    *ret = &r->base;
    return BAKE_OK;
}
