/* store/fetch: chunks out of packs, how often the sink is asked, and what damage touches. */
#include "readkit.h"

/* OK: and the bytes are the chunk's. */
static int get(struct fix *x, uint64_t number)
{
    unsigned char *data = malloc(CHUNK);
    bk_id id = chunk_of(number, data);
    struct bk_buf b = BK_BUF_INIT;
    int rc;

    bk_err_clear(&x->k.err);
    rc = bk_fetch_chunk(x->f, &id, CHUNK, &b, &x->k.err);
    assert_int_equal(x->k.err.rc, rc < 0 ? rc : 0);
    if (rc >= 0) {
        assert_int_equal(b.len, CHUNK);
        assert_memory_equal(b.data, data, CHUNK);
    }
    bk_buf_free(&b);
    free(data);
    return rc;
}

static int check(struct fix *x, uint64_t number)
{
    bk_id id = chunk_id(number);
    int rc;

    bk_err_clear(&x->k.err);
    rc = bk_fetch_check(x->f, &id, CHUNK, &x->k.err);
    assert_int_equal(x->k.err.rc, rc < 0 ? rc : 0);
    return rc;
}

static unsigned n_gets(struct fix *x) { return x->k.ms[0].calls[MS_GET_BEGIN]; }

static size_t bad_packs(struct fix *x)
{
    bk_id *ids;
    size_t n;

    assert_int_equal(bk_fetch_bad_packs(x->f, &ids, &n, &x->k.err), 0);
    free(ids);
    return n;
}

static void all_chunks(void **state)
{
    struct fix *x = *state;
    bk_id none = rk_id(1);
    struct bk_buf b = BK_BUF_INIT;

    put_chunks(x, 0, 200);
    open_fetch(x, 0);
    for (uint64_t i = 0; i < 200; i++)
        assert_int_equal(get(x, i), 0);
    /* Ten segments one by one; of the second pack the header came with the first segment. */
    assert_in_range(n_gets(x), 10, 12);
    for (uint64_t i = 200; i-- > 0;)
        assert_int_equal(get(x, i), 0);
    assert_int_equal(bk_fetch_chunk(x->f, &none, 5, &b, &x->k.err), BAKE_E_NOTFOUND);
    assert_int_equal(b.len, 0);
    assert_int_equal(bad_packs(x), 0);
}

/* What is wanted comes with one get a pack. */
static void announced(void **state)
{
    struct fix *x = *state;

    put_chunks(x, 0, 160);
    put_chunks(x, 160, 320);
    open_fetch(x, 0);
    for (uint64_t from = 0; from < 320; from += 160) { /* two packs */
        for (uint64_t i = from; i < from + 160; i++) {
            bk_id id = chunk_id(i);

            bk_fetch_want(x->f, &id);
        }
        for (uint64_t i = from; i < from + 160; i++)
            assert_int_equal(get(x, i), 0);
    }
    assert_int_equal(n_gets(x), 2);
}

/* The threads that run ahead do it all. */
static void ahead(void **state)
{
    struct fix *x = *state;
    size_t used = 0;

    put_chunks(x, 0, 60);
    open_fetch(x, 0);
    for (uint64_t i = 0; i < 60; i++) {
        bk_id id = chunk_id(i);

        bk_fetch_want(x->f, &id);
    }
    bk_fetch_go(x->f);
    for (int i = 0; i < 3000 && used < 60 * CHUNK; i++) {
        (void)usleep(10000);
        pthread_mutex_lock(&x->f->lock);
        used = 0;
        for (struct bk_seg *s = x->f->newest; s; s = s->older)
            used += s->state == BK_SEG_READY ? s->pack->info.segments[s->index].plain : 0;
        pthread_mutex_unlock(&x->f->lock);
    }
    assert_int_equal(used, 60 * CHUNK);
    ms_heal(&x->k.ms[0]);
    for (uint64_t i = 0; i < 60; i++)
        assert_int_equal(get(x, i), 0);
    assert_int_equal(n_gets(x), 0);
    assert_int_equal(x->f->ahead, 0);
}

