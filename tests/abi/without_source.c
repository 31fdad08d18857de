/* A source without the function that CMake defines as NULL. */
#include "sound_source.h"
