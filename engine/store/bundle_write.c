/* Writing a component into its group's bundle: a tree's entries go straight into the tar, with the
 * listing beside it as ever; a blob is spooled first, since a tar says a file's size before its
 * bytes. */
#include "store/bundle_private.h"
#include "store/format.h"

#include "base/cleanup.h"
#include "store/filesum.h"
#include "store/listing.h"
#include "store/spool.h"

#include <string.h>

#define POUR_BUFFER (256u << 10)

struct part {
    struct bk_compw base;
    struct bk_store *store;
    struct bk_bundlew *bundle;
    uint32_t kind;
    char *path;      /* within the tar */
    char *list_name; /* below the backup's folder; NULL for a blob */
    struct bk_objw *list;
    struct bk_filesum sum;
    struct bk_spool *spool;
    bool mine;     /* it is this component's turn */
    bool in_entry; /* between entry and entry_end */
    bool is_file;  /* that entry */
    uint64_t first, count;
    const struct bake_entry *entry; /* the source's own */
    struct bk_buf name, link, line;
};

static int begin(struct part *p, struct bk_err *err)
{
    int rc;

    if (p->mine)
        return BAKE_OK;
    rc = bk_bundle_enter(p->bundle, bk_flow_cancel(p->base.flow), err);
    if (rc < 0)
        return rc;
    p->mine = true;
    rc = bk_bundle_start(p->bundle, p->path, err);
    p->first = p->bundle->entries;
    return rc;
}

static void leave(struct part *p)
{
    if (p->mine)
        bk_bundle_leave(p->bundle);
    p->mine = false;
}

/* "." of a component is its path, all else stands below. */
static int place(struct part *p, struct bk_buf *out, const char *path, struct bk_err *err)
{
    bk_buf_clear(out);
    bk_buf_str(out, p->path);
    if (!bk_streq(path, ".")) {
        bk_buf_char(out, '/');
        bk_buf_str(out, path);
    }
    return out->failed ? bk_nomem(err) : BAKE_OK;
}

static int put_placed(struct part *p, const struct bake_entry *e, struct bk_err *err)
{
    struct bake_entry placed = *e;
    int rc = place(p, &p->name, e->path, err);

    if (rc >= 0 && e->type == BAKE_HARDLINK)
        rc = place(p, &p->link, e->link, err);
    if (rc < 0)
        return rc;
    placed.path = p->name.data;
    placed.link = e->type == BAKE_HARDLINK ? p->link.data : e->link;
    rc = bk_bundle_check(p->bundle, bk_tarw_entry(p->bundle->tar, &placed, err), err);
    if (rc < 0)
        return rc;
    p->in_entry = true;
    p->bundle->entries++;
    p->count++;
    return BAKE_OK;
}

static int put_entry(struct bk_compw *base, const struct bake_entry *e, struct bk_err *err)
{
    struct part *p = (struct part *)base;
    struct bk_err why = {0};
    int rc = begin(p, &why);

    p->entry = e;
    p->is_file = e->type == BAKE_FILE;
    if (rc >= 0 && p->is_file)
        bk_filesum_begin(&p->sum, e);
    if (rc >= 0)
        rc = put_placed(p, e, &why);
    if (rc < 0 && err)
        *err = why;
    return rc;
}

static int put_data(struct bk_compw *base, const void *data, size_t n, struct bk_err *err)
{
    struct part *p = (struct part *)base;
    struct bk_err why = {0};
    int rc;

    if (p->spool)
        return bk_spool_write(p->spool, data, n, err);
    bk_filesum_add(&p->sum, data, n);
    rc = bk_bundle_check(p->bundle, bk_tarw_data(p->bundle->tar, data, n, &why), &why);
    if (rc < 0 && err)
        *err = why;
    return rc;
}

static int end_in_tar(struct part *p, struct bk_err *err)
{
    int rc = bk_bundle_check(p->bundle, bk_tarw_end_entry(p->bundle->tar, err), err);

    p->in_entry = p->in_entry && rc < 0;
    return rc;
}

