/* Restores, but cannot commit. */
#define COMMIT NULL
#include "sound_source.h"
