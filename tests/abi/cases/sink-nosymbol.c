/* A shared object that is no plugin. */
#include <bakengine/plugin.h>

BAKE_EXPORT int something_else(void);
int something_else(void) { return 1; }
