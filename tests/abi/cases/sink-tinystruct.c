/* Smaller than the head. */
#define STRUCT_SIZE 8
#include "sound_sink.h"
