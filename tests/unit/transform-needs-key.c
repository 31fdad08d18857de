/* A transform that cannot do without an option: for test_transforms.c. */
#include <bakengine/plugin.h>

struct config {
    const char *key;
};

static uint64_t memory(const void *cfg, int dir, uint32_t flags)
{
    (void)cfg;
    (void)dir;
    (void)flags;
    return 0;
}

static int open_nothing(struct bake_ctx *ctx, const void *cfg, int dir, uint32_t flags,
                        void **ret_self)
{
    (void)cfg;
    (void)dir;
    (void)flags;
    (void)ret_self;
    return bake_fail(ctx, BAKE_E_UNSUPPORTED, "this is not to be opened");
}

static int process(void *self, struct bake_in *in, struct bake_out *out, int op)
{
    (void)self;
    (void)in;
    (void)out;
    (void)op;
    return BAKE_E_INTERNAL;
}

static void close_nothing(void *self) { (void)self; }

static const struct bake_transform_ops transform = {
    .struct_size = sizeof(transform),
    .suffix = ".key",
    .traits = BAKE_ENCRYPTS,
    .memory = memory,
    .open = open_nothing,
    .process = process,
    .close = close_nothing,
};

static const struct bake_option options[] = {
    {.key = "key",
     .type = BAKE_T_STRING,
     .flags = BAKE_OPT_REQUIRED,
     .offset = BAKE_MEMBER(struct config, key, const char *),
     .help = "Something that has no default."},
    {0},
};

static const struct bake_plugin needs_key = {
    BAKE_PLUGIN_HEAD,        .name = "needs-key",
    .version = "1.0",        .summary = "Wants an option.",
    .options = options,      .config_size = sizeof(struct config),
    .transform = &transform,
};

BAKE_PLUGIN(needs_key)
