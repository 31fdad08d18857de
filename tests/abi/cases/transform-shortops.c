/* A table of functions smaller than minor 0. */
#define OPS_SIZE 0
#include "sound_transform.h"
