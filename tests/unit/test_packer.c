/* store/packer: packs out of many threads, back again, and what fails on the way. */
#include "storekit.h"

#include "base/clock.h"
#include "repokit.h"
#include "store/packer.h"
#include "store/sealed.h"

#include <unistd.h>

struct pack {
    bk_id id;
    uint64_t size;
};

struct fix {
    struct kit k;
    struct bk_registry *reg;
    void *zstd_cfg;
    struct bk_packer *p;
    struct pack packs[4096];
    size_t n_packs, n_chunks;
    int stored_rc;
};

/* One at a time, so without a lock. */
static int stored(void *arg, const bk_id *pack, uint64_t size, uint32_t head,
                  const struct bk_pack_table *table, struct bk_err *err)
{
    struct fix *f = arg;

    (void)err;
    assert_in_range(head, BK_PACK_HEAD_MIN + 6, BK_PACK_HEAD_MIN + 10);
    if (f->stored_rc)
        return f->stored_rc; /* without a word */
    f->packs[f->n_packs++] = (struct pack){*pack, size};
    f->n_chunks += table->n_chunks;
    return BAKE_OK;
}

static int setup(void **state)
{
    struct fix *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    kit_init(&f->k, 1, 1);
    *state = f;
    return 0;
}

static void begin(struct fix *f, size_t lanes)
{
    struct bk_packer_opts opts = {lanes, stored, f};

    kit_must_open(&f->k);
    assert_int_equal(bk_packer_new(f->k.store, f->k.cancel, &opts, &f->p, &f->k.err), 0);
}

static void use_zstd(struct fix *f)
{
    assert_int_equal(bk_registry_new(&f->reg, &f->k.err), 0);
    if (bk_registry_get(f->reg, BK_TRANSFORM, "zstd", &f->k.transforms[0].plugin, &f->k.err) < 0)
        fail_msg("%s", f->k.err.text);
    f->zstd_cfg = calloc(1, f->k.transforms[0].plugin->desc.config_size);
    assert_non_null(f->zstd_cfg);
    f->k.transforms[0].cfg = f->zstd_cfg;
}

static int teardown(void **state)
{
    struct fix *f = *state;

    bk_packer_free(f->p);
    kit_release(&f->k);
    bk_registry_free(f->reg);
    free(f->zstd_cfg);
    free(f);
    return 0;
}

/* Chunk `number`: its size and bytes follow from it. Two of three compress well. */
BYTEWISE static size_t make_chunk(uint64_t number, unsigned char *data)
{
    uint64_t seed = number;
    size_t n = 1 + rk_next(&seed) % (100u << 10);

    rk_fill(data, n, number);
    if (number % 3)
        for (size_t i = 0; i < n; i++)
            data[i] = (unsigned char)("0123456789abcdef"[data[i] & 3]);
    return n;
}

struct adder {
    pthread_t thread;
    struct fix *f;
    uint64_t from, to;
    int rc;
    struct bk_err err;
};

static void *add_many(void *arg)
{
    struct adder *a = arg;
    unsigned char *data = malloc(100u << 10);

    for (uint64_t i = a->from; i < a->to && a->rc >= 0; i++) {
        size_t n = make_chunk(i, data);
        bk_id id = rk_id_of(data, n);

        a->rc = bk_packer_add(a->f->p, i % 7 ? BK_PACK_DATA : BK_PACK_META, &id, data, n, &a->err);
    }
    free(data);
    return NULL;
}

static int add_from_threads(struct fix *f, size_t threads, uint64_t each)
{
    struct adder a[8] = {{.rc = 0}};
    int rc = 0;

    for (size_t i = 0; i < threads; i++) {
        a[i].f = f;
        a[i].from = i * each;
        a[i].to = a[i].from + each;
        assert_int_equal(pthread_create(&a[i].thread, NULL, add_many, &a[i]), 0);
    }
    for (size_t i = 0; i < threads; i++) {
        pthread_join(a[i].thread, NULL);
        assert_int_equal(a[i].err.rc, a[i].rc);
        rc = a[i].rc < rc ? a[i].rc : rc;
    }
    return rc;
}

