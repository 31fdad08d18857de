/* Holds, but cannot release. */
#include "sound_groups.h"
#define EXTRA_OPS .hold = sound_hold, .redeem = sound_redeem
#include "sound_source.h"
