/* A default list that does not end. */
#define OPTIONS options
#include "sound.h"

static const struct bake_option options[] = {
    {.key = "text",
     .type = BAKE_T_STRLIST,
     .offset = offsetof(struct config, text),
     .fallback = "[a, b",
     .help = "h"},
    {0},
};

#include "sound_sink.h"
