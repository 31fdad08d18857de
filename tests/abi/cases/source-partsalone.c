/* Restores parts, but does not restore groups. */
#define EXTRA_OPS .traits = BAKE_HAS_PARTS
#include "sound_source.h"
