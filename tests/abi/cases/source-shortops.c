/* A table of functions smaller than minor 0. */
#define OPS_SIZE sizeof(size_t)
#include "sound_source.h"
