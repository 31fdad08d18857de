/* Where chunks are: places that the index names, tried one after the other until one is good. */
#include "store/fetch_private.h"

#include "base/codec.h"

#include <stdlib.h>

static void on_cancel(void *arg)
{
    struct bk_fetch *f = arg;

    pthread_mutex_lock(&f->lock);
    pthread_cond_broadcast(&f->changed);
    pthread_cond_broadcast(&f->work);
    pthread_mutex_unlock(&f->lock);
}

int bk_fetch_new(struct bk_store *store, struct bk_sink *sink, struct bk_index *index,
                 struct bk_cancel *cancel, size_t cache, struct bk_fetch **ret, struct bk_err *err)
{
    struct bk_fetch *f = calloc(1, sizeof(*f));

    if (!f)
        return bk_nomem(err);
    if (bk_room_init(&f->room, cache, err) < 0) {
        free(f);
        return err ? err->rc : BAKE_E_NOMEM;
    }
    f->store = store;
    f->sink = sink;
    f->index = index;
    f->cancel = cancel;
    f->cache = cache;
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->changed, NULL);
    pthread_cond_init(&f->work, NULL);
    f->sub.wake = on_cancel;
    f->sub.arg = f;
    bk_cancel_subscribe(cancel, &f->sub);
    *ret = f;
    return BAKE_OK;
}

static void free_packs(struct bk_fetch *f)
{
    for (size_t i = 0; i < f->n_packs; i++)
        for (struct bk_fpack *p = f->packs[i], *next; p; p = next) {
            next = p->retired;
            free(p->why);
            free(p);
        }
    free(f->packs);
}

void bk_fetch_free(struct bk_fetch *f)
{
    if (!f)
        return;
    bk_fetch_end_workers(f);
    bk_cancel_unsubscribe(f->cancel, &f->sub);
    bk_segs_free(f);
    bk_tables_free(f);
    bk_codecs_free(f);
    free_packs(f);
    for (size_t i = 0; i < f->n_digests; i++)
        bk_sha256_free(f->digests[i]);
    bk_room_release(&f->room);
    free(f->recent);
    free(f->down);
    pthread_cond_destroy(&f->changed);
    pthread_cond_destroy(&f->work);
    pthread_mutex_destroy(&f->lock);
    free(f);
}

bool bk_fetch_is_damage(int rc)
{
    return rc == BAKE_E_CORRUPT || rc == BAKE_E_NOTFOUND || rc == BAKE_E_IO;
}

int bk_fetch_prefix(const struct bk_fetch *f, const struct bk_fpack *p, struct bk_err *err)
{
    char name[BK_PACK_NAME_CAP];

    bk_pack_name(&p->info.id, name);
    return bk_prefix(err, "%s: '%s'", f->sink->label, name);
}

void bk_fetch_mark_bad(struct bk_fpack *p, uint64_t segments, const struct bk_err *why)
{
    p->bad |= segments;
    p->wanted &= ~segments;
    if (!p->why && (p->why = malloc(sizeof(*p->why))))
        *p->why = *why;
}

/* ---- places ---------------------------------------------------------------------------------- */

static bool same_info(const struct bk_index_pack *a, const struct bk_index_pack *b)
{
    return a->size == b->size && a->head == b->head && a->n_segments == b->n_segments &&
           (a->segments == b->segments ||
            memcmp(a->segments, b->segments, a->n_segments * sizeof(*a->segments)) == 0);
}

static int grow_packs(struct bk_fetch *f, size_t need)
{
    size_t n = f->n_packs ? f->n_packs * 2 : 64;
    struct bk_fpack **more;

    while (n < need)
        n *= 2;
    more = realloc(f->packs, n * sizeof(*more));
    if (!more)
        return BAKE_E_NOMEM;
    memset(more + f->n_packs, 0, (n - f->n_packs) * sizeof(*more));
    f->packs = more;
    f->n_packs = n;
    return BAKE_OK;
}

/* Under the lock. What was known under another layout of the pack is kept apart: threads may be at
 * it. */
static struct bk_fpack *known_pack(struct bk_fetch *f, uint32_t number,
                                   const struct bk_index_pack *info)
{
    struct bk_fpack *before, *p;

    if (number >= f->n_packs && grow_packs(f, (size_t)number + 1) < 0)
        return NULL;
    before = f->packs[number];
    if (before && same_info(&before->info, info))
        return before;
    p = calloc(1, sizeof(*p));
    if (!p)
        return NULL;
    p->info = *info;
    p->retired = before;
    if (before) {
        p->distrusted = before->distrusted;
        p->listed = before->listed;
    }
    f->packs[number] = p;
    return p;
}

static struct bk_recent *recent_slot(const struct bk_fetch *f, const bk_id *id)
{
    return f->recent ? &f->recent[bk_le32(id->b + 8) % BK_RECENT] : NULL;
}

