/* The test's sink. */
#include "memsink.h"

#include "base/str.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define START_NS 1762344000000000000 /* 2025-11-05T12:00:00Z */

struct put {
    struct memsink *sink;
    struct bake_ctx *ctx;
    char *name;
    uint32_t flags;
    struct bk_buf data;
};

struct get {
    struct memsink *sink;
    struct bake_ctx *ctx;
    char *name, *data;
    size_t n, pos;
};

void ms_init(struct memsink *s)
{
    memset(s, 0, sizeof(*s));
    pthread_mutex_init(&s->lock, NULL);
    s->clock_ns = START_NS;
}

void ms_release(struct memsink *s)
{
    for (size_t i = 0; i < s->n; i++) {
        free(s->objects[i].name);
        free(s->objects[i].data);
    }
    free(s->objects);
    pthread_mutex_destroy(&s->lock);
}

void ms_fault(struct memsink *s, enum ms_op op, const char *name, unsigned skip, unsigned times,
              int rc)
{
    pthread_mutex_lock(&s->lock);
    assert(s->n_faults < MS_FAULTS);
    s->faults[s->n_faults++] =
        (struct ms_fault){.op = op, .name = name, .skip = skip, .times = times, .rc = rc};
    pthread_mutex_unlock(&s->lock);
}

void ms_fault_lost(struct memsink *s, enum ms_op op, const char *name, int rc)
{
    ms_fault(s, op, name, 0, 1, rc);
    s->faults[s->n_faults - 1].done_first = true;
}

void ms_heal(struct memsink *s)
{
    pthread_mutex_lock(&s->lock);
    s->n_faults = 0;
    memset(s->calls, 0, sizeof(s->calls));
    pthread_mutex_unlock(&s->lock);
}

/* ---- the objects, under the lock --------------------------------------------------------------
 */

static size_t lower(const struct memsink *s, const char *name)
{
    size_t i = 0;

    while (i < s->n && strcmp(s->objects[i].name, name) < 0)
        i++;
    return i;
}

static struct ms_object *find(struct memsink *s, const char *name)
{
    size_t i = lower(s, name);

    return i < s->n && bk_streq(s->objects[i].name, name) ? &s->objects[i] : NULL;
}

/* False: no memory; nothing has changed. */
static bool store(struct memsink *s, const char *name, const void *data, size_t n)
{
    struct ms_object *o = find(s, name), *more;
    char *copy = malloc(n ? n : 1), *own = o ? NULL : bk_strdup(name);

    if (!copy || (!o && !own)) {
        free(copy);
        free(own);
        return false;
    }
    if (!o) {
        size_t at = lower(s, name);

        more = realloc(s->objects, (s->n + 1) * sizeof(*s->objects));
        if (!more) {
            free(copy);
            free(own);
            return false;
        }
        s->objects = more;
        o = &s->objects[at];
        memmove(o + 1, o, (s->n - at) * sizeof(*o));
        memset(o, 0, sizeof(*o));
        o->name = own;
        s->n++;
    }
    free(o->data);
    o->data = copy;
    if (n)
        memcpy(o->data, data, n);
    o->n = n;
    o->mtime_ns = s->clock_ns;
    return true;
}

static bool drop(struct memsink *s, const char *name)
{
    struct ms_object *o = find(s, name);

    if (!o)
        return false;
    free(o->name);
    free(o->data);
    memmove(o, o + 1, (size_t)(s->objects + s->n - o - 1) * sizeof(*o));
    s->n--;
    return true;
}

struct ms_object *ms_find(struct memsink *s, const char *name)
{
    struct ms_object *o;

    pthread_mutex_lock(&s->lock);
    o = find(s, name);
    pthread_mutex_unlock(&s->lock);
    return o;
}

void ms_set(struct memsink *s, const char *name, const void *data, size_t n)
{
    bool stored;

    pthread_mutex_lock(&s->lock);
    stored = store(s, name, data, n);
    pthread_mutex_unlock(&s->lock);
    if (!stored)
        abort(); /* a test cannot go on like that */
}

void ms_set_time(struct memsink *s, const char *name, int64_t mtime_ns)
{
    struct ms_object *o = ms_find(s, name);

    assert(o);
    o->mtime_ns = mtime_ns;
}

void ms_drop(struct memsink *s, const char *name)
{
    pthread_mutex_lock(&s->lock);
    (void)drop(s, name);
    pthread_mutex_unlock(&s->lock);
}

size_t ms_count(struct memsink *s, const char *prefix)
{
    size_t n = 0;

    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < s->n; i++)
        n += bk_starts(s->objects[i].name, prefix);
    pthread_mutex_unlock(&s->lock);
    return n;
}

/* ---- the plugin -------------------------------------------------------------------------------
 */

