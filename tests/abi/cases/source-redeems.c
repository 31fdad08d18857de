/* Redeems what a restore owes, and holds nothing. */
#include "sound_groups.h"
#define EXTRA_OPS SOUND_BACK, .redeem = sound_redeem
#include "sound_source.h"
