/* A name that cannot be a file name. */
#define NAME "Bad/name"
#include "sound_sink.h"
