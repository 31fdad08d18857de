/* Commits, but cannot open a writer. */
#define WRITER_OPEN NULL
#include "sound_source.h"
