/* A default that is not true or false. */
#define OPTIONS options
#include "sound.h"

static const struct bake_option options[] = {
    {.key = "choice",
     .type = BAKE_T_BOOL,
     .offset = offsetof(struct config, choice),
     .fallback = "maybe",
     .help = "h"},
    {0},
};

#include "sound_sink.h"
