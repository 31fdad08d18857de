/* One run of a pipeline at a time on this host: a lock in the state directory that the kernel
 * drops with the process that holds it. */
#ifndef BK_LOCK_H
#define BK_LOCK_H

#include "base/err.h"

/* $BAKENGINE_STATE_DIR; else for root the system's state folder, else $XDG_STATE_HOME/bakengine or
 * ~/.local/state/bakengine. Owned by the caller. */
int bk_state_dir(char **ret, struct bk_err *err);

/* BK_E_LOCKED names the process that has it. *ret_fd: close it to unlock. */
int bk_lock_pipeline(const char *pipeline, int *ret_fd, struct bk_err *err);
/* The same for a folder that the logs of a source are received into: <spool>.lock. */
int bk_lock_spool(const char *spool, const char *source, int *ret_fd, struct bk_err *err);

#endif
