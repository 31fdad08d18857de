/* Another name than its file. */
#define NAME "elsewhere"
#include "sound_sink.h"
