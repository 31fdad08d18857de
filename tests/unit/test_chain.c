/* flow/chain: any number of links, any cuts, and plugins that break their promises. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "faketransform.h"

#include <stdlib.h>
#include <string.h>

#define LINKS 4

struct fix {
    struct ft_cfg cfgs[LINKS];
    struct bk_transform t[LINKS];
    atomic_int open;
    struct bk_buf out;
    int emit_rc;
    unsigned emits;
};

static void fix_init(struct fix *f)
{
    memset(f, 0, sizeof(*f));
    for (int i = 0; i < LINKS; i++) {
        f->cfgs[i] = (struct ft_cfg)FT_CFG;
        f->cfgs[i].key = (unsigned char)(7 + 31 * i);
        f->cfgs[i].open = &f->open;
        f->t[i].plugin = ft_plugin();
        f->t[i].cfg = &f->cfgs[i];
    }
}

static int emit(void *arg, const void *data, size_t n, struct bk_err *err)
{
    struct fix *f = arg;

    f->emits++;
    if (n == 0)
        return bk_fail(err, BAKE_E_INTERNAL, "nothing was emitted");
    if (f->emit_rc)
        return bk_fail(err, f->emit_rc, "the taker's reason");
    return bk_buf_add(&f->out, data, n);
}

static uint64_t next_random(uint64_t *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 7;
    *s ^= *s << 17;
    return *s;
}

/* Pushes in pieces of up to `most`; the result of the first call that fails. */
static int drive(struct fix *f, size_t links, int dir, const void *data, size_t n, size_t most,
                 struct bk_err *err)
{
    struct bk_chain *c = NULL;
    uint64_t seed = n + most + 1;
    int rc = bk_chain_new(f->t, links, dir, 0, NULL, emit, f, &c, err);

    for (size_t at = 0; rc >= 0 && at < n;) {
        size_t step = next_random(&seed) % most + 1;

        if (step > n - at)
            step = n - at;
        rc = bk_chain_push(c, (const char *)data + at, step, err);
        at += step;
    }
    if (rc >= 0)
        rc = bk_chain_push(c, NULL, 0, err);
    if (rc >= 0)
        rc = bk_chain_finish(c, err);
    bk_chain_free(c);
    assert_int_equal(atomic_load(&f->open), 0);
    return rc;
}

static void fill(char *data, size_t n)
{
    uint64_t seed = 88172645463325252u;

    for (size_t i = 0; i < n; i++)
        data[i] = (char)next_random(&seed);
}

static void round_trip(size_t links, size_t n, size_t most, size_t step, unsigned late)
{
    static char data[300000];
    struct fix f;
    struct bk_buf stored;
    struct bk_err err = {0};
    size_t expect = n;

    assert_true(n <= sizeof(data));
    fill(data, n);
    fix_init(&f);
    for (size_t i = 0; i < LINKS; i++) {
        f.cfgs[i].step = step;
        f.cfgs[i].late = late;
    }
    assert_int_equal(drive(&f, links, BAKE_FORWARD, data, n, most, &err), 0);
    stored = f.out;
    for (size_t i = 0; i < links; i++)
        expect = 2 * expect + 2;
    assert_int_equal(stored.len, expect);
    memset(&f.out, 0, sizeof(f.out));
    assert_int_equal(drive(&f, links, BAKE_REVERSE, stored.data, stored.len, most, &err), 0);
    assert_int_equal(f.out.len, n);
    if (n)
        assert_memory_equal(f.out.data, data, n);
    bk_buf_free(&stored);
    bk_buf_free(&f.out);
}

static void all_lengths(void **state)
{
    (void)state;
    for (size_t links = 0; links <= LINKS; links++) {
        round_trip(links, 0, 1, 0, 0);
        round_trip(links, 1, 1, 1, 0);
        round_trip(links, 1000, 17, 3, 0);
        round_trip(links, 1000, 1000, 0, 1);
        round_trip(links, 40000, 5000, 0, 0);
        round_trip(links, 20000, 20000, 7777, 1);
    }
    round_trip(1, 300000, 300000, 0, 0); /* more than one output buffer from one push */
}

