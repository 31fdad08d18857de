/* A sink of the next minor with two options, so that the stride counts. */
#define EXTRA     .next_call = call_plugin,
#define EXTRA_OPS .next_call = call_ops,
#define OPTIONS   options
#include "sound.h"

static int call_plugin(struct bake_ctx *ctx)
{
    (void)ctx;
    return 1;
}

static int call_ops(void *self)
{
    (void)self;
    return 1;
}

static const struct bake_option options[] = {
    {.key = "text",
     .type = BAKE_T_STRING,
     .offset = offsetof(struct config, text),
     .help = "h",
     .next_text = "new"},
    {.key = "number",
     .type = BAKE_T_INT,
     .offset = offsetof(struct config, number),
     .fallback = "7",
     .help = "h",
     .next_text = "new"},
    {0},
};

#include "sound_sink.h"
