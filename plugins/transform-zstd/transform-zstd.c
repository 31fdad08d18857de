/* transform-zstd: Zstandard frames with checksums. The description. */
#include "zstd-stream.h"

#define OPT(key, member, type, ctype, fallback, min, max, help)                                    \
    {                                                                                              \
        key, type, BAKE_OPT_HAS_RANGE, BAKE_MEMBER(struct zstd_cfg, member, ctype), fallback, min, \
            max, NULL, help                                                                        \
    }

/* The ranges are those of zstd 1.5, for the schema and for editors; validate() asks the library
 * that is loaded. */
static const struct bake_option options[] = {
    OPT("level", level, BAKE_T_INT, int64_t, "3", -131072, 22,
        "How hard to compress: 1 is fast, 19 is small, 20 to 22 need much memory, below 0 is "
        "faster still."),
    OPT("threads", threads, BAKE_T_INT, int64_t, "0", 0, 256,
        "Threads that compress one object: 0 is one per core, 1 is none but the caller's."),
    OPT("long", window_log, BAKE_T_INT, int64_t, "0", 0, 31,
        "Find repetitions that are far apart: 0 is off, 10 to 31 is the window as a power of two "
        "(27 is 128 MiB); reading back needs that much memory too."),
    OPT("job_size", job_size, BAKE_T_SIZE, uint64_t, "4 MiB", 512 << 10, 1 << 30,
        "How much one thread compresses at a time: larger is a little smaller on disk, takes that "
        "much more memory several times over for each thread, and leaves threads idle on objects "
        "of a few jobs."),
    {0}};

static const struct bake_transform_ops ops = {
    .struct_size = sizeof(ops),
    .suffix = ".zst",
    .traits = BAKE_COMPRESSES,
    .memory = zstd_memory,
    .open = zstd_open,
    .process = zstd_process,
    .reset = zstd_reset,
    .close = zstd_close,
};

static const struct bake_plugin plugin = {
    BAKE_PLUGIN_HEAD,
    .name = "zstd",
    .version = BAKE_VERSION,
    .summary = "compresses with Zstandard; 'zstd -d' reads what it writes",
    .options = options,
    .config_size = sizeof(struct zstd_cfg),
    .validate = zstd_validate,
    .transform = &ops,
};

BAKE_PLUGIN(plugin)
