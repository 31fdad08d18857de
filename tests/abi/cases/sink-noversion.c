/* No version. */
#define VERSION NULL
#include "sound_sink.h"
