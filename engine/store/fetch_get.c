/* Ranges of packs out of the sink, and segments through the transforms. */
#include "store/fetch_private.h"

#include "base/cleanup.h"
#include "store/transforms.h"

#include <stdlib.h>
#include <string.h>

#define ATTEMPTS      5
#define FIRST_WAIT_MS 500u

struct source { /* a range of an object, read piece by piece; resumed where the sink lost it */
    struct bk_fetch *f;
    char name[BK_PACK_NAME_CAP];
    uint64_t at, end;
    void *get; /* NULL: not begun */
    struct bk_ctx ctx;
    int attempt, idle;
};

static void source_init(struct source *s, struct bk_fetch *f, const struct bk_fpack *p, uint64_t at,
                        uint64_t end)
{
    s->f = f;
    s->at = at;
    s->end = end;
    s->get = NULL;
    s->attempt = 0;
    bk_pack_name(&p->info.id, s->name);
}

static void source_close(struct source *s)
{
    if (s->get)
        s->f->sink->ops->get_close(s->get);
    s->get = NULL;
}

/* After a failure of the sink's: OK when it is worth another try. */
static int source_failed(struct source *s, int rc, struct bk_err *err)
{
    struct bk_sink *sink = s->f->sink;
    bool transient = rc == BAKE_E_UNAVAILABLE || rc == BAKE_E_TIMEOUT;

    source_close(s);
    if (transient && s->attempt + 1 < ATTEMPTS &&
        bk_cancel_sleep(sink->cancel, FIRST_WAIT_MS << s->attempt) == 0) {
        s->attempt++;
        bk_err_clear(&s->ctx.err);
        return BAKE_OK;
    }
    if (transient && bk_cancelled(sink->cancel))
        rc = BAKE_E_CANCELLED;
    if (rc != BAKE_E_NOTFOUND)
        return bk_ctx_fail(&s->ctx, rc, err);
    bk_err_clear(&s->ctx.err);
    return bk_fail(err, rc, "%s: '%s' is missing", sink->label, s->name);
}

static int source_some(struct source *s, void *data, size_t n, size_t *ret_n, struct bk_err *err)
{
    struct bk_sink *sink = s->f->sink;
    struct bake_out out = {data, n, 0};
    int rc = BAKE_OK;

    *ret_n = 0;
    if (!s->get) {
        bk_sink_ctx(sink, NULL, &s->ctx);
        s->idle = 0;
        rc =
            sink->ops->get_begin(sink->self, &s->ctx.base, s->name, s->at, s->end - s->at, &s->get);
        if (rc < 0)
            s->get = NULL;
    }
    if (rc >= 0) {
        rc = sink->ops->get_read(s->get, &out);
        rc = bk_sink_progress(&s->ctx, out.pos, rc, &s->idle);
    }
    if (rc < 0)
        return source_failed(s, rc, err);
    s->at += out.pos;
    *ret_n = out.pos;
    if (out.pos > 0)
        s->attempt = 0;
    if (rc == BAKE_END && s->at < s->end)
        return bk_fail(err, BAKE_E_CORRUPT, "%s: '%s' is cut", sink->label, s->name);
    return BAKE_OK;
}

static int source_read(struct source *s, void *data, size_t n, struct bk_err *err)
{
    unsigned char *to = data;
    int rc = BAKE_OK;

    while (n > 0 && rc >= 0) {
        size_t got;

        rc = source_some(s, to, n, &got, err);
        to += got;
        n -= got;
    }
    return rc;
}

/* ---- how packs were written ------------------------------------------------------------------ */

static bool same_names(const struct bk_strv *a, const struct bk_strv *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (!bk_streq(a->items[i], b->items[i]))
            return false;
    return true;
}

static int new_codec(struct bk_fetch *f, const struct bk_strv *names, struct bk_codec **ret,
                     struct bk_err *err)
{
    struct bk_codec *c = calloc(1, sizeof(*c));
    int rc = c ? BAKE_OK : bk_nomem(err);

    for (size_t i = 0; rc >= 0 && i < names->n; i++)
        if (bk_strv_add(&c->names, names->items[i]) < 0)
            rc = bk_nomem(err);
    if (rc >= 0)
        rc = bk_store_transforms_for(f->store, &c->names, &c->transforms, err);
    if (rc < 0 && c) {
        bk_strv_free(&c->names);
        free(c);
    }
    *ret = c;
    return rc;
}

static struct bk_codec *find_codec(const struct bk_fetch *f, const struct bk_strv *names)
{
    struct bk_codec *c = f->codecs;

    while (c && !same_names(&c->names, names))
        c = c->next;
    return c;
}

/* Two threads may make the same one: then there are two. */
static int use_codec(struct bk_fetch *f, struct bk_fpack *p, const struct bk_strv *names,
                     struct bk_err *err)
{
    struct bk_codec *c;
    int rc = BAKE_OK;

