/* Ends a dump that waits too long for a lock: the tool itself would wait for a day. */
#ifndef MY_WATCH_H
#define MY_WATCH_H

#include "conn.h"

#include "child/child.h"

struct my_watch;

/* Connects. `since`: what my_watch_reading() keeps. */
int my_watch_start(struct bake_ctx *ctx, const struct my_config *cfg, const char *database,
                   struct bkc_child *child, struct my_watch **ret);
/* Around each read: only who waits for the dump's bytes can wait too long. */
void my_watch_reading(struct my_watch *w, bool reading);
/* Why it ended the dump; "" if it did not. */
const char *my_watch_said(struct my_watch *w);
void my_watch_stop(struct my_watch *w); /* before the child is freed; NULL is fine */

#endif
