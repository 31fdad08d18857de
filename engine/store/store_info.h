/* bakengine.json: what a store is (docs/format.md). Used while a store is opened. */
#ifndef BK_STORE_INFO_H
#define BK_STORE_INFO_H

#include "store/store.h"

/* Reads it from one sink and checks it against the pipeline (s->disagrees) and against the sinks
 * before. BK_E_NOSTORE: an empty place. */
int bk_store_read_info(struct bk_store *s, struct bk_sink *sink, struct bk_err *err);
/* Puts it; if another host was faster, theirs counts. */
int bk_store_make_info(struct bk_store *s, struct bk_sink *sink, struct bk_err *err);

#endif
