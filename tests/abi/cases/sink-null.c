/* The entry point returns NULL. */
#define ENTRY                                                                                      \
    const struct bake_plugin *bake_plugin_v1(void)                                                 \
    {                                                                                              \
        (void)plugin;                                                                              \
        return NULL;                                                                               \
    }
#include "sound_sink.h"
