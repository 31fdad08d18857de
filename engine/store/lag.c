/* What only one sink has, and copying it to the others. */
#include "store/lag.h"

#include "base/cleanup.h"
#include "base/str.h"

#include <stdlib.h>
#include <string.h>

#define COPY_BYTES    (256u << 10)
#define COPY_ATTEMPTS 3

struct bk_lag {
    char *name;
    size_t sink; /* that has it */
    char sha256[BK_SHA256_HEX];
    bool needed;
    struct bk_lag *next;
};

void bk_store_hold(struct bk_store *s)
{
    pthread_mutex_lock(&s->lock);
    s->held++;
    pthread_mutex_unlock(&s->lock);
}

void bk_store_unhold(struct bk_store *s)
{
    pthread_mutex_lock(&s->lock);
    s->held--;
    pthread_mutex_unlock(&s->lock);
}

bool bk_store_held(struct bk_store *s)
{
    bool held;

    pthread_mutex_lock(&s->lock);
    held = s->held > 0;
    pthread_mutex_unlock(&s->lock);
    return held;
}

int bk_store_feed(struct bk_store *s, const char *name, const void *data, size_t n, uint32_t flags,
                  size_t *ret_sink, struct bk_err *err)
{
    struct bk_err last = {0};

    *ret_sink = SIZE_MAX;
    if (!bk_store_held(s) || s->n_sinks < 2)
        return bk_store_put(s, name, data, n, flags, err);
    for (size_t i = 0; i < s->n_sinks; i++) {
        int rc;

        if (!bk_store_sink_ok(s, i))
            continue;
        rc = bk_sink_put(&s->sinks[i], name, data, n, flags, &last);
        if (rc >= 0) {
            *ret_sink = i;
            return BAKE_OK;
        }
        if (rc == BAKE_E_CANCELLED) {
            if (err)
                *err = last;
            return rc;
        }
        bk_store_sink_failed(s, i, &last);
    }
    return bk_store_none_usable(s, err);
}

/* ---- the list ------------------------------------------------------------------------------- */

static void lag_free(struct bk_lag *l)
{
    if (l)
        free(l->name);
    free(l);
}

int bk_lag_add(struct bk_store *s, const char *name, size_t sink, const char *sha256, bool needed,
               struct bk_err *err)
{
    struct bk_lag *l = calloc(1, sizeof(*l));

    if (!l || !(l->name = bk_strdup(name))) {
        lag_free(l);
        return bk_nomem(err);
    }
    l->sink = sink;
    l->needed = needed;
    memcpy(l->sha256, sha256, sizeof(l->sha256));
    pthread_mutex_lock(&s->lock);
    l->next = s->lags;
    s->lags = l;
    pthread_mutex_unlock(&s->lock);
    return BAKE_OK;
}

void bk_lag_forget(struct bk_store *s, const char *name)
{
    struct bk_lag *gone = NULL;

    pthread_mutex_lock(&s->lock);
    for (struct bk_lag **at = &s->lags; *at; at = &(*at)->next) {
        if (bk_streq((*at)->name, name)) {
            gone = *at;
            *at = gone->next;
            break;
        }
    }
    pthread_mutex_unlock(&s->lock);
    lag_free(gone);
}

void bk_lag_free(struct bk_store *s)
{
    while (s->lags) {
        struct bk_lag *l = s->lags;

        s->lags = l->next;
        lag_free(l);
    }
}

/* ---- copying -------------------------------------------------------------------------------- */

struct copy { /* one object, from one sink to another */
    struct bk_sink *from, *to;
    const struct bk_lag *lag;
    char *buffer;
    struct bk_sha256 *sha;
    struct bk_ctx from_ctx, to_ctx;
    void *get, *put;
};

static int read_some(struct copy *c, struct bake_out *out, int *idle, struct bk_err *err)
{
    int rc = c->from->ops->get_read(c->get, out);

    rc = bk_sink_progress(&c->from_ctx, out->pos, rc, idle);
    return rc < 0 ? bk_ctx_fail(&c->from_ctx, rc, err) : rc;
}

static int write_all(struct copy *c, size_t n, struct bk_err *err)
{
    struct bake_in in = {c->buffer, n, 0};
    int rc = n ? c->to->ops->put_write(c->put, &in) : BAKE_OK;

    if (rc >= 0 && in.pos != n)
        rc = bake_fail(&c->to_ctx.base, BAKE_E_INTERNAL,
                       "took only a part of '%s': a bug in the plugin", c->lag->name);
    return rc < 0 ? bk_ctx_fail(&c->to_ctx, rc, err) : BAKE_OK;
}

