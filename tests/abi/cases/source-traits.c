/* Every trait, one that this minor does not know among them. */
#include "sound_groups.h"
#define EXTRA_OPS SOUND_BACK, .redeem = sound_redeem, .traits = 0x8000001f
#include "sound_source.h"
