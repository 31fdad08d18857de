/* Options, but nowhere to store them. */
#define CONFIG_SIZE 0
#define OPTIONS     options
#include "sound.h"

static const struct bake_option options[] = {
    {.key = "text", .type = BAKE_T_STRING, .offset = offsetof(struct config, text), .help = "h"},
    {0},
};

#include "sound_sink.h"
