/* The index in the cache directory: one folder per store and sink, one process at a time may write
 * it; what does not load is made anew from the store. */
#include "base/cleanup.h"
#include "base/digest.h"
#include "base/io.h"
#include "base/json.h"
#include "base/path.h"
#include "store/index_private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#define STATE_NAME  "state.json"
#define PACKS_NAME  "packs"
#define STATE_LIMIT (256u << 20)
#define PACKS_LIMIT (2048ull << 20)

/* $BAKENGINE_CACHE_DIR; else for root the system's cache folder, else $XDG_CACHE_HOME/bakengine or
 * ~/.cache/bakengine; NULL: there is none. */
static char *cache_root(void)
{
    const char *own = secure_getenv("BAKENGINE_CACHE_DIR"), *xdg = secure_getenv("XDG_CACHE_HOME");
    const char *home = secure_getenv("HOME");

    if (own && own[0] == '/')
        return bk_strdup(own);
    if (geteuid() == 0)
        return bk_strdup("/var/cache/bakengine");
    if (xdg && xdg[0] == '/')
        return bk_path_join(xdg, "bakengine");
    return home && home[0] == '/' ? bk_path_join(home, ".cache/bakengine") : NULL;
}

static char *in_dir(const struct bk_index *x, const char *name)
{
    return bk_path_join(x->dir, name);
}

int bk_index_cache_open(struct bk_index *x, struct bk_err *err)
{
    char *root BK_FREE = cache_root(), *lock BK_FREE = NULL;
    char *store BK_FREE = root ? bk_path_join(root, x->store->id) : NULL;
    const char *sink = x->sink->part->name;
    struct bk_err why = {0};

    if (!root || !bk_name_ok(sink))
        return BAKE_OK;
    x->dir = store ? bk_path_join(store, sink) : NULL;
    if (!x->dir)
        return bk_nomem(err);
    lock = in_dir(x, "lock");
    if (!lock)
        return bk_nomem(err);
    /* A cache that cannot be had is no failure: everything is read from the store again. */
    if (bk_mkdir_p(x->dir, 0700, &why) >= 0)
        x->dir_lock = open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (x->dir_lock >= 0 && flock(x->dir_lock, LOCK_EX | LOCK_NB) < 0) {
        (void)close(x->dir_lock);
        x->dir_lock = -1;
    }
    return BAKE_OK;
}

void bk_index_cache_close(struct bk_index *x)
{
    if (x->dir_lock >= 0)
        (void)close(x->dir_lock);
    free(x->dir);
}

int bk_index_cache_file(struct bk_index *x, bool named, int *ret_fd, char **ret_name,
                        struct bk_err *err)
{
    const char *tmp = secure_getenv("TMPDIR");
    unsigned char random[8];
    char hex[2 * sizeof(random) + 1];
    char *path BK_FREE = NULL;
    int rc = bk_random(random, sizeof(random), err);

