/* Proving segments: every chunk that a pack's own table names is looked at once. Header, segments,
 * table and footer are all that a pack has, so no byte of it but the nonce is left out. */
#include "store/fetch_private.h"

#include <stdlib.h>
#include <string.h>

#define TABLES_MAX (4u << 20) /* bytes of tables that are kept */

static void table_free(struct bk_ftable *t)
{
    if (!t)
        return;
    bk_pack_table_release(&t->t);
    free(t->offsets);
    free(t);
}

void bk_tables_free(struct bk_fetch *f)
{
    while (f->tables) {
        struct bk_ftable *t = f->tables;

        f->tables = t->next;
        table_free(t);
    }
}

/* ---- tables: under the lock ------------------------------------------------------------------ */

static void drop_table(struct bk_fetch *f, struct bk_ftable **at)
{
    struct bk_ftable *t = *at;

    *at = t->next;
    f->table_bytes -= t->bytes;
    t->pack->table = NULL;
    table_free(t);
}

static void trim_tables(struct bk_fetch *f)
{
    while (f->table_bytes > TABLES_MAX) {
        struct bk_ftable **at = &f->tables, **last = NULL;

        for (; *at; at = &(*at)->next)
            if ((*at)->refs == 0)
                last = at;
        if (!last)
            return;
        drop_table(f, last);
    }
}

static void to_front(struct bk_fetch *f, struct bk_ftable *t)
{
    struct bk_ftable **at = &f->tables;

    while (*at != t)
        at = &(*at)->next;
    *at = t->next;
    t->next = f->tables;
    f->tables = t;
}

static void add_table(struct bk_fetch *f, struct bk_fpack *p, struct bk_ftable *t)
{
    t->pack = p;
    t->next = f->tables;
    f->tables = t;
    f->table_bytes += t->bytes;
    p->table = t;
}

/* ---- reading one: without the lock ----------------------------------------------------------- */

static int lay_out(struct bk_ftable *t, struct bk_err *err)
{
    size_t chunk = 0;

    t->offsets = malloc(t->t.n_chunks * sizeof(*t->offsets) + 1);
    if (!t->offsets)
        return bk_nomem(err);
    t->bytes = sizeof(*t) + t->t.n_chunks * (sizeof(bk_id) + 2 * sizeof(uint32_t));
    for (size_t i = 0; i < t->t.n_segments; i++) {
        uint32_t offset = 0;

        t->first[i] = chunk;
        for (uint32_t k = 0; k < t->t.segments[i].chunks; k++, chunk++) {
            t->offsets[chunk] = offset;
            offset += t->t.lengths[chunk];
        }
    }
    t->first[t->t.n_segments] = chunk;
    return BAKE_OK;
}

static bool agrees(const struct bk_index_pack *info, const struct bk_ftable *t, uint32_t head)
{
    if (info->head != head || info->n_segments != t->t.n_segments)
        return false;
    for (uint32_t i = 0; i < info->n_segments; i++)
        if (info->segments[i].stored != t->t.segments[i].stored ||
            info->segments[i].plain != t->t.segments[i].plain ||
            info->segments[i].flags != t->t.segments[i].flags)
            return false;
    return true;
}

/* Index and pack contradict each other: is the pack as it was written? */
static bool index_lies(struct bk_fetch *f, const struct bk_fpack *p)
{
    bool ok = false;

    return bk_fetch_name_ok(f, p, &ok, NULL) >= 0 && ok;
}

/* *ret_lie: the pack is good, but not what the index says. */
static int read_table(struct bk_fetch *f, const struct bk_fpack *p, struct bk_ftable **ret,
                      bool *ret_lie, struct bk_err *err)
{
    struct bk_ftable *t = calloc(1, sizeof(*t));
    char name[BK_PACK_NAME_CAP];
    uint32_t head;
    int rc;

    *ret_lie = false;
    if (!t)
        return bk_nomem(err);
    rc = bk_sealed_pack_table(f->store, f->sink, &p->info.id, p->info.size, &t->t, &head, err);
    if (rc < 0) {
        free(t);
        bk_pack_name(&p->info.id, name);
        return err && !strstr(err->text, name) ? bk_fetch_prefix(f, p, err) : rc;
    }
    rc = lay_out(t, err);
    if (rc >= 0 && !agrees(&p->info, t, head)) {
        *ret_lie = index_lies(f, p);
        (void)bk_fail(err, BAKE_E_CORRUPT, "the index and the pack's own table disagree");
        rc = bk_fetch_prefix(f, p, err);
    }
    if (rc < 0)
        table_free(t);
    else
        *ret = t;
    return rc;
}

