/* What the index's tests share: an index over a memory sink with a cache directory of its own. */
#ifndef INDEXKIT_H
#define INDEXKIT_H

#include "storekit.h"

#include "base/json.h"
#include "repokit.h"
#include "store/index.h"
#include "store/index_private.h"
#include "store/packer.h"
#include "store/sealed.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#define HEAD (BK_PACK_HEAD_MIN + 6u) /* a pack's header that names the one transform "fake" */

struct fix {
    struct kit k;
    char dir[64];
    struct bk_index *x;
    struct bk_err err;
};

static inline int setup_with(void **state, size_t n_transforms)
{
    struct fix *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    (void)snprintf(f->dir, sizeof(f->dir), "/tmp/bakengine-index-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    assert_int_equal(setenv("BAKENGINE_CACHE_DIR", f->dir, 1), 0);
    kit_init(&f->k, 1, n_transforms);
    kit_must_open(&f->k);
    *state = f;
    return 0;
}

static inline int setup(void **state) { return setup_with(state, 1); }

/* Calls each() with the path of every file of the store's folder. */
static inline size_t each_file(struct fix *f, void (*each)(const char *path))
{
    char folder[160], path[512];
    struct dirent *e;
    size_t n = 0;
    DIR *d;

    (void)snprintf(folder, sizeof(folder), "%s/%s/first", f->dir, f->k.store->id);
    d = opendir(folder);
    while (d && (e = readdir(d))) {
        if (e->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
        if (each)
            each(path);
        n++;
    }
    if (d)
        (void)closedir(d);
    return n;
}

static inline void erase(const char *path) { assert_int_equal(unlink(path), 0); }

static inline int teardown(void **state)
{
    struct fix *f = *state;
    char folder[160];

    bk_index_free(f->x);
    (void)each_file(f, erase);
    (void)snprintf(folder, sizeof(folder), "%s/%s/first", f->dir, f->k.store->id);
    (void)rmdir(folder);
    *strrchr(folder, '/') = '\0';
    (void)rmdir(folder);
    (void)rmdir(f->dir);
    kit_release(&f->k);
    free(f);
    return 0;
}

static inline void close_index(struct fix *f)
{
    bk_index_free(f->x);
    f->x = NULL;
}

static inline int try_open(struct fix *f, unsigned flags)
{
    close_index(f);
    bk_err_clear(&f->err);
    return bk_index_open(f->k.store, &f->k.store->sinks[0], flags, &f->x, &f->err);
}

static inline void open_index(struct fix *f)
{
    if (try_open(f, 0) < 0)
        fail_msg("%s", f->err.text);
}

/* As in a process that has no cache yet. */
static inline void open_anew(struct fix *f)
{
    close_index(f);
    (void)each_file(f, erase);
    open_index(f);
}

static inline void save(struct fix *f)
{
    if (bk_index_save(f->x, &f->err) < 0)
        fail_msg("%s", f->err.text);
}

static inline uint32_t length_of(uint64_t number) { return 20 + (uint32_t)(number % 50); }

static inline int stored(void *arg, const bk_id *pack, uint64_t size, uint32_t head,
                         const struct bk_pack_table *table, struct bk_err *err)
{
    struct fix *f = arg;

    return f->x ? bk_index_add(f->x, pack, size, head, table, err) : BAKE_OK;
}

/* Real packs of the chunks [from, to), in packs of `each`; into the index when it is open. */
static inline void make_packs(struct fix *f, uint64_t from, uint64_t to, uint64_t each)
{
    struct bk_packer_opts opts = {1, stored, f};
    struct bk_packer *p;

    assert_int_equal(bk_packer_new(f->k.store, f->k.cancel, &opts, &p, &f->err), 0);
    for (uint64_t i = from; i < to; i++) {
        unsigned char data[100];
        bk_id id = rk_id(i);

        rk_fill(data, sizeof(data), i);
        assert_int_equal(bk_packer_add(p, BK_PACK_DATA, &id, data, length_of(i), &f->err), 0);
        if ((i + 1 - from) % each == 0 || i + 1 == to)
            assert_int_equal(bk_packer_flush(p, &f->err), 0);
    }
    bk_packer_free(p);
}

/* The chunks [from, to) are found, in order within their packs. */
static inline void must_have(struct fix *f, uint64_t from, uint64_t to)
{
    for (uint64_t i = from; i < to; i++) {
        struct bk_index_pack pack;
        struct bk_loc loc;
        bk_id id = rk_id(i);
        char name[BK_PACK_NAME_CAP];

        if (bk_index_find(f->x, &id, false, &loc, &pack, &f->err) < 0)
            fail_msg("chunk %llu: %s", (unsigned long long)i, f->err.text);
        assert_int_equal(loc.length, length_of(i));
        assert_true(pack.present && pack.counts && loc.segment < pack.n_segments);
        assert_true(loc.offset + loc.length <= pack.segments[loc.segment].plain);
        assert_int_equal(pack.head, HEAD);
        bk_pack_name(&pack.id, name);
        assert_non_null(ms_find(&f->k.ms[0], name));
        assert_int_equal(ms_find(&f->k.ms[0], name)->n, pack.size);
        assert_int_equal(bk_index_has(f->x, &id, &f->err), BAKE_OK);
    }
}

/* They are found for reading alone. */
static inline void must_read(struct fix *f, uint64_t from, uint64_t to)
{
    for (uint64_t i = from; i < to; i++) {
        struct bk_index_pack pack;
        struct bk_loc loc;
        bk_id id = rk_id(i);

        if (bk_index_find(f->x, &id, false, &loc, &pack, &f->err) < 0)
            fail_msg("chunk %llu: %s", (unsigned long long)i, f->err.text);
        assert_int_equal(loc.length, length_of(i));
        assert_true(pack.present && !pack.counts);
        assert_int_equal(bk_index_has(f->x, &id, &f->err), BAKE_END);
    }
}

static inline void must_lack(struct fix *f, uint64_t from, uint64_t to)
{
    for (uint64_t i = from; i < to; i++) {
        struct bk_index_pack pack;
        struct bk_loc loc;
        bk_id id = rk_id(i);

        assert_int_equal(bk_index_find(f->x, &id, false, &loc, &pack, &f->err), BAKE_E_NOTFOUND);
        assert_int_equal(bk_index_has(f->x, &id, &f->err), BAKE_END);
    }
}

/* The name of the pack that holds a chunk. */
static inline void pack_of(struct fix *f, uint64_t chunk, char name[BK_PACK_NAME_CAP])
{
    struct bk_index_pack pack;
    struct bk_loc loc;
    bk_id id = rk_id(chunk);

    assert_int_equal(bk_index_find(f->x, &id, false, &loc, &pack, &f->err), 0);
    bk_pack_name(&pack.id, name);
}

/* A pack as the index takes it, without one in the sink. */
static inline void add_unreal(struct fix *f, uint64_t pack, uint64_t from, uint64_t n)
{
    struct bk_pack_table t = {.n_segments = 1};
    bk_id id = rk_id(UINT64_MAX - pack);

    for (uint64_t i = from; i < from + n; i++) {
        bk_id chunk = rk_id(i);

        t.segments[0].plain += length_of(i);
        t.segments[0].chunks++;
        assert_int_equal(bk_pack_table_add(&t, &chunk, length_of(i)), 0);
    }
    t.segments[0].stored = 1000;
    if (bk_index_add(f->x, &id, 4000, HEAD, &t, &f->err) < 0)
        fail_msg("%s", f->err.text);
    bk_pack_table_release(&t);
}

/* The pack of a chunk no longer counts: bad. */
static inline void set_bad(struct fix *f, const char *pack, bool bad)
{
    char name[80];

    (void)snprintf(name, sizeof(name), "bad/%s", pack + 9);
    if (bad)
        ms_set(&f->k.ms[0], name, "", 0);
    else
        ms_drop(&f->k.ms[0], name);
}

/* The same: condemned, with others or alone. */
static inline void condemn(struct fix *f, const char *object, const char *const *packs, size_t n)
{
    struct bk_buf text = BK_BUF_INIT;
    json_t *j = json_object(), *list = json_array();

    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_string(packs[i] + 9));
    json_object_set_new(j, "packs", list);
    assert_int_equal(bk_json_seal(j, &text, &f->err), 0);
    ms_set(&f->k.ms[0], object, text.data, text.len);
    json_decref(j);
    bk_buf_free(&text);
}

static inline void drop_objects(struct fix *f)
{
    struct memsink *s = &f->k.ms[0];

    for (size_t k = s->n; k-- > 0;)
        if (strncmp(s->objects[k].name, "indexes/", 8) == 0)
            ms_drop(s, s->objects[k].name);
}

#endif