/* Under the lock. */
static bool is_recent(const struct bk_fetch *f, const bk_id *id, struct bk_place *ret)
{
    const struct bk_recent *r = recent_slot(f, id);

    if (!r || !r->set || !bk_id_eq(&r->id, id) || f->packs[r->loc.pack]->distrusted)
        return false;
    ret->loc = r->loc;
    ret->pack = f->packs[r->loc.pack];
    return true;
}

/* Under the lock, which it lets go of while it asks the index. */
static int find_place(struct bk_fetch *f, const bk_id *id, struct bk_place *ret, struct bk_err *err)
{
    struct bk_index_pack info;
    struct bk_recent *r;
    int rc;

    if (is_recent(f, id, ret))
        return BAKE_OK;
    pthread_mutex_unlock(&f->lock);
    rc = bk_index_find(f->index, id, false, &ret->loc, &info, err);
    pthread_mutex_lock(&f->lock);
    if (rc < 0)
        return rc;
    if (!(ret->pack = known_pack(f, ret->loc.pack, &info)))
        return bk_nomem(err);
    if ((r = recent_slot(f, id))) {
        r->id = *id;
        r->loc = ret->loc;
        r->set = true;
    }
    return BAKE_OK;
}

static int check_place(const struct bk_fetch *f, const struct bk_search *s,
                       const struct bk_place *at, struct bk_err *err)
{
    const struct bk_index_pack *info = &at->pack->info;
    const struct bk_loc *l = &at->loc;

    if (l->segment < info->n_segments && l->segment < BK_MAX_SEGMENTS &&
        info->segments[l->segment].plain <= BK_SEGMENT_PLAIN &&
        info->segments[l->segment].stored <= BK_PACK_LIMIT &&
        (uint64_t)l->offset + l->length <= info->segments[l->segment].plain) {
        if (s->length == 0 || s->length == l->length)
            return BAKE_OK;
        (void)bk_fail(err, BAKE_E_CORRUPT, "it has %u bytes instead of %llu", l->length,
                      (unsigned long long)s->length);
    } else {
        (void)bk_fail(err, BAKE_E_CORRUPT, "the index names a place that is not there");
    }
    return bk_fetch_prefix(f, at->pack, err);
}

static int no_place(const struct bk_search *s, int rc, struct bk_err *err)
{
    char hex[2 * sizeof(bk_id) + 1];

    if (s->n == 0)
        return rc;
    if (err) {
        *err = s->first;
        bk_hex(s->id->b, sizeof(s->id->b), hex);
        (void)bk_prefix(err, "chunk '%s'", hex);
    }
    return s->first.rc;
}

static bool was_tried(const struct bk_search *s, const struct bk_place *at)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->tried[i].pack == at->pack && s->tried[i].loc.segment == at->loc.segment &&
            s->tried[i].loc.offset == at->loc.offset && s->tried[i].loc.length == at->loc.length)
            return true;
    return s->n == sizeof(s->tried) / sizeof(s->tried[0]);
}

static void distrust(struct bk_fetch *f, const struct bk_search *s)
{
    struct bk_fpack *p = s->tried[s->n - 1].pack;
    bool known;

    pthread_mutex_lock(&f->lock);
    known = p->distrusted;
    p->distrusted = true;
    pthread_mutex_unlock(&f->lock);
    if (!known)
        bk_index_distrust(f->index, &p->info.id);
}

int bk_fetch_next_place(struct bk_fetch *f, struct bk_search *s, const struct bk_err *damage,
                        struct bk_place *ret, struct bk_err *err)
{
    struct bk_err why = {0};
    int rc;

    for (;;) {
        if (damage) {
            if (s->n == 1)
                s->first = *damage;
            distrust(f, s);
        }
        pthread_mutex_lock(&f->lock);
        rc = find_place(f, s->id, ret, err);
        pthread_mutex_unlock(&f->lock);
        if (rc < 0)
            return bk_fetch_is_damage(rc) ? no_place(s, rc, err) : rc;
        if (was_tried(s, ret))
            return no_place(s, rc, err);
        s->tried[s->n++] = *ret;
        if (check_place(f, s, ret, &why) == BAKE_OK)
            return BAKE_OK;
        damage = &why;
    }
}

/* ---- chunks ---------------------------------------------------------------------------------- */

struct bk_sha256 *bk_digest_take(struct bk_fetch *f)
{
    return f->n_digests > 0 ? f->digests[--f->n_digests] : NULL;
}

void bk_digest_give(struct bk_fetch *f, struct bk_sha256 *sha)
{
    if (sha && f->n_digests < BK_DIGESTS)
        f->digests[f->n_digests++] = sha;
    else
        bk_sha256_free(sha);
}