/* A segment of the fake transform is good or bad as a whole; the others are not touched. */
static void flipped_bit(void **state)
{
    struct fix *x = *state;
    uint64_t segment, hurt = 0;
    struct ms_object *o;
    struct bk_loc loc;
    bk_id id = chunk_id(45);

    put_chunks(x, 0, 100);
    open_fetch(x, 0);
    o = pack_of(x, &id, &loc, &segment);
    o->data[segment + 2000] ^= 1; /* a tag */
    for (int round = 0; round < 2; round++)
        for (uint64_t i = 0; i < 100; i++) {
            int rc = round == 0 ? get(x, i) : check(x, i);

            assert_true(rc == 0 || rc == BAKE_E_CORRUPT);
            hurt += rc < 0;
            if (rc < 0) {
                assert_non_null(strstr(x->k.err.text, "packs/"));
                assert_non_null(strstr(x->k.err.text, "sink 'first'"));
                assert_non_null(strstr(x->k.err.text, "chunk '"));
            }
        }
    assert_int_equal(hurt, 2 * 20);
    assert_int_equal(get(x, 45), BAKE_E_CORRUPT);
    assert_int_equal(bad_packs(x), 1);
}

/* Without transforms one chunk alone is hurt. */
static void flipped_plain(void **state)
{
    struct fix *x = *state;
    uint64_t segment, hurt = 0;
    struct ms_object *o;
    struct bk_loc loc;
    bk_id id = chunk_id(45);

    put_chunks(x, 0, 100);
    for (int round = 0; round < 2; round++) {
        open_fetch(x, 0);
        if (round == 0) {
            o = pack_of(x, &id, &loc, &segment);
            o->data[segment + loc.offset + 99] ^= 4;
        }
        for (uint64_t i = 0; i < 100; i++) {
            int rc = round == 0 ? get(x, i) : check(x, i);

            assert_int_equal(rc, i == 45 ? BAKE_E_CORRUPT : 0);
            hurt += rc < 0;
        }
        assert_int_equal(bad_packs(x), 1);
    }
    assert_int_equal(hurt, 2);
}

static void checked_once(void **state)
{
    struct fix *x = *state;
    unsigned before;

    put_chunks(x, 0, 100);
    open_fetch(x, 4u << 20); /* hardly a segment is kept */
    for (uint64_t i = 0; i < 100; i++)
        assert_int_equal(check(x, i), 0);
    before = n_gets(x);
    assert_in_range(before, 5, 5 + 4 + 1); /* segments, the table, a header */
    for (uint64_t i = 0; i < 100; i++)
        assert_int_equal(check(x, i), 0);
    assert_int_equal(n_gets(x), before);
    for (uint64_t i = 0; i < 101; i++) { /* the last is not known */
        bk_id id = chunk_id(i);

        bk_fetch_want(x->f, &id);
    }
    assert_int_equal(x->f->n_wishes, 0);
}

static void missing_and_cut(void **state)
{
    struct fix *x = *state;
    uint64_t segment, good = 0;
    struct ms_object *o;
    struct bk_loc loc;
    bk_id id = chunk_id(50);

    put_chunks(x, 0, 100);
    put_chunks(x, 100, 110);
    open_fetch(x, 0);
    o = pack_of(x, &id, &loc, &segment);
    o->n = (size_t)segment + 5000; /* cut within the chunk's segment */
    for (uint64_t i = 0; i < 110; i++)
        good += get(x, i) == 0;
    assert_int_equal(good, 40 + 10);
    assert_int_equal(bad_packs(x), 1);
    for (uint64_t i = 0; i < 100; i++)
        assert_int_equal(check(x, i), BAKE_E_CORRUPT);
    for (uint64_t i = 100; i < 110; i++)
        assert_int_equal(check(x, i), 0);
    open_fetch(x, 0);
    id = chunk_id(105);
    o = pack_of(x, &id, &loc, &segment);
    ms_drop(&x->k.ms[0], o->name);
    assert_int_equal(get(x, 105), BAKE_E_NOTFOUND);
    assert_non_null(strstr(x->k.err.text, "is missing"));
    assert_int_equal(check(x, 106), BAKE_E_NOTFOUND);
    assert_int_equal(bad_packs(x), 1);
}

static void swapped(void **state)
{
    struct fix *x = *state;
    struct ms_object *a, *b;
    struct bk_loc loc;
    uint64_t segment;
    bk_id ida = chunk_id(0), idb = chunk_id(100);
    char *data;

    put_chunks(x, 0, 100);
    put_chunks(x, 100, 200);
    open_fetch(x, 0);
    a = pack_of(x, &ida, &loc, &segment);
    b = pack_of(x, &idb, &loc, &segment);
    assert_ptr_not_equal(a, b);
    data = a->data;
    a->data = b->data;
    b->data = data;
    assert_int_equal(check(x, 0), BAKE_E_CORRUPT);
    for (uint64_t i = 0; i < 200; i += 10) /* what is found under the other's name is right */
        (void)get(x, i);
    assert_int_equal(bad_packs(x), 2);
}

