/* One key twice. */
#define OPTIONS options
#include "sound.h"

static const struct bake_option options[] = {
    {.key = "text", .type = BAKE_T_STRING, .offset = offsetof(struct config, text), .help = "h"},
    {.key = "number", .type = BAKE_T_INT, .offset = offsetof(struct config, number), .help = "h"},
    {.key = "text", .type = BAKE_T_STRING, .offset = offsetof(struct config, text), .help = "h"},
    {0},
};

#include "sound_sink.h"