/* Reads a pack back: every chunk is what its id says. Returns how many there are. */
static size_t check_pack(struct fix *f, const struct pack *pack, size_t *raw)
{
    struct bk_sink *sink = bk_store_base(f->k.store);
    struct bk_strv names = {0};
    struct bk_pack_table t;
    char name[BK_PACK_NAME_CAP];
    uint32_t head;
    uint64_t at, plain_size = 0;
    size_t chunk = 0;
    const struct ms_object *o;
    bk_id id;

    bk_pack_name(&pack->id, name);
    o = ms_find(&f->k.ms[0], name);
    assert_non_null(o);
    assert_int_equal(o->n, pack->size);
    id = rk_id_of(o->data, o->n);
    assert_true(bk_id_eq(&id, &pack->id));
    if (bk_sealed_pack_table(f->k.store, sink, &id, pack->size, &t, &head, &f->k.err) < 0)
        fail_msg("%s", f->k.err.text);
    assert_int_equal(bk_strv_add(&names, f->k.transforms[0].plugin->desc.name), 0);
    assert_int_equal(head, BK_PACK_HEAD_MIN + 2 + strlen(names.items[0]));
    at = head;
    for (size_t s = 0; s < t.n_segments; s++) {
        struct bk_buf stored_bytes = BK_BUF_INIT, plain = BK_BUF_INIT;
        size_t offset = 0;

        assert_int_equal(
            bk_sealed_range(sink, name, at, t.segments[s].stored, &stored_bytes, &f->k.err), 0);
        if (bk_sealed_decode(f->k.store, &names, t.segments[s].flags & BK_SEGMENT_RAW,
                             stored_bytes.data, stored_bytes.len, t.segments[s].plain, &plain,
                             &f->k.err) < 0)
            fail_msg("%s", f->k.err.text);
        assert_int_equal(plain.len, t.segments[s].plain);
        assert_in_range(plain.len, 1, BK_SEGMENT_PLAIN);
        for (uint32_t i = 0; i < t.segments[s].chunks; i++, chunk++) {
            id = rk_id_of(plain.data + offset, t.lengths[chunk]);
            assert_true(bk_id_eq(&id, &t.ids[chunk]));
            offset += t.lengths[chunk];
        }
        *raw += t.segments[s].flags & BK_SEGMENT_RAW;
        at += t.segments[s].stored;
        plain_size += plain.len;
        bk_buf_free(&stored_bytes);
        bk_buf_free(&plain);
    }
    assert_in_range(plain_size, 1, BK_PACK_PLAIN);
    bk_strv_free(&names);
    bk_pack_table_release(&t);
    return chunk;
}

static void check_all(struct fix *f, size_t n_chunks, size_t *raw)
{
    uint64_t size = 0;
    size_t n = 0;

    *raw = 0;
    for (size_t i = 0; i < f->n_packs; i++) {
        n += check_pack(f, &f->packs[i], raw);
        size += f->packs[i].size;
    }
    assert_int_equal(n, n_chunks);
    assert_int_equal(f->n_chunks, n_chunks);
    assert_int_equal(bk_packer_stored(f->p), size);
}

static void from_threads(void **state)
{
    struct fix *f = *state;
    size_t raw, before;

    use_zstd(f);
    begin(f, 2);
    assert_int_equal(add_from_threads(f, 4, 250), 0);
    assert_int_equal(bk_packer_flush(f->p, &f->k.err), 0);
    assert_in_range(f->n_packs, 3, 8);
    check_all(f, 1000, &raw);
    before = f->n_packs;
    assert_int_equal(bk_packer_flush(f->p, &f->k.err), 0); /* nothing */
    assert_int_equal(f->n_packs, before);
    assert_int_equal(add_from_threads(f, 1, 10), 0); /* more, after a flush */
    assert_int_equal(bk_packer_flush(f->p, &f->k.err), 0);
    assert_int_equal(f->n_packs, before + 2);
    check_all(f, 1010, &raw);
}

static int add_random(struct fix *f, size_t n, uint64_t seed)
{
    unsigned char *data = rk_bytes(n, seed);
    bk_id id = rk_id_of(data, n);
    int rc = bk_packer_add(f->p, BK_PACK_DATA, &id, data, n, &f->k.err);

    free(data);
    return rc;
}

static void incompressible(void **state)
{
    struct fix *f = *state;
    size_t raw;

    use_zstd(f);
    begin(f, 1);
    for (uint64_t i = 0; i < 12; i++)
        assert_int_equal(add_random(f, BK_CHUNK_MAX, i), 0);
    assert_int_equal(bk_packer_flush(f->p, &f->k.err), 0);
    assert_int_equal(f->n_packs, 1);
    check_all(f, 12, &raw);
    assert_int_equal(raw, 2);
    assert_in_range(f->packs[0].size, 12 * BK_CHUNK_MAX, 12 * BK_CHUNK_MAX + 2000);
}

/* Many tiny chunks: the table has its bounds. */
static void tiny(void **state)
{
    struct fix *f = *state;
    size_t n = 2 * BK_PACK_CHUNKS + 1, raw;

    begin(f, 1);
    for (uint64_t i = 0; i < n; i++) {
        bk_id id = rk_id_of(&i, sizeof(i));

        assert_int_equal(bk_packer_add(f->p, BK_PACK_DATA, &id, &i, sizeof(i), &f->k.err), 0);
    }
    assert_int_equal(bk_packer_flush(f->p, &f->k.err), 0);
    assert_int_equal(f->n_packs, 3);
    check_all(f, n, &raw);
    assert_int_equal(bk_packer_add(f->p, BK_PACK_DATA, &f->packs[0].id, "", 0, &f->k.err),
                     BAKE_E_INTERNAL);
    assert_int_equal(add_random(f, BK_SEGMENT_PLAIN + 1, 1), BAKE_E_INTERNAL);
    assert_int_equal(add_random(f, BK_SEGMENT_PLAIN, 1), 0);
}

