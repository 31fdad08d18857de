/* What a foreign archive holds: all of it is read once, and its folders say which components there
 * are. */
#include "store/foreign.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "base/path.h"
#include "store/objr.h"
#include "store/tar.h"
#include "store/transforms.h"

#include <string.h>

#define MAX_COMPONENTS 10000
#define PIECE          (256u << 10)
#define LOST           "lost-behind-damage"

struct scan {
    struct bk_flow *flow;
    struct bk_objr *data;
    struct bk_tarr *tar;
    struct bk_manifest *m;
    const struct bk_foreign *f;
    size_t cap;
    uint64_t at;       /* entries before the current one */
    uint64_t left_out; /* entries that can belong to nothing */
    char first_left_out[200];
    struct bk_sha256 *sha;
    char *piece;
    struct bk_mcomp *current; /* whose entry is being read */
};

/* ---- paths ----------------------------------------------------------------------------------- */

static bool is(const char *part, size_t n, const char *word)
{
    return strlen(word) == n && strncmp(part, word, n) == 0;
}

static size_t part_len(const char *part) { return strcspn(part, "/"); }

/* "database" and "mariadb_dump" hold dumps, "volumes" trees: each thing in them is one. */
static bool is_shelf(const char *part, size_t n)
{
    return is(part, n, "volumes") || is(part, n, "database") || is(part, n, "mariadb_dump");
}

size_t bk_foreign_split(const char *path, bool is_dir)
{
    size_t one = part_len(path), two, three;
    const char *second = path[one] ? path + one + 1 : NULL, *third;

    if (is(path, one, "config") && !(second && is_shelf(second, part_len(second))))
        return one; /* a stack's own files */
    if (!second)
        return is_dir ? 0 : one;
    two = one + 1 + part_len(second);
    if (is(path, one, "volumes"))
        return two;
    if (!is_shelf(second, part_len(second)))
        return two;
    third = path[two] ? path + two + 1 : NULL;
    if (!third)
        return is_dir ? 0 : two;
    three = two + 1 + part_len(third);
    return three;
}

/* ---- components ------------------------------------------------------------------------------ */

static struct bk_mcomp *find(struct scan *s, const char *path, size_t n)
{
    if (s->current && strncmp(s->current->in.path, path, n) == 0 && !s->current->in.path[n])
        return s->current;
    for (size_t i = 0; i < s->m->n_comps; i++)
        if (strncmp(s->m->comps[i].in.path, path, n) == 0 && !s->m->comps[i].in.path[n])
            return &s->m->comps[i];
    return NULL;
}

static int grow(struct scan *s, struct bk_err *err)
{
    size_t cap = s->cap ? 2 * s->cap : 16;
    struct bk_mcomp *more;

    if (s->m->n_comps == MAX_COMPONENTS)
        return bk_fail(err, BAKE_E_UNSUPPORTED, "archive '%s' has more than %d folders of its own",
                       s->f->object, MAX_COMPONENTS);
    if (s->m->n_comps < s->cap)
        return BAKE_OK;
    more = reallocarray(s->m->comps, cap, sizeof(*more));
    if (!more)
        return bk_nomem(err);
    s->m->comps = more;
    s->cap = cap;
    s->current = NULL;
    return BAKE_OK;
}

/* BAKE_END: nothing can be called so. */
static int add(struct scan *s, const char *path, size_t n, uint32_t kind, struct bk_mcomp **ret,
               struct bk_err *err)
{
    bool apart = strncmp(path, "volumes/", 8) == 0; /* of the host, not of the stack */
    char *name BK_FREE =
        apart ? strndup(path, n) : bk_asprintf("%s/%.*s", s->f->stack, (int)n, path);
    struct bk_mcomp *c;
    int rc;

    if (!name)
        return bk_nomem(err);
    if (!bk_name_ok(name) || bk_manifest_find(s->m, name))
        return BAKE_END;
    if ((rc = grow(s, err)) < 0)
        return rc;
    c = &s->m->comps[s->m->n_comps++];
    memset(c, 0, sizeof(*c));
    c->kind = kind;
    c->in.first = s->at;
    c->name = BK_STEAL(name);
    c->group = bk_strdup(s->f->stack);
    c->plugin = bk_strdup("docker");
    c->in.bundle = bk_strdup(s->f->object);
    c->in.path = strndup(path, n);
    if (!c->group || !c->plugin || !c->in.bundle || !c->in.path ||
        bk_strv_add(&c->transforms, "zstd") < 0)
        return bk_nomem(err);
    *ret = c;
    return BAKE_OK;
}

