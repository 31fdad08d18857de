/* N items worked on by up to `parallel` threads, in order of their numbers. */
#ifndef BK_LANES_H
#define BK_LANES_H

#include "base/err.h"

/* work() is called once for each i in [0, n), on several threads; a negative result stops the
 * handing out of further items. Returns the first such result with its err. */
int bk_lanes_run(size_t n, size_t parallel, int (*work)(void *arg, size_t i, struct bk_err *err),
                 void *arg, struct bk_err *err);

#endif
