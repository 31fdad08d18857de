/* Bytes of the store that go through the transforms by themselves: index objects, and what is read
 * of a pack. An index object is "BAKEINDX", version, header size and transform names as in a pack's
 * header, then the transformed bytes; its name is the SHA-256 of all of it. */
#ifndef BK_SEALED_H
#define BK_SEALED_H

#include "store/pack.h"
#include "store/store.h"

/* Runs bytes through the store's transforms, or back (`names`: as they were written). raw leaves
 * out those that compress. Appends to out; more than limit bytes back is BAKE_E_CORRUPT. */
int bk_sealed_decode(struct bk_store *s, const struct bk_strv *names, bool raw, const void *data,
                     size_t n, size_t limit, struct bk_buf *out, struct bk_err *err);

/* Puts plain bytes as <folder><digest> into every usable sink; the name goes to ret. */
int bk_sealed_put(struct bk_store *s, const char *folder, const struct bk_buf *plain, char *ret,
                  size_t cap, struct bk_err *err);
/* The same into one sink, whatever becomes of the others. */
int bk_sealed_put_to(struct bk_store *s, struct bk_sink *sink, const char *folder,
                     const struct bk_buf *plain, char *ret, size_t cap, struct bk_err *err);
/* Gets it, checks it against its name, decodes. */
int bk_sealed_get(struct bk_store *s, struct bk_sink *sink, const char *name, size_t limit,
                  struct bk_buf *plain, struct bk_err *err);

/* A pack's own chunk table, by two or three small reads. */
int bk_sealed_pack_table(struct bk_store *s, struct bk_sink *sink, const bk_id *pack, uint64_t size,
                         struct bk_pack_table *ret, uint32_t *ret_head, struct bk_err *err);
/* Bytes [offset, offset + n) of an object, all of them or BAKE_E_CORRUPT. Appends to out. What is
 * transient is tried again, as in bk_sink_get(). */
int bk_sealed_range(struct bk_sink *sink, const char *name, uint64_t offset, uint64_t n,
                    struct bk_buf *out, struct bk_err *err);

#endif
