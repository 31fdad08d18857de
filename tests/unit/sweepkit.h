/* A repository in two memory sinks, backups made of numbered pieces, and a prune of it all. */
#ifndef SWEEPKIT_H
#define SWEEPKIT_H

#include "compkit.h"

#include "base/clock.h"
#include "base/path.h"
#include "run/prune.h"
#include "run/sweep.h"
#include "store/repo.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#define MS     1000000ll
#define GRACE  ((int64_t)BK_GARBAGE_GRACE_MS * MS)
#define EXPIRE ((int64_t)BK_INTENT_EXPIRE_MS * MS)

#define SK_PIECE  (60u << 10)
#define SK_PIECES 96u
#define SK_MADE   40u

struct made { /* a backup: a blob and a tree of the pieces [from, to) */
    struct bk_manifest *manifest;
    unsigned from, to;
    bool gone;
};

struct fix {
    struct kit k;
    struct bk_plugin plugin; /* the memory sink with hooks */
    char dir[64];
    char *data; /* all pieces */
    struct made made[SK_MADE];
    size_t n_made;
    struct bk_swept swept;
    /* hooks */
    unsigned left; /* writes until everything fails; 0: never */
    bool dead;
    void (*on_list)(struct fix *f, const char *prefix);
};

/* The sinks' own state is the test's, but hooks need to find it. */
static struct fix *sk_now;

/* ---- hooks ----------------------------------------------------------------------------------- */

/* True if the process is dead by now: nothing works any more. */
static inline bool sk_write(void)
{
    if (!sk_now->dead && sk_now->left > 0 && --sk_now->left == 0)
        sk_now->dead = true;
    return sk_now->dead;
}

static inline int sk_dead(struct bake_ctx *ctx) { return bake_fail(ctx, BAKE_E_AUTH, "killed"); }

static inline int sk_put_begin(void *self, struct bake_ctx *ctx, const char *name, uint64_t size,
                               uint32_t flags, void **ret)
{
    return sk_write() ? sk_dead(ctx)
                      : ms_plugin()->sink.put_begin(self, ctx, name, size, flags, ret);
}

static inline int sk_remove(void *self, struct bake_ctx *ctx, const char *name)
{
    return sk_write() ? sk_dead(ctx) : ms_plugin()->sink.remove(self, ctx, name);
}

static inline int sk_get_begin(void *self, struct bake_ctx *ctx, const char *name, uint64_t offset,
                               uint64_t n, void **ret)
{
    return sk_now->dead ? sk_dead(ctx)
                        : ms_plugin()->sink.get_begin(self, ctx, name, offset, n, ret);
}

static inline int sk_list(void *self, struct bake_ctx *ctx, const char *prefix,
                          int (*each)(void *arg, const char *name, uint64_t size, int64_t mtime),
                          void *arg)
{
    if (sk_now->on_list && self == &sk_now->k.ms[0])
        sk_now->on_list(sk_now, prefix);
    return sk_now->dead ? sk_dead(ctx) : ms_plugin()->sink.list(self, ctx, prefix, each, arg);
}

/* ---- life ------------------------------------------------------------------------------------ */