    pthread_mutex_lock(&f->lock);
    c = find_codec(f, names);
    pthread_mutex_unlock(&f->lock);
    if (!c) {
        rc = new_codec(f, names, &c, err);
        if (rc < 0) /* nothing is wrong with the pack */
            return rc == BAKE_E_NOTFOUND || rc == BAKE_E_CORRUPT ? (err->rc = BAKE_E_UNSUPPORTED)
                                                                 : rc;
        pthread_mutex_lock(&f->lock);
        c->next = f->codecs;
        f->codecs = c;
        pthread_mutex_unlock(&f->lock);
    }
    pthread_mutex_lock(&f->lock);
    p->codec = c;
    pthread_mutex_unlock(&f->lock);
    return rc;
}

/* A flipped bit can make a header of another version, or with a transform that nobody knows: the
 * pack's own name tells whether it is so. */
static int judge_head(struct bk_fetch *f, const struct bk_fpack *p, int rc, struct bk_err *err)
{
    bool ok = true;

    if (bk_fetch_is_damage(rc) || rc == BAKE_E_CANCELLED || rc == BAKE_E_NOMEM)
        return rc;
    if (bk_fetch_name_ok(f, p, &ok, NULL) < 0 || ok)
        return rc;
    (void)bk_fail(err, BAKE_E_CORRUPT, "the pack's header is damaged");
    return bk_fetch_prefix(f, p, err);
}

/* All packs of a store are written alike, as a rule. What is decoded in the wrong way fails, or
 * does not match its digest. */
static int do_without_head(struct bk_fetch *f, struct bk_fpack *p, int rc, struct bk_err *err)
{
    struct bk_codec *c = NULL;

    if (!bk_fetch_is_damage(rc))
        return rc;
    pthread_mutex_lock(&f->lock);
    bk_fetch_mark_bad(p, 0, err);
    p->listed = true;
    c = p->codec = f->codecs;
    pthread_mutex_unlock(&f->lock);
    if (!c)
        return rc;
    bk_err_clear(err);
    return BAKE_OK;
}

static int parse_head(struct bk_fetch *f, struct bk_fpack *p, const void *data, size_t n,
                      struct bk_err *err)
{
    struct bk_pack_head head;
    int rc = bk_pack_head_parse(data, n, &head, err);

    if (rc >= 0 && head.size != n) {
        bk_strv_free(&head.transforms);
        rc = bk_fail(err, BAKE_E_CORRUPT, "the pack's header is damaged");
    }
    if (rc < 0) {
        rc = judge_head(f, p, bk_fetch_prefix(f, p, err), err);
        return do_without_head(f, p, rc, err);
    }
    rc = use_codec(f, p, &head.transforms, err);
    bk_strv_free(&head.transforms);
    if (rc < 0)
        rc = do_without_head(f, p, judge_head(f, p, rc, err), err);
    return rc;
}

static bool has_codec(struct bk_fetch *f, const struct bk_fpack *p)
{
    bool has;

    pthread_mutex_lock(&f->lock);
    has = p->codec;
    pthread_mutex_unlock(&f->lock);
    return has;
}

/* ---- a range --------------------------------------------------------------------------------- */

/* The header comes with the first range that is near the pack's beginning, else by itself. */
#define NEAR (64u << 10)

static int skip(struct source *s, uint64_t n, struct bk_err *err)
{
    char *scratch BK_FREE = malloc(NEAR);
    int rc = scratch ? BAKE_OK : bk_nomem(err);

    while (n > 0 && rc >= 0) {
        size_t part = n < NEAR ? (size_t)n : NEAR;

        rc = source_read(s, scratch, part, err);
        n -= part;
    }
    return rc;
}

static int read_head(struct bk_fetch *f, struct source *s, const struct bk_range *r,
                     struct bk_err *err)
{
    unsigned char head[BK_PACK_HEAD_MAX];
    const uint32_t size = r->pack->info.head;
    struct source apart;
    int rc;

    if (size > sizeof(head)) {
        (void)bk_fail(err, BAKE_E_CORRUPT, "the index says that its header is too long");
        return bk_fetch_prefix(f, r->pack, err);
    }
    if (r->offset < NEAR) {
        s->at = 0;
        rc = source_read(s, head, size, err);
        if (rc >= 0)
            rc = skip(s, r->offset - size, err);
    } else {
        source_init(&apart, f, r->pack, 0, size);
        rc = source_read(&apart, head, size, err);
        source_close(&apart);
    }
    return rc < 0 ? rc : parse_head(f, r->pack, head, size, err);
}

int bk_fetch_range(struct bk_fetch *f, const struct bk_range *r, struct bk_err *err)
{
    struct source s;
    int rc = BAKE_OK;

    source_init(&s, f, r->pack, r->offset, r->offset + r->bytes);
    if (!has_codec(f, r->pack))
        rc = read_head(f, &s, r, err);
    for (uint32_t i = 0; i < r->n && rc >= 0; i++) {
        const struct bk_segment *segment = &r->pack->info.segments[r->first + i];

        if (r->segs[i])
            rc = source_read(&s, r->segs[i]->stored, segment->stored, err);
        else
            rc = skip(&s, segment->stored, err);
        if (rc >= 0 && r->segs[i])
            bk_seg_arrived(f, r->segs[i]);
    }
    source_close(&s);
    return rc;
}

