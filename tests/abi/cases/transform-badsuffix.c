/* A suffix that leads out of the directory. */
#define SUFFIX "./../x"
#include "sound_transform.h"
