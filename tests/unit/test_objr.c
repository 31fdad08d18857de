/* store/objr: what is right comes back; whatever was done to an object is found, and what stood
 * before the damage is still had. */
#include "storekit.h"

#include "base/clock.h"
#include "store/objr.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define NAME "backups/" KIT_ID "/x"

struct fix {
    struct kit k;
    struct bk_object object;
    char plain_sha[BK_SHA256_HEX];
    char *plain, *stored;
    size_t n, n_stored;
};

/* Puts n random bytes through the transforms into the first sink. */
static void fix_init(struct fix *f, size_t n, size_t transforms)
{
    struct bk_flow *flow = NULL;
    struct bk_objw *w = NULL;
    struct bk_objw_result res;
    struct ms_object *o;

    memset(f, 0, sizeof(*f));
    kit_init(&f->k, 1, transforms);
    kit_must_open(&f->k);
    f->n = n;
    f->plain = kit_bytes(n, n);
    assert_int_equal(bk_flow_new(NULL, &flow, &f->k.err), 0);
    assert_int_equal(bk_objw_open(flow, f->k.store, NAME, 0, &w, &f->k.err), 0);
    assert_int_equal(bk_objw_write(w, f->plain, n), 0);
    bk_objw_end(w);
    assert_int_equal(bk_flow_wait(flow, &f->k.err), 0);
    bk_objw_result(w, &res);
    bk_objw_free(w);
    bk_flow_free(flow);
    f->object.name = (char *)(uintptr_t) "x";
    f->object.size = res.stored_size;
    memcpy(f->object.sha256, res.stored_sha256, sizeof(f->object.sha256));
    memcpy(f->plain_sha, res.plain_sha256, sizeof(f->plain_sha));
    o = ms_find(&f->k.ms[0], NAME);
    assert_non_null(o);
    f->n_stored = o->n;
    f->stored = malloc(o->n + 100);
    assert_non_null(f->stored);
    memcpy(f->stored, o->data, o->n);
    memset(f->stored + o->n, 'd', 100);
}

static void fix_release(struct fix *f)
{
    free(f->plain);
    free(f->stored);
    kit_release(&f->k);
}

/* Reads it all; how many right bytes came before anything else, in *ret_good. The damage, or what
 * the flow says. */
static int read_object(struct fix *f, size_t *ret_good)
{
    struct bk_objr_spec spec = {.id = KIT_ID,
                                .object = &f->object,
                                .plain_sha256 = f->plain_sha,
                                .transforms = f->k.store->transforms,
                                .n_transforms = f->k.store->n_transforms};
    struct bk_flow *flow = NULL;
    struct bk_objr *r = NULL;
    size_t good = 0, all = 0;
    int rc;

    bk_err_clear(&f->k.err);
    assert_int_equal(bk_flow_new(f->k.cancel, &flow, &f->k.err), 0);
    rc = bk_objr_open(flow, &f->k.store->sinks[0], &spec, &r, &f->k.err);
    while (rc >= 0) {
        const void *data;
        size_t n;

        rc = bk_objr_pull(r, &data, &n);
        if (rc < 0 || n == 0)
            break;
        for (size_t i = 0; i < n && good == all + i && good < f->n; i++)
            good += ((const char *)data)[i] == f->plain[good];
        all += n;
    }
    if (rc >= 0)
        rc = bk_objr_damage(r, &f->k.err);
    if (rc >= 0)
        assert_int_equal(all, f->n);
    if (rc == BAKE_E_CANCELLED)
        rc = bk_flow_wait(flow, &f->k.err);
    (void)bk_flow_wait(flow, NULL);
    bk_objr_free(r);
    bk_flow_free(flow);
    *ret_good = good;
    return rc;
}

static void all_sizes(void **state)
{
    (void)state;
    static const size_t sizes[] = {0,       1, BK_RING_BYTES - 1, BK_RING_BYTES, BK_RING_BYTES + 1,
                                   5u << 20};

    for (size_t t = 0; t < 3; t++) {
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            struct fix f;
            size_t good;

            if (sizes[i] > (t == 0 ? 5u << 20 : t == 1 ? BK_RING_BYTES + 1 : 1)) /* they are slow */
                continue;
            fix_init(&f, sizes[i], t);
            f.k.ms[0].end_apart = i % 2;
            f.k.ms[0].get_step = i % 3 == 2 ? 100003 : 0;
            assert_int_equal(read_object(&f, &good), 0);
            assert_int_equal(good, sizes[i]);
            fix_release(&f);
        }
    }
}

/* Two 'd' and byte pairs make each plain byte: how many stand whole before stored byte `at`. */
static size_t whole_before(const struct fix *f, size_t at)
{
    return f->k.store->n_transforms ? at / 2 : at;
}

static void cut(void **state)
{
    (void)state;
    for (size_t t = 0; t < 2; t++) {
        struct fix f;

        fix_init(&f, t ? 200000 : 3000000, t);
        for (size_t i = 0; i < 16; i++) {
            size_t at = f.n_stored * i / 16, good;

            ms_set(&f.k.ms[0], NAME, f.stored, at);
            assert_int_equal(read_object(&f, &good), BAKE_E_CORRUPT);
            assert_int_equal(good, whole_before(&f, at));
            assert_non_null(strstr(f.k.err.text, "the manifest says"));
            assert_non_null(strstr(f.k.err.text, "sink 'first'"));
        }
        ms_set(&f.k.ms[0], NAME, f.stored, f.n_stored - 1);
        assert_int_equal(read_object(&f, &(size_t){0}), BAKE_E_CORRUPT);
        fix_release(&f);
    }
}

