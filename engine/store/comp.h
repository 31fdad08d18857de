/* Components in a store: what a run writes and what restore, cat, ls and verify read. */
#ifndef BK_COMP_H
#define BK_COMP_H

#include "store/manifest.h"
#include "store/store.h"

/* ---- writing: one thread per component ------------------------------------------------------ */

struct bk_compw;

/* Makes a flow below `parent`. The component's name and kind are copied. */
int bk_compw_open(struct bk_store *store, const char *id, struct bk_cancel *parent,
                  const char *name, uint32_t kind, struct bk_compw **ret, struct bk_err *err);
struct bk_cancel *bk_compw_cancel(struct bk_compw *w); /* for the source's reader */
/* Trees: entry, data*, entry_end. Blobs: data*. A result of BAKE_E_CANCELLED may only mean that a
 * stage failed: bk_compw_finish() has the reason. The entry must live until entry_end. */
int bk_compw_entry(struct bk_compw *w, const struct bake_entry *e, struct bk_err *err);
int bk_compw_data(struct bk_compw *w, const void *data, size_t n, struct bk_err *err);
int bk_compw_entry_end(struct bk_compw *w, struct bk_err *err);
/* Ends the streams and waits until all is durable in every usable sink. ret's objects, sizes,
 * digests and transforms are filled in. */
int bk_compw_finish(struct bk_compw *w, struct bk_mcomp *ret, struct bk_err *err);
/* why (may be NULL) is the source's failure: recorded before the stages are stopped. Returns in
 * ret (may be NULL) what failed first, be it a stage or the source; removes what was put. */
void bk_compw_abort(struct bk_compw *w, const struct bk_err *why, struct bk_err *ret);
void bk_compw_free(struct bk_compw *w); /* after finish or abort; NULL is fine */

/* The objects' names of a component ("system.tar.zst"), owned by the caller: for the plan. */
char *bk_comp_object_name(const struct bk_store *store, const char *component, uint32_t kind);
/* What one component being written may need, in bytes. */
uint64_t bk_comp_memory(const struct bk_store *store, uint32_t kind);

/* ---- reading: one thread per component ------------------------------------------------------ */

#define BK_COMPR_LIST (1u << 0) /* entries only: nothing will be read; trees */
#define BK_COMPR_RAW  (1u << 1) /* a tree's own stream (its tar) as if it were a blob */

struct bk_compr;

/* m and c must live until free. */
int bk_compr_open(struct bk_store *store, struct bk_sink *sink, const struct bk_manifest *m,
                  const struct bk_mcomp *c, unsigned flags, struct bk_cancel *parent,
                  struct bk_compr **ret, struct bk_err *err);
/* Trees: OK | BAKE_END. BAKE_E_CORRUPT: the component is damaged from here on; what it lost can
 * be asked for. Lives until the next call. */
int bk_compr_next(struct bk_compr *r, struct bake_entry *ret, struct bk_err *err);
/* Bytes of the entry's extents, or of the blob. OK | BAKE_END, after which the content's digest
 * has been checked: BAKE_E_CORRUPT with bk_compr_bad_entry() true is this entry's alone. */
int bk_compr_read(struct bk_compr *r, struct bake_out *out, struct bk_err *err);
bool bk_compr_bad_entry(const struct bk_compr *r);
/* After BAKE_END: reads what is left of the objects; 0, or what is wrong with them. */
int bk_compr_finish(struct bk_compr *r, struct bk_err *err);
/* After damage: each path that the listing still names behind the last good entry. */
void bk_compr_lost(struct bk_compr *r, void (*each)(void *arg, const char *path), void *arg);
void bk_compr_free(struct bk_compr *r); /* NULL is fine */

#endif
