/* A sound sink: its functions do nothing, and need not: it is only loaded. */
#include "sound.h"

static inline int sound_open(struct bake_ctx *ctx, const void *cfg, void **ret_self)
{
    (void)ctx;
    (void)cfg;
    (void)ret_self;
    return BAKE_E_UNSUPPORTED;
}
static inline uint64_t sound_memory(const void *cfg, int dir)
{
    (void)cfg;
    (void)dir;
    return 0;
}
static inline int sound_put_begin(void *self, struct bake_ctx *ctx, const char *name, uint64_t size,
                                  uint32_t flags, void **ret)
{
    (void)self;
    (void)ctx;
    (void)name;
    (void)size;
    (void)flags;
    (void)ret;
    return BAKE_E_UNSUPPORTED;
}
static inline int sound_put_write(void *put, struct bake_in *in)
{
    (void)put;
    (void)in;
    return BAKE_E_UNSUPPORTED;
}
static inline int sound_put_end(void *put)
{
    (void)put;
    return BAKE_E_UNSUPPORTED;
}
static inline void sound_put_abort(void *put) { (void)put; }
static inline int sound_get_begin(void *self, struct bake_ctx *ctx, const char *name,
                                  uint64_t offset, uint64_t length, void **ret)
{
    (void)self;
    (void)ctx;
    (void)name;
    (void)offset;
    (void)length;
    (void)ret;
    return BAKE_E_UNSUPPORTED;
}
static inline int sound_get_read(void *get, struct bake_out *out)
{
    (void)get;
    (void)out;
    return BAKE_E_UNSUPPORTED;
}
static inline void sound_get_close(void *get) { (void)get; }
static inline int sound_list(void *self, struct bake_ctx *ctx, const char *prefix,
                             int (*each)(void *arg, const char *name, uint64_t size,
                                         int64_t mtime_ns),
                             void *arg)
{
    (void)self;
    (void)ctx;
    (void)prefix;
    (void)each;
    (void)arg;
    return BAKE_E_UNSUPPORTED;
}
static inline int sound_stat(void *self, struct bake_ctx *ctx, const char *name, uint64_t *ret_size,
                             int64_t *ret_mtime_ns)
{
    (void)self;
    (void)ctx;
    (void)name;
    (void)ret_size;
    (void)ret_mtime_ns;
    return BAKE_E_UNSUPPORTED;
}
static inline int sound_remove(void *self, struct bake_ctx *ctx, const char *name)
{
    (void)self;
    (void)ctx;
    (void)name;
    return BAKE_E_UNSUPPORTED;
}
static inline void sound_close(void *self) { (void)self; }

#ifndef OPEN
#define OPEN sound_open
#endif
#ifndef MEMORY
#define MEMORY sound_memory
#endif
#ifndef PUT_BEGIN
#define PUT_BEGIN sound_put_begin
#endif
#ifndef PUT_WRITE
#define PUT_WRITE sound_put_write
#endif
#ifndef PUT_END
#define PUT_END sound_put_end
#endif
#ifndef PUT_ABORT
#define PUT_ABORT sound_put_abort
#endif
#ifndef GET_BEGIN
#define GET_BEGIN sound_get_begin
#endif
#ifndef GET_READ
#define GET_READ sound_get_read
#endif
#ifndef GET_CLOSE
#define GET_CLOSE sound_get_close
#endif
#ifndef LIST
#define LIST sound_list
#endif
#ifndef STAT
#define STAT sound_stat
#endif
#ifndef REMOVE
#define REMOVE sound_remove
#endif
#ifndef CLOSE
#define CLOSE sound_close
#endif
#ifndef OPS_SIZE
#define OPS_SIZE sizeof(ops)
#endif

static const struct bake_sink_ops ops = {.struct_size = OPS_SIZE,
                                         .open = OPEN,
                                         .memory = MEMORY,
                                         .put_begin = PUT_BEGIN,
                                         .put_write = PUT_WRITE,
                                         .put_end = PUT_END,
                                         .put_abort = PUT_ABORT,
                                         .get_begin = GET_BEGIN,
                                         .get_read = GET_READ,
                                         .get_close = GET_CLOSE,
                                         .list = LIST,
                                         .stat = STAT,
                                         .remove = REMOVE,
                                         .close = CLOSE,
                                         EXTRA_OPS};

SOUND_PLUGIN(sink, &ops)
ENTRY
