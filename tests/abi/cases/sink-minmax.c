/* A range the wrong way round. */
#define OPTIONS options
#include "sound.h"

static const struct bake_option options[] = {
    {.key = "number",
     .type = BAKE_T_INT,
     .offset = offsetof(struct config, number),
     .flags = BAKE_OPT_HAS_RANGE,
     .min = 5,
     .max = 1,
     .help = "h"},
    {0},
};

#include "sound_sink.h"