static int entry_end(struct bk_compw *base, bool sure, struct bk_err *err)
{
    struct part *p = (struct part *)base;
    struct bk_err why = {0};
    char sum[BK_FILESUM_HEX];
    int rc = end_in_tar(p, &why);

    (void)sure; /* nothing is ever taken for unchanged */
    if (rc < 0) {
        if (err)
            *err = why;
        return rc;
    }
    if (p->is_file)
        bk_filesum_end(&p->sum, sum);
    bk_buf_clear(&p->line);
    if (bk_listing_line(&p->line, p->entry, p->is_file ? sum : NULL) < 0 || p->line.failed)
        return bk_nomem(err);
    p->entry = NULL;
    rc = bk_objw_write(p->list, p->line.data, p->line.len);
    return rc < 0 ? bk_fail(err, rc, "cancelled") : BAKE_OK;
}

/* ---- ending ---------------------------------------------------------------------------------- */

static int pour(struct part *p, struct bk_err *err)
{
    char *buffer BK_FREE = malloc(POUR_BUFFER);

    if (!buffer)
        return bk_nomem(err);
    for (;;) {
        struct bake_out out = {buffer, POUR_BUFFER, 0};
        int rc = bk_spool_read(p->spool, &out, err);

        if (rc == BAKE_END)
            return end_in_tar(p, err);
        if (rc >= 0)
            rc =
                bk_bundle_check(p->bundle, bk_tarw_data(p->bundle->tar, buffer, out.pos, err), err);
        if (rc < 0)
            return rc;
    }
}

/* A blob in the tar: a file that only its owner reads, as dumps hold secrets. */
static int finish_blob(struct part *p, struct bk_mcomp *ret, struct bk_err *err)
{
    struct bake_entry e = {.struct_size = sizeof(e), .type = BAKE_FILE, .path = ".", .mode = 0600};
    int rc = bk_spool_end(p->spool, &e.size, ret->sha256, err);

    if (rc >= 0)
        rc = begin(p, err);
    if (rc < 0)
        return rc;
    e.mtime_ns = p->bundle->all->start_ns;
    e.valid = BAKE_HAS_MODE | BAKE_HAS_MTIME;
    rc = put_placed(p, &e, err);
    return rc < 0 ? rc : pour(p, err);
}

/* Of a tree the listing is what the digest is of: it has every entry and every file's digest. */
static int fill_listing(struct part *p, struct bk_mcomp *ret, struct bk_err *err)
{
    struct bk_objw_result res;
    struct bk_object *o;

    ret->objects = calloc(1, sizeof(*ret->objects));
    if (!ret->objects)
        return bk_nomem(err);
    o = &ret->objects[0];
    ret->n_objects = 1;
    o->name = bk_strdup(p->list_name);
    o->role = bk_strdup("listing");
    if (!o->name || !o->role)
        return bk_nomem(err);
    bk_objw_result(p->list, &res);
    o->size = ret->bytes_stored = res.stored_size;
    memcpy(o->sha256, res.stored_sha256, sizeof(o->sha256));
    memcpy(ret->sha256, res.plain_sha256, sizeof(ret->sha256));
    return BAKE_OK;
}

static int fill(struct part *p, struct bk_mcomp *ret, struct bk_err *err)
{
    for (size_t i = 0; i < p->store->n_transforms; i++)
        if (bk_strv_add(&ret->transforms, p->store->transforms[i].plugin->desc.name) < 0)
            return bk_nomem(err);
    ret->in.bundle = bk_strdup(p->bundle->name);
    ret->in.path = bk_strdup(p->path);
    ret->in.first = p->first;
    ret->in.count = p->count;
    if (!ret->in.bundle || !ret->in.path)
        return bk_nomem(err);
    return p->list ? fill_listing(p, ret, err) : BAKE_OK;
}

static int finish(struct bk_compw *base, struct bk_mcomp *ret, struct bk_err *err)
{
    struct part *p = (struct part *)base;
    struct bk_err why = {0};
    int rc = p->spool ? finish_blob(p, ret, &why) : begin(p, &why);

    if (rc >= 0 && p->list)
        bk_objw_end(p->list);
    if (rc >= 0)
        rc = bk_flow_wait(p->base.flow, &why);
    if (rc >= 0)
        rc = fill(p, ret, &why);
    if (rc >= 0) {
        p->bundle->whole++;
        leave(p);
    } else if (err) {
        *err = why;
    }
    return rc;
}

