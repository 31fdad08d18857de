/* Neither source nor transform nor sink. */
#include "sound.h"

SOUND_PLUGIN(sink, NULL)
ENTRY
