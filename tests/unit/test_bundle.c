/* store/bundle: the components of a group in one tar, and what becomes of them when something
 * fails. */
#include "compkit.h"

#include "store/bundle.h"
#include "store/tar.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define T0 1762344000000000000 /* 2025-11-05T12:00:00Z */

struct fix {
    struct kit k;
    struct bk_manifest *m;
    char *data; /* 300,000 bytes */
};

static int setup(void **state)
{
    struct fix *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    f->data = kit_bytes(300000, 1);
    kit_init(&f->k, 2, 1);
    f->k.pipeline.bundle = BK_BUNDLE_STACK;
    f->k.pipeline.bundle_name = "backup-{stack}-{timestamp}-{uuid}";
    kit_must_open(&f->k);
    f->m = kit_manifest(KIT_ID, "nightly", "host", T0, 0);
    free(f->m->comps);
    f->m->comps = calloc(16, sizeof(*f->m->comps));
    assert_non_null(f->m->comps);
    assert_int_equal(bk_backup_begin(f->k.store, f->m, &f->k.err), 0);
    return *state = f, 0;
}

static int teardown(void **state)
{
    struct fix *f = *state;

    bk_backup_end(f->k.store);
    bk_manifest_free(f->m);
    kit_release(&f->k);
    free(f->data);
    free(f);
    return 0;
}

static struct bk_mcomp *new_comp(struct fix *f, const char *group, const char *name, uint32_t kind)
{
    struct bk_mcomp *c = &f->m->comps[f->m->n_comps++];

    c->name = bk_strdup(name);
    c->group = bk_strdup(group);
    c->source = bk_strdup("stacks");
    c->plugin = bk_strdup("docker");
    c->kind = kind;
    return c;
}

static struct bk_compw *open_one(struct fix *f, const struct bk_mcomp *c)
{
    struct bk_compw *w = NULL;

    if (bk_compw_open_in(f->k.store, c->group, KIT_ID, f->k.cancel, c->name, c->kind, &w,
                         &f->k.err) < 0)
        fail_msg("%s", f->k.err.text);
    return w;
}

static int put_blob(struct fix *f, const char *group, const char *name, size_t n)
{
    struct bk_mcomp *c = new_comp(f, group, name, BAKE_BLOB);
    struct bk_compw *w = open_one(f, c);
    int rc = bk_compw_data(w, f->data, n, &f->k.err);

    if (rc >= 0)
        rc = bk_compw_finish(w, c, &f->k.err);
    c->bytes_in = n;
    bk_compw_free(w);
    c->status = rc < 0 ? BK_STATUS_FAILED : BK_STATUS_OK;
    return rc;
}

/* stop: so many entries, then the source fails; SIZE_MAX: all is well. */
static int put_tree(struct fix *f, const char *group, const char *name, const struct tree *t,
                    size_t stop)
{
    struct bk_mcomp *c = new_comp(f, group, name, BAKE_TREE);
    struct bk_compw *w = open_one(f, c);
    int rc = BAKE_OK;

    for (size_t i = 0; rc >= 0 && i < t->n; i++) {
        const struct tree_item *it = &t->items[i];

        rc = bk_compw_entry(w, &it->e, &f->k.err);
        if (rc >= 0 && i == stop) { /* in the middle of its bytes */
            rc = it->n > 1 ? bk_compw_data(w, it->data, it->n / 2, &f->k.err) : BAKE_OK;
            bk_fail(&f->k.err, BAKE_E_CHILD, "the source's reason");
            rc = BAKE_E_CHILD;
        }
        if (rc >= 0 && it->n > 0)
            rc = bk_compw_data(w, it->data, it->n, &f->k.err);
        if (rc >= 0)
            rc = bk_compw_entry_end(w, true, &f->k.err);
    }
    if (rc >= 0)
        rc = bk_compw_finish(w, c, &f->k.err);
    else
        bk_compw_abort(w, &f->k.err, &f->k.err);
    bk_compw_free(w);
    c->status = rc < 0 ? BK_STATUS_FAILED : BK_STATUS_OK;
    return rc;
}

static const char *bundle_of(struct fix *f, size_t i) { return f->m->bundles[i].name; }

