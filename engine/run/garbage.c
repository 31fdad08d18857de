/* Collecting garbage. */
#include "run/garbage.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/str.h"
#include "run/prune.h"
#include "store/bundle.h"
#include "store/layout.h"

#include <stdlib.h>
#include <string.h>

struct scan {
    struct bk_strv whole;     /* ids with a manifest, sorted */
    struct bk_strv writing;   /* ids that a live writer claims */
    struct bk_strv stale;     /* ids of writers whose intent has expired, but is not garbage yet */
    struct bk_strv found;     /* names of garbage */
    struct bk_strv announced; /* what announces bundles: their own age is looked at */
    struct bk_garbage *counts;
    int64_t now_ns;
    int rc;
};

static bool has_sorted(const struct bk_strv *v, const char *id, size_t n)
{
    size_t low = 0, high = v->n;

    while (low < high) {
        size_t mid = (low + high) / 2;
        int order = strncmp(v->items[mid], id, n);

        if (order == 0 && v->items[mid][n])
            order = 1;
        if (order == 0)
            return true;
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return false;
}

static int add(struct scan *s, struct bk_strv *v, const char *from, size_t n)
{
    char *copy BK_FREE = strndup(from, n);

    if (!copy || bk_strv_add(v, copy) < 0)
        s->rc = BAKE_E_NOMEM;
    return s->rc;
}

static int find_whole(void *arg, const char *name, uint64_t size, int64_t mtime_ns)
{
    struct scan *s = arg;
    const char *id = name + strlen(BK_BACKUPS), *slash = strchr(id, '/');

    (void)size;
    (void)mtime_ns;
    if (slash && bk_streq(slash + 1, BK_MANIFEST_NAME))
        return add(s, &s->whole, id, (size_t)(slash - id));
    return 0;
}

static int find_writing(void *arg, const char *name, uint64_t size, int64_t mtime_ns)
{
    struct scan *s = arg;
    const char *id = name + strlen(BK_WRITERS);

    if (s->now_ns - mtime_ns < (int64_t)BK_INTENT_EXPIRE_MS * 1000000)
        return add(s, &s->writing, id, strlen(id));
    if (s->now_ns - mtime_ns < (int64_t)BK_GARBAGE_GRACE_MS * 1000000)
        return add(s, &s->stale, id, strlen(id));
    s->counts->objects++; /* the intent of a run that was killed */
    s->counts->bytes += size;
    return add(s, &s->found, name, strlen(name));
}

/* An intent goes before any object of its run: a run that wakes up again sees by that that it must
 * not commit. */
static int find_intent(struct scan *s, const char *id, size_t n)
{
    for (size_t i = 0; i < s->stale.n; i++) {
        char *name BK_FREE = NULL;

        if (strncmp(s->stale.items[i], id, n) != 0 || s->stale.items[i][n])
            continue;
        name = bk_asprintf(BK_WRITERS "%s", s->stale.items[i]);
        if (!name)
            return s->rc = BAKE_E_NOMEM;
        s->stale.items[i][0] = '\0'; /* once */
        return add(s, &s->found, name, strlen(name));
    }
    return 0;
}

static int find_garbage(void *arg, const char *name, uint64_t size, int64_t mtime_ns)
{
    struct scan *s = arg;
    const char *id = name + strlen(BK_BACKUPS), *slash = strchr(id, '/');
    size_t n = slash ? (size_t)(slash - id) : strlen(id);

    if (s->now_ns - mtime_ns < (int64_t)BK_GARBAGE_GRACE_MS * 1000000 ||
        has_sorted(&s->whole, id, n) || has_sorted(&s->writing, id, n))
        return 0;
    if (find_intent(s, id, n) < 0)
        return s->rc;
    if (bk_bundle_announced(name))
        return add(s, &s->announced, name, strlen(name));
    s->counts->objects++;
    s->counts->bytes += size;
    return add(s, &s->found, name, strlen(name));
}

/* Before what announces a bundle goes the bundle itself; nothing else at the root is touched. */
static int find_bundle(struct bk_sink *sink, struct scan *s, const char *marker, struct bk_err *err)
{
    const char *bundle = bk_bundle_announced(marker);
    struct bk_err why = {0};
    uint64_t size;
    int64_t mtime_ns;
    int rc = bk_sink_stat(sink, bundle, &size, &mtime_ns, &why);

    if (rc < 0 && rc != BAKE_E_NOTFOUND) {
        *err = why;
        return rc;
    }
    if (rc >= 0 && s->now_ns - mtime_ns < (int64_t)BK_GARBAGE_GRACE_MS * 1000000)
        return BAKE_OK;
    if (rc >= 0) {
        s->counts->objects++;
        s->counts->bytes += size;
        (void)add(s, &s->found, bundle, strlen(bundle));
    }
    s->counts->objects++;
    return add(s, &s->found, marker, strlen(marker));
}

/* Counting alone must not write anything, so it makes do with this host's clock. */
static int scan(struct bk_sink *sink, struct scan *s, bool count_only, struct bk_err *err)
{
    int rc = BAKE_OK;

    if (count_only)
        s->now_ns = bk_now_ns();
    else
        rc = bk_sink_now(sink, &s->now_ns, err);

    /* Writers first: one that ends between the listings then has its manifest in the second. */
    if (rc >= 0)
        rc = bk_sink_list(sink, BK_WRITERS, find_writing, s, err);
    if (rc >= 0)
        rc = bk_sink_list(sink, BK_BACKUPS, find_whole, s, err);
    if (rc < 0)
        return s->rc < 0 ? bk_nomem(err) : rc;
    bk_strv_sort(&s->whole);
    bk_strv_sort(&s->writing);
    rc = bk_sink_list(sink, BK_BACKUPS, find_garbage, s, err);
    for (size_t i = 0; i < s->announced.n && rc >= 0 && s->rc >= 0; i++)
        rc = find_bundle(sink, s, s->announced.items[i], err);
    return s->rc < 0 ? bk_nomem(err) : rc;
}

static int sweep_puts(struct bk_sink *sink, struct bk_garbage *ret, struct bk_err *err)
{
    struct bk_ctx ctx;
    uint64_t removed = 0;
    int rc;

    if (!sink->ops->sweep)
        return BAKE_OK;
    bk_sink_ctx(sink, NULL, &ctx);
    rc = sink->ops->sweep(sink->self, &ctx.base, BK_GARBAGE_GRACE_MS, &removed);
    ret->objects += removed;
    return rc < 0 ? bk_ctx_fail(&ctx, rc, err) : BAKE_OK;
}

int bk_garbage_collect(struct bk_sink *sink, struct bk_lease *lease, struct bk_garbage *ret,
                       struct bk_err *err)
{
    struct scan s = {.counts = ret};
    int rc = scan(sink, &s, !lease, err);

    for (size_t i = 0; lease && rc >= 0 && i < s.found.n; i++) {
        rc = i % 100 == 0 ? bk_lease_check(lease, err) : BAKE_OK;
        if (rc >= 0)
            rc = bk_sink_remove(sink, s.found.items[i], err);
        if (rc == BAKE_E_NOTFOUND)
            rc = BAKE_OK;
    }
    if (lease && rc >= 0)
        rc = sweep_puts(sink, ret, err);
    bk_strv_free(&s.whole);
    bk_strv_free(&s.writing);
    bk_strv_free(&s.stale);
    bk_strv_free(&s.found);
    bk_strv_free(&s.announced);
    return rc;
}
