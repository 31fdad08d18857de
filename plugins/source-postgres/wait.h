/* Waiting for a socket or a cancelled run, whichever comes first. */
#ifndef PG_WAIT_H
#define PG_WAIT_H

#include <bakengine/plugin.h>

#include <stdbool.h>

int64_t pg_now_ms(void); /* of a clock that only goes forward */
/* Until fd can be read (or also written). ms < 0: for ever. OK, BAKE_E_TIMEOUT, BAKE_E_CANCELLED,
 * BAKE_E_IO; nothing is said. */
int pg_wait(struct bake_ctx *ctx, int fd, bool write, int64_t ms);

#endif
