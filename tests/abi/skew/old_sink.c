/* A sink of this minor with two options, so that the stride counts. */
#define OPTIONS options
#include "sound.h"

static const struct bake_option options[] = {
    {.key = "text", .type = BAKE_T_STRING, .offset = offsetof(struct config, text), .help = "h"},
    {.key = "number",
     .type = BAKE_T_INT,
     .offset = offsetof(struct config, number),
     .fallback = "7",
     .help = "h"},
    {0},
};

#include "sound_sink.h"
