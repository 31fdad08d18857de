/* Has logs, but does not restore groups. */
#define EXTRA_OPS .traits = BAKE_HAS_LOGS
#include "sound_source.h"
