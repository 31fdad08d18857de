/* Drills, but does not restore groups. */
#define EXTRA_OPS .traits = BAKE_DRILLS
#include "sound_source.h"