static void one_bit(void **state)
{
    (void)state;
    for (size_t t = 0; t < 2; t++) {
        struct fix f;
        uint64_t seed = 77;

        fix_init(&f, 20000, t);
        for (int i = 0; i < 200; i++) {
            size_t at = (size_t)(kit_random(&seed) % f.n_stored), good;
            char bit = (char)(1 << (kit_random(&seed) % 8));

            f.stored[at] ^= bit;
            ms_set(&f.k.ms[0], NAME, f.stored, f.n_stored);
            f.stored[at] ^= bit;
            assert_int_equal(read_object(&f, &good), BAKE_E_CORRUPT);
            assert_true(good >= whole_before(&f, at));
            assert_non_null(strstr(f.k.err.text, "'" NAME "'"));
        }
        fix_release(&f);
    }
}

static void longer(void **state)
{
    (void)state;
    static const size_t more[] = {1, 2, 100};

    for (size_t t = 0; t < 2; t++) {
        struct fix f;

        fix_init(&f, 600000, t);
        for (size_t i = 0; i < 3; i++) {
            size_t good;

            ms_set(&f.k.ms[0], NAME, f.stored, f.n_stored + more[i]);
            assert_int_equal(read_object(&f, &good), BAKE_E_CORRUPT);
            assert_int_equal(good, 600000);
        }
        fix_release(&f);
    }
}

/* The object is as it was put, but what it decodes to is not what the manifest names. */
static void other_plain_digest(void **state)
{
    (void)state;
    struct fix f;
    size_t good;

    fix_init(&f, 100000, 1);
    f.plain_sha[5] = f.plain_sha[5] == '0' ? '1' : '0';
    assert_int_equal(read_object(&f, &good), BAKE_E_CORRUPT);
    assert_int_equal(good, 100000);
    assert_non_null(strstr(f.k.err.text, "other bytes"));
    f.k.ft_cfgs[0].key ^= 1; /* another key: the check byte does not come out right */
    assert_int_equal(read_object(&f, &good), BAKE_E_CORRUPT);
    fix_release(&f);
}

static void sink_fails(void **state)
{
    (void)state;
    static const int results[] = {BAKE_E_IO, BAKE_E_AUTH, BAKE_E_UNAVAILABLE};
    struct fix f;
    size_t good;

    fix_init(&f, 2000000, 0);
    f.k.ms[0].get_step = 500000;
    for (size_t i = 0; i < 3; i++) {
        ms_heal(&f.k.ms[0]);
        ms_fault(&f.k.ms[0], MS_GET_READ, NAME, 2, 0, results[i]);
        assert_int_equal(read_object(&f, &good), results[i]);
    }
    ms_heal(&f.k.ms[0]);
    ms_fault(&f.k.ms[0], MS_GET_BEGIN, NAME, 0, 0, BAKE_E_AUTH);
    assert_int_equal(read_object(&f, &good), BAKE_E_AUTH);
    ms_heal(&f.k.ms[0]);
    ms_drop(&f.k.ms[0], NAME);
    assert_int_equal(read_object(&f, &good), BAKE_E_NOTFOUND);
    assert_int_equal(good, 0);
    fix_release(&f);
}

static void wrong_key(void **state)
{
    (void)state;
    struct fix f;
    size_t good;

    fix_init(&f, 200000, 2);
    f.k.ft_cfgs[1].fail_at = 10;
    f.k.ft_cfgs[1].fail_rc = BAKE_E_KEY;
    assert_int_equal(read_object(&f, &good), BAKE_E_KEY);
    assert_non_null(strstr(f.k.err.text, "does not decode"));
    fix_release(&f);
}

static void no_progress(void **state)
{
    (void)state;
    struct fix f;
    size_t good;

    fix_init(&f, 1000, 0);
    f.k.ms[0].get_stalls = true;
    assert_int_equal(read_object(&f, &good), BAKE_E_INTERNAL);
    fix_release(&f);
}

/* Nobody reads on: both rings are full when the cancel comes. */
static void cancelled(void **state)
{
    (void)state;
    struct fix f;
    struct bk_flow *flow = NULL;
    struct bk_objr *r = NULL;
    const void *data;
    size_t n;
    pthread_t t;

    fix_init(&f, 5u << 20, 0);
    struct bk_objr_spec spec = {.id = KIT_ID, .object = &f.object};
    assert_int_equal(bk_flow_new(f.k.cancel, &flow, &f.k.err), 0);
    assert_int_equal(bk_objr_open(flow, &f.k.store->sinks[0], &spec, &r, &f.k.err), 0);
    assert_int_equal(bk_objr_pull(r, &data, &n), 0);
    assert_int_equal(pthread_create(&t, NULL, kit_fire, &f.k), 0);
    pthread_join(t, NULL);
    assert_int_equal(bk_objr_pull(r, &data, &n), BAKE_E_CANCELLED);
    assert_int_equal(bk_flow_wait(flow, &f.k.err), BAKE_E_CANCELLED);
    assert_true(bk_monotonic_ms() - f.k.fired_ms < 2000);
    bk_objr_free(r);
    bk_objr_free(NULL);
    bk_flow_free(flow);
    fix_release(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_sizes),
        cmocka_unit_test(cut),
        cmocka_unit_test(one_bit),
        cmocka_unit_test(longer),
        cmocka_unit_test(other_plain_digest),
        cmocka_unit_test(sink_fails),
        cmocka_unit_test(wrong_key),
        cmocka_unit_test(no_progress),
        cmocka_unit_test(cancelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