/* The order is that of the list forwards, and the other way round backwards. */
static void order_of_links(void **state)
{
    (void)state;
    struct fix f;
    struct bk_err err = {0};
    static const unsigned char inner[] = {'d', 'x' ^ 1, 'e', 'x'};
    unsigned char outer[10];
    unsigned char sum = 0;

    fix_init(&f);
    f.cfgs[0].key = 1;
    f.cfgs[1].key = 2;
    for (size_t i = 0; i < 4; i++) {
        outer[2 * i] = 'd';
        outer[2 * i + 1] = inner[i] ^ 2;
        sum = (unsigned char)(sum + inner[i]);
    }
    outer[8] = 'e';
    outer[9] = sum;
    assert_int_equal(drive(&f, 2, BAKE_FORWARD, "x", 1, 1, &err), 0);
    assert_int_equal(f.out.len, 10);
    assert_memory_equal(f.out.data, outer, 10);
    bk_buf_clear(&f.out);
    assert_int_equal(drive(&f, 2, BAKE_REVERSE, outer, 10, 10, &err), 0);
    assert_int_equal(f.out.len, 1);
    assert_memory_equal(f.out.data, "x", 1);
    bk_buf_free(&f.out);
}

static void empty_chain(void **state)
{
    (void)state;
    struct fix f;
    struct bk_err err = {0};

    fix_init(&f);
    assert_int_equal(drive(&f, 0, BAKE_FORWARD, "abc", 3, 3, &err), 0);
    assert_string_equal(f.out.data, "abc");
    bk_buf_free(&f.out);
}

/* A link that does not move is found out, in the middle and at the end, and does not hang. */
static void no_progress(void **state)
{
    (void)state;
    static const uint64_t when[] = {0, 5, 99};
    struct fix f;
    struct bk_err err = {0};

    for (size_t link = 0; link < 3; link++) {
        for (size_t i = 0; i < 3; i++) {
            fix_init(&f);
            f.cfgs[link].stuck_at = when[i];
            assert_int_equal(drive(&f, 3, BAKE_FORWARD,
                                   "0123456789012345678901234567890123456789"
                                   "0123456789012345678901234567890123456789"
                                   "0123456789012345678901234567890123456789",
                                   120, 9, &err),
                             BAKE_E_INTERNAL);
            assert_non_null(strstr(err.text, "makes no progress"));
            bk_buf_free(&f.out);
        }
    }
    fix_init(&f); /* nothing was pushed: only FINISH is called */
    f.cfgs[0].stuck_at = 0;
    assert_int_equal(drive(&f, 1, BAKE_FORWARD, "", 0, 1, &err), BAKE_E_INTERNAL);
    fix_init(&f); /* END that is two empty calls late is one too many */
    f.cfgs[0].late = 3;
    assert_int_equal(drive(&f, 1, BAKE_FORWARD, "a", 1, 1, &err), BAKE_E_INTERNAL);
    bk_buf_free(&f.out);
}

/* END is no answer to CONTINUE: what is left of the input must not vanish. */
static void end_too_early(void **state)
{
    (void)state;
    struct fix f;
    struct bk_err err = {0};

    for (size_t link = 0; link < 2; link++) {
        fix_init(&f);
        f.cfgs[link].end_at = 4;
        assert_int_equal(drive(&f, 2, BAKE_FORWARD, "0123456789", 10, 10, &err), BAKE_E_INTERNAL);
        assert_non_null(strstr(err.text, "fake"));
        bk_buf_free(&f.out);
    }
}

