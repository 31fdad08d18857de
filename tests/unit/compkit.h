/* Trees written to a store and read back. */
#ifndef COMPKIT_H
#define COMPKIT_H

#include "storekit.h"

#include "store/comp.h"

#include <stdlib.h>
#include <string.h>

struct tree_item {
    struct bake_entry e;
    char *path;
    const char *data; /* bytes of the extents */
    size_t n;
};

struct tree {
    struct tree_item *items;
    size_t n;
    bool loose; /* what is read may differ before the damage is told: only paths are compared */
};

/* Ownership of nothing but a copy of the path passes to the tree. */
static inline struct bake_entry *tree_add(struct tree *t, uint32_t type, const char *path,
                                          const char *data, size_t n)
{
    struct tree_item *it;

    t->items = realloc(t->items, (t->n + 1) * sizeof(*t->items));
    assert_non_null(t->items);
    it = &t->items[t->n++];
    memset(it, 0, sizeof(*it));
    it->path = bk_strdup(path);
    it->data = data;
    it->n = n;
    it->e.struct_size = sizeof(it->e);
    it->e.type = type;
    it->e.path = it->path;
    it->e.size = n;
    it->e.valid = BAKE_HAS_MODE | BAKE_HAS_OWNER | BAKE_HAS_MTIME;
    it->e.mode = type == BAKE_DIR ? 0755 : 0640;
    it->e.uid = 1000;
    it->e.gid = 100;
    it->e.mtime_ns = 1762344000123456789;
    return &it->e;
}

static inline void tree_free(struct tree *t)
{
    for (size_t i = 0; i < t->n; i++)
        free(t->items[i].path);
    free(t->items);
    memset(t, 0, sizeof(*t));
}

/* Every type, sparse, hard links, names that need escaping. `data` holds 300,000 bytes. */
static inline void tree_of_all(struct tree *t, const char *data)
{
    static const struct bake_extent holes[] = {{4096, 8192}, {1048576, 100}};
    static const struct bake_extent none = {0, 0};
    struct bake_entry *e;

    tree_add(t, BAKE_DIR, ".", NULL, 0);
    tree_add(t, BAKE_FILE, "a", data, 300000);
    tree_add(t, BAKE_HARDLINK, "a2", NULL, 0)->link = "a";
    e = tree_add(t, BAKE_BLOCKDEV, "b", NULL, 0);
    e->dev_major = 8;
    e->dev_minor = 1;
    e = tree_add(t, BAKE_CHARDEV, "c", NULL, 0);
    e->dev_major = 1;
    e->dev_minor = 3;
    tree_add(t, BAKE_DIR, "d #\\\n", NULL, 0);
    tree_add(t, BAKE_FILE, "d #\\\n/empty \xff", NULL, 0);
    tree_add(t, BAKE_FIFO, "f", NULL, 0);
    tree_add(t, BAKE_SYMLINK, "l", NULL, 0)->link = "../some where";
    e = tree_add(t, BAKE_FILE, "s1", data, 8292);
    e->size = 2097152;
    e->extents = holes;
    e->n_extents = 2;
    e = tree_add(t, BAKE_FILE, "s2", NULL, 0); /* all hole */
    e->size = 100000;
    e->extents = &none;
    tree_add(t, BAKE_FILE, "z", data + 7, 1);
}

/* BAKE_E_CANCELLED while writing only means that finish has the reason. */
static inline int tree_write(struct kit *k, const char *name, const struct tree *t,
                             struct bk_mcomp *ret)
{
    struct bk_compw *w = NULL;
    int rc;

    bk_err_clear(&k->err);
    memset(ret, 0, sizeof(*ret));
    rc = bk_compw_open(k->store, KIT_ID, k->cancel, name, BAKE_TREE, &w, &k->err);
    if (rc < 0)
        return rc;
    for (size_t i = 0; rc >= 0 && i < t->n; i++) {
        const struct tree_item *it = &t->items[i];

        rc = bk_compw_entry(w, &it->e, &k->err);
        for (size_t at = 0; rc >= 0 && at < it->n; at += 50000)
            rc = bk_compw_data(w, it->data + at, it->n - at < 50000 ? it->n - at : 50000, &k->err);
        if (rc >= 0)
            rc = bk_compw_entry_end(w, true, &k->err);
    }
    ret->name = bk_strdup(name);
    ret->source = bk_strdup("system");
    ret->plugin = bk_strdup("files");
    ret->kind = BAKE_TREE;
    if (rc >= 0) {
        rc = bk_compw_finish(w, ret, &k->err);
    } else {
        struct bk_err first = {0};

        bk_compw_abort(w, &k->err, &first);
        k->err = first;
        rc = first.rc;
    }
    bk_compw_free(w);
    return rc;
}

