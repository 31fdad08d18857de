/* A transform that says that it encrypts, and copies: for the cases of this folder. */
#include <bakengine/plugin.h>
#include <string.h>

static uint64_t memory(const void *cfg, int dir, uint32_t flags)
{
    (void)cfg;
    (void)dir;
    (void)flags;
    return 0;
}

static int open_copy(struct bake_ctx *ctx, const void *cfg, int dir, uint32_t flags,
                     void **ret_self)
{
    (void)ctx;
    (void)cfg;
    (void)dir;
    (void)flags;
    *ret_self = NULL;
    return BAKE_OK;
}

static int process(void *self, struct bake_in *in, struct bake_out *out, int op)
{
    size_t n = in->size - in->pos, room = out->size - out->pos;
    (void)self;
    n = n < room ? n : room;
    if (n)
        memcpy((char *)out->data + out->pos, (const char *)in->data + in->pos, n);
    in->pos += n;
    out->pos += n;
    return op == BAKE_CONTINUE || in->pos < in->size ? BAKE_OK : BAKE_END;
}

static void close_copy(void *self) { (void)self; }

static const struct bake_transform_ops transform = {
    .struct_size = sizeof(transform),
    .suffix = ".sealed",
    .traits = BAKE_ENCRYPTS,
    .memory = memory,
    .open = open_copy,
    .process = process,
    .close = close_copy,
};

static const struct bake_option options[] = {{0}};

static const struct bake_plugin seal = {
    BAKE_PLUGIN_HEAD,   .name = "seal",          .version = "1.0", .summary = "Claims to encrypt.",
    .options = options, .transform = &transform,
};

BAKE_PLUGIN(seal)
