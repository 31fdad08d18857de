/* Reading streams back: the chunks behind a list of references, in order; and the records of a
 * tree. One thread each. */
#ifndef BK_STREAMR_H
#define BK_STREAMR_H

#include "store/entrycodec.h"
#include "store/fetch.h"

struct bk_streamr;

/* refs are copied. ahead: how many bytes of the stream are announced (bk_fetch_want) before they
 * are read; 0: none. */
int bk_streamr_new(struct bk_fetch *f, const struct bk_refs *refs, uint64_t ahead,
                   struct bk_streamr **ret, struct bk_err *err);
/* The next reference to a chunk of the stream itself. OK | BAKE_END. Damage (bk_fetch_is_damage)
 * costs what lies below the damaged list alone: the next call goes on behind it. */
int bk_streamr_ref(struct bk_streamr *r, struct bk_ref *ret, struct bk_err *err);
/* Lends the next chunk's bytes until the next call. OK | BAKE_END. After damage the next call goes
 * on behind it. Not to be mixed with bk_streamr_ref(). */
int bk_streamr_pull(struct bk_streamr *r, const void **ret, size_t *ret_n, struct bk_err *err);
void bk_streamr_free(struct bk_streamr *r); /* NULL is fine */

/* Every chunk behind refs, lists (of references; level 1 and more) before what they refer to; a
 * list's ref has the length of the stream below it, not its own. each() may return BAKE_END for a
 * list: what is below it is left out. */
int bk_refs_each(struct bk_fetch *f, const struct bk_refs *refs,
                 int (*each)(void *arg, const struct bk_ref *ref, uint32_t level,
                             struct bk_err *err),
                 void *arg, struct bk_err *err);

/* The records of a tree. */
struct bk_records;
int bk_records_new(struct bk_fetch *f, const struct bk_refs *tree, uint64_t ahead,
                   struct bk_records **ret, struct bk_err *err);
/* Its entries are not in the order of their paths: after damage any whole records count. */
void bk_records_unordered(struct bk_records *r);
/* The next entry; lives until the next call. OK | BAKE_END. After damage (bk_fetch_is_damage) the
 * next call goes on behind it, where chunks are found that are whole records of later paths. */
int bk_records_next(struct bk_records *r, struct bk_stored_entry *ret, struct bk_err *err);
void bk_records_free(struct bk_records *r); /* NULL is fine */

#endif