struct tree_got {
    size_t entries;     /* right ones, in order */
    struct bk_strv bad; /* files whose content was wrong */
    struct bk_strv lost;
    int rc; /* of the last call, finish included */
};

static inline void tree_got_free(struct tree_got *g)
{
    bk_strv_free(&g->bad);
    bk_strv_free(&g->lost);
}

static inline void tree_lost(void *arg, const char *path)
{
    assert_int_equal(bk_strv_add(arg, path), 0);
}

/* Reads one file; compares with what it should be. */
static inline int tree_read_file(struct kit *k, struct bk_compr *r, const struct tree_item *want,
                                 bool loose)
{
    char buffer[10007];
    bool wrong = false;
    size_t n = 0;
    int rc = BAKE_OK;

    while (rc == BAKE_OK) {
        struct bake_out out = {buffer, sizeof(buffer), 0};

        rc = bk_compr_read(r, &out, &k->err);
        if (out.pos > 0) {
            bool more = n + out.pos > want->n;

            assert_true(loose || !more);
            wrong |= more || memcmp(buffer, want->data + n, out.pos) != 0;
        }
        n += out.pos;
    }
    if (rc == BAKE_END && !loose) { /* the digest has been checked: then it must be right */
        assert_int_equal(n, want->n);
        assert_false(wrong);
    }
    return rc;
}

static inline void tree_same(const struct bake_entry *a, const struct bake_entry *b, bool listing)
{
    if (!listing || b->type != BAKE_HARDLINK)
        assert_int_equal(a->type, b->type);
    if (b->type == BAKE_FILE)
        assert_int_equal(a->size, b->size);
    if (b->type == BAKE_SYMLINK || (!listing && b->type == BAKE_HARDLINK))
        assert_string_equal(a->link, b->link);
    if (b->type == BAKE_CHARDEV || b->type == BAKE_BLOCKDEV) {
        assert_int_equal(a->dev_major, b->dev_major);
        assert_int_equal(a->dev_minor, b->dev_minor);
    }
    if (!listing && b->type == BAKE_HARDLINK)
        return;
    assert_int_equal(a->mode, b->mode);
    assert_int_equal(a->uid, b->uid);
    assert_true(a->mtime_ns == b->mtime_ns);
}

/* Reads the component as far as it goes. */
static inline void tree_read(struct kit *k, const struct bk_mcomp *c, const struct tree *t,
                             unsigned flags, struct tree_got *g)
{
    struct bk_manifest m = {.id = (char *)(uintptr_t)KIT_ID};
    struct bk_compr *r = NULL;

    memset(g, 0, sizeof(*g));
    bk_err_clear(&k->err);
    g->rc = bk_compr_open(k->store, bk_store_base(k->store), &m, c, flags, k->cancel, &r, &k->err);
    if (g->rc < 0)
        return;
    for (size_t i = 0;; i++) {
        struct bake_entry e;

        g->rc = bk_compr_next(r, &e, &k->err);
        if (g->rc != BAKE_OK)
            break;
        assert_true(i < t->n);
        assert_string_equal(e.path, t->items[i].path);
        if (!t->loose)
            tree_same(&e, &t->items[i].e, flags & BK_COMPR_LIST);
        if (e.type == BAKE_FILE && !(flags & BK_COMPR_LIST))
            g->rc = tree_read_file(k, r, &t->items[i], t->loose);
        if (g->rc < 0) {
            assert_int_equal(bk_strv_add(&g->bad, t->items[i].path), 0);
            if (!bk_compr_bad_entry(r))
                break;
            continue;
        }
        g->entries++;
    }
    if (g->rc == BAKE_END)
        g->rc = bk_compr_finish(r, &k->err);
    if (g->rc < 0)
        bk_compr_lost(r, tree_lost, &g->lost);
    bk_compr_free(r);
}

static inline struct ms_object *comp_stored(struct kit *k, const struct bk_mcomp *c,
                                            const char *role)
{
    char *name = bk_backup_object(KIT_ID, bk_mcomp_object(c, role)->name);
    struct ms_object *o = ms_find(&k->ms[0], name);

    free(name);
    assert_non_null(o);
    return o;
}

#endif