static void failures(void **state)
{
    (void)state;
    static const struct {
        int rc, expect;
        bool silent;
    } cases[] = {
        {BAKE_E_CORRUPT, BAKE_E_CORRUPT, false},    {BAKE_E_KEY, BAKE_E_KEY, false},
        {BAKE_E_CHILD, BAKE_E_CHILD, true},         {-77, BAKE_E_INTERNAL, true},
        {BAKE_E_CANCELLED, BAKE_E_CANCELLED, true},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (size_t link = 0; link < 3; link++) {
            struct fix f;
            struct bk_err err = {0};

            fix_init(&f);
            f.cfgs[link].fail_at = 6;
            f.cfgs[link].fail_rc = cases[i].rc;
            f.cfgs[link].silent = cases[i].silent;
            assert_int_equal(drive(&f, 3, BAKE_FORWARD, "0123456789", 10, 3, &err),
                             cases[i].expect);
            assert_int_equal(err.rc, cases[i].expect);
            assert_non_null(strstr(err.text, "transform 'fake'"));
            bk_buf_free(&f.out);
        }
    }
}

static void damaged_input(void **state)
{
    (void)state;
    struct fix f;
    struct bk_buf good;
    struct bk_err err = {0};

    fix_init(&f);
    assert_int_equal(drive(&f, 2, BAKE_FORWARD, "some words", 10, 4, &err), 0);
    good = f.out;
    memset(&f.out, 0, sizeof(f.out));
    for (size_t n = 0; n < good.len; n++) { /* cut everywhere */
        assert_int_equal(drive(&f, 2, BAKE_REVERSE, good.data, n, 7, &err), BAKE_E_CORRUPT);
        bk_buf_clear(&f.out);
    }
    assert_int_equal(bk_buf_char(&good, 'd'), 0); /* too long */
    assert_int_equal(drive(&f, 2, BAKE_REVERSE, good.data, good.len, 7, &err), BAKE_E_CORRUPT);
    bk_buf_free(&good);
    bk_buf_free(&f.out);
}

static void taker_fails(void **state)
{
    (void)state;
    struct fix f;
    struct bk_err err = {0};

    for (size_t links = 0; links < 3; links++) {
        fix_init(&f);
        f.emit_rc = BAKE_E_NOSPACE;
        assert_int_equal(drive(&f, links, BAKE_FORWARD, "0123456789", 10, 3, &err), BAKE_E_NOSPACE);
        assert_string_equal(err.text, "the taker's reason");
        assert_int_equal(f.emits, 1);
    }
}

/* The third does not open: the first two are closed again. */
static void open_fails(void **state)
{
    (void)state;
    struct fix f;
    struct bk_chain *c = NULL;
    struct bk_err err = {0};

    fix_init(&f);
    f.cfgs[2].open_rc = BAKE_E_KEY;
    assert_int_equal(bk_chain_new(f.t, 3, BAKE_FORWARD, 0, NULL, emit, &f, &c, &err), BAKE_E_KEY);
    assert_null(c);
    assert_int_equal(atomic_load(&f.open), 0);
    assert_non_null(strstr(err.text, "does not open"));
    bk_chain_free(NULL);
}

static void stated_memory(void **state)
{
    (void)state;
    struct fix f;
    uint64_t one, two, small;

    fix_init(&f);
    assert_int_equal(bk_chain_memory(f.t, 0, BAKE_FORWARD, 0), 0);
    one = bk_chain_memory(f.t, 1, BAKE_FORWARD, 0);
    two = bk_chain_memory(f.t, 2, BAKE_FORWARD, 0);
    small = bk_chain_memory(f.t, 1, BAKE_REVERSE, BAKE_SMALL_OBJECT);
    assert_true(one > 1000);
    assert_int_equal(two, 2 * one);
    assert_int_equal(small, one + 101); /* direction and flags reach the plugin */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_lengths),   cmocka_unit_test(order_of_links),
        cmocka_unit_test(empty_chain),   cmocka_unit_test(no_progress),
        cmocka_unit_test(end_too_early), cmocka_unit_test(failures),
        cmocka_unit_test(damaged_input), cmocka_unit_test(taker_fails),
        cmocka_unit_test(open_fails),    cmocka_unit_test(stated_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
