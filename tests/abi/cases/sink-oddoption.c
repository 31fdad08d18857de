/* A stride that no struct has. */
#define OPTION_SIZE (sizeof(struct bake_option) + 1)
#define OPTIONS     options
#include "sound.h"

static const struct bake_option options[] = {
    {.key = "text", .type = BAKE_T_STRING, .offset = offsetof(struct config, text), .help = "h"},
    {0},
};

#include "sound_sink.h"
