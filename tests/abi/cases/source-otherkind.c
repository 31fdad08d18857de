/* Another kind than its file. */
#include "sound_sink.h"
