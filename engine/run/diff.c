/* The comparison of two backups: their components by name, two trees as two sorted lists. */
#include "run/diff.h"

#include "base/buf.h"
#include "run/diff_entry.h"
#include "run/restore.h"
#include "store/comp.h"
#include "store/entrycodec.h"

#include <stdlib.h>
#include <string.h>

struct side { /* a tree of one backup, and where it is being read */
    const struct bk_manifest *m;
    const struct bk_mcomp *c;
    struct bk_compr *reader; /* NULL: it is not there */
    struct bake_entry e;
    bool end;
    struct bk_buf path; /* the current entry's: what the next one must come after */
    struct bk_diff_links links;
};

struct work {
    const struct bk_diff *d;
    struct bk_diff_sum *sum;
    bool stop; /* each() wants no more */
};

/* ---- telling --------------------------------------------------------------------------------- */

static uint64_t *counter(struct bk_diff_sum *sum, const struct bk_difference *x)
{
    uint32_t type = x->new_type ? x->new_type : x->old_type;

    if (!x->path)
        return &sum->components[x->change];
    if (type == BAKE_FILE || type == BAKE_HARDLINK)
        return &sum->files[x->change];
    return type == BAKE_DIR ? &sum->dirs[x->change] : &sum->others[x->change];
}

static int tell(struct work *w, const struct bk_difference *x, struct bk_err *err)
{
    int rc;

    ++*counter(w->sum, x);
    if (x->change != BK_CHANGE_META) {
        w->sum->bytes_added += x->new_size;
        w->sum->bytes_removed += x->old_size;
    }
    rc = w->d->each(w->d->arg, x, err);
    w->stop = rc < 0;
    return rc;
}

/* Another name of a file has no bytes of its own. */
static uint64_t size_of(const struct bk_diff_entry *e)
{
    return e->e->type == BAKE_FILE && e->type == BAKE_FILE ? e->size : 0;
}

static int tell_one(struct work *w, struct side *s, enum bk_change change, struct bk_err *err)
{
    struct bk_difference x = {.change = change, .component = s->c->name, .path = s->e.path};
    struct bk_diff_entry one;
    int rc = bk_diff_entry_of(&s->e, bk_compr_identity(s->reader), &s->links, &one, err);

    if (rc < 0)
        return rc;
    if (change == BK_CHANGE_ADDED) {
        x.new_type = one.type;
        x.new_size = size_of(&one);
    } else {
        x.old_type = one.type;
        x.old_size = size_of(&one);
    }
    return tell(w, &x, err);
}

static int tell_both(struct work *w, struct side *a, struct side *b, struct bk_err *err)
{
    struct bk_difference x = {.component = b->c->name, .path = b->e.path};
    struct bk_diff_entry old, new;
    int rc = bk_diff_entry_of(&a->e, bk_compr_identity(a->reader), &a->links, &old, err);

    if (rc >= 0)
        rc = bk_diff_entry_of(&b->e, bk_compr_identity(b->reader), &b->links, &new, err);
    if (rc >= 0)
        rc = bk_diff_fields(&old, &a->links, &new, &b->links, &x.fields, err);
    if (rc < 0 || x.fields == 0)
        return rc;
    x.change = x.fields & BK_DIFF_TYPE      ? BK_CHANGE_TYPE
               : x.fields & BK_DIFF_CONTENT ? BK_CHANGE_CONTENT
                                            : BK_CHANGE_META;
    x.old_type = old.type;
    x.new_type = new.type;
    x.old_size = size_of(&old);
    x.new_size = size_of(&new);
    return tell(w, &x, err);
}

/* ---- trees ----------------------------------------------------------------------------------- */

/* A reader's failure; some say themselves of which component they are. */
static int of_side(const struct side *s, struct bk_err *err)
{
    if (bk_starts(err->text, "component '"))
        return bk_prefix(err, "backup '%s'", s->m->id);
    return bk_prefix(err, "component '%s' of backup '%s'", s->c->name, s->m->id);
}

static int side_open(struct work *w, const struct bk_manifest *m, const struct bk_mcomp *c,
                     struct side *s, struct bk_err *err)
{
    int rc = BAKE_OK;

