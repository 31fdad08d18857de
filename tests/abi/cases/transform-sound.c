/* Nothing is wrong with this one. */
#include "sound_transform.h"
