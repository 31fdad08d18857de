/* A default that is not a size. */
#define OPTIONS options
#include "sound.h"

static const struct bake_option options[] = {
    {.key = "number",
     .type = BAKE_T_SIZE,
     .offset = offsetof(struct config, number),
     .fallback = "3 apples",
     .help = "h"},
    {0},
};

#include "sound_sink.h"
