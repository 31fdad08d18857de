/* Writing one stored object: plain bytes -> ring -> digest, transforms -> ring -> digest, put to
 * every sink. The stages are the flow's threads. */
#ifndef BK_OBJW_H
#define BK_OBJW_H

#include "base/digest.h"
#include "flow/flow.h"
#include "store/store.h"

#define BK_RING_BYTES (1u << 20) /* of each of the two rings of an object */

struct bk_objw;

struct bk_objw_result {
    uint64_t plain_size, stored_size;
    char plain_sha256[BK_SHA256_HEX], stored_sha256[BK_SHA256_HEX];
};

/* flags: BAKE_SMALL_OBJECT: one thread, little memory. name is the whole object name; copied. *ret
 * is set on failure too: free it once the flow is joined. */
int bk_objw_open(struct bk_flow *flow, struct bk_store *store, const char *name, uint32_t flags,
                 struct bk_objw **ret, struct bk_err *err);
/* One thread. A negative result is only ever BAKE_E_CANCELLED: the reason is the flow's. */
int bk_objw_write(struct bk_objw *w, const void *data, size_t n);
void bk_objw_end(struct bk_objw *w); /* no more bytes: the object is put once they are through */
/* After bk_flow_wait() succeeded: the object is in every usable sink, durably; while a group is
 * held in one of them, and bk_lag_fill() has to follow. */
void bk_objw_result(const struct bk_objw *w, struct bk_objw_result *ret);
/* After the flow's threads are joined: did any sink take the object? If not, what has its name
 * there is another's. */
bool bk_objw_stored(const struct bk_objw *w);
/* After the flow's threads are joined. Aborts puts that did not end. NULL is fine. */
void bk_objw_free(struct bk_objw *w);
/* Bytes that may still be in memory for one object, for the budget. */
uint64_t bk_objw_memory(const struct bk_store *store, uint32_t flags);

#endif