static void table_failed(struct bk_fpack *p, int rc, bool lie, const struct bk_err *why)
{
    if (!bk_fetch_is_damage(rc))
        return;
    p->table_bad = true;
    p->listed |= !lie;
    bk_fetch_mark_bad(p, rc == BAKE_E_NOTFOUND ? UINT64_MAX : 0, why);
}

static int say_why(const struct bk_fpack *p, struct bk_err *err)
{
    if (p->why && err)
        *err = *p->why;
    return p->why ? p->why->rc : bk_fail(err, BAKE_E_CORRUPT, "a pack is damaged");
}

/* Under the lock, which it may let go of. With a reference. */
static int hold_table(struct bk_fetch *f, struct bk_fpack *p, struct bk_ftable **ret,
                      struct bk_err *err)
{
    struct bk_err why;
    bool lie;
    int rc;

    while (p->loading)
        pthread_cond_wait(&f->changed, &f->lock);
    if (p->table_bad)
        return say_why(p, err);
    if (!p->table) {
        struct bk_ftable *t = NULL;

        p->loading = true;
        f->busy++;
        pthread_mutex_unlock(&f->lock);
        rc = read_table(f, p, &t, &lie, &why);
        pthread_mutex_lock(&f->lock);
        f->busy--;
        p->loading = false;
        pthread_cond_broadcast(&f->changed);
        if (rc < 0) {
            table_failed(p, rc, lie, &why);
            if (err)
                *err = why;
            return rc;
        }
        add_table(f, p, t);
    } else {
        to_front(f, p->table);
    }
    p->table->refs++;
    *ret = p->table;
    trim_tables(f);
    return BAKE_OK;
}

static void release_table(struct bk_fetch *f, struct bk_ftable *t)
{
    t->refs--;
    trim_tables(f);
}

/* The table names the chunk at that place. */
static bool table_has(const struct bk_ftable *t, const struct bk_loc *l, const bk_id *id)
{
    size_t from = t->first[l->segment], to = t->first[l->segment + 1];

    while (from < to) {
        size_t mid = from + (to - from) / 2;

        if (t->offsets[mid] < l->offset)
            from = mid + 1;
        else
            to = mid;
    }
    return from < t->first[l->segment + 1] && t->offsets[from] == l->offset &&
           t->t.lengths[from] == l->length && bk_id_eq(&t->t.ids[from], id);
}

void bk_fetch_judge(struct bk_fetch *f, const struct bk_place *at, const bk_id *id)
{
    struct bk_fpack *p = at->pack;
    struct bk_ftable *t;
    bool named, lie;

    pthread_mutex_lock(&f->lock);
    if (!p->listed && hold_table(f, p, &t, NULL) >= 0) {
        named = table_has(t, &at->loc, id);
        release_table(f, t);
        pthread_mutex_unlock(&f->lock);
        lie = !named && index_lies(f, p);
        pthread_mutex_lock(&f->lock);
        p->listed |= !lie;
    }
    pthread_mutex_unlock(&f->lock);
}

/* ---- segments -------------------------------------------------------------------------------- */

/* Without the lock. *ret_good: how many of its chunks are what the table says. */
static int look_at_all(const struct bk_ftable *t, const struct bk_seg *s, struct bk_sha256 **sha,
                       size_t *ret_good, struct bk_err *err)
{
    int rc = BAKE_OK;
    bool ok;

    *ret_good = 0;
    for (size_t i = t->first[s->index]; i < t->first[s->index + 1] && rc >= 0; i++) {
        rc =
            bk_digest_check(sha, &t->t.ids[i], s->plain + t->offsets[i], t->t.lengths[i], &ok, err);
        *ret_good += rc >= 0 && ok;
    }
    return rc;
}

