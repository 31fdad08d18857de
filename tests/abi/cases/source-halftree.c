/* Lists entries, but cannot open them. */
#define OPEN_ENTRY NULL
#include "sound_source.h"
