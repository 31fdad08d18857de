/* Chunks by id: a hash table in memory, for what is new since the last sorted run and for what is
 * on its way into a pack. Not thread-safe. */
#ifndef BK_INDEX_TABLE_H
#define BK_INDEX_TABLE_H

#include "store/index_run.h"

struct bk_table {
    struct bk_located *slots; /* loc.length 0: empty */
    size_t n, cap;            /* cap: a power of two, or 0 */
};

struct bk_located *bk_table_find(const struct bk_table *t, const bk_id *id);
/* Adds it, or replaces where it is. */
int bk_table_put(struct bk_table *t, const struct bk_located *e);
void bk_table_remove(struct bk_table *t, const bk_id *id); /* it need not be there */
/* Every entry, sorted; the array is the caller's. The table stays as it is. */
int bk_table_sorted(const struct bk_table *t, struct bk_located **ret);
void bk_table_release(struct bk_table *t);

#endif
