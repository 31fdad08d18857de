/* A type that does not exist. */
#define OPTIONS options
#include "sound.h"

static const struct bake_option options[] = {
    {.key = "text", .type = 99, .offset = offsetof(struct config, text), .help = "h"},
    {0},
};

#include "sound_sink.h"
