/* Inspects, but has no writer. */
#define WRITER_OPEN  NULL
#define PUT_ENTRY    NULL
#define WRITE        NULL
#define ENTRY_END    NULL
#define COMMIT       NULL
#define WRITER_CLOSE NULL
#define EXTRA_OPS    .traits = BAKE_INSPECTS
#include "sound_source.h"
