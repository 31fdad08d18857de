/* A sound source: its functions do nothing, and need not: it is only loaded. */
#include "sound.h"

static inline int sound_open(struct bake_ctx *ctx, const void *cfg, void **ret_self)
{
    (void)ctx;
    (void)cfg;
    (void)ret_self;
    return BAKE_E_UNSUPPORTED;
}
static inline int sound_plan(void *self, struct bake_component *ret)
{
    (void)self;
    (void)ret;
    return BAKE_E_UNSUPPORTED;
}
static inline int sound_reader_open(void *self, struct bake_ctx *ctx,
                                    const struct bake_component *c, void **ret)
{
    (void)self;
    (void)ctx;
    (void)c;
    (void)ret;
    return BAKE_E_UNSUPPORTED;
}
static inline int sound_next(void *reader, struct bake_entry *ret)
{
    (void)reader;
    (void)ret;
    return BAKE_E_UNSUPPORTED;
}
static inline int sound_open_entry(void *reader, struct bake_entry *entry)
{
    (void)reader;
    (void)entry;
    return BAKE_E_UNSUPPORTED;
}
static inline int sound_read(void *reader, struct bake_out *out)
{
    (void)reader;
    (void)out;
    return BAKE_E_UNSUPPORTED;
}
static inline int sound_finish(void *reader, struct bake_result *ret)
{
    (void)reader;
    (void)ret;
    return BAKE_E_UNSUPPORTED;
}
static inline void sound_reader_close(void *reader) { (void)reader; }
static inline int sound_writer_open(void *self, struct bake_ctx *ctx,
                                    const struct bake_component *c, const struct bake_restore *how,
                                    void **ret)
{
    (void)self;
    (void)ctx;
    (void)c;
    (void)how;
    (void)ret;
    return BAKE_E_UNSUPPORTED;
}
static inline int sound_put_entry(void *writer, const struct bake_entry *entry)
{
    (void)writer;
    (void)entry;
    return BAKE_E_UNSUPPORTED;
}
static inline int sound_write(void *writer, struct bake_in *in)
{
    (void)writer;
    (void)in;
    return BAKE_E_UNSUPPORTED;
}
static inline int sound_entry_end(void *writer, int good)
{
    (void)writer;
    (void)good;
    return BAKE_E_UNSUPPORTED;
}
static inline int sound_commit(void *writer)
{
    (void)writer;
    return BAKE_E_UNSUPPORTED;
}
static inline void sound_writer_close(void *writer) { (void)writer; }
static inline void sound_close(void *self) { (void)self; }

#ifndef OPEN
#define OPEN sound_open
#endif
#ifndef PLAN
#define PLAN sound_plan
#endif
#ifndef READER_OPEN
#define READER_OPEN sound_reader_open
#endif
#ifndef NEXT
#define NEXT sound_next
#endif
#ifndef OPEN_ENTRY
#define OPEN_ENTRY sound_open_entry
#endif
#ifndef READ
#define READ sound_read
#endif
#ifndef FINISH
#define FINISH sound_finish
#endif
#ifndef READER_CLOSE
#define READER_CLOSE sound_reader_close
#endif
#ifndef WRITER_OPEN
#define WRITER_OPEN sound_writer_open
#endif
#ifndef PUT_ENTRY
#define PUT_ENTRY sound_put_entry
#endif
#ifndef WRITE
#define WRITE sound_write
#endif
#ifndef ENTRY_END
#define ENTRY_END sound_entry_end
#endif
#ifndef COMMIT
#define COMMIT sound_commit
#endif
#ifndef WRITER_CLOSE
#define WRITER_CLOSE sound_writer_close
#endif
#ifndef CLOSE
#define CLOSE sound_close
#endif
#ifndef OPS_SIZE
#define OPS_SIZE sizeof(ops)
#endif

static const struct bake_source_ops ops = {.struct_size = OPS_SIZE,
                                           .open = OPEN,
                                           .plan = PLAN,
                                           .reader_open = READER_OPEN,
                                           .next = NEXT,
                                           .open_entry = OPEN_ENTRY,
                                           .read = READ,
                                           .finish = FINISH,
                                           .reader_close = READER_CLOSE,
                                           .writer_open = WRITER_OPEN,
                                           .put_entry = PUT_ENTRY,
                                           .write = WRITE,
                                           .entry_end = ENTRY_END,
                                           .commit = COMMIT,
                                           .writer_close = WRITER_CLOSE,
                                           .close = CLOSE,
                                           EXTRA_OPS};

SOUND_PLUGIN(source, &ops)
ENTRY
