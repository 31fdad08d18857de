/* A sink and a source. */
#define EXTRA .source = &source,
#include <bakengine/plugin.h>

static const struct bake_source_ops source = {.struct_size = sizeof(source)};

#include "sound_sink.h"
