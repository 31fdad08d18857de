/* An offset that would wrap around. */
#define OPTIONS options
#include "sound.h"

static const struct bake_option options[] = {
    {.key = "text", .type = BAKE_T_STRING, .offset = SIZE_MAX - 3, .help = "h"},
    {0},
};

#include "sound_sink.h"