static int pour(struct copy *c, struct bk_err *err)
{
    char sha256[BK_SHA256_HEX];
    int idle = 0, rc, put;

    do {
        struct bake_out out = {c->buffer, COPY_BYTES, 0};

        rc = read_some(c, &out, &idle, err);
        if (rc < 0)
            return rc;
        bk_sha256_add(c->sha, c->buffer, out.pos);
        put = write_all(c, out.pos, err);
        if (put < 0)
            return put;
    } while (rc != BAKE_END);
    bk_sha256_end_hex(c->sha, sha256);
    if (!bk_streq(sha256, c->lag->sha256)) /* damage must not spread */
        return bk_fail(err, BAKE_E_CORRUPT, "%s: '%s' is not what was written there",
                       c->from->label, c->lag->name);
    return BAKE_OK;
}

static int finish_put(struct copy *c, int rc, bool again, struct bk_err *err)
{
    if (rc < 0) {
        c->to->ops->put_abort(c->put);
        return rc;
    }
    rc = c->to->ops->put_end(c->put);
    if (rc == BAKE_E_EXISTS && again) { /* the answer of the time before was lost */
        bk_err_clear(&c->to_ctx.err);
        return BAKE_OK;
    }
    return rc < 0 ? bk_ctx_fail(&c->to_ctx, rc, err) : BAKE_OK;
}

static int copy_once(struct copy *c, bool again, struct bk_err *err)
{
    int rc = bk_sha256_new(&c->sha, err);

    if (rc < 0)
        return rc;
    bk_sink_ctx(c->from, NULL, &c->from_ctx);
    bk_sink_ctx(c->to, NULL, &c->to_ctx);
    rc = c->from->ops->get_begin(c->from->self, &c->from_ctx.base, c->lag->name, 0, 0, &c->get);
    if (rc == BAKE_E_NOTFOUND && !c->lag->needed) {
        rc = BAKE_OK; /* a prune has replaced it */
    } else if (rc < 0) {
        rc = bk_ctx_fail(&c->from_ctx, rc, err);
    } else {
        rc = c->to->ops->put_begin(c->to->self, &c->to_ctx.base, c->lag->name, 0,
                                   BAKE_PUT_IF_ABSENT, &c->put);
        rc = rc < 0 ? bk_ctx_fail(&c->to_ctx, rc, err) : finish_put(c, pour(c, err), again, err);
        c->from->ops->get_close(c->get);
    }
    bk_sha256_free(c->sha);
    return rc;
}

static int copy_object(struct bk_store *s, const struct bk_lag *lag, struct bk_sink *to,
                       struct bk_err *err)
{
    char *buffer BK_FREE = malloc(COPY_BYTES);
    struct copy c = {.from = &s->sinks[lag->sink], .to = to, .lag = lag, .buffer = buffer};
    int rc = buffer ? BAKE_OK : bk_nomem(err);

    for (int attempt = 1; buffer; attempt++) {
        rc = copy_once(&c, attempt > 1, err);
        if ((rc != BAKE_E_UNAVAILABLE && rc != BAKE_E_TIMEOUT) || attempt == COPY_ATTEMPTS)
            break;
        if (bk_cancel_sleep(s->cancel, 500u << attempt) < 0)
            return bk_fail(err, BAKE_E_CANCELLED, "cancelled");
    }
    return rc;
}

/* Only the thread that seals the backup is left: nobody else changes the list. */
static int fill_sink(struct bk_store *s, size_t i, struct bk_err *err)
{
    for (const struct bk_lag *l = s->lags; l; l = l->next) {
        int rc = l->sink == i ? BAKE_OK : copy_object(s, l, &s->sinks[i], err);

        if (rc < 0)
            return bk_prefix(err, "%s lags behind", s->sinks[i].label);
    }
    return BAKE_OK;
}

int bk_lag_fill(struct bk_store *s, struct bk_err *err)
{
    for (size_t i = 0; i < s->n_sinks; i++) {
        struct bk_err why = {0};
        int rc = bk_store_sink_ok(s, i) ? fill_sink(s, i, &why) : BAKE_OK;

        if (rc == BAKE_E_CANCELLED || rc == BAKE_E_NOMEM) {
            if (err)
                *err = why;
            return rc;
        }
        if (rc < 0)
            bk_store_sink_failed(s, i, &why);
    }
    bk_lag_free(s);
    return bk_store_sinks_ok(s) > 0 ? BAKE_OK : bk_store_none_usable(s, err);
}
