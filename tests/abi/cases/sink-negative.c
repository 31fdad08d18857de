/* A size that may be negative. */
#define OPTIONS options
#include "sound.h"

static const struct bake_option options[] = {
    {.key = "number",
     .type = BAKE_T_SIZE,
     .offset = offsetof(struct config, number),
     .flags = BAKE_OPT_HAS_RANGE,
     .min = -1,
     .max = 1,
     .help = "h"},
    {0},
};

#include "sound_sink.h"