/* Reads all of it as the component has it. */
static void same_blob(struct fix *f, const struct bk_mcomp *c, size_t n, unsigned flags)
{
    struct bk_compr *r = NULL;
    size_t got = 0;
    int rc = bk_compr_open(f->k.store, bk_store_base(f->k.store), f->m, c, flags, f->k.cancel, &r,
                           &f->k.err);

    while (rc == BAKE_OK) {
        char buffer[9999];
        struct bake_out out = {buffer, sizeof(buffer), 3};

        rc = bk_compr_read(r, &out, &f->k.err);
        assert_true(got + out.pos - 3 <= n);
        assert_memory_equal(buffer + 3, f->data + got, out.pos - 3);
        got += out.pos - 3;
    }
    if (rc < 0 || bk_compr_finish(r, &f->k.err) < 0)
        fail_msg("%s", f->k.err.text);
    assert_int_equal(got, n);
    bk_compr_free(r);
}

static void same_tree(struct fix *f, const struct bk_mcomp *c, const struct tree *t, unsigned flags)
{
    struct bk_compr *r = NULL;
    int rc = bk_compr_open(f->k.store, bk_store_base(f->k.store), f->m, c, flags, f->k.cancel, &r,
                           &f->k.err);

    for (size_t i = 0; rc >= 0; i++) {
        struct bake_entry e;

        rc = bk_compr_next(r, &e, &f->k.err);
        if (rc != BAKE_OK) {
            assert_int_equal(i, t->n);
            break;
        }
        assert_true(i < t->n);
        assert_string_equal(e.path, t->items[i].path);
        tree_same(&e, &t->items[i].e, flags & BK_COMPR_LIST);
        if (e.type == BAKE_FILE && !(flags & BK_COMPR_LIST))
            rc = tree_read_file(&f->k, r, &t->items[i], false);
    }
    if (rc < 0 || bk_compr_finish(r, &f->k.err) < 0)
        fail_msg("%s", f->k.err.text);
    bk_compr_free(r);
}

static void no_damage(void *arg, const struct bk_mcomp *c, const struct bk_err *why)
{
    (void)arg;
    (void)c;
    fail_msg("%s", why->text);
}

static void whole(void **state)
{
    static const unsigned flags[] = {0, BK_COMPR_LIST, BK_COMPR_FEW, BK_COMPR_PROVE};
    struct fix *f = *state;
    struct tree t = {0}, empty = {0};
    struct bk_look look = {.damage = no_damage};
    struct bk_buf text = BK_BUF_INIT;
    struct bk_manifest *again = NULL;

    tree_of_all(&t, f->data);
    assert_true(bk_comp_in_turn(f->k.store));
    assert_int_equal(put_tree(f, "shop", "shop/app/volumes/up", &t, SIZE_MAX), 0);
    assert_int_equal(put_blob(f, "shop", "shop/db/database/pg_dumpall.sql", 300000), 0);
    assert_int_equal(put_tree(f, "shop", "shop/app/volumes/none", &empty, SIZE_MAX), 0);
    assert_int_equal(put_blob(f, "shop", "shop/db/empty", 0), 0);
    assert_int_equal(put_tree(f, "shop", "volumes/apart", &t, SIZE_MAX), 0);
    assert_int_equal(put_blob(f, "other", "other/x", 5), 0);
    assert_int_equal(put_blob(f, NULL, "single", 300000), 0);
    assert_int_equal(bk_backup_group_end(f->k.store, "shop", &f->k.err), 0);
    assert_int_equal(bk_backup_group_end(f->k.store, "shop", &f->k.err), 0);
    assert_int_equal(bk_backup_group_end(f->k.store, "nobody", &f->k.err), 0);
    assert_int_equal(ms_count(&f->k.ms[1], "backup-shop-20251105-120000-"), 1);
    assert_int_equal(ms_count(&f->k.ms[1], "backup-other-20251105-120000-"), 0);
    if (bk_backup_seal(f->k.store, f->m, &f->k.err) < 0)
        fail_msg("%s", f->k.err.text);
    assert_int_equal(ms_count(&f->k.ms[1], "backup-other-20251105-120000-"), 1);
    assert_int_equal(f->m->n_bundles, 2);
    assert_int_equal(f->m->bundles[0].transforms.n, 1);
    assert_null(f->m->comps[6].in.bundle);
    assert_string_equal(f->m->comps[0].in.path, "app/volumes/up");
    assert_string_equal(f->m->comps[4].in.path, "volumes/apart");
    assert_int_equal(f->m->comps[0].n_objects, 1); /* the listing */
    assert_int_equal(f->m->comps[1].n_objects, 0);

    /* From its text it is read the same. */
    assert_int_equal(bk_manifest_write(f->m, &text, &f->k.err), 0);
    if (bk_manifest_parse(text.data, text.len, KIT_ID, &again, &f->k.err) < 0)
        fail_msg("%s", f->k.err.text);
    bk_manifest_free(f->m);
    f->m = again;
    bk_buf_free(&text);
    for (size_t i = 0; i < 4; i++) {
        same_tree(f, &f->m->comps[0], &t, flags[i]);
        same_tree(f, &f->m->comps[2], &empty, flags[i]);
        same_tree(f, &f->m->comps[4], &t, flags[i]);
        if (flags[i] & BK_COMPR_LIST)
            continue;
        same_blob(f, &f->m->comps[1], 300000, flags[i]);
        same_blob(f, &f->m->comps[3], 0, flags[i]);
        same_blob(f, &f->m->comps[5], 5, flags[i]);
        same_blob(f, &f->m->comps[6], 300000, flags[i]);
    }
    assert_int_equal(bk_backup_look(f->k.store, &f->k.store->sinks[1], f->m, &look, &f->k.err), 0);
    assert_int_equal(look.objects, 2 + 3 + 1);
    tree_free(&t);
}

