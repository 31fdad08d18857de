/* A key that the engine reads itself. */
#define OPTIONS options
#include "sound.h"

static const struct bake_option options[] = {
    {.key = "plugin", .type = BAKE_T_STRING, .offset = offsetof(struct config, text), .help = "h"},
    {0},
};

#include "sound_sink.h"
