/* The way back is optional as a whole. */
#define WRITER_OPEN  NULL
#define PUT_ENTRY    NULL
#define WRITE        NULL
#define ENTRY_END    NULL
#define COMMIT       NULL
#define WRITER_CLOSE NULL
#include "sound_source.h"