/* A tree's own tar out of the bundle: the same entries again. */
static int pull_own(void *arg, const void **data, size_t *n)
{
    static char buffer[70000];
    struct bake_out out = {buffer, sizeof(buffer), 0};
    int rc = bk_compr_read(arg, &out, NULL);

    *data = buffer;
    *n = out.pos;
    return rc < 0 ? rc : 0;
}

static void own_tar(void **state)
{
    struct fix *f = *state;
    struct tree t = {0};
    struct bk_compr *r = NULL;
    struct bk_tarr *tar = NULL;
    struct bake_entry e;
    size_t i = 0;
    int rc;

    tree_of_all(&t, f->data);
    assert_int_equal(put_blob(f, "shop", "shop/a", 10), 0);
    assert_int_equal(put_tree(f, "shop", "shop/t", &t, SIZE_MAX), 0);
    assert_int_equal(bk_backup_seal(f->k.store, f->m, &f->k.err), 0);
    assert_int_equal(bk_compr_open(f->k.store, bk_store_base(f->k.store), f->m, &f->m->comps[1],
                                   BK_COMPR_RAW, f->k.cancel, &r, &f->k.err),
                     0);
    assert_int_equal(bk_tarr_new(pull_own, r, &tar, &f->k.err), 0);
    while ((rc = bk_tarr_next(tar, &e, &f->k.err)) == BAKE_OK) {
        assert_string_equal(e.path, t.items[i].path);
        tree_same(&e, &t.items[i].e, false);
        i++;
    }
    assert_int_equal(rc, BAKE_END);
    assert_int_equal(i, t.n);
    assert_int_equal(bk_compr_finish(r, &f->k.err), 0);
    bk_tarr_free(tar);
    bk_compr_free(r);
    tree_free(&t);
}

/* A component that breaks off spoils none of the others, wherever it does. */
static void broken_off(void **state)
{
    struct fix *f = *state;
    struct tree t = {0};

    tree_of_all(&t, f->data);
    assert_int_equal(put_tree(f, "shop", "shop/a", &t, SIZE_MAX), 0);
    assert_int_equal(put_tree(f, "shop", "shop/b", &t, 1), BAKE_E_CHILD); /* in a file */
    assert_int_equal(put_tree(f, "shop", "shop/c", &t, 9), BAKE_E_CHILD); /* in a sparse one */
    assert_int_equal(put_tree(f, "shop", "shop/d", &t, 0), BAKE_E_CHILD); /* at its root */
    assert_int_equal(put_blob(f, "shop", "shop/e", 300000), 0);
    assert_int_equal(put_tree(f, "shop", "shop/f", &t, SIZE_MAX), 0);
    if (bk_backup_seal(f->k.store, f->m, &f->k.err) < 0)
        fail_msg("%s", f->k.err.text);
    assert_int_equal(f->m->n_bundles, 1);
    same_tree(f, &f->m->comps[0], &t, BK_COMPR_PROVE);
    same_blob(f, &f->m->comps[4], 300000, BK_COMPR_PROVE);
    same_tree(f, &f->m->comps[5], &t, BK_COMPR_PROVE);
    for (size_t i = 1; i < 4; i++) {
        assert_null(f->m->comps[i].in.bundle);
        assert_int_equal(f->m->comps[i].n_objects, 0);
    }
    assert_null(ms_find(&f->k.ms[0], "backups/" KIT_ID "/shop/b.mtree.fk"));
    assert_non_null(ms_find(&f->k.ms[0], "backups/" KIT_ID "/shop/a.mtree.fk"));
    tree_free(&t);
}

