/* conform_sink: the calls, wrapped so that each case reads as what it tries. */
#include "sink.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void sink_case(struct sink *s, const char *name, void (*fn)(struct sink *))
{
    unsigned fds = cf_open_fds(), threads = cf_threads();
    int rc;

    cf_begin(s->r, name);
    rc = s->ops->open(&s->subject.ctx.base, s->subject.config.cfg, &s->self);
    if (cf_want(s->r, &s->subject.ctx, rc, BAKE_OK, "open")) {
        fn(s);
        s->ops->close(s->self);
        s->self = NULL;
        cf_check(s->r, cf_open_fds() <= fds, "%u descriptors are left open", cf_open_fds() - fds);
        cf_check(s->r, cf_threads_back_to(threads), "threads are left running");
    }
    cf_end(s->r);
}

char *sink_name(const struct sink *s, char *out, const char *name)
{
    (void)snprintf(out, NAME_CAP, "%s/%s", s->prefix, name);
    return out;
}

static int done(struct sink *s, struct cf_ctx *ctx, int rc)
{
    cf_check_words(s->r, ctx, rc);
    memcpy(s->text, ctx->text, sizeof(s->text));
    cf_ctx_free(ctx);
    return rc;
}

static int put_pieces(struct sink *s, void *put, const char *data, size_t n, size_t cut)
{
    for (size_t at = 0; at < n; at += cut) {
        struct bake_in in = {data + at, n - at < cut ? n - at : cut, 0};
        int rc = s->ops->put_write(put, &in);

        if (rc < 0)
            return rc;
        cf_check(s->r, in.pos == in.size, "put_write() must take all, took %zu of %zu", in.pos,
                 in.size);
    }
    return BAKE_OK;
}

int sink_put(struct sink *s, const char *name, const void *data, size_t n, uint64_t size_or_0,
             uint32_t flags, size_t cut)
{
    struct cf_ctx ctx;
    void *put = NULL;
    int rc;

    cf_ctx_init(&ctx);
    rc = s->ops->put_begin(s->self, &ctx.base, name, size_or_0, flags, &put);
    if (rc < 0)
        return done(s, &ctx, rc);
    rc = put_pieces(s, put, data, n, cut);
    if (rc < 0)
        s->ops->put_abort(put);
    else
        rc = s->ops->put_end(put);
    return done(s, &ctx, rc);
}

int sink_put_seed(struct sink *s, const char *name, size_t n, uint64_t seed)
{
    char *data = malloc(n + 1);
    int rc;

    if (!data)
        return BAKE_E_NOMEM;
    cf_fill(data, n, seed);
    rc = sink_put(s, name, data, n, n, 0, 1 << 20);
    free(data);
    return rc;
}

static int get_all(struct sink *s, void *get, char **data, size_t *n)
{
    size_t cap = 0;
    int idle = 0, rc = BAKE_OK;

    while (rc == BAKE_OK && idle < 2) {
        struct bake_out out = {NULL, 0, 0};

        if (cap - *n < 64 << 10) {
            char *more = realloc(*data, cap = cap * 2 + (128 << 10));

            if (!more)
                return BAKE_E_NOMEM;
            *data = more;
        }
        out.data = *data + *n;
        out.size = (*n % 7 + 1) * 9001; /* rooms of changing size */
        rc = s->ops->get_read(get, &out);
        idle = out.pos == 0 && rc == BAKE_OK ? idle + 1 : 0;
        if (rc >= 0)
            *n += out.pos;
    }
    cf_check(s->r, idle < 2, "get_read() makes no progress");
    return rc == BAKE_END ? BAKE_OK : rc;
}

int sink_get(struct sink *s, const char *name, uint64_t offset, uint64_t length_or_0, char **ret,
             size_t *ret_n)
{
    struct cf_ctx ctx;
    void *get = NULL;
    int rc;

    *ret = NULL;
    *ret_n = 0;
    cf_ctx_init(&ctx);
    rc = s->ops->get_begin(s->self, &ctx.base, name, offset, length_or_0, &get);
    if (rc >= 0) {
        rc = get_all(s, get, ret, ret_n);
        s->ops->get_close(get);
    }
    return done(s, &ctx, rc);
}

