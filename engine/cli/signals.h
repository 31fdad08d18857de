/* SIGINT, SIGTERM and SIGHUP as a cancel: the first ends the verb cleanly, the second at once. */
#ifndef BK_SIGNALS_H
#define BK_SIGNALS_H

#include "base/cancel.h"

struct bk_signals;

/* Blocks them in this thread and those it will start; call before any other thread exists. */
int bk_signals_start(struct bk_cancel *cancel, struct bk_signals **ret, struct bk_err *err);
int bk_signals_caught(struct bk_signals *s); /* the first one's number, or 0 */
void bk_signals_stop(struct bk_signals *s);  /* NULL is fine */

#endif
