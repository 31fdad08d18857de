/* Nothing is wrong with this one. */
#include "sound_sink.h"
