/* Writing a component in the archive format: a tree as a pax tar with its listing beside it, a
 * blob as it is. */
#include "store/format.h"

#include "base/cleanup.h"
#include "store/bundle.h"
#include "store/filesum.h"
#include "store/lag.h"
#include "store/listing.h"
#include "store/objw.h"
#include "store/spool.h"
#include "store/tar.h"

#include <string.h>

struct archive_writer {
    struct bk_compw base;
    struct bk_store *store;
    uint32_t kind;
    char id[BK_ID_CAP];
    char *data_name, *list_name; /* below the backup's folder; list_name NULL for a blob */
    struct bk_objw *data, *list;
    struct bk_tarw *tar;
    struct bk_filesum sum;
    const struct bake_entry *entry; /* between entry and entry_end */
    struct bk_buf line;
};

static char *object_name(const struct bk_store *store, const char *component, const char *suffix)
{
    struct bk_buf b = BK_BUF_INIT;
    char *safe BK_FREE = bk_object_safe(component);

    if (!safe)
        return NULL;
    bk_buf_str(&b, safe);
    bk_buf_str(&b, suffix);
    for (size_t i = 0; i < store->n_transforms; i++)
        bk_buf_str(&b, store->transforms[i].plugin->transform.suffix);
    return bk_buf_take(&b);
}

static char *data_name(const struct bk_store *store, const char *component, uint32_t kind)
{
    return object_name(store, component, kind == BAKE_TREE ? ".tar" : "");
}

char *bk_archive_listing_name(const struct bk_store *store, const char *component)
{
    return object_name(store, component, ".mtree");
}

static uint64_t memory(const struct bk_store *store, uint32_t kind)
{
    return bk_objw_memory(store, 0) + (kind == BAKE_TREE ? bk_objw_memory(store, BAKE_SMALL_OBJECT)
                                       : bk_bundles_wanted(store) ? bk_spool_memory()
                                                                  : 0);
}

static int tar_out(void *arg, const void *data, size_t n)
{
    struct archive_writer *w = arg;

    return bk_objw_write(w->data, data, n);
}

static int open_object(struct archive_writer *w, const char *name, uint32_t flags,
                       struct bk_objw **ret, struct bk_err *err)
{
    char *full BK_FREE = bk_backup_object(w->id, name);

    return full ? bk_objw_open(w->base.flow, w->store, full, flags, ret, err) : bk_nomem(err);
}

static int open_tree(struct archive_writer *w, const char *name, struct bk_err *err)
{
    int rc;

    w->list_name = bk_archive_listing_name(w->store, name);
    if (!w->list_name)
        return bk_nomem(err);
    if ((rc = open_object(w, w->list_name, BAKE_SMALL_OBJECT, &w->list, err)) < 0 ||
        (rc = bk_filesum_init(&w->sum, err)) < 0 ||
        (rc = bk_tarw_new(tar_out, w, &w->tar, err)) < 0)
        return rc;
    rc = bk_objw_write(w->list, BK_LISTING_HEAD, strlen(BK_LISTING_HEAD));
    return rc < 0 ? bk_fail(err, rc, "cancelled") : BAKE_OK;
}

static int put_entry(struct bk_compw *base, const struct bake_entry *e, struct bk_err *err)
{
    struct archive_writer *w = (struct archive_writer *)base;

    w->entry = e;
    if (e->type == BAKE_FILE)
        bk_filesum_begin(&w->sum, e);
    return bk_tarw_entry(w->tar, e, err);
}

static int put_data(struct bk_compw *base, const void *data, size_t n, struct bk_err *err)
{
    struct archive_writer *w = (struct archive_writer *)base;
    int rc;

    if (w->kind == BAKE_TREE) {
        bk_filesum_add(&w->sum, data, n);
        return bk_tarw_data(w->tar, data, n, err);
    }
    rc = bk_objw_write(w->data, data, n);
    return rc < 0 ? bk_fail(err, rc, "cancelled") : BAKE_OK;
}

static int entry_end(struct bk_compw *base, bool sure, struct bk_err *err)
{
    struct archive_writer *w = (struct archive_writer *)base;
    char sum[BK_FILESUM_HEX];
    bool file = w->entry->type == BAKE_FILE;
    int rc = bk_tarw_end_entry(w->tar, err);

    (void)sure; /* nothing is ever taken for unchanged */
    if (rc < 0)
        return rc;
    if (file)
        bk_filesum_end(&w->sum, sum);
    bk_buf_clear(&w->line);
    if (bk_listing_line(&w->line, w->entry, file ? sum : NULL) < 0 || w->line.failed)
        return bk_nomem(err);
    w->entry = NULL;
    rc = bk_objw_write(w->list, w->line.data, w->line.len);
    return rc < 0 ? bk_fail(err, rc, "cancelled") : BAKE_OK;
}

static int fill_object(struct bk_mcomp *ret, const char *name, const char *role,
                       const struct bk_objw *obj, struct bk_err *err)
{
    struct bk_object *o = &ret->objects[ret->n_objects];
    struct bk_objw_result res;

    bk_objw_result(obj, &res);
    o->name = bk_strdup(name);
    o->role = bk_strdup(role);
    ret->n_objects++;
    if (!o->name || !o->role)
        return bk_nomem(err);
    o->size = res.stored_size;
    memcpy(o->sha256, res.stored_sha256, sizeof(o->sha256));
    ret->bytes_stored += res.stored_size;
    return BAKE_OK;
}

