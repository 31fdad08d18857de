/* Holds, but cannot redeem. */
#include "sound_groups.h"
#define EXTRA_OPS .hold = sound_hold, .release = sound_release
#include "sound_source.h"
