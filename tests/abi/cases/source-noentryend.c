/* Puts entries, but cannot end them. */
#define ENTRY_END NULL
#include "sound_source.h"
