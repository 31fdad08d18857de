/* A range for a text. */
#define OPTIONS options
#include "sound.h"

static const struct bake_option options[] = {
    {.key = "text",
     .type = BAKE_T_STRING,
     .offset = offsetof(struct config, text),
     .flags = BAKE_OPT_HAS_RANGE,
     .min = 1,
     .max = 2,
     .help = "h"},
    {0},
};

#include "sound_sink.h"
