/* An offset in the middle of a member. */
#define OPTIONS options
#include "sound.h"

static const struct bake_option options[] = {
    {.key = "text", .type = BAKE_T_STRING, .offset = 4, .help = "h"},
    {0},
};

#include "sound_sink.h"