    s->m = m;
    s->c = c;
    s->end = !c;
    if (c)
        rc = bk_compr_open(w->d->store, w->d->sink, m, c, BK_COMPR_LIST, w->d->cancel, &s->reader,
                           err);
    return rc < 0 ? of_side(s, err) : rc;
}

static void side_close(struct side *s)
{
    bk_compr_free(s->reader);
    bk_diff_links_release(&s->links);
    bk_buf_free(&s->path);
}

/* Two lists can only be compared side by side if both are sorted. */
static int check_order(struct side *s, struct bk_err *err)
{
    char before[256], path[256];

    if (s->path.len > 0 && bk_path_order(s->path.data, s->e.path) >= 0)
        return bk_fail(err, BAKE_E_UNSUPPORTED,
                       "its entries are not in the order of their paths: '%s' comes after '%s'\n"
                       "HINT: the source plugin that read it does not keep to the order that "
                       "docs/plugin-api.md asks for",
                       bk_printable(path, sizeof(path), s->e.path, strlen(s->e.path)),
                       bk_printable(before, sizeof(before), s->path.data, s->path.len));
    bk_buf_clear(&s->path);
    return bk_buf_str(&s->path, s->e.path) < 0 ? bk_nomem(err) : BAKE_OK;
}

static int side_next(struct side *s, struct bk_err *err)
{
    int rc;

    if (s->end)
        return BAKE_OK;
    rc = bk_compr_next(s->reader, &s->e, err);
    if (rc == BAKE_OK)
        rc = check_order(s, err);
    else if (rc == BAKE_END) {
        s->end = true;
        rc = bk_compr_finish(s->reader, err);
    }
    return rc < 0 ? of_side(s, err) : rc;
}

static int merge(struct work *w, struct side *a, struct side *b, struct bk_err *err)
{
    bool alone = !a->reader || !b->reader;
    int rc = side_next(a, err);

    if (rc >= 0)
        rc = side_next(b, err);
    while (rc >= 0 && !(a->end && b->end)) {
        int order = a->end ? 1 : b->end ? -1 : bk_path_order(a->e.path, b->e.path);

        if (bk_cancelled(w->d->cancel))
            return bk_fail(err, BAKE_E_CANCELLED, "cancelled");
        if (order == 0)
            rc = tell_both(w, a, b, err);
        else if (!alone || !bk_streq((order < 0 ? a : b)->e.path, ".")) /* the component's line */
            rc = tell_one(w, order < 0 ? a : b, order < 0 ? BK_CHANGE_REMOVED : BK_CHANGE_ADDED,
                          err);
        if (rc >= 0 && order <= 0)
            rc = side_next(a, err);
        if (rc >= 0 && order >= 0)
            rc = side_next(b, err);
    }
    return rc;
}

/* Either may be NULL: not a tree there. */
static int compare_trees(struct work *w, const struct bk_mcomp *before,
                         const struct bk_mcomp *after, struct bk_err *err)
{
    struct side a = {.path = BK_BUF_INIT}, b = {.path = BK_BUF_INIT};
    int rc = side_open(w, w->d->before, before, &a, err);

    if (rc >= 0)
        rc = side_open(w, w->d->after, after, &b, err);
    if (rc >= 0)
        rc = merge(w, &a, &b, err);
    side_close(&a);
    side_close(&b);
    return rc;
}

/* ---- components ------------------------------------------------------------------------------ */

static int had_failed(const struct bk_manifest *m, const struct bk_mcomp *c, struct bk_err *err)
{
    if (!c || c->status != BK_STATUS_FAILED)
        return BAKE_OK;
    return bk_fail(err, BK_E_PARTIAL, "component '%s' had failed in backup '%s': %s", c->name,
                   m->id, c->error ? c->error : "unknown why");
}

/* The component as a whole: new, gone, of another kind, or another blob. */
static int compare_whole(struct work *w, const struct bk_mcomp *a, const struct bk_mcomp *b,
                         struct bk_err *err)
{
    struct bk_difference x = {.component = b ? b->name : a->name,
                              .old_type = a ? a->kind : 0,
                              .new_type = b ? b->kind : 0,
                              .old_size = a && a->kind == BAKE_BLOB ? a->bytes_in : 0,
                              .new_size = b && b->kind == BAKE_BLOB ? b->bytes_in : 0};

