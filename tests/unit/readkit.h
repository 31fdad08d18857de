/* What the tests of reading a repository share: stores whose packs hold what a test wants. */
#ifndef READKIT_H
#define READKIT_H

#include "compkit.h"

#include "repokit.h"
#include "store/fetch_private.h"
#include "store/repo.h"

#include <ftw.h>
#include <unistd.h>

#define CHUNK (100u << 10) /* twenty in a segment, 160 in a pack */

struct fix {
    struct kit k;
    char dir[64];
    struct bk_repo_side *side;
    struct bk_fetch *f; /* the side's, or the test's own */
    struct bk_fetch *own;
};

static inline int read_setup(void **state, size_t transforms)
{
    struct fix *x = calloc(1, sizeof(*x));

    assert_non_null(x);
    (void)snprintf(x->dir, sizeof(x->dir), "/tmp/bakengine-read-XXXXXX");
    assert_non_null(mkdtemp(x->dir));
    assert_int_equal(setenv("BAKENGINE_CACHE_DIR", x->dir, 1), 0);
    kit_init(&x->k, 1, transforms);
    x->k.pipeline.format = BK_FORMAT_REPOSITORY;
    x->k.pipeline.parallel = 2;
    kit_must_open(&x->k);
    *state = x;
    return 0;
}

static inline int setup(void **state) { return read_setup(state, 1); }
static inline int setup_plain(void **state) { return read_setup(state, 0); }

static inline int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

static inline void drop_cache(struct fix *x)
{
    bk_fetch_free(x->own);
    x->own = x->f = NULL;
    x->side = NULL;
    bk_repo_forget(x->k.store);
    (void)nftw(x->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    assert_int_equal(mkdir(x->dir, 0700), 0);
}

static inline int teardown(void **state)
{
    struct fix *x = *state;

    drop_cache(x);
    (void)rmdir(x->dir);
    kit_release(&x->k);
    free(x);
    return 0;
}

/* Chunk `number`'s bytes follow from it. */
static inline bk_id chunk_of(uint64_t number, unsigned char *data)
{
    rk_fill(data, CHUNK / 25, number + 1);
    for (size_t i = 1; i < 25; i++) {
        memcpy(data + i * (CHUNK / 25), data, CHUNK / 25);
        data[i * (CHUNK / 25)] = (unsigned char)i;
    }
    return rk_id_of(data, CHUNK);
}

static inline bk_id chunk_id(uint64_t number)
{
    unsigned char *data = malloc(CHUNK);
    bk_id id = chunk_of(number, data);

    free(data);
    return id;
}

/* The chunks [from, to) as packs of their own. */
static inline void put_chunks(struct fix *x, uint64_t from, uint64_t to)
{
    unsigned char *data = malloc(CHUNK);

    bk_fetch_free(x->own);
    x->own = x->f = NULL;
    if (bk_repo_begin(x->k.store, &x->k.err) < 0)
        fail_msg("%s", x->k.err.text);
    for (uint64_t i = from; i < to; i++) {
        bk_id id = chunk_of(i, data);
        bool fresh;

        assert_int_equal(
            bk_repo_put(x->k.store->repo, BK_PACK_DATA, &id, data, CHUNK, &fresh, &x->k.err), 0);
    }
    assert_int_equal(bk_packer_flush(x->k.store->repo->packer, &x->k.err), 0);
    assert_int_equal(bk_index_save(x->k.store->repo->write->index, &x->k.err), 0);
    bk_repo_end(x->k.store);
    free(data);
}

/* As in a new session. cache 0: the usual one. */
static inline void open_fetch(struct fix *x, size_t cache)
{
    bk_fetch_free(x->own);
    x->own = NULL;
    bk_repo_forget(x->k.store);
    if (bk_repo_side_of(x->k.store, bk_store_base(x->k.store), &x->side, &x->k.err) < 0)
        fail_msg("%s", x->k.err.text);
    x->f = x->side->fetch;
    if (cache > 0) {
        assert_int_equal(bk_fetch_new(x->k.store, x->side->sink, x->side->index, x->k.cancel, cache,
                                      &x->own, &x->k.err),
                         0);
        x->f = x->own;
    }
    ms_heal(&x->k.ms[0]);
}

/* The pack (of memory) that holds the chunk, and where it is. */
static inline struct ms_object *pack_of(struct fix *x, const bk_id *id, struct bk_loc *ret_loc,
                                        uint64_t *ret_segment)
{
    struct bk_index_pack info;
    char name[BK_PACK_NAME_CAP];
    struct ms_object *o;

    if (bk_index_find(x->side->index, id, false, ret_loc, &info, &x->k.err) < 0)
        fail_msg("%s", x->k.err.text);
    bk_pack_name(&info.id, name);
    o = ms_find(&x->k.ms[0], name);
    assert_non_null(o);
    *ret_segment = info.head;
    for (uint32_t i = 0; i < ret_loc->segment; i++)
        *ret_segment += info.segments[i].stored;
    return o;
}

#define T(f)  cmocka_unit_test_setup_teardown(f, setup, teardown)
#define TP(f) cmocka_unit_test_setup_teardown(f, setup_plain, teardown)

#endif
