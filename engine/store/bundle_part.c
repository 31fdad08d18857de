/* Picking one component's entries out of a tar. */
#include "store/bundle_part.h"

#include "base/cleanup.h"
#include "base/path.h"

#include <string.h>

struct bk_partr {
    struct bk_tarr *tar;
    const struct bk_mcomp *c;
    bool foreign;
    uint64_t at; /* the next entry of the tar */
    struct bk_buf link;
    struct bake_entry entry; /* the current one, as the tar has it */
    /* a blob's */
    bool found, ended;
    struct bk_sha256 *sha;
    size_t extent;     /* the current one */
    uint64_t position; /* in the file */
};

int bk_partr_new(struct bk_tarr *tar, const struct bk_manifest *m, const struct bk_mcomp *c,
                 struct bk_partr **ret, struct bk_err *err)
{
    const struct bk_bundle *b = bk_mcomp_bundle(m, c);
    struct bk_partr *p = calloc(1, sizeof(*p));
    int rc;

    if (!p)
        return bk_nomem(err);
    p->tar = tar;
    p->c = c;
    p->foreign = b && !b->sha256[0];
    rc = bk_sha256_new(&p->sha, err);
    if (rc < 0) {
        bk_partr_free(p);
        return rc;
    }
    *ret = p;
    return BAKE_OK;
}

void bk_partr_free(struct bk_partr *p)
{
    if (!p)
        return;
    bk_buf_free(&p->link);
    bk_sha256_free(p->sha);
    free(p);
}

bool bk_part_is_last(const struct bk_manifest *m, const struct bk_mcomp *c)
{
    for (size_t i = 0; i < m->n_comps; i++)
        if (m->comps[i].status != BK_STATUS_FAILED &&
            bk_streq(m->comps[i].in.bundle, c->in.bundle) && m->comps[i].in.first > c->in.first)
            return false;
    return true;
}

/* Of a path within the tar: what it is called within the component, or NULL: it is not of it. */
static const char *inside(const struct bk_mcomp *c, const char *path)
{
    size_t n = strlen(c->in.path);

    if (strncmp(path, c->in.path, n) != 0)
        return NULL;
    if (!path[n])
        return ".";
    return path[n] == '/' ? path + n + 1 : NULL;
}

/* A link to something outside of the component cannot be made again: as an absolute path nothing
 * follows it. */
static int set_link(struct bk_partr *p, struct bake_entry *e, struct bk_err *err)
{
    const char *first = inside(p->c, e->link);

    bk_buf_clear(&p->link);
    if (!first)
        bk_buf_char(&p->link, '/');
    bk_buf_str(&p->link, first ? first : e->link);
    if (p->link.failed)
        return bk_nomem(err);
    e->link = p->link.data;
    return BAKE_OK;
}

static int moved(struct bk_partr *p, const char *path, struct bake_entry *ret, struct bk_err *err)
{
    *ret = p->entry;
    ret->path = path;
    return ret->type == BAKE_HARDLINK ? set_link(p, ret, err) : BAKE_OK;
}

/* In a bundle of ours the entries are counted; their paths must agree. Other programs' tars may
 * have anything between them: what a path says counts. */
int bk_partr_next(struct bk_partr *p, struct bake_entry *ret, struct bk_err *err)
{
    const struct bk_part_of *in = &p->c->in;

    while (p->at < in->first || p->at - in->first < in->count) {
        const char *path;
        int rc = bk_tarr_next(p->tar, &p->entry, err);

        if (rc < 0)
            return rc;
        if (rc == BAKE_END && p->foreign && in->first + in->count < in->first)
            return rc;
        if (rc == BAKE_END)
            return bk_fail(err, BAKE_E_CORRUPT, "component '%s': its bundle ends before it does",
                           p->c->name);
        if (p->at++ < in->first)
            continue;
        path = inside(p->c, p->entry.path);
        if (path && (bk_streq(path, ".") || !p->foreign || bk_path_inside(path)))
            return moved(p, path, ret, err);
        if (!p->foreign)
            return bk_fail(err, BAKE_E_CORRUPT,
                           "component '%s': its bundle holds something else in its place",
                           p->c->name);
    }
    return BAKE_END;
}

int bk_partr_read(struct bk_partr *p, struct bake_out *out, struct bk_err *err)
{
    return bk_tarr_read(p->tar, out, err);
}

/* ---- blobs ----------------------------------------------------------------------------------- */

static int find_blob(struct bk_partr *p, struct bk_err *err)
{
    struct bake_entry e;
    int rc;

    if (p->found)
        return BAKE_OK;
    do {
        rc = bk_partr_next(p, &e, err);
        if (rc < 0)
            return rc;
    } while (rc == BAKE_OK && (e.type != BAKE_FILE || !bk_streq(e.path, ".")));
    if (rc == BAKE_END)
        return bk_fail(err, BAKE_E_CORRUPT, "component '%s' is not in its bundle", p->c->name);
    p->found = true;
    return BAKE_OK;
}

/* Up to where the file has data from `position` on; *ret_hole: it is a hole that ends there. */
static uint64_t stretch(struct bk_partr *p, bool *ret_hole)
{
    const struct bake_entry *e = &p->entry;

    *ret_hole = false;
    if (!e->extents)
        return e->size;
    while (p->extent < e->n_extents &&
           p->position >= e->extents[p->extent].offset + e->extents[p->extent].length)
        p->extent++;
    *ret_hole = p->extent == e->n_extents || p->position < e->extents[p->extent].offset;
    if (p->extent == e->n_extents)
        return e->size;
    return *ret_hole ? e->extents[p->extent].offset
                     : e->extents[p->extent].offset + e->extents[p->extent].length;
}

static int check_blob(struct bk_partr *p, struct bk_err *err)
{
    char sha[BK_SHA256_HEX];

    p->ended = true;
    bk_sha256_end_hex(p->sha, sha);
    if (!p->c->sha256[0] || bk_streq(sha, p->c->sha256))
        return BAKE_END;
    return bk_fail(err, BAKE_E_CORRUPT,
                   "component '%s' holds other bytes than were backed up (SHA-256)", p->c->name);
}

int bk_partr_blob(struct bk_partr *p, struct bake_out *out, struct bk_err *err)
{
    char *at = (char *)out->data + out->pos;
    size_t before = out->pos;
    bool hole;
    uint64_t end, n;
    int rc = p->ended ? BAKE_END : find_blob(p, err);

    if (rc != BAKE_OK)
        return rc;
    end = stretch(p, &hole);
    n = end - p->position;
    if (n == 0)
        return check_blob(p, err);
    if (n > out->size - out->pos)
        n = out->size - out->pos;
    if (hole) {
        memset(at, 0, (size_t)n);
        out->pos += (size_t)n;
    } else {
        struct bake_out some = {out->data, out->pos + (size_t)n, out->pos};

        rc = bk_tarr_read(p->tar, &some, err);
        if (rc < 0)
            return rc;
        out->pos = some.pos;
        if (rc == BAKE_END)
            return bk_fail(err, BAKE_E_CORRUPT, "component '%s' is cut short", p->c->name);
    }
    bk_sha256_add(p->sha, at, out->pos - before);
    p->position += out->pos - before;
    return BAKE_OK;
}
