/* A type of a newer minor. */
#define ABI_MINOR (BAKE_ABI_MINOR + 1)
#define OPTIONS   options
#include "sound.h"

static const struct bake_option options[] = {
    {.key = "text", .type = 11, .offset = offsetof(struct config, text), .help = "h"},
    {0},
};

#include "sound_sink.h"