/* The component that the entry belongs to; BAKE_END: none. */
static int component_of(struct scan *s, const struct bake_entry *e, struct bk_mcomp **ret,
                        struct bk_err *err)
{
    size_t n = bk_path_inside(e->path) ? bk_foreign_split(e->path, e->type == BAKE_DIR) : 0;
    bool whole = n > 0 && !e->path[n];
    struct bk_mcomp *c = n > 0 ? find(s, e->path, n) : NULL;
    uint32_t kind = whole && e->type == BAKE_FILE ? BAKE_BLOB : BAKE_TREE;

    if (n == 0 || (whole && e->type != BAKE_FILE && e->type != BAKE_DIR))
        return BAKE_END;
    *ret = c;
    if (!c)
        return add(s, e->path, n, kind, ret, err);
    return c->kind == kind && (kind == BAKE_TREE || s->at == c->in.first) ? BAKE_OK : BAKE_END;
}

/* ---- entries --------------------------------------------------------------------------------- */

static void leave_out(struct scan *s, const struct bake_entry *e)
{
    if (s->left_out++ == 0)
        bk_printable(s->first_left_out, sizeof(s->first_left_out), e->path, strlen(e->path));
}

static int digest_blob(struct scan *s, struct bk_mcomp *c, struct bk_err *err)
{
    int rc;

    do {
        struct bake_out out = {s->piece, PIECE, 0};

        rc = bk_tarr_read(s->tar, &out, err);
        if (rc >= 0)
            bk_sha256_add(s->sha, s->piece, out.pos);
    } while (rc == BAKE_OK);
    if (rc == BAKE_END)
        bk_sha256_end_hex(s->sha, c->sha256);
    return rc < 0 ? rc : BAKE_OK;
}

static int take(struct scan *s, const struct bake_entry *e, struct bk_err *err)
{
    bool shelf = e->type == BAKE_DIR && bk_path_inside(e->path);
    struct bk_mcomp *c = NULL;
    int rc = component_of(s, e, &c, err);

    if (rc == BAKE_END) {
        if (!shelf && !bk_streq(e->path, "."))
            leave_out(s, e);
        return BAKE_OK;
    }
    if (rc < 0)
        return rc;
    s->current = c;
    c->entries++;
    c->in.count = s->at - c->in.first + 1;
    if (e->type == BAKE_FILE)
        c->bytes_in += e->size;
    /* Holes are left out of a digest that is made of what is read: such a blob has none. */
    return c->kind == BAKE_BLOB && !e->extents ? digest_blob(s, c, err) : BAKE_OK;
}

static int read_all(struct scan *s, struct bk_err *err)
{
    for (;; s->at++) {
        struct bake_entry e;
        int rc = bk_tarr_next(s->tar, &e, err);

        if (rc == BAKE_OK)
            rc = take(s, &e, err);
        if (rc != BAKE_OK)
            return rc < 0 ? rc : BAKE_OK;
    }
}

/* ---- the whole ------------------------------------------------------------------------------- */

static int pull(void *arg, const void **data, size_t *n)
{
    return bk_objr_pull(((struct scan *)arg)->data, data, n);
}

/* What a stage or the object says rather than "cancelled" or "cut". */
static int reason(struct scan *s, int rc, struct bk_err *err)
{
    struct bk_err why = {0};

    if (rc == BAKE_E_CANCELLED && bk_flow_wait(s->flow, &why) < 0) {
        *err = why;
        return why.rc;
    }
    if (s->data && bk_objr_damage(s->data, &why) < 0)
        *err = why;
    return err->rc < 0 ? err->rc : rc;
}

/* What is lost, nobody knows: it stands for it, as a component that has failed. */
static int add_lost(struct scan *s, struct bk_err *err)
{
    struct bk_mcomp *c = NULL;
    int rc = add(s, LOST, strlen(LOST), BAKE_TREE, &c, err);

    if (rc != BAKE_OK)
        return rc < 0 ? rc : BAKE_OK;
    bk_part_of_release(&c->in);
    c->status = BK_STATUS_FAILED;
    c->error = bk_strdup("the archive is damaged, and what stands behind the damage is lost");
    return c->error ? BAKE_OK : bk_nomem(err);
}

/* What stands before the damage can still be had; who reads the tree that it is in comes to it. */
static int keep_what_is_there(struct scan *s, int rc, struct bk_err *err)
{
    if (rc != BAKE_E_CORRUPT || s->m->n_comps == 0)
        return rc;
    bk_log(BAKE_LOG_WARN, "archive '%s' is damaged: what stands behind the damage is lost: %s",
           s->f->object, err->text);
    bk_err_clear(err);
    if (s->current && s->current->kind == BAKE_TREE) {
        s->current->status = BK_STATUS_PARTIAL;
        s->current->in.count = UINT64_MAX - s->current->in.first;
    }
    return add_lost(s, err);
}