/* Nothing of it is good: no bundle is put, and nothing is left of it. */
static void nothing_good(void **state)
{
    struct fix *f = *state;
    struct tree t = {0};

    tree_of_all(&t, f->data);
    assert_int_equal(put_tree(f, "shop", "shop/b", &t, 1), BAKE_E_CHILD);
    assert_int_equal(put_blob(f, "other", "other/x", 5), 0);
    assert_int_equal(bk_backup_group_end(f->k.store, "shop", &f->k.err), 0);
    assert_int_equal(bk_backup_seal(f->k.store, f->m, &f->k.err), 0);
    assert_int_equal(f->m->n_bundles, 1);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(ms_count(&f->k.ms[i], "backup-"), 1);
        assert_int_equal(ms_count(&f->k.ms[i], "backups/" KIT_ID "/bundles/"), 1);
    }
    tree_free(&t);
}

/* The sink fails while the bundle is put, or what announces it: its components have failed, the
 * others have not. */
static void bundle_fails(void **state)
{
    static const enum ms_op ops[] = {MS_PUT_BEGIN, MS_PUT_WRITE, MS_PUT_END};

    (void)state;
    for (size_t i = 0; i < 6; i++) {
        bool announced = i >= 3;
        struct fix *f;
        void *fresh = NULL;
        struct tree t = {0};
        int rc;

        assert_int_equal(setup(&fresh), 0);
        f = fresh;
        tree_of_all(&t, f->data);
        f->k.store->n_sinks = 1; /* the only one */
        ms_fault(&f->k.ms[0], ops[i % 3], "backup-shop", announced, 0, BAKE_E_IO);
        assert_int_equal(put_blob(f, NULL, "single", 300000), 0);
        (void)put_tree(f, "shop", "shop/a", &t, SIZE_MAX);
        (void)put_blob(f, "shop", "shop/b", 300000);
        rc = bk_backup_group_end(f->k.store, "shop", &f->k.err);
        assert_int_equal(rc, BAKE_E_IO);
        assert_non_null(strstr(f->k.err.text, "bundle of 'shop'"));
        /* with the bundle the sink is lost for this run: nothing else can be put there */
        rc = bk_backup_seal(f->k.store, f->m, &f->k.err);
        assert_int_equal(rc, announced ? BAKE_E_IO : BAKE_OK);
        assert_int_equal(f->m->comps[0].status, BK_STATUS_OK);
        assert_int_equal(f->m->n_bundles, 0);
        assert_int_equal(f->m->comps[1].status, BK_STATUS_FAILED);
        assert_int_equal(f->m->comps[2].status, BK_STATUS_FAILED);
        assert_null(f->m->comps[1].in.bundle);
        assert_int_equal(ms_count(&f->k.ms[0], "backup-"), 0);
        f->k.store->n_sinks = 2;
        tree_free(&t);
        assert_int_equal(teardown(&fresh), 0);
    }
}

/* One of two sinks fails: the other has it all. */
static void mirror_fails(void **state)
{
    struct fix *f = *state;

    ms_fault(&f->k.ms[1], MS_PUT_WRITE, "backup-shop", 0, 0, BAKE_E_NOSPACE);
    assert_int_equal(put_blob(f, "shop", "shop/b", 300000), 0);
    assert_int_equal(bk_backup_seal(f->k.store, f->m, &f->k.err), 0);
    assert_false(bk_store_sink_ok(f->k.store, 1));
    same_blob(f, &f->m->comps[0], 300000, BK_COMPR_PROVE);
    assert_int_equal(ms_count(&f->k.ms[1], "backup-"), 0);
}