static inline int sk_setup(void **state, size_t n_sinks)
{
    struct fix *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    sk_now = f;
    (void)snprintf(f->dir, sizeof(f->dir), "/tmp/bakengine-sweep-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    assert_int_equal(setenv("BAKENGINE_CACHE_DIR", f->dir, 1), 0);
    kit_init(&f->k, n_sinks, 0);
    f->plugin = *ms_plugin();
    f->plugin.sink.put_begin = sk_put_begin;
    f->plugin.sink.remove = sk_remove;
    f->plugin.sink.get_begin = sk_get_begin;
    f->plugin.sink.list = sk_list;
    for (size_t i = 0; i < KIT_PARTS; i++)
        f->k.sinks[i].plugin = &f->plugin;
    f->k.pipeline.format = BK_FORMAT_REPOSITORY;
    f->k.pipeline.parallel = 2;
    kit_must_open(&f->k);
    f->data = kit_bytes((size_t)SK_PIECES * SK_PIECE, 7);
    *state = f;
    return 0;
}

static inline int sk_setup_one(void **state) { return sk_setup(state, 1); }
static inline int sk_setup_two(void **state) { return sk_setup(state, 2); }

static inline void sk_remove_tree(const char *path)
{
    struct dirent *e;
    DIR *d = opendir(path);

    while (d && (e = readdir(d))) {
        char *inner = bk_path_join(path, e->d_name);

        if (e->d_name[0] != '.' && inner && unlink(inner) < 0)
            sk_remove_tree(inner);
        free(inner);
    }
    if (d)
        (void)closedir(d);
    (void)rmdir(path);
}

static inline int sk_teardown(void **state)
{
    struct fix *f = *state;

    for (size_t i = 0; i < f->n_made; i++)
        bk_manifest_free(f->made[i].manifest);
    kit_release(&f->k);
    sk_remove_tree(f->dir);
    free(f->data);
    free(f);
    return 0;
}

static inline void sk_must(struct fix *f, int rc)
{
    if (rc < 0)
        fail_msg("%d: %s", rc, f->k.err.text);
}

/* ---- backups --------------------------------------------------------------------------------- */

static inline void sk_tree(struct fix *f, const struct made *b, struct tree *t)
{
    tree_add(t, BAKE_DIR, ".", NULL, 0);
    for (unsigned i = b->from; i < b->to; i++) {
        char path[32];

        (void)snprintf(path, sizeof(path), "file-%03u", i);
        tree_add(t, BAKE_FILE, path, f->data + (size_t)i * SK_PIECE, SK_PIECE);
    }
}

static inline void sk_blob(struct fix *f, const struct made *b, struct bk_store *store,
                           struct bk_mcomp *c)
{
    struct bk_compw *w;

    c->name = bk_strdup("blob");
    c->source = bk_strdup("system");
    c->plugin = bk_strdup("files");
    c->kind = BAKE_BLOB;
    sk_must(f,
            bk_compw_open(store, b->manifest->id, f->k.cancel, c->name, BAKE_BLOB, &w, &f->k.err));
    sk_must(f, bk_compw_data(w, f->data + (size_t)b->from * SK_PIECE,
                             (size_t)(b->to - b->from) * SK_PIECE, &f->k.err));
    sk_must(f, bk_compw_finish(w, c, &f->k.err));
    bk_compw_free(w);
}

/* All but the manifest. */
static inline struct made *sk_write_backup(struct fix *f, struct bk_store *store, const char *id,
                                           unsigned from, unsigned to)
{
    struct made *b = &f->made[f->n_made++];
    struct bk_store *was = f->k.store;
    struct tree t = {0};

    assert_true(f->n_made <= SK_MADE);
    b->from = from;
    b->to = to;
    b->manifest = kit_manifest(id, "nightly", "host", bk_now_ns(), 0);
    free(b->manifest->comps);
    b->manifest->comps = calloc(2, sizeof(*b->manifest->comps));
    b->manifest->n_comps = 2;
    sk_must(f, bk_backup_begin(store, NULL, &f->k.err));
    sk_blob(f, b, store, &b->manifest->comps[0]);
    sk_tree(f, b, &t);
    f->k.store = store;
    sk_must(f, tree_write(&f->k, "tree", &t, &b->manifest->comps[1]));
    f->k.store = was;
    sk_must(f, bk_backup_seal(store, b->manifest, &f->k.err));
    tree_free(&t);
    return b;
}

static inline void sk_commit(struct fix *f, struct bk_store *store, struct made *b)
{
    for (size_t i = 0; i < store->n_sinks; i++)
        if (bk_store_sink_ok(store, i))
            kit_put_manifest(&f->k.ms[i], b->manifest);
    bk_backup_end(store);
}

static inline struct made *sk_backup(struct fix *f, const char *id, unsigned from, unsigned to)
{
    struct made *b = sk_write_backup(f, f->k.store, id, from, to);

    sk_commit(f, f->k.store, b);
    return b;
}

/* As retention does it. */
static inline void sk_drop(struct fix *f, struct made *b, size_t sink)
{
    char *prefix = bk_backup_object(b->manifest->id, "");
    struct memsink *ms = &f->k.ms[sink];

    for (size_t i = ms->n; i-- > 0;)
        if (bk_starts(ms->objects[i].name, prefix))
            ms_drop(ms, ms->objects[i].name);
    b->gone |= sink == 0;
    free(prefix);
}

/* Everything was put so long ago. */
static inline void sk_age(struct fix *f, int64_t by_ns)
{
    for (size_t s = 0; s < KIT_PARTS; s++)
        f->k.ms[s].clock_ns += by_ns;
}

/* Every backup that is there is as it was made. */
static inline void sk_check_one(struct fix *f, struct bk_sink *sink, const struct made *b)
{
    size_t n = (size_t)(b->to - b->from) * SK_PIECE, at = 0;
    struct tree_got got;
    struct tree t = {0};
    struct bk_compr *r;
    char *buffer = malloc(n + 1);
    int rc = BAKE_OK;

    assert_non_null(buffer);
    sk_must(f, bk_compr_open(f->k.store, sink, b->manifest, &b->manifest->comps[0], 0, f->k.cancel,
                             &r, &f->k.err));
    while (rc == BAKE_OK) {
        struct bake_out out = {buffer + at, n + 1 - at, 0};

        rc = bk_compr_read(r, &out, &f->k.err);
        at += out.pos;
    }
    sk_must(f, rc);
    bk_compr_free(r);
    assert_int_equal(at, n);
    assert_memory_equal(buffer, f->data + (size_t)b->from * SK_PIECE, n);
    free(buffer);
    sk_tree(f, b, &t);
    if (sink == bk_store_base(f->k.store)) {
        tree_read(&f->k, &b->manifest->comps[1], &t, 0, &got);
        sk_must(f, got.rc);
        assert_int_equal(got.entries, t.n);
        tree_got_free(&got);
    }
    tree_free(&t);
}

static inline void sk_check(struct fix *f)
{
    sk_must(f, kit_open(&f->k, BK_STORE_WRITE));
    for (size_t s = 0; s < f->k.store->n_sinks; s++)
        for (size_t i = 0; i < f->n_made; i++) {
            char *name = bk_backup_object(f->made[i].manifest->id, BK_MANIFEST_NAME);

            if (ms_find(&f->k.ms[s], name))
                sk_check_one(f, &f->k.store->sinks[s], &f->made[i]);
            else
                assert_true(s > 0 || f->made[i].gone);
            free(name);
        }
}

/* ---- prune ----------------------------------------------------------------------------------- */

/* What prune does after retention. */
static inline int sk_prune(struct fix *f, bool rewrite)
{
    struct bk_store *store = f->k.store;
    struct bk_lease *leases[KIT_PARTS] = {NULL};
    struct bk_sweep *all[KIT_PARTS] = {NULL};
    size_t n = store->n_sinks;
    bool moved = false;
    int rc = BAKE_OK;

    bk_err_clear(&f->k.err);
    for (size_t i = 0; i < n && rc >= 0; i++) {
        rc = bk_lease_take(&store->sinks[i], "host", &leases[i], &f->k.err);
        if (rc >= 0)
            rc = bk_sweep_new(store, &store->sinks[i], leases[i], NULL, &all[i], &f->k.err);
        if (rc >= 0)
            rc = bk_sweep_run(all[i], &f->k.err);
    }
    if (rc >= 0 && rewrite)
        rc = bk_sweep_rewrite(all, n, &moved, &f->k.err);
    for (size_t i = 0; i < n && rc >= 0 && moved; i++)
        rc = bk_sweep_run(all[i], &f->k.err);
    for (size_t i = 0; i < n && rc >= 0; i++)
        rc = bk_sweep_clean(all[i], rewrite, &f->k.err);
    memset(&f->swept, 0, sizeof(f->swept));
    for (size_t i = 0; i < n && all[i]; i++) {
        const struct bk_swept *c = bk_sweep_counts(all[i]);

        f->swept.removed += c->removed;
        f->swept.removed_bytes += c->removed_bytes;
        f->swept.condemned += c->condemned;
        f->swept.young += c->young;
        f->swept.rewritten += c->rewritten;
        f->swept.written_bytes += c->written_bytes;
    }
    for (size_t i = 0; i < n; i++) {
        bk_sweep_free(all[i]);
        bk_lease_release(leases[i]);
    }
    bk_repo_forget(store);
    return rc;
}

static inline size_t sk_count(struct fix *f, const char *prefix)
{
    return ms_count(&f->k.ms[0], prefix);
}

#endif