/* The fault that is due, or NULL. Counts the call. */
static const struct ms_fault *due(struct memsink *s, enum ms_op op, const char *name)
{
    const struct ms_fault *hit = NULL;

    s->calls[op]++;
    for (size_t i = 0; i < s->n_faults; i++) {
        struct ms_fault *f = &s->faults[i];

        if (f->op != op || (f->name && !strstr(name, f->name)))
            continue;
        f->seen++;
        if (!hit && f->seen > f->skip && (f->times == 0 || f->seen <= f->skip + f->times))
            hit = f;
    }
    return hit;
}

static int fault(struct memsink *s, struct bake_ctx *ctx, enum ms_op op, const char *name)
{
    const struct ms_fault *f;
    int rc = BAKE_OK;

    pthread_mutex_lock(&s->lock);
    f = due(s, op, name);
    if (f)
        rc = f->rc;
    pthread_mutex_unlock(&s->lock);
    return rc < 0 ? bake_fail(ctx, rc, "injected fault at '%s'", name) : BAKE_OK;
}

static int open_sink(struct bake_ctx *ctx, const void *cfg, void **ret_self)
{
    struct memsink *s = ((const struct ms_cfg *)cfg)->sink;
    int rc = fault(s, ctx, MS_OPEN, "");

    if (rc >= 0)
        *ret_self = s;
    return rc;
}

static uint64_t memory(const void *cfg, int dir)
{
    (void)cfg;
    return dir == BAKE_FORWARD ? 5000 : 7000;
}

static void count(struct memsink *s, int *counter, int by)
{
    pthread_mutex_lock(&s->lock);
    *counter += by;
    pthread_mutex_unlock(&s->lock);
}

static int put_begin(void *self, struct bake_ctx *ctx, const char *name, uint64_t size,
                     uint32_t flags, void **ret_put)
{
    struct put *p;
    int rc = fault(self, ctx, MS_PUT_BEGIN, name);

    (void)size;
    if (rc < 0)
        return rc;
    p = calloc(1, sizeof(*p));
    if (!p || !(p->name = bk_strdup(name))) {
        free(p);
        return bake_fail(ctx, BAKE_E_NOMEM, "out of memory");
    }
    p->sink = self;
    p->ctx = ctx;
    p->flags = flags;
    count(self, &p->sink->puts_open, 1);
    *ret_put = p;
    return BAKE_OK;
}

static void put_free(struct put *p)
{
    count(p->sink, &p->sink->puts_open, -1);
    bk_buf_free(&p->data);
    free(p->name);
    free(p);
}

static int put_write(void *put, struct bake_in *in)
{
    struct put *p = put;
    size_t n = in->size - in->pos;
    int rc = fault(p->sink, p->ctx, MS_PUT_WRITE, p->name);

    if (rc < 0)
        return rc;
    if (p->sink->write_ms && (rc = p->ctx->host->sleep_ms(p->ctx, p->sink->write_ms)) < 0)
        return rc;
    if (p->sink->takes_half)
        n /= 2;
    if (bk_buf_add(&p->data, (const char *)in->data + in->pos, n) < 0)
        return bake_fail(p->ctx, BAKE_E_NOMEM, "out of memory");
    in->pos += n;
    return BAKE_OK;
}

static int put_end(void *put)
{
    struct put *p = put;
    struct memsink *s = p->sink;
    const struct ms_fault *f;
    int rc = BAKE_OK;

    pthread_mutex_lock(&s->lock);
    f = due(s, MS_PUT_END, p->name);
    if (f && !f->done_first)
        rc = f->rc;
    else if ((p->flags & BAKE_PUT_IF_ABSENT) && find(s, p->name))
        rc = BAKE_E_EXISTS;
    else if (!store(s, p->name, p->data.data, p->data.len))
        rc = BAKE_E_NOMEM;
    if (f)
        rc = f->rc;
    pthread_mutex_unlock(&s->lock);
    if (rc < 0)
        (void)bake_fail(p->ctx, rc, "put of '%s' did not end well", p->name);
    put_free(p);
    return rc;
}

static void put_abort(void *put)
{
    struct put *p = put;

    (void)p->ctx->host->cancelled(p->ctx); /* the context must still be there */
    put_free(p);
}

static int copy_object(struct get *g, const struct ms_object *o, uint64_t offset, uint64_t length)
{
    if (offset > o->n) /* a test has cut it */
        offset = o->n;
    g->n = length && length < o->n - offset ? (size_t)length : o->n - (size_t)offset;
    g->data = malloc(g->n ? g->n : 1);
    if (!g->data)
        return BAKE_E_NOMEM;
    memcpy(g->data, o->data + offset, g->n);
    return BAKE_OK;
}

