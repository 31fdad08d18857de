/* A sink without the function that CMake defines as NULL. */
#include "sound_sink.h"