/* The same chunk in two packs: the damage of one is made good by the other. */
static void two_places(void **state)
{
    struct fix *x = *state;
    struct ms_object *o;
    uint64_t segment;
    struct bk_loc loc;
    char bad[90];
    bk_id id = chunk_id(3);

    put_chunks(x, 0, 20);
    open_fetch(x, 0);
    o = pack_of(x, &id, &loc, &segment);
    (void)snprintf(bad, sizeof(bad), "bad/%s", strrchr(o->name, '/') + 1);
    ms_set(&x->k.ms[0], bad, "", 0);
    put_chunks(x, 0, 20); /* does not count as stored: made anew */
    ms_drop(&x->k.ms[0], bad);
    assert_int_equal(ms_count(&x->k.ms[0], "packs/"), 2);
    open_fetch(x, 0);
    o = pack_of(x, &id, &loc, &segment);
    o->data[segment + loc.offset + 10] ^= 1;
    for (uint64_t i = 0; i < 20; i++) {
        assert_int_equal(get(x, i), 0);
        assert_int_equal(check(x, i), 0);
    }
    assert_int_equal(bad_packs(x), 1);
    o = pack_of(x, &id, &loc, &segment); /* the other by now: the first is not trusted */
    o->data[segment + loc.offset + 10] ^= 1;
    open_fetch(x, 0);
    assert_int_equal(get(x, 3), BAKE_E_CORRUPT);
    assert_int_equal(check(x, 3), BAKE_E_CORRUPT);
    assert_int_equal(bad_packs(x), 2);
}

static void drop_objects(struct memsink *s, const char *prefix)
{
    for (size_t i = s->n; i-- > 0;)
        if (strncmp(s->objects[i].name, prefix, strlen(prefix)) == 0)
            ms_drop(s, s->objects[i].name);
}

/* An index that names wrong places is found out, and the pack's own table asked. */
static void lying_index(void **state)
{
    struct fix *x = *state;
    struct bk_pack_table t, lie = {.n_segments = 0};
    struct bk_loc loc;
    bk_id id = chunk_id(0), pack;
    char name[BK_PACK_NAME_CAP];
    struct ms_object *o;
    uint64_t segment;
    uint32_t head;
    char *copy;
    size_t size;

    put_chunks(x, 0, 60);
    open_fetch(x, 0);
    o = pack_of(x, &id, &loc, &segment);
    assert_true(bk_pack_name_parse(o->name, &pack));
    bk_pack_name(&pack, name);
    size = o->n;
    assert_int_equal(
        bk_sealed_pack_table(x->k.store, x->side->sink, &pack, size, &t, &head, &x->k.err), 0);
    memcpy(lie.segments, t.segments, sizeof(t.segments));
    lie.n_segments = t.n_segments;
    for (size_t i = 0; i < t.n_chunks; i++) /* the other way round */
        assert_int_equal(bk_pack_table_add(&lie, &t.ids[t.n_chunks - 1 - i], t.lengths[i]), 0);
    copy = malloc(size);
    memcpy(copy, o->data, size);
    for (int round = 0; round < 2; round++) {
        drop_cache(x);
        drop_objects(&x->k.ms[0], "indexes/");
        drop_objects(&x->k.ms[0], "packs/");
        open_fetch(x, 0);
        assert_int_equal(bk_index_add(x->side->index, &pack, size, head, &lie, &x->k.err), 0);
        ms_set(&x->k.ms[0], name, copy, size);
        for (uint64_t i = 0; i < 60; i++)
            assert_int_equal(round == 0 ? get(x, i) : check(x, i), 0);
        assert_int_equal(bad_packs(x), 0);
    }
    free(copy);
    bk_pack_table_release(&t);
    bk_pack_table_release(&lie);
}

struct reader {
    pthread_t thread;
    struct fix *x;
    uint64_t seed, n;
    bool check, want;
    int failures;
};

