/* flow/chain with the real zstd plugin, found and loaded as the engine does it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "faketransform.h"

#include <stdlib.h>
#include <string.h>

static int emit(void *arg, const void *data, size_t n, struct bk_err *err)
{
    (void)err;
    return bk_buf_add(arg, data, n);
}

static int drive(const struct bk_transform *t, size_t links, int dir, const struct bk_buf *in,
                 size_t piece, struct bk_buf *out, struct bk_err *err)
{
    struct bk_chain *c = NULL;
    int rc = bk_chain_new(t, links, dir, BAKE_SMALL_OBJECT, NULL, emit, out, &c, err);

    for (size_t at = 0; rc >= 0 && at < in->len; at += piece)
        rc = bk_chain_push(c, in->data + at, in->len - at < piece ? in->len - at : piece, err);
    if (rc >= 0)
        rc = bk_chain_finish(c, err);
    bk_chain_free(c);
    return rc;
}

static void round_trips(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 1000, 131071, 131072, 131073, 3000000};
    struct bk_registry *reg = NULL;
    struct ft_cfg fake = FT_CFG;
    struct bk_transform t[2] = {{.plugin = NULL}, {.plugin = ft_plugin(), .cfg = &fake}};
    struct bk_err err = {0};
    void *cfg;

    assert_int_equal(bk_registry_new(&reg, &err), 0);
    if (bk_registry_get(reg, BK_TRANSFORM, "zstd", &t[0].plugin, &err) < 0)
        fail_msg("%s", err.text);
    cfg = calloc(1, t[0].plugin->desc.config_size);
    assert_non_null(cfg);
    t[0].cfg = cfg;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct bk_buf plain = BK_BUF_INIT, stored = BK_BUF_INIT, back = BK_BUF_INIT;

        for (size_t k = 0; plain.len < sizes[i]; k++)
            assert_int_equal(bk_buf_printf(&plain, "%zu squared is %zu\n", k, k * k), 0);
        plain.len = sizes[i];
        if (drive(t, 2, BAKE_FORWARD, &plain, 50000, &stored, &err) < 0)
            fail_msg("%s", err.text);
        assert_int_equal(drive(t, 2, BAKE_REVERSE, &stored, 1 + sizes[i] / 7, &back, &err), 0);
        assert_int_equal(back.len, plain.len);
        if (plain.len)
            assert_memory_equal(back.data, plain.data, plain.len);
        if (sizes[i] > 100000)
            assert_true(stored.len < plain.len);
        bk_buf_clear(&back);
        stored.len -= 3; /* cut */
        assert_int_equal(drive(t, 2, BAKE_REVERSE, &stored, 999, &back, &err), BAKE_E_CORRUPT);
        bk_buf_free(&plain);
        bk_buf_free(&stored);
        bk_buf_free(&back);
    }
    free(cfg);
    bk_registry_free(reg);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(round_trips)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