/* Every adder and every flush hears of it; nothing hangs, nothing is left (teardown looks). */
static void failures(void **state)
{
    struct fix *f = *state;
    uint64_t at = FT_NEVER;

    for (int round = 0; round < 5; round++) {
        int want = BAKE_E_IO, rc;

        f->n_packs = 0;
        f->stored_rc = 0;
        ms_heal(&f->k.ms[0]);
        at = round == 0 ? 0 : round == 1 ? 1500000 : FT_NEVER;
        f->k.ft_cfgs[0].fail_at = at;
        f->k.ft_cfgs[0].fail_rc = BAKE_E_IO;
        begin(f, 3);
        if (round == 2)
            ms_fault(&f->k.ms[0], MS_PUT_END, "packs/", 1, 0, want = BAKE_E_NOSPACE);
        if (round == 3)
            ms_fault(&f->k.ms[0], MS_PUT_BEGIN, "packs/", 0, 0, want = BAKE_E_AUTH);
        if (round == 4)
            f->stored_rc = want = BAKE_E_NOTFOUND;
        rc = add_from_threads(f, 4, 110);
        assert_true(rc == 0 || rc == want);
        assert_int_equal(bk_packer_flush(f->p, &f->k.err), want);
        assert_true(f->k.err.text[0]);
        assert_int_equal(bk_packer_flush(f->p, &f->k.err), want);
        assert_int_equal(add_random(f, 10, 1), want);
        for (size_t i = 0; i < f->n_packs; i++) { /* what was announced is whole */
            size_t raw = 0;

            (void)check_pack(f, &f->packs[i], &raw);
        }
        bk_packer_free(f->p);
        f->p = NULL;
    }
}

static void *cancel_soon(void *arg)
{
    struct fix *f = arg;

    (void)usleep(200000);
    bk_cancel_fire(f->k.cancel);
    return NULL;
}

static void cancelled(void **state)
{
    struct fix *f = *state;
    uint64_t start;
    pthread_t t;

    f->k.ms[0].write_ms = 3000;
    begin(f, 2);
    f->k.ms[0].write_ms = 60000;
    assert_int_equal(pthread_create(&t, NULL, cancel_soon, f), 0);
    start = bk_monotonic_ms();
    assert_int_equal(add_from_threads(f, 3, 5000), BAKE_E_CANCELLED);
    assert_int_equal(bk_packer_flush(f->p, &f->k.err), BAKE_E_CANCELLED);
    bk_packer_free(f->p);
    f->p = NULL;
    pthread_join(t, NULL);
    assert_in_range(bk_monotonic_ms() - start, 100, 3000);
    assert_int_equal(ms_count(&f->k.ms[0], "packs/"), 0);
}

static int puts_open(struct fix *f)
{
    int n;

    pthread_mutex_lock(&f->k.ms[0].lock);
    n = f->k.ms[0].puts_open;
    pthread_mutex_unlock(&f->k.ms[0].lock);
    return n;
}

/* A slow sink slows those who add: no more than three packs exist at once. */
static void bounded(void **state)
{
    struct fix *f = *state;
    struct adder a = {.f = f, .from = 0, .to = 4000};
    int most = 0;

    begin(f, 2);
    f->k.ms[0].write_ms = 600000;
    assert_int_equal(pthread_create(&a.thread, NULL, add_many, &a), 0);
    for (int i = 0; i < 6000 && most == 0; i++) { /* until the first pack is whole */
        (void)usleep(20000);
        most = puts_open(f);
    }
    for (int i = 0; i < 10; i++) {
        (void)usleep(50000);
        most = puts_open(f) > most ? puts_open(f) : most;
    }
    bk_cancel_fire(f->k.cancel);
    pthread_join(a.thread, NULL);
    assert_int_equal(a.rc, BAKE_E_CANCELLED);
    assert_in_range(most, 1, 3);
    assert_true(bk_packer_memory(f->k.store, 2) < 90u << 20);
    assert_int_equal(f->n_packs, 0);
}

static void *flush_often(void *arg)
{
    struct adder *a = arg;

    for (int i = 0; i < 20 && a->rc >= 0; i++) {
        a->rc = bk_packer_flush(a->f->p, &a->err);
        (void)usleep(1000);
    }
    return NULL;
}

/* Flushes while others add: neither waits for ever. */
static void flushes_between(void **state)
{
    struct fix *f = *state;
    struct adder a[2] = {{.f = f}, {.f = f}};
    size_t raw;

    begin(f, 2);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&a[i].thread, NULL, flush_often, &a[i]), 0);
    assert_int_equal(add_from_threads(f, 3, 100), 0);
    for (int i = 0; i < 2; i++) {
        pthread_join(a[i].thread, NULL);
        assert_int_equal(a[i].rc, 0);
    }
    assert_int_equal(bk_packer_flush(f->p, &f->k.err), 0);
    check_all(f, 300, &raw);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {T(from_threads),   T(incompressible), T(tiny),
                                       T(failures),       T(cancelled),      T(bounded),
                                       T(flushes_between)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