/* The manifest is not put after all. */
static void undone(void **state)
{
    for (int sealed = 0; sealed < 3; sealed++) {
        void *fresh = NULL;
        struct fix *f;

        (void)state;
        assert_int_equal(setup(&fresh), 0);
        f = fresh;
        ms_set(&f->k.ms[0], "backup-shop-20251105-120000-abc.tar.zst", "theirs", 6);
        assert_int_equal(put_blob(f, "shop", "shop/b", 300000), 0);
        if (sealed == 1)
            assert_int_equal(bk_backup_group_end(f->k.store, "shop", &f->k.err), 0);
        if (sealed == 2)
            assert_int_equal(bk_backup_seal(f->k.store, f->m, &f->k.err), 0);
        bk_backup_undo(f->k.store);
        bk_backup_undo(f->k.store);
        for (size_t i = 0; i < 2; i++) {
            assert_int_equal(ms_count(&f->k.ms[i], "backup-"), i == 0);
            assert_int_equal(ms_count(&f->k.ms[i], "backups/" KIT_ID "/bundles/"), 0);
        }
        assert_int_equal(teardown(&fresh), 0);
    }
}

static void cancelled(void **state)
{
    struct fix *f = *state;
    struct tree t = {0};
    struct bk_mcomp *c;
    struct bk_compw *w;
    int rc;

    tree_of_all(&t, f->data);
    assert_int_equal(put_tree(f, "shop", "shop/a", &t, SIZE_MAX), 0);
    c = new_comp(f, "shop", "shop/b", BAKE_BLOB);
    w = open_one(f, c);
    assert_int_equal(bk_compw_data(w, f->data, 1000, &f->k.err), 0);
    bk_cancel_fire(f->k.cancel);
    assert_int_equal(bk_compw_finish(w, c, &f->k.err), BAKE_E_CANCELLED);
    bk_compw_free(w);
    rc = bk_backup_group_end(f->k.store, "shop", &f->k.err);
    assert_int_equal(rc, BAKE_E_CANCELLED);
    bk_backup_undo(f->k.store);
    assert_int_equal(ms_count(&f->k.ms[0], "backup-"), 0);
    tree_free(&t);
}

/* Written side by side they take their turns. */
struct lane {
    struct fix *f;
    struct bk_mcomp *c;
    const struct tree *t;
    int rc;
};

static void *write_lane(void *arg)
{
    struct lane *l = arg;
    struct bk_compw *w = NULL;
    struct bk_err err = {0};

    l->rc = bk_compw_open_in(l->f->k.store, "shop", KIT_ID, l->f->k.cancel, l->c->name, l->c->kind,
                             &w, &err);
    for (size_t i = 0; l->c->kind == BAKE_TREE && i < l->t->n && l->rc >= 0; i++) {
        l->rc = bk_compw_entry(w, &l->t->items[i].e, &err);
        if (l->rc >= 0 && l->t->items[i].n)
            l->rc = bk_compw_data(w, l->t->items[i].data, l->t->items[i].n, &err);
        if (l->rc >= 0)
            l->rc = bk_compw_entry_end(w, true, &err);
    }
    if (l->c->kind == BAKE_BLOB && l->rc >= 0)
        l->rc = bk_compw_data(w, l->f->data, 300000, &err);
    if (l->rc >= 0)
        l->rc = bk_compw_finish(w, l->c, &err);
    bk_compw_free(w);
    return NULL;
}

static void side_by_side(void **state)
{
    struct fix *f = *state;
    struct tree t = {0};
    struct lane lanes[8];
    pthread_t threads[8];

    tree_of_all(&t, f->data);
    for (size_t i = 0; i < 8; i++) {
        char name[32];

        (void)snprintf(name, sizeof(name), "shop/c%zu", i);
        lanes[i] =
            (struct lane){f, new_comp(f, "shop", name, i % 2 ? BAKE_BLOB : BAKE_TREE), &t, -1};
    }
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_lane, &lanes[i]), 0);
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(lanes[i].rc, 0);
    }
    assert_int_equal(bk_backup_seal(f->k.store, f->m, &f->k.err), 0);
    for (size_t i = 0; i < 8; i++) {
        if (i % 2)
            same_blob(f, &f->m->comps[i], 300000, BK_COMPR_PROVE);
        else
            same_tree(f, &f->m->comps[i], &t, BK_COMPR_PROVE);
    }
    tree_free(&t);
}

