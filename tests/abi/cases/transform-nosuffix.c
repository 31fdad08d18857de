/* No suffix. */
#define SUFFIX NULL
#include "sound_transform.h"
