/* See scratch.h. */
#include "scratch/scratch.h"
