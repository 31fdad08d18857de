/* Messages for people, on standard error: "bakengine: warning: ...". The only process-wide state
 * of the engine is here: the level, the secrets to mask, and whether a progress line is shown. */
#ifndef BK_LOG_H
#define BK_LOG_H

#include "base/err.h"

enum bk_log_format { BK_LOG_TEXT = 0, BK_LOG_JSON = 1 };

void bk_log_setup(enum bk_log_format format, int level); /* level: enum bake_level */
void bk_log(int level, const char *fmt, ...) BAKE_PRINTF(2, 3);
void bk_vlog(int level, const char *fmt, va_list ap) BAKE_PRINTF(2, 0);
/* "bakengine: error: TEXT" and, when there is one, "HINT: ..." on a line of its own. */
void bk_log_err(const struct bk_err *err);

/* From now on `secret` (at least 4 bytes) is shown as "***" in every message, and in whatever
 * goes through bk_mask(). Copied into memory that is locked where the system allows it. */
void bk_mask_add(const char *secret);
/* A copy of s with every secret masked; owned by the caller; NULL when out of memory. */
char *bk_mask(const char *s);
void bk_mask_forget(void); /* overwrites and frees them: at the end of the process */

/* The line (without a newline) that is kept at the bottom of a terminal; messages are printed
 * above it. NULL or "": none. Thread-safe. Does nothing unless standard error is a terminal. */
void bk_log_status(const char *line);

#endif
