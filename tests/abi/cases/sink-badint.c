/* A default that is not a number. */
#define OPTIONS options
#include "sound.h"

static const struct bake_option options[] = {
    {.key = "number",
     .type = BAKE_T_INT,
     .offset = offsetof(struct config, number),
     .fallback = "three",
     .help = "h"},
    {0},
};

#include "sound_sink.h"
