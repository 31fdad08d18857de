/* Options without fault. */
#define OPTIONS options
#include "sound.h"

static const char *const choices[] = {"fast", "small", NULL};
static const struct bake_option options[] = {
    {.key = "text",
     .type = BAKE_T_STRING,
     .offset = BAKE_MEMBER(struct config, text, const char *)},
    {.key = "number",
     .type = BAKE_T_INT,
     .flags = BAKE_OPT_HAS_RANGE,
     .offset = BAKE_MEMBER(struct config, number, int64_t),
     .fallback = "3",
     .min = -7,
     .max = 22,
     .help = "A number."},
    {.key = "choice",
     .type = BAKE_T_ENUM,
     .offset = BAKE_MEMBER(struct config, choice, int),
     .fallback = "small",
     .choices = choices,
     .help = "A choice."},
    {0},
};

#include "sound_sink.h"
