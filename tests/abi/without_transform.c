/* A transform without the function that CMake defines as NULL. */
#include "sound_transform.h"
