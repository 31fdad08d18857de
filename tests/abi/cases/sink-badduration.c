/* A default without a unit. */
#define OPTIONS options
#include "sound.h"

static const struct bake_option options[] = {
    {.key = "number",
     .type = BAKE_T_DURATION,
     .offset = offsetof(struct config, number),
     .fallback = "90",
     .help = "h"},
    {0},
};

#include "sound_sink.h"