int bk_fetch_name_ok(struct bk_fetch *f, const struct bk_fpack *p, bool *ret_ok, struct bk_err *err)
{
    char *scratch BK_FREE = malloc(NEAR);
    struct bk_sha256 *sha = NULL;
    struct source s;
    bk_id got;
    int rc = scratch ? bk_sha256_new(&sha, err) : bk_nomem(err);

    source_init(&s, f, p, 0, p->info.size);
    while (rc >= 0 && s.at < s.end) {
        size_t n = s.end - s.at < NEAR ? (size_t)(s.end - s.at) : NEAR;

        rc = source_read(&s, scratch, n, err);
        if (rc >= 0)
            bk_sha256_add(sha, scratch, n);
    }
    source_close(&s);
    if (rc >= 0) {
        bk_sha256_end(sha, got.b);
        *ret_ok = bk_id_eq(&got, &p->info.id);
    }
    bk_sha256_free(sha);
    return rc;
}

/* ---- decoding -------------------------------------------------------------------------------- */

static int take(void *arg, const void *data, size_t n, struct bk_err *err)
{
    struct bk_decoder *d = arg;

    if (n > d->cap - d->len)
        return bk_fail(err, BAKE_E_CORRUPT, "a segment decodes to more bytes than it says");
    memcpy(d->out + d->len, data, n);
    d->len += n;
    return BAKE_OK;
}

static int new_decoder(struct bk_fetch *f, const struct bk_codec *c, bool raw,
                       struct bk_decoder **ret, struct bk_err *err)
{
    struct bk_transform *t BK_FREE = calloc(c->names.n + 1, sizeof(*t));
    struct bk_decoder *d = calloc(1, sizeof(*d));
    size_t n = 0;
    int rc;

    if (!t || !d) {
        free(d);
        return bk_nomem(err);
    }
    for (size_t i = 0; i < c->names.n; i++)
        if (!raw || !(c->transforms[i].plugin->transform.traits & BAKE_COMPRESSES))
            t[n++] = c->transforms[i];
    rc = bk_chain_new(t, n, BAKE_REVERSE, BAKE_ONE_THREAD, f->cancel, take, d, &d->chain, err);
    if (rc < 0) {
        free(d);
        return rc;
    }
    *ret = d;
    return BAKE_OK;
}

static void decoder_free(struct bk_decoder *d)
{
    if (!d)
        return;
    bk_chain_free(d->chain);
    free(d);
}

/* One that was used before, else a new one. */
static int get_decoder(struct bk_fetch *f, struct bk_codec *c, bool raw, struct bk_decoder **ret,
                       struct bk_err *err)
{
    struct bk_decoder *d;
    int rc = BAKE_OK;

    pthread_mutex_lock(&f->lock);
    d = c->idle[raw];
    if (d)
        c->idle[raw] = d->next;
    pthread_mutex_unlock(&f->lock);
    if (!d)
        return new_decoder(f, c, raw, ret, err);
    rc = bk_chain_reset(d->chain, err);
    if (rc < 0)
        decoder_free(d);
    else
        *ret = d;
    return rc;
}

static int run_decoder(struct bk_decoder *d, struct bk_seg *s, const struct bk_segment *segment,
                       struct bk_err *err)
{
    int rc;

    d->out = s->plain;
    d->len = 0;
    d->cap = segment->plain;
    rc = bk_chain_push(d->chain, s->stored, segment->stored, err);
    if (rc >= 0)
        rc = bk_chain_finish(d->chain, err);
    if (rc >= 0 && d->len != d->cap)
        rc = bk_fail(err, BAKE_E_CORRUPT, "a segment decodes to fewer bytes than it says");
    return rc;
}

int bk_fetch_decode(struct bk_fetch *f, struct bk_seg *s, struct bk_err *err)
{
    const struct bk_segment *segment = &s->pack->info.segments[s->index];
    bool raw = segment->flags & BK_SEGMENT_RAW;
    struct bk_codec *c = s->pack->codec; /* set before the segment arrived */
    struct bk_decoder *d = NULL;
    int rc = get_decoder(f, c, raw, &d, err);

    if (rc < 0)
        return rc;
    rc = run_decoder(d, s, segment, err);
    pthread_mutex_lock(&f->lock);
    d->next = c->idle[raw];
    c->idle[raw] = d;
    pthread_mutex_unlock(&f->lock);
    return rc;
}

void bk_codecs_free(struct bk_fetch *f)
{
    while (f->codecs) {
        struct bk_codec *c = f->codecs;

        f->codecs = c->next;
        for (int raw = 0; raw < 2; raw++)
            while (c->idle[raw]) {
                struct bk_decoder *d = c->idle[raw];

                c->idle[raw] = d->next;
                decoder_free(d);
            }
        bk_strv_free(&c->names);
        free(c->transforms);
        free(c);
    }
}