int sink_stat(struct sink *s, const char *name, uint64_t *ret_size)
{
    struct cf_ctx ctx;
    int64_t mtime = 0;

    cf_ctx_init(&ctx);
    return done(s, &ctx, s->ops->stat(s->self, &ctx.base, name, ret_size, &mtime));
}

int sink_remove(struct sink *s, const char *name)
{
    struct cf_ctx ctx;

    cf_ctx_init(&ctx);
    return done(s, &ctx, s->ops->remove(s->self, &ctx.base, name));
}

static int keep(void *arg, const char *name, uint64_t size, int64_t mtime_ns)
{
    struct listed *l = arg;

    (void)mtime_ns;
    if (l->n == l->cap) {
        size_t cap = l->cap * 2 + 64;
        char(*names)[NAME_CAP] = realloc(l->names, cap * sizeof(*names));
        uint64_t *sizes = realloc(l->sizes, cap * sizeof(*sizes));

        l->names = names ? names : l->names;
        l->sizes = sizes ? sizes : l->sizes;
        if (!names || !sizes)
            return BAKE_E_NOMEM;
        l->cap = cap;
    }
    (void)snprintf(l->names[l->n], NAME_CAP, "%s", name);
    l->sizes[l->n++] = size;
    return 0;
}

int sink_list(struct sink *s, const char *prefix, struct listed *ret)
{
    struct cf_ctx ctx;

    memset(ret, 0, sizeof(*ret));
    cf_ctx_init(&ctx);
    return done(s, &ctx, s->ops->list(s->self, &ctx.base, prefix, keep, ret));
}

void listed_free(struct listed *l)
{
    free(l->names);
    free(l->sizes);
    memset(l, 0, sizeof(*l));
}

bool listed_has(const struct listed *l, const char *name)
{
    size_t found = 0;

    for (size_t i = 0; i < l->n; i++)
        found += strcmp(l->names[i], name) == 0;
    return found == 1;
}

bool sink_want(struct sink *s, int rc, int wanted, const char *what)
{
    return cf_check(s->r, rc == wanted, "%s: %s instead of %s%s%s", what, cf_rc_name(rc),
                    cf_rc_name(wanted), rc < 0 ? ": " : "", rc < 0 ? s->text : "");
}

void sink_expect(struct sink *s, const char *name, size_t n, uint64_t seed)
{
    char *data, *wanted = malloc(n + 1);
    uint64_t size = 0;
    size_t got;

    if (!wanted)
        return;
    cf_fill(wanted, n, seed);
    sink_want(s, sink_get(s, name, 0, 0, &data, &got), BAKE_OK, "get");
    cf_check(s->r, got == n && (n == 0 || memcmp(data, wanted, n) == 0),
             "'%s' came back different (%zu bytes, %zu were put)", name, got, n);
    if (sink_want(s, sink_stat(s, name, &size), BAKE_OK, "stat"))
        cf_check(s->r, size == n, "stat says %llu bytes, not %zu", (unsigned long long)size, n);
    free(data);
    free(wanted);
}

void sink_expect_absent(struct sink *s, const char *name)
{
    struct listed l;
    uint64_t size;
    char *data;
    size_t n;

    sink_want(s, sink_stat(s, name, &size), BAKE_E_NOTFOUND, "stat of what is not there");
    sink_want(s, sink_get(s, name, 0, 0, &data, &n), BAKE_E_NOTFOUND, "get of what is not there");
    free(data);
    sink_want(s, sink_list(s, name, &l), BAKE_OK, "list of what is not there");
    cf_check(s->r, !listed_has(&l, name), "'%s' is listed", name);
    listed_free(&l);
}

void sink_threads(struct sink *s, unsigned n, void *(*fn)(void *), void *args, size_t size)
{
    pthread_t threads[64];
    unsigned i;

    for (i = 0; i < n && i < 64; i++)
        if (pthread_create(&threads[i], NULL, fn, (char *)args + i * size) != 0)
            break;
    cf_check(s->r, i == n, "cannot start threads");
    while (i-- > 0)
        (void)pthread_join(threads[i], NULL);
}