    if (!a || !b) {
        x.change = b ? BK_CHANGE_ADDED : BK_CHANGE_REMOVED;
    } else if (a->kind != b->kind) {
        x.change = BK_CHANGE_TYPE;
        x.fields = BK_DIFF_TYPE;
    } else if (a->kind == BAKE_BLOB) {
        x.change = BK_CHANGE_CONTENT;
        x.fields = BK_DIFF_CONTENT;
    } else {
        return BAKE_OK;
    }
    return tell(w, &x, err);
}

static int no_order(const struct bk_mcomp *c, struct bk_err *err)
{
    return bk_fail(err, BK_E_PARTIAL,
                   "component '%s' differs: its entries were stored as they came, in no order, so "
                   "that two lists of them cannot be compared\n"
                   "HINT: restore both to directories with --target, and compare these",
                   c->name);
}

static int compare(struct work *w, const char *name, struct bk_err *err)
{
    const struct bk_mcomp *a = bk_manifest_find(w->d->before, name);
    const struct bk_mcomp *b = bk_manifest_find(w->d->after, name);
    int rc = had_failed(w->d->before, a, err);

    if (rc >= 0)
        rc = had_failed(w->d->after, b, err);
    if (rc < 0)
        return rc;
    if (a && b && a->kind == b->kind && *a->sha256 && bk_streq(a->sha256, b->sha256))
        return BAKE_OK; /* of its plain stream: nothing in it differs */
    rc = compare_whole(w, a, b, err);
    if ((a && a->unordered) || (b && b->unordered)) /* new or gone: that was said */
        return rc >= 0 && a && b && a->kind == b->kind ? no_order(b, err) : rc;
    if (rc >= 0 && ((a && a->kind == BAKE_TREE) || (b && b->kind == BAKE_TREE)))
        rc = compare_trees(w, a && a->kind == BAKE_TREE ? a : NULL,
                           b && b->kind == BAKE_TREE ? b : NULL, err);
    return rc;
}

/* The names of both that are wanted, each once, sorted. */
static int choose(const struct bk_diff *d, struct bk_strv *ret, struct bk_err *err)
{
    const struct bk_manifest *both[] = {d->before, d->after};

    for (int k = 0; k < 2; k++)
        for (size_t i = 0; i < both[k]->n_comps; i++) {
            const char *name = both[k]->comps[i].name;

            if (!bk_component_wanted(d->components, name) ||
                (k == 1 && bk_manifest_find(d->before, name)))
                continue;
            if (bk_strv_add(ret, name) < 0)
                return bk_nomem(err);
        }
    bk_strv_sort(ret);
    if (ret->n == 0 && d->components->n > 0)
        return bk_fail(err, BK_E_NOSTORE,
                       "neither backup has a component '%s'\nHINT: 'bakengine ls' shows them",
                       d->components->items[0]);
    return BAKE_OK;
}

static int leave_out(struct work *w, const char *name, const struct bk_err *why, struct bk_err *err)
{
    w->d->failed(w->d->arg, name, why);
    return bk_strv_add(&w->sum->left_out, name) < 0 ? bk_nomem(err) : BAKE_OK;
}

int bk_diff(const struct bk_diff *d, struct bk_diff_sum *ret, struct bk_err *err)
{
    struct work w = {.d = d, .sum = ret};
    struct bk_strv names = {0};
    int rc, worst = BAKE_OK;

    memset(ret, 0, sizeof(*ret));
    rc = choose(d, &names, err);
    for (size_t i = 0; rc >= 0 && i < names.n; i++) {
        struct bk_err why = {0};

        rc = compare(&w, names.items[i], &why);
        if (rc >= 0)
            continue;
        if (w.stop || rc == BAKE_E_CANCELLED || rc == BAKE_E_NOMEM) {
            if (err)
                *err = why;
            break;
        }
        worst = bk_worse(worst, rc);
        rc = leave_out(&w, names.items[i], &why, err);
    }
    bk_strv_free(&names);
    ret->done = rc >= 0;
    if (rc < 0 || worst == BAKE_OK)
        return rc;
    return bk_fail(err, worst, "%zu component%s could not be compared, as named above",
                   ret->left_out.n, ret->left_out.n == 1 ? "" : "s");
}

void bk_diff_sum_release(struct bk_diff_sum *sum) { bk_strv_free(&sum->left_out); }
