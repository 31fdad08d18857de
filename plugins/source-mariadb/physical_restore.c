/* The way back of this mode: nothing can be restored yet. */
#include "ops.h"

static int begin(struct my_source *src, struct bake_ctx *ctx, const struct bake_restore *how,
                 const char *group, const struct bake_component *const *chosen, size_t n,
                 uint32_t *ret_stage)
{
    (void)src, (void)how, (void)group, (void)chosen, (void)n, (void)ret_stage;
    return bake_fail(ctx, BAKE_E_UNSUPPORTED, "this cannot be restored yet");
}

static int writer_open(struct my_source *src, struct bake_ctx *ctx, const struct bake_component *c,
                       const struct bake_restore *how, struct my_writer **ret)
{
    (void)src, (void)c, (void)how, (void)ret;
    return bake_fail(ctx, BAKE_E_UNSUPPORTED, "this cannot be restored yet");
}

static int switch_group(struct my_source *src, struct bake_ctx *ctx, const char *group)
{
    (void)src, (void)ctx, (void)group;
    return BAKE_OK;
}

static int end(struct my_source *src, struct bake_ctx *ctx, const char *group, int good,
               struct bake_result *ret)
{
    (void)src, (void)ctx, (void)group, (void)good, (void)ret;
    return BAKE_OK;
}

static int redeem(struct bake_ctx *ctx, const struct my_config *cfg, const char *what,
                  bool *ret_mine)
{
    (void)ctx, (void)cfg, (void)what;
    *ret_mine = false;
    return BAKE_OK;
}

static int tidy(struct my_source *src, struct bake_ctx *ctx)
{
    (void)src, (void)ctx;
    return BAKE_OK;
}

const struct my_back my_base_back = {begin, writer_open, switch_group, end, redeem, tidy};
