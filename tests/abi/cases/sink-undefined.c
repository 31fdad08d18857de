/* A function that is nowhere: found when it is loaded, not in the middle of a backup. */
int bake_test_function_that_is_nowhere(void *put);
#define PUT_END bake_test_function_that_is_nowhere
#include "sound_sink.h"