    if (rc < 0)
        return rc;
    *ret_name = NULL;
    bk_hex(random, sizeof(random), hex);
    if (named && x->dir_lock >= 0) {
        char *name = bk_asprintf("run-%s", hex);

        path = name ? in_dir(x, name) : NULL;
        *ret_fd = path ? open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600) : -1;
        if (*ret_fd >= 0) {
            *ret_name = name;
            return BAKE_OK;
        }
        free(name);
    }
    *ret_fd = open(tmp && *tmp ? tmp : "/var/tmp", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
    if (*ret_fd < 0)
        *ret_fd = open("/tmp", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
    if (*ret_fd >= 0)
        return BAKE_OK;
    (void)bk_fail_errno(err, errno, "cannot make a file for the chunk index");
    if (err)
        err->rc = BAKE_E_NOSPACE;
    return BAKE_E_NOSPACE;
}

void bk_index_cache_drop(struct bk_index *x, const char *name)
{
    char *path BK_FREE = in_dir(x, name);

    if (path)
        (void)unlink(path);
}

/* ---- packs ----------------------------------------------------------------------------------- */

enum { PRESENT = 1, COUNTS = 2, NAMED = 4, HIDES = 8 };

/* A pack that is distrusted is written as one that does not count: the next time it may count
 * again, and then the index is made anew. */
static unsigned flags_of(const struct bk_index_pack *p)
{
    return (p->present ? PRESENT : 0u) | (p->counts ? COUNTS : 0u) | (p->named ? NAMED : 0u) |
           (p->hides ? HIDES : 0u);
}

static void write_packs(const struct bk_index *x, struct bk_buf *out)
{
    bk_id sum;

    bk_put_varint(out, x->n_packs);
    for (size_t i = 0; i < x->n_packs; i++) {
        const struct bk_index_pack *p = &x->packs[i];

        bk_buf_add(out, p->id.b, sizeof(p->id.b));
        bk_put_varint(out, p->size);
        bk_put_varint(out, p->head);
        bk_put_varint(out, flags_of(p));
        bk_put_varint(out, p->n_segments);
        for (uint32_t s = 0; s < p->n_segments; s++) {
            bk_put_varint(out, p->segments[s].stored);
            bk_put_varint(out, p->segments[s].plain);
            bk_put_varint(out, p->segments[s].chunks);
            bk_put_varint(out, p->segments[s].flags);
        }
    }
    if (bk_id_of(out->data, out->len, &sum, NULL) < 0)
        out->failed = 1;
    bk_buf_add(out, sum.b, sizeof(sum.b));
}

static bool read_pack(struct bk_index *x, struct bk_reader *r)
{
    struct bk_pack_table t = {.n_segments = 0}; /* where its chunks are is in the runs */
    const bk_id *id = bk_get_raw(r, sizeof(*id));
    uint64_t size = bk_get_varint(r), head = bk_get_varint(r);
    uint64_t flags = bk_get_varint(r), n = bk_get_varint(r);
    struct bk_index_pack *p;
    uint32_t number;

    if (r->bad || n > BK_MAX_SEGMENTS || bk_index_pack_of(x, id))
        return false;
    for (; t.n_segments < n; t.n_segments++) {
        struct bk_segment *s = &t.segments[t.n_segments];

        s->stored = (uint32_t)bk_get_varint(r);
        s->plain = (uint32_t)bk_get_varint(r);
        s->chunks = (uint32_t)bk_get_varint(r);
        s->flags = (uint32_t)bk_get_varint(r);
    }
    if (r->bad ||
        bk_index_new_pack(x, id, size, (uint32_t)head, &t, BK_RANK_GONE, &number, NULL) < 0)
        return false;
    p = &x->packs[number];
    p->present = flags & PRESENT;
    p->counts = flags & COUNTS;
    p->named = flags & NAMED;
    p->hides = flags & HIDES;
    return true;
}

/* want: the digest that the state says, since the two are written one after the other. */
static bool read_packs(struct bk_index *x, const char *want)
{
    char hex[BK_SHA256_HEX];
    struct bk_buf text BK_CLEANUP(bk_buf_free) = BK_BUF_INIT;
    char *path BK_FREE = in_dir(x, PACKS_NAME);
    struct bk_reader r;
    uint64_t n;
    bk_id sum;

    if (!path || bk_read_file(path, PACKS_LIMIT, &text, NULL) < 0 || text.len < sizeof(sum) ||
        bk_id_of(text.data, text.len - sizeof(sum), &sum, NULL) < 0 ||
        memcmp(sum.b, text.data + text.len - sizeof(sum), sizeof(sum)) != 0)
        return false;
    bk_hex(sum.b, sizeof(sum.b), hex);
    if (!bk_streq(hex, want))
        return false;
    r = bk_reader_of(text.data, text.len - sizeof(sum));
    n = bk_get_varint(&r);
    while (n-- > 0)
        if (!read_pack(x, &r))
            return false;
    return !r.bad && r.p == r.end;
}

/* ---- state ----------------------------------------------------------------------------------- */

static bool load_run(struct bk_index *x, const char *name)
{
    struct bk_index_run *r = &x->runs[x->n_runs];
    char *path BK_FREE = in_dir(x, name);
    int fd;

    if (!path || !bk_starts(name, "run-") || strchr(name, '/') || x->n_runs == BK_INDEX_MAX_RUNS)
        return false;
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || bk_run_open(fd, x->cache, &r->run, NULL) < 0)
        return false;
    /* Of another process's cache it has no name: it is not ours to remove. */
    r->name = x->dir_lock >= 0 ? bk_strdup(name) : NULL;
    r->marks = NULL;
    x->n_runs++;
    return r->name || x->dir_lock < 0;
}

