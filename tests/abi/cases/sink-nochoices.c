/* A choice without choices. */
#define OPTIONS options
#include "sound.h"

static const struct bake_option options[] = {
    {.key = "choice", .type = BAKE_T_ENUM, .offset = offsetof(struct config, choice), .help = "h"},
    {0},
};

#include "sound_sink.h"