static int get_begin(void *self, struct bake_ctx *ctx, const char *name, uint64_t offset,
                     uint64_t length, void **ret_get)
{
    struct memsink *s = self;
    struct ms_object *o;
    struct get *g;
    int rc = fault(s, ctx, MS_GET_BEGIN, name);

    if (rc < 0)
        return rc;
    g = calloc(1, sizeof(*g));
    if (!g || !(g->name = bk_strdup(name))) {
        free(g);
        return bake_fail(ctx, BAKE_E_NOMEM, "out of memory");
    }
    g->sink = s;
    g->ctx = ctx;
    pthread_mutex_lock(&s->lock);
    o = find(s, name);
    rc = o ? copy_object(g, o, offset, length) : BAKE_E_NOTFOUND;
    s->gets_open += rc >= 0;
    pthread_mutex_unlock(&s->lock);
    if (rc >= 0) {
        *ret_get = g;
        return BAKE_OK;
    }
    free(g->name);
    free(g);
    return bake_fail(ctx, rc, "there is no '%s', or no memory for it", name);
}

static int get_read(void *get, struct bake_out *out)
{
    struct get *g = get;
    size_t n = out->size - out->pos;
    int rc = fault(g->sink, g->ctx, MS_GET_READ, g->name);

    if (rc < 0)
        return rc;
    if (g->sink->get_stalls)
        return g->ctx->host->cancelled(g->ctx) ? BAKE_E_CANCELLED : BAKE_OK;
    if (g->sink->end_apart && g->pos == g->n)
        return BAKE_END;
    if (g->sink->get_step && n > g->sink->get_step)
        n = g->sink->get_step;
    if (n > g->n - g->pos)
        n = g->n - g->pos;
    memcpy((char *)out->data + out->pos, g->data + g->pos, n);
    out->pos += n;
    g->pos += n;
    return g->pos == g->n && !g->sink->end_apart ? BAKE_END : BAKE_OK;
}

static void get_close(void *get)
{
    struct get *g = get;

    count(g->sink, &g->sink->gets_open, -1);
    free(g->name);
    free(g->data);
    free(g);
}

/* Calls each() without the lock, from a copy of the names: it may call back into the sink. */
static int list(void *self, struct bake_ctx *ctx, const char *prefix,
                int (*each)(void *arg, const char *name, uint64_t size, int64_t mtime_ns),
                void *arg)
{
    struct memsink *s = self;
    struct bk_strv names = {0};
    int rc = fault(s, ctx, MS_LIST, prefix);

    pthread_mutex_lock(&s->lock);
    for (size_t i = s->n; rc >= 0 && i-- > 0;) /* backwards: any order is allowed */
        if (bk_starts(s->objects[i].name, prefix) && bk_strv_add(&names, s->objects[i].name) < 0)
            rc = bake_fail(ctx, BAKE_E_NOMEM, "out of memory");
    pthread_mutex_unlock(&s->lock);
    for (size_t i = 0; rc == 0 && i < names.n; i++) {
        struct ms_object *o = ms_find(s, names.items[i]);

        rc = each(arg, names.items[i], o->n, o->mtime_ns);
    }
    bk_strv_free(&names);
    return rc;
}

static int stat_object(void *self, struct bake_ctx *ctx, const char *name, uint64_t *ret_size,
                       int64_t *ret_mtime_ns)
{
    struct ms_object *o;
    int rc = fault(self, ctx, MS_STAT, name);

    if (rc < 0)
        return rc;
    o = ms_find(self, name);
    if (!o)
        return bake_fail(ctx, BAKE_E_NOTFOUND, "there is no '%s'", name);
    *ret_size = o->n;
    *ret_mtime_ns = o->mtime_ns;
    return BAKE_OK;
}

static int remove_object(void *self, struct bake_ctx *ctx, const char *name)
{
    struct memsink *s = self;
    const struct ms_fault *f;
    int rc = BAKE_OK;

    pthread_mutex_lock(&s->lock);
    f = due(s, MS_REMOVE, name);
    if (f && !f->done_first)
        rc = f->rc;
    else if (!drop(s, name))
        rc = BAKE_E_NOTFOUND;
    if (f)
        rc = f->rc;
    pthread_mutex_unlock(&s->lock);
    return rc < 0 ? bake_fail(ctx, rc, "cannot remove '%s'", name) : BAKE_OK;
}

static int sweep(void *self, struct bake_ctx *ctx, uint64_t age_ms, uint64_t *ret_removed)
{
    struct memsink *s = self;

    (void)ctx;
    s->swept_older = age_ms;
    *ret_removed = s->sweep_removes;
    return BAKE_OK;
}

static void close_sink(void *self) { (void)self; }

const struct bk_plugin *ms_plugin(void)
{
    static const struct bk_plugin plugin = {
        .desc = {.name = "memory", .version = "1", .config_size = sizeof(struct ms_cfg)},
        .sink = {.struct_size = sizeof(struct bake_sink_ops),
                 .open = open_sink,
                 .memory = memory,
                 .put_begin = put_begin,
                 .put_write = put_write,
                 .put_end = put_end,
                 .put_abort = put_abort,
                 .get_begin = get_begin,
                 .get_read = get_read,
                 .get_close = get_close,
                 .list = list,
                 .stat = stat_object,
                 .remove = remove_object,
                 .sweep = sweep,
                 .close = close_sink},
        .kind = BK_SINK,
    };

    return &plugin;
}
