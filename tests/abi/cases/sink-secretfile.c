/* A key that is already the file of a secret. */
#define OPTIONS options
#include "sound.h"

static const struct bake_option options[] = {
    {.key = "number_file",
     .type = BAKE_T_STRING,
     .offset = offsetof(struct config, text),
     .help = "h"},
    {.key = "number",
     .type = BAKE_T_SECRET,
     .offset = offsetof(struct config, number),
     .help = "h"},
    {0},
};

#include "sound_sink.h"