static bool load_state(struct bk_index *x)
{
    struct bk_buf text BK_CLEANUP(bk_buf_free) = BK_BUF_INIT;
    char *path BK_FREE = in_dir(x, STATE_NAME);
    json_t *j BK_JSON = NULL;
    const json_t *runs, *objects;
    const char *packs;

    if (!path || bk_read_file(path, STATE_LIMIT, &text, NULL) < 0 ||
        bk_json_unseal(text.data, text.len, "index cache", &j, NULL) < 0 ||
        bk_json_array(j, "index cache", "runs", &runs, NULL) < 0 ||
        bk_json_array(j, "index cache", "objects", &objects, NULL) < 0 ||
        bk_json_str(j, "index cache", "packs", &packs, NULL) < 0 || !read_packs(x, packs))
        return false;
    for (size_t i = 0; i < json_array_size(runs); i++) {
        const char *name = json_string_value(json_array_get(runs, i));

        if (!name || !load_run(x, name))
            return false;
    }
    for (size_t i = 0; i < json_array_size(objects); i++) {
        const char *name = json_string_value(json_array_get(objects, i));

        if (!name || bk_strv_add(&x->objects, name) < 0)
            return false;
    }
    bk_strv_sort(&x->objects);
    return true;
}

void bk_index_cache_load(struct bk_index *x)
{
    if (x->dir && !load_state(x))
        bk_index_reset(x);
    else
        x->changed = false;
}

/* Files of the folder that the state does not name: of a process that was killed. */
static void drop_strays(struct bk_index *x)
{
    DIR *d = opendir(x->dir);
    struct dirent *e;

    while (d && (e = readdir(d))) {
        bool ours = !bk_starts(e->d_name, "run-");

        for (size_t i = 0; i < x->n_runs; i++)
            ours |= bk_streq(e->d_name, x->runs[i].name);
        if (!ours)
            (void)unlinkat(dirfd(d), e->d_name, 0);
    }
    if (d)
        (void)closedir(d);
}

static int put_names(json_t *j, const char *key, char *const *names, size_t n)
{
    json_t *list = json_array();

    if (json_object_set_new(j, key, list) < 0)
        return -1;
    for (size_t i = 0; i < n; i++)
        if (json_array_append_new(list, json_string(names[i])) < 0)
            return -1;
    return 0;
}

/* The state: the runs, the index objects that are in them, and the digest of the packs. */
static int state_text(const struct bk_index *x, const struct bk_buf *packs, struct bk_buf *ret,
                      struct bk_err *err)
{
    json_t *j BK_JSON = json_object();
    char hex[BK_SHA256_HEX], *runs[BK_INDEX_MAX_RUNS + 1];

    for (size_t i = 0; i < x->n_runs; i++)
        runs[i] = x->runs[i].name;
    bk_hex((unsigned char *)packs->data + packs->len - sizeof(bk_id), sizeof(bk_id), hex);
    if (put_names(j, "runs", runs, x->n_runs) < 0 ||
        put_names(j, "objects", x->objects.items, x->objects.n) < 0 ||
        json_object_set_new(j, "packs", json_string(hex)) < 0)
        return bk_nomem(err);
    return bk_json_seal(j, ret, err);
}

int bk_index_cache_save(struct bk_index *x, struct bk_err *err)
{
    struct bk_buf packs BK_CLEANUP(bk_buf_free) = BK_BUF_INIT;
    struct bk_buf state BK_CLEANUP(bk_buf_free) = BK_BUF_INIT;
    char *packs_path BK_FREE = in_dir(x, PACKS_NAME), *state_path BK_FREE = in_dir(x, STATE_NAME);
    int rc;

    if (!x->changed)
        return BAKE_OK;
    for (size_t i = 0; i < x->n_runs; i++)
        if (!x->runs[i].name)
            return BAKE_OK; /* made where it cannot stay: the next run reads the store again */
    write_packs(x, &packs);
    if (!packs_path || !state_path || packs.failed)
        return bk_nomem(err);
    /* The state goes first: without it nothing is believed, with it all must fit. */
    (void)unlink(state_path);
    if ((rc = state_text(x, &packs, &state, err)) < 0 ||
        (rc = bk_write_file(packs_path, packs.data, packs.len, 0600, err)) < 0 ||
        (rc = bk_write_file(state_path, state.data, state.len, 0600, err)) < 0)
        return rc;
    drop_strays(x);
    x->changed = false;
    return BAKE_OK;
}
