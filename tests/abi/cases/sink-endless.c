/* A table that nothing ends. */
#define OPTIONS options
#include "sound.h"

#define ROW                                                                                        \
    {                                                                                              \
        .key = "text", .type = BAKE_T_STRING, .help = "h"                                          \
    }
#define ROW8  ROW, ROW, ROW, ROW, ROW, ROW, ROW, ROW
#define ROW64 ROW8, ROW8, ROW8, ROW8, ROW8, ROW8, ROW8, ROW8

static const struct bake_option options[] = {ROW64, ROW64, ROW64, ROW64, ROW};

#include "sound_sink.h"