/* ---- damage ---------------------------------------------------------------------------------- */

struct seen {
    size_t n, of[16];
    const struct bk_manifest *m;
};

static void note_damage(void *arg, const struct bk_mcomp *c, const struct bk_err *why)
{
    struct seen *s = arg;

    assert_int_equal(why->rc, BAKE_E_CORRUPT);
    assert_non_null(c);
    s->n++;
    s->of[c - s->m->comps]++;
}

static int read_all(struct fix *f, size_t i, unsigned flags)
{
    struct bk_compr *r = NULL;
    char buffer[50000];
    int rc = bk_compr_open(f->k.store, bk_store_base(f->k.store), f->m, &f->m->comps[i], flags,
                           f->k.cancel, &r, &f->k.err);

    while (rc == BAKE_OK) {
        struct bake_out out = {buffer, sizeof(buffer), 0};

        rc = bk_compr_read(r, &out, &f->k.err);
    }
    if (rc >= 0)
        rc = bk_compr_finish(r, &f->k.err);
    bk_compr_free(r);
    return rc;
}

static void damaged(void **state)
{
    struct fix *f = *state;
    struct seen seen = {0};
    struct bk_look look = {.damage = note_damage, .arg = &seen};
    struct ms_object *o;

    f->k.store->n_transforms = 0; /* so that where a byte stands is known */
    assert_int_equal(put_blob(f, "shop", "shop/a", 300000), 0);
    assert_int_equal(put_blob(f, "shop", "shop/b", 300000), 0);
    assert_int_equal(put_blob(f, NULL, "single", 10), 0);
    assert_int_equal(bk_backup_seal(f->k.store, f->m, &f->k.err), 0);
    seen.m = f->m;
    o = ms_find(&f->k.ms[0], bundle_of(f, 0));
    assert_non_null(o);
    assert_true(o->n > 600000);
    o->data[450000] ^= 1; /* in the second */
    assert_int_equal(read_all(f, 0, 0), 0);
    assert_int_equal(read_all(f, 1, 0), BAKE_E_CORRUPT);
    assert_non_null(strstr(f->k.err.text, bundle_of(f, 0)));
    o->data[450000] ^= 1;
    o->data[o->n - 1] ^= 1; /* in what is behind both: only the proof sees it */
    assert_int_equal(read_all(f, 1, 0), 0);
    assert_int_equal(read_all(f, 0, BK_COMPR_PROVE), 0);
    assert_int_equal(read_all(f, 1, BK_COMPR_PROVE), BAKE_E_CORRUPT);
    o->data[o->n - 1] ^= 1;
    assert_int_equal(read_all(f, 1, BK_COMPR_PROVE), 0);
    ms_set(&f->k.ms[0], bundle_of(f, 0), "short", 5);
    assert_int_equal(bk_backup_look(f->k.store, &f->k.store->sinks[0], f->m, &look, &f->k.err), 0);
    assert_int_equal(seen.n, 2); /* of both that stand in it */
    assert_int_equal(seen.of[0] + seen.of[1], 2);
    assert_int_equal(read_all(f, 0, 0), BAKE_E_CORRUPT);
    ms_drop(&f->k.ms[0], bundle_of(f, 0));
    assert_int_equal(read_all(f, 0, 0), BAKE_E_NOTFOUND);
    assert_int_equal(read_all(f, 2, 0), 0);
}

/* ---- names ----------------------------------------------------------------------------------- */

static void names(void **state)
{
    static const char good[] = "backups/x/bundles/0badcafe/backup-a-0badcafe.tar.zst";
    static const char *const bad[] = {"backups/x/bundles/0badcafe/backup-a-deadbeef.tar.zst",
                                      "backups/x/bundles/0badcafe/bakengine.json-0badcafe",
                                      "backups/x/bundles/0badcafe/a/b-0badcafe.tar.zst",
                                      "backups/x/bundles/0badcafe/../b-0badcafe.tar.zst",
                                      "backups/x/bundles/0badcaf/b-0badcafe.tar.zst",
                                      "backups/x/bundles/0BADCAFE/b-0BADCAFE.tar.zst",
                                      "backups/x/bundles/0badcafe/",
                                      "backups/x/bundles/0badcafe",
                                      "backups/x/records/0badcafe/b-0badcafe.tar.zst",
                                      "x/bundles/0badcafe/b-0badcafe.tar.zst"};
    (void)state;

    assert_string_equal(bk_bundle_announced(good), "backup-a-0badcafe.tar.zst");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_null(bk_bundle_announced(bad[i]));
    assert_false(bk_bundle_name_ok("manifest.json"));
    assert_false(bk_bundle_name_ok("a b.tar"));
    assert_false(bk_bundle_name_ok(".tar"));
}

