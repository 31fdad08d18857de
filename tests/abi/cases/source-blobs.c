/* Sources of blobs need no functions for trees. */
#define NEXT       NULL
#define OPEN_ENTRY NULL
#define PUT_ENTRY  NULL
#define ENTRY_END  NULL
#include "sound_source.h"
