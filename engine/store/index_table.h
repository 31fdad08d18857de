/* The chunks that are new since the last sorted run: a hash table in memory. An entry without a
 * pack is a chunk that is on its way into one. Not thread-safe. */
#ifndef BK_INDEX_TABLE_H
#define BK_INDEX_TABLE_H

#include "store/index_run.h"

#define BK_PACK_COMING UINT32_MAX /* loc.pack of a chunk that is not stored yet */

struct bk_table {
    struct bk_located *slots; /* loc.length 0: empty */
    size_t n, cap;            /* cap: a power of two, or 0 */
    size_t coming;            /* entries without a pack */
};

struct bk_located *bk_table_find(const struct bk_table *t, const bk_id *id);
/* Adds it, or replaces where it is. */
int bk_table_put(struct bk_table *t, const struct bk_located *e);
/* Takes out every entry that has a pack: sorted, the array is the caller's. */
int bk_table_drain(struct bk_table *t, struct bk_located **ret, size_t *ret_n);
void bk_table_release(struct bk_table *t);

#endif