static int scan(struct scan *s, struct bk_store *store, struct bk_sink *sink, struct bk_err *err)
{
    const struct bk_bundle *b = &s->m->bundles[0];
    struct bk_transform *transforms BK_FREE = NULL;
    struct bk_object object = {.name = b->name, .size = b->size};
    struct bk_objr_spec spec = {.object = &object, .n_transforms = b->transforms.n};
    int rc;

    if ((rc = bk_store_transforms_for(store, &b->transforms, &transforms, err)) < 0 ||
        (rc = bk_flow_new(store->cancel, &s->flow, err)) < 0)
        return rc;
    spec.transforms = transforms;
    rc = bk_objr_open(s->flow, sink, &spec, &s->data, err);
    if (rc >= 0)
        rc = bk_tarr_new(pull, s, &s->tar, err);
    if (rc >= 0)
        rc = read_all(s, err);
    if (rc >= 0) /* the tar pulled all of the stream: that has ended, well or not */
        rc = bk_objr_damage(s->data, err);
    if (rc < 0)
        rc = keep_what_is_there(s, reason(s, rc, err), err);
    bk_flow_stop(s->flow); /* the spec is ours */
    return rc;
}

static int make_head(struct bk_manifest *m, const char *id, const struct bk_foreign *f,
                     struct bk_err *err)
{
    struct bk_bundle *b;

    m->id = bk_strdup(id);
    m->pipeline = bk_strdup("-");
    m->type = bk_strdup("full");
    m->host = bk_strdup("-");
    m->engine = bk_strdup("-");
    m->start_ns = m->end_ns = f->time_ns;
    m->bundles = b = calloc(1, sizeof(*m->bundles));
    if (!m->id || !m->pipeline || !m->type || !m->host || !m->engine || !b)
        return bk_nomem(err);
    m->n_bundles = 1;
    b->name = bk_strdup(f->object);
    b->size = f->size;
    return b->name && bk_strv_add(&b->transforms, "zstd") == 0 ? BAKE_OK : bk_nomem(err);
}

static bool has_others_below(const struct bk_manifest *m, const struct bk_mcomp *c)
{
    size_t n = strlen(c->in.path);

    for (size_t i = 0; i < m->n_comps; i++)
        if (m->comps[i].in.path && strncmp(m->comps[i].in.path, c->in.path, n) == 0 &&
            m->comps[i].in.path[n] == '/')
            return true;
    return false;
}

/* A service may be called "config": its folder is no component then. */
static void drop_empty(struct bk_manifest *m)
{
    for (size_t i = 0; i < m->n_comps; i++) {
        struct bk_mcomp *c = &m->comps[i];

        if (!c->in.path || c->kind != BAKE_TREE || c->entries > 1 || !has_others_below(m, c))
            continue;
        bk_mcomp_release(c);
        memmove(c, c + 1, (m->n_comps - i - 1) * sizeof(*c));
        m->n_comps--;
        return; /* there can be one only */
    }
}

static void say(const struct scan *s)
{
    bk_log(BAKE_LOG_INFO,
           "archive '%s' was not made by bakengine: it has no digests, so that only damage to its "
           "compression or its form can be noticed",
           s->f->object);
    if (s->left_out > 0)
        bk_log(BAKE_LOG_WARN,
               "archive '%s' holds %llu thing%s that cannot be restored, and %s left out: '%s'%s",
               s->f->object, (unsigned long long)s->left_out, s->left_out == 1 ? "" : "s",
               s->left_out == 1 ? "is" : "are", s->first_left_out,
               s->left_out == 1 ? "" : " and more");
}

int bk_foreign_manifest(struct bk_store *store, struct bk_sink *sink, const char *id,
                        const struct bk_foreign *f, struct bk_manifest **ret, struct bk_err *err)
{
    struct scan s = {.f = f, .m = calloc(1, sizeof(struct bk_manifest)), .piece = malloc(PIECE)};
    struct bk_err why = {0};
    int rc = s.m && s.piece ? make_head(s.m, id, f, &why) : bk_nomem(&why);

    if (rc >= 0)
        rc = bk_sha256_new(&s.sha, &why);
    if (rc >= 0)
        rc = scan(&s, store, sink, &why);
    if (rc >= 0) {
        drop_empty(s.m);
        say(&s);
        *ret = BK_STEAL(s.m);
    } else if (err) {
        *err = why;
    }
    bk_tarr_free(s.tar);
    bk_objr_free(s.data);
    bk_flow_free(s.flow);
    bk_sha256_free(s.sha);
    bk_manifest_free(s.m);
    free(s.piece);
    return rc;
}
