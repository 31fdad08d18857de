/* Of minor 1: what lies behind its table of functions is not looked at. */
#include "sound_groups.h"
#define ABI_MINOR 1
#define OPS_SIZE  offsetof(struct bake_source_ops, traits)
#define EXTRA_OPS SOUND_BACK, .traits = BAKE_DRILLS | BAKE_NAMES_BELOW
#include "sound_source.h"
