/* Our entry point, but another major within. */
#define ABI_MAJOR 2
#include "sound_sink.h"
