/* While a group is held only the first usable sink is fed, so that none of the others can make the
 * holding longer (design 12.4): they lag behind, and get what they lack before the manifest. */
#ifndef BK_LAG_H
#define BK_LAG_H

#include "base/digest.h"
#include "store/store.h"

/* Before a group is held, and once it is released; several may be at once. */
void bk_store_hold(struct bk_store *s);
void bk_store_unhold(struct bk_store *s);
bool bk_store_held(struct bk_store *s);

/* As bk_store_put(), but while a group is held only into the first sink that takes it. *ret_sink:
 * the number of that sink, or SIZE_MAX if all got it. */
int bk_store_feed(struct bk_store *s, const char *name, const void *data, size_t n, uint32_t flags,
                  size_t *ret_sink, struct bk_err *err);

/* An object that only that sink has. sha256: of its bytes, in hex. needed: no other sink may go
 * without it, though it may have gone from that one meanwhile. Any thread. */
int bk_lag_add(struct bk_store *s, const char *name, size_t sink, const char *sha256, bool needed,
               struct bk_err *err);
void bk_lag_forget(struct bk_store *s, const char *name); /* it was removed */
/* Copies what the other usable sinks lack, checked by its digest. A sink that cannot be filled is
 * marked as failed: it gets no manifest. Fails when the run must end, or no sink is left. */
int bk_lag_fill(struct bk_store *s, struct bk_err *err);
void bk_lag_free(struct bk_store *s);

#endif
