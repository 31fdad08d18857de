/* The entry point of another major. */
#include <bakengine/plugin.h>

BAKE_EXPORT const void *bake_plugin_v2(void);
const void *bake_plugin_v2(void) { return NULL; }
