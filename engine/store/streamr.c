/* Streams: a cursor over lists of lists, and a second one ahead of it that announces. */
#include "store/streamr.h"

#include <stdlib.h>

struct cursor {
    struct bk_fetch *fetch;
    uint32_t levels; /* of the top list */
    uint32_t depth;  /* the list that is being read; 0: the top */
    struct bk_refs lists[BK_REFS_LEVELS + 1];
    size_t at[BK_REFS_LEVELS + 1];
    int (*each)(void *arg, const struct bk_ref *ref, uint32_t level, struct bk_err *err);
    void *arg;
};

static int cursor_init(struct cursor *c, struct bk_fetch *f, const struct bk_refs *refs,
                       struct bk_err *err)
{
    memset(c, 0, sizeof(*c));
    c->fetch = f;
    c->levels = refs->levels;
    if (refs->levels > BK_REFS_LEVELS)
        return bk_fail(err, BAKE_E_CORRUPT, "a list of chunks is damaged");
    for (size_t i = 0; i < refs->n; i++)
        if (bk_refs_add(&c->lists[0], &refs->refs[i].id, refs->refs[i].length) < 0)
            return bk_nomem(err);
    return BAKE_OK;
}

static void cursor_release(struct cursor *c)
{
    for (size_t i = 0; i <= BK_REFS_LEVELS; i++)
        bk_refs_release(&c->lists[i]);
}

/* Goes down into a list. */
static int descend(struct cursor *c, const struct bk_ref *ref, struct bk_err *err)
{
    struct bk_refs *list = &c->lists[c->depth + 1];
    struct bk_held h = {.n = 0};
    int rc = bk_fetch_hold(c->fetch, &ref->id, 0, &h, err);
    bool ok;

    if (rc < 0)
        return rc;
    ok = bk_refs_parse_chunk(h.data, h.n, list) && list->length == ref->length;
    bk_fetch_release(c->fetch, &h);
    if (!ok)
        return bk_fail(err, BAKE_E_CORRUPT, "a list of chunks is damaged");
    c->at[++c->depth] = 0;
    return BAKE_OK;
}

static int cursor_next(struct cursor *c, struct bk_ref *ret, struct bk_err *err)
{
    for (;;) {
        struct bk_refs *list = &c->lists[c->depth];
        const struct bk_ref *ref;
        int rc = BAKE_OK;

        if (c->at[c->depth] == list->n) {
            if (c->depth == 0)
                return BAKE_END;
            c->depth--;
            continue;
        }
        ref = &list->refs[c->at[c->depth]++];
        if (c->depth == c->levels) {
            *ret = *ref;
            return BAKE_OK;
        }
        if (c->each)
            rc = c->each(c->arg, ref, c->levels - c->depth, err);
        if (rc == BAKE_OK)
            rc = descend(c, ref, err);
        if (rc < 0)
            return rc;
    }
}

int bk_refs_each(struct bk_fetch *f, const struct bk_refs *refs,
                 int (*each)(void *arg, const struct bk_ref *ref, uint32_t level,
                             struct bk_err *err),
                 void *arg, struct bk_err *err)
{
    struct cursor c;
    struct bk_ref ref;
    int rc = cursor_init(&c, f, refs, err);

    c.each = each;
    c.arg = arg;
    while (rc >= 0 && (rc = cursor_next(&c, &ref, err)) == BAKE_OK)
        rc = each(arg, &ref, 0, err);
    cursor_release(&c);
    return rc < 0 ? rc : BAKE_OK;
}

/* ---- streams --------------------------------------------------------------------------------- */

struct bk_streamr {
    struct bk_fetch *fetch;
    struct cursor at, scout;
    uint64_t ahead, done, announced;
    bool scouting;
    struct bk_held held;
};

int bk_streamr_new(struct bk_fetch *f, const struct bk_refs *refs, uint64_t ahead,
                   struct bk_streamr **ret, struct bk_err *err)
{
    struct bk_streamr *r = calloc(1, sizeof(*r));
    int rc;

    if (!r)
        return bk_nomem(err);
    r->fetch = f;
    r->ahead = ahead;
    r->scouting = ahead > 0 && (refs->n > 1 || refs->levels > 0);
    rc = cursor_init(&r->at, f, refs, err);
    if (rc >= 0 && r->scouting)
        rc = cursor_init(&r->scout, f, refs, err);
    if (rc < 0) {
        bk_streamr_free(r);
        return rc;
    }
    *ret = r;
    return BAKE_OK;
}

void bk_streamr_free(struct bk_streamr *r)
{
    if (!r)
        return;
    bk_fetch_release(r->fetch, &r->held);
    cursor_release(&r->at);
    cursor_release(&r->scout);
    free(r);
}

/* Announces in large steps, so that much of a pack is wanted when it is fetched. What is damaged is
 * said when it is read. */
static void announce(struct bk_streamr *r)
{
    struct bk_ref ref;

    if (!r->scouting || r->announced - r->done > r->ahead / 2)
        return;
    while (r->scouting && r->announced < r->done + r->ahead) {
        r->scouting = cursor_next(&r->scout, &ref, NULL) == BAKE_OK;
        if (!r->scouting)
            break;
        bk_fetch_want(r->fetch, &ref.id);
        r->announced += ref.length;
    }
    bk_fetch_go(r->fetch);
}

int bk_streamr_ref(struct bk_streamr *r, struct bk_ref *ret, struct bk_err *err)
{
    int rc;

    announce(r);
    rc = cursor_next(&r->at, ret, err);
    if (rc == BAKE_OK)
        r->done += ret->length;
    return rc;
}

int bk_streamr_pull(struct bk_streamr *r, const void **ret, size_t *ret_n, struct bk_err *err)
{
    struct bk_ref ref;
    int rc;

    bk_fetch_release(r->fetch, &r->held);
    rc = bk_streamr_ref(r, &ref, err);
    if (rc == BAKE_OK)
        rc = bk_fetch_hold(r->fetch, &ref.id, ref.length, &r->held, err);
    if (rc == BAKE_OK) {
        *ret = r->held.data;
        *ret_n = r->held.n;
    }
    return rc;
}
