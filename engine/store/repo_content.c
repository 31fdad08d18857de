/* Contents out of the cache of segments: read chunk by chunk, or proven without being handed out.
 */
#include "store/repo_content.h"

#include "base/cleanup.h"

#include <stdlib.h>
#include <string.h>

/* Of a content's own stream so much is announced. */
#define AHEAD (16u << 20)

static void let_go(struct bk_repo_content *c)
{
    bk_fetch_release(c->fetch, &c->held);
    bk_streamr_free(c->stream);
    c->stream = NULL;
}

int bk_repo_content_set(struct bk_repo_content *c, const char *path, const struct bk_refs *refs,
                        struct bk_err *err)
{
    let_go(c);
    free(c->path);
    c->path = NULL;
    bk_refs_clear(&c->refs);
    c->at = c->used = 0;
    c->begun = c->failed = false;
    if (path && !(c->path = bk_strdup(path)))
        return bk_nomem(err);
    for (size_t i = 0; i < refs->n; i++)
        if (bk_refs_add(&c->refs, &refs->refs[i].id, refs->refs[i].length) < 0)
            return bk_nomem(err);
    c->refs.levels = refs->levels;
    return BAKE_OK;
}

void bk_repo_content_release(struct bk_repo_content *c)
{
    let_go(c);
    free(c->path);
    bk_refs_release(&c->refs);
}

void bk_repo_content_free(struct bk_content *base)
{
    struct bk_repo_content *c = (struct bk_repo_content *)base;

    bk_repo_content_release(c);
    free(c);
}

/* Damage of a file's content is said with its name, and is the file's alone. */
static int failed(struct bk_repo_content *c, int rc, struct bk_err *err)
{
    char shown[256];

    if (!bk_fetch_is_damage(rc))
        return rc;
    c->failed = true;
    if (!err)
        return BAKE_E_CORRUPT;
    err->rc = BAKE_E_CORRUPT;
    if (!c->path)
        return bk_prefix(err, "component '%s'", c->component);
    return bk_prefix(err, "'%s' of component '%s'",
                     bk_printable(shown, sizeof(shown), c->path, strlen(c->path)), c->component);
}

/* Before the first chunk. */
static int begin(struct bk_repo_content *c, struct bk_err *err)
{
    c->begun = true;
    if (c->refs.levels > 0)
        return bk_streamr_new(c->fetch, &c->refs, AHEAD, &c->stream, err);
    for (size_t i = 0; c->refs.n > 1 && i < c->refs.n; i++)
        bk_fetch_want(c->fetch, &c->refs.refs[i].id);
    bk_fetch_go(c->fetch);
    return BAKE_OK;
}

static int next_ref(struct bk_repo_content *c, struct bk_ref *ret, struct bk_err *err)
{
    int rc = c->begun ? BAKE_OK : begin(c, err);

    if (rc < 0)
        return rc;
    if (bk_cancelled(c->cancel))
        return bk_fail(err, BAKE_E_CANCELLED, "cancelled");
    if (c->stream)
        return bk_streamr_ref(c->stream, ret, err);
    if (c->at == c->refs.n)
        return BAKE_END;
    *ret = c->refs.refs[c->at++];
    return BAKE_OK;
}

int bk_repo_content_pull(struct bk_repo_content *c, const void **ret, size_t *ret_n,
                         struct bk_err *err)
{
    struct bk_ref ref;
    int rc;

    bk_fetch_release(c->fetch, &c->held);
    c->used = 0;
    if (c->failed)
        return bk_fail(err, BAKE_E_CORRUPT, "reading goes on behind damage: a bug");
    rc = next_ref(c, &ref, err);
    if (rc == BAKE_OK)
        rc = bk_fetch_hold(c->fetch, &ref.id, ref.length, &c->held, err);
    if (rc != BAKE_OK)
        return rc < 0 ? failed(c, rc, err) : rc;
    *ret = c->held.data;
    *ret_n = c->held.n;
    return BAKE_OK;
}

int bk_repo_content_read(struct bk_content *base, struct bake_out *out, struct bk_err *err)
{
    struct bk_repo_content *c = (struct bk_repo_content *)base;
    const size_t before = out->pos;

    while (out->pos < out->size) {
        const void *data;
        size_t n;

        if (c->used == c->held.n) {
            int rc = bk_repo_content_pull(c, &data, &n, err);

            if (rc == BAKE_END && out->pos > before) /* said by the next call */
                return BAKE_OK;
            if (rc != BAKE_OK)
                return rc;
        }
        n = c->held.n - c->used;
        if (n > out->size - out->pos)
            n = out->size - out->pos;
        memcpy((char *)out->data + out->pos, (const char *)c->held.data + c->used, n);
        out->pos += n;
        c->used += n;
    }
    return BAKE_OK;
}

/* Goes on behind damage, so that every damaged pack is found; the first one is said. */
int bk_repo_content_check(struct bk_content *base, uint64_t *ret_bytes, struct bk_err *err)
{
    struct bk_repo_content *c = (struct bk_repo_content *)base;
    struct bk_err why, first = {0};
    struct bk_ref ref;
    int rc;

    *ret_bytes = 0;
    for (;;) {
        rc = next_ref(c, &ref, &why);
        if (rc == BAKE_OK)
            rc = bk_fetch_check(c->fetch, &ref.id, ref.length, &why);
        if (rc == BAKE_END)
            break;
        if (rc == BAKE_OK)
            *ret_bytes += ref.length;
        else if (bk_fetch_is_damage(rc) && !first.rc)
            first = why;
        else if (!bk_fetch_is_damage(rc)) {
            if (err)
                *err = why;
            return rc;
        }
    }
    if (!first.rc)
        return BAKE_OK;
    rc = first.rc;
    if (err)
        *err = first;
    return failed(c, rc, err);
}