static void *read_many(void *arg)
{
    struct reader *r = arg;
    unsigned char *data = malloc(CHUNK);

    for (uint64_t i = 0; i < r->n; i++) {
        uint64_t number = r->want ? i : rk_next(&r->seed) % r->n;
        bk_id id = chunk_of(number, data);
        struct bk_held h = {.n = 0};
        struct bk_err err = {0};
        int rc;

        for (uint64_t k = i; r->want && k < i + 40 && k < r->n; k += 7) {
            bk_id next = chunk_id(k);

            bk_fetch_want(r->x->f, &next);
        }
        bk_fetch_go(r->x->f);
        if (r->check) {
            r->failures += bk_fetch_check(r->x->f, &id, CHUNK, &err) < 0;
            continue;
        }
        rc = bk_fetch_hold(r->x->f, &id, CHUNK, &h, &err);
        r->failures += rc < 0 || h.n != CHUNK || memcmp(h.data, data, CHUNK) != 0;
        bk_fetch_release(r->x->f, &h);
    }
    free(data);
    return NULL;
}

/* Several threads, in and out of order, in a cache that is too small for all. */
static void threads(void **state)
{
    struct fix *x = *state;
    struct reader r[4];

    put_chunks(x, 0, 250);
    for (int round = 0; round < 3; round++) {
        open_fetch(x, round == 0 ? 20u << 20 : 0);
        for (size_t i = 0; i < 4; i++) {
            r[i] = (struct reader){
                .x = x, .seed = i, .n = 250, .check = round == 2 || (i & 1), .want = i & 2};
            assert_int_equal(pthread_create(&r[i].thread, NULL, read_many, &r[i]), 0);
        }
        for (size_t i = 0; i < 4; i++) {
            pthread_join(r[i].thread, NULL);
            assert_int_equal(r[i].failures, 0);
        }
        assert_in_range(x->f->room.peak, 1, x->f->cache);
    }
}

/* A cache of hardly anything: it is exceeded by what is held, and by no more. */
static void bounded(void **state)
{
    struct fix *x = *state;

    put_chunks(x, 0, 200);
    open_fetch(x, 1u << 20);
    for (uint64_t i = 0; i < 200; i += 3)
        assert_int_equal(get(x, i), 0);
    assert_in_range(x->f->room.peak, 6000000, 8u << 20); /* one segment, stored and decoded */
    open_fetch(x, 12u << 20);
    for (uint64_t i = 0; i < 200; i++) {
        bk_id id = chunk_id(i);

        bk_fetch_want(x->f, &id);
    }
    bk_fetch_go(x->f);
    for (uint64_t i = 0; i < 200; i++)
        assert_int_equal(get(x, i), 0);
    assert_in_range(x->f->room.peak, 6000000, 14u << 20);
}

/* A sink that fails for a moment is asked again; one that stays away ends it, without a wait for
 * every chunk. */
static void sink_fails(void **state)
{
    struct fix *x = *state;
    unsigned before;

    put_chunks(x, 0, 60);
    open_fetch(x, 0);
    ms_fault(&x->k.ms[0], MS_GET_READ, "packs/", 0, 1, BAKE_E_UNAVAILABLE);
    assert_int_equal(get(x, 0), 0);
    ms_fault(&x->k.ms[0], MS_GET_BEGIN, "packs/", 0, 0, BAKE_E_AUTH);
    assert_int_equal(get(x, 50), BAKE_E_AUTH);
    before = n_gets(x);
    assert_int_equal(get(x, 50), BAKE_E_AUTH);
    assert_int_equal(check(x, 30), BAKE_E_AUTH);
    assert_in_range(n_gets(x), before, before + 4); /* the table is asked for */
    assert_int_equal(get(x, 1), 0);                 /* it is here */
    assert_int_equal(bad_packs(x), 0);
}

static void cancelled(void **state)
{
    struct fix *x = *state;

    put_chunks(x, 0, 60);
    open_fetch(x, 0);
    assert_int_equal(get(x, 0), 0);
    bk_cancel_fire(x->k.cancel);
    assert_int_equal(get(x, 50), BAKE_E_CANCELLED);
    assert_int_equal(bad_packs(x), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TP(all_chunks),      TP(announced), TP(ahead),      TP(flipped_plain), TP(checked_once),
        TP(missing_and_cut), TP(swapped),   TP(two_places), TP(lying_index),   TP(threads),
        TP(sink_fails),      TP(cancelled), T(flipped_bit), T(bounded)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
