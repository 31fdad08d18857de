/* A default that is not among the choices. */
#define OPTIONS options
#include "sound.h"

static const char *const choices[] = {"fast", "small", NULL};
static const struct bake_option options[] = {
    {.key = "choice",
     .type = BAKE_T_ENUM,
     .offset = offsetof(struct config, choice),
     .fallback = "slow",
     .choices = choices,
     .help = "h"},
    {0},
};

#include "sound_sink.h"
