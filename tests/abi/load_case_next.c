/* The loader as the engine's next minor would have it: built with a header that has one more member
 * in every struct (see skew.cmake). */
#define NEXT_MINOR
#include "load_case.c"
