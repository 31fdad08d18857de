/* Yields trees and restores, but takes no entries back. */
#define PUT_ENTRY NULL
#define ENTRY_END NULL
#include "sound_source.h"