static int fill(struct archive_writer *w, struct bk_mcomp *ret, struct bk_err *err)
{
    struct bk_objw_result res;
    int rc;

    bk_objw_result(w->data, &res);
    memcpy(ret->sha256, res.plain_sha256, sizeof(ret->sha256));
    ret->objects = calloc(2, sizeof(*ret->objects));
    if (!ret->objects)
        return bk_nomem(err);
    for (size_t i = 0; i < w->store->n_transforms; i++)
        if (bk_strv_add(&ret->transforms, w->store->transforms[i].plugin->desc.name) < 0)
            return bk_nomem(err);
    rc = fill_object(ret, w->data_name, "data", w->data, err);
    if (rc >= 0 && w->list)
        rc = fill_object(ret, w->list_name, "listing", w->list, err);
    return rc;
}

static int finish(struct bk_compw *base, struct bk_mcomp *ret, struct bk_err *err)
{
    struct archive_writer *w = (struct archive_writer *)base;
    int rc = w->tar ? bk_tarw_finish(w->tar, err) : BAKE_OK;

    if (rc < 0)
        return rc;
    bk_objw_end(w->data);
    if (w->list)
        bk_objw_end(w->list);
    rc = bk_flow_wait(w->base.flow, err);
    return rc < 0 ? rc : fill(w, ret, err);
}

static void remove_object(struct archive_writer *w, const struct bk_objw *obj, const char *name)
{
    char *full BK_FREE = obj && bk_objw_stored(obj) ? bk_backup_object(w->id, name) : NULL;
    struct bk_err ignored;

    /* What cannot be removed now is garbage without a manifest: prune collects it. */
    if (full)
        (void)bk_store_remove(w->store, full, &ignored);
}

static void removed(struct bk_compw *base)
{
    struct archive_writer *w = (struct archive_writer *)base;

    remove_object(w, w->data, w->data_name);
    remove_object(w, w->list, w->list_name);
}

static void writer_free(struct bk_compw *base)
{
    struct archive_writer *w = (struct archive_writer *)base;

    bk_tarw_free(w->tar);
    bk_filesum_release(&w->sum);
    bk_objw_free(w->data);
    bk_objw_free(w->list);
    bk_flow_free(w->base.flow);
    bk_buf_free(&w->line);
    free(w->data_name);
    free(w->list_name);
    free(w);
}

static const struct bk_compw_ops ops = {.entry = put_entry,
                                        .data = put_data,
                                        .entry_end = entry_end,
                                        .finish = finish,
                                        .removed = removed,
                                        .free = writer_free};

static int open_writer(struct bk_store *store, const char *id, struct bk_cancel *parent,
                       const char *name, uint32_t kind, struct bk_compw **ret, struct bk_err *err)
{
    struct archive_writer *w = calloc(1, sizeof(*w));
    int rc;

    if (!w)
        return bk_nomem(err);
    w->base.ops = &ops;
    w->store = store;
    w->kind = kind;
    (void)snprintf(w->id, sizeof(w->id), "%s", id);
    w->data_name = data_name(store, name, kind);
    rc = w->data_name ? bk_flow_new(parent, &w->base.flow, err) : bk_nomem(err);
    if (rc >= 0)
        rc = open_object(w, w->data_name, 0, &w->data, err);
    if (rc >= 0 && kind == BAKE_TREE)
        rc = open_tree(w, name, err);
    if (rc < 0) {
        struct bk_err first = {0};

        if (w->base.flow)
            bk_compw_abort(&w->base, err, &first);
        if (err && first.rc)
            *err = first;
        bk_compw_free(&w->base);
        return first.rc < 0 ? first.rc : rc;
    }
    *ret = &w->base;
    return BAKE_OK;
}

/* "<digest>  <object>" lines, so that sha256sum -c can check without us. */
static int seal(struct bk_store *store, struct bk_manifest *m, struct bk_err *err)
{
    struct bk_buf text BK_CLEANUP(bk_buf_free) = BK_BUF_INIT;
    char *name BK_FREE = bk_backup_object(m->id, BK_SUMS_NAME);
    int rc = bk_lag_fill(store, err); /* everything but the list itself has been put by now */

    if (rc < 0)
        return rc;
    for (size_t i = 0; i < m->n_bundles; i++) /* at the root */
        bk_buf_printf(&text, "%s  ../../%s\n", m->bundles[i].sha256, m->bundles[i].name);
    for (size_t i = 0; i < m->n_comps; i++)
        for (size_t k = 0; k < m->comps[i].n_objects; k++)
            bk_buf_printf(&text, "%s  %s\n", m->comps[i].objects[k].sha256,
                          m->comps[i].objects[k].name);
    if (!name || text.failed)
        return bk_nomem(err);
    return bk_store_put(store, name, text.data, text.len, BAKE_PUT_IF_ABSENT, err);
}

const struct bk_format bk_format_archive = {.seal = seal,
                                            .memory = memory,
                                            .object_name = data_name,
                                            .open_writer = open_writer,
                                            .open_reader = bk_archive_open_reader,
                                            .look = bk_archive_look};
