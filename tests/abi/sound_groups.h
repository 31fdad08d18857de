/* Functions for groups, to be named in EXTRA_OPS; as those of sound_source.h they do nothing. */
#ifndef SOUND_GROUPS_H
#define SOUND_GROUPS_H

#include <bakengine/plugin.h>

static inline int sound_hold(void *self, struct bake_ctx *ctx, const char *group,
                             const struct bake_component *const *chosen, size_t n, uint32_t flags,
                             struct bake_result *ret)
{
    (void)self;
    (void)ctx;
    (void)group;
    (void)chosen;
    (void)n;
    (void)flags;
    (void)ret;
    return BAKE_E_UNSUPPORTED;
}
static inline int sound_release(void *self, struct bake_ctx *ctx, const char *group,
                                struct bake_result *ret)
{
    (void)self;
    (void)ctx;
    (void)group;
    (void)ret;
    return BAKE_E_UNSUPPORTED;
}
static inline int sound_redeem(struct bake_ctx *ctx, const void *cfg, const char *what)
{
    (void)ctx;
    (void)cfg;
    (void)what;
    return BAKE_E_UNSUPPORTED;
}
static inline int sound_restore_begin(void *self, struct bake_ctx *ctx,
                                      const struct bake_restore *how, const char *group,
                                      const struct bake_component *const *chosen, size_t n,
                                      uint32_t *ret_stage)
{
    (void)self;
    (void)ctx;
    (void)how;
    (void)group;
    (void)chosen;
    (void)n;
    (void)ret_stage;
    return BAKE_E_UNSUPPORTED;
}
static inline int sound_switch_group(void *self, struct bake_ctx *ctx, const char *group)
{
    (void)self;
    (void)ctx;
    (void)group;
    return BAKE_E_UNSUPPORTED;
}
static inline int sound_restore_end(void *self, struct bake_ctx *ctx, const char *group, int good,
                                    struct bake_result *ret)
{
    (void)self;
    (void)ctx;
    (void)group;
    (void)good;
    (void)ret;
    return BAKE_E_UNSUPPORTED;
}

#define SOUND_BACK                                                                                 \
    .restore_begin = sound_restore_begin, .switch_group = sound_switch_group,                      \
    .restore_end = sound_restore_end

#endif