/* What is in the tar of a tree stays there: the manifest does not name it. */
static void removed(struct bk_compw *base)
{
    struct part *p = (struct part *)base;
    struct bk_err ignored = {0};

    if (p->in_entry && p->bundle->failed.rc == 0)
        (void)bk_bundle_check(p->bundle, bk_tarw_fill(p->bundle->tar, &ignored), &ignored);
    p->in_entry = false;
    leave(p);
    if (p->list && bk_objw_stored(p->list)) {
        char *full BK_FREE = bk_backup_object(p->bundle->all->id, p->list_name);

        /* What cannot be removed now is garbage without a manifest: prune collects it. */
        if (full)
            (void)bk_store_remove(p->store, full, &ignored);
    }
}

static void part_free(struct bk_compw *base)
{
    struct part *p = (struct part *)base;

    leave(p);
    bk_filesum_release(&p->sum);
    if (p->base.flow)
        bk_flow_stop(p->base.flow);
    bk_objw_free(p->list);
    bk_flow_free(p->base.flow);
    bk_spool_free(p->spool);
    bk_buf_free(&p->name);
    bk_buf_free(&p->link);
    bk_buf_free(&p->line);
    free(p->path);
    free(p->list_name);
    free(p);
}

static const struct bk_compw_ops ops = {.entry = put_entry,
                                        .data = put_data,
                                        .entry_end = entry_end,
                                        .finish = finish,
                                        .removed = removed,
                                        .free = part_free};

/* ---- beginning ------------------------------------------------------------------------------- */

static int open_listing(struct part *p, const char *name, struct bk_err *err)
{
    char *full BK_FREE = NULL;
    int rc;

    p->list_name = bk_archive_listing_name(p->store, name);
    full = p->list_name ? bk_backup_object(p->bundle->all->id, p->list_name) : NULL;
    if (!full)
        return bk_nomem(err);
    if ((rc = bk_filesum_init(&p->sum, err)) < 0 ||
        (rc = bk_objw_open(p->base.flow, p->store, full, BAKE_SMALL_OBJECT, &p->list, err)) < 0)
        return rc;
    rc = bk_objw_write(p->list, BK_LISTING_HEAD, strlen(BK_LISTING_HEAD));
    return rc < 0 ? bk_fail(err, rc, "cancelled") : BAKE_OK;
}

/* "shop/app/volumes/x" of the group "shop" is "app/volumes/x" there. */
static const char *within(const char *group, const char *name)
{
    size_t n = strlen(group);

    return strncmp(name, group, n) == 0 && name[n] == '/' && name[n + 1] ? name + n + 1 : name;
}

static int open_part(struct part *p, const char *group, struct bk_cancel *parent, const char *name,
                     struct bk_err *err)
{
    int rc;

    p->path = bk_strdup(within(group, name));
    if (!p->path)
        return bk_nomem(err);
    if ((rc = bk_bundle_join(p->store, group, p->path, &p->bundle, err)) < 0 ||
        (rc = bk_flow_new(parent, &p->base.flow, err)) < 0)
        return rc;
    return p->kind == BAKE_TREE ? open_listing(p, name, err)
                                : bk_spool_new(NULL, BK_SPOOL_FREE, &p->spool, err);
}

int bk_bundles_open_writer(struct bk_store *store, const char *group, struct bk_cancel *parent,
                           const char *name, uint32_t kind, struct bk_compw **ret,
                           struct bk_err *err)
{
    struct part *p = calloc(1, sizeof(*p));
    struct bk_err why = {0}, first = {0};
    int rc;

    if (!p)
        return bk_nomem(err);
    p->base.ops = &ops;
    p->store = store;
    p->kind = kind;
    rc = open_part(p, group, parent, name, &why);
    if (rc >= 0) {
        *ret = &p->base;
        return BAKE_OK;
    }
    if (p->base.flow) { /* a stage's reason rather than "cancelled" */
        bk_compw_abort(&p->base, &why, &first);
        if (first.rc < 0)
            why = first;
    }
    bk_compw_free(&p->base);
    if (err)
        *err = why;
    return why.rc;
}
