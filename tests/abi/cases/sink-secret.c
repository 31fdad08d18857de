/* A secret that everybody knows. */
#define OPTIONS options
#include "sound.h"

static const struct bake_option options[] = {
    {.key = "text",
     .type = BAKE_T_SECRET,
     .offset = offsetof(struct config, text),
     .fallback = "changeme",
     .help = "h"},
    {0},
};

#include "sound_sink.h"
