/* A default outside its range. */
#define OPTIONS options
#include "sound.h"

static const struct bake_option options[] = {
    {.key = "number",
     .type = BAKE_T_INT,
     .offset = offsetof(struct config, number),
     .flags = BAKE_OPT_HAS_RANGE,
     .fallback = "23",
     .min = 1,
     .max = 22,
     .help = "h"},
    {0},
};

#include "sound_sink.h"