static void judge_segment(struct bk_fetch *f, struct bk_fpack *p, uint32_t segment, size_t good,
                          size_t all)
{
    struct bk_err why;

    if (good == all) {
        p->proven |= bk_seg_bit(segment);
        return;
    }
    p->listed = true;
    if (good > 0) {
        p->mixed |= bk_seg_bit(segment);
        return;
    }
    (void)bk_fail(&why, BAKE_E_CORRUPT, "the bytes do not match the chunks' digests");
    (void)bk_fetch_prefix(f, p, &why);
    bk_fetch_mark_bad(p, bk_seg_bit(segment), &why);
}

/* Under the lock. */
static int prove(struct bk_fetch *f, struct bk_fpack *p, const struct bk_ftable *t,
                 uint32_t segment, struct bk_err *err)
{
    struct bk_sha256 *sha;
    struct bk_seg *s;
    size_t good;
    int rc = bk_seg_hold(f, p, segment, &s, err);

    if (rc < 0)
        return rc;
    sha = bk_digest_take(f);
    pthread_mutex_unlock(&f->lock);
    rc = look_at_all(t, s, &sha, &good, err);
    pthread_mutex_lock(&f->lock);
    bk_digest_give(f, sha);
    bk_seg_release(f, s);
    if (rc >= 0)
        judge_segment(f, p, segment, good, t->t.segments[segment].chunks);
    return rc;
}

/* Under the lock. The segment is proven, or not all of it is good. */
static int prove_once(struct bk_fetch *f, struct bk_fpack *p, const struct bk_ftable *t,
                      uint32_t segment, struct bk_err *err)
{
    const uint64_t bit = bk_seg_bit(segment);

    for (;;) {
        int rc;

        if (p->proven & bit || p->mixed & bit)
            return BAKE_OK;
        if (p->bad & bit)
            return say_why(p, err);
        if (p->checking & bit) {
            pthread_cond_wait(&f->changed, &f->lock);
            continue;
        }
        p->checking |= bit;
        rc = prove(f, p, t, segment, err);
        p->checking &= ~bit;
        pthread_cond_broadcast(&f->changed);
        if (rc < 0)
            return rc;
    }
}

static int check_at(struct bk_fetch *f, const struct bk_place *at, const bk_id *id, bool *ret_mixed,
                    struct bk_err *err)
{
    struct bk_ftable *t;
    bool wrong = false;
    int rc;

    pthread_mutex_lock(&f->lock);
    rc = hold_table(f, at->pack, &t, err);
    if (rc >= 0) {
        wrong = !table_has(t, &at->loc, id);
        if (wrong) {
            (void)bk_fail(err, BAKE_E_CORRUPT, "the index names a wrong place");
            rc = bk_fetch_prefix(f, at->pack, err);
        } else {
            rc = prove_once(f, at->pack, t, at->loc.segment, err);
        }
        release_table(f, t);
    }
    *ret_mixed = at->pack->mixed & bk_seg_bit(at->loc.segment);
    pthread_mutex_unlock(&f->lock);
    if (wrong)
        bk_fetch_judge(f, at, id);
    return rc;
}

int bk_fetch_check(struct bk_fetch *f, const bk_id *id, uint64_t length, struct bk_err *err)
{
    struct bk_held h = {.n = 0};
    struct bk_search s;
    struct bk_place at;
    struct bk_err why;
    bool mixed;
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
        rc = check_at(f, &at, id, &mixed, &why);
        if (rc >= 0)
            break;
        if (!bk_fetch_is_damage(rc)) {
            if (err)
                *err = why;
            return rc;
        }
    }
    if (!mixed)
        return BAKE_OK;
    rc = bk_fetch_hold(f, id, length, &h, err);
    bk_fetch_release(f, &h);
    return rc;
}
