/* A plugin without fault, to be spoilt: each case defines the macro it spoils and includes one of
 * sound_source.h, sound_transform.h and sound_sink.h. */
#ifndef SOUND_H
#define SOUND_H

#include <bakengine/plugin.h>

#ifndef STRUCT_SIZE
#define STRUCT_SIZE sizeof(struct bake_plugin)
#endif
#ifndef ABI_MAJOR
#define ABI_MAJOR BAKE_ABI_MAJOR
#endif
#ifndef ABI_MINOR
#define ABI_MINOR BAKE_ABI_MINOR
#endif
#ifndef OPTION_SIZE
#define OPTION_SIZE sizeof(struct bake_option)
#endif
#ifndef NAME
#define NAME CASE /* set by CMake: what the file is called */
#endif
#ifndef VERSION
#define VERSION "1.2"
#endif
#ifndef OPTIONS
#define OPTIONS NULL
#endif
#ifndef CONFIG_SIZE
#define CONFIG_SIZE sizeof(struct config)
#endif
#ifndef EXTRA
#define EXTRA /* more members: ".sink = ...," */
#endif
#ifndef EXTRA_OPS
#define EXTRA_OPS
#endif
#ifndef ENTRY
#define ENTRY BAKE_PLUGIN(plugin)
#endif

#define SOUND_PLUGIN(kind_, ops_)                                                                  \
    static const struct bake_plugin plugin = {.struct_size = STRUCT_SIZE,                          \
                                              .abi_major = ABI_MAJOR,                              \
                                              .abi_minor = ABI_MINOR,                              \
                                              .option_size = OPTION_SIZE,                          \
                                              .name = NAME,                                        \
                                              .version = VERSION,                                  \
                                              .summary = "for a test",                             \
                                              .options = OPTIONS,                                  \
                                              .config_size = CONFIG_SIZE,                          \
                                              .kind_ = (ops_),                                     \
                                              EXTRA};

#ifndef OWN_CONFIG
struct config {
    const char *text;
    int64_t number;
    int choice;
};
#endif

#endif
