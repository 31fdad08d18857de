/* gc/condemned-<16 hex>: packs that no backup needs, which no writer that begins from then on
 * counts as stored; gc/writers-<16 hex>: the writers that must have ended before they go. */
#ifndef BK_CONDEMNED_H
#define BK_CONDEMNED_H

#include "store/pack.h"
#include "store/sink.h"

#define BK_CONDEMNED_PACKS 50000u /* at most so many in an object */

struct bk_condemned {
    char key[17]; /* the 16 digits */
    bk_id *packs;
    size_t n;
    bool damaged;     /* it cannot be read: what it holds is not known */
    bool has_writers; /* gc/writers-... is there, and whole */
    struct bk_strv writers;
};

struct bk_condemned_list {
    struct bk_condemned *items;
    size_t n, cap;
    struct bk_strv loose; /* gc/writers-... that no gc/condemned-... belongs to */
};

int bk_condemned_load(struct bk_sink *sink, struct bk_condemned_list *ret, struct bk_err *err);
void bk_condemned_release(struct bk_condemned_list *l);

/* Puts gc/condemned-... with at most BK_CONDEMNED_PACKS; it is added to the list. */
int bk_condemn(struct bk_sink *sink, int64_t now_ns, const bk_id *packs, size_t n,
               const struct bk_strv *writers, struct bk_condemned_list *l, struct bk_err *err);
/* Puts gc/writers-... with the writers that were listed after gc/condemned-... was put. */
int bk_condemned_put_writers(struct bk_sink *sink, struct bk_condemned *c,
                             const struct bk_strv *writers, struct bk_err *err);
/* Its packs are gone, or needed again: removes both objects. */
int bk_condemned_remove(struct bk_sink *sink, const struct bk_condemned *c, struct bk_err *err);

#endif
