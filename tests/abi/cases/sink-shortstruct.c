/* Smaller than minor 0. */
#define STRUCT_SIZE offsetof(struct bake_plugin, sink)
#include "sound_sink.h"
