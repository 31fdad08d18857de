/* A sound transform: its functions do nothing, and need not: it is only loaded. */
#include "sound.h"

static inline uint64_t sound_memory(const void *cfg, int dir, uint32_t flags)
{
    (void)cfg;
    (void)dir;
    (void)flags;
    return 0;
}
static inline int sound_open(struct bake_ctx *ctx, const void *cfg, int dir, uint32_t flags,
                             void **ret_self)
{
    (void)ctx;
    (void)cfg;
    (void)dir;
    (void)flags;
    (void)ret_self;
    return BAKE_E_UNSUPPORTED;
}
static inline int sound_process(void *self, struct bake_in *in, struct bake_out *out, int op)
{
    (void)self;
    (void)in;
    (void)out;
    (void)op;
    return BAKE_E_UNSUPPORTED;
}
static inline void sound_close(void *self) { (void)self; }

#ifndef MEMORY
#define MEMORY sound_memory
#endif
#ifndef OPEN
#define OPEN sound_open
#endif
#ifndef PROCESS
#define PROCESS sound_process
#endif
#ifndef CLOSE
#define CLOSE sound_close
#endif
#ifndef SUFFIX
#define SUFFIX ".x"
#endif
#ifndef OPS_SIZE
#define OPS_SIZE sizeof(ops)
#endif

static const struct bake_transform_ops ops = {.struct_size = OPS_SIZE,
                                              .suffix = SUFFIX,
                                              .traits = BAKE_COMPRESSES,
                                              .memory = MEMORY,
                                              .open = OPEN,
                                              .process = PROCESS,
                                              .close = CLOSE,
                                              EXTRA_OPS};

SOUND_PLUGIN(transform, &ops)
ENTRY
