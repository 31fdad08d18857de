/* No name. */
#define NAME NULL
#include "sound_sink.h"
