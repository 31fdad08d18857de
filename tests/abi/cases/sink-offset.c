/* An offset beyond the config. */
#define OPTIONS options
#include "sound.h"

static const struct bake_option options[] = {
    {.key = "text", .type = BAKE_T_STRING, .offset = sizeof(struct config), .help = "h"},
    {0},
};

#include "sound_sink.h"