int bk_digest_check(struct bk_sha256 **sha, const bk_id *id, const void *data, size_t n,
                    bool *ret_ok, struct bk_err *err)
{
    bk_id got;

    if (!*sha) {
        int rc = bk_sha256_new(sha, err);

        if (rc < 0)
            return rc;
    }
    bk_sha256_add(*sha, data, n);
    bk_sha256_end(*sha, got.b);
    *ret_ok = bk_id_eq(&got, id);
    return BAKE_OK;
}

static int hold_at(struct bk_fetch *f, const struct bk_place *at, const bk_id *id,
                   struct bk_held *ret, struct bk_err *err)
{
    struct bk_sha256 *sha = NULL;
    struct bk_seg *s;
    bool ok;
    int rc;

    pthread_mutex_lock(&f->lock);
    rc = bk_seg_hold(f, at->pack, at->loc.segment, &s, err);
    if (rc >= 0)
        sha = bk_digest_take(f);
    pthread_mutex_unlock(&f->lock);
    if (rc < 0)
        return rc;
    ret->segment = s;
    ret->data = s->plain + at->loc.offset;
    ret->n = at->loc.length;
    rc = bk_digest_check(&sha, id, ret->data, ret->n, &ok, err);
    ret->digest = sha; /* given back with the chunk: the lock is not taken for it alone */
    if (rc >= 0 && ok)
        return BAKE_OK;
    bk_fetch_release(f, ret);
    if (rc < 0)
        return rc;
    bk_fetch_judge(f, at, id);
    (void)bk_fail(err, BAKE_E_CORRUPT, "the bytes do not match the chunk's digest");
    return bk_fetch_prefix(f, at->pack, err);
}

int bk_fetch_hold(struct bk_fetch *f, const bk_id *id, uint64_t length, struct bk_held *ret,
                  struct bk_err *err)
{
    struct bk_search s;
    struct bk_place at;
    struct bk_err why;
    int rc;

    /* Not = {0}: an error's text is large, and this is called for every chunk. */
    s.id = id;
    s.length = length;
    s.n = 0;
    why.rc = 0;
    for (;;) {
        rc = bk_fetch_next_place(f, &s, why.rc ? &why : NULL, &at, err);
        if (rc < 0)
            return rc;
        rc = hold_at(f, &at, id, ret, &why);
        if (rc >= 0)
            return BAKE_OK;
        if (!bk_fetch_is_damage(rc)) {
            if (err)
                *err = why;
            return rc;
        }
    }
}

void bk_fetch_release(struct bk_fetch *f, struct bk_held *h)
{
    if (!h->segment)
        return;
    pthread_mutex_lock(&f->lock);
    bk_seg_release(f, h->segment);
    bk_digest_give(f, h->digest);
    pthread_mutex_unlock(&f->lock);
    h->segment = h->digest = NULL;
    h->data = NULL;
    h->n = 0;
}

int bk_fetch_chunk(struct bk_fetch *f, const bk_id *id, uint64_t length, struct bk_buf *out,
                   struct bk_err *err)
{
    struct bk_held h = {.n = 0};
    int rc = bk_fetch_hold(f, id, length, &h, err);

    if (rc < 0)
        return rc;
    rc = bk_buf_add(out, h.data, h.n) < 0 ? bk_nomem(err) : BAKE_OK;
    bk_fetch_release(f, &h);
    return rc;
}

void bk_fetch_want(struct bk_fetch *f, const bk_id *id)
{
    struct bk_search s;
    struct bk_place at;
    struct bk_err why; /* said when it is asked for */

    s.length = 0;
    pthread_mutex_lock(&f->lock);
    if (!f->recent)
        f->recent = calloc(BK_RECENT, sizeof(*f->recent));
    if (find_place(f, id, &at, &why) >= 0 && check_place(f, &s, &at, &why) == BAKE_OK)
        bk_fetch_wish(f, at.pack, at.loc.segment);
    pthread_mutex_unlock(&f->lock);
}

int bk_fetch_bad_packs(struct bk_fetch *f, bk_id **ret, size_t *ret_n, struct bk_err *err)
{
    size_t n = 0;
    bk_id *ids;

    pthread_mutex_lock(&f->lock);
    for (size_t i = 0; i < f->n_packs; i++)
        n += f->packs[i] && f->packs[i]->listed;
    ids = malloc(n * sizeof(*ids) + 1);
    n = 0;
    for (size_t i = 0; ids && i < f->n_packs; i++)
        if (f->packs[i] && f->packs[i]->listed)
            ids[n++] = f->packs[i]->info.id;
    pthread_mutex_unlock(&f->lock);
    if (!ids)
        return bk_nomem(err);
    *ret = ids;
    *ret_n = n;
    return BAKE_OK;
}