static void name_of_template(void **state)
{
    struct fix *f = *state;
    const char *name;

    f->k.pipeline.bundle_name = "{host}_{pipeline}_{stack}+{timestamp}{uuid}";
    assert_int_equal(put_blob(f, "a b/c", "x", 3), 0);
    assert_int_equal(bk_backup_seal(f->k.store, f->m, &f->k.err), 0);
    name = bundle_of(f, 0);
    assert_true(bk_starts(name, "host_nightly_a_b_c+20251105-120000"));
    assert_int_equal(strlen(name), strlen("host_nightly_a_b_c+20251105-12000001234567.tar.fk"));
    assert_non_null(ms_find(&f->k.ms[0], name));
}

/* Two components in one place of the tar. */
static void same_place(void **state)
{
    struct fix *f = *state;
    struct bk_mcomp *c;
    struct bk_compw *w = NULL;

    assert_int_equal(put_blob(f, "shop", "shop/x", 3), 0);
    c = new_comp(f, "shop", "x", BAKE_BLOB);
    assert_int_equal(bk_compw_open_in(f->k.store, "shop", KIT_ID, f->k.cancel, c->name, BAKE_BLOB,
                                      &w, &f->k.err),
                     BAKE_E_CONFIG);
    assert_non_null(strstr(f->k.err.text, "two 'x'"));
}

/* A manifest that anybody may have written: nothing but what can be a bundle is taken for one. */
static void bad_manifests(void **state)
{
    static const struct {
        const char *where, *key, *value;
    } bad[] = {{"bundles", "name", "../backup-x.tar"},
               {"bundles", "name", "bakengine.json"},
               {"bundles", "name", "backups/a.tar"},
               {"bundles", "sha256", ""},
               {"bundles", "plain_sha256", "abc"},
               {"bundles", "size", "many"},
               {"in", "bundle", "backup-other.tar"},
               {"in", "path", "../x"},
               {"in", "path", "/x"},
               {"in", "first", "x"}};
    struct fix *f = *state;

    assert_int_equal(put_blob(f, "shop", "shop/x", 3), 0);
    assert_int_equal(bk_backup_seal(f->k.store, f->m, &f->k.err), 0);
    for (size_t i = 0; i <= sizeof(bad) / sizeof(bad[0]); i++) {
        json_t *j = bk_manifest_json(f->m), *at;
        struct bk_buf text = BK_BUF_INIT;
        struct bk_manifest *m = NULL;
        bool good = i == sizeof(bad) / sizeof(bad[0]);

        if (!good) {
            at = json_array_get(
                json_object_get(j, bk_streq(bad[i].where, "in") ? "components" : "bundles"), 0);
            if (bk_streq(bad[i].where, "in"))
                at = json_object_get(at, "in");
            json_object_set_new(at, bad[i].key, json_string(bad[i].value));
        }
        assert_int_equal(bk_json_seal(j, &text, &f->k.err), 0);
        assert_int_equal(bk_manifest_parse(text.data, text.len, KIT_ID, &m, &f->k.err),
                         good ? BAKE_OK : BAKE_E_CORRUPT);
        bk_manifest_free(m);
        bk_buf_free(&text);
        json_decref(j);
    }
}

int main(void)
{
#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH(whole),
        WITH(own_tar),
        WITH(broken_off),
        WITH(nothing_good),
        cmocka_unit_test(bundle_fails),
        WITH(mirror_fails),
        cmocka_unit_test(undone),
        WITH(cancelled),
        WITH(side_by_side),
        WITH(damaged),
        cmocka_unit_test(names),
        WITH(name_of_template),
        WITH(same_place),
        WITH(bad_manifests),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
