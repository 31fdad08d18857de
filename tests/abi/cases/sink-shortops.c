/* A table of functions smaller than minor 0. */
#define OPS_SIZE offsetof(struct bake_sink_ops, close)
#include "sound_sink.h"
